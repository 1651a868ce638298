//! What a GitOpsPolicy changes, and how soon.

use std::time::Duration;

use anyhow::Result;
use harness::objects::{Base, Session, Writer};
use harness::{Alone, Installation, KubectlOutput, Overlay, User, eventually, shared};
use serde_json::{Value, json};

/// A change of the policy holds within milliseconds; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(20);

/// An installation of which these tests change the one policy there is.
static ALONE: Alone = Alone::with(Overlay::StagingDevops);

fn policy(name: &str, spec: &Value) -> String {
    json!({
        "apiVersion": "kubectl-gitops.io/v1alpha1",
        "kind": "GitOpsPolicy",
        "metadata": {"name": name},
        "spec": spec,
    })
    .to_string()
}

async fn apply(user: &User, manifest: &str, flags: &[&str]) -> Result<KubectlOutput> {
    let apply = user.kubectl(["apply", "-f", "-"]).arguments(flags);
    Ok(apply.input(manifest).run().await?)
}

async fn set(installation: &Installation, spec: Value) -> Result<()> {
    let applied = apply(installation.admin(), &policy("default", &spec), &[]).await?;
    assert!(applied.status.success(), "{applied:?}");
    Ok(())
}

/// Waits until an Application in the project `default` gets this answer from the webhook: a start
/// of what kubectl says on standard error.
async fn answers(installation: &Installation, expected: &str) -> Result<()> {
    let object = Base::Staging
        .with("in-default", "spec: { project: default }")?
        .to_string();
    let what = format!("kubectl says {expected:?}");
    let wait = eventually(WITHIN, &what, async || {
        let applied = apply(installation.admin(), &object, &["--dry-run=server"]).await;
        let said = applied.map_err(|error| error.to_string())?.stderr;
        if said.starts_with(expected) {
            Ok(())
        } else {
            Err(said)
        }
    });
    Ok(wait.await?)
}

const DENIED: &str = "Error from server (Forbidden): error when creating \"STDIN\": \
    admission webhook \"applications.kubectl-gitops.io\" denied the request: default-project: spec.project: ";
const WARNED: &str =
    "Warning: default-project: spec.project: the project `default` permits everything";

#[tokio::test]
async fn a_rule_can_warn_instead() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;

    set(
        installation,
        json!({"rules": {"default-project": {"action": "Warn"}}}),
    )
    .await?;

    answers(installation, WARNED).await
}

#[tokio::test]
async fn an_exemption_says_its_reason() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let exempt = json!([{"applications": ["argocd/in-*"], "reason": "being moved, until June"}]);

    set(
        installation,
        json!({"rules": {"default-project": {"exempt": exempt}}}),
    )
    .await?;

    answers(
        installation,
        "Warning: default-project: spec.project: exempt (being moved, until June): the project `default`",
    )
    .await
}

#[tokio::test]
async fn without_a_policy_the_built_in_rules_hold() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    set(
        installation,
        json!({"rules": {"default-project": {"action": "Off"}}}),
    )
    .await?;
    answers(installation, "").await?;

    let delete = installation
        .admin()
        .kubectl(["delete", "gitopspolicy", "default"]);
    let deleted = delete.run().await?;

    assert!(deleted.status.success(), "{deleted:?}");
    answers(installation, DENIED).await
}

#[tokio::test]
async fn what_is_production_can_be_said() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let staging =
        json!({"name": "live", "production": true, "match": {"destinations": ["staging"]}});

    set(installation, json!({"environments": [staging]})).await?;

    let object = Base::Staging
        .with("on-live", "spec: { ignoreDifferences: [] }")?
        .to_string();
    let wait = eventually(WITHIN, "staging is production", async || {
        let applied = apply(installation.admin(), &object, &["--dry-run=server"]).await;
        let said = applied.map_err(|error| error.to_string())?.stderr;
        let expected = "prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (destination staging)";
        if said.contains(expected) {
            Ok(())
        } else {
            Err(said)
        }
    });
    Ok(wait.await?)
}

