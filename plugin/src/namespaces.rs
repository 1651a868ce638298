//! Which namespaces a command is about. `-n` and `--argocd-namespace` mean the same to all of them.

use std::collections::BTreeSet;
use std::iter;

use crate::break_glass::target::parse_name;
use crate::cluster_access::ApiServer;

/// Where the objects are, and where Argo CD runs.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct NamespaceArgs {
    /// Namespace of the objects, in files of those that name none [default: the context's where a
    /// cluster is looked at, else Argo CD's]
    #[arg(short, long, value_name = "NAMESPACE", value_parser = parse_name)]
    namespace: Option<String>,

    /// Namespace that Argo CD runs in [default: argocd; for files where their AppProjects are]
    #[arg(long, value_name = "NAMESPACE", value_parser = parse_name)]
    argocd_namespace: Option<String>,
}

/// Where Argo CD's own manifests install it.
const ARGOCD_NAMESPACE: &str = "argocd";

/// The namespaces that files are read by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Namespaces<'n> {
    /// Of objects that name none.
    pub(crate) objects: &'n str,
    /// That Argo CD runs in.
    pub(crate) argocd: &'n str,
    /// Whether that was said, so that it runs in no other.
    is_told: bool,
}

/// The namespaces in which an Argo CD runs, as far as files tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ArgoCds {
    /// Of the one whose objects are meant by whatever is in none of the namespaces.
    pub(crate) main: String,
    /// Of the others.
    pub(crate) others: Vec<String>,
}

impl Namespaces<'_> {
    /// Whether an Argo CD may run in a namespace.
    pub(crate) fn may_be_argo_cds(self, namespace: &str) -> bool {
        !self.is_told || namespace == self.argocd
    }

    /// Where Argo CD runs: it reads AppProjects in its own namespace only, so that there is one where there are some.
    pub(crate) fn argo_cds<'p>(self, with_projects: impl Iterator<Item = &'p str>) -> ArgoCds {
        let mut others: BTreeSet<&str> = with_projects.collect();
        let main = match others.first() {
            Some(only) if !self.is_told && others.len() == 1 => only,
            _ => self.argocd,
        };
        others.remove(main);
        if self.is_told {
            others.clear();
        }
        ArgoCds {
            main: main.to_owned(),
            others: others.into_iter().map(str::to_owned).collect(),
        }
    }
}

impl ArgoCds {
    /// All of them, the main one first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        iter::once(&self.main)
            .chain(&self.others)
            .map(String::as_str)
    }

    /// Whether one runs in a namespace.
    pub(crate) fn are_in(&self, namespace: &str) -> bool {
        self.all().any(|own| own == namespace)
    }
}

impl NamespaceArgs {
    /// The namespace that Argo CD runs in.
    pub(crate) fn argocd(&self) -> &str {
        self.argocd_namespace.as_deref().unwrap_or(ARGOCD_NAMESPACE)
    }

    /// The namespace of the objects of a cluster: of `-n`, of the context, or Argo CD's.
    pub(crate) fn of_objects<'n>(&'n self, server: &'n ApiServer) -> &'n str {
        self.of_context(server.namespace()).objects
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
