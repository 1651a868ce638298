//! The warnings that come with an answer of the API server.

use http::HeaderMap;
use http::header::WARNING;

/// The code of the warnings that are for people.
const MISCELLANEOUS: &str = "299";

/// What an API server, or a webhook that it asked, warns of.
pub(super) fn in_headers(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all(WARNING).into_iter();
    values.flat_map(|value| texts(&String::from_utf8_lossy(value.as_bytes())))
}

/// The texts of a value: `299 - "text"`, or several of these with commas between them (RFC 7234,
/// 5.5).
fn texts(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = value;
    while let Some((start, quoted)) = rest.split_once('"') {
        let (text, after) = unquoted(quoted);
        let code = start.trim_start_matches([',', ' ']);
        if code.starts_with(MISCELLANEOUS) && !text.is_empty() {
            texts.push(text);
        }
        // A date may follow, in quotes as well.
        rest = match after.trim_start().strip_prefix('"') {
            Some(date) => unquoted(date).1,
            None => after,
        };
    }
    texts
}

/// A text up to the quote at its end, and what is behind that.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return (text, &quoted[place + 1..]),
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            other => text.push(other),
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_told_as_it_was_written() {
        for (value, expected) in [
            (r#"299 - "it is over""#, &["it is over"][..]),
            (
                r#"299 - "one, two" , 299 example.com:8443 "three""#,
                &["one, two", "three"],
            ),
            (
                r#"299 - "dated" "Sat, 25 Aug 2012 23:34:45 GMT", 299 - "next""#,
                &["dated", "next"],
            ),
            (r#"299 - "a \"name\" and a \\""#, &[r#"a "name" and a \"#]),
            ("299 - \"bis morgen …\"", &["bis morgen …"]),
            (r#"110 - "stale", 299 - """#, &[]),
            (r#"299 - "never closed"#, &["never closed"]),
            ("299", &[]),
            ("", &[]),
        ] {
            assert_eq!(texts(value), expected, "{value}");
        }
    }
}
