//! What AWS has for a cluster that leaves, and what of it is taken back, in the reverse order of
//! onboarding. What others use stays.

use serde_json::Value;

use crate::onboarding::arn::RoleArn;
use crate::onboarding::change::{AwsChange, ClusterChange, Login, RoleChange, Side, shorthand};
use crate::onboarding::distrust::{Distrusted, without};
use crate::onboarding::facts::{
    AssociatedAccessPolicy, AwsFacts, Lookup, NamedPolicy, PodIdentityAssociation, Role,
};
use crate::onboarding::links::policy_name;
use crate::onboarding::undo::undo;
use crate::plan::{Change, Step};
use crate::text::listed;

/// What AWS has, and who needs it.
pub(crate) struct AwsSide {
    /// The cluster's name in EKS.
    pub(crate) cluster: String,
    /// The role that Argo CD assumes.
    pub(crate) role: RoleArn,
    /// The role of Argo CD's pods.
    pub(crate) engine_role: Option<RoleArn>,
    /// The name in EKS of the cluster that Argo CD runs on.
    pub(crate) engine_cluster: Option<String>,
    pub(crate) facts: AwsFacts,
    /// Other clusters of the same account and region that let the role in.
    pub(crate) entered: Lookup<Vec<String>>,
    /// Other cluster Secrets that need it.
    pub(crate) others: Others,
    pub(crate) login: Login,
    pub(crate) engine_login: Login,
}

/// Cluster Secrets by which Argo CD logs in with the same role, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Others {
    /// To the same cluster.
    pub(crate) here: Vec<String>,
    /// To another cluster, or nobody knows to which.
    pub(crate) elsewhere: Vec<String>,
}

impl Others {
    /// Why the access entry stays.
    fn of_cluster(&self) -> Option<String> {
        told(&self.here)
    }

    /// Why the role stays.
    fn of_role(&self) -> Option<String> {
        told(&[self.here.as_slice(), &self.elsewhere].concat())
    }
}

fn told(secrets: &[String]) -> Option<String> {
    (!secrets.is_empty()).then(|| format!("{} may log in with the role", listed(secrets, 3)))
}

impl AwsSide {
    /// What becomes of it.
    pub(crate) fn steps(&self) -> Vec<Step<AwsChange>> {
        let mut steps = self.access_policies();
        steps.extend(self.access_entry());
        steps.extend(self.target_roles());
        steps.extend(self.engine_policies());
        steps.extend(self.cluster_role());
        steps
    }

    fn access_policies(&self) -> Vec<Step<AwsChange>> {
        let what = format!("access policies of {} in {}", self.role, self.cluster);
        let policies = match &self.facts.access_policies {
            Lookup::Known(policies) => policies,
            Lookup::Absent => return Vec::new(),
            Lookup::Unknown(reason) => return vec![not_known(what, reason)],
        };
        let step = |associated: &AssociatedAccessPolicy| {
            let policy = &associated.policy_arn;
            let what = format!("access policy {} in {}", short(policy), self.cluster);
            let is = format!("{}, {}", self.role, shorthand(&associated.access_scope));
            if let Some(why) = self.others.of_cluster() {
                return kept(what, &is, &why);
            }
            let change = ClusterChange::DisassociateAccessPolicy {
                principal: self.role.to_string(),
                policy: policy.clone(),
            };
            self.step(what, is, change.of(&self.cluster).in_cluster_account())
        };
        policies.iter().map(step).collect()
    }

    fn access_entry(&self) -> Option<Step<AwsChange>> {
        let what = format!("access entry in {}", self.cluster);
        let entry = match &self.facts.access_entry {
            Lookup::Known(entry) => entry,
            Lookup::Absent => return None,
            Lookup::Unknown(reason) => return Some(not_known(what, reason)),
        };
        let is = match entry.kubernetes_groups.as_slice() {
            [] => entry.principal_arn.clone(),
            groups => format!("{}, groups {}", entry.principal_arn, groups.join(", ")),
        };
        if let Some(why) = self.others.of_cluster() {
            return Some(kept(what, &is, &why));
        }
        let change = ClusterChange::DeleteAccessEntry {
            principal: entry.principal_arn.clone(),
        };
        let change = change.of(&self.cluster).in_cluster_account();
        Some(self.step(what, is, change))
    }

