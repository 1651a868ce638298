//! What is judged: an object, its old self, who asks for what.

use argocd::cluster::ClusterSecret;
use argocd::known_fields::UnknownField;
use argocd::{AppProject, Application, ApplicationSet};
use jiff::Timestamp;

use crate::terms::annotations::{Override, Written};

/// An object of a kind that is judged.
#[derive(Debug)]
pub enum Object<'a> {
    /// Application.
    Application(Box<Application<'a>>),
    /// AppProject.
    AppProject(Box<AppProject>),
    /// ApplicationSet.
    ApplicationSet(Box<ApplicationSet<'a>>),
    /// A Secret that Argo CD reads as a cluster.
    ClusterSecret(Box<ClusterSecret<'a>>),
}

impl Object<'_> {
    /// The kind, as rules name what they judge.
    pub fn kind(&self) -> &'static str {
        match self {
            Object::Application(_) => "Application",
            Object::AppProject(_) => "AppProject",
            Object::ApplicationSet(_) => "ApplicationSet",
            Object::ClusterSecret(_) => "Secret",
        }
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        match self {
            Object::Application(application) => application.metadata.annotations.get(key),
            Object::AppProject(project) => {
                project.metadata.annotations.get(key).map(String::as_str)
            }
            Object::ApplicationSet(set) => set.metadata.annotations.get(key),
            Object::ClusterSecret(secret) => secret.metadata.annotations.get(key),
        }
    }

    /// Whether it is anything to Argo CD: of Secrets only a cluster is.
    pub(crate) fn counts(&self) -> bool {
        match self {
            Object::ClusterSecret(secret) => secret.is_cluster(),
            Object::Application(_) | Object::AppProject(_) | Object::ApplicationSet(_) => true,
        }
    }

    /// Whether it has been asked to go, and is only still there because of a finalizer.
    pub fn is_being_deleted(&self) -> bool {
        !match self {
            Object::Application(application) => application.metadata.deletion_timestamp.as_str(),
            Object::AppProject(project) => project.metadata.deletion_timestamp.as_str(),
            Object::ApplicationSet(set) => set.metadata.deletion_timestamp.as_str(),
            Object::ClusterSecret(secret) => secret.metadata.deletion_timestamp.as_str(),
        }
        .is_empty()
    }

    /// `metadata.uid`; empty in a file.
    pub fn uid(&self) -> &str {
        match self {
            Object::Application(application) => &application.metadata.uid,
            Object::AppProject(project) => &project.metadata.uid,
            Object::ApplicationSet(set) => &set.metadata.uid,
            Object::ClusterSecret(secret) => &secret.metadata.uid,
        }
    }
}

impl Override {
    /// The override on an object, if there is a valid one. It counts for nothing while the object is
    /// [being deleted](Object::is_being_deleted).
    pub fn on(object: &Object<'_>) -> Option<Self> {
        Written::on(object).read().ok()
    }
}

impl<'w> Written<'w> {
    pub(crate) fn on(object: &'w Object<'_>) -> Self {
        Written::among(|key| object.annotation(key))
    }
}

/// What is being done to the object.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Operation {
    /// It is new, or it lies in a file.
    #[default]
    Create,
    /// It replaces the old object.
    Update,
    /// The object is to go.
    Delete(Propagation),
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

/// The parts of Kubernetes that delete what somebody else's decision has left over, and, where these
/// do not log in by themselves, the program that they are part of.
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

/// An object to judge.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The object as it would be; on a deletion, as it is.
    pub object: Object<'a>,
    /// The object as it is, on an update, if it is of a kind that is judged.
    pub old: Option<Object<'a>>,
    /// What is being done.
    pub operation: Operation,
    /// Who asks.
    pub requester: Requester<'a>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// What time it is, for overrides that expire.
    pub now: Timestamp,
    /// Fields that it has in a file and loses when it is stored.
    pub unknown_fields: &'a [UnknownField],
}

/// The same, lent to rules, of which some are also asked about the old object.
#[derive(Clone, Copy, Debug)]
pub struct SubjectRef<'s> {
    /// The object that is judged.
    pub object: &'s Object<'s>,
    /// Its old self.
    pub old: Option<&'s Object<'s>>,
    /// What is being done.
    pub operation: Operation,
    /// Who asks.
    pub requester: Requester<'s>,
    /// The ApplicationSet that generates it, where that is being judged.
    pub generated_by: Option<&'s ApplicationSet<'s>>,
    /// Fields that it has in a file and loses when it is stored.
    pub unknown_fields: &'s [UnknownField],
}

impl<'a> Subject<'a> {
    /// An object of a file, or a new one, at the end of all time: until `now` is set, every override has
    /// expired.
    pub fn new(object: Object<'a>) -> Self {
        Subject {
            object,
            old: None,
            operation: Operation::Create,
            requester: Requester::default(),
            dry_run: false,
            now: Timestamp::MAX,
            unknown_fields: &[],
        }
    }

    pub(crate) fn as_ref(&self) -> SubjectRef<'_> {
        SubjectRef {
            object: &self.object,
            old: self.old.as_ref(),
            operation: self.operation,
            requester: self.requester,
            generated_by: None,
            unknown_fields: self.unknown_fields,
        }
    }
}

impl SubjectRef<'_> {
    /// The old object in the new one's place, as it would be judged now. A Secret that was not a cluster was
    /// nothing to Argo CD.
    pub(crate) fn before(self) -> Option<Self> {
        self.old.filter(|old| old.counts()).map(|old| SubjectRef {
            object: old,
            old: None,
            unknown_fields: &[],
            ..self
        })
    }
}
