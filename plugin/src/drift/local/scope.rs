//! Which kinds have objects in namespaces.

use std::collections::HashMap;

/// The kinds that a cluster has, by group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scopes(HashMap<(String, String), bool>);

impl Scopes {
    /// Of each kind, whether its objects are in namespaces.
    pub(crate) fn new(kinds: impl IntoIterator<Item = (String, String, bool)>) -> Self {
        let kinds = kinds.into_iter();
        Scopes(
            kinds
                .map(|(group, kind, is_in)| ((group, kind), is_in))
                .collect(),
        )
    }

    /// Whether the objects of a kind are in namespaces; None where the cluster has no such kind.
    pub(crate) fn is_namespaced(&self, group: &str, kind: &str) -> Option<bool> {
        self.0.get(&(group.to_owned(), kind.to_owned())).copied()
    }
}
