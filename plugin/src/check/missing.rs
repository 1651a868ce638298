//! Which facts undecided findings wait for, told once for each kind of fact.

use std::collections::{BTreeMap, BTreeSet};

use policy::missing::{FactKind, MissingFact};

use super::{Findings, Located};
use crate::text::{counted, listed};

/// How many names are told of one kind.
const NAMED: usize = 8;

/// Where what is known is taken from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KnownFrom {
    Files,
    /// Files, and a cluster as far as it may be read.
    FilesAndCluster,
    Cluster,
}

/// The facts of one kind, and how many findings would be decided by them.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Missing<'r> {
    pub(crate) kind: FactKind,
    /// How many findings lack at least one of them.
    pub(crate) findings: usize,
    /// Which ones; none where there is only one of the kind.
    facts: BTreeSet<&'r MissingFact>,
}

impl<'r> Missing<'r> {
    /// All that is missing, by kind.
    pub(crate) fn of(findings: &'r Findings) -> Vec<Self> {
        let mut kinds: BTreeMap<FactKind, (BTreeSet<&MissingFact>, usize)> = BTreeMap::new();
        let undecided = findings
            .all
            .iter()
            .filter(|located| located.waits_for_facts());
        for Located { finding, .. } in undecided {
            for fact in finding
                .missing
                .iter()
                .filter(|fact| !fact.name().is_empty())
            {
                kinds.entry(fact.kind()).or_default().0.insert(fact);
            }
            let of_finding: BTreeSet<FactKind> =
                finding.missing.iter().map(MissingFact::kind).collect();
            for kind in of_finding {
                kinds.entry(kind).or_default().1 += 1;
            }
        }
        kinds
            .into_iter()
            .map(|(kind, (facts, findings))| Missing {
                kind,
                findings,
                facts,
            })
            .collect()
    }

    /// The names of the facts; none where there is only one of the kind.
    pub(crate) fn names(&self) -> Vec<&'r str> {
        self.facts.iter().map(|fact| fact.name()).collect()
    }

    /// What is missing and how much waits for it, in one line.
    pub(crate) fn line(&self, source: KnownFrom) -> String {
        let count = self.facts.len();
        let told: Vec<String> = self.facts.iter().map(ToString::to_string).collect();
        let names = listed(&told, NAMED);
        let (are, them) = if count == 1 {
            ("is", "it")
        } else {
            ("are", "them")
        };
        let known = match source {
            KnownFrom::Files => "among the files",
            KnownFrom::FilesAndCluster | KnownFrom::Cluster => "known",
        };
        let what = match self.kind {
            FactKind::Project => {
                format!(
                    "{} {are} not {known}: {names}",
                    counted(count, "AppProject")
                )
            }
            FactKind::Cluster => {
                format!("{} {are} not {known}: {names}", counted(count, "cluster"))
            }
            FactKind::ClusterSecret => format!(
                "the values of {} are not known: {names}",
                counted(count, "cluster Secret")
            ),
            FactKind::ClusterConfig => format!(
                "Argo CD cannot read the config of {}: {names}",
                counted(count, "cluster Secret")
            ),
            FactKind::OtherClusters => format!("there may be clusters that are not {known}"),
            FactKind::Generated => format!("what generates Applications is not at hand: {names}"),
            FactKind::Parameters => format!("the ConfigMap {names} is not {known}"),
            FactKind::Rendering => format!(
                "{} {} objects before they are applied: {names}",
                counted(count, "kustomization"),
                if count == 1 { "changes" } else { "change" }
            ),
        };
        let wait = if self.findings == 1 { "waits" } else { "wait" };
        let findings = counted(self.findings, "finding");
        format!("{what}; {findings} {wait} for {them}")
    }

    /// How the facts can be given.
    pub(crate) fn fix(&self, source: KnownFrom) -> &'static str {
        match (source, self.kind) {
            (_, FactKind::ClusterConfig) => "write it as Argo CD documents it",
            (_, FactKind::Generated) => {
                "have the Git work tree at hand, or see --repository; write project and destination without \
                 placeholders"
            }
            (_, FactKind::Rendering) => {
                "judge what is rendered: kubectl kustomize FOLDER | kubectl gitops check -"
            }
            (KnownFrom::Cluster, _) => {
                "ask for the right to list what is missing in Argo CD's namespace"
            }
            (KnownFrom::FilesAndCluster, FactKind::ClusterSecret) => {
                "judge them decrypted (sops -d FILE | kubectl gitops check -), or ask for the right to list Secrets \
                 in Argo CD's namespace"
            }
            (KnownFrom::FilesAndCluster, FactKind::OtherClusters) => {
                "ask for the right to list Secrets in Argo CD's namespace, or say --all-clusters-known"
            }
            (KnownFrom::FilesAndCluster, _) => {
                "ask for the right to list what is missing in Argo CD's namespace, or add it with --facts"
            }
            (KnownFrom::Files, FactKind::Parameters) => "add it with --facts",
            (KnownFrom::Files, FactKind::Project) => "add what is missing with --facts",
            (KnownFrom::Files, FactKind::Cluster) => "add the Secret of each with --facts",
            (KnownFrom::Files, FactKind::ClusterSecret) => {
                "judge them decrypted (sops -d FILE | kubectl gitops check -), or by what the cluster has (--facts live)"
            }
            (KnownFrom::Files, FactKind::OtherClusters) => {
                "add their Secrets with --facts, or say --all-clusters-known"
            }
        }
    }
}
