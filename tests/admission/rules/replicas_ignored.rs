//! `replicas-ignored`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "replicas-ignored",
    object: Base::Production,
    admitted: "spec: { ignoreDifferences: [{ group: '*', kind: '*', managedFieldsManagers: [kube-controller-manager] }] }",
    denied: "spec: { ignoreDifferences: [] }",
    message: "replicas-ignored: spec.ignoreDifferences: an autoscaler's replicas are overwritten by every sync; \
        ignore /spec/replicas and set RespectIgnoreDifferences=true",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
