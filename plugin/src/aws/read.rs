//! Reading what is known of one cluster.

use std::borrow::Cow;
use std::future::Future;

use aws_smithy_types::DateTime;
use futures::future::try_join_all;
use jiff::Timestamp;
use tokio::join;

use super::account::Account;
use super::error::{AwsError, Reason};
use crate::onboarding::arn::RoleArn;
use crate::onboarding::facts::{
    AccessConfig, AccessEntry, AccessScope, Addon, AssociatedAccessPolicy, AwsFacts,
    CertificateAuthority, ComputeConfig, EksCluster, Lookup, NamedPolicy, PodIdentityAssociation,
    Role, VpcConfig,
};

/// The add-on that gives pods their roles.
const POD_IDENTITY_AGENT: &str = "eks-pod-identity-agent";
/// The service account of which the role is Argo CD's, where nobody says which one is.
const APPLICATION_CONTROLLER: &str = "argocd-application-controller";

/// What is to be read.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The cluster's name in EKS.
    pub(crate) cluster: &'a str,
    /// The ARN of the role in its account.
    pub(crate) cluster_role: Option<&'a str>,
    /// None where it is not to be asked.
    pub(crate) engine: Option<Engine<'a>>,
}

/// Where Argo CD runs.
#[derive(Clone, Copy)]
pub(crate) struct Engine<'a> {
    pub(crate) account: &'a Account,
    /// The cluster's name in EKS.
    pub(crate) cluster: &'a str,
    /// The namespace of Argo CD.
    pub(crate) namespace: &'a str,
    /// The ARN of the role of its pods; by default the one that the application controller has.
    pub(crate) role: Option<&'a str>,
}

/// Reads all of it at once. What cannot be read is unknown, and says why.
pub(crate) async fn read(account: &Account, wanted: &Wanted<'_>) -> AwsFacts {
    // Each call of the SDK is kilobytes of a future, so that they are kept apart.
    let of_engine = async {
        match &wanted.engine {
            Some(engine) => Box::pin(read_engine(engine)).await,
            None => AwsFacts::default(),
        }
    };
    let (cluster, access_entry_principals, of_role, of_engine) = join!(
        Box::pin(lookup(account.cluster(wanted.cluster))),
        Box::pin(entries(account.access_entry_principals(wanted.cluster))),
        Box::pin(read_cluster_role(account, wanted)),
        of_engine,
    );
    AwsFacts {
        cluster,
        access_entry_principals,
        access_entry: of_role.access_entry,
        access_policies: of_role.access_policies,
        cluster_role: of_role.cluster_role,
        caller: Lookup::Known(account.caller().clone()),
        ..of_engine
    }
}

/// What there is of a cluster that leaves: the same, with all policies of its role, and the other
/// clusters of the account and region that let the role in.
pub(crate) async fn read_leaving(
    account: &Account,
    wanted: &Wanted<'_>,
    role: &str,
) -> (AwsFacts, Lookup<Vec<String>>) {
    let (facts, cluster_role, entered) = join!(
        Box::pin(read(account, wanted)),
        Box::pin(lookup(account.role_with_policies(role))),
        Box::pin(lookup(account.clusters_entered_by(role, wanted.cluster))),
    );
    let facts = AwsFacts {
        cluster_role,
        ..facts
    };
    (facts, entered)
}

async fn read_cluster_role(account: &Account, wanted: &Wanted<'_>) -> AwsFacts {
    let Some(role) = wanted.cluster_role else {
        return AwsFacts::default();
    };
    let (access_entry, access_policies, cluster_role) = join!(
        entries(account.access_entry(wanted.cluster, role)),
        entries(account.access_policies(wanted.cluster, role)),
        lookup(account.role(role)),
    );
    AwsFacts {
        access_entry,
        access_policies,
        cluster_role,
        ..AwsFacts::default()
    }
}

