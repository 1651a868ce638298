//! Placeholders that are not of the language in which an ApplicationSet is written: they stay as
//! they are, or Argo CD fails on them.

use golang::template::Engine;
use golang::work::Work;
use serde_json::Value;

use super::ApplicationSetSpec;
use super::functions::FUNCTIONS;
use crate::limited;

/// Memory for a part of an ApplicationSet that is kept as text, in bytes.
const MEMORY: u64 = 1 << 20;

/// A way to write a parameter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Dialect {
    /// `{{.name}}`: a Go template, which needs `goTemplate: true`.
    Go,
    /// `{{name}}`: plain substitution, which `goTemplate: true` replaces. Go takes it for a
    /// function.
    Plain,
    /// `{name}`: nothing to Argo CD.
    SingleBraces,
    /// `[[name]]`: nothing to Argo CD.
    Brackets,
}

/// A placeholder of another dialect than its ApplicationSet's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForeignPlaceholder {
    /// How it is written.
    pub dialect: Dialect,
    /// Where, as a JSON Pointer into the ApplicationSet.
    pub field: String,
    /// The placeholder.
    pub written: String,
    /// How the ApplicationSet's own dialect has it; none where that takes more than other braces.
    pub own: Option<String>,
}

impl ApplicationSetSpec {
    /// Whether parameters are written in Go's templates.
    pub fn is_go_template(&self) -> bool {
        self.go_template
    }

    /// The first placeholder of each dialect that is not the ApplicationSet's.
    pub fn foreign_placeholders(&self) -> Vec<ForeignPlaceholder> {
        let mut search = Search {
            go: self.go_template,
            engine: None,
            found: Vec::new(),
        };
        let template = "/spec/template".to_owned();
        for (name, value) in &self.template.0 {
            search.look_at(&below(&template, name), value);
        }
        if let Some(patch) = &self.template_patch {
            search.look_at_text(super::PATCH, patch);
        }
        for (index, entry) in self.generators.iter().enumerate() {
            let field = format!("/spec/generators/{index}");
            entry.visit_texts(&field, &mut |field, text| match text {
                Visited::Text(text) => search.look_at_text(field, text),
                Visited::Value(value) => search.look_at(field, value),
                Visited::Json(json) => search.look_at_json(field, json),
            });
        }
        search.found
    }
}

