//! What one object says about the fleet.

use std::sync::Arc;

use argocd::application::EnabledField;
use argocd::cluster::ClusterSecretError;
use argocd::fleet::{Fleet, Parts};
use argocd::repository::{RepositorySecretError, ScopedRepository};
use argocd::settings::{ParametersConfigMap, Settings, SettingsConfigMap};
use argocd::{AppProject, ApplicationSet, Cluster, ClusterSecret, RepositorySecret};
use policy::decode::from_json;
use policy::gitops_policy::InvalidPolicy;
use policy::{Completeness, GitOpsPolicy, GitOpsPolicySpec, Inventory, Kind, Unreadable};

/// What one object says.
pub(crate) enum Fact {
    Project(Box<AppProject>),
    ApplicationSet(Arc<ApplicationSet<'static>>),
    Cluster(Box<Cluster>),
    /// None for a repository that belongs to no project.
    Repository(Option<ScopedRepository>),
    Settings(Box<Settings>),
    Parameters(Box<ParametersConfigMap>),
    Policy(Box<GitOpsPolicySpec>),
}

/// Why an object says nothing. What a Secret holds is not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FactError {
    /// It is not what its kind says.
    #[error(transparent)]
    Form(#[from] Unreadable),
    /// A Secret that Argo CD does not read as a cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterSecretError),
    /// A Secret that Argo CD does not read as a repository.
    #[error(transparent)]
    Repository(#[from] RepositorySecretError),
    /// A policy that contradicts itself.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    /// An Application, by which nothing else is judged.
    #[error("it says nothing about others")]
    Application,
}

impl Fact {
    /// What an object says, by its JSON. `made_from` is the kind of the object that a controller
    /// makes it from, if one does.
    ///
    /// # Errors
    /// It is not what its kind says, or an Application.
    pub(crate) fn read(
        kind: Kind,
        json: &str,
        made_from: Option<&'static str>,
    ) -> Result<Self, FactError> {
        Ok(match kind {
            Kind::AppProject => Fact::Project(Box::new(from_json(json)?)),
            Kind::ApplicationSet => {
                let set: ApplicationSet<'_> = from_json(json)?;
                Fact::ApplicationSet(Arc::new(set.into_owned()))
            }
            Kind::ClusterSecret => {
                let mut secret: ClusterSecret<'_> = from_json(json)?;
                if let Some(kind) = made_from {
                    secret = secret.made_from(kind);
                }
                Fact::Cluster(Box::new(secret.cluster()?))
            }
            Kind::RepositorySecret => {
                let secret: RepositorySecret<'_> = from_json(json)?;
                Fact::Repository(secret.scoped()?)
            }
            Kind::Settings => {
                let config_map: SettingsConfigMap = from_json(json)?;
                Fact::Settings(Box::new(config_map.settings()))
            }
            Kind::Parameters => Fact::Parameters(Box::new(from_json(json)?)),
            Kind::Policy => {
                let policy: GitOpsPolicy = from_json(json)?;
                Fact::Policy(check_policy(policy.spec)?)
            }
            Kind::Application => return Err(FactError::Application),
        })
    }
}

/// Whether a policy makes sense by itself.
fn check_policy(spec: GitOpsPolicySpec) -> Result<Box<GitOpsPolicySpec>, InvalidPolicy> {
    let nothing = Fleet::new(Parts::default());
    let (completeness, enabled_field) = (Completeness::Partial, EnabledField::default());
    Inventory::new(nothing, completeness, enabled_field, spec.clone())?;
    Ok(Box::new(spec))
}