async fn read_engine(engine: &Engine<'_>) -> AwsFacts {
    let account = engine.account;
    let (engine_cluster, pod_identity_agent, (pod_identity_associations, engine_role)) = join!(
        lookup(account.cluster(engine.cluster)),
        lookup(account.addon(engine.cluster, POD_IDENTITY_AGENT)),
        Box::pin(read_pod_identity(engine)),
    );
    AwsFacts {
        engine_cluster,
        pod_identity_agent,
        pod_identity_associations,
        engine_role,
        engine_caller: Lookup::Known(account.caller().clone()),
        ..AwsFacts::default()
    }
}

/// Which roles the pods have, and what that of Argo CD may do.
async fn read_pod_identity(
    engine: &Engine<'_>,
) -> (Lookup<Vec<PodIdentityAssociation>>, Lookup<Role>) {
    let account = engine.account;
    let associations = lookup(account.associations(engine.cluster, engine.namespace));
    if let Some(role) = engine.role {
        return join!(
            associations,
            Box::pin(lookup(account.role_with_policies(role)))
        );
    }
    let associations = associations.await;
    let known = associations.known().into_iter().flatten();
    let of_controller = |association: &&PodIdentityAssociation| {
        association.service_account == APPLICATION_CONTROLLER
    };
    let role = match known.into_iter().find(of_controller) {
        Some(association) => {
            Box::pin(lookup(account.role_with_policies(&association.role_arn))).await
        }
        None => Lookup::Unknown(format!(
            "{APPLICATION_CONTROLLER} has no Pod Identity association that names one"
        )),
    };
    (associations, role)
}

async fn lookup<T>(read: impl Future<Output = Result<T, AwsError>>) -> Lookup<T> {
    match read.await {
        Ok(thing) => Lookup::Known(thing),
        Err(error) if error.is_not_found() => Lookup::Absent,
        Err(error) => Lookup::Unknown(error.in_one_line()),
    }
}

/// The same of access entries: EKS refuses to speak of them where a cluster has none, as its
/// authentication mode is `CONFIG_MAP`.
async fn entries<T>(read: impl Future<Output = Result<T, AwsError>>) -> Lookup<T> {
    let read = read.await;
    match &read {
        Err(error) if is_without_entry(error) => Lookup::Absent,
        _ => lookup(async { read }).await,
    }
}

fn is_without_entry(error: &AwsError) -> bool {
    error.is_not_found() || is_of_authentication_mode(error.reason())
}

fn is_of_authentication_mode(reason: &Reason) -> bool {
    matches!(reason, Reason::Invalid(message) if message.contains("authentication mode"))
}

impl Account {
    pub(super) async fn cluster(&self, name: &str) -> Result<EksCluster, AwsError> {
        let answer = self.eks.describe_cluster().name(name).send().await;
        let answer = answer.map_err(|error| {
            let step = format!("read the EKS cluster {name}");
            self.failed(step, "eks:DescribeCluster", &error)
        })?;
        Ok(answer.cluster.map(cluster_of).unwrap_or_default())
    }

    /// The clusters, but one, that have an access entry for a role.
    async fn clusters_entered_by(&self, role: &str, but: &str) -> Result<Vec<String>, AwsError> {
        let pages = self.eks.list_clusters().into_paginator().items().send();
        let clusters: Result<Vec<String>, _> = pages.collect().await;
        let clusters = clusters
            .map_err(|error| self.failed("list the clusters of EKS", "eks:ListClusters", &error))?;
        let others = clusters.into_iter().filter(|name| name != but);
        let entered = others.map(async |cluster| {
            Ok(match self.access_entry(&cluster, role).await {
                Ok(_) => Some(cluster),
                Err(error) if is_without_entry(&error) => None,
                Err(error) => return Err(error),
            })
        });
        let entered = try_join_all(entered).await?;
        Ok(entered.into_iter().flatten().collect())
    }

    async fn access_entry_principals(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        let pages = self.eks.list_access_entries().cluster_name(cluster);
        let principals = pages.into_paginator().items().send().collect();
        let principals: Result<Vec<_>, _> = principals.await;
        principals.map_err(|error| {
            let step = format!("list the access entries of {cluster}");
            self.failed(step, "eks:ListAccessEntries", &error)
        })
    }

