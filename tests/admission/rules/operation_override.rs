//! `operation-override`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "operation-override",
    object: Base::Production,
    admitted: "operation: { sync: { revision: v1.4.0, prune: true } }",
    denied: "operation: { sync: { revision: hotfix } }",
    message: "operation-override: operation.sync.revision: syncs revision hotfix to production, the spec says v1.4.0; \
        leave it out, or change targetRevision",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
