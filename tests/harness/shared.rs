//! Installations that tests of one program share, each with objects of its own.

use anyhow::Result;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::installation::{Installation, Overlay};

/// Objects that were there before the webhook: nothing is right about their spec.
const LIVING: &str = r"
apiVersion: v1
kind: List
items:
  - &violating
    apiVersion: argoproj.io/v1alpha1
    kind: Application
    metadata: { name: living-reconciled, namespace: argocd }
    spec:
      project: default
      source: { repoURL: https://git.example.com/shop/orders.git, path: deploy }
      destination: { name: prod, namespace: shop }
      syncPolicy: { automated: { selfHeal: true } }
  - { <<: *violating, metadata: { name: living-changed, namespace: argocd } }
  - { <<: *violating, metadata: { name: living-put-right, namespace: argocd } }
  - { <<: *violating, metadata: { name: living-deleted, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io] } }
";

/// An installation that tests share. What is in it belongs to the test that created it, by its
/// name; the policy stays as it is.
pub async fn shared() -> Result<&'static Installation> {
    static SHARED: OnceCell<Installation> = OnceCell::const_new();
    SHARED
        .get_or_try_init(|| Installation::start(Overlay::ProdDevops, LIVING))
        .await
}

/// An installation that tests have one after the other, each for itself.
pub struct Alone {
    overlay: Overlay,
    installation: OnceCell<Installation>,
    turn: Mutex<()>,
}

impl Alone {
    /// One of an overlay, which starts when a test first has it.
    pub const fn with(overlay: Overlay) -> Self {
        Self {
            overlay,
            installation: OnceCell::const_new(),
            turn: Mutex::const_new(()),
        }
    }

    /// The installation, as long as the guard is held.
    pub async fn turn(&'static self) -> Result<(&'static Installation, MutexGuard<'static, ()>)> {
        let turn = self.turn.lock().await;
        let start = || Installation::start(self.overlay, "");
        Ok((self.installation.get_or_try_init(start).await?, turn))
    }
}
