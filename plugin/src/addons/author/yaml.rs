//! Values as YAML that every version of it reads alike.
//!
//! Helm reads YAML 1.1, in which `no` is a boolean and `012` a number. What could be read as
//! anything but a text is quoted, as JSON quotes it.

use std::fmt::Write as _;

use serde_json::Value;

use super::split::Values;
use crate::text::escaped;

/// A mapping, as a document.
pub(crate) fn mapping(values: &Values) -> String {
    commented(values, &|_| None)
}

/// What is said of a key, by the keys on the way to it; on one line.
pub(crate) type Comment<'c> = dyn Fn(&[String]) -> Option<String> + 'c;

/// The same with comments above keys. Keys below a list have none.
pub(crate) fn commented(values: &Values, comment: &Comment<'_>) -> String {
    if values.is_empty() {
        return "{}\n".to_owned();
    }
    let mut writer = Writer {
        text: String::new(),
        path: Vec::new(),
        comment: Some(comment),
    };
    writer.members(values, 0, Start::OfLine);
    writer.text
}

struct Writer<'c> {
    text: String,
    /// The keys on the way to what is written.
    path: Vec<String>,
    /// None below a list.
    comment: Option<&'c Comment<'c>>,
}

/// Where the first member of a mapping is written.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Start {
    OfLine,
    /// Behind the hyphen of an element.
    BehindHyphen,
}

impl Writer<'_> {
    fn members(&mut self, values: &Values, depth: usize, mut start: Start) {
        for (key, value) in values {
            self.path.push(key.clone());
            let comment = self.comment.and_then(|comment| comment(&self.path));
            if let Some(comment) = comment {
                self.indent(depth);
                let _ = writeln!(self.text, "# {comment}");
            }
            if start == Start::OfLine {
                self.indent(depth);
            }
            start = Start::OfLine;
            let _ = write!(self.text, "{}:", scalar(key));
            self.below(value, depth);
            self.path.pop();
        }
    }

    /// A value behind its key, with the line's end.
    fn below(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                self.text.push('\n');
                self.members(inner, depth + 1, Start::OfLine);
            }
            Value::Array(elements) if !elements.is_empty() => {
                self.text.push('\n');
                let comment = self.comment.take();
                for element in elements {
                    self.element(element, depth + 1);
                }
                self.comment = comment;
            }
            Value::String(lines) if is_block(lines) => {
                self.text.push_str(if lines.ends_with('\n') {
                    " |\n"
                } else {
                    " |-\n"
                });
                for line in lines.lines() {
                    if !line.is_empty() {
                        self.indent(depth + 1);
                    }
                    self.text.push_str(line);
                    self.text.push('\n');
                }
            }
            plain => {
                let _ = writeln!(self.text, " {}", inline(plain));
            }
        }
    }

    fn element(&mut self, element: &Value, depth: usize) {
        self.indent(depth);
        match element {
            Value::Object(inner) if !inner.is_empty() => {
                self.text.push_str("- ");
                self.members(inner, depth + 1, Start::BehindHyphen);
            }
            // A list in a list is as JSON has it, and YAML reads JSON.
            other => {
                let _ = writeln!(self.text, "- {}", inline(other));
            }
        }
    }

    fn indent(&mut self, depth: usize) {
        for _ in 0..depth {
            self.text.push_str("  ");
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Words that some version of YAML reads as something else than a text.
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_word = WORDS.contains(&&*text.to_ascii_lowercase());
    if begins && text.chars().all(is_plain) && !is_word {
        return text.to_owned();
    }
    // Some line breaks of YAML are none of JSON.
    escaped(Value::from(text).to_string())
}

/// Whether a text of several lines can stand as it is: nothing in it would be lost or moved.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_fit = |line: &str| {
        let is_printed = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
        line.chars().all(is_printed) && !line.ends_with(' ')
    };
    body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && body.split('\n').all(is_fit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        mapping(value.as_object().unwrap())
    }

    #[test]
    fn it_looks_as_people_write_it() {
        let values = json!({
            "affinity": {},
            "args": ["--v=2", {"name": "a", "value": "b"}, []],
            "config": "a: 1\n\nb:\n  - 2\n",
            "image": {"repository": "registry.example.com/dns", "tag": "1.2"},
            "none": null,
            "replicas": 3,
            "text": "no",
        });
        assert_eq!(
            text(&values),
            "\
affinity: {}
args:
  - \"--v=2\"
  - name: a
    value: b
  - []
config: |
  a: 1

  b:
    - 2
image:
  repository: registry.example.com/dns
  tag: \"1.2\"
none: null
replicas: 3
text: \"no\"
"
        );
        assert_eq!(text(&json!({})), "{}\n");
    }

    #[test]
    fn comments_stand_above_keys_and_not_in_lists() {
        let values = json!({"a": {"b": 1, "c": [{"b": 2}]}});
        let comment = |path: &[String]| path.ends_with(&["b".to_owned()]).then(|| path.join("."));
        let text = commented(values.as_object().unwrap(), &comment);
        assert_eq!(text, "a:\n  # a.b\n  b: 1\n  c:\n    - b: 2\n");
    }

    #[test]
    fn what_yaml_reads_in_many_ways_is_quoted() {
        for word in [
            "yes",
            "Off",
            "012",
            "1e3",
            "0x1f",
            "1:30",
            "~",
            "",
            " a",
            "a: b",
            "#a",
            "é",
            "2001-01-01",
            "null",
            "=",
        ] {
            let values = json!({word: word, "list": [word]});
            let read = golang::yaml::value(&text(&values)).unwrap();
            assert_eq!(read, values, "{word}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ -~\n\té]{0,12}".prop_map(Value::from),
            "[a-c]{1,2}(\n[ a-c:#-]{0,3}){0,3}\n{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::hash_map("[ -~]{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_read_back(
            values in proptest::collection::hash_map("[ -~]{0,6}", any_value(), 0..4)
        ) {
            let values: Values = values.into_iter().collect();
            let read = golang::yaml::value(&mapping(&values)).unwrap();
            prop_assert_eq!(read, Value::Object(values));
        }
    }
}
