//! The namespaces that files are read by.

use std::collections::BTreeSet;
use std::iter;

/// Where the objects of files are, and where Argo CD runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Namespaces<'n> {
    /// Of objects that name none.
    pub(crate) objects: &'n str,
    /// That Argo CD runs in.
    pub(crate) argocd: &'n str,
    /// Whether that was said, so that it runs in no other.
    pub(crate) is_told: bool,
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

    /// Where Argo CD runs: it reads AppProjects in its own namespace only, so that there is one
    /// where there are some.
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

impl<'n> Namespaces<'n> {
    /// The namespaces to read files by once more, as what names none is in Argo CD's, and that is
    /// another than was expected.
    pub(crate) fn of_main(self, argo_cds: &'n ArgoCds) -> Option<Self> {
        let is_elsewhere = self.objects == self.argocd && argo_cds.main != self.argocd;
        is_elsewhere.then_some(Namespaces {
            objects: &argo_cds.main,
            argocd: &argo_cds.main,
            is_told: self.is_told,
        })
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
