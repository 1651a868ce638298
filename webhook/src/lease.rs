//! Leadership: what one replica does for all of them.
//!
//! Whoever holds the Lease `gitops-webhook` leads. It renews the Lease while it lives and lets go
//! of it when it ends; the others look at it, and one of them takes it over when it is free, or has
//! not been renewed for as long as it lasts.
//!
//! - Every write names the version that was read, so that of two who take the Lease at once one
//!   succeeds.
//! - The clocks of two nodes are never compared. How old a renewal is, is measured from when it was
//!   seen here; the times in the Lease are for people.
//! - Whoever cannot renew the Lease stops leading [`GRACE`] after the renewal before, which is well
//!   before it lasts out.
//!
//! So there is no moment with two leaders, unless a process stands still (a stopped machine, say)
//! between looking at the clock and acting on it: what a leader does must bear to be done twice.
//!
//! The crates `kube-leader-election` and `kube-lease-manager` compare the holder's clock with their
//! own, and take the Lease from it without naming a version.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

/// The Lease's name.
pub const NAME: &str = "gitops-webhook";

/// How long the Lease lasts without being renewed, in seconds: as the Lease itself says it.
const LASTS_SECONDS: u16 = 15;

/// How often the leader renews it, and the others look at it.
pub const PERIOD: Duration = Duration::from_secs(5);

/// How long a leader leads without having renewed it.
pub const GRACE: Duration = Duration::from_secs(10);

/// How long the API server may take to tell of the Lease and to change it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a leader waits after a renewal that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Does `work` whenever this replica leads, and drops it when it leads no more, until `shutdown`.
///
/// The identity tells the replicas apart, and must not be that of another. Work that ends is not
/// done again before this replica leads anew.
pub async fn lead<Work: Future<Output = ()>>(
    client: Client,
    namespace: &str,
    identity: String,
    work: impl Fn() -> Work,
    shutdown: impl Future<Output = ()>,
) {
    let mut candidate = Candidate {
        leases: Api::namespaced(client, namespace),
        identity,
        seen: None,
    };
    tokio::select! {
        never = candidate.lead_forever(work) => match never {},
        () = shutdown => {}
    }
    candidate.let_go().await;
}

/// Why a Lease could not be claimed.
#[derive(Debug, thiserror::Error)]
enum ClaimError {
    #[error("cannot get or change lease {NAME}")]
    Api(#[from] kube::Error),
    #[error("the API server did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
}

/// What came of claiming the Lease.
enum Claim {
    /// It is ours, and was renewed at this moment or later.
    Ours(Instant),
    /// It is somebody else's.
    Theirs,
}

/// One replica.
struct Candidate {
    leases: Api<Lease>,
    identity: String,
    /// What somebody else wrote last, and when it was first seen.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    async fn lead_forever<Work: Future<Output = ()>>(
        &mut self,
        work: impl Fn() -> Work,
    ) -> Infallible {
        loop {
            let renewed = self.become_leader().await;
            info!(identity = self.identity, "leading");
            let working = async {
                work().await;
                std::future::pending().await
            };
            tokio::select! {
                never = working => return never,
                () = self.stay_leader(renewed) => {}
            }
            warn!(identity = self.identity, "no longer leading");
        }
    }

    /// Returns once the Lease is ours, with the moment that its time counts from.
    async fn become_leader(&mut self) -> Instant {
        loop {
            match self.claim().await {
                Ok(Claim::Ours(claimed)) => return claimed,
                Ok(Claim::Theirs) => {}
                Err(error) => tell(&error),
            }
            sleep(PERIOD).await;
        }
    }

    /// Returns once the Lease is ours no more, or that cannot be known.
    async fn stay_leader(&mut self, mut renewed: Instant) {
        while let Ok(Some(again)) = timeout_at(renewed + GRACE, self.renew(renewed)).await {
            renewed = again;
        }
    }

