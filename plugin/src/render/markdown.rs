//! `-o markdown`: a table for a page or a ticket (GitHub Flavored Markdown).

use crate::report::{Cell, Page, Table};
use crate::text::printable;

/// How long a comment of a pull request may be on GitHub, in characters.
const COMMENT: usize = 65_536;

/// The table, what is said of its rows, and the text below it: no more than a comment holds.
pub(super) fn page(page: &Page) -> String {
    let parts = [
        table(&page.table),
        said_of_rows(&page.table),
        page.text.lines().map(escaped).collect(),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join("\n") + "\n")
        .collect();
    within(parts.join("\n"), COMMENT)
}

/// As many whole lines as there is room for, and how many are left out.
fn within(text: String, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text;
    }
    let left_out = |count: usize| format!("\n{count} more lines are left out here.\n");
    let count = text.lines().count();
    let mut room = limit - left_out(count).chars().count();
    let mut kept = String::new();
    for (index, line) in text.lines().enumerate() {
        let length = line.chars().count() + 1;
        if length > room {
            return kept + &left_out(count - index);
        }
        room -= length;
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

fn table(Table { header, rows }: &Table) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let titles = row(header.iter().map(|title| (*title).to_owned()));
    let line = row(header.iter().map(|_| "---".to_owned()));
    let rows = rows
        .iter()
        .map(|one| row(one.cells.iter().map(|cell| escaped(&cell.text))));
    [titles, line].into_iter().chain(rows).collect()
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {} |", cells.join(" | "))
}

/// What is said below rows, which a table of Markdown has no room for: an item a row.
fn said_of_rows(Table { rows, .. }: &Table) -> Vec<String> {
    let said = rows.iter().filter(|row| !row.paragraphs.is_empty());
    said.flat_map(|row| {
        let known = row.cells.iter().filter(|cell| cell.text != Cell::NONE);
        let texts: Vec<_> = known.map(|cell| escaped(&cell.text)).collect();
        let paragraphs = row.paragraphs.iter();
        let paragraphs = paragraphs.map(|text| format!("  - {}", escaped(text)));
        std::iter::once(format!("- {}", texts.join(" · "))).chain(paragraphs)
    })
    .collect()
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

    #[test]
    fn a_page_that_is_too_long_for_a_comment_says_what_is_left_out() {
        let text: String = (0..100)
            .map(|line| ["line ", &line.to_string(), "\n"].concat())
            .collect();
        let cut = within(text.clone(), 200);
        assert!(cut.chars().count() <= 200, "{cut}");
        let kept = cut.lines().filter(|line| line.starts_with("line ")).count();
        assert!(kept > 10, "{cut}");
        let left_out = format!("{} more lines are left out here.\n", 100 - kept);
        assert!(cut.ends_with(&left_out), "{cut}");
        assert_eq!(within(text.clone(), 10_000), text);
    }

    #[test]
    fn what_is_said_of_a_row_stands_below_the_table() {
        let mut page = Page::of_table(["NAME"], [vec![Cell::from("cart")]]);
        page.table.rows[0].paragraphs.push("a*b".to_owned());
        assert_eq!(
            super::page(&page),
            "| NAME |\n| --- |\n| cart |\n\n- cart\n  - a\\*b\n"
        );
    }
}
