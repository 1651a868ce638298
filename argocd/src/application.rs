//! Application: the part of it that anything here reads, borrowed from the document.
//!
//! Decoding follows Go's: names are case-sensitive, unknown fields are ignored, `null` leaves the
//! zero value, a value of a wrong type is an error. Of `status`, by far the largest part, only the
//! kinds of resources, the compared revisions and a running operation are kept.

mod operation;
pub mod revision;
mod source;
mod spec;
mod status;
mod sync_policy;

use std::collections::BTreeSet;

use golang::json::{Text, object, optional_object};
use serde::Deserialize;

pub use self::operation::{Operation, SyncOperation};
pub use self::source::{
    ApplicationSource, DrySource, HydrateTo, Options, SourceHydrator, Sources, SyncSource,
};
pub use self::spec::{ApplicationDestination, ApplicationSpec, IgnoreDifference};
use self::status::{ApplicationStatus, SyncStatus};
pub use self::status::{OperationState, ResourceStatus};
pub use self::sync_policy::{Automated, AutomatedSync, EnabledField, SyncPolicy};
use crate::kubernetes::Metadata;
use crate::names::{GROUP, RESOURCES_FINALIZERS};

/// An Application as its document has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Application<'a> {
    /// Name, namespace, labels, annotations.
    #[serde(borrow, deserialize_with = "object")]
    pub metadata: Metadata<'a>,
    /// What is to be deployed where.
    #[serde(borrow, deserialize_with = "object")]
    pub spec: ApplicationSpec<'a>,
    /// A sync that was asked for and has not ended.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub operation: Option<Operation<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    status: ApplicationStatus<'a>,
}

impl<'a> Application<'a> {
    /// Reads an Application from its JSON.
    ///
    /// # Errors
    /// The text is not JSON, or a value has another type than the CRD says.
    pub fn from_json(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The kinds of resources that Argo CD found at its last comparison; none if it has not
    /// compared yet. It is a cache, so it decides nothing alone.
    pub fn resource_kinds(&self) -> BTreeSet<&ResourceStatus<'a>> {
        self.status.resources.iter().collect()
    }

    /// Whether there are Applications or ApplicationSets among its resources, as in an app-of-apps.
    /// Like all of [`Application::resource_kinds`], it is what Argo CD found at its last
    /// comparison.
    pub fn manages_applications(&self) -> bool {
        let is_one = |resource: &ResourceStatus<'_>| {
            resource.group == GROUP
                && matches!(resource.kind.as_str(), "Application" | "ApplicationSet")
        };
        self.status.resources.iter().any(is_one)
    }

    /// Whether its deletion takes its resources along (Argo CD 3.5,
    /// `Application.CascadedDeletion`). How Kubernetes is asked to delete it plays no part.
    pub fn cascades_deletion(&self) -> bool {
        let finalizers = &self.metadata.finalizers;
        let is_one = |finalizer: &Text<'_>| RESOURCES_FINALIZERS.contains(&finalizer.as_str());
        finalizers.iter().any(is_one)
    }

    /// The revisions that Argo CD resolved the spec to at its last comparison.
    pub fn compared_revisions(&self) -> impl Iterator<Item = &str> {
        let SyncStatus {
            revision,
            revisions,
        } = &self.status.sync;
        std::iter::once(revision).chain(revisions).map(Text::as_str)
    }

    /// The operation that the status says is under way, if it says so (Argo CD 3.5,
    /// `isOperationInProgress`).
    pub fn running_operation(&self) -> Option<&OperationState<'a>> {
        let state = self.status.operation_state.as_ref()?;
        (!matches!(state.phase.as_str(), "Succeeded" | "Failed" | "Error")).then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_is_an_error() {
        assert!(Application::from_json(r#"{"spec":{"project":7}}"#).is_err());
        assert!(
            Application::from_json(r#"{"spec":{"syncPolicy":{"automated":{"prune":"true"}}}}"#)
                .is_err()
        );
    }

    #[test]
    fn only_argo_cds_own_finalizers_take_resources_along() {
        let cascades = |finalizers: &str| {
            let json = format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#);
            Application::from_json(&json).unwrap().cascades_deletion()
        };
        for finalizer in RESOURCES_FINALIZERS {
            assert!(cascades(&format!(
                r#"["foregroundDeletion","{finalizer}"]"#
            )));
        }
        for finalizers in [
            "null",
            "[]",
            r#"["post-delete-finalizer.argocd.argoproj.io"]"#,
            r#"["resources-finalizer.argocd.argoproj.io/other"]"#,
        ] {
            assert!(!cascades(finalizers), "{finalizers}");
        }
    }

    #[test]
    fn an_app_of_apps_is_known_by_its_resources() {
        let manages = |group: &str, kind: &str| {
            let json = format!(
                r#"{{"status":{{"resources":[{{"kind":"Service"}},{{"group":"{group}","kind":"{kind}"}}]}}}}"#
            );
            Application::from_json(&json)
                .unwrap()
                .manages_applications()
        };
        assert!(manages("argoproj.io", "Application"));
        assert!(manages("argoproj.io", "ApplicationSet"));
        assert!(!manages("argoproj.io", "AppProject"));
        assert!(!manages("argoproj.io", "Rollout"));
        assert!(!manages("app.k8s.io", "Application"));
    }

    #[test]
    fn resource_kinds_come_from_the_last_comparison() {
        let json = r#"{"status":{"resources":[{"kind":"Service","name":"a"},{"group":"apps","kind":"Deployment"}]}}"#;
        let application = Application::from_json(json).unwrap();
        let kinds = application.resource_kinds();
        assert_eq!(
            kinds.iter().map(|k| k.kind.as_str()).collect::<Vec<_>>(),
            ["Service", "Deployment"]
        );
        let never_compared = Application::from_json("{}").unwrap();
        assert!(never_compared.resource_kinds().is_empty());
    }
}
