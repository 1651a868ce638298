//! `kubectl gitops cluster list` of a real API server: how Argo CD logs in to each cluster, without
//! what it logs in with.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use harness::objects::{Base, Writer};
use harness::plugin::plugin_as;
use harness::{Installation, Overlay, User};
use serde_json::{Value, json};

/// A token with these claims, of which no part may be seen.
fn token(claims: &Value) -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("eyJhbGciOiJub25lIn0.{claims}.bm9ib2R5LW1heS1zZWUtdGhpcw")
}

fn cluster(name: &str, config: &Value) -> Result<Value> {
    let data = json!({
        "name": name,
        "server": format!("https://{name}.k8s.example.com"),
        "config": config.to_string(),
    });
    Base::Cluster.with(
        &format!("cluster-{name}"),
        &json!({"stringData": data}).to_string(),
    )
}

/// Three clusters beside those of the fleet, an Application, and an ApplicationSet for one of them.
fn living(tokens: &[String; 2]) -> Result<String> {
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "addons", "namespace": "argocd"},
        "spec": {
            "generators": [{"clusters": {"selector": {"matchLabels": {"environment": "staging"}}}}],
            "template": {
                "metadata": {"name": "addons-{{name}}"},
                "spec": {
                    "project": "shop-staging",
                    "source": {"repoURL": "https://git.example.com/shop/addons.git", "path": "."},
                    "destination": {"name": "{{name}}", "namespace": "shop"},
                },
            },
        },
    });
    let items = [
        cluster("legacy", &json!({"bearerToken": tokens[0]}))?,
        cluster(
            "left-over",
            &json!({"awsAuthConfig": {"clusterName": "left-over"}, "bearerToken": tokens[1]}),
        )?,
        cluster("unreadable", &json!({"bearerToken": 1}))?,
        Base::Production.with("orders", "{}")?,
        set,
    ];
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())
}

async fn list(user: &User, flags: &[&str]) -> Result<Output> {
    Ok(plugin_as(user)?
        .args(["cluster", "list"])
        .args(flags)
        .output()
        .await?)
}

fn all(list: &Output) -> String {
    [&list.stdout, &list.stderr]
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat()
}

#[tokio::test]
async fn how_argo_cd_logs_in_is_told_and_with_what_is_not() -> Result<()> {
    let account = "kubernetes.io/serviceaccount/service-account.name";
    let tokens = [
        token(&json!({account: "argocd-manager"})),
        token(&json!({"iat": 1_700_000_000, "exp": 1_700_003_600})),
    ];
    let installation = Installation::start(Overlay::ProdDevops, &living(&tokens)?).await?;
    let admin = installation.admin();

    let json = list(admin, &["-o", "json"]).await?;
    ensure!(json.status.code() == Some(0), "{}", all(&json));
    let report: Value = serde_json::from_slice(&json.stdout).with_context(|| all(&json))?;
    let clusters = report["clusters"].as_array().context("clusters")?;
    let row = |one: &Value| {
        let credential = &one["credentials"][0];
        json!([
            one["name"],
            one["login"],
            one["environments"],
            one["applications"],
            one["applicationSets"],
            credential["expires"],
            credential["neverExpires"],
        ])
    };
    assert_eq!(
        clusters.iter().map(row).collect::<Vec<_>>(),
        [
            json!(["in-cluster", "in-cluster", [], 0, [], null, null]),
            json!(["left-over", "aws", [], 0, [], "2023-11-14T23:13:20Z", false]),
            json!(["legacy", "token", [], 0, [], null, true]),
            json!(["prod", "aws", ["prod"], 1, [], null, null]),
            json!(["staging", "aws", [], 0, ["addons"], null, null]),
            json!(["unreadable", "broken", [], 0, [], null, null]),
        ],
    );
    assert_eq!(
        clusters[5]["problem"],
        "data.config cannot be read: bearerToken has the wrong type"
    );
    assert_eq!(
        report["summary"],
        json!({"clusters": 6, "shown": 6, "withCredentials": 2})
    );

    let markdown = list(admin, &["--login", "token", "-o", "markdown"]).await?;
    let text = all(&markdown);
    assert!(
        text.contains("| legacy | https://legacy.k8s.example.com |"),
        "{text}"
    );
    assert!(
        text.ends_with("6 clusters, 2 with a credential that lasts in the Secret\n"),
        "{text}"
    );
    let names = list(admin, &["--login=aws,token", "-o", "name"]).await?;
    assert_eq!(
        all(&names),
        "secret/cluster-left-over\nsecret/cluster-legacy\nsecret/cluster-prod\nsecret/cluster-staging\n"
    );

    let wide = list(admin, &["-o", "wide"]).await?;
    for output in [&json, &markdown, &names, &wide] {
        for token in &tokens {
            for part in token.split('.') {
                assert!(!all(output).contains(part), "{}", all(output));
            }
        }
    }

    what_may_not_be_read_is_told(&installation).await
}

