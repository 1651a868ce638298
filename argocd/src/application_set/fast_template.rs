//! `{{ key }}`: the plain substitution of ApplicationSets without `goTemplate`.
//!
//! Follows Argo CD 3.5, `Render.Replace` in `applicationset/utils/utils.go`, and the library
//! fasttemplate beneath it.

use serde_json::{Map, Value};

/// A text cut at its placeholders.
#[derive(Debug)]
pub(super) struct FastTemplate {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    /// What stands between the braces.
    Tag(String),
}

/// A placeholder that is opened and not closed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{{{{` is not closed by `}}}}`")]
pub(super) struct Unclosed;

impl FastTemplate {
    /// Cuts a text.
    ///
    /// A text without `{{…}}` on one line is not looked at, however many braces there are in it.
    pub(super) fn parse(text: &str) -> Result<Self, Unclosed> {
        let mut parts = Vec::new();
        let mut rest = text;
        if has_placeholder(text) {
            while let Some((literal, after)) = rest.split_once("{{") {
                let (tag, after) = after.split_once("}}").ok_or(Unclosed)?;
                push_literal(&mut parts, literal);
                parts.push(Part::Tag(tag.to_owned()));
                rest = after;
            }
        }
        push_literal(&mut parts, rest);
        Ok(FastTemplate { parts })
    }

    /// Whether there is nothing to replace.
    pub(super) fn is_literal(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, Part::Tag(_)))
    }

    /// Puts in the parameters that are strings; anything else stays as it is written.
    pub(super) fn render(&self, parameters: &Map<String, Value>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Tag(tag) => match parameters.get(tag.trim()) {
                    Some(Value::String(value)) if !tag.trim().is_empty() => text.push_str(value),
                    _ => {
                        text.push_str("{{");
                        text.push_str(tag);
                        text.push_str("}}");
                    }
                },
            }
        }
        text
    }
}

/// Go's `.*{{.*}}.*`, in which `.` is anything but a line break.
pub(super) fn has_placeholder(text: &str) -> bool {
    text.split('\n').any(|line| {
        line.split_once("{{")
            .is_some_and(|(_, after)| after.contains("}}"))
    })
}

fn push_literal(parts: &mut Vec<Part>, literal: &str) {
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn render(text: &str) -> Result<String, Unclosed> {
        let parameters = json!({"env": "prod", "values.a": "1", "n": 5, "": "empty"});
        let parameters = parameters.as_object().unwrap();
        FastTemplate::parse(text).map(|template| template.render(parameters))
    }

    #[test]
    fn known_strings_are_put_in_and_everything_else_stays() {
        for (text, expected) in [
            ("web-{{env}}", "web-prod"),
            ("{{ env }}{{values.a}}", "prod1"),
            ("{{typo}}", "{{typo}}"),
            ("{{ .env | lower }}", "{{ .env | lower }}"),
            ("{{n}}", "{{n}}"),
            ("{{}}{{ }}", "{{}}{{ }}"),
            ("{env}", "{env}"),
            ("{{a{{env}}", "{{a{{env}}"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_text_is_looked_at_only_if_a_line_has_a_placeholder() {
        assert_eq!(render("{{env\n}}").as_deref(), Ok("{{env\n}}"));
        assert_eq!(render("}} {{").as_deref(), Ok("}} {{"));
        assert_eq!(render("{{env\n}} {{env}}").as_deref(), Ok("prod prod"));
        assert_eq!(render("{{env}}{{"), Err(Unclosed));
    }

    proptest! {
        #[test]
        fn what_has_no_placeholder_stays(text in "[a-z{} \n]{0,30}") {
            prop_assume!(!has_placeholder(&text));
            prop_assert_eq!(render(&text), Ok(text));
        }
    }
}
