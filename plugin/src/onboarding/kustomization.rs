//! A line more under `resources` of a kustomization, and everything else as it is.

use std::fmt::Write as _;

use golang::yaml;
use serde_json::{Value, json};

/// Why a kustomization cannot be added to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdded {
    #[error("{0}")]
    Syntax(String),
    #[error("it is not one object")]
    NotOneObject,
    #[error("resources is not a list")]
    NotAList,
    /// It is written in a way that is not changed here without harm to what is there.
    #[error("resources is written in a way that is not changed here: add {0:?} to it")]
    Unusual(String),
}

/// The text of a new one.
pub(crate) fn new(entry: &str) -> String {
    format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - {}\n",
        scalar(entry)
    )
}

/// The text with an entry; None where that is among its resources already.
///
/// # Errors
/// It cannot be added without harm.
pub(crate) fn with_resource(text: &str, entry: &str) -> Result<Option<String>, NotAdded> {
    let before = read(text)?;
    let mut expected = before.clone();
    match expected.get_mut("resources") {
        None => expected["resources"] = json!([entry]),
        Some(resources @ Value::Null) => *resources = json!([entry]),
        Some(Value::Array(resources)) => {
            let is_same = |one: &Value| {
                one.as_str()
                    .is_some_and(|one| one.trim_start_matches("./") == entry)
            };
            if resources.iter().any(is_same) {
                return Ok(None);
            }
            resources.push(entry.into());
        }
        Some(_) => return Err(NotAdded::NotAList),
    }
    let changed = added(text, entry);
    match changed.as_deref().map(read) {
        Some(Ok(after)) if after == expected => Ok(changed),
        _ => Err(NotAdded::Unusual(entry.to_owned())),
    }
}

fn read(text: &str) -> Result<Value, NotAdded> {
    let mut documents = Vec::new();
    for document in yaml::documents(text) {
        let document = document.map_err(|error| {
            NotAdded::Syntax(format!(
                "line {}: {}",
                error.line(),
                crate::error::chain(error.kind())
            ))
        })?;
        documents.push(document.value);
    }
    documents.retain(|document| !document.is_null());
    match documents.pop() {
        // An empty file is an empty kustomization.
        None => Ok(json!({})),
        Some(document @ Value::Object(_)) if documents.is_empty() => Ok(document),
        Some(_) => Err(NotAdded::NotOneObject),
    }
}

/// The text with a line more, as it is mostly written; what comes of it is for the caller to see.
fn added(text: &str, entry: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let entry = scalar(entry);
    let Some(key) = lines.iter().position(|line| line.starts_with("resources:")) else {
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str(end);
        }
        let _ = write!(text, "resources:{end}  - {entry}{end}");
        return Some(text);
    };
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    let value = lines[key]["resources:".len()..].trim().to_owned();
    if value == "[]" || value.is_empty() || value.starts_with('#') {
        let (last, indent) = last_item(&lines, key).unwrap_or((key, "  ".to_owned()));
        if value == "[]" {
            "resources:".clone_into(&mut lines[key]);
        }
        lines.insert(last + 1, format!("{indent}- {entry}"));
    } else {
        let list = value.strip_prefix('[')?.strip_suffix(']')?;
        lines[key] = format!(
            "resources: [{}, {entry}]",
            list.trim().trim_end_matches(',')
        );
    }
    let mut text = lines.join(end);
    text.push_str(end);
    Some(text)
}

/// The last line of a list that follows a key, and the indent of its items.
fn last_item(lines: &[String], key: usize) -> Option<(usize, String)> {
    let mut found: Option<(usize, String)> = None;
    for (index, line) in lines.iter().enumerate().skip(key + 1) {
        let plain = line.trim_start();
        let indent = &line[..line.len() - plain.len()];
        if plain.starts_with("- ") {
            found = Some((index, indent.to_owned()));
        } else if !plain.is_empty() && !plain.starts_with('#') {
            break;
        }
    }
    found
}

/// A name of a file as YAML has it.
fn scalar(entry: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if entry.starts_with(|c: char| c.is_ascii_alphabetic()) && entry.chars().all(is_plain) {
        entry.to_owned()
    } else {
        Value::from(entry).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "cluster-prod-eu.yaml";

    fn changed(text: &str) -> String {
        with_resource(text, FILE).unwrap().unwrap()
    }

    #[test]
    fn an_entry_comes_behind_the_others_and_nothing_else_changes() {
        for (before, after) in [
            (
                "# ours\nresources:\n- a.yaml # first\n- b.yaml\n\nnamespace: argocd # here\n",
                "# ours\nresources:\n- a.yaml # first\n- b.yaml\n- cluster-prod-eu.yaml\n\nnamespace: argocd # here\n",
            ),
            (
                "resources:\n    - a.yaml\n    # the last\n    - b.yaml\npatches: []\n",
                "resources:\n    - a.yaml\n    # the last\n    - b.yaml\n    - cluster-prod-eu.yaml\npatches: []\n",
            ),
            (
                "namespace: argocd",
                "namespace: argocd\nresources:\n  - cluster-prod-eu.yaml\n",
            ),
            ("", "resources:\n  - cluster-prod-eu.yaml\n"),
            ("resources: []\n", "resources:\n  - cluster-prod-eu.yaml\n"),
            (
                "resources:\nnamespace: a\n",
                "resources:\n  - cluster-prod-eu.yaml\nnamespace: a\n",
            ),
            (
                "resources: [a.yaml]\n",
                "resources: [a.yaml, cluster-prod-eu.yaml]\n",
            ),
            (
                "resources:\r\n- a.yaml\r\n",
                "resources:\r\n- a.yaml\r\n- cluster-prod-eu.yaml\r\n",
            ),
        ] {
            assert_eq!(changed(before), after);
            assert!(with_resource(after, FILE).unwrap().is_none());
        }
        assert!(
            with_resource("resources: [./cluster-prod-eu.yaml]", FILE)
                .unwrap()
                .is_none()
        );
        assert!(with_resource(&new(FILE), FILE).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_added_to_is_left_alone() {
        for text in [
            "resources: a.yaml\n",
            "- a\n",
            "a: 1\n---\nb: 1\n",
            "resources: [\n  a.yaml,\n]\n",
            "{resources: [a.yaml]}\n",
            "a: [\n",
        ] {
            assert!(with_resource(text, FILE).is_err(), "{text}");
        }
    }
}
