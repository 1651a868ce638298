//! What Argo CD writes to its own objects all the time.

use anyhow::Result;

use crate::support::{REFUSED, Request, Turn, asked};

const APPLICATION_CONTROLLER: &str = "system:serviceaccount:argocd:argocd-application-controller";
const SERVER: &str = "system:serviceaccount:argocd:argocd-server";

#[tokio::test]
async fn nothing_that_argo_cd_writes_to_deploy_the_fleet_is_refused() -> Result<()> {
    let fleet = Turn::take().await?;

    let mut requests = Request::by_argo_cd(fleet.devops().control_plane())?;

    let updates = requests
        .iter()
        .filter(|request| request.is_update_of_applications());
    assert!(updates.count() > 20, "{requests:?}");
    requests.retain(|request| request.is_refused() && !request.object_name().starts_with(REFUSED));
    assert!(requests.is_empty(), "{requests:#?}");
    Ok(())
}

#[tokio::test]
async fn no_refresh_status_or_history_reaches_the_webhook() -> Result<()> {
    let fleet = Turn::take().await?;
    let webhook = fleet.devops().webhook()?;
    let control_plane = fleet.devops().control_plane();
    let before = (
        asked(webhook).await?,
        Request::by_argo_cd(control_plane)?.len(),
    );
    assert!(before.0 > 0, "the webhook was never asked");

    for name in ["shop-staging", "shop-production", "reporter-production"] {
        fleet.argocd(["app", "get", name, "--refresh"]).await?;
        fleet.argocd(["app", "get", name, "--hard-refresh"]).await?;
        fleet
            .argocd(["app", "sync", name, "--timeout", "120"])
            .await?;
        fleet.synced_and_healthy(&[name]).await?;
    }

    let written = Request::by_argo_cd(control_plane)?.split_off(before.1);
    for user in [APPLICATION_CONTROLLER, SERVER] {
        let by_user =
            |request: &&Request| request.is_update_of_applications() && request.user() == user;
        let count = written.iter().filter(by_user).count();
        assert!(count >= 9, "{user} wrote {count} times: {written:?}");
    }
    assert_eq!(asked(webhook).await?, before.0);
    Ok(())
}
