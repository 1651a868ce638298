//! What is judged: a request, and who makes it.

use std::ops::Deref;

use argocd::cluster::ClusterSecret;
use argocd::known_fields::UnknownField;
use argocd::{AppProject, Application, ApplicationSet};
use jiff::Timestamp;

use super::object::{Object, ObjectRef};

/// What is to be done with an object of one kind.
#[derive(Clone, Copy, Debug)]
pub enum Request<T> {
    /// It is new, or it lies in a file.
    Create(T),
    /// It replaces the one that is there.
    Update {
        /// The object as it would be.
        new: T,
        /// The object as it is.
        old: T,
    },
    /// It replaces one that cannot be read, or that nobody has looked at. It has to stand by
    /// itself, as a new one does.
    UpdateOfUnknown(T),
    /// It is to go.
    Delete(T, Propagation),
}

impl<T> Request<T> {
    /// The object as it would be; on a deletion, as it is.
    pub fn object(&self) -> &T {
        match self {
            Request::Create(object)
            | Request::Update { new: object, .. }
            | Request::UpdateOfUnknown(object)
            | Request::Delete(object, _) => object,
        }
    }

    /// The object that is replaced, where it is known.
    pub fn old(&self) -> Option<&T> {
        match self {
            Request::Update { old, .. } => Some(old),
            Request::Create(_) | Request::UpdateOfUnknown(_) | Request::Delete(..) => None,
        }
    }

    /// Whether the object replaces one that is there.
    pub fn is_update(&self) -> bool {
        matches!(self, Request::Update { .. } | Request::UpdateOfUnknown(_))
    }

    /// Whether the object is to go.
    pub fn is_deletion(&self) -> bool {
        matches!(self, Request::Delete(..))
    }

    /// What becomes of what the object owns, if it is to go.
    pub fn propagation(&self) -> Option<Propagation> {
        match self {
            Request::Delete(_, propagation) => Some(*propagation),
            Request::Create(_) | Request::Update { .. } | Request::UpdateOfUnknown(_) => None,
        }
    }

    /// The same of what is made of the objects.
    pub(crate) fn map<'s, U>(&'s self, make: impl Fn(&'s T) -> U) -> Request<U> {
        match self {
            Request::Create(object) => Request::Create(make(object)),
            Request::Update { new, old } => Request::Update {
                new: make(new),
                old: make(old),
            },
            Request::UpdateOfUnknown(object) => Request::UpdateOfUnknown(make(object)),
            Request::Delete(object, propagation) => Request::Delete(make(object), *propagation),
        }
    }
}

impl<T: Deref> Request<T> {
    fn as_deref(&self) -> Request<&T::Target> {
        self.map(T::deref)
    }
}

impl<T> Request<&T> {
    /// The old object in the new one's place, as it would be judged now.
    pub(crate) fn before(self) -> Option<Self> {
        self.old().copied().map(Request::UpdateOfUnknown)
    }

    /// As if what is there were to be written: an ApplicationSet that goes alone leaves its
    /// Applications as they are.
    pub(crate) fn as_written(self) -> Self {
        match self {
            Request::Delete(object, _) => Request::Create(object),
            request => request,
        }
    }
}

