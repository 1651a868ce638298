//! What a service account with a bearer token leaves on the cluster that it was for, and taking it
//! away.

use argocd::cluster::ServiceAccount;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kube::api::ApiResource;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::kubernetes::{AccessError, ApiServer, Objects, of_all_namespaces, resource};
use crate::plan::{Change, Outcome, Step};

/// The `ClusterRole` that `argocd cluster add` makes.
const ROLE: &str = "argocd-manager-role";

/// The type of a Secret that holds a token which never expires.
const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";

/// The annotation by which such a Secret names its service account.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

/// One thing that is taken away.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Deletes an object.
    Delete {
        objects: Objects,
        name: String,
        uid: String,
    },
    /// Takes the service account out of a binding that has other subjects.
    Unbind {
        objects: Objects,
        name: String,
        uid: String,
        subjects: Vec<Value>,
    },
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Metadata,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    uid: String,
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Binding {
    metadata: Metadata,
    subjects: Vec<Value>,
    role_ref: RoleRef,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct RoleRef {
    kind: String,
    name: String,
}

/// What there is of a service account, in the order in which it is taken away: first its rights,
/// then its tokens, then itself.
///
/// # Errors
/// Something cannot be read.
pub(crate) async fn steps(
    server: &ApiServer,
    cluster: &str,
    account: &ServiceAccount,
) -> Result<Vec<Step<Action>>, AccessError> {
    let (of_cluster, of_namespaces, secrets, itself, role) = tokio::try_join!(
        bindings(server, "ClusterRoleBinding", "clusterrolebindings"),
        bindings(server, "RoleBinding", "rolebindings"),
        token_secrets(server, account),
        get(
            server,
            core("ServiceAccount", "serviceaccounts", account),
            &account.name
        ),
        get(
            server,
            of_all_namespaces(rbac("ClusterRole", "clusterroles")),
            ROLE
        ),
    )?;
    let is_bound_otherwise = of_cluster.iter().chain(&of_namespaces).any(|binding| {
        binding.role_ref.kind == "ClusterRole"
            && binding.role_ref.name == ROLE
            && !binding.binds_only(account)
    });
    let is_own = |binding: &Binding| binding.binds(account) && binding.role_ref.name == ROLE;
    let has_own = of_cluster.iter().chain(&of_namespaces).any(is_own);
    let mut steps = Vec::new();
    // Before its bindings, by which it is known: a run that was cut off in between finds what is
    // left.
    if has_own && !is_bound_otherwise {
        let objects = of_all_namespaces(rbac("ClusterRole", "clusterroles"));
        let is = "what `argocd cluster add` gives its service account";
        steps.extend(role.map(|role| delete(cluster, objects, &role.metadata, is)));
    }
    for binding in &of_cluster {
        let objects = of_all_namespaces(rbac("ClusterRoleBinding", "clusterrolebindings"));
        steps.extend(binding.step(cluster, objects, account));
    }
    for binding in &of_namespaces {
        let objects = Objects {
            resource: rbac("RoleBinding", "rolebindings"),
            namespace: binding.metadata.namespace.clone(),
        };
        steps.extend(binding.step(cluster, objects, account));
    }
    for secret in secrets {
        let objects = core("Secret", "secrets", account);
        let is = "a token that never expires";
        steps.push(delete(cluster, objects, &secret.metadata, is));
    }
    let objects = core("ServiceAccount", "serviceaccounts", account);
    let is = "whom the token lets in";
    steps.extend(itself.map(|itself| delete(cluster, objects, &itself.metadata, is)));
    Ok(steps)
}

/// The tokens of an account that are stored on the cluster. They are for being tried.
///
/// # Errors
/// They cannot be read.
pub(crate) async fn tokens(
    server: &ApiServer,
    account: &ServiceAccount,
) -> Result<Vec<SecretString>, AccessError> {
    #[derive(Deserialize)]
    struct TokenSecret {
        metadata: Metadata,
        #[serde(default)]
        data: Data,
    }
    #[derive(Default, Deserialize)]
    struct Data {
        token: Option<Zeroizing<String>>,
    }
    let read = |json: &str| {
        let secret: TokenSecret = serde_json::from_str(json).ok()?;
        let is_its = secret.metadata.annotations.get(ACCOUNT) == Some(&account.name);
        let token = secret.data.token.filter(|_| is_its)?;
        let token = BASE64_STANDARD.decode(&*token).ok()?;
        Some(SecretString::from(String::from_utf8(token).ok()?))
    };
    let objects = core("Secret", "secrets", account);
    let all = server.list_by_fields(&objects, &of_type(), read).await?;
    Ok(all.into_iter().flatten().collect())
}

/// Does one of them, or only asks.
///
/// # Errors
/// It is not done.
pub(crate) async fn act(
    server: &ApiServer,
    action: &Action,
    only_ask: bool,
) -> Result<Outcome, AccessError> {
    match action {
        Action::Delete { objects, name, uid } => {
            server.delete(objects, name, uid, only_ask).await?;
        }
        Action::Unbind {
            objects,
            name,
            uid,
            subjects,
        } => {
            let change = json!({"metadata": {"uid": uid}, "subjects": subjects});
            server
                .patch(objects, name, &change, only_ask, |_| ())
                .await?;
        }
    }
    Ok(if only_ask {
        Outcome::WouldBeDone
    } else {
        Outcome::Done
    })
}

impl Binding {
    fn binds(&self, account: &ServiceAccount) -> bool {
        self.subjects.iter().any(|subject| is(subject, account))
    }

    fn binds_only(&self, account: &ServiceAccount) -> bool {
        self.subjects.iter().all(|subject| is(subject, account))
    }

    /// None where it does not bind the account.
    fn step(
        &self,
        cluster: &str,
        objects: Objects,
        account: &ServiceAccount,
    ) -> Option<Step<Action>> {
        if !self.binds(account) {
            return None;
        }
        let is = format!("gives it {} {}", self.role_ref.kind, self.role_ref.name);
        if self.binds_only(account) {
            return Some(delete(cluster, objects, &self.metadata, &is));
        }
        let others = self
            .subjects
            .iter()
            .filter(|subject| !self::is(subject, account));
        let what = objects.one_or_all(Some(&self.metadata.name));
        Some(Step {
            what: format!("{what} on {cluster}"),
            is,
            change: Change::Make {
                should_be: "without it; others stay bound".to_owned(),
                how: vec![format!("kubectl edit {what}")],
                undo: Vec::new(),
                action: Action::Unbind {
                    objects,
                    name: self.metadata.name.clone(),
                    uid: self.metadata.uid.clone(),
                    subjects: others.cloned().collect(),
                },
            },
        })
    }
}

fn is(subject: &Value, account: &ServiceAccount) -> bool {
    subject["kind"] == "ServiceAccount"
        && subject["name"] == account.name.as_str()
        && subject["namespace"] == account.namespace.as_str()
}

fn delete(cluster: &str, objects: Objects, metadata: &Metadata, is: &str) -> Step<Action> {
    let what = objects.one_or_all(Some(&metadata.name));
    let namespace = objects.namespace.as_ref();
    let namespace = namespace.map_or_else(String::new, |namespace| format!(" -n {namespace}"));
    Step {
        what: format!("{what} on {cluster}"),
        is: is.to_owned(),
        change: Change::Make {
            should_be: "gone".to_owned(),
            how: vec![format!(
                "kubectl delete {}/{}{namespace}",
                objects.qualified(),
                metadata.name
            )],
            undo: Vec::new(),
            action: Action::Delete {
                objects,
                name: metadata.name.clone(),
                uid: metadata.uid.clone(),
            },
        },
    }
}

fn rbac(kind: &str, plural: &str) -> ApiResource {
    resource("rbac.authorization.k8s.io", "v1", kind, plural)
}

fn core(kind: &str, plural: &str, account: &ServiceAccount) -> Objects {
    Objects {
        resource: resource("", "v1", kind, plural),
        namespace: Some(account.namespace.clone()),
    }
}

async fn bindings(
    server: &ApiServer,
    kind: &str,
    plural: &str,
) -> Result<Vec<Binding>, AccessError> {
    let read = |json: &str| serde_json::from_str::<Binding>(json).unwrap_or_default();
    server
        .list(&of_all_namespaces(rbac(kind, plural)), None, read)
        .await
}

/// The Secrets that hold tokens of an account. Of their values nothing is kept.
async fn token_secrets(
    server: &ApiServer,
    account: &ServiceAccount,
) -> Result<Vec<Object>, AccessError> {
    let objects = core("Secret", "secrets", account);
    let read = |json: &str| serde_json::from_str::<Object>(json).unwrap_or_default();
    let all = server.list_by_fields(&objects, &of_type(), read).await?;
    let is_its = |secret: &Object| secret.metadata.annotations.get(ACCOUNT) == Some(&account.name);
    Ok(all.into_iter().filter(is_its).collect())
}

fn of_type() -> String {
    format!("type={TOKEN_TYPE}")
}

async fn get(
    server: &ApiServer,
    objects: Objects,
    name: &str,
) -> Result<Option<Object>, AccessError> {
    let read = |json: &str| serde_json::from_str::<Object>(json).unwrap_or_default();
    server.get(&objects, name, read).await
}
