//! Which namespaces a command is about. `-n` and `--argocd-namespace` mean the same to all of them.

use super::SCOPE;
use super::target::parse_name;
use crate::namespaces::Namespaces;

/// Where the objects are, and where Argo CD runs.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = SCOPE)]
pub(crate) struct NamespaceArgs {
    /// Namespace of the objects [default: the context's or Argo CD's]
    ///
    /// In files it is that of objects which name none. The default is the context's where a cluster
    /// is looked at, else Argo CD's.
    #[arg(short, long, value_name = "NAMESPACE", value_parser = parse_name)]
    namespace: Option<String>,

    /// Namespace that Argo CD runs in [default: argocd]
    ///
    /// For files the default is where their AppProjects are.
    #[arg(long, value_name = "NAMESPACE", value_parser = parse_name)]
    argocd_namespace: Option<String>,
}

/// Where Argo CD's own manifests install it.
const ARGOCD_NAMESPACE: &str = "argocd";

impl NamespaceArgs {
    /// The namespace that Argo CD runs in.
    pub(crate) fn argocd(&self) -> &str {
        self.argocd_namespace.as_deref().unwrap_or(ARGOCD_NAMESPACE)
    }

    /// The namespace of `-n`, where it was given.
    pub(crate) fn given(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The namespace of the objects of a cluster: of `-n`, of the context, or Argo CD's.
    pub(crate) fn of_objects<'n>(&'n self, context: Option<&'n str>) -> &'n str {
        self.of_context(context).objects
    }

    /// The namespaces that files are read by which are for a context's cluster.
    pub(crate) fn of_context<'n>(&'n self, namespace: Option<&'n str>) -> Namespaces<'n> {
        let argocd = self.argocd();
        Namespaces {
            objects: self.namespace.as_deref().or(namespace).unwrap_or(argocd),
            argocd,
            is_told: self.argocd_namespace.is_some(),
        }
    }

    /// The namespaces that files are read by which are for no cluster in particular.
    pub(crate) fn of_files(&self) -> Namespaces<'_> {
        self.of_context(None)
    }

    /// Where Argo CD's own Deployments are, of which `-n` may tell as well.
    pub(crate) fn of_deployments(&self) -> &str {
        let argocd = self.argocd_namespace.as_deref();
        let named = argocd.or(self.namespace.as_deref());
        named.unwrap_or(ARGOCD_NAMESPACE)
    }
}
