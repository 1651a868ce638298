//! What decides a finding and is not known here.

use std::fmt;

use argocd::application_set::Lack;
use argocd::cluster::UnknownValues;

use super::{shorten, shorten_middle, without_user_info};

/// A fact that decides, and is not among what is known. Names are without user information of URLs.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum MissingFact {
    /// An AppProject, by its name.
    Project(String),
    /// A cluster, by the name or server that a destination has.
    Cluster(String),
    /// What a cluster Secret holds, by the name of the Secret: it is there, and this is why not all
    /// of it is known.
    ClusterSecret(String, UnknownValues),
    /// The same, but it is Argo CD that cannot read its config.
    ClusterConfig(String),
    /// Which other clusters there are.
    OtherClusters,
    /// What a generator yields or a function of a template returns, as it is said what would be
    /// needed.
    Generated(String),
    /// How Argo CD was started, by the name of the ConfigMap that says it.
    Parameters(&'static str),
    /// What becomes of an object before it is applied, by what changes it: the folder of a
    /// kustomization.
    Rendering(String),
}

/// The kinds of [`MissingFact`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FactKind {
    /// AppProjects.
    Project,
    /// Clusters that destinations name.
    Cluster,
    /// Cluster Secrets that cannot be read whole.
    ClusterSecret,
    /// Configs of cluster Secrets that Argo CD cannot read.
    ClusterConfig,
    /// Clusters that nobody names.
    OtherClusters,
    /// What generators and functions of templates yield.
    Generated,
    /// How Argo CD was started.
    Parameters,
    /// What becomes of objects before they are applied.
    Rendering,
}

impl MissingFact {
    /// What kind of fact it is.
    pub fn kind(&self) -> FactKind {
        match self {
            MissingFact::Project(_) => FactKind::Project,
            MissingFact::Cluster(_) => FactKind::Cluster,
            MissingFact::ClusterSecret(..) => FactKind::ClusterSecret,
            MissingFact::ClusterConfig(_) => FactKind::ClusterConfig,
            MissingFact::OtherClusters => FactKind::OtherClusters,
            MissingFact::Generated(_) => FactKind::Generated,
            MissingFact::Parameters(_) => FactKind::Parameters,
            MissingFact::Rendering(_) => FactKind::Rendering,
        }
    }

    /// Which one it is; empty where there is only one of its kind.
    pub fn name(&self) -> &str {
        match self {
            MissingFact::Project(name)
            | MissingFact::Cluster(name)
            | MissingFact::ClusterSecret(name, _)
            | MissingFact::ClusterConfig(name)
            | MissingFact::Generated(name)
            | MissingFact::Rendering(name) => name,
            MissingFact::OtherClusters => "",
            MissingFact::Parameters(name) => name,
        }
    }

    /// Whether it is an object that may have come to be a moment ago.
    fn is_object(&self) -> bool {
        matches!(
            self,
            MissingFact::Project(_)
                | MissingFact::Cluster(_)
                | MissingFact::ClusterSecret(..)
                | MissingFact::ClusterConfig(_)
        )
    }
}

/// Its name, and why it is not known where that differs from one to the other.
impl fmt::Display for MissingFact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MissingFact::ClusterSecret(name, why) => write!(formatter, "{name} ({why})"),
            fact => formatter.write_str(fact.name()),
        }
    }
}

impl FactKind {
    /// `project`, `cluster`, `cluster-secret`, `cluster-config`, `other-clusters`, `generated`,
    /// `parameters` or `rendering`.
    pub fn as_str(self) -> &'static str {
        match self {
            FactKind::Project => "project",
            FactKind::Cluster => "cluster",
            FactKind::ClusterSecret => "cluster-secret",
            FactKind::ClusterConfig => "cluster-config",
            FactKind::OtherClusters => "other-clusters",
            FactKind::Generated => "generated",
            FactKind::Parameters => "parameters",
            FactKind::Rendering => "rendering",
        }
    }
}

/// What is lacking, as it is told.
pub(crate) fn text_of(lack: &Lack) -> String {
    match lack {
        Lack::Repository { url, revision } => {
            let url = shorten_middle(&without_user_info(url), 60);
            match revision.as_str() {
                "" => format!("the content of {url}"),
                revision => format!("the content of {url} at {}", shorten(revision, 40)),
            }
        }
        lack => lack.to_string(),
    }
}

/// Facts that a finding lacks. It rests on nothing else where there are some.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MissingFacts(Vec<MissingFact>);

impl MissingFacts {
    /// Whether it lacks none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, each once.
    pub fn iter(&self) -> impl Iterator<Item = &MissingFact> {
        self.0.iter()
    }

    /// Whether the finding rests on an object that is not there, which may have come to be a moment
    /// ago.
    pub fn may_be_news(&self) -> bool {
        self.0.iter().any(MissingFact::is_object)
    }

    /// Adds one.
    pub fn add(&mut self, fact: MissingFact) {
        if !self.0.contains(&fact) {
            self.0.push(fact);
        }
    }

    /// What would tell what a part of an ApplicationSet generates.
    pub(crate) fn of(lack: &Lack) -> Self {
        MissingFacts(match lack {
            Lack::OtherClusters => vec![MissingFact::OtherClusters],
            Lack::ClusterSecrets(secrets) => secrets
                .iter()
                .map(|(name, why)| MissingFact::ClusterSecret(name.clone(), *why))
                .collect(),
            lack @ (Lack::Repository { .. } | Lack::Other(_)) => {
                vec![MissingFact::Generated(text_of(lack))]
            }
        })
    }

    /// What several findings lack that are told as one: nothing if one of them lacks nothing.
    pub(crate) fn of_all<'f>(all: impl Iterator<Item = &'f MissingFacts> + Clone) -> Self {
        let mut facts = MissingFacts::default();
        if all.clone().any(MissingFacts::is_empty) {
            return facts;
        }
        for fact in all.flat_map(MissingFacts::iter) {
            facts.add(fact.clone());
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(names: &[&str]) -> MissingFacts {
        let mut facts = MissingFacts::default();
        for name in names {
            facts.add(MissingFact::Cluster((*name).to_owned()));
        }
        facts
    }

    #[test]
    fn what_is_told_as_one_lacks_what_any_of_it_lacks() {
        let all = [lacking(&["a", "b"]), lacking(&["b", "c"])];
        assert_eq!(MissingFacts::of_all(all.iter()), lacking(&["a", "b", "c"]));
    }

    #[test]
    fn what_is_certain_of_one_is_certain_of_all() {
        let all = [lacking(&["a"]), lacking(&[])];
        assert!(MissingFacts::of_all(all.iter()).is_empty());
    }
}
