//! Texts for people: those of others, made fit for a terminal, and our own, put together.
//!
//! Names, messages and reasons come from whoever wrote an object, a file or an answer. A control
//! character in them could start a terminal's escape sequence or forge a line, and a mark that
//! reorders text could show another name than there is.

use std::borrow::Cow;
use std::fmt::Write as _;

use policy::finding::{and_more, is_printed, shorten};

/// A text on one line, in which every character shows as itself: a blank stands for each that does
/// not.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_printed(c) { c } else { ' ' })
        .collect()
}

/// A JSON document in which such characters are escaped, as JSON escapes only some of them by
/// itself.
pub(crate) fn escaped(json: String) -> String {
    if json.chars().all(is_fit) {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_fit(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// Whether a character may stand in a document of several lines.
pub(crate) fn is_fit(c: char) -> bool {
    is_printed(c) || matches!(c, '\n' | '\t')
}

/// A text of several lines as it may be written to a terminal: of escape sequences only those
/// remain that set colours, as we write them ourselves. What others wrote was made [`printable`]
/// before it became a part of it; this is for what somebody forgets.
pub(crate) fn fit(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_fit) {
        return Cow::Borrowed(text);
    }
    let mut fit = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = colour(rest).unwrap_or(c.len_utf8());
        let (part, after) = rest.split_at(length);
        fit.push_str(if length > c.len_utf8() || is_fit(c) {
            part
        } else {
            " "
        });
        rest = after;
    }
    Cow::Owned(fit)
}

/// The length of the sequence that sets a colour, in bytes, if a text begins with one (ECMA-48,
/// "Select Graphic Rendition").
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let is_colour = parameters[end..].starts_with('m');
    is_colour.then_some("\u{1b}[".len() + end + "m".len())
}

/// `1 file`, `2 files`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The first of several names, and how many more there are.
pub(crate) fn listed(names: &[impl AsRef<str>], limit: usize) -> String {
    let names = names.iter().map(|name| shorten(name.as_ref(), 80));
    let (first, others) = first_of(names, limit, ", ");
    format!("{first}{}", and_more(others))
}

/// The first of several texts, joined, and how many others there are.
pub(crate) fn first_of(
    texts: impl Iterator<Item = String>,
    limit: usize,
    separator: &str,
) -> (String, usize) {
    let mut texts: Vec<String> = texts.collect();
    let others = texts.len().saturating_sub(limit);
    texts.truncate(limit);
    (texts.join(separator), others)
}

/// A word as a shell reads it, in quotes where it needs them.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What clears a screen, by both ways to write it; what rings; what hides, reorders, or breaks
    /// a line.
    const HOSTILE: &str = "a\u{1b}[2Jb\u{9b}2Jc\u{7}d\u{202e}e\u{2066}f\u{200b}g\u{61c}h\ri\u{2028}j\u{e0041}k\u{85}l\u{7f}m";

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left_in_a_text() {
        assert_eq!(printable(HOSTILE), "a [2Jb 2Jc d e f g h i j k l m");
        assert_eq!(printable("two\nlines\tof"), "two lines of");
        assert_eq!(printable("Grüße, 你好 🚒"), "Grüße, 你好 🚒");
    }

    #[test]
    fn json_says_the_same_and_has_none_of_it() {
        let value = serde_json::json!({"name": HOSTILE, "other": ["Grüße 🚒\n"]});
        let json = escaped(serde_json::to_string_pretty(&value).unwrap());
        assert!(json.chars().all(is_fit), "{json:?}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn of_escape_sequences_only_colours_are_left() {
        let line = "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m gone\n";
        assert_eq!(fit(line), line);
        assert_eq!(fit("\u{1b}[2J\u{1b}]0;x\u{7}\u{1b}[31"), " [2J ]0;x  [31");
        assert_eq!(
            fit(&format!("{HOSTILE}\n")),
            format!("{}\n", printable(HOSTILE))
        );
    }
}
