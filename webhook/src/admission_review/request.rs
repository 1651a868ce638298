//! Reading an AdmissionReview.
//!
//! Most of a review is `status`, `managedFields` and the old object, which hardly a rule reads, so
//! the body is gone over once, straight into types that borrow from it and hold only what is read.
//! That works because the API server writes `request.kind` before the objects; with any other order
//! an object is kept as text until its kind is known.
//!
//! Where that fails, the body is read a second time, slowly, to say what is wrong with it: it
//! is not an AdmissionReview, or it is one and has an object that cannot be read.

use std::fmt;

use golang::json::Text;
use policy::finding::shorten;
use policy::{AnyRequest, Inventory, Kind, Object, ObjectRef, Propagation, Unreadable};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::authorisation::User;
use crate::failure::ReviewError;
use crate::limits::OBJECT_MEMORY;

/// The only version of AdmissionReview that is understood.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of the body, and of the answer.
pub const KIND: &str = "AdmissionReview";

/// The longest text of somebody else's that an error repeats, in characters.
const QUOTE_LIMIT: usize = 64;

/// What the object of a request is to the rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ObjectKind {
    /// A kind that rules judge. A Secret is judged if it is a cluster's.
    Judged(Kind),
    /// Anything else.
    Other,
}

impl ObjectKind {
    /// All kinds that are told apart.
    pub const ALL: [ObjectKind; 5] = [
        ObjectKind::Judged(Kind::Application),
        ObjectKind::Judged(Kind::ApplicationSet),
        ObjectKind::Judged(Kind::AppProject),
        ObjectKind::Judged(Kind::ClusterSecret),
        ObjectKind::Other,
    ];

    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectKind::Judged(kind) => kind.as_str(),
            ObjectKind::Other => "other",
        }
    }

    /// The group and version of the kind's objects; empty where no rule judges them.
    pub fn api_version(self) -> String {
        match self {
            ObjectKind::Judged(kind) => kind.api_version(),
            ObjectKind::Other => String::new(),
        }
    }

    fn of(group: &str, kind: &str) -> Self {
        Kind::judged(group, kind).map_or(ObjectKind::Other, ObjectKind::Judged)
    }
}

/// What is asked of the API server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new object.
    Create,
    /// An object replaces its old self.
    Update,
    /// An object is to go.
    Delete,
    /// A connection to a subresource.
    Connect,
}

impl Operation {
    /// All operations.
    pub const ALL: [Operation; 4] = [
        Operation::Create,
        Operation::Update,
        Operation::Delete,
        Operation::Connect,
    ];

    /// The operation as the API server writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

/// A request that the API server wants a verdict on.
#[derive(Debug)]
pub struct Review<'a> {
    /// To be repeated in the answer.
    pub uid: Text<'a>,
    /// Kind of the object.
    pub kind: ObjectKind,
    /// Namespace of the object; empty if it has none.
    pub namespace: Text<'a>,
    /// Name of the object.
    pub name: Text<'a>,
    /// What is asked.
    pub operation: Operation,
    /// `metadata.uid` of the object; empty if it is not judged.
    pub object_uid: Text<'a>,
    /// Who asks.
    pub username: Text<'a>,
    user_info: Option<&'a RawValue>,
    /// Whether whoever wrote the object down is told of the answer by a controller of Argo CD's,
    /// which does not say what object it is about. It is known when it has been decided.
    pub for_others: bool,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// What there is to judge.
    pub content: Content<'a>,
}

/// What a [`Review`] brings to judge.
#[derive(Debug)]
pub enum Content<'a> {
    /// What is to be done with an object of a kind that rules judge. On UPDATE nothing is known of
    /// an old object that cannot be read.
    Judged(AnyRequest<'a>),
    /// An object that no rule judges.
    NotJudged,
    /// An object of a judged kind that cannot be read.
    Unreadable(Unreadable),
}

impl<'a> Review<'a> {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is not a request for a verdict. An object that cannot be read is not an error, see
    /// [`Content::Unreadable`].
    pub fn from_json(body: &'a [u8]) -> Result<Self, ReviewError> {
        let body = str::from_utf8(body).map_err(|_| ReviewError::NotUtf8)?;
        match Envelope::read(body, Objects::Decoded) {
            Ok(envelope) => envelope.into_review(),
            Err(_) => Envelope::read(body, Objects::AsText)?.into_review(),
        }
    }

    /// Whether the object is this Argo CD's to act on.
    pub(crate) fn concerns(&self, inventory: &Inventory) -> bool {
        match self.kind {
            ObjectKind::Judged(kind) => inventory.concerns(kind, &self.namespace),
            ObjectKind::Other => false,
        }
    }

    /// Who asks, with all that the API server tells; nothing if that cannot be read.
    pub(crate) fn user(&self) -> Option<User> {
        serde_json::from_str(self.user_info?.get()).ok()
    }
}

