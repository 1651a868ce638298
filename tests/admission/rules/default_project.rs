//! `default-project`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "default-project",
    object: Base::Staging,
    admitted: "metadata: { labels: { team: orders } }",
    denied: "spec: { project: default }",
    message: "default-project: spec.project: the project `default` permits everything unless cut down; \
        name your team's AppProject for this environment",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