    pub(super) async fn access_entry(
        &self,
        cluster: &str,
        principal: &str,
    ) -> Result<AccessEntry, AwsError> {
        let ask = self.eks.describe_access_entry().cluster_name(cluster);
        let answer = ask.principal_arn(principal).send().await;
        let answer = answer.map_err(|error| {
            let step = format!("read the access entry of {principal} in {cluster}");
            self.failed(step, "eks:DescribeAccessEntry", &error)
        })?;
        Ok(answer.access_entry.map(entry_of).unwrap_or_default())
    }

    pub(super) async fn access_policies(
        &self,
        cluster: &str,
        principal: &str,
    ) -> Result<Vec<AssociatedAccessPolicy>, AwsError> {
        let ask = self.eks.list_associated_access_policies();
        let ask = ask.cluster_name(cluster).principal_arn(principal);
        let policies: Result<Vec<_>, _> = ask.into_paginator().items().send().collect().await;
        let policies = policies.map_err(|error| {
            let step = format!("list the access policies of {principal} in {cluster}");
            self.failed(step, "eks:ListAssociatedAccessPolicies", &error)
        })?;
        Ok(policies.into_iter().map(policy_of).collect())
    }

    pub(super) async fn addon(&self, cluster: &str, name: &str) -> Result<Addon, AwsError> {
        let ask = self.eks.describe_addon().cluster_name(cluster);
        let answer = ask.addon_name(name).send().await;
        let answer = answer.map_err(|error| {
            let step = format!("read the add-on {name} of {cluster}");
            self.failed(step, "eks:DescribeAddon", &error)
        })?;
        Ok(answer.addon.map(addon_of).unwrap_or_default())
    }

    pub(super) async fn associations(
        &self,
        cluster: &str,
        namespace: &str,
    ) -> Result<Vec<PodIdentityAssociation>, AwsError> {
        let ask = self.eks.list_pod_identity_associations();
        let ask = ask.cluster_name(cluster).namespace(namespace);
        let found: Result<Vec<_>, _> = ask.into_paginator().items().send().collect().await;
        let found = found.map_err(|error| {
            let step = format!("list the Pod Identity associations of {namespace} in {cluster}");
            self.failed(step, "eks:ListPodIdentityAssociations", &error)
        })?;
        let ids = found.into_iter().filter_map(|found| found.association_id);
        try_join_all(ids.map(|id| self.association(cluster, id))).await
    }

    async fn association(
        &self,
        cluster: &str,
        id: String,
    ) -> Result<PodIdentityAssociation, AwsError> {
        let ask = self.eks.describe_pod_identity_association();
        let answer = ask.cluster_name(cluster).association_id(&id).send().await;
        let answer = answer.map_err(|error| {
            let step = format!("read the Pod Identity association {id} of {cluster}");
            self.failed(step, "eks:DescribePodIdentityAssociation", &error)
        })?;
        Ok(answer.association.map(association_of).unwrap_or_default())
    }

    /// A role, and nothing of what it may do.
    pub(super) async fn role(&self, arn: &str) -> Result<Role, AwsError> {
        Ok(self.role_and_boundary(arn).await?.0)
    }

    /// A role, and all that decides what it may do.
    async fn role_with_policies(&self, arn: &str) -> Result<Role, AwsError> {
        let (role, boundary) = self.role_and_boundary(arn).await?;
        let name = role_name(arn);
        let boundary = async {
            match boundary {
                Some(arn) => lookup(self.managed_policy(&arn)).await,
                None => Lookup::Absent,
            }
        };
        let (inline_policies, attached_policies, permissions_boundary) = join!(
            lookup(self.inline_policies(name)),
            lookup(self.attached_policies(name)),
            boundary,
        );
        Ok(Role {
            inline_policies,
            attached_policies,
            permissions_boundary,
            ..role
        })
    }

