//! `-o markdown`: a table for a page or a ticket (GitHub Flavored Markdown).

use crate::report::{Page, Table};
use crate::text::printable;

/// The table, and the text below it.
pub(super) fn page(page: &Page) -> String {
    let mut lines = table(&page.table);
    if !lines.is_empty() && !page.text.is_empty() {
        lines.push('\n');
    }
    lines
        + &page
            .text
            .lines()
            .map(|line| escaped(line) + "\n")
            .collect::<String>()
}

fn table(Table { header, rows }: &Table) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut lines = row(header.iter().map(|title| (*title).to_owned()));
    lines += &row(header.iter().map(|_| "---".to_owned()));
    for cells in rows.iter().map(|row| &row.cells) {
        lines += &row(cells.iter().map(|cell| escaped(&cell.text)));
    }
    lines
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A text that shows as it is: nothing in it is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        if matches!(
            c,
            '\\' | '|' | '<' | '>' | '&' | '*' | '_' | '`' | '[' | ']' | '~'
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Cell;

    #[test]
    fn what_others_wrote_is_a_cell_and_no_markup() {
        let rows = [vec![Cell::from("a|b"), Cell::from("<script>")]];
        let mut page = Page::of_table(["NAME", "SERVER"], rows);
        page.text = "1 cluster\n".to_owned();
        let text = super::page(&page);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "| NAME | SERVER |",
                "| --- | --- |",
                r"| a\|b | \<script\> |",
                "",
                "1 cluster"
            ]
        );
    }
}