/// A part of a generator that may have placeholders.
pub(super) enum Visited<'g> {
    Text(&'g str),
    Value(&'g Value),
    /// Any JSON, as its document has it.
    Json(&'g str),
}

struct Search {
    go: bool,
    /// It is asked which functions there are.
    engine: Option<Engine>,
    found: Vec<ForeignPlaceholder>,
}

impl Search {
    fn look_at(&mut self, field: &str, value: &Value) {
        match value {
            Value::String(text) => self.look_at_text(field, text),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.look_at(&format!("{field}/{index}"), item);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.look_at_text(field, name);
                    self.look_at(&below(field, name), member);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Most JSON has no placeholder of another dialect, and is not parsed.
    fn look_at_json(&mut self, field: &str, json: &str) {
        if placeholders(json).any(|placeholder| self.dialect_of(placeholder).is_some())
            && let Ok(value) = limited::from_json(json, &Work::new(MEMORY))
        {
            self.look_at(field, &value);
        }
    }

    fn look_at_text(&mut self, field: &str, text: &str) {
        for placeholder in placeholders(text) {
            let Some(dialect) = self.dialect_of(placeholder) else {
                continue;
            };
            if is_for_others(field) && dialect != Dialect::Plain || self.has(dialect) {
                continue;
            }
            self.found.push(ForeignPlaceholder {
                dialect,
                field: field.to_owned(),
                written: placeholder.written.to_owned(),
                own: self.own(placeholder),
            });
        }
    }

    /// The dialect of a placeholder that is not the ApplicationSet's own.
    fn dialect_of(&mut self, placeholder: Placeholder<'_>) -> Option<Dialect> {
        let name = placeholder.name();
        match placeholder.braces {
            Braces::Single => Some(Dialect::SingleBraces),
            Braces::Square => Some(Dialect::Brackets),
            Braces::Double if self.go => {
                let is_foreign =
                    is_parameter(name) && !self.has(Dialect::Plain) && self.is_no_function(name);
                is_foreign.then_some(Dialect::Plain)
            }
            Braces::Double => is_go(placeholder.inner).then_some(Dialect::Go),
        }
    }

    fn has(&self, dialect: Dialect) -> bool {
        self.found.iter().any(|found| found.dialect == dialect)
    }

    fn is_no_function(&mut self, name: &str) -> bool {
        if self.engine.is_none() {
            self.engine = Engine::new(&[], &FUNCTIONS, Work::new(MEMORY)).ok();
        }
        self.engine.as_ref().is_some_and(|engine| {
            let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let function = &name[..end.unwrap_or(name.len())];
            let parsed = engine.parse(&format!("{{{{{function}}}}}"));
            parsed.is_err_and(|error| error.to_string().contains("not defined"))
        })
    }

    fn own(&self, placeholder: Placeholder<'_>) -> Option<String> {
        let name = placeholder.name();
        let name = name.strip_prefix('.').unwrap_or(name);
        let is_plain = |name: &str| {
            let mut parts = name.split('.');
            parts.all(|part| {
                part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            })
        };
        match (self.go, name) {
            (true, "path") => Some("{{.path.path}}".to_owned()),
            (true, name) => is_plain(name).then(|| format!("{{{{.{name}}}}}")),
            (false, "path.path") => Some("{{path}}".to_owned()),
            (false, name) => is_parameter(name).then(|| format!("{{{{{name}}}}}")),
        }
    }
}

/// Whether a field holds text for another program, which may have placeholders of its own.
fn is_for_others(field: &str) -> bool {
    [
        "/helm/",
        "/kustomize/",
        "/plugin/",
        "/directory/",
        "/info/",
        "/annotations",
        "/ignoreDifferences/",
        "/elements",
        "/templatePatch",
    ]
    .into_iter()
    .any(|part| field.contains(part))
}

/// What is around a placeholder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Braces {
    Single,
    Double,
    Square,
}

/// A placeholder in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Placeholder<'t> {
    braces: Braces,
    written: &'t str,
    /// What is between the braces.
    inner: &'t str,
}

impl<'t> Placeholder<'t> {
    fn name(self) -> &'t str {
        self.inner.trim()
    }
}

/// Those of a text, in one pass over it, whatever is opened and not closed.
fn placeholders(text: &str) -> impl Iterator<Item = Placeholder<'_>> {
    let mut at = 0;
    let mut may_close = true;
    std::iter::from_fn(move || {
        while let Some(start) = text[at..].find(['{', '[']).map(|found| at + found) {
            let rest = &text[start..];
            let (braces, open, close) = if rest.starts_with("{{") {
                (Braces::Double, 2, "}}")
            } else if rest.starts_with("[[") {
                (Braces::Square, 2, "]]")
            } else {
                (Braces::Single, 1, "}")
            };
            at = start + open;
            let end = match braces {
                Braces::Double if may_close => {
                    let end = rest.find(close);
                    may_close = end.is_some();
                    end
                }
                Braces::Double => None,
                // `${name}` is of other programs.
                Braces::Single if text[..start].ends_with('$') || rest.starts_with('[') => None,
                Braces::Single | Braces::Square => {
                    let is_inner = |c: char| {
                        c.is_ascii_alphanumeric()
                            || matches!(c, '_' | '.' | '-' | '/')
                            || c == ' ' && braces == Braces::Square
                    };
                    let inner = rest[open..].find(|c: char| !is_inner(c));
                    inner
                        .map(|length| open + length)
                        .filter(|end| rest[*end..].starts_with(close))
                }
            };
            let Some(end) = end else {
                continue;
            };
            let placeholder = Placeholder {
                braces,
                written: &rest[..end + close.len()],
                inner: &rest[open..end],
            };
            if braces == Braces::Double || is_parameter(placeholder.name()) {
                at = start + end + close.len();
                return Some(placeholder);
            }
        }
        None
    })
}

/// Whether it is written as plain substitution has parameters: `name`, `metadata.labels.env`,
/// `path[0]`.
fn is_parameter(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '[' | ']'))
}

/// Whether what is in double braces is Go's, which plain substitution leaves as it is.
fn is_go(inner: &str) -> bool {
    let name = inner.trim();
    name.starts_with(['.', '$', '-', '/'])
        || name.contains('|')
        || name.contains(char::is_whitespace)
        || matches!(name, "end" | "else")
}

