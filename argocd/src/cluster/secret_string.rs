//! Strings that may be credentials.

use std::str::Chars;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// A JSON string as it stands in its document, escapes and all; `null` is an empty one, as in Go.
///
/// Reading it copies nothing, not even into a buffer of the parser. What is decoded from it is
/// wiped when dropped. It cannot be printed, serialised or cloned.
#[derive(Default, Eq, PartialEq)]
pub(super) struct SecretString<'a> {
    /// What is between the quotes.
    escaped: &'a str,
    is_null: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for SecretString<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        SecretString::new(value).ok_or_else(|| D::Error::custom("expected a string"))
    }
}

impl<'a> SecretString<'a> {
    /// `None` if the value is neither a string nor `null`.
    pub(super) fn new(value: &'a RawValue) -> Option<Self> {
        let text = value.get();
        let escaped = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        match escaped {
            Some(escaped) => Some(SecretString {
                escaped,
                is_null: false,
            }),
            None if text == "null" => Some(SecretString {
                escaped: "",
                is_null: true,
            }),
            None => None,
        }
    }

    #[cfg(test)]
    pub(super) fn as_written(&self) -> &'a str {
        self.escaped
    }

    pub(super) fn is_null(&self) -> bool {
        self.is_null
    }

    pub(super) fn is_empty(&self) -> bool {
        self.escaped.is_empty()
    }

    /// The text.
    pub(super) fn expose(&self) -> Zeroizing<String> {
        // No text is longer than what it is escaped as, so that nothing is moved as it grows.
        let mut text = Zeroizing::new(String::with_capacity(self.escaped.len()));
        let mut characters = self.escaped.chars();
        while let Some(character) = characters.next() {
            text.push(match character {
                '\\' => unescape(&mut characters),
                plain => plain,
            });
        }
        text
    }

    /// Whether it is what SOPS leaves in the place of a value, as it stands or in base64.
    pub(super) fn is_encrypted_by_sops(&self) -> bool {
        let is_marked = |text: &[u8]| text.starts_with(b"ENC[") && text.ends_with(b"]");
        is_marked(self.expose().as_bytes()) || self.decode().is_some_and(|bytes| is_marked(&bytes))
    }

    /// The bytes that the text is the base64 of; line breaks in it count for nothing, as in Go.
    /// `None` if it is not base64.
    pub(super) fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = self.expose();
        text.retain(|character| character != '\r' && character != '\n');
        let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
        let length = BASE64_STANDARD
            .decode_slice(text.as_bytes(), &mut bytes)
            .ok()?;
        bytes.truncate(length);
        Some(bytes)
    }
}

/// What follows a backslash. As in Go, half of a surrogate pair is a replacement character.
fn unescape(characters: &mut Chars<'_>) -> char {
    match characters.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let first = code_unit(characters);
            let mut ahead = characters.clone();
            let second = (ahead.next() == Some('\\') && ahead.next() == Some('u'))
                .then(|| code_unit(&mut ahead));
            match char::decode_utf16([first].into_iter().chain(second)).next() {
                Some(Ok(character)) => {
                    if character.len_utf16() == 2 {
                        *characters = ahead;
                    }
                    character
                }
                _ => char::REPLACEMENT_CHARACTER,
            }
        }
        // The parser has seen to it that it is a quote, a slash or a backslash.
        Some(other) => other,
        None => '\\',
    }
}

/// Four hexadecimal digits.
fn code_unit(characters: &mut Chars<'_>) -> u16 {
    characters
        .by_ref()
        .take(4)
        .filter_map(|character| character.to_digit(16))
        .fold(0, |unit, digit| {
            unit << 4 | u16::try_from(digit).unwrap_or(0)
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    fn expose(json: &str) -> Zeroizing<String> {
        SecretString::new(raw(json)).unwrap().expose()
    }

    #[test]
    fn only_strings_and_null_are_strings() {
        for other in ["1", "true", "[]", "{}", r#"["a"]"#] {
            assert!(SecretString::new(raw(other)).is_none(), "{other}");
            assert!(serde_json::from_str::<SecretString<'_>>(other).is_err());
        }
        let null = SecretString::new(raw("null")).unwrap();
        assert!(null.is_null() && null.is_empty());
        let empty = SecretString::new(raw(r#""""#)).unwrap();
        assert!(!empty.is_null() && empty.is_empty());
    }

    #[test]
    fn half_a_surrogate_pair_is_a_replacement_character() {
        assert_eq!(*expose(r#""\ud83d\ude00""#), "😀");
        assert_eq!(*expose(r#""\ud83dx""#), "\u{fffd}x");
        assert_eq!(*expose(r#""\ud83d\u0041""#), "\u{fffd}A");
        assert_eq!(*expose(r#""\ude00\ud83d""#), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn base64_may_be_escaped_and_broken_into_lines() {
        let decode = |json| SecretString::new(raw(json)).unwrap().decode();
        assert_eq!(**decode(r#""Pz8\/""#).unwrap(), *b"???");
        assert_eq!(**decode(r#""aG\r\nk=\n""#).unwrap(), *b"hi");
        assert_eq!(**decode(r#""\u0061Gk=""#).unwrap(), *b"hi");
        for not_base64 in [r#""aGk""#, r#""a b=""#, r#""é""#] {
            assert!(decode(not_base64).is_none(), "{not_base64}");
        }
    }

    #[test]
    fn the_text_never_moves_as_it_grows() {
        for json in [
            r#""plain""#,
            r#""\ud83d\ude00\n\u00e9""#,
            r#""é😀""#,
            r#""\ud83d""#,
        ] {
            let secret = SecretString::new(raw(json)).unwrap();
            assert!(secret.expose().len() <= secret.escaped.len(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_the_parser(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}", ascii in any::<bool>()) {
            let mut json = serde_json::to_string(&text).unwrap();
            if ascii {
                let units: Vec<String> =
                    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
                json = format!("\"{}\"", units.concat());
            }
            prop_assert_eq!(&*expose(&json), &text);
        }
    }
}
