//! Facts in files.

use std::collections::BTreeMap;
use std::sync::Arc;

use argocd::parameters::ParametersConfigMap;
use argocd::settings::SettingsConfigMap;
use argocd::{AppProject, ApplicationSet, RepositorySecret};
use policy::GitOpsPolicy;
use policy::gitops_policy::POLICY_NAME;

use super::{Fact, Facts, Identity, Source, check_policy};
use crate::error::chain;
use crate::repository::manifest::{Kind, Manifest, ObjectReference};
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
            if let Some(first) = here.insert(manifest.identity(&self.namespace), manifest) {
                self.repeated.push(format!(
                    "{} is declared at {} and at {}: the latter counts{}",
                    manifest.reference.short(),
                    first.place(),
                    manifest.place(),
                    match source {
                        Source::Judged => ", unless --policy gives another",
                        Source::Given | Source::State => "",
                    },
                ));
            }
        }
        let read = here
            .into_iter()
            .filter_map(|(identity, manifest)| Some((identity, manifest.fact().transpose()?)));
        self.objects.extend(read);
    }
}

/// Where cluster Secrets stand in files, by their names.
pub(crate) fn cluster_places<'m>(
    manifests: impl IntoIterator<Item = &'m Manifest>,
) -> BTreeMap<String, String> {
    let secrets = manifests.into_iter();
    secrets
        .filter(|manifest| manifest.kind == Kind::ClusterSecret)
        .filter_map(|manifest| Some((manifest.reference.name.clone()?, manifest.place())))
        .collect()
}

impl Facts {
    /// What tells an object of a file from all others here.
    pub(crate) fn identity(&self, manifest: &Manifest) -> Identity {
        manifest.identity(&self.namespace)
    }

    /// Takes an object of a file as applied, if it means something where it is.
    pub(crate) fn apply(&mut self, manifest: &Manifest, fact: Fact) {
        if manifest.is_fact(Source::State, &self.namespace) {
            self.set(self.identity(manifest), Some(fact));
        }
    }
}

impl Manifest {
    /// Whether Argo CD, or we, would read it as a fact where it is.
    fn is_fact(&self, source: Source, namespace: &str) -> bool {
        match self.kind {
            Kind::Application => false,
            Kind::ApplicationSet => source == Source::State,
            Kind::Policy => true,
            _ => self.reference.is_in(namespace),
        }
    }

    /// What tells it from all others, in the namespace where it would be.
    pub(crate) fn identity(&self, namespace: &str) -> Identity {
        let own = match self.kind {
            Kind::Policy => None,
            _ => self.reference.namespace.as_deref(),
        };
        let namespace = own.filter(|own| !own.is_empty()).unwrap_or(namespace);
        let reference = ObjectReference {
            namespace: Some(namespace.to_owned()),
            ..self.reference.clone()
        };
        (self.kind, reference)
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
                Fact::Parameters(config_map.application_set_controller())
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
