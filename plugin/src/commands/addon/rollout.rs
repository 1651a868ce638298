//! What Argo CD does with an addon, cluster by cluster: its sync is started, waited for, and proven
//! to have touched nothing.

use std::time::Duration;

use jiff::SignedDuration;
use policy::Kind;
use serde_json::Value;
use tokio::time::Instant;

use super::fleet::{Fleet, MemberError};
use crate::addons::gate::{OnCluster, State as GateState};
use crate::addons::live::{Failure, Live, Place};
use crate::addons::snapshot::Snapshot;
use crate::context::Context;
use crate::drift::local::Key;
use crate::drift::local::cluster::Cluster;
use crate::error::{CommandError, chain};
use crate::kubernetes::{AccessError, ApiServer, DiscoveryError, objects_of};
use crate::plan::Outcome;
use crate::text::counted;
use crate::wait::Wait;

/// How often Argo CD is looked at, at first and at most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long something that may pass by itself is watched before it counts.
const GRACE: Duration = Duration::from_secs(10);

/// An addon on a cluster.
pub(super) struct Target {
    /// The name of the cluster in Argo CD.
    pub(super) cluster: String,
    pub(super) application: String,
    pub(super) live: Live,
    /// Whether a sync would leave all objects as they are.
    pub(super) is_taken_over: bool,
    pub(super) server: ApiServer,
    /// The Application that applies the ApplicationSet, if one does.
    deployer: Option<String>,
    kinds: Cluster,
    keys: Vec<Key>,
}

/// It does not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum RolloutError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Member(#[from] MemberError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("there is no Application {0} in Argo CD")]
    NoApplication(String),
    #[error("Argo CD's takeover would change something: {}", .0.join("; "))]
    Shut(Vec<String>),
    #[error("application/{application}: {reason}")]
    Failed { application: String, reason: String },
    #[error("application/{application} is not Synced and Healthy within {} s: it is {state}", .within.as_secs())]
    NotInTime {
        application: String,
        within: Duration,
        state: String,
    },
    #[error("application/{application} does not sync by itself within {} s: is the commit pushed, and does Argo CD have it?", .within.as_secs())]
    NotAutomated {
        application: String,
        within: Duration,
    },
    #[error("application/{application} is still at {revision} after {} s: is the commit pushed, and does its targetRevision lead there?", .within.as_secs())]
    NotSeen {
        application: String,
        within: Duration,
        revision: String,
    },
    #[error("another operation is under way on application/{0}")]
    Busy(String),
}

/// What an Application has to come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal<'g> {
    pub(super) within: Duration,
    /// Whether it is to sync by itself.
    pub(super) is_automated: bool,
    /// The commit that it has to be at; None where that does not matter.
    pub(super) moved: Option<Moved<'g>>,
}

/// From which revision an Application goes to which. Where it is not known to which, or others have
/// committed as well, any other counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved<'m> {
    pub(super) from: &'m str,
    pub(super) to: Option<&'m str>,
}

impl Moved<'_> {
    fn is_done(self, live: &Live) -> bool {
        let now = live.compared_revision();
        now != self.from || self.to == Some(now)
    }
}

/// Reads a duration such as `5m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok();
    duration
        .filter(SignedDuration::is_positive)
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "expected a duration such as 5m or 90s".to_owned())
}