    async fn role_and_boundary(&self, arn: &str) -> Result<(Role, Option<String>), AwsError> {
        let call = "iam:GetRole";
        let step = || format!("read the role {arn}");
        self.refuse_other_account(arn, step, call)?;
        let answer = self.iam.get_role().role_name(role_name(arn)).send().await;
        let answer = answer.map_err(|error| self.failed(step(), call, &error))?;
        let role = answer.role;
        let role = role.ok_or_else(|| self.refused(step(), call, Reason::Answer))?;
        let boundary = role
            .permissions_boundary
            .and_then(|boundary| boundary.permissions_boundary_arn);
        let role = Role {
            arn: role.arn,
            create_date: timestamp(&role.create_date),
            trust_policy: plain(role.assume_role_policy_document.unwrap_or_default()),
            ..Role::default()
        };
        Ok((role, boundary))
    }

    async fn inline_policies(&self, role: &str) -> Result<Vec<NamedPolicy>, AwsError> {
        let ask = self.iam.list_role_policies().role_name(role);
        let names: Result<Vec<_>, _> = ask.into_paginator().items().send().collect().await;
        let names = names.map_err(|error| {
            let step = format!("list the policies of the role {role}");
            self.failed(step, "iam:ListRolePolicies", &error)
        })?;
        try_join_all(names.into_iter().map(|name| self.inline_policy(role, name))).await
    }

    async fn inline_policy(&self, role: &str, name: String) -> Result<NamedPolicy, AwsError> {
        let ask = self.iam.get_role_policy().role_name(role);
        let answer = ask.policy_name(&name).send().await;
        let answer = answer.map_err(|error| {
            let step = format!("read the policy {name} of the role {role}");
            self.failed(step, "iam:GetRolePolicy", &error)
        })?;
        Ok(NamedPolicy {
            name,
            document: plain(answer.policy_document),
        })
    }

    /// A policy of a role of this account.
    pub(super) async fn inline_policy_of(
        &self,
        role: &RoleArn,
        name: &str,
    ) -> Result<NamedPolicy, AwsError> {
        let step = || format!("read the policy {name} of the role {role}");
        self.refuse_other_account(&role.to_string(), step, "iam:GetRolePolicy")?;
        self.inline_policy(role.name(), name.to_owned()).await
    }

    /// IAM is asked by name, and another account may well have a role of that name.
    fn refuse_other_account(
        &self,
        role: &str,
        step: impl Fn() -> String,
        call: &'static str,
    ) -> Result<(), AwsError> {
        if account_of(role).is_none_or(|account| account == self.id()) {
            return Ok(());
        }
        let reason = format!("the role is not in this account, {}", self.id());
        Err(self.refused(step(), call, Reason::Invalid(reason)))
    }

    async fn attached_policies(&self, role: &str) -> Result<Vec<NamedPolicy>, AwsError> {
        let ask = self.iam.list_attached_role_policies().role_name(role);
        let found: Result<Vec<_>, _> = ask.into_paginator().items().send().collect().await;
        let found = found.map_err(|error| {
            let step = format!("list the policies that are attached to the role {role}");
            self.failed(step, "iam:ListAttachedRolePolicies", &error)
        })?;
        let arns = found.into_iter().filter_map(|policy| policy.policy_arn);
        try_join_all(arns.map(async |arn| self.managed_policy(&arn).await)).await
    }

    async fn managed_policy(&self, arn: &str) -> Result<NamedPolicy, AwsError> {
        let step = || format!("read the policy {arn}");
        let answer = self.iam.get_policy().policy_arn(arn).send().await;
        let answer = answer.map_err(|error| self.failed(step(), "iam:GetPolicy", &error))?;
        let version = answer.policy.and_then(|policy| policy.default_version_id);
        let ask = self.iam.get_policy_version().policy_arn(arn);
        let answer = ask.version_id(version.unwrap_or_default()).send().await;
        let answer = answer.map_err(|error| self.failed(step(), "iam:GetPolicyVersion", &error))?;
        let document = answer.policy_version.and_then(|version| version.document);
        Ok(NamedPolicy {
            name: arn.to_owned(),
            document: plain(document.unwrap_or_default()),
        })
    }
}

