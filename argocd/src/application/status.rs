//! `status` of an Application, of which little is kept.

use std::collections::BTreeSet;

use golang::json::{Text, null_as_default, object, object_set, objects, optional_object};
use serde::Deserialize;

use super::operation::Operation;
use super::source::ApplicationSource;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ApplicationStatus<'a> {
    #[serde(borrow, deserialize_with = "object_set")]
    pub(super) resources: BTreeSet<ResourceStatus<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    pub(super) sync: SyncStatus<'a>,
    #[serde(borrow, deserialize_with = "optional_object")]
    pub(super) operation_state: Option<OperationState<'a>>,
}

/// `status.operationState`: the operation that is under way, as its controller remembers it. While
/// it runs, the controller goes by this and not by `operation` (Argo CD 3.5,
/// `processRequestedAppOperation` and `SyncAppState`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationState<'a> {
    #[serde(borrow)]
    pub(super) phase: Text<'a>,
    #[serde(borrow, deserialize_with = "optional_object")]
    operation: Option<Operation<'a>>,
    #[serde(borrow, deserialize_with = "optional_object")]
    sync_result: Option<SyncResult<'a>>,
}

/// `status.operationState.syncResult`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct SyncResult<'a> {
    #[serde(borrow)]
    revision: Text<'a>,
    #[serde(borrow, deserialize_with = "null_as_default")]
    revisions: Vec<Text<'a>>,
    #[serde(borrow, deserialize_with = "optional_object")]
    source: Option<ApplicationSource<'a>>,
    #[serde(borrow, deserialize_with = "objects")]
    sources: Vec<ApplicationSource<'a>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SyncStatus<'a> {
    #[serde(borrow)]
    pub(super) revision: Text<'a>,
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub(super) revisions: Vec<Text<'a>>,
}

/// An entry of `status.resources`, of which only the kind is read.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(default)]
pub struct ResourceStatus<'a> {
    /// API group; empty for the core group.
    #[serde(borrow)]
    pub group: Text<'a>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
}
