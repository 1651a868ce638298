//! Objects as they come off the wire.
//!
//! [`Watched`] takes any object that has a name, and reads as much of it as its type wants. What cannot
//! be read is marked, not refused: one odd object must not end the watch of all.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use argocd::application::EnabledField;
use argocd::cluster::ClusterSecret;
use argocd::fleet::ScopedRepository;
use argocd::settings::Settings;
use argocd::{AppProject, Cluster};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::Resource;
use policy::{GitOpsPolicy, GitOpsPolicySpec};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;

use crate::metrics::WatchedKind;

/// The only name of a GitOpsPolicy that counts.
pub const POLICY: &str = "default";
/// The name of the Application kind's CustomResourceDefinition.
pub const APPLICATION_DEFINITION: &str = "applications.argoproj.io";

/// Why an object was left out. It says where, and never what is there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// It does not have the form of its kind.
    #[error("unexpected value at column {0} of its JSON")]
    Form(usize),
    /// It has, but a value in it makes no sense.
    #[error("{0}")]
    Value(String),
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Unreadable::Form(error.column())
    }
}

/// What is watched of one kind.
pub trait Watchable: Sized + Send + 'static {
    /// What is kept of an object.
    type Content: Clone + Send + 'static;
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

/// An object of a watched kind.
pub struct Watched<T: Watchable> {
    metadata: ObjectMeta,
    /// What is kept of it.
    pub content: Result<T::Content, Unreadable>,
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
    const GROUP: &'static str = argocd::names::GROUP;
    const VERSION: &'static str = argocd::names::VERSION;
    const KIND: &'static str = "AppProject";
    const PLURAL: &'static str = "appprojects";
    const WATCHED: WatchedKind = WatchedKind::Project;

    fn read(json: &str) -> Result<AppProject, Unreadable> {
        Ok(serde_json::from_str(json)?)
    }
}

/// Cluster Secrets, without their credentials.
#[derive(Debug)]
pub struct ClusterObject;

impl Watchable for ClusterObject {
    type Content = Cluster;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Secret";
    const PLURAL: &'static str = "secrets";
    const WATCHED: WatchedKind = WatchedKind::Cluster;

    fn read(json: &str) -> Result<Cluster, Unreadable> {
        let secret: ClusterSecret<'_> = serde_json::from_str(json)?;
        // Argo CD skips a Secret whose config it cannot read, so that its cluster does not exist.
        secret
            .config()
            .and_then(|_| secret.cluster())
            .map_err(|error| Unreadable::Value(crate::chain(&error)))
    }
}

/// Repository Secrets, of which the URL and the project are kept where there is a project.
#[derive(Debug)]
pub struct RepositoryObject;

impl Watchable for RepositoryObject {
    type Content = Option<ScopedRepository>;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Secret";
    const PLURAL: &'static str = "secrets";
    const WATCHED: WatchedKind = WatchedKind::Repository;

    fn read(json: &str) -> Result<Option<ScopedRepository>, Unreadable> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Data<'a> {
            #[serde(borrow)]
            url: argocd::text::Text<'a>,
            #[serde(borrow)]
            project: argocd::text::Text<'a>,
        }
        #[derive(Deserialize)]
        struct Repository<'a> {
            #[serde(borrow)]
            data: Option<Data<'a>>,
        }
        let secret: Repository<'_> = serde_json::from_str(json)?;
        let data = secret.data.unwrap_or_default();
        let project = plain("data.project", &data.project)?;
        if project.is_empty() {
            return Ok(None);
        }
        let url = plain("data.url", &data.url)?;
        Ok(Some(ScopedRepository { url, project }))
    }
}

fn plain(field: &str, value: &str) -> Result<String, Unreadable> {
    BASE64_STANDARD
        .decode(value)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Unreadable::Value(format!("{field} is not base64 of a text")))
}

/// `argocd-cm`, of which the settings that decide on scope and differences are kept.
#[derive(Debug)]
pub struct SettingsObject;

impl Watchable for SettingsObject {
    type Content = Settings;
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "ConfigMap";
    const PLURAL: &'static str = "configmaps";
    const WATCHED: WatchedKind = WatchedKind::Settings;

    fn read(json: &str) -> Result<Settings, Unreadable> {
        #[derive(Deserialize)]
        struct ConfigMap {
            data: Option<BTreeMap<String, String>>,
        }
        let config_map: ConfigMap = serde_json::from_str(json)?;
        Ok(Settings::from_config_map(
            &config_map.data.unwrap_or_default(),
        ))
    }
}

/// The GitOpsPolicy.
#[derive(Debug)]
pub struct PolicyObject;

impl Watchable for PolicyObject {
    type Content = Box<GitOpsPolicySpec>;
    type Scope = ClusterResourceScope;
    const GROUP: &'static str = "kubectl-gitops.io";
    const VERSION: &'static str = "v1alpha1";
    const KIND: &'static str = "GitOpsPolicy";
    const PLURAL: &'static str = "gitopspolicies";
    const WATCHED: WatchedKind = WatchedKind::Policy;

    fn read(json: &str) -> Result<Box<GitOpsPolicySpec>, Unreadable> {
        // A policy holds no secrets, and whoever wrote it needs to know what is wrong with it.
        serde_json::from_str(json)
            .map(|policy: GitOpsPolicy| Box::new(policy.spec))
            .map_err(|error| Unreadable::Value(error.to_string()))
    }
}

