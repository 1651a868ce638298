//! Edits of manifests that keep comments and formatting: a text is changed at one place, and counts
//! as changed only if it then says exactly what was meant.

use std::fmt::Write as _;

use golang::yaml::{self, Document};
use serde_json::Value;

use crate::drift::local::Key;
use crate::drift::locate::Target;

/// An edit of one object.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    target: Target,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    /// A scalar gets another value.
    Set {
        pointer: String,
        old: Value,
        new: Value,
    },
    /// `spec.ignoreDifferences` gets an entry, the first.
    Ignore(Value),
}

impl Edit {
    pub(super) fn set(target: Target, pointer: String, old: Value, new: Value) -> Self {
        Edit {
            target,
            change: Change::Set { pointer, old, new },
        }
    }

    pub(super) fn insert(target: Target, entry: &Value) -> Self {
        Edit {
            target,
            change: Change::Ignore(entry.clone()),
        }
    }

    /// The file that it is in, from the top of the repository.
    pub(crate) fn file(&self) -> &str {
        &self.target.file
    }

    /// The file with it; None where it cannot be made so that the file says that and nothing else
    /// is otherwise.
    pub(crate) fn apply(&self, text: &str) -> Option<String> {
        let documents: Vec<Document> = yaml::documents(text).collect::<Result<_, _>>().ok()?;
        let key = Key::of(&self.target.object);
        let is_it = |document: &&Document| {
            let object = document.value.pointer(&self.target.pointer);
            object.is_some_and(|object| Key::of(object) == key)
        };
        let document = documents.iter().find(is_it)?;
        if documents.iter().filter(is_it).count() != 1 {
            return None;
        }
        let meant: Vec<Value> = documents
            .iter()
            .map(|one| {
                if is_it(&one) {
                    self.meant(&one.value)
                } else {
                    Some(one.value.clone())
                }
            })
            .collect::<Option<_>>()?;
        let says_that = |edited: &String| {
            let said: Result<Vec<Document>, _> = yaml::documents(edited).collect();
            let said = said.into_iter().flatten().map(|document| document.value);
            said.collect::<Vec<_>>() == meant
        };
        let mut candidates = self.candidates(text, document).into_iter();
        candidates.find(says_that)
    }

    /// What the document is to say.
    fn meant(&self, document: &Value) -> Option<Value> {
        let mut document = document.clone();
        let object = document.pointer_mut(&self.target.pointer)?;
        match &self.change {
            Change::Set { pointer, old, new } => {
                let value = object.pointer_mut(pointer)?;
                if value != old {
                    return None;
                }
                *value = new.clone();
            }
            Change::Ignore(entry) => {
                let spec = object.get_mut("spec")?.as_object_mut()?;
                let list = spec
                    .entry("ignoreDifferences")
                    .or_insert_with(|| Value::Array(Vec::new()));
                let list = list.as_array_mut()?;
                if list.contains(entry) {
                    return None;
                }
                list.insert(0, entry.clone());
            }
        }
        Some(document)
    }

    /// Texts that may say that.
    fn candidates(&self, text: &str, document: &Document) -> Vec<String> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        match &self.change {
            Change::Set { pointer, old, new } => {
                let line = document.line_of(&format!("{}{pointer}", self.target.pointer));
                let Some(written) = line.checked_sub(1).and_then(|at| lines.get(at)) else {
                    return Vec::new();
                };
                let replaced = forms(old, new).into_iter().flat_map(|(old, new)| {
                    let places = written.match_indices(&old).map(|(at, _)| at);
                    let edited = places
                        .map(|at| format!("{}{new}{}", &written[..at], &written[at + old.len()..]));
                    edited.collect::<Vec<_>>()
                });
                replaced
                    .map(|edited| with_line(&lines, line - 1, 1, &edited))
                    .collect()
            }
            Change::Ignore(entry) => self
                .with_entry(entry, &lines, document)
                .into_iter()
                .collect(),
        }
    }

    /// The entry before the first one that there is, or in a list of its own before all other fields
    /// of the spec.
    fn with_entry(&self, entry: &Value, lines: &[&str], document: &Document) -> Option<String> {
        let top = &self.target.pointer;
        let spec = document
            .value
            .pointer(&format!("{top}/spec"))?
            .as_object()?;
        let entry = serde_saphyr::to_string(entry).ok()?;
        let (pointer, head, extra) = if spec.contains_key("ignoreDifferences") {
            (format!("{top}/spec/ignoreDifferences/0"), None, "")
        } else {
            let line = |name: &&String| document.line_of(&format!("{top}/spec/{name}"));
            let first = spec.keys().min_by_key(line)?;
            let pointer = format!("{top}/spec/{first}");
            (pointer, Some("ignoreDifferences:"), "  ")
        };
        let place = document.line_of(&pointer).checked_sub(1)?;
        let line = lines.get(place)?;
        let indent = &line[..line.len() - line.trim_start().len()];
        let head = head.map(|head| format!("{indent}{head}\n"));
        let mut inserted = head.unwrap_or_default();
        for (at, part) in entry.lines().enumerate() {
            let dash = if at == 0 { "- " } else { "  " };
            // Writing to a String cannot fail.
            let _ = writeln!(inserted, "{indent}{extra}{dash}{part}");
        }
        Some(with_line(lines, place, 0, &inserted))
    }
}

