//! Text of HCL, formatted as `tofu fmt` does it: two blanks a level, and the equals signs of lines
//! that follow one another below each other.

use std::fmt::Write as _;

use serde_json::Value;

const INDENT: &str = "  ";

/// What stands in a file or a block, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
enum Item {
    Attribute(String, Expression),
    Block { header: String, body: Body },
    Comment(String),
    Blank,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Text(String),
    /// A reference, a number, a boolean.
    Raw(String),
    List(Vec<String>),
    /// JSON, as the function `jsonencode` makes it of an object.
    Json(Value),
    /// Names and references.
    Object(Vec<(String, Expression)>),
}

impl Body {
    pub(super) fn attribute(mut self, name: &str, value: Expression) -> Self {
        self.items.push(Item::Attribute(name.to_owned(), value));
        self
    }

    /// A text, where there is one.
    pub(super) fn text(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.attribute(name, Expression::Text(value.into())),
            None => self,
        }
    }

    pub(super) fn raw(self, name: &str, value: impl Into<String>) -> Self {
        self.attribute(name, Expression::Raw(value.into()))
    }

    /// A block of a type with labels, after a blank line if something stands before it.
    pub(super) fn block(mut self, kind: &str, labels: &[&str], body: Body) -> Self {
        let mut header = kind.to_owned();
        for label in labels {
            header.push(' ');
            header.push_str(&quoted(label));
        }
        if !matches!(self.items.last(), None | Some(Item::Comment(_))) {
            self.items.push(Item::Blank);
        }
        self.items.push(Item::Block { header, body });
        self
    }

    /// A line for people, after a blank line if something stands before it.
    pub(super) fn comment(mut self, text: &str) -> Self {
        if !matches!(self.items.last(), None | Some(Item::Comment(_))) {
            self.items.push(Item::Blank);
        }
        self.items.push(Item::Comment(text.to_owned()));
        self
    }

    /// What stands in another one, after it.
    pub(super) fn append(mut self, other: Body) -> Self {
        if !self.items.is_empty() && !other.items.is_empty() {
            self.items.push(Item::Blank);
        }
        self.items.extend(other.items);
        self
    }

    /// The text of a file.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, text: &mut String, level: usize) {
        let mut lines = Lines::default();
        for item in &self.items {
            match item {
                Item::Attribute(name, value) => lines.assign(level, name, &value.render(level)),
                Item::Comment(comment) => lines.line(level, &format!("# {comment}")),
                Item::Blank => lines.line(0, ""),
                Item::Block { header, body } if body.items.is_empty() => {
                    lines.line(level, &format!("{header} {{}}"));
                }
                Item::Block { header, body } => {
                    lines.line(level, &format!("{header} {{"));
                    let mut inner = String::new();
                    body.write(&mut inner, level + 1);
                    lines.text(&inner);
                    lines.line(level, "}");
                }
            }
        }
        text.push_str(&lines.finish());
    }
}

impl Expression {
    /// Several lines where it is long; the first has no indent.
    fn render(&self, level: usize) -> String {
        match self {
            Expression::Text(text) => quoted(text),
            Expression::Raw(raw) => raw.clone(),
            Expression::List(all) => {
                let all: Vec<String> = all.iter().map(|text| quoted(text)).collect();
                format!("[{}]", all.join(", "))
            }
            Expression::Json(value) => format!("jsonencode({})", json(value, level)),
            Expression::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| (name.clone(), value.render(level + 1)));
                object(members, level)
            }
        }
    }
}

fn json(value: &Value, level: usize) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(all) if all.iter().all(|one| !one.is_object() && !one.is_array()) => {
            let all: Vec<String> = all.iter().map(|one| json(one, level)).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Array(all) => {
            let mut text = "[\n".to_owned();
            for one in all {
                text.push_str(&INDENT.repeat(level + 1));
                text.push_str(&json(one, level + 1));
                text.push_str(",\n");
            }
            text.push_str(&INDENT.repeat(level));
            text.push(']');
            text
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (key(name), json(value, level + 1)));
            object(members, level)
        }
        other => other.to_string(),
    }
}