/// What becomes of objects as they are met.
#[derive(Clone, Copy)]
enum Objects {
    /// They are decoded if their kind is known by then.
    Decoded,
    /// They are kept as text, so that what is wrong with one does not hide the rest.
    AsText,
}

#[derive(Default)]
struct Envelope<'a> {
    api_version: Option<Text<'a>>,
    kind: Option<Text<'a>>,
    request: Option<Request<'a>>,
}

impl<'a> Envelope<'a> {
    fn read(body: &'a str, objects: Objects) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(body);
        let envelope = EnvelopeSeed(objects).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(envelope)
    }

    fn into_review(self) -> Result<Review<'a>, ReviewError> {
        let written =
            |text: Option<Text<'_>>| shorten(text.as_ref().map_or("", Text::as_str), QUOTE_LIMIT);
        if self.kind.as_deref() != Some(KIND) {
            return Err(ReviewError::Kind(written(self.kind)));
        }
        if self.api_version.as_deref() != Some(API_VERSION) {
            return Err(ReviewError::Version(written(self.api_version)));
        }
        self.request.ok_or(ReviewError::NoRequest)?.into_review()
    }

    fn is_another_version(&self) -> bool {
        self.api_version
            .as_deref()
            .is_some_and(|version| version != API_VERSION)
    }
}

struct EnvelopeSeed(Objects);

impl<'de> DeserializeSeed<'de> for EnvelopeSeed {
    type Value = Envelope<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum EnvelopeField {
    ApiVersion,
    Kind,
    Request,
    #[serde(other)]
    Unknown,
}

impl<'de> Visitor<'de> for EnvelopeSeed {
    type Value = Envelope<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an AdmissionReview")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut envelope = Envelope::default();
        while let Some(field) = map.next_key()? {
            match field {
                EnvelopeField::ApiVersion => set(&mut envelope.api_version, map.next_value()?)?,
                EnvelopeField::Kind => set(&mut envelope.kind, map.next_value()?)?,
                // Another version may look different inside; what counts then is that it is
                // another.
                EnvelopeField::Request if envelope.is_another_version() => {
                    map.next_value::<IgnoredAny>()?;
                }
                EnvelopeField::Request => {
                    if let Some(request) = map.next_value_seed(RequestSeed(self.0))? {
                        set(&mut envelope.request, request)?;
                    }
                }
                EnvelopeField::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(envelope)
    }
}

/// Of two values for one field one would have to be ignored, and the API server might mean the
/// other.
fn set<T, E: serde::de::Error>(field: &mut Option<T>, value: T) -> Result<(), E> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a field is there twice")),
    }
}

#[derive(Default)]
struct Request<'a> {
    uid: Option<Text<'a>>,
    kind: Option<ObjectKind>,
    sub_resource: Option<Text<'a>>,
    name: Option<Text<'a>>,
    namespace: Option<Text<'a>>,
    operation: Option<Operation>,
    user_info: Option<&'a RawValue>,
    object: Option<Held<'a>>,
    old_object: Option<Held<'a>>,
    dry_run: Option<bool>,
    options: Option<Options<'a>>,
}

/// Of `metav1.DeleteOptions` what is read. On other operations there are others, without these.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options<'a> {
    #[serde(borrow)]
    propagation_policy: Text<'a>,
    /// What there was before `propagationPolicy`.
    orphan_dependents: Option<bool>,
}

impl Options<'_> {
    fn propagation(&self) -> Propagation {
        match self.propagation_policy.as_str() {
            "Orphan" => Propagation::Orphan,
            "Foreground" => Propagation::Foreground,
            _ if self.orphan_dependents == Some(true) => Propagation::Orphan,
            _ => Propagation::Background,
        }
    }
}

/// Of `userInfo` what is always read. The rest is, when somebody has to be asked about the user.
#[derive(Deserialize)]
struct UserName<'a> {
    #[serde(borrow, default)]
    username: Text<'a>,
}

#[derive(Deserialize)]
struct RequestKind<'a> {
    #[serde(borrow, default)]
    group: Text<'a>,
    #[serde(borrow, default)]
    kind: Text<'a>,
}

