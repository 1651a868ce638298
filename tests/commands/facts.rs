//! `--facts live` of a real API server: files are judged by what it knows, as the webhook would
//! judge them, and nothing is written. Its namespaces and objects complete words.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::objects::{Base, Session};
use harness::plugin::plugin_as;
use harness::programs::Programs;
use harness::{Installation, User, eventually, shared, succeed};
use serde_json::{Value, json};
use tokio::process::Command;

/// The API server notices a new Role within a second; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(30);

/// Somebody who may read what verdicts rest on, and write nothing.
const READER: &str = "frank@example.com";

/// What the reader may do; Secrets are in a Role of their own, so that they can be taken away.
const ACCESS: &str = r"
apiVersion: v1
kind: List
items:
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata: { name: facts }
    rules:
      - { apiGroups: [argoproj.io], resources: [appprojects, applications], verbs: [list] }
      - { apiGroups: [kubectl-gitops.io], resources: [gitopspolicies], verbs: [get] }
      - { apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [get] }
      - { apiGroups: [''], resources: [configmaps], verbs: [get] }
      - { apiGroups: [''], resources: [namespaces], verbs: [list] }
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: { name: facts }
    roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: facts }
    subjects:
      - { apiGroup: rbac.authorization.k8s.io, kind: User, name: frank@example.com }
      - { apiGroup: rbac.authorization.k8s.io, kind: User, name: grace@example.com }
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata: { name: facts, namespace: argocd }
    rules:
      - { apiGroups: [''], resources: [secrets], verbs: [list] }
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata: { name: facts, namespace: argocd }
    roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: facts }
    subjects:
      - { apiGroup: rbac.authorization.k8s.io, kind: User, name: frank@example.com }
";

/// Runs the plugin as a user, in a folder with files.
async fn run(user: &User, files: &[(&str, &Value)], arguments: &[&str]) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    for (name, object) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(path, object.to_string())?;
    }
    let run = plugin_as(user)?
        .args(arguments)
        .current_dir(folder.path())
        .output();
    Ok(run.await?)
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `(level, rule)` of all findings.
fn found(check: &Output) -> Result<Vec<(String, String)>> {
    let report: Value = serde_json::from_slice(&check.stdout).with_context(|| told(check))?;
    let findings = report["findings"].as_array().context("findings")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = findings.iter();
    Ok(findings
        .map(|finding| (text(&finding["level"]), text(&finding["rule"])))
        .collect())
}

fn pair(level: &str, rule: &str) -> (String, String) {
    (level.to_owned(), rule.to_owned())
}

/// A user of the given name, once the API server has noticed what they may do.
async fn reader(installation: &Installation, name: &str) -> Result<User> {
    let apply = installation.admin().kubectl(["apply", "-f", "-"]);
    succeed(apply.input(ACCESS)).await?;
    let user = installation.control_plane().user(name, &["people"])?;
    let flags = ["auth", "can-i", "list", "appprojects.argoproj.io", "-A"];
    eventually(WITHIN, "the reader may list AppProjects", async || {
        let asked = user.kubectl(flags).run().await;
        let asked = asked.map_err(|error| error.to_string())?;
        if asked.status.success() {
            Ok(())
        } else {
            Err(asked.stderr)
        }
    })
    .await?;
    Ok(user)
}