/// What is to be done with an object of any kind that is judged.
#[derive(Debug)]
pub enum AnyRequest<'a> {
    /// With an Application.
    Application(Request<Box<Application<'a>>>),
    /// With an AppProject.
    AppProject(Request<Box<AppProject>>),
    /// With an ApplicationSet.
    ApplicationSet(Request<Box<ApplicationSet<'a>>>),
    /// With a Secret that Argo CD reads, or has read, as a cluster.
    ClusterSecret(Request<Box<ClusterSecret<'a>>>),
}

impl<'a> AnyRequest<'a> {
    /// The object is new, or it lies in a file.
    pub fn create(object: Object<'a>) -> Self {
        match object {
            Object::Application(object) => AnyRequest::Application(Request::Create(object)),
            Object::AppProject(object) => AnyRequest::AppProject(Request::Create(object)),
            Object::ApplicationSet(object) => AnyRequest::ApplicationSet(Request::Create(object)),
            Object::ClusterSecret(object) => AnyRequest::ClusterSecret(Request::Create(object)),
        }
    }

    /// The object replaces another one. An object of another kind cannot be what it replaces, so
    /// that nothing is known of that.
    pub fn update(new: Object<'a>, old: Object<'a>) -> Self {
        match (new, old) {
            (Object::Application(new), Object::Application(old)) => {
                AnyRequest::Application(Request::Update { new, old })
            }
            (Object::AppProject(new), Object::AppProject(old)) => {
                AnyRequest::AppProject(Request::Update { new, old })
            }
            (Object::ApplicationSet(new), Object::ApplicationSet(old)) => {
                AnyRequest::ApplicationSet(Request::Update { new, old })
            }
            (Object::ClusterSecret(new), Object::ClusterSecret(old)) => {
                AnyRequest::ClusterSecret(Request::Update { new, old })
            }
            (new, _) => AnyRequest::update_of_unknown(new),
        }
    }

    /// The object replaces one of which nothing is known.
    pub fn update_of_unknown(new: Object<'a>) -> Self {
        match new {
            Object::Application(new) => AnyRequest::Application(Request::UpdateOfUnknown(new)),
            Object::AppProject(new) => AnyRequest::AppProject(Request::UpdateOfUnknown(new)),
            Object::ApplicationSet(new) => {
                AnyRequest::ApplicationSet(Request::UpdateOfUnknown(new))
            }
            Object::ClusterSecret(new) => AnyRequest::ClusterSecret(Request::UpdateOfUnknown(new)),
        }
    }

    /// The object is to go.
    pub fn delete(object: Object<'a>, propagation: Propagation) -> Self {
        match object {
            Object::Application(object) => {
                AnyRequest::Application(Request::Delete(object, propagation))
            }
            Object::AppProject(object) => {
                AnyRequest::AppProject(Request::Delete(object, propagation))
            }
            Object::ApplicationSet(object) => {
                AnyRequest::ApplicationSet(Request::Delete(object, propagation))
            }
            Object::ClusterSecret(object) => {
                AnyRequest::ClusterSecret(Request::Delete(object, propagation))
            }
        }
    }

    /// The object as it would be; on a deletion, as it is.
    pub fn object(&self) -> ObjectRef<'_> {
        self.as_ref().object()
    }

    /// The object that is replaced, where it is known.
    pub fn old(&self) -> Option<ObjectRef<'_>> {
        self.as_ref().old()
    }

    pub(crate) fn as_ref(&self) -> RequestRef<'_> {
        match self {
            AnyRequest::Application(request) => RequestRef::Application(request.as_deref()),
            AnyRequest::AppProject(request) => RequestRef::AppProject(request.as_deref()),
            AnyRequest::ApplicationSet(request) => RequestRef::ApplicationSet(request.as_deref()),
            AnyRequest::ClusterSecret(request) => RequestRef::ClusterSecret(request.as_deref()),
        }
    }
}

/// The same, lent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestRef<'s> {
    Application(Request<&'s Application<'s>>),
    AppProject(Request<&'s AppProject>),
    ApplicationSet(Request<&'s ApplicationSet<'s>>),
    ClusterSecret(Request<&'s ClusterSecret<'s>>),
}

impl<'s> RequestRef<'s> {
    pub(crate) fn object(self) -> ObjectRef<'s> {
        match self {
            RequestRef::Application(request) => ObjectRef::Application(request.object()),
            RequestRef::AppProject(request) => ObjectRef::AppProject(request.object()),
            RequestRef::ApplicationSet(request) => ObjectRef::ApplicationSet(request.object()),
            RequestRef::ClusterSecret(request) => ObjectRef::ClusterSecret(request.object()),
        }
    }

    pub(crate) fn old(self) -> Option<ObjectRef<'s>> {
        Some(match self {
            RequestRef::Application(request) => ObjectRef::Application(request.old()?),
            RequestRef::AppProject(request) => ObjectRef::AppProject(request.old()?),
            RequestRef::ApplicationSet(request) => ObjectRef::ApplicationSet(request.old()?),
            RequestRef::ClusterSecret(request) => ObjectRef::ClusterSecret(request.old()?),
        })
    }

    pub(crate) fn is_deletion(self) -> bool {
        self.propagation().is_some()
    }

    pub(crate) fn propagation(self) -> Option<Propagation> {
        match self {
            RequestRef::Application(request) => request.propagation(),
            RequestRef::AppProject(request) => request.propagation(),
            RequestRef::ApplicationSet(request) => request.propagation(),
            RequestRef::ClusterSecret(request) => request.propagation(),
        }
    }
}

