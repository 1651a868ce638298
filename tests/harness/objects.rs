//! Writing objects, and what comes back.

use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use crate::control_plane::User;
use crate::installation::{Installation, path};

/// A file of `objects/`.
#[derive(Clone, Copy, Debug)]
pub enum Base {
    /// An Application on staging.
    Staging,
    /// An Application on production.
    Production,
    /// A cluster Secret.
    Cluster,
    /// An AppProject on production.
    Project,
}

impl Base {
    fn file(self) -> &'static str {
        match self {
            Base::Staging => "harness/objects/staging.yaml",
            Base::Production => "harness/objects/production.yaml",
            Base::Cluster => "harness/objects/cluster.yaml",
            Base::Project => "harness/objects/project.yaml",
        }
    }

    /// The object under another name, changed by a JSON Merge Patch, which is written in YAML.
    pub fn with(self, name: &str, change: &str) -> Result<Value> {
        let text = fs::read_to_string(path(self.file()))?;
        let mut object: Value = serde_saphyr::from_str(&text)?;
        let change: Value =
            serde_saphyr::from_str(change).with_context(|| format!("not YAML: {change}"))?;
        json_patch::merge(&mut object, &change);
        object["metadata"]["name"] = name.into();
        Ok(object)
    }
}

/// Who writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writer {
    /// A member of `system:masters`, whom RBAC refuses nothing.
    Admin,
    /// A person with a client certificate and a Role.
    Developer,
    /// What syncs an app-of-apps.
    ApplicationController,
    /// What generates Applications.
    ApplicationSetController,
    /// Through whom everybody comes who uses Argo CD's UI or CLI.
    Server,
    /// A tool with a name like those of Argo CD's parts.
    ImageUpdater,
}

impl Writer {
    /// Those who write by themselves.
    pub const ALL: [Writer; 4] = [
        Writer::Admin,
        Writer::Developer,
        Writer::ApplicationController,
        Writer::ApplicationSetController,
    ];

    /// What a refusal begins with that is told to this writer: the object, if it is a controller.
    pub fn told_of(self, kind: &str, name: &str) -> String {
        match self {
            Writer::ApplicationController | Writer::ApplicationSetController => {
                format!("{kind} argocd/{name}: ")
            }
            _ => String::new(),
        }
    }

    /// Who it is on an installation.
    pub async fn log_in(self, installation: &Installation) -> Result<User> {
        let control_plane = installation.control_plane();
        let account = match self {
            Writer::Admin => return Ok(control_plane.admin().clone()),
            Writer::Developer => {
                return Ok(control_plane.user("alice@example.com", &["developers"])?);
            }
            Writer::ApplicationController => "argocd-application-controller",
            Writer::ApplicationSetController => "argocd-applicationset-controller",
            Writer::Server => "argocd-server",
            Writer::ImageUpdater => "argocd-image-updater",
        };
        Ok(control_plane.service_account("argocd", account).await?)
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Writer::Admin => "admin",
            Writer::Developer => "developer",
            Writer::ApplicationController => "application-controller",
            Writer::ApplicationSetController => "applicationset-controller",
            Writer::Server => "server",
            Writer::ImageUpdater => "image-updater",
        })
    }
}

/// What became of a write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It was let pass.
    Admitted,
    /// By the webhook, with this message.
    Refused(String),
}

impl Answer {
    /// The message.
    ///
    /// # Panics
    /// The write was admitted.
    pub fn refusal(self) -> String {
        match self {
            Answer::Refused(message) => message,
            Answer::Admitted => panic!("it was admitted"),
        }
    }

    /// Passes if the write was admitted.
    ///
    /// # Panics
    /// It was refused.
    pub fn admitted(self) {
        assert_eq!(self, Answer::Admitted);
    }
}

