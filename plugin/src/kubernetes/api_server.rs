//! Reading and changing objects of an API server, as the JSON that it sends.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use golang::json::null_as_default;
use http::HeaderMap;
use kube::Client;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GetParams, ListParams, Patch, PatchParams,
    PostParams, Preconditions, PropagationPolicy,
};
use kube::client::Body;
use kube::core::request::Request;
use kube::core::{Resource as _, Status};
use kube::discovery::Discovery;
use kube::runtime::watcher;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::warnings;
use crate::error::{CommandError, chain};
use crate::streams::Streams;

/// The name that the API server notes beside the fields that we write. An apply takes away what the
/// same manager applied before and names no longer, so each set of fields has its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FieldManager {
    /// Whole objects, and what is patched.
    Plugin,
    /// How Argo CD logs in to a cluster: `data.config`.
    Login,
    /// What makes Argo CD know a cluster: its Secret, but for what others added.
    Registration,
    /// Argo CD itself, for a question: what would a sync make of an object?
    ArgoCd,
}

impl FieldManager {
    fn as_str(self) -> &'static str {
        match self {
            FieldManager::Plugin | FieldManager::Registration => "kubectl-gitops",
            FieldManager::Login => "kubectl-gitops-login",
            FieldManager::ArgoCd => "argocd-controller",
        }
    }

    /// Whether what others manage becomes ours where we name it. How Argo CD knows a cluster and
    /// logs in was somebody's before, and a plan says what it is to be; Argo CD itself always takes
    /// over.
    fn takes_over(self) -> bool {
        self != FieldManager::Plugin
    }
}

/// An API server does not say what it has.
#[derive(Debug, thiserror::Error)]
#[error("the API server {address} does not say what it has: {reason}")]
pub(crate) struct DiscoveryError {
    address: String,
    reason: String,
}

impl DiscoveryError {
    fn new(address: &str, error: &kube::Error) -> Self {
        DiscoveryError {
            address: address.to_owned(),
            reason: innermost(error),
        }
    }

    fn timed_out(address: &str, after: Duration) -> Self {
        DiscoveryError {
            address: address.to_owned(),
            reason: format!("no answer within {after:?}"),
        }
    }
}

/// A request, or why it cannot be made.
type Asked = Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// An API server that somebody is logged in to.
pub(crate) struct ApiServer {
    client: Client,
    address: String,
    timeout: Option<Duration>,
    /// The namespace that the context is for.
    namespace: Option<String>,
    /// The warnings that the user has been told of.
    told: RefCell<BTreeSet<String>>,
    /// Where that is; None where nobody is told.
    streams: Option<Arc<Streams>>,
}

/// What is done to objects, as RBAC names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Patch,
    Create,
    Delete,
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Patch => "patch",
            Verb::Create => "create",
            Verb::Delete => "delete",
        })
    }
}

/// Objects of one kind, in one namespace or in all that there are.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    pub(crate) resource: ApiResource,
    pub(crate) namespace: Option<String>,
}

impl fmt::Display for Objects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.qualified(), self.place())
    }
}

impl Objects {
    /// `applications.argoproj.io`.
    pub(crate) fn qualified(&self) -> String {
        match &*self.resource.group {
            "" => self.resource.plural.clone(),
            group => format!("{}.{group}", self.resource.plural),
        }
    }

    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!(" in namespace {namespace}"),
            None => String::new(),
        }
    }

    /// One of them, or all.
    pub(crate) fn one_or_all(&self, name: Option<&str>) -> String {
        match name {
            Some(name) => format!("{}/{name}{}", self.qualified(), self.place()),
            None => self.to_string(),
        }
    }

    fn request(&self) -> Request {
        Request::new(DynamicObject::url_path(
            &self.resource,
            self.namespace.as_deref(),
        ))
    }
}

/// Something could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}", .objects.one_or_all(.name.as_deref()))]
pub(crate) struct AccessError {
    verb: Verb,
    objects: Box<Objects>,
    /// Of the one object that is changed.
    name: Option<String>,
    #[source]
    reason: AccessErrorReason,
}

/// Why. No answer is quoted but what the API server says for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessErrorReason {
    #[error("{0}")]
    Forbidden(String),
    #[error("the API server does not know who you are: {0}")]
    Unauthorized(String),
    #[error("the API server does not know the kind")]
    NoSuchKind,
    #[error("somebody else changed it at the same time: {0}")]
    Conflict(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Refused(String),
    #[error("{address} does not answer: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("{address} took longer than {} s to answer", .after.as_secs_f64())]
    TimedOut { address: String, after: Duration },
    #[error("the answer cannot be read")]
    Answer,
}

