//! Facts in files.

use std::collections::BTreeMap;

use policy::Kind;
use policy::gitops_policy::POLICY_NAME;

use super::fact::{Fact, FactError};
use super::{Facts, Identity, Source};
use crate::error::chain;
use crate::repository::manifest::Manifest;
use crate::repository::problem::Problem;

impl Facts {
    /// Adds what manifests say.
    pub(crate) fn add<'m>(
        &mut self,
        manifests: impl IntoIterator<Item = &'m Manifest>,
        source: Source,
    ) {
        let mut here: BTreeMap<Identity, &'m Manifest> = BTreeMap::new();
        for manifest in manifests {
            if !manifest.is_fact(source, &self.namespace) {
                continue;
            }
            if let Some(first) = here.insert(manifest.identity(), manifest) {
                self.repeated.push(format!(
                    "{} is declared at {} and at {}: the latter counts{}",
                    manifest.reference.short(),
                    first.place(),
                    manifest.place(),
                    match source {
                        Source::Judged => ", unless --facts gives another",
                        Source::Given | Source::State => "",
                    },
                ));
            }
        }
        for (identity, manifest) in here {
            let Some(fact) = manifest.fact().transpose() else {
                continue;
            };
            // Of a Secret whose values a file does not tell, the cluster tells them.
            if self.has_live && is_partly_known(&fact) && self.cluster(&identity).is_some() {
                continue;
            }
            self.objects.insert(identity, fact);
        }
    }
}

fn is_partly_known(fact: &Result<Fact, Problem>) -> bool {
    matches!(fact, Ok(Fact::Cluster(cluster)) if cluster.unknown.is_some())
}

/// Where cluster Secrets stand in files, by their names.
pub(crate) fn cluster_places<'m>(
    manifests: impl IntoIterator<Item = &'m Manifest>,
) -> BTreeMap<String, String> {
    let secrets = manifests.into_iter();
    secrets
        .filter(|manifest| manifest.kind == Kind::ClusterSecret)
        .filter_map(|manifest| Some((manifest.applied_reference().name?, manifest.place())))
        .collect()
}

impl Facts {
    /// Takes an object of a file as applied, if it means something where it is.
    pub(crate) fn apply(&mut self, manifest: &Manifest, fact: Fact) {
        if manifest.is_fact(Source::State, &self.namespace) {
            self.set(manifest.identity(), Some(fact));
        }
    }
}

impl Manifest {
    /// What tells it from all others once it is applied.
    pub(crate) fn identity(&self) -> Identity {
        let mut reference = self.applied_reference();
        // It is in none.
        if self.kind == Kind::Policy {
            reference.namespace = None;
        }
        (self.kind, reference)
    }

    /// Whether Argo CD, or we, would read it as a fact where it is.
    fn is_fact(&self, source: Source, namespace: &str) -> bool {
        match self.kind {
            Kind::Application => false,
            Kind::ApplicationSet => source == Source::State,
            Kind::Policy => true,
            _ => self.namespace == namespace,
        }
    }

    /// What it says; None for an Application, which says nothing about others.
    ///
    /// # Errors
    /// It is not what its kind says.
    pub(crate) fn fact(&self) -> Result<Option<Fact>, Problem> {
        if self.kind == Kind::Application {
            return Ok(None);
        }
        if self.kind == Kind::Policy && self.reference.name.as_deref() != Some(POLICY_NAME) {
            return Err(self.problem(format!(
                "metadata.name: only the policy named `{POLICY_NAME}` counts"
            )));
        }
        let fact = Fact::read(self.kind, self.json(), self.made_from());
        let fact = fact.map_err(|error| match error {
            FactError::Form(error) => self.unreadable(&error),
            error => self.problem(chain(&error)),
        })?;
        if let Fact::Policy(spec) = &fact
            && let Some(flaw) = spec.flaw()
        {
            return Err(self.problem(format!("spec.environments: {flaw}")));
        }
        Ok(Some(fact))
    }

    /// `FILE:LINE`.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line())
    }
}
