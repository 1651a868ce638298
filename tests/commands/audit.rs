//! `kubectl gitops audit` of a real API server: what was there before the webhook is told as the
//! webhook would judge it, overrides count until they end, and nothing is written.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::objects::{Base, Session};
use harness::plugin::plugin_as;
use harness::{Installation, Overlay, User, eventually, succeed};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The API server notices a new Role within a second; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(30);

const RULES: &str = "kubectl-gitops.io/break-glass";
const REASON: &str = "kubectl-gitops.io/break-glass-reason";
const EXPIRES: &str = "kubectl-gitops.io/break-glass-expires";

const TOKEN: &str = "a-token-that-nobody-may-see";

/// An Application that syncs production by itself.
fn automated(name: &str) -> Result<Value> {
    Base::Production.with(name, "spec: {syncPolicy: {automated: {}}}")
}

/// The same, with an override that ends so long from now.
fn overridden(name: &str, lasts: SignedDuration) -> Result<Value> {
    let mut application = automated(name)?;
    application["metadata"]["annotations"] = json!({
        RULES: "prod-auto-sync",
        REASON: "INC-1: it burns",
        EXPIRES: (Timestamp::now() + lasts).to_string(),
    });
    Ok(application)
}

/// What there is when the webhook comes.
fn living() -> Result<String> {
    let config = json!({"bearerToken": TOKEN}).to_string();
    let change = json!({"stringData": {"name": "legacy", "server": "https://legacy.k8s.example.com", "config": config}});
    let items = [
        automated("violating")?,
        overridden("overruled", SignedDuration::from_hours(2))?,
        overridden("over", SignedDuration::from_hours(-2))?,
        Base::Production.with("good", "{}")?,
        Base::Cluster.with("cluster-legacy", &change.to_string())?,
    ];
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())
}

async fn check(user: &User, flags: &[&str]) -> Result<Output> {
    let audit = plugin_as(user)?
        .args(["audit", "-o", "json"])
        .args(flags)
        .output();
    Ok(audit.await?)
}

fn told(check: &Output) -> String {
    String::from_utf8_lossy(&check.stderr).into_owned()
}

/// The findings on objects, by `(level, rule, object's name)`.
fn findings(check: &Output) -> Result<Vec<([String; 3], Value)>> {
    let report: Value = serde_json::from_slice(&check.stdout).with_context(|| told(check))?;
    let findings = report["findings"].as_array().context("findings")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let by_name = |finding: &Value| {
        let name = text(&finding["object"]["name"]);
        let row = [text(&finding["level"]), text(&finding["rule"]), name];
        (row, finding.clone())
    };
    Ok(findings.iter().map(by_name).collect())
}

fn rows(check: &Output) -> Result<Vec<[String; 3]>> {
    Ok(findings(check)?.into_iter().map(|(row, _)| row).collect())
}

fn row(level: &str, rule: &str, name: &str) -> [String; 3] {
    [level, rule, name].map(str::to_owned)
}