impl AccessError {
    /// Why objects are not watched.
    pub(super) fn watching(objects: &Objects, address: &str, error: watcher::Error) -> Self {
        use watcher::Error::{
            InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
        };
        let unreachable = |error: &dyn std::error::Error| AccessErrorReason::Unreachable {
            address: address.to_owned(),
            reason: innermost(error),
        };
        let reason = match error {
            InitialListFailed(kube::Error::Api(status))
            | WatchStartFailed(kube::Error::Api(status))
            | WatchFailed(kube::Error::Api(status))
            | WatchError(status) => refusal(status.code, &status.message),
            InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => {
                unreachable(&error)
            }
            NoResourceVersion => AccessErrorReason::Answer,
        };
        AccessError {
            verb: Verb::Watch,
            objects: Box::new(objects.clone()),
            name: None,
            reason,
        }
    }

    /// Whether the user may not.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self.reason, AccessErrorReason::Forbidden(_))
    }

    /// Whether the API server does not know who asks.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self.reason, AccessErrorReason::Unauthorized(_))
    }

    /// Whether somebody else was faster.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.reason, AccessErrorReason::Conflict(_))
    }

    /// Whether there is no such kind there.
    pub(crate) fn is_no_such_kind(&self) -> bool {
        matches!(self.reason, AccessErrorReason::NoSuchKind)
    }

    /// Whether what was asked makes no sense.
    pub(crate) fn is_bad_request(&self) -> bool {
        matches!(self.reason, AccessErrorReason::BadRequest(_))
    }

    /// Whether there was no answer.
    pub(crate) fn is_without_answer(&self) -> bool {
        matches!(
            self.reason,
            AccessErrorReason::Unreachable { .. } | AccessErrorReason::TimedOut { .. }
        )
    }

    /// Whether it is about the way to the object, and says nothing of what is in it.
    pub(crate) fn is_about_access(&self) -> bool {
        self.is_forbidden()
            || self.is_unauthorized()
            || self.is_no_such_kind()
            || self.is_without_answer()
    }

    fn hint(&self) -> Option<String> {
        match &self.reason {
            AccessErrorReason::Forbidden(_) => Some(format!(
                "you need a Role or ClusterRole that allows `{}` on {}",
                self.verb, self.objects
            )),
            AccessErrorReason::NoSuchKind => {
                Some("Argo CD is not installed there: look at --context".to_owned())
            }
            AccessErrorReason::Unauthorized(_) => {
                Some("`kubectl auth whoami` with the same flags shows who you are".to_owned())
            }
            AccessErrorReason::Conflict(_)
            | AccessErrorReason::Unreachable { .. }
            | AccessErrorReason::TimedOut { .. }
            | AccessErrorReason::BadRequest(_)
            | AccessErrorReason::Refused(_)
            | AccessErrorReason::Answer => None,
        }
    }
}

impl From<AccessError> for CommandError {
    fn from(error: AccessError) -> Self {
        let hint = error.hint();
        let error = CommandError::new(error);
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    metadata: ListMetadata,
    /// Of metadata alone it is null where there are none.
    #[serde(borrow, default, deserialize_with = "null_as_default")]
    items: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue", default)]
    next: Option<String>,
}

/// A list that is read page by page.
pub(crate) struct Pages<'s> {
    server: &'s ApiServer,
    objects: &'s Objects,
    parameters: ListParams,
    ask: fn(&Request, &ListParams) -> Asked,
    is_at_end: bool,
}

impl<'s> Pages<'s> {
    fn new(
        server: &'s ApiServer,
        objects: &'s Objects,
        parameters: ListParams,
        ask: fn(&Request, &ListParams) -> Asked,
    ) -> Self {
        Pages {
            server,
            objects,
            parameters: parameters.limit(PAGE),
            ask,
            is_at_end: false,
        }
    }

