//! `cluster-credentials`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "cluster-credentials",
    object: Base::Cluster,
    admitted: r#"stringData: { config: '{"awsAuthConfig": {"clusterName": "other"}}' }"#,
    denied: r#"stringData: { config: '{"bearerToken": "example"}' }"#,
    message: "cluster-credentials: data.config: holds a bearer token; use awsAuthConfig, which holds no credential",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
