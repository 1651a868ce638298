//! Two Argo CDs on one cluster: the gate of one leaves the other's objects alone.

use std::time::Duration;

use anyhow::Result;
use harness::objects::{Answer, Base, kubectl_apply};
use harness::{Installation, Overlay, User, eventually, succeed};
use serde_json::{Value, json};

/// All of this takes milliseconds; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(20);

/// Namespaces, and where our Argo CD looks besides its own.
const LIVING: &str = r"
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: Namespace, metadata: { name: team-shop } }
  - { apiVersion: v1, kind: Namespace, metadata: { name: team-7 } }
  - { apiVersion: v1, kind: Namespace, metadata: { name: other-argocd } }
  - apiVersion: v1
    kind: ConfigMap
    metadata: { name: argocd-cmd-params-cm, namespace: argocd }
    data: { application.namespaces: 'team-sh*, /^team-[0-9]$/' }
";

/// What becomes of an Application in a namespace that syncs production by itself.
async fn created(admin: &User, namespace: &str, name: &str) -> Result<Answer> {
    let change = json!({
        "metadata": {"namespace": namespace},
        "spec": {"project": "default", "syncPolicy": {"automated": {}}},
    });
    let object = Base::Production.with(name, &change.to_string())?;
    kubectl_apply(admin, &object, &[]).await
}

fn is_refused(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(_))
}

#[tokio::test]
async fn what_is_in_namespaces_of_another_argo_cd_is_not_judged() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, LIVING).await?;
    let admin = installation.admin();

    for (namespace, expected) in [
        ("argocd", true),
        ("team-shop", true),
        ("team-7", true),
        ("other-argocd", false),
    ] {
        let answer = created(admin, namespace, "automated").await?;
        assert_eq!(is_refused(&answer), expected, "{namespace}: {answer:?}");
    }
    let everything = json!({
        "metadata": {"namespace": "other-argocd"},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    });
    let project = Base::Project.with("everything", &everything.to_string())?;
    kubectl_apply(admin, &project, &[]).await?.admitted();
    let mut ours = project.clone();
    ours["metadata"]["namespace"] = Value::from("argocd");
    assert!(is_refused(&kubectl_apply(admin, &ours, &[]).await?));

    let parameters = json!({"data": {"application.namespaces": "other-*"}}).to_string();
    let patch = [
        "patch",
        "configmap",
        "argocd-cmd-params-cm",
        "--namespace=argocd",
        "--type=merge",
    ];
    succeed(admin.kubectl(patch).arguments(["--patch", &parameters])).await?;

    eventually(WITHIN, "the new parameters count", async || {
        let answer = created(admin, "other-argocd", "automated-later").await;
        match answer.map_err(|error| format!("{error:#}"))? {
            Answer::Refused(_) => Ok(()),
            // It was too early, and must not be there the next time.
            Answer::Admitted => {
                let delete = [
                    "delete",
                    "application",
                    "automated-later",
                    "--namespace=other-argocd",
                ];
                let deleted = succeed(admin.kubectl(delete)).await;
                deleted.map_err(|error| format!("{error:#}"))?;
                Err("it is still another one's".to_owned())
            }
        }
    })
    .await?;
    created(admin, "team-shop", "automated").await?.admitted();
    Ok(())
}
