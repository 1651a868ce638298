//! What is known of AWS for the onboarding of one cluster.
//!
//! The names are those of the APIs of EKS, IAM and STS, as `aws … --output json` writes them, so
//! that a file and the SDK fill the same types. What is added is whether a thing is known at all.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// A thing that was looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Lookup<T> {
    Known(T),
    /// It was looked for, and is not there.
    Absent,
    /// It could not be looked for, or was not, and why.
    Unknown(String),
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct AwsFacts {
    /// The cluster that is to be onboarded (`eks describe-cluster`).
    pub(crate) cluster: Lookup<EksCluster>,
    /// The ARNs of all principals that have an access entry in it (`eks list-access-entries`).
    pub(crate) access_entry_principals: Lookup<Vec<String>>,
    /// The access entry of the role in the cluster's account (`eks describe-access-entry`).
    pub(crate) access_entry: Lookup<AccessEntry>,
    /// The access policies of that entry (`eks list-associated-access-policies`); `Known` and empty
    /// where the entry has none, `Absent` where there is no entry.
    pub(crate) access_policies: Lookup<Vec<AssociatedAccessPolicy>>,
    /// The role in the cluster's account, which Argo CD logs in with.
    pub(crate) cluster_role: Lookup<Role>,
    /// The role of Argo CD's pods, in the account of the engine's cluster.
    pub(crate) engine_role: Lookup<Role>,
    /// The cluster that Argo CD runs on (`eks describe-cluster`).
    pub(crate) engine_cluster: Lookup<EksCluster>,
    /// Its add-on `eks-pod-identity-agent` (`eks describe-addon`).
    pub(crate) pod_identity_agent: Lookup<Addon>,
    /// Its Pod Identity associations in Argo CD's namespace
    /// (`eks describe-pod-identity-association` of each in `eks list-pod-identity-associations`).
    pub(crate) pod_identity_associations: Lookup<Vec<PodIdentityAssociation>>,
    /// Who asks in the cluster's account (`sts get-caller-identity`).
    pub(crate) caller: Lookup<CallerIdentity>,
    /// Who asks in the engine's account.
    pub(crate) engine_caller: Lookup<CallerIdentity>,
    /// Whether the cluster's API server answers here.
    pub(crate) reachability: Lookup<Reachability>,
}

/// An EKS cluster, as `eks describe-cluster` has it under `cluster`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EksCluster {
    pub(crate) name: String,
    pub(crate) arn: String,
    /// None while it is created.
    pub(crate) endpoint: Option<String>,
    /// `ACTIVE`, `CREATING`, `UPDATING`, …
    pub(crate) status: Option<String>,
    /// Kubernetes' version, `1.35`.
    pub(crate) version: Option<String>,
    pub(crate) access_config: Option<AccessConfig>,
    pub(crate) resources_vpc_config: Option<VpcConfig>,
    pub(crate) certificate_authority: Option<CertificateAuthority>,
    pub(crate) compute_config: Option<ComputeConfig>,
}

/// Whether EKS Auto Mode runs a cluster's nodes, of which the Pod Identity agent is a part.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct ComputeConfig {
    pub(crate) enabled: Option<bool>,
}

/// Whether the API server of the cluster answers here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reachability {
    Answers,
    /// And why.
    DoesNot(String),
}

/// How principals of IAM get into a cluster.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccessConfig {
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub(crate) authentication_mode: Option<String>,
}

/// From where a cluster's API server can be reached.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VpcConfig {
    pub(crate) endpoint_public_access: Option<bool>,
    pub(crate) endpoint_private_access: Option<bool>,
    pub(crate) public_access_cidrs: Option<Vec<String>>,
}

/// What signed a cluster's serving certificate.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct CertificateAuthority {
    /// Base64 of PEM.
    pub(crate) data: Option<String>,
}

/// An access entry, as `eks describe-access-entry` has it under `accessEntry`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccessEntry {
    pub(crate) principal_arn: String,
    /// `STANDARD`, `EC2_LINUX`, `FARGATE_LINUX`, …
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) kubernetes_groups: Vec<String>,
    pub(crate) username: Option<String>,
    #[serde(deserialize_with = "timestamp")]
    pub(crate) created_at: Option<Timestamp>,
}

/// An access policy of an access entry, one of `associatedAccessPolicies`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AssociatedAccessPolicy {
    pub(crate) policy_arn: String,
    pub(crate) access_scope: AccessScope,
}

/// Where an access policy holds.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct AccessScope {
    /// `cluster` or `namespace`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Those of the type `namespace`, `*` at the end of each means any text.
    pub(crate) namespaces: Vec<String>,
}

/// A role of IAM and all that decides what it may do (`iam get-role` and the policies of the role).
#[derive(Clone, Debug, Default)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) create_date: Option<Timestamp>,
    /// `AssumeRolePolicyDocument`: JSON, as it is or percent-encoded, as the API of IAM has it.
    pub(crate) trust_policy: String,
    /// Policies in the role (`iam list-role-policies`, `iam get-role-policy`).
    pub(crate) inline_policies: Lookup<Vec<NamedPolicy>>,
    /// Policies that the role refers to (`iam list-attached-role-policies`,
    /// `iam get-policy`, `iam get-policy-version`).
    pub(crate) attached_policies: Lookup<Vec<NamedPolicy>>,
    /// The policy beyond which nothing is allowed to it; `Absent` where it has none.
    pub(crate) permissions_boundary: Lookup<NamedPolicy>,
}

/// A policy document and what it is called.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct NamedPolicy {
    /// The name of an inline policy, the ARN of another.
    pub(crate) name: String,
    /// JSON, as it is or percent-encoded.
    pub(crate) document: String,
}

/// An add-on of a cluster, as `eks describe-addon` has it under `addon`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Addon {
    #[serde(rename = "addonName")]
    pub(crate) name: String,
    #[serde(rename = "addonVersion")]
    pub(crate) version: Option<String>,
    /// `ACTIVE`, `DEGRADED`, `CREATE_FAILED`, …
    pub(crate) status: Option<String>,
}

/// Which role the pods of a service account have, as `eks describe-pod-identity-association` has it
/// under `association`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodIdentityAssociation {
    pub(crate) association_id: String,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    pub(crate) role_arn: String,
    /// The role that EKS assumes by the first one, on behalf of the pods.
    pub(crate) target_role_arn: Option<String>,
    /// What the trust policy of the target role may ask for as `sts:ExternalId`.
    pub(crate) external_id: Option<String>,
    pub(crate) disable_session_tags: Option<bool>,
}

/// Who asks, as `sts get-caller-identity` has it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CallerIdentity {
    /// The number of the account, twelve digits.
    pub(crate) account: String,
    pub(crate) arn: String,
}

impl<T> Default for Lookup<T> {
    fn default() -> Self {
        Lookup::Unknown("it was not looked for".to_owned())
    }
}

impl<T> Lookup<T> {
    /// What is known.
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Lookup::Known(thing) => Some(thing),
            Lookup::Absent | Lookup::Unknown(_) => None,
        }
    }
}

/// Reads a date as the CLI writes it, which can be told to write seconds. Another form is as good
/// as none: nothing but a comparison of dates depends on it.
fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Seconds(f64),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Text(text) => text.parse().ok(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "seconds are enough, and saturate"
        )]
        Written::Seconds(seconds) => Timestamp::from_second(seconds as i64).ok(),
        Written::Other(_) => None,
    })
}
