//! `-o table` and `-o wide`: tables as kubectl prints them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
use unicode_width::UnicodeWidthStr;

use crate::report::{Cell, Notes, Page, Row, Table, Tone};
use crate::text::printable;

/// Between two columns.
const GAP: usize = 3;

/// How far paragraphs stand to the right of the rows that they belong to.
const INDENT: &str = "    ";

/// The table and what stands below it. Paragraphs are wrapped to a width.
pub(super) fn page(page: &Page, width: usize) -> String {
    let Page {
        table,
        below,
        notes,
        text,
    } = page;
    let mut lines = String::new();
    add_table(&mut lines, table, width);
    for row in below {
        add_row(&mut lines, row, &[0], width);
    }
    for notes in notes {
        add_notes(&mut lines, notes);
    }
    lines + text
}

/// Each column is as wide as its widest cell.
fn add_table(lines: &mut String, Table { header, rows }: &Table, width: usize) {
    if rows.is_empty() {
        return;
    }
    let header = Row::from(header.iter().copied().map(Cell::from).collect::<Vec<_>>());
    let columns = rows.iter().map(|row| row.cells.len());
    let mut widths = vec![0; columns.max().unwrap_or_default()];
    for row in std::iter::once(&header).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(printable(&cell.text).width());
        }
    }
    // Rows that continue a table have none.
    if !header.cells.is_empty() {
        add_row(lines, &header, &widths, width);
    }
    for row in rows {
        add_row(lines, row, &widths, width);
    }
}

fn add_row(lines: &mut String, Row { cells, paragraphs }: &Row, widths: &[usize], width: usize) {
    let mut line = String::new();
    for (Cell { text, tone }, width) in cells.iter().zip(widths) {
        let (text, style) = (printable(text), style_of(*tone));
        let padding = (width + GAP).saturating_sub(text.width());
        let _ = write!(line, "{style}{text}{style:#}{:padding$}", "");
    }
    let _ = writeln!(lines, "{}", line.trim_end());
    for paragraph in paragraphs {
        add_paragraph(lines, &printable(paragraph), width);
    }
}

/// Indented lines, broken between words.
fn add_paragraph(lines: &mut String, paragraph: &str, width: usize) {
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let options = Options::new(width)
        .initial_indent(INDENT)
        .subsequent_indent(INDENT)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let _ = writeln!(lines, "{}", textwrap::fill(&words.join(" "), options));
}

fn add_notes(lines: &mut String, Notes { title, items }: &Notes) {
    if items.is_empty() {
        return;
    }
    if !lines.is_empty() {
        lines.push('\n');
    }
    let _ = writeln!(lines, "{title}");
    for item in items {
        let _ = writeln!(lines, "  {}", printable(item));
    }
}

fn style_of(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Attention => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Denied => AnsiColor::Red.on_default().bold(),
        Tone::Unknown => AnsiColor::Cyan.on_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &[&'static str], rows: &[&[&str]]) -> String {
        let rows = rows
            .iter()
            .map(|row| row.iter().map(|text| Cell::from(*text)).collect());
        page(&Page::of_table(header.iter().copied(), rows), 80)
    }

    fn wrapped(paragraph: &str, width: usize) -> String {
        let mut lines = String::new();
        add_paragraph(&mut lines, paragraph, width);
        lines
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(
            columns(&["X", "Y"], &[&["a", "b"], &["äöü-long", ""]]),
            "X          Y\na          b\näöü-long\n"
        );
        assert_eq!(columns(&["X"], &[]), "");
    }

    /// It had been believed that a character is as wide as a column.
    #[test]
    fn columns_count_what_a_terminal_shows() {
        assert_eq!(
            columns(
                &["X", "Y"],
                &[&["订单", "a"], &["e\u{301}t\u{e9}", "b"], &["abcde", "c"]]
            ),
            "X       Y\n订单    a\ne\u{301}t\u{e9}     b\nabcde   c\n"
        );
        assert_eq!(wrapped("订单 订单 订单", 14), "    订单 订单\n    订单\n");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(
            wrapped("one two  three averyveryverylongword four", 14),
            "    one two\n    three\n    averyveryverylongword\n    four\n"
        );
        assert_eq!(wrapped("a-b-c d/e", 8), "    a-b-c\n    d/e\n");
        assert_eq!(wrapped("one two", usize::MAX), "    one two\n");
    }
}