    /// What is made of the JSON of each object of the next page; None after the last. The text is
    /// wiped afterwards.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) async fn next<T>(
        &mut self,
        read: impl FnMut(&str) -> T,
    ) -> Result<Option<Vec<T>>, AccessError> {
        if self.is_at_end {
            return Ok(None);
        }
        let failed = |reason| AccessError {
            verb: Verb::List,
            objects: Box::new(self.objects.clone()),
            name: None,
            reason,
        };
        let request = (self.ask)(&self.objects.request(), &self.parameters);
        let text = self.server.answer(request).await.map_err(failed)?;
        let list: List<'_> =
            serde_json::from_str(&text).map_err(|_| failed(AccessErrorReason::Answer))?;
        let made = list.items.iter().map(|item| item.get()).map(read).collect();
        let next = list.metadata.next.filter(|next| !next.is_empty());
        // It would never end.
        if next.is_some() && next == self.parameters.continue_token {
            return Err(failed(AccessErrorReason::Answer));
        }
        self.is_at_end = next.is_none();
        self.parameters.continue_token = next;
        Ok(Some(made))
    }
}

impl ApiServer {
    /// One that a client is for; an answer comes within the time, if there is one.
    pub(crate) fn new(
        client: Client,
        address: String,
        timeout: Option<Duration>,
        namespace: Option<String>,
        streams: Option<Arc<Streams>>,
    ) -> Self {
        ApiServer {
            client,
            address,
            timeout,
            namespace,
            told: RefCell::default(),
            streams,
        }
    }

