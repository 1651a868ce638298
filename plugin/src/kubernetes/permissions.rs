//! Who the user is to the API server, and what they may do.

use serde::Deserialize;
use serde_json::json;

use super::api_server::{AccessError, ApiServer, Objects};
use super::resource::{of_all_namespaces, resource};

/// The user as the API server knows them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct User {
    pub(crate) username: String,
    pub(crate) groups: Vec<String>,
}

impl User {
    /// `NAMESPACE/NAME`, if it is a service account.
    pub(crate) fn service_account(&self) -> Option<String> {
        let account = self.username.strip_prefix("system:serviceaccount:")?;
        Some(account.replacen(':', "/", 1))
    }
}

/// Whether the user may do something.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Permission {
    pub(crate) allowed: bool,
    /// What says so, in the API server's words; empty if nothing does.
    pub(crate) reason: String,
}

#[derive(Deserialize)]
struct SelfSubjectReview {
    status: SelfSubjectReviewStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SelfSubjectReviewStatus {
    user_info: User,
}

#[derive(Deserialize)]
struct SelfSubjectAccessReview {
    status: Permission,
}

/// Asks who the user is. An API server may not say.
pub(crate) async fn who_am_i(server: &ApiServer) -> Option<User> {
    whoami(server).await.ok()
}

/// The same.
///
/// # Errors
/// There is no answer.
pub(crate) async fn whoami(server: &ApiServer) -> Result<User, AccessError> {
    let (group, version, kind) = ("authentication.k8s.io", "v1", "SelfSubjectReview");
    let reviews = of_all_namespaces(resource(group, version, kind, "selfsubjectreviews"));
    let question = json!({"apiVersion": reviews.resource.api_version, "kind": kind});
    let review: SelfSubjectReview = server.ask(&reviews, &question).await?;
    Ok(review.status.user_info)
}

/// Asks whether the user may do something to an object.
///
/// # Errors
/// There is no answer.
pub(crate) async fn may_i(
    server: &ApiServer,
    verb: &str,
    objects: &Objects,
    name: &str,
) -> Result<Permission, AccessError> {
    let (group, version, kind) = ("authorization.k8s.io", "v1", "SelfSubjectAccessReview");
    let reviews = of_all_namespaces(resource(group, version, kind, "selfsubjectaccessreviews"));
    let of = &objects.resource;
    let question = json!({
        "apiVersion": reviews.resource.api_version,
        "kind": kind,
        "spec": {"resourceAttributes": {
            "verb": verb,
            "group": of.group,
            "version": of.version,
            "resource": of.plural,
            "namespace": objects.namespace,
            "name": name,
        }},
    });
    let review: SelfSubjectAccessReview = server.ask(&reviews, &question).await?;
    Ok(review.status)
}
