//! `project-scope`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "project-scope",
    object: Base::Staging,
    admitted: "spec: { source: { repoURL: https://git.example.com/shop/payments.git } }",
    denied: "spec: { source: { repoURL: https://git.example.com/billing/ledger.git } }",
    message: "project-scope: spec.source.repoURL: AppProject shop-staging does not permit \
        https://git.example.com/billing/ledger.git; use a repository of its sourceRepos",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
