//! The objects of a manifest.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Hook, Release};

/// A manifest is not made of objects. Nothing of it is quoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("line {line} of the manifest that Helm has applied is not YAML")]
    Yaml { line: usize },
    #[error("line {line} of the manifest that Helm has applied begins something that is no object")]
    NotAnObject { line: usize },
}

impl Release {
    /// What Helm has applied, object by object; the items of a list in its place.
    ///
    /// # Errors
    /// Something in it is not an object.
    pub(crate) fn objects(&self) -> Result<Vec<Value>, ManifestError> {
        objects(self.manifest.expose())
    }

    /// The charts below that of the release of which something was rendered, by the comments that
    /// Helm writes. A post-renderer may have taken those away.
    pub(crate) fn rendered_subcharts(&self) -> BTreeSet<String> {
        let lines = self.manifest.expose().lines();
        let sources = lines.filter_map(|line| line.strip_prefix("# Source: "));
        let below = sources.filter_map(|source| source.split_once("/charts/"));
        let names = below.filter_map(|(_, below)| below.split('/').next());
        names.map(str::to_owned).collect()
    }
}

impl Hook {
    /// What Helm runs.
    ///
    /// # Errors
    /// It is not made of objects.
    pub(crate) fn objects(&self) -> Result<Vec<Value>, ManifestError> {
        objects(self.manifest.expose())
    }
}

fn objects(text: &str) -> Result<Vec<Value>, ManifestError> {
    let mut objects = Vec::new();
    for document in golang::yaml::documents(text) {
        let document = document.map_err(|error| ManifestError::Yaml { line: error.line() })?;
        let line = document.line();
        let mut object = match document.value {
            Value::Null => continue,
            object if object.get("kind").is_some_and(Value::is_string) => object,
            _ => return Err(ManifestError::NotAnObject { line }),
        };
        match object.get_mut("items") {
            Some(Value::Array(items)) => objects.append(items),
            _ => objects.push(object),
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_objects_or_nothing() {
        let text = "---\n# Source: a\n---\nkind: A\n---\nkind: List\nitems: [{kind: B}]\n---\n";
        let kinds: Vec<_> = objects(text).unwrap();
        let kinds: Vec<_> = kinds.iter().map(|object| &object["kind"]).collect();
        assert_eq!(kinds, ["A", "B"]);
        assert_eq!(objects(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_an_object_is_placed_and_not_quoted() {
        for (text, error) in [
            (
                "kind: A\n---\n- hunter2\n",
                "line 3 of the manifest that Helm has applied begins something that is no object",
            ),
            (
                "kind: A\n---\na: [hunter2\n",
                "line 4 of the manifest that Helm has applied is not YAML",
            ),
        ] {
            assert_eq!(objects(text).unwrap_err().to_string(), error);
        }
    }
}
