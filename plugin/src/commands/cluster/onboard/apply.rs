//! Carrying out what mends a chain.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use policy::Kind;
use serde_json::{Map, Value};

use crate::aws::{self, Account, AwsError, ClusterChange, Patience, RoleChange};
use crate::kubernetes::{AccessError, ApiServer, FieldManager, Objects, resource_of};
use crate::onboarding::Onboarding;
use crate::onboarding::change::{AwsChange, Change as Wanted, Side};
use crate::onboarding::facts::Lookup;
use crate::onboarding::link::{Link, LinkName, Mend, State};
use crate::onboarding::script::Script;
use crate::onboarding::secret::SecretManifest;
use crate::plan::{Change, Outcome, Plan, Step};

/// One thing that is done.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Aws(AwsChange),
    Secret,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Kubernetes(#[from] AccessError),
}

/// Links that nobody but people can mend, or of which nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("--apply: {} is {}: {}", .link.as_str(), .state.as_str(), .detail)]
pub(super) struct NotApplicable {
    link: LinkName,
    state: State,
    detail: String,
}

/// The steps that mend a chain, and the link of each.
///
/// # Errors
/// A link cannot be mended here. As long as that is so, nothing is: what is half done may let in
/// whom it should not.
pub(super) fn plan(
    onboarding: &Onboarding,
) -> Result<(Plan<Action>, Vec<LinkName>), NotApplicable> {
    let mut steps = Vec::new();
    let mut links = Vec::new();
    let in_order = LinkName::BY_MENDING.iter();
    for link in in_order.filter_map(|name| onboarding.links.iter().find(|link| link.name == *name))
    {
        let is_told_by_verify = link.name == LinkName::Endpoint && link.state == State::Unknown;
        if link.state == State::Ok || is_told_by_verify || comes_with_another(link) {
            steps.push(Step {
                what: link.name.as_str().to_owned(),
                is: link.observed.clone(),
                change: Change::None,
            });
            links.push(link.name);
            continue;
        }
        let is_mendable = link.mends.iter().all(is_done_here);
        if link.state == State::Unknown || !is_mendable || link.mends.is_empty() {
            return Err(NotApplicable {
                link: link.name,
                state: link.state,
                detail: link.detail.clone(),
            });
        }
        for mend in &link.mends {
            steps.push(step(onboarding, link, mend));
            links.push(link.name);
        }
    }
    Ok((Plan { steps }, links))
}

/// Whether a mend is carried out here. A role with a path is not: the call that makes it says none.
fn is_done_here(mend: &Mend) -> bool {
    match mend {
        Mend::Aws(AwsChange {
            change: Wanted::CreateRole { path, .. },
            ..
        }) => path == "/",
        Mend::Aws(_) | Mend::Secret => true,
        Mend::Kubernetes(_) | Mend::Manual(_) => false,
    }
}

/// The trust policy of a role that is made comes with it.
fn comes_with_another(link: &Link) -> bool {
    link.name == LinkName::ClusterRoleTrust && link.state == State::Missing && link.mends.is_empty()
}

fn step(onboarding: &Onboarding, link: &Link, mend: &Mend) -> Step<Action> {
    let script = Script {
        registration: &onboarding.registration,
        secret: &onboarding.secret,
    };
    let (_, how) = script.command(mend);
    let (action, undo) = match mend {
        Mend::Aws(change) => {
            let undo = undo(onboarding, change).map(|change| script.command(&Mend::Aws(change)).1);
            (Action::Aws(change.clone()), undo)
        }
        _ => (Action::Secret, undo_secret(onboarding, link)),
    };
    Step {
        what: link.name.as_str().to_owned(),
        is: link.observed.clone(),
        change: Change::Make {
            should_be: link.expected.clone(),
            action,
            how: vec![how],
            undo: undo.into_iter().collect(),
        },
    }
}

/// Only one that was not there is taken away again.
fn undo_secret(onboarding: &Onboarding, link: &Link) -> Option<String> {
    let metadata = &onboarding.secret.metadata;
    (link.state == State::Missing).then(|| {
        format!(
            "kubectl delete secret {} -n {}",
            metadata.name, metadata.namespace
        )
    })
}

/// What takes a change back. A trust policy that was replaced is known.
fn undo(onboarding: &Onboarding, change: &AwsChange) -> Option<AwsChange> {
    let before = match &change.change {
        Wanted::UpdateTrustPolicy { role, .. } => {
            let roles = [&onboarding.aws.cluster_role, &onboarding.aws.engine_role];
            let mut known = roles.into_iter().filter_map(Lookup::known);
            let own = known.find(|known| known.arn.ends_with(&format!("/{role}")))?;
            Wanted::UpdateTrustPolicy {
                role: role.clone(),
                trust_policy: own.trust_policy.clone(),
            }
        }
        other => other.reverse()?,
    };
    Some(AwsChange {
        side: change.side,
        change: before,
    })
}

