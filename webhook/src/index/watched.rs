//! Objects as they come off the wire.
//!
//! [`Watched`] takes any object that has a name, and reads as much of it as its type wants. What
//! cannot be read is marked, not refused: one odd object must not end the watch of all.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use argocd::cluster::ClusterSecret;
use argocd::repository::ScopedRepository;
use argocd::settings::ParametersConfigMap;
use argocd::settings::{DefinitionError, InstalledApi};
use argocd::settings::{Settings, SettingsConfigMap};
use argocd::{AppProject, ApplicationSet, Cluster, RepositorySecret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::Resource;
use policy::decode::from_json;
use policy::{GitOpsPolicy, GitOpsPolicySpec, Kind};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;
use tracing::warn;

use crate::labels::WatchedKind;

/// Why an object was left out. It says where, and never what is there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// It does not have the form of its kind.
    #[error("{0}")]
    Form(String),
    /// It has, but a value in it makes no sense.
    #[error("{0}")]
    Value(String),
}

impl From<policy::Unreadable> for Unreadable {
    fn from(error: policy::Unreadable) -> Self {
        Unreadable::Form(error.without_value())
    }
}

/// What is watched of one kind.
pub trait Watchable: Sized + Send + 'static {
    /// What is kept of an object: what is read of it, and nothing that may change without
    /// consequence.
    type Content: Clone + PartialEq + Send + 'static;
    /// Namespaced or not.
    type Scope: 'static;
    /// API group.
    const GROUP: &'static str;
    /// API version.
    const VERSION: &'static str;
    /// Kind.
    const KIND: &'static str;
    /// Resource name.
    const PLURAL: &'static str;
    /// The watch of these objects.
    const WATCHED: WatchedKind;
    /// What to call these objects in a log, and when they are waited for.
    const DESCRIPTION: &'static str = Self::WATCHED.as_str();

    /// Reads what is kept.
    ///
    /// # Errors
    /// The object cannot be read.
    fn read(json: &str) -> Result<Self::Content, Unreadable>;
}

/// What is kept of an object, or why it is left out.
pub type Content<T> = Result<<T as Watchable>::Content, Unreadable>;

/// An object of a watched kind.
pub struct Watched<T: Watchable> {
    metadata: ObjectMeta,
    /// What is kept of it.
    pub content: Content<T>,
    kind: PhantomData<T>,
}

impl<T: Watchable> Watched<T> {
    /// The object's name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}

impl<T: Watchable> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Watched {
            metadata: self.metadata.clone(),
            content: self.content.clone(),
            kind: PhantomData,
        }
    }
}

impl<T: Watchable> fmt::Debug for Watched<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", T::DESCRIPTION, self.name())
    }
}

impl<'de, T: Watchable> Deserialize<'de> for Watched<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            name: String,
            namespace: Option<String>,
            resource_version: Option<String>,
        }
        #[derive(Deserialize)]
        struct Named {
            metadata: Metadata,
        }
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let named: Named = serde_json::from_str(json.get())
            .map_err(|_| D::Error::custom("an object without a name"))?;
        Ok(Watched {
            metadata: ObjectMeta {
                name: Some(named.metadata.name),
                namespace: named.metadata.namespace,
                resource_version: named.metadata.resource_version,
                ..ObjectMeta::default()
            },
            content: T::read(json.get()),
            kind: PhantomData,
        })
    }
}

impl<T: Watchable> Resource for Watched<T> {
    type DynamicType = ();
    type Scope = T::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        T::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        T::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        T::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        T::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// AppProjects.
#[derive(Debug)]
pub struct ProjectObject;

impl Watchable for ProjectObject {
    type Content = AppProject;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = Kind::AppProject.group();
    const VERSION: &'static str = Kind::AppProject.version();
    const KIND: &'static str = Kind::AppProject.as_str();
    const PLURAL: &'static str = Kind::AppProject.plural();
    const WATCHED: WatchedKind = WatchedKind::Project;