/// An object, as far as it has been read.
enum Held<'a> {
    /// `null`.
    Nothing,
    /// Of a kind that no rule judges.
    NotJudged,
    /// Decoded.
    Object(Object<'a>),
    /// Not looked at yet.
    Text(&'a RawValue),
}

impl<'a> Held<'a> {
    fn of(object: Option<Object<'a>>) -> Self {
        object.map_or(Held::Nothing, Held::Object)
    }
}

impl<'a> Request<'a> {
    fn into_review(self) -> Result<Review<'a>, ReviewError> {
        let uid = self.uid.filter(|uid| !uid.is_empty());
        let uid = uid.ok_or(ReviewError::Incomplete("uid"))?;
        let kind = self.kind.ok_or(ReviewError::Incomplete("kind"))?;
        let operation = self.operation;
        let operation = operation.ok_or(ReviewError::Incomplete("operation"))?;
        let object = self.object.unwrap_or(Held::Nothing);
        let old_object = self.old_object.unwrap_or(Held::Nothing);
        // A subresource is another type under the object's name.
        let content = if self.sub_resource.is_some_and(|name| !name.is_empty()) {
            Content::NotJudged
        } else {
            let propagation = self.options.unwrap_or_default().propagation();
            let delete = |object| AnyRequest::delete(object, propagation);
            match operation {
                Operation::Connect => Content::NotJudged,
                Operation::Delete => match content(kind, old_object, delete) {
                    // Whatever is wrong with it, that is not a reason to keep it.
                    Some(Content::Unreadable(_)) => Content::NotJudged,
                    content => content.ok_or(ReviewError::Incomplete("oldObject"))?,
                },
                Operation::Create => content(kind, object, AnyRequest::create)
                    .ok_or(ReviewError::Incomplete("object"))?,
                Operation::Update => {
                    let update = |object| match replaced(kind, old_object) {
                        Some(old) => AnyRequest::update(object, old),
                        None => AnyRequest::update_of_unknown(object),
                    };
                    content(kind, object, update).ok_or(ReviewError::Incomplete("object"))?
                }
            }
        };
        // The name is empty on a CREATE with `generateName`, while the object has one already.
        let name = self.name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| content.name());
        Ok(Review {
            uid,
            kind,
            namespace: self.namespace.unwrap_or_default(),
            name,
            operation,
            object_uid: content.uid(),
            username: username(self.user_info)?,
            user_info: self.user_info,
            for_others: false,
            dry_run: self.dry_run.unwrap_or_default(),
            content,
        })
    }
}

impl<'a> Content<'a> {
    /// Whether judging it can take much longer than reading it: ApplicationSets are expanded,
    /// programs are run, or what a project permits is compared with the whole fleet. Only an
    /// Application without programs is sure to be done at once.
    pub(crate) fn takes_long(&self) -> bool {
        let takes_long = |object: ObjectRef<'_>| match object {
            ObjectRef::Application(application) => {
                let ignored = &application.spec.ignore_differences;
                ignored
                    .iter()
                    .any(|entry| !entry.jq_path_expressions.is_empty())
            }
            ObjectRef::AppProject(_)
            | ObjectRef::ApplicationSet(_)
            | ObjectRef::ClusterSecret(_) => true,
        };
        match self {
            Content::Judged(request) => {
                takes_long(request.object()) || request.old().is_some_and(takes_long)
            }
            Content::NotJudged | Content::Unreadable(_) => false,
        }
    }

    fn uid(&self) -> Text<'a> {
        match self {
            Content::Judged(request) => match request {
                AnyRequest::Application(request) => request.object().metadata.uid.clone(),
                AnyRequest::AppProject(request) => {
                    Text::from(request.object().metadata.uid.clone())
                }
                AnyRequest::ApplicationSet(request) => request.object().metadata.uid.clone(),
                AnyRequest::ClusterSecret(request) => request.object().metadata.uid.clone(),
            },
            Content::NotJudged | Content::Unreadable(_) => Text::default(),
        }
    }

    fn name(&self) -> Text<'a> {
        match self {
            Content::Judged(request) => match request {
                AnyRequest::Application(request) => request.object().metadata.name.clone(),
                AnyRequest::AppProject(request) => {
                    Text::from(request.object().metadata.name.clone())
                }
                AnyRequest::ApplicationSet(request) => request.object().metadata.name.clone(),
                AnyRequest::ClusterSecret(request) => request.object().metadata.name.clone(),
            },
            Content::NotJudged | Content::Unreadable(_) => Text::default(),
        }
    }
}

fn username(user: Option<&RawValue>) -> Result<Text<'_>, ReviewError> {
    let user = user.ok_or(ReviewError::Incomplete("userInfo"))?;
    let user: UserName<'_> = serde_json::from_str(user.get())?;
    if user.username.is_empty() {
        // To the rules it would be nobody, as a file in Git is.
        return Err(ReviewError::Incomplete("userInfo.username"));
    }
    Ok(user.username)
}

