//! Which resource manages a release.

use super::document::State;
use super::release::HelmRelease;

/// A release is not found.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum FindError {
    /// There is none.
    #[error("no helm_release in the state has the name {name} and the namespace {namespace}")]
    Absent { name: String, namespace: String },
    /// Several resources manage the same one.
    #[error("{} manage the release {name} in namespace {namespace}", .addresses.join(" and "))]
    Several {
        name: String,
        namespace: String,
        addresses: Vec<String>,
    },
}

impl State {
    /// The resource that manages a release of Helm.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) fn release(&self, name: &str, namespace: &str) -> Result<&HelmRelease, FindError> {
        let is_it = |release: &&HelmRelease| release.name == name && release.namespace == namespace;
        let found: Vec<&HelmRelease> = self.releases.iter().filter(is_it).collect();
        let (name, namespace) = (name.to_owned(), namespace.to_owned());
        match *found.as_slice() {
            [] => Err(FindError::Absent { name, namespace }),
            [one] => Ok(one),
            _ => Err(FindError::Several {
                name,
                namespace,
                addresses: found.iter().map(|one| one.address.clone()).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{helm_release, state};
    use super::*;

    fn read(resources: &[Value]) -> State {
        State::read(&state(&json!({"resources": resources}))).unwrap()
    }

    #[test]
    fn it_is_found_by_name_and_namespace() {
        let state = read(&[
            helm_release("helm_release.a", "cart", "shop", 1),
            helm_release(r#"helm_release.b["x"]"#, "cart", "other", 1),
            helm_release("helm_release.c", "twice", "shop", 1),
            helm_release("helm_release.d", "twice", "shop", 1),
        ]);
        let address = |name, namespace| {
            let found = state.release(name, namespace);
            found
                .map(|one| one.address.clone())
                .map_err(|error| error.to_string())
        };
        assert_eq!(address("cart", "other").unwrap(), r#"helm_release.b["x"]"#);
        assert_eq!(
            state.release("cart", "other").unwrap().resource(),
            "helm_release.b"
        );
        assert_eq!(
            address("none", "shop").unwrap_err(),
            "no helm_release in the state has the name none and the namespace shop"
        );
        assert_eq!(
            address("twice", "shop").unwrap_err(),
            "helm_release.c and helm_release.d manage the release twice in namespace shop"
        );
    }
}