/// Who does it.
pub(super) struct Worker<'w> {
    pub(super) account: &'w Account,
    pub(super) engine: Option<&'w Account>,
    pub(super) server: &'w ApiServer,
    pub(super) secret: &'w SecretManifest,
}

impl Worker<'_> {
    /// Does one thing, or asks whether it would be done.
    ///
    /// # Errors
    /// AWS or the API server refuses it, or it is not so in time.
    pub(super) async fn act(&self, action: &Action, only_ask: bool) -> Result<Outcome, ApplyError> {
        match action {
            // AWS cannot be asked without doing it.
            Action::Aws(_) if only_ask => Ok(Outcome::NotAsked),
            Action::Aws(change) => {
                let account = match (change.side, self.engine) {
                    (Side::Engine, Some(engine)) => engine,
                    _ => self.account,
                };
                account
                    .apply(&of_sdk(&change.change), Patience::default())
                    .await?;
                Ok(Outcome::Done)
            }
            Action::Secret => {
                let secrets = Objects {
                    resource: resource_of(Kind::ClusterSecret),
                    namespace: Some(self.secret.metadata.namespace.clone()),
                };
                let name = &self.secret.metadata.name;
                self.server
                    .apply(
                        &secrets,
                        name,
                        &stored(self.secret),
                        FieldManager::Plugin,
                        only_ask,
                    )
                    .await?;
                Ok(if only_ask {
                    Outcome::WouldBeDone
                } else {
                    Outcome::Done
                })
            }
        }
    }
}

/// A Secret as the API server stores it, so that the fields that are ours are those that are there.
fn stored(secret: &SecretManifest) -> Value {
    let mut object = serde_json::to_value(secret).unwrap_or_default();
    let data: Map<String, Value> = secret
        .string_data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), BASE64_STANDARD.encode(value).into()))
        .collect();
    if let Some(object) = object.as_object_mut() {
        object.remove("stringData");
        object.insert("data".to_owned(), Value::Object(data));
    }
    object
}

fn in_cluster(cluster: &str, change: ClusterChange) -> aws::Change {
    aws::Change::Cluster {
        cluster: cluster.to_owned(),
        change,
    }
}

fn of_role(role: &str, change: RoleChange) -> aws::Change {
    aws::Change::Role {
        role: role.to_owned(),
        change,
    }
}

/// The change as it is asked of the SDK.
fn of_sdk(wanted: &Wanted) -> aws::Change {
    match wanted.clone() {
        Wanted::AllowAccessEntries { cluster } => {
            in_cluster(&cluster, ClusterChange::AllowAccessEntries)
        }
        Wanted::CreateAccessEntry {
            cluster,
            principal,
            groups,
        }
        | Wanted::UpdateAccessEntry {
            cluster,
            principal,
            groups,
        } => in_cluster(
            &cluster,
            ClusterChange::CreateAccessEntry { principal, groups },
        ),
        Wanted::DeleteAccessEntry { cluster, principal } => {
            in_cluster(&cluster, ClusterChange::DeleteAccessEntry { principal })
        }
        Wanted::AssociateAccessPolicy {
            cluster,
            principal,
            policy,
            scope,
        } => in_cluster(
            &cluster,
            ClusterChange::AssociateAccessPolicy {
                principal,
                policy,
                scope,
            },
        ),
        Wanted::DisassociateAccessPolicy {
            cluster,
            principal,
            policy,
        } => in_cluster(
            &cluster,
            ClusterChange::DisassociateAccessPolicy { principal, policy },
        ),
        Wanted::CreateRole {
            role, trust_policy, ..
        } => of_role(&role, RoleChange::Create { trust_policy }),
        Wanted::DeleteRole { role } => of_role(&role, RoleChange::Delete),
        Wanted::UpdateTrustPolicy { role, trust_policy } => {
            of_role(&role, RoleChange::UpdateTrustPolicy { trust_policy })
        }
        Wanted::PutRolePolicy {
            role,
            name,
            document,
        } => of_role(&role, RoleChange::PutPolicy { name, document }),
        Wanted::DeleteRolePolicy { role, name } => {
            of_role(&role, RoleChange::DeletePolicy { name })
        }
        Wanted::CreateAddon { cluster, name } => {
            in_cluster(&cluster, ClusterChange::CreateAddon { name })
        }
        Wanted::DeleteAddon { cluster, name } => {
            in_cluster(&cluster, ClusterChange::DeleteAddon { name })
        }
        Wanted::AssociatePodIdentity {
            cluster,
            namespace,
            service_account,
            role,
        }
        | Wanted::UpdatePodIdentity {
            cluster,
            namespace,
            service_account,
            role,
            ..
        } => in_cluster(
            &cluster,
            ClusterChange::AssociatePodIdentity {
                namespace,
                service_account,
                role,
            },
        ),
        Wanted::DissociatePodIdentity {
            cluster,
            namespace,
            service_account,
        } => in_cluster(
            &cluster,
            ClusterChange::DissociatePodIdentity {
                namespace,
                service_account,
            },
        ),
    }
}
