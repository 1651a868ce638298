//! The little of Kubernetes' own types that is read.

pub mod names;
mod selector;
mod string_map;

use golang::json::{Text, null_as_default, objects};
use serde::Deserialize;

pub use selector::{InvalidSelector, LabelSelector, LabelSelectorRequirement, Selector};
pub use string_map::StringMap;

/// The part of an object's `metadata` that is read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata<'a> {
    /// Empty in a manifest that relies on `generateName`.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Empty in a manifest that leaves it to the client.
    #[serde(borrow)]
    pub namespace: Text<'a>,
    /// Labels.
    #[serde(borrow)]
    pub labels: StringMap<'a>,
    /// Annotations, without the one that `kubectl apply` keeps.
    #[serde(borrow)]
    pub annotations: StringMap<'a>,
    /// What keeps it from going when it is deleted.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub finalizers: Vec<Text<'a>>,
    /// When it was asked to go; empty as long as it was not.
    #[serde(borrow)]
    pub deletion_timestamp: Text<'a>,
    /// What it belongs to.
    #[serde(borrow, deserialize_with = "objects")]
    pub owner_references: Vec<OwnerReference<'a>>,
    /// What tells it from an earlier object of its name; empty in a manifest.
    #[serde(borrow)]
    pub uid: Text<'a>,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct OwnerReference<'a> {
    /// Kind of the owner.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// Name of the owner.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `metadata.uid` of the owner.
    #[serde(borrow)]
    pub uid: Text<'a>,
    /// Whether the owner manages the object.
    pub controller: Option<bool>,
}

impl OwnerReference<'_> {
    fn into_owned(self) -> OwnerReference<'static> {
        OwnerReference {
            kind: self.kind.into_owned(),
            name: self.name.into_owned(),
            uid: self.uid.into_owned(),
            controller: self.controller,
        }
    }
}

impl Metadata<'_> {
    /// The ApplicationSet that generates the object, if one does.
    pub fn application_set(&self) -> Option<&OwnerReference<'_>> {
        self.owner_references
            .iter()
            .find(|owner| owner.controller == Some(true) && owner.kind == "ApplicationSet")
    }

    /// The same, independent of the document.
    pub fn into_owned(self) -> Metadata<'static> {
        Metadata {
            name: self.name.into_owned(),
            namespace: self.namespace.into_owned(),
            labels: self.labels.into_owned(),
            annotations: self.annotations.into_owned(),
            finalizers: self.finalizers.into_iter().map(Text::into_owned).collect(),
            deletion_timestamp: self.deletion_timestamp.into_owned(),
            owner_references: self
                .owner_references
                .into_iter()
                .map(OwnerReference::into_owned)
                .collect(),
            uid: self.uid.into_owned(),
        }
    }
}