    fn read(json: &str) -> Result<AppProject, Unreadable> {
        let mut project: AppProject = from_json(json)?;
        project.metadata.annotations.retain(|key, _| is_read(key));
        Ok(project)
    }
}

/// Of the annotations of AppProjects and ApplicationSets, those of the gate itself are read. By
/// others Argo CD and its tools talk to themselves.
fn is_read(annotation: &str) -> bool {
    let group = annotation.split_once('/').map(|(group, _)| group);
    group == Some(PolicyObject::GROUP)
}

/// Cluster Secrets, without their credentials.
#[derive(Debug)]
pub struct ClusterObject;

impl Watchable for ClusterObject {
    type Content = Cluster;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = Kind::ClusterSecret.group();
    const VERSION: &'static str = Kind::ClusterSecret.version();
    const KIND: &'static str = Kind::ClusterSecret.as_str();
    const PLURAL: &'static str = Kind::ClusterSecret.plural();
    const WATCHED: WatchedKind = WatchedKind::Cluster;

    fn read(json: &str) -> Result<Cluster, Unreadable> {
        let secret: ClusterSecret<'_> = from_json(json)?;
        let cluster = secret
            .cluster()
            .map_err(|error| Unreadable::Value(crate::chain(&error)))?;
        if let Err(error) = secret.config() {
            // ApplicationSets still see it, so it is kept.
            warn!(
                name = secret.metadata.name.as_str(),
                reason = crate::chain(&error),
                "no destination: Argo CD cannot read this cluster Secret"
            );
        }
        Ok(cluster)
    }
}

/// ApplicationSets, whose Applications come and go with clusters.
#[derive(Debug)]
pub struct ApplicationSetObject;

impl Watchable for ApplicationSetObject {
    type Content = Arc<ApplicationSet<'static>>;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = Kind::ApplicationSet.group();
    const VERSION: &'static str = Kind::ApplicationSet.version();
    const KIND: &'static str = Kind::ApplicationSet.as_str();
    const PLURAL: &'static str = Kind::ApplicationSet.plural();
    const WATCHED: WatchedKind = WatchedKind::ApplicationSet;

    fn read(json: &str) -> Result<Arc<ApplicationSet<'static>>, Unreadable> {
        let set: ApplicationSet<'_> = from_json(json)?;
        let mut set = set.into_owned();
        let annotations = set.metadata.annotations.iter();
        let read = annotations.filter(|(key, _)| is_read(key));
        set.metadata.annotations = read
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(Arc::new(set))
    }
}

/// Repository Secrets, of which the URL and the project are kept where there is a project.
#[derive(Debug)]
pub struct RepositoryObject;

impl Watchable for RepositoryObject {
    type Content = Option<ScopedRepository>;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = Kind::RepositorySecret.group();
    const VERSION: &'static str = Kind::RepositorySecret.version();
    const KIND: &'static str = Kind::RepositorySecret.as_str();
    const PLURAL: &'static str = Kind::RepositorySecret.plural();
    const WATCHED: WatchedKind = WatchedKind::Repository;

    fn read(json: &str) -> Result<Option<ScopedRepository>, Unreadable> {
        let secret: RepositorySecret<'_> = from_json(json)?;
        secret
            .scoped()
            .map_err(|error| Unreadable::Value(error.to_string()))
    }
}

/// `argocd-cm`, of which the settings that decide on scope and differences are kept.
#[derive(Debug)]
pub struct SettingsObject;

impl Watchable for SettingsObject {
    type Content = WrittenSettings;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = Kind::Settings.group();
    const VERSION: &'static str = Kind::Settings.version();
    const KIND: &'static str = Kind::Settings.as_str();
    const PLURAL: &'static str = Kind::Settings.plural();
    const WATCHED: WatchedKind = WatchedKind::Settings;

    fn read(json: &str) -> Result<WrittenSettings, Unreadable> {
        let written: SettingsConfigMap = from_json(json)?;
        let written = written.without_unread();
        Ok(WrittenSettings {
            settings: written.settings(),
            written,
        })
    }
}

/// Settings, which differ if what they are written as does.
#[derive(Clone, Debug)]
pub struct WrittenSettings {
    written: SettingsConfigMap,
    /// What they say.
    pub settings: Settings,
}

impl PartialEq for WrittenSettings {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// `argocd-cmd-params-cm`, of which is kept where Argo CD has its objects.
#[derive(Debug)]
pub struct ParametersObject;

impl Watchable for ParametersObject {
    type Content = ParametersConfigMap;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = Kind::Parameters.group();
    const VERSION: &'static str = Kind::Parameters.version();
    const KIND: &'static str = Kind::Parameters.as_str();
    const PLURAL: &'static str = Kind::Parameters.plural();
    const WATCHED: WatchedKind = WatchedKind::Parameters;