/// What becomes of what an object owns when it is deleted, as Kubernetes' garbage collector is
/// told. Argo CD's finalizers do not go by it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Propagation {
    /// It is deleted afterwards.
    #[default]
    Background,
    /// It is deleted first.
    Foreground,
    /// It stays.
    Orphan,
}

/// Who asks, as the API server authenticated them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Requester<'a> {
    /// User name; empty where nobody asks, as in a check of files.
    pub username: &'a str,
}

/// The parts of Kubernetes that delete what somebody else's decision has left over, and, where
/// these do not log in by themselves, the program that they are part of.
const COLLECTORS: [&str; 3] = [
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:namespace-controller",
    "system:kube-controller-manager",
];

impl Requester<'_> {
    /// Whether a deletion only follows another one: that of an owner or of the namespace.
    pub(crate) fn is_collector(self) -> bool {
        COLLECTORS.contains(&self.username)
    }
}

/// A request to judge.
#[derive(Debug)]
pub struct Subject<'a> {
    /// What is to be done with which object.
    pub request: AnyRequest<'a>,
    /// Who asks.
    pub requester: Requester<'a>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// What time it is, for overrides that expire.
    pub now: Timestamp,
    /// Fields that it has in a file and loses when it is stored.
    pub unknown_fields: &'a [UnknownField],
}

/// The same, lent; or as rules are asked about it, where `R` is that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubjectRef<'s, R = RequestRef<'s>> {
    /// What is to be done with which object.
    pub(crate) request: R,
    /// Who asks.
    pub(crate) requester: Requester<'s>,
    /// The ApplicationSet that generates it, where that is being judged.
    pub(crate) generated_by: Option<&'s ApplicationSet<'s>>,
    /// Fields that it has in a file and loses when it is stored.
    pub(crate) unknown_fields: &'s [UnknownField],
}

impl<'a> Subject<'a> {
    /// An object of a file, or a new one, at the end of all time: until `now` is set, every
    /// override has expired.
    pub fn new(object: Object<'a>) -> Self {
        Subject::of(AnyRequest::create(object))
    }

    /// An object that replaces another one, at the end of all time.
    pub fn update(new: Object<'a>, old: Object<'a>) -> Self {
        Subject::of(AnyRequest::update(new, old))
    }

    /// An object that is to go, at the end of all time.
    pub fn delete(object: Object<'a>, propagation: Propagation) -> Self {
        Subject::of(AnyRequest::delete(object, propagation))
    }

    /// Any request, at the end of all time.
    pub fn of(request: AnyRequest<'a>) -> Self {
        Subject {
            request,
            requester: Requester::default(),
            dry_run: false,
            now: Timestamp::MAX,
            unknown_fields: &[],
        }
    }

    pub(crate) fn as_ref(&self) -> SubjectRef<'_> {
        SubjectRef {
            request: self.request.as_ref(),
            requester: self.requester,
            generated_by: None,
            unknown_fields: self.unknown_fields,
        }
    }
}

impl<'s> SubjectRef<'s> {
    /// The object as it would be; on a deletion, as it is.
    pub(crate) fn object(self) -> ObjectRef<'s> {
        self.request.object()
    }
}

impl<'s, R> SubjectRef<'s, R> {
    /// The same, as rules are asked about it.
    pub(crate) fn with<T>(self, request: T) -> SubjectRef<'s, T> {
        SubjectRef {
            request,
            requester: self.requester,
            generated_by: self.generated_by,
            unknown_fields: self.unknown_fields,
        }
    }

    /// The old object in the new one's place, which is there as it was stored.
    pub(crate) fn with_before<T>(self, request: T) -> SubjectRef<'s, T> {
        SubjectRef {
            unknown_fields: &[],
            ..self.with(request)
        }
    }
}
