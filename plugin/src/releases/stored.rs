//! Which revisions of which releases a cluster keeps, by the metadata of the objects that hold
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use argocd::comparison::Ownership;
use kube::api::ApiResource;
use serde::Deserialize;
use serde_json::Value;

use super::Status;
use crate::kubernetes::resource;

/// Where Helm keeps releases, its `HELM_DRIVER`. What it keeps in a database is not seen.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Driver {
    Secret,
    ConfigMap,
}

/// What the labels of all objects that hold a revision have.
const OWNED_BY_HELM: &str = "owner=helm";
/// The type of Secrets that hold a revision.
const SECRET_TYPE: &str = "type=helm.sh/release.v1";

impl Driver {
    pub(crate) const ALL: [Driver; 2] = [Driver::Secret, Driver::ConfigMap];

    /// As Helm and kubectl call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Driver::Secret => "secret",
            Driver::ConfigMap => "configmap",
        }
    }

    /// What the objects are.
    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Driver::Secret => resource("", "v1", "Secret", "secrets"),
            Driver::ConfigMap => resource("", "v1", "ConfigMap", "configmaps"),
        }
    }

    /// The labels and the fields by which they are selected.
    pub(crate) fn selectors(self) -> (&'static str, Option<&'static str>) {
        match self {
            Driver::Secret => (OWNED_BY_HELM, Some(SECRET_TYPE)),
            Driver::ConfigMap => (OWNED_BY_HELM, None),
        }
    }
}

/// A revision, by the metadata of the object that holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StoredRevision {
    pub(crate) driver: Driver,
    pub(crate) namespace: String,
    /// The name of the object.
    pub(crate) object: String,
    pub(crate) release: String,
    pub(crate) revision: u64,
    pub(crate) status: Status,
    /// The field managers that wrote it.
    pub(crate) managers: BTreeSet<String>,
}

/// The metadata are not those of a revision.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum StoredError {
    #[error("{driver}: an object of Helm's has no metadata that can be read")]
    Metadata { driver: Driver },
    #[error("{object}: it has no label {label}")]
    NoLabel { object: String, label: &'static str },
    #[error("{object}: the label version is {value:?}, and not the number of a revision")]
    Version { object: String, value: String },
}

impl fmt::Display for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl StoredRevision {
    /// Reads the metadata of an object that holds a revision (Helm 4.3, `newSecretsObject`,
    /// `newConfigMapsObject`).
    ///
    /// # Errors
    /// A label is missing, or no number.
    pub(crate) fn of(driver: Driver, json: &str) -> Result<Self, StoredError> {
        let unreadable = |_| StoredError::Metadata { driver };
        let Object { metadata } = serde_json::from_str(json).map_err(unreadable)?;
        let whole: Value = serde_json::from_str(json).map_err(unreadable)?;
        let object = format!("{driver}/{}", metadata.name);
        let label = |label: &'static str| {
            let value = metadata.labels.get(label);
            value.ok_or_else(|| StoredError::NoLabel {
                object: format!("{} in namespace {}", object, metadata.namespace),
                label,
            })
        };
        let version = label("version")?;
        let revision = version.parse().map_err(|_| StoredError::Version {
            object: format!("{} in namespace {}", object, metadata.namespace),
            value: version.clone(),
        })?;
        let ownership = Ownership::of(&whole);
        Ok(StoredRevision {
            driver,
            release: label("name")?.clone(),
            revision,
            status: Status::of(label("status")?),
            managers: ownership
                .managers()
                .map(|one| one.manager.to_owned())
                .collect(),
            namespace: metadata.namespace,
            object: metadata.name,
        })
    }
}

/// The newest revision of a release, and what is kept beside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stored {
    pub(crate) newest: StoredRevision,
    /// How many revisions are kept, with this one.
    pub(crate) revisions: usize,
}

/// The newest revision of each release, in order of namespaces and names. A release of the same
/// name that another driver keeps is another release.
pub(crate) fn latest_of_each(revisions: impl IntoIterator<Item = StoredRevision>) -> Vec<Stored> {
    let mut releases: BTreeMap<(String, String, Driver), Stored> = BTreeMap::new();
    for revision in revisions {
        let key = (
            revision.namespace.clone(),
            revision.release.clone(),
            revision.driver,
        );
        let stored = releases.entry(key).or_insert_with(|| Stored {
            newest: revision.clone(),
            revisions: 0,
        });
        stored.revisions += 1;
        if revision.revision > stored.newest.revision {
            stored.newest = revision;
        }
    }
    releases.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(name: &str, labels: &Value) -> String {
        json!({"metadata": {
            "name": name,
            "namespace": "shop",
            "labels": labels,
            "managedFields": [
                {"manager": "Helm", "operation": "Update", "fieldsV1": {"f:data": {}}},
            ],
        }})
        .to_string()
    }

    fn revision(release: &str, number: u64, status: &str) -> StoredRevision {
        let labels = json!({
            "owner": "helm", "name": release, "version": number.to_string(), "status": status,
        });
        let name = format!("sh.helm.release.v1.{release}.v{number}");
        StoredRevision::of(Driver::Secret, &metadata(&name, &labels)).unwrap()
    }

    #[test]
    fn a_revision_is_known_by_its_labels() {
        let orders = revision("orders", 12, "pending-upgrade");
        assert_eq!(orders.release, "orders");
        assert_eq!(orders.revision, 12);
        assert_eq!(orders.status, Status::PendingUpgrade);
        assert_eq!(orders.namespace, "shop");
        assert!(orders.managers.contains("Helm"));
    }

    #[test]
    fn an_object_without_the_labels_of_helm_is_named() {
        let error = |labels: Value| {
            let text = metadata("sh.helm.release.v1.orders.v1", &labels);
            StoredRevision::of(Driver::Secret, &text)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(json!({"owner": "helm"})),
            "secret/sh.helm.release.v1.orders.v1 in namespace shop: it has no label version"
        );
        assert_eq!(
            error(json!({"version": "one", "name": "orders", "status": "deployed"})),
            "secret/sh.helm.release.v1.orders.v1 in namespace shop: the label version is \"one\", \
             and not the number of a revision"
        );
        let broken = StoredRevision::of(Driver::ConfigMap, "{}").unwrap_err();
        assert!(broken.to_string().starts_with("configmap: "));
    }

    #[test]
    fn the_newest_revision_counts_by_its_number_and_not_by_its_name() {
        let stored = latest_of_each([
            revision("orders", 9, "superseded"),
            revision("orders", 10, "deployed"),
            revision("orders", 2, "superseded"),
            revision("cart", 1, "failed"),
        ]);
        let told: Vec<_> = stored
            .iter()
            .map(|one| (&*one.newest.release, one.newest.revision, one.revisions))
            .collect();
        assert_eq!(told, [("cart", 1, 1), ("orders", 10, 3)]);
    }

    #[test]
    fn releases_of_one_name_of_two_drivers_or_namespaces_are_two() {
        let secret = revision("orders", 1, "deployed");
        let config_map = StoredRevision {
            driver: Driver::ConfigMap,
            ..secret.clone()
        };
        let elsewhere = StoredRevision {
            namespace: "other".to_owned(),
            ..secret.clone()
        };
        assert_eq!(latest_of_each([secret, config_map, elsewhere]).len(), 3);
    }
}
