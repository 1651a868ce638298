//! A link of the chain from Argo CD to a cluster, and what was found of it.

use super::change::AwsChange;

/// The links, in the order in which they are told.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum LinkName {
    AuthenticationMode,
    AccessEntry,
    AccessPolicy,
    ClusterRole,
    ClusterRoleTrust,
    EngineRole,
    EngineRolePolicy,
    PodIdentity,
    Endpoint,
    CertificateAuthority,
    ClusterSecret,
}

/// How it is with a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Ok,
    /// What it takes is not there.
    Missing,
    /// It is there, and does not hold.
    Wrong,
    Unknown,
}

/// What was found of a link.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) name: LinkName,
    pub(crate) state: State,
    /// What is there.
    pub(crate) observed: String,
    /// What should be there.
    pub(crate) expected: String,
    /// Why it is so, and what it means. May be empty.
    pub(crate) detail: String,
    /// What makes it hold, in this order.
    pub(crate) mends: Vec<Mend>,
}

/// Something that makes a link hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Mend {
    /// A change of AWS.
    Aws(AwsChange),
    /// The cluster Secret is written.
    Secret,
    /// Another command of kubectl's.
    Kubernetes(String),
    /// What only people can do.
    Manual(String),
}

impl LinkName {
    /// The order in which links are mended. A principal must be there before a trust policy can
    /// name it, and nothing grants anything in the cluster before the way to it is as it should be.
    /// The Secret comes last: it makes Argo CD use all others.
    pub(crate) const BY_MENDING: [LinkName; 11] = [
        LinkName::AuthenticationMode,
        LinkName::CertificateAuthority,
        LinkName::Endpoint,
        LinkName::EngineRole,
        LinkName::ClusterRole,
        LinkName::ClusterRoleTrust,
        LinkName::EngineRolePolicy,
        LinkName::PodIdentity,
        LinkName::AccessEntry,
        LinkName::AccessPolicy,
        LinkName::ClusterSecret,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            LinkName::AuthenticationMode => "authentication-mode",
            LinkName::AccessEntry => "access-entry",
            LinkName::AccessPolicy => "access-policy",
            LinkName::ClusterRole => "cluster-role",
            LinkName::ClusterRoleTrust => "cluster-role-trust",
            LinkName::EngineRole => "engine-role",
            LinkName::EngineRolePolicy => "engine-role-policy",
            LinkName::PodIdentity => "pod-identity",
            LinkName::Endpoint => "endpoint",
            LinkName::CertificateAuthority => "certificate-authority",
            LinkName::ClusterSecret => "cluster-secret",
        }
    }
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Missing => "missing",
            State::Wrong => "wrong",
            State::Unknown => "unknown",
        }
    }
}

impl Link {
    fn new(name: LinkName, state: State, observed: impl Into<String>) -> Self {
        Link {
            name,
            state,
            observed: observed.into(),
            expected: String::new(),
            detail: String::new(),
            mends: Vec::new(),
        }
    }

    pub(super) fn ok(name: LinkName, observed: impl Into<String>) -> Self {
        let observed = observed.into();
        Link::new(name, State::Ok, observed.clone()).expecting(observed)
    }

    pub(super) fn missing(name: LinkName, observed: impl Into<String>) -> Self {
        Link::new(name, State::Missing, observed)
    }

    pub(super) fn wrong(name: LinkName, observed: impl Into<String>) -> Self {
        Link::new(name, State::Wrong, observed)
    }

    /// A link of which nothing can be said, and why.
    pub(super) fn unknown(name: LinkName, reason: impl Into<String>) -> Self {
        Link::new(name, State::Unknown, "not known").because(reason)
    }

    pub(super) fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    pub(super) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds to what is told of it.
    pub(super) fn noting(mut self, detail: &str) -> Self {
        if !detail.is_empty() {
            if !self.detail.is_empty() {
                self.detail.push_str("; ");
            }
            self.detail.push_str(detail);
        }
        self
    }

    pub(super) fn mended_by(mut self, mends: impl IntoIterator<Item = Mend>) -> Self {
        self.mends.extend(mends);
        self
    }

    pub(super) fn by_hand(self, how: impl Into<String>) -> Self {
        self.mended_by([Mend::Manual(how.into())])
    }

    pub(super) fn changed_by(self, changes: impl IntoIterator<Item = AwsChange>) -> Self {
        self.mended_by(changes.into_iter().map(Mend::Aws))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_is_told_and_mended_once_and_the_secret_last() {
        let mut by_mending = LinkName::BY_MENDING;
        assert_eq!(by_mending.last(), Some(&LinkName::ClusterSecret));
        by_mending.sort_unstable();
        assert!(by_mending.is_sorted_by(|one, other| one < other));
    }
}
