//! Carrying out what mends a chain.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use policy::Kind;
use serde_json::{Map, Value};

use crate::aws::{Account, AwsError, Patience};
use crate::kubernetes::{AccessError, ApiServer, FieldManager, Objects, resource_of};
use crate::onboarding::Onboarding;
use crate::onboarding::change::{AwsChange, Side};
use crate::onboarding::link::{Link, LinkName, Mend, State};
use crate::onboarding::script::Script;
use crate::onboarding::secret::SecretManifest;
use crate::onboarding::undo::undo;
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
    /// With what may help, which differs from call to call.
    #[error("{}", .0.in_one_line())]
    Aws(AwsError),
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
        let total = link.mends.len();
        for (number, mend) in (1..).zip(&link.mends) {
            let what = match total {
                1 => link.name.as_str().to_owned(),
                _ => format!("{} ({number} of {total})", link.name.as_str()),
            };
            steps.push(step(onboarding, link, what, mend));
            links.push(link.name);
        }
    }
    Ok((Plan { steps }, links))
}

/// Whether a mend is carried out here.
fn is_done_here(mend: &Mend) -> bool {
    match mend {
        Mend::Aws(_) | Mend::Secret => true,
        Mend::Kubernetes(_) | Mend::Manual(_) => false,
    }
}

/// The trust policy of a role that is made comes with it.
fn comes_with_another(link: &Link) -> bool {
    link.name == LinkName::ClusterRoleTrust && link.state == State::Missing && link.mends.is_empty()
}

fn step(onboarding: &Onboarding, link: &Link, what: String, mend: &Mend) -> Step<Action> {
    let script = Script {
        registration: &onboarding.registration,
        secret: &onboarding.secret,
    };
    let (_, how) = script.command(mend);
    let (action, undo) = match mend {
        Mend::Aws(change) => {
            let undo =
                undo(change, &onboarding.aws).map(|change| script.command(&Mend::Aws(change)).1);
            (Action::Aws(change.clone()), undo)
        }
        _ => (Action::Secret, undo_secret(onboarding, link)),
    };
    Step {
        what,
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
                    .apply(&change.change, Patience::default())
                    .await
                    .map_err(ApplyError::Aws)?;
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
                        FieldManager::Registration,
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