fn below(field: &str, name: &str) -> String {
    format!("{field}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ApplicationSet;
    use super::*;

    fn found(spec: &Value) -> Vec<(Dialect, String, String, Option<String>)> {
        let json = json!({"metadata": {"name": "a"}, "spec": spec}).to_string();
        let set = ApplicationSet::from_json(&json).unwrap();
        let found = set.spec.foreign_placeholders().into_iter();
        found
            .map(|found| (found.dialect, found.field, found.written, found.own))
            .collect()
    }

    fn first(spec: &Value) -> (Dialect, String, String, Option<String>) {
        let found = found(spec);
        assert_eq!(found.len(), 1, "{spec}: {found:?}");
        found.into_iter().next().unwrap()
    }

    #[test]
    fn each_dialect_is_told_from_the_sets_own() {
        let name = |go: bool, name: &str| json!({"goTemplate": go, "generators": [], "template": {"metadata": {"name": name}}});
        for (go, written, dialect, own) in [
            (false, "{{.name}}", Dialect::Go, Some("{{name}}")),
            (false, "{{ .name | quote }}", Dialect::Go, None),
            (false, "{{- .name -}}", Dialect::Go, None),
            (
                false,
                "{{ .metadata.labels.env }}",
                Dialect::Go,
                Some("{{metadata.labels.env}}"),
            ),
            (false, "{{.path.path}}", Dialect::Go, Some("{{path}}")),
            (true, "{{name}}", Dialect::Plain, Some("{{.name}}")),
            (
                true,
                "{{ metadata.labels.env }}",
                Dialect::Plain,
                Some("{{.metadata.labels.env}}"),
            ),
            (true, "{{path}}", Dialect::Plain, Some("{{.path.path}}")),
            (true, "{{path[0]}}", Dialect::Plain, None),
            (true, "{{metadata.labels.a-b}}", Dialect::Plain, None),
            (false, "{name}", Dialect::SingleBraces, Some("{{name}}")),
            (true, "{name}", Dialect::SingleBraces, Some("{{.name}}")),
            (false, "[[name]]", Dialect::Brackets, Some("{{name}}")),
            (true, "[[ name ]]", Dialect::Brackets, Some("{{.name}}")),
        ] {
            let expected = (
                dialect,
                "/spec/template/metadata/name".to_owned(),
                written.to_owned(),
                own.map(str::to_owned),
            );
            assert_eq!(first(&name(go, &format!("a-{written}-b"))), expected);
        }
        for (go, written) in [
            (false, "{{name}}"),
            (false, "{{ metadata.labels.example.com/env }}"),
            (false, "${name}"),
            (false, "{a,b}"),
            (false, "[a-z]{2}"),
            (false, "{{"),
            (false, "[["),
            (true, "{{.name}}"),
            (true, "{{ uuidv4 }}"),
            (true, "{{ if .a }}b{{ else }}c{{ end }}"),
            (true, "{{ $x := .a }}{{ $x }}"),
            (true, "{{- .name -}}"),
        ] {
            assert_eq!(found(&name(go, written)), [], "{written}");
        }
    }

    #[test]
    fn it_is_found_wherever_templates_are() {
        let git =
            |path: &str| json!({"git": {"directories": [{"path": path}], "values": {"a": "b"}}});
        for (generators, field) in [
            (json!([git("{{.x}}")]), "/0/git/directories/0/path"),
            (
                json!([{"git": {"files": [{"path": "{{.x}}"}]}}]),
                "/0/git/files/0/path",
            ),
            (
                json!([{"git": {"values": {"a/b": "{{.x}}"}}}]),
                "/0/git/values/a~1b",
            ),
            (
                json!([{"list": {}}, {"clusters": {"values": {"a": "{{.x}}"}}}]),
                "/1/clusters/values/a",
            ),
            (
                json!([{"matrix": {"generators": [{"clusters": {}}, git("{{.x}}")]}}]),
                "/0/matrix/generators/1/git/directories/0/path",
            ),
            (
                json!([{"merge": {"generators": [{"matrix": {"generators": [git("{{.x}}")]}}]}}]),
                "/0/merge/generators/0/matrix/generators/0/git/directories/0/path",
            ),
            (
                json!([{"pullRequest": {"github": {"owner": "{{.x}}"}}}]),
                "/0/pullRequest/github/owner",
            ),
            (
                json!([{"list": {"template": {"spec": {"project": "{{.x}}"}}}}]),
                "/0/list/template/spec/project",
            ),
        ] {
            let (dialect, at, ..) = first(&json!({"generators": generators, "template": {}}));
            assert_eq!(
                (dialect, at),
                (Dialect::Go, format!("/spec/generators{field}"))
            );
        }
        let spec = |path: &str, text: &str| {
            let mut spec = json!({"template": {"metadata": {}, "spec": {"destination": {}}}});
            let parent = spec.pointer_mut(path.rsplit_once('/').unwrap().0).unwrap();
            parent[path.rsplit('/').next().unwrap()] = json!(text);
            spec
        };
        for path in [
            "/template/spec/project",
            "/template/spec/destination/namespace",
            "/template/spec/destination/server",
        ] {
            assert_eq!(first(&spec(path, "{x}")).1, format!("/spec{path}"));
        }
        let labels = json!({"template": {"metadata": {"labels": {"{{.x}}": "b"}}}});
        assert_eq!(first(&labels).1, "/spec/template/metadata/labels");
    }

    #[test]
    fn what_is_for_others_is_left_to_them() {
        let helm = json!({"values": "a: {{ .Release.Name }} {x} [[y]]"});
        let spec = json!({"template": {"spec": {"source": {"helm": helm}}}});
        assert_eq!(found(&spec), []);
        let patch = json!({"goTemplate": true, "templatePatch": "a: {x}\nb: {{name}}"});
        assert_eq!(first(&patch).0, Dialect::Plain);
    }

    /// It takes one pass, or this does not end.
    #[test]
    fn what_is_opened_and_not_closed_is_passed_over_at_once() {
        for open in ["{{", "{", "[[", "{a", "[[a", "{{a}", "[[[", "{{{a"] {
            let text = open.repeat(500_000);
            let spec = json!({"template": {"metadata": {"name": text}}, "templatePatch": text});
            assert_eq!(found(&spec), [], "{open}");
        }
    }

    #[test]
    fn each_dialect_is_told_once() {
        let spec = json!({"template": {"metadata": {"name": "{x}-{y}-{{.z}}-{{.z}}"}}});
        let dialects: Vec<Dialect> = found(&spec)
            .into_iter()
            .map(|(dialect, ..)| dialect)
            .collect();
        assert_eq!(dialects, [Dialect::SingleBraces, Dialect::Go]);
    }
}