/// Lines with some of them replaced.
fn with_line(lines: &[&str], at: usize, count: usize, by: &str) -> String {
    let (before, after) = (&lines[..at], &lines[at + count..]);
    format!("{}{by}{}", before.concat(), after.concat())
}

/// How a scalar may be written, and how the other one may be written in its place.
fn forms(old: &Value, new: &Value) -> Vec<(String, String)> {
    let raw = old.as_str().map_or_else(|| old.to_string(), str::to_owned);
    let forms = [
        (in_double_quotes(old), in_double_quotes(new)),
        (in_single_quotes(old), in_single_quotes(new)),
        (Some(raw), plain(new)),
    ];
    let others = [plain(new), in_double_quotes(new)];
    let mut all = Vec::new();
    for (old, new) in forms {
        if let Some(old) = old.filter(|old| !old.is_empty()) {
            let news = [new].into_iter().chain(others.clone()).flatten();
            all.extend(news.map(|new| (old.clone(), new)));
        }
    }
    all
}

fn plain(value: &Value) -> Option<String> {
    let text = serde_saphyr::to_string(value).ok()?;
    let text = text.trim_end();
    (!text.contains('\n')).then(|| text.to_owned())
}

fn in_double_quotes(value: &Value) -> Option<String> {
    value.as_str().map(|text| Value::from(text).to_string())
}

fn in_single_quotes(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.contains('\n'))?;
    Some(format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
# The shop
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop}
spec:
  replicas: 2   # not 22
  paused: false
  template:
    spec:
      containers:
        - {name: shop, image: 'shop:1'} # shop:1
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other, namespace: shop}
spec:
  replicas: 2
";

    fn target(text: &str, name: &str) -> Target {
        let object = yaml::documents(text).map(|document| document.unwrap().value);
        let mut objects = object.filter(|object| object["metadata"]["name"] == name);
        Target {
            file: "a.yaml".to_owned(),
            object: objects.next().unwrap(),
            pointer: String::new(),
        }
    }

    fn set(name: &str, pointer: &str, old: Value, new: Value) -> Option<String> {
        Edit::set(target(TEXT, name), pointer.to_owned(), old, new).apply(TEXT)
    }

    #[test]
    fn one_value_is_changed_and_all_else_stays_as_it_is_written() {
        let edited = |from: &str, to: &str| Some(TEXT.replacen(from, to, 1));
        assert_eq!(
            set("shop", "/spec/replicas", json!(2), json!(5)),
            edited("replicas: 2 ", "replicas: 5 ")
        );
        assert_eq!(
            set("other", "/spec/replicas", json!(2), json!(5)),
            edited("replicas: 2\n", "replicas: 5\n")
        );
        let image = "/spec/template/spec/containers/0/image";
        assert_eq!(
            set("shop", image, json!("shop:1"), json!("it's")),
            edited("'shop:1'", "'it''s'")
        );
        assert_eq!(
            set("shop", "/spec/paused", json!(false), json!("yes")),
            edited("paused: false", "paused: \"yes\"")
        );
        // Git has moved on, or has it elsewhere.
        assert_eq!(set("shop", "/spec/replicas", json!(3), json!(5)), None);
        assert_eq!(set("shop", "/spec/other", json!(2), json!(5)), None);
        assert_eq!(
            set("shop", image, json!("shop:1"), json!("a\nb")).map(|text| text.len() > 10),
            Some(true)
        );
    }

    #[test]
    fn what_an_anchor_brings_in_is_not_edited() {
        let text = TEXT
            .replace("replicas: 2\n", "replicas: *two\n")
            .replace("2   #", "&two 2 #");
        let text = text.split("---").next().unwrap().to_owned() + "  other: *two\n";
        let edit = Edit::set(
            target(&text, "shop"),
            "/spec/replicas".to_owned(),
            json!(2),
            json!(5),
        );
        assert_eq!(edit.apply(&text), None);
    }

    #[test]
    fn an_entry_is_added_to_the_list_or_makes_one() {
        let entry = json!({"kind": "Service", "jsonPointers": ["/spec/a"]});
        let text = "kind: Application\nmetadata:\n  name: shop\nspec:\n  # of the team\n  project: shop # shop\n";
        let added = Edit::insert(target(text, "shop"), &entry)
            .apply(text)
            .unwrap();
        assert!(
            added.starts_with(
                "kind: Application\nmetadata:\n  name: shop\nspec:\n  # of the team\n"
            )
        );
        assert!(added.ends_with("  project: shop # shop\n"));
        let other = json!({"kind": "ConfigMap", "jsonPointers": ["/data"]});
        let both = Edit::insert(target(&added, "shop"), &other)
            .apply(&added)
            .unwrap();
        let said = yaml::value(&both).unwrap();
        assert_eq!(said["spec"]["ignoreDifferences"], json!([other, entry]));
        assert_eq!(both.matches("ignoreDifferences").count(), 1);
        // It is there.
        assert_eq!(
            Edit::insert(target(&both, "shop"), &entry).apply(&both),
            None
        );
        let flow = "{kind: Application, metadata: {name: shop}, spec: {project: shop}}\n";
        assert_eq!(Edit::insert(target(flow, "shop"), &entry).apply(flow), None);
    }
}
