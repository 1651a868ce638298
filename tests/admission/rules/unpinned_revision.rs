//! `unpinned-revision`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "unpinned-revision",
    object: Base::Production,
    admitted: "spec: { source: { targetRevision: v1.5.0 } }",
    denied: "spec: { source: { targetRevision: HEAD } }",
    message: "unpinned-revision: spec.source.targetRevision: follows HEAD, whatever is newest; write a tag or a full commit",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
