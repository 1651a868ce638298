//! Templates: texts in which a name between double underscores stands for a value.
//!
//! They are files beside this module, so that what is laid out can be read as it will be. What is
//! put in is not looked at again, so that an answer cannot name another value.

use serde_json::Value as Json;

/// What stands for a name.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A text in YAML, alone or with others around it on the line.
    Text(String),
    /// A text as it is, where it is no YAML.
    Raw(String),
    /// Lines in place of the line on which the name stands alone, as far to the right as that. None
    /// leave nothing.
    Lines(String),
}

/// A template with its values.
pub(super) fn render(template: &str, values: &[(&str, Value)]) -> String {
    let mut rendered = String::with_capacity(template.len());
    for line in template.lines() {
        let text = line.trim_start();
        let indentation = &line[..line.len() - text.len()];
        if let Some(Value::Lines(lines)) = name_of(text).and_then(|name| find(values, name)) {
            for line in lines.lines() {
                push_line(&mut rendered, indentation, line);
            }
        } else {
            push_line(&mut rendered, "", &replaced(line, values));
        }
    }
    rendered
}

fn push_line(rendered: &mut String, indentation: &str, line: &str) {
    if !line.is_empty() {
        rendered.push_str(indentation);
        rendered.push_str(line);
    }
    rendered.push('\n');
}

/// The name that a text consists of.
fn name_of(text: &str) -> Option<&str> {
    let name = text.strip_prefix("__")?.strip_suffix("__")?;
    is_name(name).then_some(name)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('_')
        && !text.ends_with('_')
        && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn find<'v>(values: &'v [(&str, Value)], name: &str) -> Option<&'v Value> {
    let mut values = values.iter();
    values.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// A line with texts in place of names. A name that stands for nothing stays, for a test to find.
fn replaced(line: &str, values: &[(&str, Value)]) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("__") {
        text.push_str(before);
        let found = after.split_once("__").and_then(|(name, after)| {
            let value = find(values, name)?;
            Some((value, after))
        });
        match found {
            Some((Value::Text(value), after)) => {
                text.push_str(&scalar(value));
                rest = after;
            }
            Some((Value::Raw(value), after)) => {
                text.push_str(value);
                rest = after;
            }
            _ => {
                text.push_str("__");
                rest = after;
            }
        }
    }
    text + rest
}

/// A text as YAML: plain where it then is this text, in quotes where it is not.
pub(super) fn scalar(text: &str) -> String {
    let is_allowed = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '/' | ':' | '.' | '-' | '_' | '~' | '@' | '+' | '%')
    };
    let is_plain = text.chars().all(is_allowed)
        && golang::yaml::value(&format!("a: {text}\n")).is_ok_and(|value| value["a"] == *text);
    if is_plain {
        text.to_owned()
    } else {
        Json::from(text).to_string()
    }
}

/// Entries of a list in YAML, one a line.
pub(super) fn entries(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let lines = texts
        .into_iter()
        .map(|text| format!("- {}\n", scalar(text.as_ref())));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn names_stand_for_values() {
        let template =
            "a: __NAME__\nb: x-__NAME__/__OTHER__\n  list:\n    __LINES__\n  __NONE__\nend\n";
        let values = [
            ("NAME", text("one")),
            ("OTHER", Value::Raw("two words".to_owned())),
            ("LINES", Value::Lines("- x\n- y:\n    z\n".to_owned())),
            ("NONE", Value::Lines(String::new())),
        ];
        assert_eq!(
            render(template, &values),
            "a: one\nb: x-one/two words\n  list:\n    - x\n    - y:\n        z\nend\n"
        );
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let values = [("A", text("__B__")), ("B", text("secret"))];
        assert_eq!(render("a: __A__\n", &values), "a: __B__\n");
        assert_eq!(render("a: __C__ __A\n", &values), "a: __C__ __A\n");
    }

    #[test]
    fn a_text_stays_a_text() {
        for plain in [
            "prod",
            "https://git.example.com/a.git",
            "git@git.example.com:a/b.git",
            "v1.2.3",
        ] {
            assert_eq!(scalar(plain), plain);
        }
        for quoted in [
            "",
            "123",
            "1e3",
            "true",
            "null",
            "on",
            "a: b",
            "a #b",
            "*",
            "2026-11-30",
        ] {
            let yaml = format!("a: {}\n", scalar(quoted));
            assert_eq!(golang::yaml::value(&yaml).unwrap()["a"], quoted, "{yaml}");
        }
    }
}
