//! What people read, before it has a form.

/// A table, and what stands below it.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) table: Table,
    /// Rows that have the first column only.
    pub(crate) below: Vec<Row>,
    pub(crate) notes: Vec<Notes>,
    /// Whole lines that stand as they are.
    pub(crate) text: String,
}

/// Rows under a header. Nothing of it is shown where there are no rows.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) header: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
}

/// A row, and what is said below it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    pub(crate) paragraphs: Vec<String>,
}

/// What stands in a column.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// What a text means to whoever reads it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Attention,
    Bad,
    Denied,
    Unknown,
}

/// Sentences under a title. Nothing of them is shown where there are none.
#[derive(Debug)]
pub(crate) struct Notes {
    pub(crate) title: &'static str,
    pub(crate) items: Vec<String>,
}

impl Page {
    /// A table alone.
    pub(crate) fn of_table(
        header: impl IntoIterator<Item = &'static str>,
        rows: impl IntoIterator<Item = Vec<Cell>>,
    ) -> Self {
        Page {
            table: Table {
                header: header.into_iter().collect(),
                rows: rows.into_iter().map(Row::from).collect(),
            },
            ..Page::default()
        }
    }

    /// Lines alone.
    pub(crate) fn of_text(text: String) -> Self {
        Page {
            text,
            ..Page::default()
        }
    }
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Row {
            cells,
            paragraphs: Vec::new(),
        }
    }
}

impl Cell {
    /// What kubectl writes where there is nothing.
    pub(crate) const NONE: &'static str = "<none>";
    /// What kubectl writes where something cannot be told.
    pub(crate) const UNKNOWN: &'static str = "<unknown>";

    /// A text that means something.
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Cell {
            text: text.into(),
            tone,
        }
    }

    /// A text of an object, or what kubectl writes where there is none.
    pub(crate) fn or_none(text: &str) -> Self {
        match text {
            "" => Cell::from(Cell::NONE),
            text => Cell::from(text),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::new(text, Tone::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::new(text, Tone::Plain)
    }
}
