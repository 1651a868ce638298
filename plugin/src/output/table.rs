//! `-o table` and `-o wide`, and other tables as kubectl prints them.

use std::fmt::Write as _;

use anstyle::Style;
use policy::Level;
use policy::finding::dotted;

use super::{printable, style_of};
use crate::report::missing::{Missing, Source};
use crate::report::{Located, Place};

/// Between two columns.
const GAP: usize = 3;

/// How far messages stand to the right of the rows that they belong to.
const INDENT: &str = "    ";

/// What stands in a column, made printable.
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn new(text: &str, style: Style) -> Self {
        Cell {
            text: printable(text),
            style,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::new(text, Style::new())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::new(&text, Style::new())
    }
}

/// A row for each finding, and below it what is wrong and how to put it right, wrapped to a width.
/// File names and messages are too long to share a line.
pub(crate) fn findings(shown: &[&Located], width: usize) -> String {
    let rows = shown.iter().copied().map(row).collect();
    let mut lines = aligned(["LEVEL", "RULE", "OBJECT", "LOCATION"], rows).into_iter();
    let mut text = String::new();
    for header in lines.by_ref().take(1) {
        let _ = writeln!(text, "{header}");
    }
    for (line, located) in lines.zip(shown) {
        let finding = &located.finding;
        let _ = writeln!(text, "{line}");
        let what = match located.field.as_str() {
            "" => printable(&finding.message),
            field => printable(&format!("{}: {}", dotted(field), finding.message)),
        };
        wrap(&mut text, &what, width);
        if !finding.fix.is_empty() {
            let fix = format!("fix: {}", printable(&finding.fix));
            wrap(&mut text, &fix, width);
        }
    }
    text
}

/// One long row for each finding.
pub(crate) fn wide(shown: &[&Located]) -> String {
    let rows = shown.iter().map(|located| {
        let [level, rule, object, location] = row(located);
        [
            level,
            rule,
            object,
            location,
            dotted(&located.field).into(),
            located.finding.message.as_str().into(),
            located.finding.fix.as_ref().into(),
        ]
    });
    let header = [
        "LEVEL", "RULE", "OBJECT", "LOCATION", "FIELD", "MESSAGE", "FIX",
    ];
    joined(aligned(header, rows.collect()))
}

/// A line for each kind of fact that findings wait for, below their rows, and how the facts can be given.
pub(crate) fn missing(missing: &[Missing<'_>], source: Source, width: usize) -> String {
    let mut text = String::new();
    for kind in missing {
        let style = style_of(Level::Undecided);
        let _ = writeln!(text, "{style}undecided{style:#}");
        wrap(&mut text, &printable(&kind.line(source)), width);
        wrap(&mut text, &format!("fix: {}", kind.fix(source)), width);
    }
    text
}

/// A table without colours.
pub(crate) fn columns<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let rows = rows.into_iter().map(|row| row.map(Cell::from));
    joined(aligned(header, rows.collect()))
}

fn row(located: &Located) -> [Cell; 4] {
    let level = located.finding.level;
    [
        Cell::new(level.as_str(), style_of(level)),
        located.finding.rule.to_string().into(),
        located.object.short().into(),
        location(located).into(),
    ]
}

/// `FILE:LINE`, or the namespace in a cluster.
fn location(located: &Located) -> String {
    match &located.place {
        Place::File { file, line } => format!("{file}:{line}"),
        Place::Live => located.object.namespace.clone().unwrap_or_default(),
    }
}

/// Lines as a text.
pub(super) fn joined(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The header and the rows, each column as wide as its widest cell. Nothing for no rows.
pub(super) fn aligned<const N: usize>(header: [&str; N], rows: Vec<[Cell; N]>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut table = vec![header.map(Cell::from)];
    table.extend(rows);
    let mut widths = [0; N];
    for row in &table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    table
        .iter()
        .map(|row| {
            let mut line = String::new();
            for (Cell { text, style }, width) in row.iter().zip(widths) {
                let padding = width + GAP - text.chars().count();
                let _ = write!(line, "{style}{text}{style:#}{:padding$}", "");
            }
            line.truncate(line.trim_end().len());
            line
        })
        .collect()
}

/// Adds a text in indented lines, broken between words.
fn wrap(text: &mut String, paragraph: &str, width: usize) {
    let mut column = 0;
    for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            column = 0;
        }
        text.push_str(if column == 0 { INDENT } else { " " });
        text.push_str(word);
        column += length + if column == 0 { INDENT.len() } else { 1 };
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            ["a".to_owned(), "b".to_owned()],
            ["äöü-long".to_owned(), String::new()],
        ];
        assert_eq!(
            columns(["X", "Y"], rows),
            "X          Y\na          b\näöü-long\n"
        );
        assert_eq!(columns(["X"], Vec::new()), "");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let mut text = String::new();
        wrap(&mut text, "one two three averyveryverylongword four", 14);
        assert_eq!(
            text,
            "    one two\n    three\n    averyveryverylongword\n    four\n"
        );
    }
}
