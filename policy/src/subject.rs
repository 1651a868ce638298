//! What is judged: an object, its old self, who asks for what.

use argocd::cluster::ClusterSecret;
use argocd::{AppProject, Application};

/// An object of a kind that is judged.
#[derive(Debug)]
pub enum Object<'a> {
    /// Application.
    Application(Box<Application<'a>>),
    /// AppProject.
    AppProject(Box<AppProject>),
    /// A Secret that Argo CD reads as a cluster.
    ClusterSecret(Box<ClusterSecret<'a>>),
}

/// What is being done to the object.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Operation {
    /// It is new, or it lies in a file.
    #[default]
    Create,
    /// It replaces the old object.
    Update,
    /// The old object is being deleted.
    Delete,
}

/// Who asks, as the API server authenticated them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Requester<'a> {
    /// User name; empty where nobody asks, as in a check of files.
    pub username: &'a str,
}

/// An object to judge.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The object as it would be.
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