#[tokio::test]
async fn a_fleet_that_was_there_before_the_webhook_is_judged_as_the_webhook_would() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, &living()?).await?;
    let admin = installation.admin();
    let session = Session::of(admin).await?;

    let all = check(admin, &["-A"]).await?;
    assert_eq!(all.status.code(), Some(1), "{}", told(&all));
    let expected = [
        row("deny", "prod-auto-sync", "over"),
        row("warn", "break-glass", "over"),
        row("warn", "prod-auto-sync", "overruled"),
        row("warn", "break-glass", "overruled"),
        row("deny", "prod-auto-sync", "violating"),
        row("deny", "cluster-credentials", "cluster-legacy"),
    ];
    assert_eq!(rows(&all)?, expected, "{}", told(&all));
    let printed = String::from_utf8_lossy(&all.stdout).into_owned() + &told(&all);
    assert!(!printed.contains(TOKEN), "{printed}");

    // Each in the words of the webhook.
    for (row, finding) in findings(&all)? {
        let message = finding["message"].as_str().unwrap_or_default();
        match [&*row[0], &row[1], &row[2]] {
            ["warn", "prod-auto-sync", _] => {
                assert!(message.starts_with("overruled until "), "{message}");
                assert_eq!(finding["waivedBy"], "break-glass");
            }
            ["warn", "break-glass", "overruled"] => {
                let start = "prod-auto-sync overruled until ";
                assert!(message.starts_with(start), "{message}");
                assert!(message.ends_with(": INC-1: it burns"), "{message}");
            }
            ["deny", "prod-auto-sync", _] => {
                let refused = session.create(&automated("another")?).await?.refusal();
                let start = format!("prod-auto-sync: spec.syncPolicy.automated: {message}; ");
                assert!(refused.starts_with(&start), "{refused} is not {start}");
            }
            _ => {}
        }
        assert_eq!(
            (&finding["file"], &finding["line"]),
            (&json!(null), &json!(null))
        );
    }

    let put_right = json!({"spec": {"syncPolicy": {"automated": null}}});
    for name in ["violating", "over"] {
        let patched = session.patch("Application", name, &put_right).await?;
        patched.admitted();
    }
    session.delete("Secret", "cluster-legacy").await?.admitted();
    let clean = check(admin, &[]).await?;
    assert_eq!(clean.status.code(), Some(0), "{}", told(&clean));
    let of_overruled = ["prod-auto-sync", "break-glass"].map(|rule| row("warn", rule, "overruled"));
    assert_eq!(rows(&clean)?, of_overruled);

    who_may_not_list_all_kinds_is_told(&installation).await
}

/// Somebody who may list Applications in Argo CD's namespace alone.
const ACCESS: &str = r"
apiVersion: v1
kind: List
items:
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata: { name: lists-applications, namespace: argocd }
    rules:
      - { apiGroups: [argoproj.io], resources: [applications], verbs: [list] }
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata: { name: lists-applications, namespace: argocd }
    roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: lists-applications }
    subjects:
      - { apiGroup: rbac.authorization.k8s.io, kind: User, name: carol@example.com }
";

async fn who_may_not_list_all_kinds_is_told(installation: &Installation) -> Result<()> {
    let create = installation.admin().kubectl(["create", "-f", "-"]);
    succeed(create.input(ACCESS)).await?;
    let carol = installation
        .control_plane()
        .user("carol@example.com", &["auditors"])?;
    let in_argocd = eventually(WITHIN, "carol may list Applications", async || {
        let check = check(&carol, &[]).await;
        let check = check.map_err(|error| error.to_string())?;
        let may_not = told(&check).contains("left out: cannot list applications.argoproj.io");
        if may_not {
            Err(told(&check))
        } else {
            Ok(check)
        }
    })
    .await?;
    assert_eq!(in_argocd.status.code(), Some(2), "{}", told(&in_argocd));
    // What labels and projects tell is not known to her; what the Application says itself is.
    let of_overruled = row("warn", "prod-auto-sync", "overruled");
    let found = rows(&in_argocd)?;
    assert!(found.contains(&of_overruled), "{found:#?}");
    for lacking in [
        "applicationsets.argoproj.io in namespace argocd: ",
        "appprojects.argoproj.io in namespace argocd: ",
        "secrets in namespace argocd: ",
    ] {
        let expected = format!("error: left out: cannot list {lacking}");
        assert!(told(&in_argocd).contains(&expected), "{}", told(&in_argocd));
    }

    let everywhere = check(&carol, &["-A"]).await?;
    assert_eq!(everywhere.status.code(), Some(2), "{}", told(&everywhere));
    let expected = "error: left out: cannot list applications.argoproj.io: ";
    assert!(
        told(&everywhere).contains(expected),
        "{}",
        told(&everywhere)
    );
    Ok(())
}