/// What a user asked for, by the audit log.
fn verbs(installation: &Installation, username: &str) -> Result<Vec<String>> {
    let log = fs::read_to_string(installation.control_plane().audit_log()?)?;
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let mut verbs = Vec::new();
    for line in whole.lines() {
        let request: Value = serde_json::from_str(line).context("not JSON in the audit log")?;
        // `kubectl auth can-i` asks by creating a question.
        let is_question = request["objectRef"]["apiGroup"] == "authorization.k8s.io";
        if request["user"]["username"] == username && !is_question {
            verbs.push(request["verb"].as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(verbs)
}

const CHECK: [&str; 6] = ["check", "object.json", "--facts", "live", "-o", "json"];

#[tokio::test]
async fn files_are_judged_by_what_the_cluster_knows_and_nothing_is_written() -> Result<()> {
    let installation = shared().await?;
    let reader = reader(installation, READER).await?;
    let session = Session::of(installation.admin()).await?;
    let check = async |object: &Value| run(&reader, &[("object.json", object)], &CHECK).await;

    let good = Base::Production.with("facts-good", "{}")?;
    let checked = check(&good).await?;
    assert_eq!(checked.status.code(), Some(0), "{}", told(&checked));
    assert_eq!(found(&checked)?, [], "{}", told(&checked));
    session.create(&good).await?.admitted();
    session
        .delete("Application", "facts-good")
        .await?
        .admitted();

    // What is neither in the files nor there does not exist, as for the webhook.
    for (change, rule) in [
        ("spec: {syncPolicy: {automated: {}}}", "prod-auto-sync"),
        ("spec: {project: facts-absent}", "project-scope"),
        ("spec: {destination: {name: facts-absent}}", "project-scope"),
    ] {
        let bad = Base::Production.with("facts-bad", change)?;
        let checked = check(&bad).await?;
        assert_eq!(checked.status.code(), Some(1), "{}", told(&checked));
        let found = found(&checked)?;
        assert!(found.contains(&pair("deny", rule)), "{change}: {found:?}");
        let refusal = session.create(&bad).await?.refusal();
        assert!(refusal.contains(&format!("{rule}: ")), "{refusal}");
    }

    // A project that comes with the files is there once they are applied.
    let change = "spec: {destinations: [{name: prod, server: 'https://prod.k8s.example.com', namespace: shop}]}";
    let project = Base::Project.with("facts-new", change)?;
    let application = Base::Production.with("facts-good", "spec: {project: facts-new}")?;
    let files = [("object.json", &application), ("facts/new.json", &project)];
    let with_project = [&CHECK[..], &["--facts", "facts"]].concat();
    let checked = run(&reader, &files, &with_project).await?;
    assert_eq!(checked.status.code(), Some(0), "{}", told(&checked));

    let verbs = verbs(installation, READER)?;
    assert!(!verbs.is_empty());
    assert!(
        verbs.iter().all(|verb| ["get", "list"].contains(&&**verb)),
        "{verbs:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_the_reader_may_not_list_may_exist() -> Result<()> {
    let installation = shared().await?;
    let grace = reader(installation, "grace@example.com").await?;
    let object =
        Base::Production.with("facts-unknown", "spec: {destination: {name: facts-absent}}")?;

    let checked = run(&grace, &[("object.json", &object)], &CHECK).await?;

    let expected = "warning: cannot list secrets in namespace argocd: ";
    assert!(told(&checked).contains(expected), "{}", told(&checked));
    let found = found(&checked)?;
    assert!(!found.contains(&pair("deny", "project-scope")), "{found:?}");
    assert!(
        found.contains(&pair("undecided", "project-scope")),
        "{found:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_preview_against_files_is_judged_by_what_the_cluster_knows() -> Result<()> {
    let installation = shared().await?;
    let reader = reader(installation, READER).await?;
    let set = |path: &str, clusters: &[&str]| {
        let elements = clusters.iter().map(|name| json!({"name": name}));
        let elements: Vec<Value> = elements.collect();
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
            "metadata": {"name": "facts", "namespace": "argocd"},
            "spec": {
                "generators": [{"list": {"elements": elements}}],
                "template": {
                    "metadata": {"name": "facts-{{name}}"},
                    "spec": {
                        "project": "shop-staging",
                        "source": {
                            "repoURL": "https://git.example.com/shop/orders.git", "path": path, "targetRevision": "v1.4.0",
                        },
                        "destination": {"name": "{{name}}", "namespace": "shop"},
                    },
                },
            },
        })
    };
    let new = set("charts", &["staging", "facts-absent"]);
    let old = set("deploy", &["staging"]);
    let files = [("new.json", &new), ("there/old.json", &old)];
    let flags = [
        "preview",
        "-f",
        "new.json",
        "--against",
        "there",
        "--facts",
        "live",
        "-o",
        "json",
    ];

    let previewed = run(&reader, &files, &flags).await?;

    assert_eq!(previewed.status.code(), Some(3), "{}", told(&previewed));
    let report: Value = serde_json::from_slice(&previewed.stdout)?;
    let applications = report["applications"].as_array().context("applications")?;
    let rows: Vec<_> = applications
        .iter()
        .map(|application| {
            ["name", "change", "verdict"].map(|key| application[key].as_str().unwrap_or_default())
        })
        .collect();
    let expected = [
        ["facts-facts-absent", "create", "denied"],
        ["facts-staging", "change", "admitted"],
    ];
    assert_eq!(rows, expected, "{}", told(&previewed));
    let verbs = verbs(installation, READER)?;
    assert!(
        verbs.iter().all(|verb| ["get", "list"].contains(&&**verb)),
        "{verbs:?}"
    );
    Ok(())
}

#[tokio::test]
async fn namespaces_and_objects_are_completed() -> Result<()> {
    let installation = shared().await?;
    let admin = installation.admin();
    let session = Session::of(admin).await?;
    let application = Base::Staging.with("completed-orders", "{}")?;
    session.create(&application).await?.admitted();
    let cluster = "stringData: {name: completed, server: 'https://completed.k8s.example.com'}";
    let cluster = Base::Cluster.with("completed-cluster", cluster)?;
    session.create(&cluster).await?.admitted();
    let folder = tempfile::tempdir()?;
    let link = folder.path().join("kubectl_complete-gitops");
    symlink(Programs::locate()?.plugin(), &link)?;
    let complete = async |user: &User, words: &[&str]| -> Result<String> {
        let completed = Command::new(&link)
            .arg("--kubeconfig")
            .arg(user.kubeconfig())
            .args(words)
            .env_clear()
            .stdin(Stdio::null())
            .output();
        let completed = completed.await?;
        assert_eq!(told(&completed), "");
        Ok(String::from_utf8(completed.stdout)?)
    };

    for (words, expected) in [
        (&["audit", "-n", "argo"][..], "argocd\n:4\n"),
        (
            &["break-glass", "grant", "-n", "argocd", "app/completed-"],
            "app/completed-orders\n:4\n",
        ),
        (
            &["break-glass", "why", "secret/completed-"],
            "secret/completed-cluster\n:4\n",
        ),
        (&["break-glass", "grant", "appset/completed-"], ":4\n"),
    ] {
        // It waits no longer than a moment, which a loaded machine may need for itself.
        eventually(WITHIN, "words are completed", async || {
            let completed = complete(admin, words).await;
            let completed = completed.map_err(|error| error.to_string())?;
            if completed == expected {
                Ok(())
            } else {
                Err(format!("{words:?}: {completed}"))
            }
        })
        .await?;
    }
    let stranger = installation
        .control_plane()
        .user("heidi@example.com", &["strangers"])?;
    let nothing = complete(&stranger, &["audit", "-n", "argo"]).await?;
    assert_eq!(nothing, ":4\n");
    session
        .delete("Application", "completed-orders")
        .await?
        .admitted();
    session
        .delete("Secret", "completed-cluster")
        .await?
        .admitted();
    Ok(())
}
