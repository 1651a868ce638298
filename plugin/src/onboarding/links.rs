//! The links, one file each: what is there, what should be, and what makes it so.

mod access_entry;
mod access_policy;
mod authentication_mode;
mod certificate_authority;
mod cluster_role;
mod cluster_role_trust;
mod cluster_secret;
mod endpoint;
mod engine_role;
mod engine_role_policy;
mod pod_identity;
mod trust;

use jiff::Timestamp;

pub(crate) use self::cluster_secret::Fleet;
pub(crate) use self::engine_role_policy::policy_name;
use super::link::Link;
use super::registration::Evidence;

/// All links, in the order in which they are told.
pub(crate) fn all(evidence: Evidence<'_>, fleet: &Fleet, now: Timestamp) -> Vec<Link> {
    vec![
        authentication_mode::judge(evidence),
        access_entry::judge(evidence),
        access_policy::judge(evidence),
        cluster_role::judge(evidence),
        cluster_role_trust::judge(evidence),
        engine_role::judge(evidence),
        engine_role_policy::judge(evidence),
        pod_identity::judge(evidence),
        endpoint::judge(evidence),
        certificate_authority::judge(evidence, now),
        cluster_secret::judge(evidence, fleet),
    ]
}

/// What a link says that an Argo CD which AWS manages does not need.
const NOT_NEEDED: &str = "not needed";
const OF_CAPABILITY: &str = "the Argo CD that AWS manages logs in with its own role";
/// What names the role in the cluster's account.
const NAME_ROLE: &str = "name the role by --role-arn, or have one made by --create-role";
/// What names the role of Argo CD's pods.
const NAME_ENGINE_ROLE: &str = "name the role of Argo CD's pods by --engine-role-arn";
