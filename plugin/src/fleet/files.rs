//! Facts in files.

use std::collections::BTreeMap;
use std::sync::Arc;

use argocd::settings::ParametersConfigMap;
use argocd::settings::SettingsConfigMap;
use argocd::{AppProject, ApplicationSet, RepositorySecret};
use policy::GitOpsPolicy;
use policy::gitops_policy::POLICY_NAME;

use super::{Fact, Facts, Identity, Source, check_policy};
use crate::error::chain;
use crate::repository::manifest::{Kind, Manifest};
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
        let fact = match self.kind {
            Kind::Application => return Ok(None),
            Kind::AppProject => {
                let project: AppProject = self.decode()?;
                Fact::Project(Box::new(project))
            }
            Kind::ApplicationSet => {
                let set: ApplicationSet<'_> = self.decode()?;
                Fact::ApplicationSet(Arc::new(set.into_owned()))
            }
            Kind::ClusterSecret => {
                let cluster = self.cluster_secret()?.cluster();
                Fact::Cluster(Box::new(
                    cluster.map_err(|error| self.problem(chain(&error)))?,
                ))
            }
            Kind::RepositorySecret => {
                let secret: RepositorySecret<'_> = self.decode()?;
                let scoped = secret.scoped();
                Fact::Repository(scoped.map_err(|error| self.problem(error.to_string()))?)
            }
            Kind::Settings => {
                let config_map: SettingsConfigMap = self.decode()?;
                Fact::Settings(Box::new(config_map.settings()))
            }
            Kind::Parameters => {
                let config_map: ParametersConfigMap = self.decode()?;
                Fact::Parameters(Box::new(config_map))
            }
            Kind::Policy => self.policy()?,
        };
        Ok(Some(fact))
    }

    fn policy(&self) -> Result<Fact, Problem> {
        if self.reference.name.as_deref() != Some(POLICY_NAME) {
            return Err(self.problem(format!(
                "metadata.name: only the policy named `{POLICY_NAME}` counts"
            )));
        }
        let policy: GitOpsPolicy = self.decode()?;
        if let Some(flaw) = policy.spec.flaw() {
            return Err(self.problem(format!("spec.environments: {flaw}")));
        }
        check_policy(policy.spec)
            .map(Fact::Policy)
            .map_err(|reason| self.problem(reason))
    }

    /// `FILE:LINE`.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line())
    }
}