/// The CustomResourceDefinition of Application, of which is kept whether it knows
/// `spec.syncPolicy.automated.enabled`.
#[derive(Debug)]
pub struct ApplicationDefinition;

impl Watchable for ApplicationDefinition {
    type Content = EnabledField;
    type Scope = ClusterResourceScope;
    const GROUP: &'static str = "apiextensions.k8s.io";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "CustomResourceDefinition";
    const PLURAL: &'static str = "customresourcedefinitions";
    const WATCHED: WatchedKind = WatchedKind::ApplicationDefinition;

    fn read(json: &str) -> Result<EnabledField, Unreadable> {
        #[derive(Deserialize)]
        struct Definition<'a> {
            #[serde(borrow)]
            spec: Spec<'a>,
        }
        #[derive(Deserialize)]
        struct Spec<'a> {
            #[serde(borrow)]
            versions: Vec<Version<'a>>,
        }
        #[derive(Deserialize)]
        struct Version<'a> {
            name: String,
            #[serde(borrow)]
            schema: Option<VersionSchema<'a>>,
        }
        #[derive(Deserialize)]
        struct VersionSchema<'a> {
            #[serde(rename = "openAPIV3Schema", borrow)]
            open_api: &'a RawValue,
        }
        let definition: Definition<'_> = serde_json::from_str(json)?;
        let mut versions = definition.spec.versions.into_iter();
        let version = versions.find(|version| version.name == argocd::names::VERSION);
        let schema = version.and_then(|version| version.schema);
        let schema = schema.ok_or_else(|| Unreadable::Value("there is no schema".to_owned()))?;
        let path = ["spec", "syncPolicy", "automated", "enabled"];
        Ok(if keeps(schema.open_api, &path)? {
            EnabledField::Supported
        } else {
            EnabledField::Dropped
        })
    }
}

/// Whether an object with this schema keeps a field, rather than dropping it as it is stored.
fn keeps(schema: &RawValue, path: &[&str]) -> Result<bool, serde_json::Error> {
    #[derive(Deserialize)]
    struct Schema<'a> {
        // Only one branch is looked at, in what is one of the largest definitions there are.
        #[serde(borrow, default)]
        properties: BTreeMap<Cow<'a, str>, &'a RawValue>,
        #[serde(rename = "x-kubernetes-preserve-unknown-fields", default)]
        preserves_unknown_fields: bool,
    }
    let [field, rest @ ..] = path else {
        return Ok(true);
    };
    let schema: Schema<'_> = serde_json::from_str(schema.get())?;
    match schema.properties.get(*field) {
        Some(property) => keeps(property, rest),
        None => Ok(schema.preserves_unknown_fields),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn watched<T: Watchable>(object: &serde_json::Value) -> Watched<T> {
        serde_json::from_str(&object.to_string()).unwrap()
    }

    fn base64(text: &str) -> String {
        BASE64_STANDARD.encode(text)
    }

    fn definition(automated: &serde_json::Value) -> serde_json::Value {
        let spec = json!({"properties": {"syncPolicy": {"properties": {"automated": automated}}}});
        json!({
            "metadata": {"name": APPLICATION_DEFINITION, "resourceVersion": "1"},
            "spec": {"versions": [{
                "name": "v1alpha1",
                "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}},
            }]},
        })
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
        assert_eq!(kept.annotations.keys().collect::<Vec<_>>(), ["note"]);
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

    #[test]
    fn a_repository_without_a_project_is_not_kept() {
        let repository = |data: serde_json::Value| {
            watched::<RepositoryObject>(&json!({"metadata": {"name": "r"}, "data": data})).content
        };
        let scoped =
            json!({"url": base64("https://git/x"), "project": base64("shop"), "password": "x"});
        assert_eq!(
            repository(scoped).unwrap(),
            Some(ScopedRepository {
                url: "https://git/x".to_owned(),
                project: "shop".to_owned(),
            })
        );
        assert_eq!(
            repository(json!({"url": base64("https://git/x")})).unwrap(),
            None
        );
        assert_eq!(repository(json!(null)).unwrap(), None);
        assert!(repository(json!({"project": "*"})).is_err());
    }

    #[test]
    fn the_definition_tells_whether_enabled_is_kept() {
        let read = |automated| watched::<ApplicationDefinition>(&definition(automated)).content;
        let known = json!({"properties": {"enabled": {"type": "boolean"}, "prune": {}}});
        assert_eq!(read(&known).unwrap(), EnabledField::Supported);
        let unknown = json!({"properties": {"prune": {}}});
        assert_eq!(read(&unknown).unwrap(), EnabledField::Dropped);
        let open = json!({"x-kubernetes-preserve-unknown-fields": true});
        assert_eq!(read(&open).unwrap(), EnabledField::Supported);
    }

    #[test]
    fn a_definition_without_a_schema_is_unreadable() {
        let definition = json!({"metadata": {"name": "x"}, "spec": {"versions": [{"name": "v1"}]}});
        assert!(
            watched::<ApplicationDefinition>(&definition)
                .content
                .is_err()
        );
    }
}
