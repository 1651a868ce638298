//! What the parts of the process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use policy::Inventory;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, watch};

use crate::authorisation::Authoriser;
use crate::clock::Clock;
use crate::events::Events;
use crate::limits::{LARGE_TURNS, Limits, PATIENCE, SMALL_TURNS};
use crate::metrics::Metrics;

/// What the rules may know.
#[derive(Debug)]
pub enum Caches {
    /// Some lists are not complete yet; these are they.
    Syncing(Vec<&'static str>),
    /// All there is.
    Synced(Box<Inventory>),
}

/// What the webhook needs outside of itself to let overrides count.
pub struct BreakGlass {
    /// Whom to ask.
    pub authoriser: Authoriser,
    /// Where to tell.
    pub events: Events,
}

/// What a webhook is made of.
pub struct WebhookParts {
    /// What the rules may know at first.
    pub caches: Caches,
    /// What requests may take.
    pub limits: Limits,
    /// All metrics.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
    /// What overrides need. Without it nobody can be asked about one, and none counts.
    pub break_glass: Option<BreakGlass>,
    /// Whether the API server trusts the certificate, or need not be told to by this process.
    pub is_trusted: bool,
}

impl WebhookParts {
    /// The parts of a webhook that asks nobody and tells nobody, by the clock of this machine.
    pub fn alone(caches: Caches, limits: Limits) -> Self {
        WebhookParts {
            caches,
            limits,
            metrics: Metrics::new(),
            clock: Clock::system(),
            break_glass: None,
            is_trusted: true,
        }
    }
}

/// The state of the webhook. Requests read it without waiting for anybody.
pub struct Webhook {
    /// What the rules may know. It is replaced as a whole, never changed.
    pub caches: ArcSwap<Caches>,
    /// All metrics.
    pub metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) break_glass: Option<BreakGlass>,
    serving: AtomicBool,
    trusted: AtomicBool,
    published: watch::Sender<()>,
    patience: Semaphore,
    small_turns: Semaphore,
    large_turns: Semaphore,
    small_bodies: Semaphore,
    large_bodies: Semaphore,
}

/// What a permit for a body stands for. Bytes would be too many for one acquisition.
const PERMIT_BYTES: usize = 1024;

impl Webhook {
    /// A webhook that is not serving yet.
    pub fn new(parts: WebhookParts) -> Self {
        let WebhookParts {
            caches,
            limits,
            metrics,
            clock,
            break_glass,
            is_trusted,
        } = parts;
        Webhook {
            caches: ArcSwap::from_pointee(caches),
            metrics,
            limits,
            clock,
            break_glass,
            serving: AtomicBool::new(false),
            trusted: AtomicBool::new(is_trusted),
            published: watch::Sender::new(()),
            patience: Semaphore::new(PATIENCE),
            small_turns: Semaphore::new(SMALL_TURNS),
            large_turns: Semaphore::new(LARGE_TURNS as usize),
            small_bodies: Semaphore::new(limits.small_bodies.div_ceil(PERMIT_BYTES)),
            large_bodies: Semaphore::new(limits.large_bodies.div_ceil(PERMIT_BYTES)),
        }
    }

    /// Says whether the admission port has a certificate and takes new connections.
    pub fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
    }

    /// Replaces what the rules may know, and wakes the requests that wait for it.
    pub fn publish(&self, caches: Caches) {
        self.caches.store(Arc::new(caches));
        self.published.send_replace(());
    }

    /// Says that the API server has been told to trust the certificate.
    pub fn set_trusted(&self) {
        self.trusted.store(true, Ordering::Release);
    }

    /// What is in the way of judging requests; nothing if the webhook is ready.
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if !self.serving.load(Ordering::Acquire) {
            obstacles.push("not serving: no certificate yet, or shutting down".to_owned());
        }
        if !self.trusted.load(Ordering::Acquire) {
            obstacles.push("the webhook configuration does not trust the certificate".to_owned());
        }
        if let Caches::Syncing(missing) = &**self.caches.load() {
            obstacles.push(format!("waiting for {}", missing.join(", ")));
        }
        obstacles
    }

    /// Changes with each [`Webhook::publish`] from now on.
    pub(crate) fn published(&self) -> watch::Receiver<()> {
        self.published.subscribe()
    }

    /// Leave to wait for a newer inventory, unless too many others do.
    pub(crate) fn patience(&self) -> Option<SemaphorePermit<'_>> {
        self.patience.try_acquire().ok()
    }

    /// Waits for a turn to decode and judge a body out of the way.
    pub(crate) async fn turn(&self, bytes: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        let (turns, count) = self.turns(bytes);
        turns.acquire_many(count).await
    }

    /// A turn, if one is free now.
    pub(crate) fn turn_at_once(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let (turns, count) = self.turns(bytes);
        turns.try_acquire_many(count).ok()
    }

    /// Of which turns how many a body takes.
    fn turns(&self, bytes: usize) -> (&Semaphore, u32) {
        if bytes <= self.limits.small_body {
            (&self.small_turns, 1)
        } else if bytes <= self.limits.body / 2 {
            (&self.large_turns, 1)
        } else {
            (&self.large_turns, LARGE_TURNS)
        }
    }

    /// Waits for room for a body. Large bodies have memory of their own: however long they take to
    /// arrive, ordinary ones do not wait for them.
    pub(crate) async fn body_permits(
        &self,
        bytes: usize,
    ) -> Result<SemaphorePermit<'_>, AcquireError> {
        let permits = bytes.div_ceil(PERMIT_BYTES).max(1);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let memory = if bytes > self.limits.small_body {
            &self.large_bodies
        } else {
            &self.small_bodies
        };
        memory.acquire_many(permits).await
    }
}
