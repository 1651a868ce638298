//! `project-too-wide`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "project-too-wide",
    object: Base::Project,
    admitted: "spec: { sourceRepos: ['https://git.example.com/**'] }",
    denied: "spec: { sourceRepos: ['!https://git.example.com/billing/*'] }",
    message: "project-too-wide: spec.sourceRepos[0]: !https://git.example.com/billing/* permits any other repository \
        (labels of cluster prod); list the repositories it needs",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
