//! Where something is asked of AWS.

use std::fmt;

use crate::onboarding::change::Side;

impl Side {
    /// The flag by which its profile is named.
    pub(super) fn profile_flag(self) -> &'static str {
        match self {
            Side::Cluster => "--profile",
            Side::Engine => "--engine-profile",
        }
    }

    /// The flag by which its region is named.
    pub(super) fn region_flag(self) -> &'static str {
        match self {
            Side::Cluster => "--region",
            Side::Engine => "--engine-region",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Side::Cluster => "the cluster's account",
            Side::Engine => "the account of Argo CD's cluster",
        })
    }
}

/// Where something was asked.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(super) side: Side,
    /// None until AWS has said which one it is.
    pub(super) account: Option<String>,
    pub(super) region: String,
    pub(super) profile: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.account, &self.profile) {
            (Some(account), _) => write!(formatter, "account {account}")?,
            (None, Some(profile)) => write!(formatter, "the account of the profile {profile}")?,
            (None, None) => write!(formatter, "{}", self.side)?,
        }
        match &*self.region {
            "" => Ok(()),
            region => write!(formatter, ", region {region}"),
        }
    }
}
