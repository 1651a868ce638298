//! What the parts of the process share.

use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use policy::Inventory;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use crate::admission::handler::Limits;
use crate::metrics::Metrics;

/// What the rules may know.
#[derive(Debug)]
pub enum Caches {
    /// Some lists are not complete yet; these are they.
    Syncing(Vec<&'static str>),
    /// All there is.
    Synced(Box<Inventory>),
}

/// The state of the webhook. Requests read it without waiting for anybody.
pub struct Webhook {
    /// What the rules may know. It is replaced as a whole, never changed.
    pub caches: ArcSwap<Caches>,
    /// All metrics.
    pub metrics: Metrics,
    /// What requests may take.
    pub limits: Limits,
    serving: AtomicBool,
    bodies: Semaphore,
}

/// What a permit of [`Webhook::bodies`] stands for. Bytes would be too many for one acquisition.
const PERMIT_BYTES: usize = 1024;

impl Webhook {
    /// A webhook that is not serving yet.
    pub fn new(caches: Caches, limits: Limits) -> Self {
        Webhook {
            caches: ArcSwap::from_pointee(caches),
            metrics: Metrics::new(),
            limits,
            serving: AtomicBool::new(false),
            bodies: Semaphore::new(limits.bodies.div_ceil(PERMIT_BYTES)),
        }
    }

    /// Says whether the admission port has a certificate and takes new connections.
    pub fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
    }

    /// What is in the way of judging requests; nothing if the webhook is ready.
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if !self.serving.load(Ordering::Acquire) {
            obstacles.push("not serving: no certificate yet, or shutting down".to_owned());
        }
        if let Caches::Syncing(missing) = &**self.caches.load() {
            obstacles.push(format!("waiting for {}", missing.join(", ")));
        }
        obstacles
    }

    /// Waits for room for a body.
    pub(crate) async fn body_permits(
        &self,
        bytes: usize,
    ) -> Result<SemaphorePermit<'_>, AcquireError> {
        let permits = bytes.div_ceil(PERMIT_BYTES).max(1);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        self.bodies.acquire_many(permits).await
    }
}
