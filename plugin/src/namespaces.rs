//! The namespaces that files are read by.

/// Where the objects of files are, and where Argo CD runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Namespaces<'n> {
    /// Of objects that name none.
    pub(crate) objects: &'n str,
    /// That Argo CD runs in.
    pub(crate) argocd: &'n str,
}