/// `engine-isolation`: what the engine drives is admitted, what belongs elsewhere is not, and
/// neither are the credentials that would take it there.
#[tokio::test]
async fn the_engine_of_staging_keeps_out_of_production() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let of = |environment: &str, production: bool| {
        let labels = json!({"matchLabels": {"environment": environment}});
        json!({"name": environment, "production": production, "match": {"clusters": labels}})
    };
    set(
        installation,
        json!({
            "engine": {"environment": "staging"},
            "environments": [of("staging", false), of("prod", true)],
        }),
    )
    .await?;

    let production = Base::Production.with("elsewhere", "{}")?.to_string();
    let expected = "engine-isolation: spec.destination: belongs to prod (labels of cluster prod), and this Argo CD drives \
        staging; give it to the Argo CD of its environment";
    let wait = eventually(WITHIN, "production is elsewhere", async || {
        let applied = apply(installation.admin(), &production, &["--dry-run=server"]).await;
        let said = applied.map_err(|error| error.to_string())?.stderr;
        if said.contains(expected) {
            Ok(())
        } else {
            Err(said)
        }
    });
    wait.await?;

    let admin = Session::of(installation.admin()).await?;
    let staging = Base::Staging.with("on-its-own-engine", "{}")?;
    let cluster = |environment: &str| {
        let labels = format!("metadata: {{ labels: {{ environment: {environment} }} }}");
        Base::Cluster.with(&format!("cluster-of-{environment}"), &labels)
    };
    admin.create(&staging).await?.admitted();
    admin.create(&cluster("staging")?).await?.admitted();
    let refused = admin.create(&cluster("prod")?).await?.refusal();
    assert!(
        refused.starts_with("engine-isolation: metadata.labels: belongs to prod"),
        "{refused}"
    );
    let labels = json!({"metadata": {"labels": {"environment": "prod"}}});
    let refused = admin.patch("Secret", "cluster-of-staging", &labels).await?;
    assert!(refused.refusal().starts_with("engine-isolation: "));
    Ok(())
}

#[tokio::test]
async fn a_policy_of_another_name_is_refused() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;

    let applied = apply(installation.admin(), &policy("team-a", &json!({})), &[]).await?;

    assert!(
        applied.stderr.contains(
            "only the policy named default counts: rename it, or add to the one that is there"
        ),
        "{applied:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_misspelt_rule_is_refused() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let misspelt = json!({"rules": {"prod-autosync": {"action": "Off"}}});

    let applied = apply(installation.admin(), &policy("default", &misspelt), &[]).await?;

    assert!(
        applied
            .stderr
            .contains(r#"unknown field "spec.rules.prod-autosync""#),
        "{applied:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_exemption_from_everything_is_refused() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let everything = json!({"rules": {"prod-auto-sync": {"exempt": [{"reason": "because"}]}}});

    let applied = apply(installation.admin(), &policy("default", &everything), &[]).await?;

    assert!(
        applied
            .stderr
            .contains("an exemption must say what it is for"),
        "{applied:?}"
    );
    Ok(())
}

/// Refused, it would put argocd-server into a crash loop.
#[tokio::test]
async fn argocd_server_may_create_the_project_default() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let admin = Session::of(installation.admin()).await?;
    let server = Session::of(&Writer::Server.log_in(installation).await?).await?;
    let everything = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "default", "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    });
    admin.delete("AppProject", "default").await?.admitted();

    let refused = admin.create(&everything).await?.refusal();
    server.create(&everything).await?.admitted();

    assert!(
        refused.starts_with("project-too-wide: spec.sourceRepos[0]: * permits any repository"),
        "{refused}"
    );
    Ok(())
}

/// What the overlays say beyond the built-in rules.
#[tokio::test]
async fn as_installed_the_root_may_stay_in_the_project_default() -> Result<()> {
    let installation = shared().await?;
    let root = Base::Staging.with("root", "spec: { project: default }")?;

    let applied = apply(installation.admin(), &root.to_string(), &[]).await?;

    assert!(applied.status.success(), "{applied:?}");
    let warning = "Warning: default-project: spec.project: exempt (root of the app-of-apps): ";
    assert!(applied.stderr.starts_with(warning), "{applied:?}");
    let given = r#"gitops_webhook_policy_source{source="given"}"#;
    assert_eq!(installation.webhook().counter(given).await?, 1);
    Ok(())
}
