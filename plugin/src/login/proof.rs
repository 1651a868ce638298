//! What is proven of a login, link by link.

/// What has to hold, in the order in which it is tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// The Secret says how to log in.
    ClusterSecret,
    /// The role may be taken on.
    ClusterRoleTrust,
    /// The API server answers.
    Endpoint,
    /// Its certificate is the one that the Secret holds it to.
    CertificateAuthority,
    /// It knows the role.
    AccessEntry,
    /// The role may do what the projects need.
    AccessPolicy,
}

impl Link {
    pub(crate) const ALL: [Link; 6] = [
        Link::ClusterSecret,
        Link::ClusterRoleTrust,
        Link::Endpoint,
        Link::CertificateAuthority,
        Link::AccessEntry,
        Link::AccessPolicy,
    ];

    /// Its name, as `cluster onboard` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Link::ClusterSecret => "cluster-secret",
            Link::ClusterRoleTrust => "cluster-role-trust",
            Link::Endpoint => "endpoint",
            Link::CertificateAuthority => "certificate-authority",
            Link::AccessEntry => "access-entry",
            Link::AccessPolicy => "access-policy",
        }
    }
}

/// How it is with a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Ok,
    Wrong,
    /// Nobody could tell.
    Unknown,
}

/// What was found of a link.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) link: Link,
    pub(crate) state: State,
    /// What was seen.
    pub(crate) detail: String,
    /// What puts it right.
    pub(crate) mend: Option<String>,
}

/// What was found of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Verification {
    /// Of the cluster in Argo CD.
    pub(crate) name: String,
    pub(crate) server: String,
    /// Of each link, in their order.
    pub(crate) proofs: Vec<Proof>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Proven,
    Broken,
    Unknown,
}

impl Verification {
    pub(super) fn new(name: &str, server: &str) -> Self {
        Verification {
            name: name.to_owned(),
            server: server.to_owned(),
            proofs: Vec::new(),
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let any = |state| self.proofs.iter().any(|proof| proof.state == state);
        if any(State::Wrong) {
            Verdict::Broken
        } else if any(State::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Proven
        }
    }

    /// The first link that does not hold, or of which nobody could tell.
    pub(crate) fn first_flaw(&self) -> Option<&Proof> {
        let with = |state| self.proofs.iter().find(|proof| proof.state == state);
        with(State::Wrong).or_else(|| with(State::Unknown))
    }

    pub(super) fn add(&mut self, link: Link, state: State, detail: impl Into<String>) {
        self.proofs.push(Proof {
            link,
            state,
            detail: detail.into(),
            mend: None,
        });
    }

    pub(super) fn mended_by(&mut self, mend: impl Into<String>) {
        if let Some(last) = self.proofs.last_mut() {
            last.mend = Some(mend.into());
        }
    }

    /// Nobody can tell of what comes after a link that does not hold.
    pub(super) fn ended(mut self) -> Self {
        for link in Link::ALL.into_iter().skip(self.proofs.len()) {
            self.add(
                link,
                State::Unknown,
                "not tried, as a link before it is not proven",
            );
        }
        self
    }
}