/// Nothing is taken for known that is not.
async fn what_may_not_be_read_is_told(installation: &Installation) -> Result<()> {
    let developer = Writer::Developer.log_in(installation).await?;
    let output = list(&developer, &[]).await?;
    assert_eq!(output.status.code(), Some(2), "{}", all(&output));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("only those in namespace argocd are counted"),
        "{text}"
    );
    Ok(())
}

/// An Application that deploys something to staging, as Argo CD keeps it.
fn deploying(name: &str) -> Result<Value> {
    let mut application = Base::Staging.with(name, "{}")?;
    application["metadata"]["finalizers"] = json!(["resources-finalizer.argocd.argoproj.io"]);
    application["status"] = json!({"resources": [
        {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": name},
        {"version": "v1", "kind": "Service", "namespace": "shop", "name": name},
    ]});
    Ok(application)
}

async fn offboard(user: &User, flags: &[&str]) -> Result<Output> {
    Ok(plugin_as(user)?
        .args(["cluster", "offboard", "staging"])
        .args(flags)
        .output()
        .await?)
}

#[tokio::test]
async fn a_cluster_leaves_only_when_it_is_said_what_becomes_of_what_runs_there() -> Result<()> {
    let items = [
        deploying("orders")?,
        Base::Production.with("elsewhere", "{}")?,
    ];
    let living = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let installation = Installation::start(Overlay::ProdDevops, &living).await?;
    let admin = installation.admin();
    let names = async || -> Result<String> {
        let get = admin.kubectl(["get", "applications,secrets", "-n", "argocd", "-o", "name"]);
        Ok(get.run().await?.stdout)
    };
    let before = names().await?;

    let undecided = offboard(admin, &["--yes"]).await?;
    assert_eq!(undecided.status.code(), Some(2));
    let text = all(&undecided);
    let reason = "1 Application on cluster staging deploy 2 resources there (application/orders)";
    assert!(text.contains(reason), "{text}");

    let nobody_agreed = offboard(admin, &["--orphan"]).await?;
    assert_eq!(nobody_agreed.status.code(), Some(2));
    let text = all(&nobody_agreed);
    assert!(
        text.contains("nothing is changed, as nobody agreed to the plan"),
        "{text}"
    );

    let asked = offboard(admin, &["--orphan", "--dry-run=server", "-o", "json"]).await?;
    let report: Value = serde_json::from_slice(&asked.stdout).with_context(|| all(&asked))?;
    let steps = report["steps"].as_array().context("steps")?;
    let row = |step: &Value| json!([step["step"], step["is"], step["shouldBe"], step["result"]]);
    assert_eq!(
        steps.iter().map(row).collect::<Vec<_>>(),
        [
            json!([
                "application/orders in argocd",
                "2 resources",
                "gone, its resources stay",
                "wouldBeDone"
            ]),
            json!([
                "secret/cluster-staging",
                "registers https://staging.k8s.example.com",
                "gone",
                "wouldBeDone"
            ]),
        ]
    );
    assert_eq!(names().await?, before);

    let done = offboard(admin, &["--orphan", "--yes"]).await?;
    assert_eq!(done.status.code(), Some(0), "{}", all(&done));
    let left = names().await?;
    assert!(
        !left.contains("orders") && !left.contains("cluster-staging"),
        "{left}"
    );
    assert!(
        left.contains("elsewhere") && left.contains("cluster-prod"),
        "{left}"
    );

    let again = offboard(admin, &["--orphan", "--yes"]).await?;
    assert_eq!(again.status.code(), Some(2));
    assert!(
        all(&again).contains("there is no cluster staging"),
        "{}",
        all(&again)
    );
    Ok(())
}