/// Splits what the API server says when a webhook refuses something.
fn webhooks_message(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("admission webhook \"")?;
    let (webhook, message) = rest.split_once("\" denied the request: ")?;
    let known = ["applications", "applicationsets", "projects", "clusters"];
    let name = webhook.strip_suffix(".kubectl-gitops.io")?;
    known.contains(&name).then_some(message)
}

/// `kubectl apply` of one object.
pub async fn kubectl_apply(user: &User, object: &Value, flags: &[&str]) -> Result<Answer> {
    let apply = user.kubectl(["apply", "-f", "-"]).arguments(flags);
    let applied = apply.input(object.to_string()).run().await?;
    if applied.status.success() {
        return Ok(Answer::Admitted);
    }
    match webhooks_message(&applied.stderr) {
        Some(message) => Ok(Answer::Refused(message.trim_end().to_owned())),
        None => bail!("kubectl failed otherwise: {}", applied.stderr),
    }
}

/// Objects of one kind in Argo CD's namespace.
pub fn api(client: Client, kind: &str) -> Api<DynamicObject> {
    let kind = match kind {
        "Secret" => GroupVersionKind::gvk("", "v1", kind),
        _ => GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind),
    };
    Api::namespaced_with(client, "argocd", &ApiResource::from_gvk(&kind))
}

/// One user's own client.
pub struct Session(Client);

impl Session {
    /// That of a user.
    pub async fn of(user: &User) -> Result<Self> {
        Ok(Self(user.client().await?))
    }

    /// Creates an object.
    pub async fn create(&self, object: &Value) -> Result<Answer> {
        let (api, object) = self.typed(object)?;
        answer(api.create(&PostParams::default(), &object).await)
    }

    /// Applies an object, whoever else has written its fields.
    pub async fn server_side_apply(&self, object: &Value) -> Result<Answer> {
        let (api, object) = self.typed(object)?;
        let parameters = PatchParams::apply("system-tests").force();
        answer(
            api.patch(&object.name_any(), &parameters, &Patch::Apply(&object))
                .await,
        )
    }

    /// Puts an object in the place of the one of its name.
    pub async fn replace(&self, object: &Value) -> Result<Answer> {
        let (api, mut object) = self.typed(object)?;
        let name = object.name_any();
        object.metadata.resource_version = api.get(&name).await?.metadata.resource_version;
        answer(api.replace(&name, &PostParams::default(), &object).await)
    }

    /// Changes an object by a JSON Merge Patch.
    pub async fn patch(&self, kind: &str, name: &str, change: &Value) -> Result<Answer> {
        let api = api(self.0.clone(), kind);
        answer(
            api.patch(name, &PatchParams::default(), &Patch::Merge(change))
                .await,
        )
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<Answer> {
        self.delete_with(kind, name, &DeleteParams::default()).await
    }

    /// Deletes an object in a way of its own.
    pub async fn delete_with(
        &self,
        kind: &str,
        name: &str,
        parameters: &DeleteParams,
    ) -> Result<Answer> {
        answer(api(self.0.clone(), kind).delete(name, parameters).await)
    }

    /// An object as it is, if it is there.
    pub async fn get(&self, kind: &str, name: &str) -> Result<Option<DynamicObject>> {
        Ok(api(self.0.clone(), kind).get_opt(name).await?)
    }

    fn typed(&self, object: &Value) -> Result<(Api<DynamicObject>, DynamicObject)> {
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        let types = object.types.as_ref().context("an object without a kind")?;
        Ok((api(self.0.clone(), &types.kind), object))
    }
}

/// Any failure but a webhook's refusal is one of the test.
fn answer<T>(result: kube::Result<T>) -> Result<Answer> {
    match result {
        Ok(_) => Ok(Answer::Admitted),
        Err(kube::Error::Api(status)) => match webhooks_message(&status.message) {
            Some(message) => {
                assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
                Ok(Answer::Refused(message.to_owned()))
            }
            None => bail!("refused otherwise: {}", status.message),
        },
        Err(error) => Err(error.into()),
    }
}