    /// Associations by which EKS itself assumes the role for Argo CD's pods.
    fn target_roles(&self) -> Vec<Step<AwsChange>> {
        let Some(cluster) = &self.engine_cluster else {
            return Vec::new();
        };
        let all = match &self.facts.pod_identity_associations {
            Lookup::Known(all) => all.as_slice(),
            Lookup::Absent => &[],
            Lookup::Unknown(reason) => {
                let what = format!("Pod Identity associations of {cluster}");
                return vec![not_known(what, reason)];
            }
        };
        let role = self.role.to_string();
        let is_target = |one: &&PodIdentityAssociation| one.target_role_arn.as_ref() == Some(&role);
        let step = |one: &PodIdentityAssociation| {
            let what = format!("target role of {}/{}", one.namespace, one.service_account);
            if let Some(why) = self.others.of_role() {
                return kept(what, &role, &why);
            }
            let change = ClusterChange::UpdatePodIdentity {
                namespace: one.namespace.clone(),
                service_account: one.service_account.clone(),
                association: one.association_id.clone(),
                role: one.role_arn.clone(),
                target_role: None,
            };
            self.step(what, role.clone(), change.of(cluster).in_engine_account())
        };
        all.iter().filter(is_target).map(step).collect()
    }

    /// What lets Argo CD's pods assume the role.
    fn engine_policies(&self) -> Vec<Step<AwsChange>> {
        let what = format!("right of Argo CD's pods to assume {}", self.role);
        let Some(engine) = &self.engine_role else {
            return vec![unnamed(what)];
        };
        let known = match &self.facts.engine_role {
            Lookup::Known(known) => known,
            Lookup::Absent => return Vec::new(),
            Lookup::Unknown(reason) => return vec![not_known(what, reason)],
        };
        let mut steps = Vec::new();
        for (policies, is_inline) in [
            (&known.inline_policies, true),
            (&known.attached_policies, false),
        ] {
            match policies {
                Lookup::Known(policies) => steps.extend(
                    policies
                        .iter()
                        .filter(|policy| names(policy, &self.role))
                        .map(|policy| self.engine_policy(engine, policy, is_inline)),
                ),
                Lookup::Absent => {}
                Lookup::Unknown(reason) => steps.push(not_known(what.clone(), reason)),
            }
        }
        steps
    }

    fn engine_policy(
        &self,
        engine: &RoleArn,
        policy: &NamedPolicy,
        is_inline: bool,
    ) -> Step<AwsChange> {
        let what = format!("policy {} of {engine}", policy.name);
        let is = format!("lets it assume {}", self.role);
        if let Some(why) = self.others.of_role() {
            return kept(what, &is, &why);
        }
        let is_ours = is_inline
            && policy.name == policy_name(&self.role)
            && resources(policy) == Some(vec![self.role.to_string()]);
        if !is_ours {
            let how = format!("take {} out of it", self.role);
            return by_hand(what, &is, "without the role", &how);
        }
        let change = RoleChange::DeletePolicy {
            name: policy.name.clone(),
        };
        self.step(what, is, change.of(engine).in_engine_account())
    }

    fn cluster_role(&self) -> Option<Step<AwsChange>> {
        let what = format!("role {}", self.role);
        let known = match &self.facts.cluster_role {
            Lookup::Known(known) => known,
            Lookup::Absent => return None,
            Lookup::Unknown(reason) => return Some(not_known(what, reason)),
        };
        let Some(engine) = &self.engine_role else {
            return Some(unnamed(what));
        };
        if let Some(why) = self.others.of_role() {
            return Some(kept(what, &format!("lets in {engine}"), &why));
        }
        Some(match without(&known.trust_policy, engine) {
            Ok(Distrusted::Nobody) => self.unused_role(what, engine, known),
            Ok(Distrusted::Others { who, policy }) => {
                let is = format!("lets in {engine}, and {}", listed(&who, 3));
                let change = RoleChange::UpdateTrustPolicy {
                    trust_policy: policy,
                };
                self.step(what, is, change.of(&self.role).in_cluster_account())
            }
            Ok(Distrusted::Unchanged { who }) => {
                let why = format!("it is not {engine} that it names");
                kept(what, &format!("lets in {}", listed(&who, 3)), &why)
            }
            Err(error) => not_known(what, &error.to_string()),
        })
    }

