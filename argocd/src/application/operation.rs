//! `operation`: a sync that was asked for.

use golang::json::{Text, null_as_default, objects, optional_object};
use serde::Deserialize;

use super::source::ApplicationSource;

/// `operation`: a request to sync. Whoever may patch the Application can write any of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation<'a> {
    /// What to sync.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub sync: Option<SyncOperation<'a>>,
}

/// `operation.sync`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncOperation<'a> {
    /// Replaces the revision of the only source.
    #[serde(borrow)]
    pub revision: Text<'a>,
    /// Replaces the revisions of several sources.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub revisions: Vec<Text<'a>>,
    /// Replaces the spec's source for this sync.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub source: Option<ApplicationSource<'a>>,
    /// Replaces the spec's sources for this sync.
    #[serde(borrow, deserialize_with = "objects")]
    pub sources: Vec<ApplicationSource<'a>>,
    /// Literal manifests to apply in place of any source.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub manifests: Vec<Text<'a>>,
}
