//! What somebody may do, as far as that can be told.

use policy::Kind;
use policy::gitops_policy::POLICY_NAME;

use crate::kubernetes::{Objects, of_all_namespaces, resource_of};

/// An answer to whether the user may do something to an object.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) verb: &'static str,
    pub(crate) objects: Objects,
    pub(crate) name: String,
    pub(crate) allowed: Allowed,
    /// What says so; empty if nothing does.
    pub(crate) reason: String,
}

/// Whether the user may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Allowed {
    Yes,
    /// Nothing permits it.
    No,
    /// Something does, but not the policy, which does not name them.
    TurnedAway,
    /// They may, and it would be of no use: the object is being deleted.
    OfNoUse,
    /// It depends on the policy, or on the object if this is about one, which they may not read.
    Unknown,
}

impl Allowed {
    /// None if it is unknown.
    pub(crate) fn known(self) -> Option<bool> {
        match self {
            Allowed::Yes => Some(true),
            Allowed::No | Allowed::TurnedAway | Allowed::OfNoUse => Some(false),
            Allowed::Unknown => None,
        }
    }
}

impl Answer {
    /// What would have to be there for it to be allowed, or known.
    pub(crate) fn advice(&self) -> Option<String> {
        match self.allowed {
            Allowed::Yes | Allowed::OfNoUse => None,
            Allowed::No => Some(needs(self.verb, &self.objects, &self.name)),
            Allowed::TurnedAway => Some("add it there, or act as somebody else".to_owned()),
            Allowed::Unknown if self.objects.namespace.is_some() => {
                Some(needs("get", &self.objects, &self.name))
            }
            Allowed::Unknown => {
                let policies = of_all_namespaces(resource_of(Kind::Policy));
                Some(needs("get", &policies, POLICY_NAME))
            }
        }
    }
}

fn needs(verb: &str, objects: &Objects, name: &str) -> String {
    let role = match objects.namespace {
        Some(_) => "Role or ClusterRole",
        None => "ClusterRole, bound by a ClusterRoleBinding,",
    };
    let object = objects.one_or_all(Some(name));
    format!("you need a {role} that allows `{verb}` on {object}")
}