    /// When the Lease was renewed once more; nothing if somebody else has it.
    async fn renew(&mut self, renewed: Instant) -> Option<Instant> {
        sleep_until(renewed + PERIOD).await;
        loop {
            match self.claim().await {
                Ok(Claim::Ours(claimed)) => return Some(claimed),
                Ok(Claim::Theirs) => return None,
                Err(error) => tell(&error),
            }
            sleep(PAUSE).await;
        }
    }

    async fn claim(&mut self) -> Result<Claim, ClaimError> {
        let claim = timeout(TIMEOUT, self.try_to_claim()).await;
        Ok(claim.map_err(|_| ClaimError::Timeout)??)
    }

    /// Takes the Lease, or renews it, unless it is somebody else's.
    async fn try_to_claim(&mut self) -> kube::Result<Claim> {
        let now = Instant::now();
        let found = self.leases.get_opt(NAME).await?;
        if let Some(Lease {
            spec: Some(spec), ..
        }) = &found
            && self.is_anothers(spec)
        {
            return Ok(Claim::Theirs);
        }
        let exists = found.is_some();
        let mut lease = found.unwrap_or_else(unclaimed);
        lease.spec = Some(self.claimed(lease.spec.unwrap_or_default()));
        let parameters = PostParams::default();
        if exists {
            self.leases.replace(NAME, &parameters, &lease).await?;
        } else {
            self.leases.create(&parameters, &lease).await?;
        }
        Ok(Claim::Ours(now))
    }

    /// Whether somebody else holds the Lease, and has not ceased to renew it.
    fn is_anothers(&mut self, spec: &LeaseSpec) -> bool {
        if holder(spec).is_none_or(|holder| holder == self.identity) {
            return false;
        }
        let since = match &self.seen {
            Some((seen, since)) if seen == spec => *since,
            _ => Instant::now(),
        };
        self.seen = Some((spec.clone(), since));
        since.elapsed() < lasts(spec)
    }

    /// The Lease in our hands, renewed now.
    fn claimed(&self, mut spec: LeaseSpec) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        if holder(&spec) != Some(&self.identity) {
            let transitions = spec.lease_transitions;
            spec.lease_transitions = Some(transitions.map_or(0, |count| count.saturating_add(1)));
            spec.acquire_time = Some(now.clone());
            spec.holder_identity = Some(self.identity.clone());
        }
        spec.lease_duration_seconds = Some(LASTS_SECONDS.into());
        spec.renew_time = Some(now);
        spec
    }

    /// Makes room for the next, if the Lease is ours.
    async fn let_go(&self) {
        match timeout(TIMEOUT, self.try_to_let_go()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tell(&ClaimError::Api(error)),
            Err(_) => tell(&ClaimError::Timeout),
        }
    }

    async fn try_to_let_go(&self) -> kube::Result<()> {
        let Some(mut lease) = self.leases.get_opt(NAME).await? else {
            return Ok(());
        };
        let Some(spec) = lease
            .spec
            .as_mut()
            .filter(|spec| holder(spec) == Some(&self.identity))
        else {
            return Ok(());
        };
        spec.holder_identity = None;
        self.leases
            .replace(NAME, &PostParams::default(), &lease)
            .await?;
        Ok(())
    }
}

/// The Lease before anybody had it.
fn unclaimed() -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    }
}

fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity
        .as_deref()
        .filter(|holder| !holder.is_empty())
}

/// How long the Lease lasts from a renewal on.
fn lasts(spec: &LeaseSpec) -> Duration {
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.unwrap_or(LASTS_SECONDS.into()))
}

/// That somebody else was faster is in the nature of the matter.
fn tell(error: &ClaimError) {
    let text = crate::chain(error);
    match error {
        ClaimError::Api(kube::Error::Api(status)) if status.code == 409 => {
            debug!(error = text, "somebody else was faster");
        }
        _ => warn!(error = text, "the Lease cannot be held"),
    }
}
