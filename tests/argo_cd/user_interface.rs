//! What people do in Argo CD's UI: it asks argocd-server for it as is done here.

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use crate::support::{DENIED, Turn};

const NAME: &str = "search-by-ui";

#[tokio::test]
async fn creating_and_editing_say_why_they_are_refused_and_the_sync_button_works() -> Result<()> {
    let fleet = Turn::take().await?;
    let rest = fleet.argo_cd().rest();
    let (application, auto_synced) = (fleet.search(NAME), fleet.auto_synced_search(NAME));
    let path = format!("/applications/{NAME}");

    let created = rest.send(Method::POST, "/applications", &auto_synced);
    refused(&created.await?, "error creating application: ");

    let (status, answer) = rest
        .send(Method::POST, "/applications", &application)
        .await?;
    assert_eq!(status, 200, "{answer}");

    let spec = format!("{path}/spec");
    let edited = rest.send(Method::PUT, &spec, &auto_synced["spec"]);
    let during = "error validating and updating app: error updating application: ";
    refused(&edited.await?, during);

    let sync = json!({
        "appNamespace": "argocd",
        "revision": "v1.0.0",
        "prune": false,
        "dryRun": false,
        "strategy": {"hook": {"force": false}},
        "resources": null,
    });
    let (status, answer) = rest
        .send(Method::POST, &format!("{path}/sync"), &sync)
        .await?;
    assert_eq!(status, 200, "{answer}");
    fleet.synced_and_healthy(&[NAME]).await?;

    fleet.delete("application", NAME).await
}

/// The UI shows the whole message.
fn refused((status, answer): &(u16, Value), during: &str) {
    let message = format!("{during}{DENIED}");
    assert_eq!(*status, 403, "{answer}");
    assert_eq!(
        *answer,
        json!({"code": 7, "error": message, "message": message})
    );
}
