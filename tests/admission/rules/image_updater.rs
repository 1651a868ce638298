//! `image-updater`.

use anyhow::Result;
use harness::objects::Base;

use super::Case;

pub(crate) const CASE: Case = Case {
    rule: "image-updater",
    object: Base::Production,
    admitted: "metadata: { annotations: { argocd-image-updater.argoproj.io/write-back-method: git } }",
    denied: "metadata: { annotations: { argocd-image-updater.argoproj.io/image-list: r.example.com/orders } }",
    message: "image-updater: metadata.annotations[argocd-image-updater.argoproj.io/image-list]: \
        deploys new images by itself, past Git; remove the annotation, release by a commit",
};

#[tokio::test]
async fn holds_for_everybody_in_every_way() -> Result<()> {
    super::holds_for_everybody_in_every_way(&CASE).await
}