    /// The namespace that the context is for, where it names one, or that of the Pod.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Where it is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What requests are sent by.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The names of the objects with some labels. Of Secrets nothing else is sent.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) async fn names(
        &self,
        objects: &Objects,
        labels: Option<&str>,
    ) -> Result<Vec<String>, AccessError> {
        #[derive(Deserialize)]
        struct Named {
            metadata: Name,
        }
        #[derive(Deserialize)]
        struct Name {
            name: String,
        }
        let name = |json: &str| {
            let named = serde_json::from_str::<Named>(json).ok()?;
            Some(named.metadata.name)
        };
        let names = self.list_metadata(objects, labels, None, name).await?;
        Ok(names.into_iter().flatten().collect())
    }

    /// What is made of the JSON of the metadata of each object that selectors of labels and fields
    /// select. Nothing else of it is sent.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) async fn list_metadata<T>(
        &self,
        objects: &Objects,
        labels: Option<&str>,
        fields: Option<&str>,
        read: impl FnMut(&str) -> T,
    ) -> Result<Vec<T>, AccessError> {
        let parameters = ListParams {
            label_selector: labels.map(str::to_owned),
            field_selector: fields.map(str::to_owned),
            ..ListParams::default()
        };
        self.pages(objects, parameters, Request::list_metadata, read)
            .await
    }

    /// What is made of the JSON of each object. The text is wiped afterwards: it may be a Secret.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) async fn list<T>(
        &self,
        objects: &Objects,
        labels: Option<&str>,
        read: impl FnMut(&str) -> T,
    ) -> Result<Vec<T>, AccessError> {
        let parameters = ListParams {
            label_selector: labels.map(str::to_owned),
            ..ListParams::default()
        };
        self.list_by(objects, parameters, read).await
    }

    /// The same of the objects that a field selector selects.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) async fn list_by_fields<T>(
        &self,
        objects: &Objects,
        fields: &str,
        read: impl FnMut(&str) -> T,
    ) -> Result<Vec<T>, AccessError> {
        let parameters = ListParams::default().fields(fields);
        self.list_by(objects, parameters, read).await
    }

    async fn list_by<T>(
        &self,
        objects: &Objects,
        parameters: ListParams,
        read: impl FnMut(&str) -> T,
    ) -> Result<Vec<T>, AccessError> {
        self.pages(objects, parameters, Request::list, read).await
    }

    async fn pages<T>(
        &self,
        objects: &Objects,
        parameters: ListParams,
        ask: fn(&Request, &ListParams) -> Asked,
        mut read: impl FnMut(&str) -> T,
    ) -> Result<Vec<T>, AccessError> {
        let mut pages = Pages::new(self, objects, parameters, ask);
        let mut made = Vec::new();
        while let Some(page) = pages.next(&mut read).await? {
            made.extend(page);
        }
        Ok(made)
    }

    /// All objects, page by page: what is made of one page may be dropped before the next is asked
    /// for. The list is exact: from its cache an API server would send all of it at once.
    pub(crate) fn page_by_page<'s>(&'s self, objects: &'s Objects) -> Pages<'s> {
        Pages::new(self, objects, ListParams::default(), Request::list)
    }

    /// What is made of the JSON of one object; None if it, or its kind, does not exist.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn get<T>(
        &self,
        objects: &Objects,
        name: &str,
        read: impl FnOnce(&str) -> T,
    ) -> Result<Option<T>, AccessError> {
        let request = objects.request().get(name, &GetParams::default());
        match self.answer(request).await {
            Ok(text) => Ok(Some(read(&text))),
            Err(AccessErrorReason::NoSuchKind) => Ok(None),
            Err(reason) => Err(AccessError {
                verb: Verb::Get,
                objects: Box::new(objects.clone()),
                name: None,
                reason,
            }),
        }
    }

    /// Changes an object by a JSON Merge Patch, or asks only whether that would be admitted, and
    /// returns what is made of the JSON of its metadata afterwards.
    ///
    /// # Errors
    /// It is not changed.
    pub(crate) async fn patch<T>(
        &self,
        objects: &Objects,
        name: &str,
        change: &Value,
        only_ask: bool,
        read: impl FnOnce(&str) -> T,
    ) -> Result<T, AccessError> {
        let parameters = PatchParams {
            dry_run: only_ask,
            field_manager: Some(FieldManager::Plugin.as_str().to_owned()),
            ..PatchParams::default()
        };
        // Of a Secret no more than this need travel.
        let request = objects
            .request()
            .patch_metadata(name, &parameters, &Patch::Merge(change));
        match self.answer(request).await {
            Ok(text) => Ok(read(&text)),
            Err(reason) => Err(AccessError {
                verb: Verb::Patch,
                objects: Box::new(objects.clone()),
                name: Some(name.to_owned()),
                reason,
            }),
        }
    }

    /// Makes the fields of an object ours by a server-side apply, or asks only whether that would
    /// be admitted. Fields of others stay as they are, and those that we had and do not name go.
    ///
    /// # Errors
    /// It is not applied: somebody else may manage a field that we name.
    pub(crate) async fn apply(
        &self,
        objects: &Objects,
        name: &str,
        object: &Value,
        manager: FieldManager,
        only_ask: bool,
    ) -> Result<(), AccessError> {
        let parameters = PatchParams {
            dry_run: only_ask,
            force: manager.takes_over(),
            ..PatchParams::apply(manager.as_str())
        };
        // Of a Secret no more than this need travel back.
        let request = objects
            .request()
            .patch_metadata(name, &parameters, &Patch::Apply(object));
        match self.answer(request).await {
            Ok(_) => Ok(()),
            Err(reason) => Err(AccessError {
                verb: Verb::Patch,
                objects: Box::new(objects.clone()),
                name: Some(name.to_owned()),
                reason,
            }),
        }
    }

    /// What a server-side apply would make of an object, which stays as it is.
    ///
    /// # Errors
    /// The API server would refuse it, or the user may not ask.
    pub(crate) async fn predict(
        &self,
        objects: &Objects,
        name: &str,
        object: &Value,
        manager: FieldManager,
    ) -> Result<Value, AccessError> {
        let parameters = PatchParams {
            dry_run: true,
            force: manager.takes_over(),
            ..PatchParams::apply(manager.as_str())
        };
        let failed = |reason| AccessError {
            verb: Verb::Patch,
            objects: Box::new(objects.clone()),
            name: Some(name.to_owned()),
            reason,
        };
        let request = objects.request();
        let request = request.patch(name, &parameters, &Patch::Apply(object));
        let text = self.answer(request).await.map_err(failed)?;
        serde_json::from_str(&text).map_err(|_| failed(AccessErrorReason::Answer))
    }

    /// What the API server has: its kinds, by groups and versions.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn discover(&self) -> Result<Discovery, DiscoveryError> {
        let discover = Discovery::new(self.client.clone()).run_aggregated();
        self.found_out(discover).await
    }

    /// The API server's version, such as `v1.34.1`.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn version(&self) -> Result<String, DiscoveryError> {
        let version = self.client.apiserver_version();
        Ok(self.found_out(version).await?.git_version)
    }

    async fn found_out<T>(
        &self,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, DiscoveryError> {
        let failed = |source| DiscoveryError::new(&self.address, &source);
        match self.timeout {
            None => answer.await.map_err(failed),
            Some(after) => match tokio::time::timeout(after, answer).await {
                Ok(found) => found.map_err(failed),
                Err(_) => Err(DiscoveryError::timed_out(&self.address, after)),
            },
        }
    }

    /// Deletes an object, or asks only whether that would be admitted. One that is gone already, or
    /// another of its name, is left alone.
    ///
    /// # Errors
    /// It is not deleted.
    pub(crate) async fn delete(
        &self,
        objects: &Objects,
        name: &str,
        uid: &str,
        only_ask: bool,
    ) -> Result<(), AccessError> {
        let parameters = DeleteParams {
            dry_run: only_ask,
            ..DeleteParams::default()
        };
        self.delete_by(objects, name, uid, parameters).await
    }

    async fn delete_by(
        &self,
        objects: &Objects,
        name: &str,
        uid: &str,
        parameters: DeleteParams,
    ) -> Result<(), AccessError> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..parameters
        };
        let request = objects.request().delete(name, &parameters);
        match self.answer(request).await {
            Ok(_) | Err(AccessErrorReason::NoSuchKind | AccessErrorReason::Conflict(_)) => Ok(()),
            Err(reason) => Err(AccessError {
                verb: Verb::Delete,
                objects: Box::new(objects.clone()),
                name: Some(name.to_owned()),
                reason,
            }),
        }
    }

    /// Deletes an object, and says what becomes of what was made for it.
    ///
    /// # Errors
    /// It is not deleted.
    pub(crate) async fn delete_propagating(
        &self,
        objects: &Objects,
        name: &str,
        uid: &str,
        policy: PropagationPolicy,
    ) -> Result<(), AccessError> {
        let parameters = DeleteParams {
            propagation_policy: Some(policy),
            ..DeleteParams::default()
        };
        self.delete_by(objects, name, uid, parameters).await
    }

    /// Creates an object that is a question, and returns the answer.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        objects: &Objects,
        question: &Value,
    ) -> Result<T, AccessError> {
        let failed = |reason| AccessError {
            verb: Verb::Create,
            objects: Box::new(objects.clone()),
            name: None,
            reason,
        };
        let body = question.to_string().into_bytes();
        let request = objects.request().create(&PostParams::default(), body);
        let text = self.answer(request).await.map_err(failed)?;
        serde_json::from_str(&text).map_err(|_| failed(AccessErrorReason::Answer))
    }

    async fn answer(&self, request: Asked) -> Result<Zeroizing<String>, AccessErrorReason> {
        let request = request.map_err(|error| AccessErrorReason::Refused(chain(&error)))?;
        let answer = self.exchange(request);
        match self.timeout {
            None => answer.await,
            Some(after) => tokio::time::timeout(after, answer).await.map_err(|_| {
                AccessErrorReason::TimedOut {
                    address: self.address.clone(),
                    after,
                }
            })?,
        }
    }

    /// Sends a request and tells of the warnings that come with its answer, which
    /// `Client::request_text` drops.
    async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<Zeroizing<String>, AccessErrorReason> {
        let unreachable = |error: &kube::Error| AccessErrorReason::Unreachable {
            address: self.address.clone(),
            reason: innermost(error),
        };
        let sent = self.client.send(request.map(Body::from)).await;
        let (head, body) = sent.map_err(|error| unreachable(&error))?.into_parts();
        self.tell_warnings(&head.headers);
        let body = body.collect_bytes().await;
        let body = body.map_err(|error| unreachable(&error))?;
        let text = String::from_utf8(body.into()).map_err(|_| AccessErrorReason::Answer)?;
        let text = Zeroizing::new(text);
        if head.status.is_client_error() || head.status.is_server_error() {
            return Err(refusal(head.status.as_u16(), &text));
        }
        Ok(text)
    }

    /// Each once, as kubectl does.
    fn tell_warnings(&self, headers: &HeaderMap) {
        let Some(streams) = &self.streams else {
            return;
        };
        for text in warnings::in_headers(headers) {
            if self.told.borrow_mut().insert(text.clone()) {
                streams.warning_of_server(&text);
            }
        }
    }
}

/// What the API server says in place of an object. Something between may answer in other forms.
fn refusal(code: u16, text: &str) -> AccessErrorReason {
    let message = match serde_json::from_str::<Status>(text) {
        Ok(status) => status.message,
        Err(_) => text.trim().to_owned(),
    };
    match code {
        400 => AccessErrorReason::BadRequest(message),
        401 => AccessErrorReason::Unauthorized(message),
        // A webhook's refusal has the same code as RBAC's, and no Role helps.
        403 if !message.contains(" denied the request: ") => AccessErrorReason::Forbidden(message),
        404 => AccessErrorReason::NoSuchKind,
        409 => AccessErrorReason::Conflict(message),
        _ => AccessErrorReason::Refused(message),
    }
}

/// The cause at the end of the chain. What is around it repeats it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