/// Refuses where a takeover would change something, or nobody can tell.
pub(super) fn is_open(takeovers: &[OnCluster]) -> Result<(), RolloutError> {
    let shut = takeovers
        .iter()
        .filter(|one| one.state() != GateState::Open);
    let told = shut.map(|one| {
        let objects = one.objects.iter().filter(|object| !object.class.is_open());
        let objects = objects.map(|object| {
            let kind = object.key.kind.to_lowercase();
            format!("{kind}/{}: {}", object.key.name, object.class.as_str())
        });
        let others = [&one.obstacles, &one.problems, &one.disagreements];
        let others = others.into_iter().flatten().cloned();
        let all: Vec<String> = objects.chain(others).collect();
        format!(
            "{} is {} ({})",
            one.name,
            one.state().as_str(),
            all.join(", ")
        )
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        Ok(())
    } else {
        Err(RolloutError::Shut(told))
    }
}

impl Target {
    /// Connects to the cluster, and reads the Application.
    ///
    /// # Errors
    /// The Application is not there, or something cannot be read.
    pub(super) async fn of(
        takeover: &OnCluster,
        fleet: &Fleet,
        devops: &ApiServer,
        context: &Context,
    ) -> Result<Self, RolloutError> {
        let place = Place {
            server: devops,
            namespace: context.argocd_namespace(),
            name: &takeover.application,
        };
        let live = place.read().await?;
        let live = live.ok_or_else(|| RolloutError::NoApplication(takeover.application.clone()))?;
        let server = fleet.connect_to(&takeover.name, context).await?;
        let kinds = Cluster::discover(&server).await?;
        let deployer = deployer(&live, fleet, devops, context).await?;
        let keys = takeover.objects.iter().map(|object| object.key.clone());
        Ok(Target {
            cluster: takeover.name.clone(),
            application: takeover.application.clone(),
            live,
            is_taken_over: takeover.is_taken_over(),
            server,
            deployer,
            kinds,
            keys: keys.collect(),
        })
    }

    /// What is on the cluster now.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, AccessError> {
        Snapshot::read(&self.server, &self.kinds, &self.keys).await
    }

    /// `application/prod-dns`.
    pub(super) fn name(&self) -> String {
        format!("application/{}", self.application)
    }

    fn place<'p>(&'p self, devops: &'p ApiServer, context: &'p Context) -> Place<'p> {
        Place {
            server: devops,
            namespace: context.argocd_namespace(),
            name: &self.application,
        }
    }

    /// The Application as it is now.
    ///
    /// # Errors
    /// It is gone, or cannot be read.
    pub(super) async fn now(
        &self,
        devops: &ApiServer,
        context: &Context,
    ) -> Result<Live, RolloutError> {
        let live = self.place(devops, context).read().await?;
        live.ok_or_else(|| RolloutError::NoApplication(self.application.clone()))
    }

    /// Starts a sync of what Argo CD has compared.
    ///
    /// # Errors
    /// Another operation is under way, or it may not be started.
    pub(super) async fn sync(
        &self,
        devops: &ApiServer,
        user: &str,
        only_ask: bool,
        context: &Context,
    ) -> Result<Outcome, RolloutError> {
        let place = self.place(devops, context);
        let live = self.now(devops, context).await?;
        if live.is_operating() {
            return Err(RolloutError::Busy(self.application.clone()));
        }
        place.sync(&live, user, only_ask).await?;
        Ok(if only_ask {
            Outcome::WouldBeDone
        } else {
            Outcome::Done
        })
    }

    /// Has Argo CD look, until it has compared with another commit.
    ///
    /// # Errors
    /// It does not do so in time.
    pub(super) async fn seen(
        &self,
        moved: Moved<'_>,
        within: Duration,
        devops: &ApiServer,
        context: &Context,
    ) -> Result<(), RolloutError> {
        self.place(devops, context).refresh().await?;
        let mut wait = Wait::growing(within, PAUSE, LONGEST_PAUSE);
        loop {
            let live = self.now(devops, context).await?;
            if !live.is_busy() && moved.is_done(&live) {
                return Ok(());
            }
            if !wait.goes_on().await {
                return Err(RolloutError::NotSeen {
                    application: self.application.clone(),
                    within,
                    revision: live.compared_revision().to_owned(),
                });
            }
        }
    }

    /// Has Argo CD look, and looks at it until it has come to its goal.
    ///
    /// # Errors
    /// It fails, or does not come to it in time.
    pub(super) async fn wait(
        &self,
        goal: Goal<'_>,
        devops: &ApiServer,
        context: &Context,
    ) -> Result<Live, RolloutError> {
        let place = self.place(devops, context);
        place.refresh().await?;
        if let (true, Some(name)) = (goal.is_automated, &self.deployer) {
            // Else it takes as long as until Argo CD looks at Git by itself. It does so in any case.
            let (namespace, name) = name
                .split_once('_')
                .unwrap_or((place.namespace, name.as_str()));
            let deployer = Place {
                namespace,
                name,
                ..place
            };
            let refreshed = deployer.refresh().await;
            context.warn(refreshed.err().map(|error| chain(&error)));
        }
        let mut wait = Wait::growing(goal.within, PAUSE, LONGEST_PAUSE);
        let mut told = String::new();
        let mut failing: Option<Instant> = None;
        loop {
            let live = self.now(devops, context).await?;
            let is_automated = !goal.is_automated || live.is_automated();
            let is_new = goal.moved.is_none_or(|moved| moved.is_done(&live));
            if live.is_synced_and_healthy() && is_automated && is_new {
                return Ok(live);
            }
            let state = live.to_string();
            if state != told {
                context.streams.status(&format!("{}: {state}", self.name()));
                told.clone_from(&state);
            }
            let failed = |reason| RolloutError::Failed {
                application: self.application.clone(),
                reason,
            };
            match live.failure() {
                None => failing = None,
                Some(Failure::Final(reason)) => return Err(failed(reason)),
                Some(Failure::Perhaps(reason)) => {
                    let since = *failing.get_or_insert_with(Instant::now);
                    if since.elapsed() >= GRACE {
                        return Err(failed(reason));
                    }
                }
            }
            if wait.goes_on().await {
                continue;
            }
            let application = self.application.clone();
            let within = goal.within;
            return Err(if is_automated {
                RolloutError::NotInTime {
                    application,
                    within,
                    state,
                }
            } else {
                RolloutError::NotAutomated {
                    application,
                    within,
                }
            });
        }
    }
}

/// The Application that applies the ApplicationSet of another one.
async fn deployer(
    live: &Live,
    fleet: &Fleet,
    devops: &ApiServer,
    context: &Context,
) -> Result<Option<String>, AccessError> {
    let Some(name) = live.set() else {
        return Ok(None);
    };
    let sets = objects_of(Kind::ApplicationSet, context.argocd_namespace());
    let read = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
    let set = devops.get(&sets, name, read).await?;
    Ok(set.and_then(|set| fleet.tracking.application(&set).map(str::to_owned)))
}

/// All clusters, each with its Application. All that is missing is told at once.
///
/// # Errors
/// One cannot be reached, or has no Application.
pub(super) async fn targets(
    takeovers: &[OnCluster],
    fleet: &Fleet,
    devops: &ApiServer,
    context: &Context,
) -> Result<Vec<Target>, CommandError> {
    let mut targets = Vec::with_capacity(takeovers.len());
    let mut failures = Vec::new();
    for takeover in takeovers {
        match Target::of(takeover, fleet, devops, context).await {
            Ok(target) => targets.push(target),
            Err(error) => failures.push((takeover.name.clone(), error)),
        }
    }
    let Some((_, first)) = failures.first() else {
        return Ok(targets);
    };
    let is_absent = matches!(first, RolloutError::NoApplication(_));
    for (cluster, error) in &failures {
        let text = format!("cluster {cluster}: {}", chain(error));
        context.streams.error(&text);
    }
    let count = counted(failures.len(), "cluster");
    let error = CommandError::new(format!("nothing is done, as {count} cannot be seen"));
    Err(if is_absent {
        error.hinted("push applicationsets/, and sync what deploys it")
    } else {
        error
    })
}
