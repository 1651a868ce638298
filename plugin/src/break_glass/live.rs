//! An object of a cluster: the override on it, and what the rules say of it.

use argocd::kubernetes::Metadata;
use argocd::{AppProject, Application, ApplicationSet, ClusterSecret};
use jiff::Timestamp;
use policy::break_glass::annotations::{ALL, OVERRULED};
use policy::break_glass::{self, InvalidOverride};
use policy::{
    AnyRequest, Finding, Inventory, Level, Object, Propagation, Requester, RuleId, Subject,
    Verdict, evaluate,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::Target;
use crate::error::CommandError;
use crate::kubernetes::{AccessError, ApiServer, Objects, objects_of, resource_of};
use crate::repository::manifest::{Kind, ObjectReference};

/// An object, and the annotations of an override on it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) kind: Kind,
    pub(crate) reference: ObjectReference,
    /// The ApplicationSet that generates it.
    pub(crate) application_set: Option<String>,
    /// Whether it has been asked to go, so that no override on it counts.
    pub(crate) is_being_deleted: bool,
    /// What the annotations amount to.
    pub(crate) written: Override,
    /// Who wrote them, as far as the API server keeps that.
    pub(crate) writer: Option<Writer>,
    annotations: [Option<String>; ALL.len()],
    resource_version: String,
}

/// The override on an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Override {
    /// There are no annotations.
    None,
    /// The annotations are not an override.
    Invalid(InvalidOverride),
    /// It may be over.
    Valid(break_glass::Override),
}

/// The program that wrote an override last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Writer {
    /// Its name, which it chose itself.
    pub(crate) manager: String,
    pub(crate) time: Option<Timestamp>,
}

/// What the rules say of an object as it stands, whatever overrides there are.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// What would deny it if it were new.
    pub(crate) of_state: Vec<Finding>,
    /// What would deny its deletion.
    pub(crate) of_deletion: Vec<Finding>,
    /// What cannot be told.
    pub(crate) undecided: Vec<Finding>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Document<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

/// What of an object's metadata only a cluster has.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Stored {
    metadata: StoredMetadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredMetadata {
    resource_version: String,
    managed_fields: Vec<ManagedFields>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ManagedFields {
    manager: String,
    time: Option<Timestamp>,
    fields_v1: Value,
}

/// How often an object is read anew that others write to all the time, as Argo CD does to its own.
const ATTEMPTS: usize = 10;

impl Live {
    /// Reads what is needed of an object's JSON.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn read(kind: Kind, json: &str) -> Result<Self, String> {
        let form = |error: serde_json::Error| unreadable(&error);
        let Document { metadata } = serde_json::from_str(json).map_err(form)?;
        let stored: Stored = serde_json::from_str(json).map_err(form)?;
        let resource = resource_of(kind);
        let annotation = |key: &str| metadata.annotations.get(key);
        let owner = metadata.application_set();
        Ok(Live {
            kind,
            reference: ObjectReference {
                api_version: resource.api_version,
                kind: resource.kind,
                namespace: Some(metadata.namespace.to_string()),
                name: Some(metadata.name.to_string()),
            },
            application_set: owner.map(|owner| owner.name.to_string()),
            is_being_deleted: !metadata.deletion_timestamp.is_empty(),
            written: match break_glass::Override::among(annotation) {
                Ok(None) => Override::None,
                Ok(Some(written)) => Override::Valid(written),
                Err(error) => Override::Invalid(error),
            },
            annotations: ALL.map(|key| annotation(key).map(str::to_owned)),
            resource_version: stored.metadata.resource_version.clone(),
            writer: last_writer(stored),
        })
    }

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.reference.namespace.as_deref().unwrap_or_default()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.reference.name.as_deref().unwrap_or_default()
    }

    /// The objects that it is one of.
    pub(crate) fn objects(&self) -> Objects {
        objects_of(self.kind, self.namespace())
    }

    /// Changes its annotations, unless somebody else changes those of an override at the same time,
    /// and returns who wrote these last afterwards.
    ///
    /// # Errors
    /// They are not changed.
    pub(crate) async fn annotate(
        &self,
        server: &ApiServer,
        annotations: &Value,
        only_ask: bool,
    ) -> Result<Option<Writer>, CommandError> {
        let mut version = self.resource_version.clone();
        let mut attempts = 1..=ATTEMPTS;
        loop {
            match self.patch(server, annotations, &version, only_ask).await {
                Err(error) if error.is_conflict() && attempts.next().is_some() => {
                    version = self.version_now(server).await?;
                }
                result => return result.map_err(CommandError::from),
            }
        }
    }

    async fn patch(
        &self,
        server: &ApiServer,
        annotations: &Value,
        version: &str,
        only_ask: bool,
    ) -> Result<Option<Writer>, AccessError> {
        let change = json!({"metadata": {"resourceVersion": version, "annotations": annotations}});
        let read = |json: &str| serde_json::from_str(json).ok().and_then(last_writer);
        server
            .patch(&self.objects(), self.name(), &change, only_ask, read)
            .await
    }

    /// The version that it has by now, if the override is still the same.
    async fn version_now(&self, server: &ApiServer) -> Result<String, CommandError> {
        let read = |json: &str| Live::read(self.kind, json);
        let now = server.get(&self.objects(), self.name(), read).await?;
        match now.transpose().map_err(CommandError::new)? {
            Some(now) if now.annotations == self.annotations => Ok(now.resource_version),
            Some(_) => Err(CommandError::new(format!(
                "{}: metadata.annotations[{OVERRULED}]: somebody else changed the override at the same time",
                self.reference.short()
            ))
            .hinted("look at it with `kubectl gitops break-glass list`, then try again")),
            None => Err(not_found(&self.reference.short(), self.namespace())),
        }
    }
}

