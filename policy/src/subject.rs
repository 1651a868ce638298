//! What is judged: an object, its old self, who asks for what.

use argocd::cluster::ClusterSecret;
use argocd::{AppProject, Application, ApplicationSet};

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
}

impl<'a> Subject<'a> {
    /// An object of a file, or a new one.
    pub fn new(object: Object<'a>) -> Self {
        Subject {
            object,
            old: None,
            operation: Operation::Create,
            requester: Requester::default(),
        }
    }
}
