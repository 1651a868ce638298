//! `-o table` and `-o wide`, and other tables as kubectl prints them.

use std::fmt::Write as _;

use policy::finding::dotted;

use super::style_of;
use crate::report::{Located, Report};

/// Between two columns.
const GAP: usize = 3;

/// How far messages stand to the right of the rows that they belong to.
const INDENT: &str = "    ";

/// A row for each finding, and below it what is wrong and how to put it right, wrapped to a width.
/// File names and messages are too long to share a line.
pub(crate) fn findings(report: &Report, width: usize) -> String {
    let rows: Vec<_> = report.findings.iter().map(row).collect();
    let mut text = String::new();
    for (index, line) in aligned(["LEVEL", "RULE", "OBJECT", "LOCATION"], rows)
        .into_iter()
        .enumerate()
    {
        let Some(located) = index.checked_sub(1).and_then(|at| report.findings.get(at)) else {
            let _ = writeln!(text, "{line}");
            continue;
        };
        let finding = &located.finding;
        let _ = writeln!(text, "{}", painted(&line, located));
        let what = match located.field.as_str() {
            "" => printable(&finding.message),
            field => format!("{}: {}", dotted(field), printable(&finding.message)),
        };
        wrap(&mut text, &what, width);
        if !finding.fix.is_empty() {
            wrap(
                &mut text,
                &format!("fix: {}", printable(&finding.fix)),
                width,
            );
        }
    }
    text
}

/// One long row for each finding.
pub(crate) fn wide(report: &Report) -> String {
    let rows = report.findings.iter().map(|located| {
        let [level, rule, object, location] = row(located);
        let field = dotted(&located.field);
        let message = printable(&located.finding.message);
        [
            level,
            rule,
            object,
            location,
            field,
            message,
            printable(&located.finding.fix),
        ]
    });
    let header = [
        "LEVEL", "RULE", "OBJECT", "LOCATION", "FIELD", "MESSAGE", "FIX",
    ];
    let mut text = String::new();
    for (index, line) in aligned(header, rows.collect()).into_iter().enumerate() {
        let located = index.checked_sub(1).and_then(|at| report.findings.get(at));
        let _ = match located {
            Some(located) => writeln!(text, "{}", painted(&line, located)),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

/// A table without colours.
pub(crate) fn columns<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    aligned(header, rows)
        .into_iter()
        .map(|line| line + "\n")
        .collect()
}

fn row(located: &Located) -> [String; 4] {
    [
        located.finding.level.to_string(),
        located.finding.rule.to_string(),
        printable(&located.object.short()),
        printable(&format!("{}:{}", located.file, located.line)),
    ]
}

/// The line with its level coloured, which is its first word.
fn painted(line: &str, located: &Located) -> String {
    let style = style_of(located.finding.level);
    let level = located.finding.level.as_str();
    match line.strip_prefix(level) {
        Some(rest) => format!("{style}{level}{style:#}{rest}"),
        None => line.to_owned(),
    }
}

/// The header and the rows, each column as wide as its widest cell. Nothing for no rows.
fn aligned<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut table = vec![header.map(str::to_owned)];
    table.extend(rows);
    let mut widths = [0; N];
    for row in &table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    table
        .iter()
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(line, "{cell:<0$}", width + GAP);
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

/// A text without control characters, which a value in a manifest may hold.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
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
