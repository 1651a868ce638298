//! How a cluster comes into a fleet: what is there, what is missing and what is wrong, link by
//! link, from AWS to the cluster Secret.
//!
//! It is given facts; it neither prints nor reads the command line, nor asks AWS.

pub(crate) mod arn;
pub(crate) mod assumption;
pub(crate) mod change;
pub(crate) mod distrust;
pub(crate) mod facts;
mod hcl;
pub(crate) mod kustomization;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod policy_document;
pub(crate) mod registered;
pub(crate) mod registration;
pub(crate) mod script;
pub(crate) mod secret;
pub(crate) mod terraform;
#[cfg(test)]
mod testing;
pub(crate) mod undo;

use self::change::Login;
use self::facts::AwsFacts;
use self::link::{Link, State};
use self::registration::{Evidence, Registration};
use self::secret::SecretManifest;
use crate::check::Located;
use crate::preview::Preview;

/// A cluster that is to come into a fleet, and what was found of it.
pub(crate) struct Onboarding {
    pub(crate) registration: Registration,
    pub(crate) aws: AwsFacts,
    /// The Secret that would be written.
    pub(crate) secret: SecretManifest,
    /// In the order in which they are told.
    pub(crate) links: Vec<Link>,
    /// What ApplicationSets would do once it is there; None where none are known.
    pub(crate) fan_out: Option<Preview>,
    /// What the rules find in the Secret.
    pub(crate) findings: Vec<Located>,
}

impl Onboarding {
    pub(crate) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            registration: &self.registration,
            aws: &self.aws,
        }
    }

    /// How many links there are of a state.
    pub(crate) fn count(&self, state: State) -> usize {
        self.links.iter().filter(|link| link.state == state).count()
    }

    /// Where the cluster is, and as whom AWS is asked about it.
    pub(crate) fn login(&self) -> &Login {
        &self.registration.login
    }
}
