//! An Application that is created with the status of an operation that runs.

use anyhow::Result;
use harness::argo_cd::{Fleet, Guard};
use harness::{KubectlOutput, eventually_object, succeed};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::{Value, json};

use crate::support::{Turn, WITHIN};

const NAME: &str = "search-resumed";
const FROM_NOWHERE: &str = "from-nowhere";

/// An Application whose operation asks for nothing but its spec, and whose status says that literal
/// manifests are being synced.
fn with_running_state(repository: &str) -> Value {
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": FROM_NOWHERE, "namespace": "shop"},
    });
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": NAME,
            "namespace": "argocd",
            "annotations": {"kubectl-gitops.io/autoscaled": "false"},
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "shop-production",
            "source": {
                "repoURL": repository,
                "path": "search",
                "targetRevision": "v1.0.0",
                "kustomize": {"namePrefix": format!("{NAME}-")},
            },
            "destination": {"name": "production", "namespace": "shop"},
        },
        "operation": {"sync": {}},
        "status": {"operationState": {
            "phase": "Running",
            "startedAt": "2026-01-01T00:00:00Z",
            "operation": {"sync": {"manifests": [manifest.to_string()]}},
        }},
    })
}

/// Without the webhook it is what the status says that is deployed, and not what the operation asks
/// for.
#[tokio::test]
async fn argo_cd_goes_on_with_what_the_status_says() -> Result<()> {
    let fleet = Fleet::start(Guard::None).await?;
    fleet.deployed().await?;
    let application = with_running_state(&fleet.repository().url());

    let create = fleet.admin().kubectl(["create", "--filename", "-"]);
    succeed(create.input(application.to_string())).await?;

    let production = fleet.production().control_plane().admin().client().await?;
    let maps = Api::<ConfigMap>::namespaced(production, "shop");
    let what = "what only the status has is deployed";
    let deployed = eventually_object(WITHIN, what, maps, FROM_NOWHERE, |map| {
        map.map(|_| ()).ok_or_else(|| "it is not".to_owned())
    });
    deployed.await?;
    Ok(())
}

#[tokio::test]
async fn no_application_is_created_with_a_running_operation() -> Result<()> {
    let fleet = Turn::take().await?;
    let alice = fleet.developer().await?;
    let application = with_running_state(&fleet.repository().url()).to_string();

    let create = alice.kubectl(["create", "--filename", "-"]);
    let KubectlOutput { status, stderr, .. } = create.input(application).run().await?;

    assert_eq!(status.code(), Some(1), "{stderr}");
    for rule in ["project-scope", "operation-override"] {
        let refusal =
            format!("{rule}: status.operationState: Argo CD would go on with this operation");
        assert!(stderr.contains(&refusal), "{stderr}");
    }
    assert!(fleet.application(NAME).await.is_err());
    Ok(())
}
