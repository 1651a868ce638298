//! The objects in what was rendered.

use serde_json::{Map, Value};

/// A document is not an object of Kubernetes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectError {
    #[error(transparent)]
    Yaml(#[from] golang::yaml::Error),
    #[error("line {line}: it is not a mapping")]
    NotAMapping { line: usize },
    #[error("line {line}: it has no kind")]
    NoKind { line: usize },
    #[error("a file of JSON may have one object only")]
    Several,
}

/// The objects of a stream of documents. Those with nothing in them are left out, and an error is
/// the last item.
pub(super) fn of(text: &str) -> impl Iterator<Item = Result<Value, ObjectError>> {
    let mut failed = false;
    golang::yaml::documents(text)
        .filter_map(object)
        .take_while(move |item| !std::mem::replace(&mut failed, item.is_err()))
}

fn object(
    document: Result<golang::yaml::Document, golang::yaml::Error>,
) -> Option<Result<Value, ObjectError>> {
    let document = match document {
        Ok(document) => document,
        Err(error) => return Some(Err(error.into())),
    };
    let line = document.line();
    match document.value {
        Value::Null => None,
        Value::Object(fields) if has_kind(&fields) => Some(Ok(Value::Object(fields))),
        Value::Object(_) => Some(Err(ObjectError::NoKind { line })),
        _ => Some(Err(ObjectError::NotAMapping { line })),
    }
}

fn has_kind(fields: &Map<String, Value>) -> bool {
    let kind = fields.get("kind").and_then(Value::as_str);
    kind.is_some_and(|kind| !kind.is_empty())
}

/// The items of lists in the place of the lists, and nothing where a list has none (Argo CD 3.6,
/// `GenerateManifests`, `isNullList`).
pub(super) fn flatten(objects: Vec<Value>) -> Vec<Value> {
    let mut flat = Vec::with_capacity(objects.len());
    for mut object in objects {
        let has_content = object.get("spec").or(object.get("status")).is_some();
        match object.get_mut("items") {
            Some(Value::Array(items)) => flat.append(items),
            Some(Value::Null) if !has_content => {}
            _ => flat.push(object),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_objects_or_nothing() {
        let text = "---\n# comment\n---\nkind: A\n---\nnull\n---\nkind: B\n";
        let found: Result<Vec<_>, _> = of(text).collect();
        assert_eq!(found.unwrap(), [json!({"kind": "A"}), json!({"kind": "B"})]);

        for (text, expected) in [
            (
                "kind: A\n---\nname: b\n---\nkind: C\n",
                "line 3: it has no kind",
            ),
            ("kind: A\n---\n- b\n", "line 3: it is not a mapping"),
        ] {
            let items: Vec<_> = of(text).collect();
            assert_eq!(items.len(), 2);
            assert_eq!(items[1].as_ref().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn lists_are_their_items() {
        let objects = vec![
            json!({"kind": "List", "items": [{"kind": "A"}, {"kind": "B"}]}),
            json!({"kind": "RoleList", "items": null}),
            json!({"kind": "Custom", "items": null, "spec": {}}),
            json!({"kind": "C"}),
        ];
        let kinds: Vec<_> = flatten(objects)
            .iter()
            .map(|object| object["kind"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kinds, ["A", "B", "Custom", "C"]);
    }
}
