//! The resources that objects of a kind are of, and the objects' names.

use kube::api::ApiResource;
use policy::Kind;
use serde::Deserialize;

use super::api_server::Objects;
use crate::repository::manifest::ObjectReference;

/// The resource of objects of a kind.
pub(crate) fn resource_of(kind: Kind) -> ApiResource {
    resource(kind.group(), kind.version(), kind.as_str(), kind.plural())
}

/// A resource by its names.
pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Objects that are in no namespace, or wherever they are.
pub(crate) fn of_all_namespaces(resource: ApiResource) -> Objects {
    Objects {
        resource,
        namespace: None,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    metadata: Name,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Name {
    name: String,
    namespace: Option<String>,
}

/// How an object is named, by its JSON.
pub(crate) fn reference_of(resource: &ApiResource, json: &str) -> ObjectReference {
    let Named { metadata } = serde_json::from_str(json).unwrap_or_default();
    ObjectReference {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
        namespace: metadata.namespace,
        name: Some(metadata.name),
    }
}

/// The objects of a kind in a namespace.
pub(crate) fn objects_of(kind: Kind, namespace: &str) -> Objects {
    Objects {
        resource: resource_of(kind),
        namespace: Some(namespace.to_owned()),
    }
}