    /// A role that nobody else may assume is deleted, if it is known to serve nothing else.
    fn unused_role(&self, what: String, engine: &RoleArn, known: &Role) -> Step<AwsChange> {
        let is = format!("lets in {engine}");
        let delete = "delete it once nothing needs it";
        let entered = match &self.entered {
            Lookup::Known(clusters) => clusters.as_slice(),
            Lookup::Absent => &[],
            Lookup::Unknown(reason) => {
                let how =
                    format!("{delete}: which other clusters let it in is not known: {reason}");
                return by_hand(what, &is, "gone", &how);
            }
        };
        if !entered.is_empty() {
            let how = format!("{delete}: {} let it in as well", listed(entered, 3));
            return by_hand(what, &is, "gone", &how);
        }
        match policies_of(known) {
            Ok(policies) if policies.is_empty() => {
                let change = RoleChange::Delete.of(&self.role).in_cluster_account();
                self.step(what, is, change)
            }
            Ok(policies) => {
                let how = format!("{delete}: it has policies, {}", listed(&policies, 3));
                by_hand(what, &is, "gone", &how)
            }
            Err(reason) => not_known(what, reason),
        }
    }

    fn step(&self, what: String, is: String, change: AwsChange) -> Step<AwsChange> {
        let command = |change: &AwsChange| match change.side {
            Side::Cluster => change.command(&self.login),
            Side::Engine => change.command(&self.engine_login),
        };
        let is_changed = matches!(
            &change.change,
            crate::onboarding::change::Change::Role {
                change: RoleChange::UpdateTrustPolicy { .. },
                ..
            }
        );
        Step {
            what,
            is,
            change: Change::Make {
                should_be: if is_changed { "without it" } else { "gone" }.to_owned(),
                how: vec![command(&change)],
                undo: undo(&change, &self.facts).iter().map(command).collect(),
                action: change,
            },
        }
    }
}

/// The names of the policies that a role has.
fn policies_of(role: &Role) -> Result<Vec<String>, &str> {
    let mut names = Vec::new();
    for policies in [&role.inline_policies, &role.attached_policies] {
        match policies {
            Lookup::Known(policies) => {
                names.extend(policies.iter().map(|policy| policy.name.clone()));
            }
            Lookup::Absent => {}
            Lookup::Unknown(reason) => return Err(reason),
        }
    }
    Ok(names)
}

/// Whether a policy names a role by its whole ARN.
fn names(policy: &NamedPolicy, role: &RoleArn) -> bool {
    let role = role.to_string();
    let resources = resources(policy).unwrap_or_default();
    resources.contains(&role)
}

/// All that the statements of a policy are about; None where that cannot be read.
fn resources(policy: &NamedPolicy) -> Option<Vec<String>> {
    let document: Value = serde_json::from_str(&policy.document).ok()?;
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut all = Vec::new();
    for statement in statements {
        match &statement["Resource"] {
            Value::String(one) => all.push(one.clone()),
            Value::Array(some) => {
                all.extend(some.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => return None,
        }
    }
    Some(all)
}

/// The name of an access policy.
fn short(policy: &str) -> &str {
    policy.rsplit('/').next().unwrap_or(policy)
}

fn kept(what: String, is: &str, why: &str) -> Step<AwsChange> {
    Step {
        what,
        is: format!("{is}; it stays: {why}"),
        change: Change::None,
    }
}

fn by_hand(what: String, is: &str, should_be: &str, how: &str) -> Step<AwsChange> {
    Step {
        what,
        is: is.to_owned(),
        change: Change::ByHand {
            should_be: should_be.to_owned(),
            how: how.to_owned(),
        },
    }
}

fn not_known(what: String, reason: &str) -> Step<AwsChange> {
    let how = format!("it could not be read: {reason}");
    by_hand(what, "not known", "gone, if there is one", &how)
}

fn unnamed(what: String) -> Step<AwsChange> {
    let how = "name the role of Argo CD's pods by --engine-role-arn, and their cluster by --engine-cluster";
    by_hand(what, "not known", "gone, if there is one", how)
}