/// The name at the end of the ARN of a role; all of it if it is a name.
fn role_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// `111122223333` of `arn:aws:iam::111122223333:role/argocd`.
fn account_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(3)
}

/// A policy as it was written. IAM answers it percent-encoded (RFC 3986), which is no JSON.
fn plain(document: String) -> String {
    if document.trim_start().starts_with('{') {
        return document;
    }
    let decoded = percent_encoding::percent_decode_str(&document).decode_utf8();
    decoded.map_or_else(|_| document.clone(), Cow::into_owned)
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    let nanosecond = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanosecond).ok()
}

fn cluster_of(cluster: aws_sdk_eks::types::Cluster) -> EksCluster {
    EksCluster {
        name: cluster.name.unwrap_or_default(),
        arn: cluster.arn.unwrap_or_default(),
        endpoint: cluster.endpoint,
        status: cluster.status.map(|status| status.as_str().to_owned()),
        version: cluster.version,
        access_config: cluster.access_config.map(|access| AccessConfig {
            authentication_mode: access
                .authentication_mode
                .map(|mode| mode.as_str().to_owned()),
        }),
        resources_vpc_config: cluster.resources_vpc_config.map(|vpc| VpcConfig {
            endpoint_public_access: Some(vpc.endpoint_public_access),
            endpoint_private_access: Some(vpc.endpoint_private_access),
            public_access_cidrs: vpc.public_access_cidrs,
        }),
        certificate_authority: cluster.certificate_authority.map(|authority| {
            CertificateAuthority {
                data: authority.data,
            }
        }),
        compute_config: cluster.compute_config.map(|compute| ComputeConfig {
            enabled: compute.enabled,
        }),
    }
}

fn entry_of(entry: aws_sdk_eks::types::AccessEntry) -> AccessEntry {
    AccessEntry {
        principal_arn: entry.principal_arn.unwrap_or_default(),
        kind: entry.r#type,
        kubernetes_groups: entry.kubernetes_groups.unwrap_or_default(),
        username: entry.username,
        created_at: entry.created_at.as_ref().and_then(timestamp),
    }
}

fn policy_of(policy: aws_sdk_eks::types::AssociatedAccessPolicy) -> AssociatedAccessPolicy {
    let scope = policy.access_scope.map(|scope| AccessScope {
        kind: scope
            .r#type
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        namespaces: scope.namespaces.unwrap_or_default(),
    });
    AssociatedAccessPolicy {
        policy_arn: policy.policy_arn.unwrap_or_default(),
        access_scope: scope.unwrap_or_default(),
    }
}

fn addon_of(addon: aws_sdk_eks::types::Addon) -> Addon {
    Addon {
        name: addon.addon_name.unwrap_or_default(),
        version: addon.addon_version,
        status: addon.status.map(|status| status.as_str().to_owned()),
    }
}

fn association_of(
    association: aws_sdk_eks::types::PodIdentityAssociation,
) -> PodIdentityAssociation {
    PodIdentityAssociation {
        association_id: association.association_id.unwrap_or_default(),
        namespace: association.namespace.unwrap_or_default(),
        service_account: association.service_account.unwrap_or_default(),
        role_arn: association.role_arn.unwrap_or_default(),
        target_role_arn: association.target_role_arn,
        external_id: association.external_id,
        disable_session_tags: association.disable_session_tags,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was believed that only a comparison has to decode it, and what takes a change back was
    /// told percent-encoded.
    #[test]
    fn a_policy_is_read_as_it_was_written() {
        let written = r#"{"Version": "2012-10-17", "Statement": []}"#;
        let encoded = "%7B%22Version%22%3A%20%222012-10-17%22%2C%20%22Statement%22%3A%20%5B%5D%7D";

        assert_eq!(plain(encoded.to_owned()), written);
        assert_eq!(plain(written.to_owned()), written);
        assert_eq!(plain("%FF".to_owned()), "%FF");
    }
}