fn object(members: impl Iterator<Item = (String, String)>, level: usize) -> String {
    let mut lines = Lines::default();
    for (name, value) in members {
        lines.assign(level + 1, &name, &value);
    }
    format!("{{\n{}{}}}", lines.finish(), INDENT.repeat(level))
}

/// A key of an object, in quotes unless it is a name.
fn key(name: &str) -> String {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// Lines, of which those that assign something are aligned as long as nothing else stands between
/// them.
#[derive(Default)]
struct Lines {
    text: String,
    /// Level, name and value of the last lines.
    pending: Vec<(usize, String, String)>,
}

impl Lines {
    fn assign(&mut self, level: usize, name: &str, value: &str) {
        if value.contains('\n') {
            // What goes on in the next line is not aligned.
            self.flush();
            self.line(level, &format!("{name} = {value}"));
        } else {
            self.pending
                .push((level, name.to_owned(), value.to_owned()));
        }
    }

    fn line(&mut self, level: usize, line: &str) {
        self.flush();
        if !line.is_empty() {
            self.text.push_str(&INDENT.repeat(level));
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn text(&mut self, text: &str) {
        self.flush();
        self.text.push_str(text);
    }

    fn flush(&mut self) {
        let width = self
            .pending
            .iter()
            .map(|(_, name, _)| name.chars().count())
            .max();
        for (level, name, value) in std::mem::take(&mut self.pending) {
            let width = width.unwrap_or_default();
            self.text.push_str(&INDENT.repeat(level));
            let _ = writeln!(self.text, "{name:width$} = {value}");
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        self.text
    }
}

/// A text in quotes, in which nothing is a template.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if rest.peek() == Some(&'{') => {
                quoted.push(character);
                quoted.push(character);
            }
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A name that a resource can have in HCL.
pub(super) fn identifier(text: &str) -> String {
    let mut name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, "cluster_");
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `tofu fmt` and `terraform fmt` leave as it is.
    #[test]
    fn the_text_is_formatted() {
        let inner = Body::default().text("type", Some("namespace")).attribute(
            "namespaces",
            Expression::List(vec!["a".to_owned(), "b".to_owned()]),
        );
        let body = Body::default()
            .comment("What it is for.")
            .block(
                "resource",
                &["aws_iam_role", "argocd"],
                Body::default()
                    .raw("provider", "aws.argocd")
                    .text("name", Some("argocd"))
                    .text("path", None::<String>)
                    .attribute(
                        "assume_role_policy",
                        Expression::Json(json!({
                            "Version": "2012-10-17",
                            "Statement": [{"Effect": "Allow", "Condition": {"Null": {"aws:x": "true"}}, "Action": ["a", "b"]}],
                        })),
                    )
                    .raw("count", "1")
                    .block("access_scope", &[], inner),
            )
            .block("empty", &[], Body::default());
        assert_eq!(
            body.render(),
            r#"# What it is for.
resource "aws_iam_role" "argocd" {
  provider = aws.argocd
  name     = "argocd"
  assume_role_policy = jsonencode({
    Statement = [
      {
        Action = ["a", "b"]
        Condition = {
          Null = {
            "aws:x" = "true"
          }
        }
        Effect = "Allow"
      },
    ]
    Version = "2012-10-17"
  })
  count = 1

  access_scope {
    type       = "namespace"
    namespaces = ["a", "b"]
  }
}

empty {}
"#
        );
    }

    #[test]
    fn no_text_is_a_template() {
        assert_eq!(quoted("a${b}%{c}$d\"\\\n"), r#""a$${b}%%{c}$d\"\\\n""#);
        assert_eq!(quoted("$${x}"), r#""$$${x}""#);
    }

    #[test]
    fn any_name_makes_an_identifier() {
        assert_eq!(identifier("prod-eu"), "prod-eu");
        assert_eq!(identifier("1/prod eu"), "cluster_1_prod_eu");
        assert_eq!(identifier(""), "cluster_");
    }
}
