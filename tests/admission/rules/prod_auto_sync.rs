//! `prod-auto-sync`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "prod-auto-sync",
    object: Base::Production,
    admitted: "spec: { syncPolicy: { automated: { enabled: false, prune: true, selfHeal: true } } }",
    denied: "spec: { syncPolicy: { automated: { prune: false, selfHeal: false } } }",
    message: "prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster prod): \
        `prune: false` and `selfHeal: false` do not turn it off; remove `automated` or set `enabled: false` in it",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