    fn read(json: &str) -> Result<ParametersConfigMap, Unreadable> {
        Ok(from_json(json)?)
    }
}

/// The GitOpsPolicy.
#[derive(Debug)]
pub struct PolicyObject;

impl Watchable for PolicyObject {
    type Content = Box<GitOpsPolicySpec>;
    type Scope = ClusterResourceScope;
    const GROUP: &'static str = Kind::Policy.group();
    const VERSION: &'static str = Kind::Policy.version();
    const KIND: &'static str = Kind::Policy.as_str();
    const PLURAL: &'static str = Kind::Policy.plural();
    const WATCHED: WatchedKind = WatchedKind::Policy;

    fn read(json: &str) -> Result<Box<GitOpsPolicySpec>, Unreadable> {
        // A policy holds no secrets, and whoever wrote it needs to know what is wrong with it.
        from_json(json)
            .map(|policy: GitOpsPolicy| Box::new(policy.spec))
            .map_err(|error| Unreadable::Value(error.to_string()))
    }
}

/// The CustomResourceDefinition of Application, of which is kept what it says of the installed Argo
/// CD.
#[derive(Debug)]
pub struct ApplicationDefinition;

impl Watchable for ApplicationDefinition {
    type Content = InstalledApi;
    type Scope = ClusterResourceScope;
    const GROUP: &'static str = "apiextensions.k8s.io";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "CustomResourceDefinition";
    const PLURAL: &'static str = "customresourcedefinitions";
    const WATCHED: WatchedKind = WatchedKind::ApplicationDefinition;

    fn read(json: &str) -> Result<InstalledApi, Unreadable> {
        InstalledApi::of_definition(json).map_err(|error| {
            Unreadable::Value(match error {
                DefinitionError::Form(error) => {
                    format!("unexpected value at column {} of its JSON", error.column())
                }
                DefinitionError::NoSchema => error.to_string(),
            })
        })
    }
}

/// The CustomResourceDefinition of `ImageUpdater`, of which is kept that it is there.
#[derive(Debug)]
pub struct ImageUpdaterDefinition;

impl Watchable for ImageUpdaterDefinition {
    type Content = ();
    type Scope = ClusterResourceScope;
    const GROUP: &'static str = ApplicationDefinition::GROUP;
    const VERSION: &'static str = ApplicationDefinition::VERSION;
    const KIND: &'static str = ApplicationDefinition::KIND;
    const PLURAL: &'static str = ApplicationDefinition::PLURAL;
    const WATCHED: WatchedKind = WatchedKind::ImageUpdaterDefinition;

    fn read(_: &str) -> Result<(), Unreadable> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::json;

    use super::*;

    fn watched<T: Watchable>(object: &serde_json::Value) -> Watched<T> {
        serde_json::from_str(&object.to_string()).unwrap()
    }

    fn base64(text: &str) -> String {
        BASE64_STANDARD.encode(text)
    }

    #[test]
    fn a_cluster_is_kept_without_its_credentials() {
        let token = "a-very-secret-token";
        let config = format!(r#"{{"bearerToken":"{token}"}}"#);
        let cluster = watched::<ClusterObject>(&json!({
            "metadata": {
                "name": "prod", "resourceVersion": "7",
                "labels": {"environment": "prod"},
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": config,
                    "note": "kept",
                },
                "managedFields": [{"manager": "kubectl"}],
            },
            "data": {"name": base64("prod"), "server": base64("https://prod/"), "config": base64(&config)},
        }));
        assert_eq!(cluster.name(), "prod");
        let kept = cluster.content.as_ref().unwrap();
        assert_eq!(kept.server, "https://prod");
        assert_eq!(kept.labels["environment"], "prod");
        // That it is there is all that is kept of it.
        let last_applied = "kubectl.kubernetes.io/last-applied-configuration";
        assert_eq!(
            kept.annotations.keys().collect::<Vec<_>>(),
            [last_applied, "note"]
        );
        assert_eq!(kept.annotations[last_applied], "");
        let everything = format!("{kept:?} {:?}", cluster.metadata);
        assert!(!everything.contains(token), "{everything}");
        assert!(!everything.contains(&base64(&config)), "{everything}");
    }

    #[test]
    fn an_unreadable_object_is_marked_and_nothing_of_it_is_told() {
        let secret = watched::<ClusterObject>(&json!({
            "metadata": {"name": "odd", "resourceVersion": "7"},
            "data": {"server": "hunter2!", "config": 5},
        }));
        let error = secret.content.unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(!error.contains('5') || error.contains("column"), "{error}");
    }
}