/// What is to be done with an object; `None` if there is none.
fn content<'a>(
    kind: ObjectKind,
    object: Held<'a>,
    request: impl FnOnce(Object<'a>) -> AnyRequest<'a>,
) -> Option<Content<'a>> {
    let object = match object {
        Held::Text(text) => match decode_text(kind, text) {
            Ok(object) => object,
            // Only its finalizers are still to go; refused, it could never go.
            Err(_) if is_being_deleted(text) => return Some(Content::NotJudged),
            Err(error) => return Some(Content::Unreadable(error)),
        },
        object => object,
    };
    let object = match object {
        Held::Nothing | Held::Text(_) => return None,
        Held::NotJudged => return Some(Content::NotJudged),
        Held::Object(object) => object,
    };
    let request = request(object);
    Some(if concerns_argo_cd(&request) {
        Content::Judged(request)
    } else {
        Content::NotJudged
    })
}

/// The object that is replaced, if it can be read. Of one that cannot nothing is known: the new one
/// has to stand by itself.
fn replaced(kind: ObjectKind, old: Held<'_>) -> Option<Object<'_>> {
    let old = match old {
        Held::Text(text) => decode_text(kind, text).ok()?,
        old => old,
    };
    match old {
        Held::Object(old) => Some(old),
        Held::Nothing | Held::NotJudged | Held::Text(_) => None,
    }
}

/// A Secret concerns Argo CD if it is a cluster, or was one until now.
fn concerns_argo_cd(request: &AnyRequest<'_>) -> bool {
    match request {
        AnyRequest::ClusterSecret(request) => {
            request.object().is_cluster() || request.old().is_some_and(|old| old.is_cluster())
        }
        _ => true,
    }
}

fn is_being_deleted(object: &RawValue) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default)]
        deletion_timestamp: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Deleting {
        metadata: Metadata,
    }
    serde_json::from_str(object.get())
        .is_ok_and(|object: Deleting| object.metadata.deletion_timestamp.is_some())
}

/// Decodes an object that is kept as text.
fn decode_text(kind: ObjectKind, object: &RawValue) -> Result<Held<'_>, Unreadable> {
    Ok(match kind {
        ObjectKind::Judged(kind) => {
            Held::of(Object::from_json_within(kind, OBJECT_MEMORY, object.get())?)
        }
        ObjectKind::Other if object.get() == "null" => Held::Nothing,
        ObjectKind::Other => Held::NotJudged,
    })
}

fn decode<'de, D: Deserializer<'de>>(
    kind: ObjectKind,
    deserializer: D,
) -> Result<Held<'de>, D::Error> {
    Ok(match kind {
        ObjectKind::Judged(kind) => Held::of(Object::deserialize_within(
            kind,
            OBJECT_MEMORY,
            deserializer,
        )?),
        ObjectKind::Other => {
            let object = Option::<IgnoredAny>::deserialize(deserializer)?;
            object.map_or(Held::Nothing, |_| Held::NotJudged)
        }
    })
}

struct ObjectSeed {
    kind: Option<ObjectKind>,
    objects: Objects,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed {
    type Value = Held<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match (self.kind, self.objects) {
            (Some(kind), Objects::Decoded) => decode(kind, deserializer),
            (None, _) | (_, Objects::AsText) => {
                <&RawValue>::deserialize(deserializer).map(Held::Text)
            }
        }
    }
}

struct RequestSeed(Objects);

impl<'de> DeserializeSeed<'de> for RequestSeed {
    type Value = Option<Request<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum RequestField {
    Uid,
    Kind,
    SubResource,
    Name,
    Namespace,
    Operation,
    UserInfo,
    Object,
    OldObject,
    DryRun,
    Options,
    #[serde(other)]
    Unknown,
}

impl<'de> Visitor<'de> for RequestSeed {
    type Value = Option<Request<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the request of an AdmissionReview")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut request = Request::default();
        while let Some(field) = map.next_key()? {
            let object = ObjectSeed {
                kind: request.kind,
                objects: self.0,
            };
            match field {
                RequestField::Uid => set(&mut request.uid, map.next_value()?)?,
                RequestField::Kind => {
                    let RequestKind { group, kind } = map.next_value()?;
                    set(&mut request.kind, ObjectKind::of(&group, &kind))?;
                }
                RequestField::SubResource => set(&mut request.sub_resource, map.next_value()?)?,
                RequestField::Name => set(&mut request.name, map.next_value()?)?,
                RequestField::Namespace => set(&mut request.namespace, map.next_value()?)?,
                RequestField::Operation => set(&mut request.operation, map.next_value()?)?,
                RequestField::UserInfo => set(&mut request.user_info, map.next_value()?)?,
                RequestField::Object => set(&mut request.object, map.next_value_seed(object)?)?,
                RequestField::OldObject => {
                    set(&mut request.old_object, map.next_value_seed(object)?)?;
                }
                RequestField::DryRun => {
                    if let Some(dry_run) = map.next_value()? {
                        set(&mut request.dry_run, dry_run)?;
                    }
                }
                RequestField::Options => {
                    if let Some(options) = map.next_value()? {
                        set(&mut request.options, options)?;
                    }
                }
                RequestField::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(request))
    }
}