impl Judgement {
    /// Judges an object by its JSON.
    ///
    /// # Errors
    /// It cannot be read as what it is.
    pub(crate) fn of(
        kind: Kind,
        json: &str,
        inventory: &Inventory,
        now: Timestamp,
    ) -> Result<Self, String> {
        let judge = |request| judge(request, ANYBODY, now, inventory).findings;
        let of_state = judge(AnyRequest::create(object(kind, json)?));
        let propagation = Propagation::Background;
        let of_deletion = judge(AnyRequest::delete(object(kind, json)?, propagation));
        let mut judgement = Judgement::default();
        for finding in of_state
            .into_iter()
            .filter(|finding| !finding.is_about_action())
        {
            match finding.level {
                Level::Deny => judgement.of_state.push(finding),
                Level::Undecided => judgement.undecided.push(finding),
                Level::Warn => {}
            }
        }
        let denials = of_deletion
            .into_iter()
            .filter(|finding| finding.level == Level::Deny);
        judgement.of_deletion.extend(denials);
        Ok(judgement)
    }

    /// What is left of it of some rules.
    pub(crate) fn by(mut self, rules: &[RuleId]) -> Self {
        for findings in [
            &mut self.of_state,
            &mut self.of_deletion,
            &mut self.undecided,
        ] {
            findings.retain(|finding| rules.contains(&finding.rule));
        }
        self
    }

    /// Whether one of the rules is violated, or may be.
    pub(crate) fn may_be_violated(&self) -> bool {
        !self.of_state.is_empty() || !self.undecided.is_empty()
    }
}

/// Reads an object and judges it.
///
/// # Errors
/// It is not there, is none on which an override counts, or cannot be read.
pub(crate) async fn find(
    server: &ApiServer,
    target: &Target,
    namespace: &str,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<(Live, Judgement), CommandError> {
    let objects = objects_of(target.kind, namespace);
    let read = |json: &str| {
        let judgement = Judgement::of(target.kind, json, inventory, now)?;
        Ok::<_, String>((Live::read(target.kind, json)?, judgement))
    };
    let found = server.get(&objects, &target.name, read).await?;
    let found = found.ok_or_else(|| not_found(&target.to_string(), namespace))?;
    found.map_err(|reason| CommandError::new(format!("{target}: {reason}")))
}

fn not_found(name: &str, namespace: &str) -> CommandError {
    CommandError::new(format!("there is no {name} in namespace {namespace}"))
        .hinted("`-n` names another namespace, `--context` another cluster")
}

/// Somebody who would have to be asked about, so that no override has let anything pass until then.
pub(crate) const ANYBODY: Requester<'static> = Requester {
    username: "anybody",
};

/// What the rules say of an object that somebody writes or deletes now.
pub(crate) fn judge(
    request: AnyRequest<'_>,
    requester: Requester<'_>,
    now: Timestamp,
    inventory: &Inventory,
) -> Verdict {
    let subject = Subject {
        requester,
        now,
        ..Subject::of(request)
    };
    evaluate(&subject, inventory)
}

/// Reads an object of a kind that is judged.
///
/// # Errors
/// It is none.
pub(crate) fn object(kind: Kind, json: &str) -> Result<Object<'_>, String> {
    let form = |error: serde_json::Error| unreadable(&error);
    Ok(match kind {
        Kind::Application => {
            let application: Application<'_> = serde_json::from_str(json).map_err(form)?;
            Object::Application(Box::new(application))
        }
        Kind::ApplicationSet => {
            let set = ApplicationSet::from_json(json).map_err(form)?;
            Object::ApplicationSet(Box::new(set))
        }
        Kind::AppProject => {
            let project: AppProject = serde_json::from_str(json).map_err(form)?;
            Object::AppProject(Box::new(project))
        }
        Kind::ClusterSecret => {
            let secret: ClusterSecret<'_> = serde_json::from_str(json).map_err(form)?;
            if !secret.is_cluster() {
                return Err(
                    "metadata.labels[argocd.argoproj.io/secret-type]: it is not a cluster Secret"
                        .to_owned(),
                );
            }
            Object::ClusterSecret(Box::new(secret))
        }
        Kind::RepositorySecret | Kind::Settings | Kind::Parameters | Kind::Policy => {
            return Err("it is not judged by any rule".to_owned());
        }
    })
}

/// Where the error is, and not what is there: it may be a Secret.
fn unreadable(error: &serde_json::Error) -> String {
    format!("unexpected value at column {} of its JSON", error.column())
}

/// Whoever wrote one of the annotations last.
fn last_writer(stored: Stored) -> Option<Writer> {
    let pointers = ALL.map(|key| {
        let key = key.replace('/', "~1");
        format!("/f:metadata/f:annotations/f:{key}")
    });
    let wrote = |fields: &ManagedFields| {
        let mut pointers = pointers.iter();
        pointers.any(|pointer| fields.fields_v1.pointer(pointer).is_some())
    };
    let managed_fields = stored.metadata.managed_fields.into_iter();
    managed_fields
        .filter(wrote)
        .max_by_key(|fields| fields.time)
        .map(|fields| Writer {
            manager: fields.manager,
            time: fields.time,
        })
}
