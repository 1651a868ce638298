//! Objects of the kinds that are judged.

use argocd::cluster::ClusterSecret;
use argocd::{AppProject, Application, ApplicationSet};

use crate::kind::Kind;
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

/// The same, lent.
#[derive(Clone, Copy, Debug)]
pub enum ObjectRef<'s> {
    /// Application.
    Application(&'s Application<'s>),
    /// AppProject.
    AppProject(&'s AppProject),
    /// ApplicationSet.
    ApplicationSet(&'s ApplicationSet<'s>),
    /// A Secret that Argo CD reads as a cluster.
    ClusterSecret(&'s ClusterSecret<'s>),
}

impl Object<'_> {
    /// Lends it.
    pub fn as_ref(&self) -> ObjectRef<'_> {
        match self {
            Object::Application(application) => ObjectRef::Application(application),
            Object::AppProject(project) => ObjectRef::AppProject(project),
            Object::ApplicationSet(set) => ObjectRef::ApplicationSet(set),
            Object::ClusterSecret(secret) => ObjectRef::ClusterSecret(secret),
        }
    }
}

impl<'s> ObjectRef<'s> {
    /// The kind.
    pub fn kind(self) -> Kind {
        match self {
            ObjectRef::Application(_) => Kind::Application,
            ObjectRef::AppProject(_) => Kind::AppProject,
            ObjectRef::ApplicationSet(_) => Kind::ApplicationSet,
            ObjectRef::ClusterSecret(_) => Kind::ClusterSecret,
        }
    }

    /// The value of an annotation.
    pub fn annotation(self, key: &str) -> Option<&'s str> {
        match self {
            ObjectRef::Application(application) => application.metadata.annotations.get(key),
            ObjectRef::AppProject(project) => {
                project.metadata.annotations.get(key).map(String::as_str)
            }
            ObjectRef::ApplicationSet(set) => set.metadata.annotations.get(key),
            ObjectRef::ClusterSecret(secret) => secret.metadata.annotations.get(key),
        }
    }

    /// Whether it is anything to Argo CD: of Secrets only a cluster is.
    pub(crate) fn counts(self) -> bool {
        match self {
            ObjectRef::ClusterSecret(secret) => secret.is_cluster(),
            ObjectRef::Application(_) | ObjectRef::AppProject(_) | ObjectRef::ApplicationSet(_) => {
                true
            }
        }
    }

    /// Whether it has been asked to go, and is only still there because of a finalizer.
    pub fn is_being_deleted(self) -> bool {
        !match self {
            ObjectRef::Application(application) => application.metadata.deletion_timestamp.as_str(),
            ObjectRef::AppProject(project) => project.metadata.deletion_timestamp.as_str(),
            ObjectRef::ApplicationSet(set) => set.metadata.deletion_timestamp.as_str(),
            ObjectRef::ClusterSecret(secret) => secret.metadata.deletion_timestamp.as_str(),
        }
        .is_empty()
    }

    /// `metadata.uid`; empty in a file.
    pub fn uid(self) -> &'s str {
        match self {
            ObjectRef::Application(application) => &application.metadata.uid,
            ObjectRef::AppProject(project) => &project.metadata.uid,
            ObjectRef::ApplicationSet(set) => &set.metadata.uid,
            ObjectRef::ClusterSecret(secret) => &secret.metadata.uid,
        }
    }
}

impl Override {
    /// The override on an object, if there is a valid one. It counts for nothing while the object
    /// is [being deleted](ObjectRef::is_being_deleted).
    pub fn on(object: ObjectRef<'_>) -> Option<Self> {
        Written::on(object).read().ok()
    }
}

impl<'w> Written<'w> {
    pub(crate) fn on(object: ObjectRef<'w>) -> Self {
        Written::among(|key| object.annotation(key))
    }
}
