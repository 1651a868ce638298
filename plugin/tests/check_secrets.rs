//! `kubectl gitops check` on cluster Secrets as they stand in repositories: copied from
//! documentation, encrypted, or made by a controller.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use insta::assert_snapshot;
use serde_json::Value;

use support::{Folder, Ran};

const SECRETS: &str = include_str!("cases/cluster-secrets.yaml");

/// A folder with Secrets that are encrypted by SOPS or made from other objects, and what depends on
/// them.
fn encrypted() -> Folder {
    Folder::with(&[
        ("apps.yaml", include_str!("cases/encrypted/apps.yaml")),
        (
            "external-secret.yaml",
            include_str!("cases/encrypted/external-secret.yaml"),
        ),
        ("project.yaml", include_str!("cases/encrypted/project.yaml")),
        (
            "sealed-secret.yaml",
            include_str!("cases/encrypted/sealed-secret.yaml"),
        ),
        (
            "sops-cluster.yaml",
            include_str!("cases/encrypted/sops-cluster.yaml"),
        ),
        (
            "sops-data.yaml",
            include_str!("cases/encrypted/sops-data.yaml"),
        ),
    ])
}

/// Findings of an object, as `level rule: message`.
fn findings_of(run: &Ran, name: &str) -> Vec<String> {
    let json = run.json();
    let findings = json["findings"].as_array().unwrap().iter();
    let of_it = findings.filter(|finding| finding["object"]["name"] == name);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    of_it
        .map(|finding| {
            format!(
                "{} {}: {}",
                text(finding, "level"),
                text(finding, "rule"),
                text(finding, "message")
            )
        })
        .collect()
}

#[test]
fn copies_of_the_documentation_are_judged_by_whose_cluster_it_is() {
    let folder = Folder::with(&[("secrets.yaml", SECRETS)]);
    let run = folder.run(&["check"]);
    assert_eq!(run.status(), 1);
    assert_snapshot!(run.transcript());
    let told = run.transcript();
    let lines = told.lines().filter(|line| line.contains("awsAuthConfig"));
    assert!(
        !lines
            .into_iter()
            .any(|line| line.contains("gke") || line.contains("aks"))
    );
}

#[test]
fn what_a_broken_config_is_told_of() {
    let folder = Folder::with(&[("secrets.yaml", SECRETS)]);
    let run = folder.run(&["check", "-o", "json"]);
    let starts = |name: &str, expected: &[&str]| {
        let found = findings_of(&run, name);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    };
    let broken = |place: &str| {
        format!(
            "deny cluster-credentials: Argo CD cannot read it: it is not one JSON object, see {place}"
        )
    };
    starts("aks-comments", &[&broken("line 6, column 66, a comment")]);
    starts("trailing-comma", &[&broken("line 1, column 38, a }")]);
    starts(
        "aws-single-quote",
        &[&broken("line 1, column 2, a single quote")],
    );
    starts(
        "env-as-list",
        &["deny cluster-credentials: Argo CD cannot read it: env has the wrong type"],
    );
    starts(
        "args-as-string",
        &["deny cluster-credentials: Argo CD cannot read it: args has the wrong type"],
    );
    for fine in [
        "gcp-default",
        "eks-capability",
        "in-cluster-empty-token",
        "by-arn",
    ] {
        starts(fine, &[]);
    }
    let waiting = findings_of(&run, "to-commented-aks").join("\n");
    assert!(
        waiting.contains("the Secret aks-comments (secrets.yaml:"),
        "{waiting}"
    );
    assert!(!waiting.contains("not among the files"), "{waiting}");
}

#[test]
fn encrypted_secrets_are_undecided_and_never_shown() {
    let folder = encrypted();
    let table = folder.run(&["check"]);
    assert_ne!(table.status(), 2, "{}", table.transcript());
    assert_snapshot!(table.transcript());
    for arguments in [
        &["check"][..],
        &["check", "-o", "wide"],
        &["check", "-o", "json"],
        &["check", "-o", "name"],
        &["check", "--strict", "--explain"],
        &[
            "preview",
            "-f",
            "sops-cluster.yaml",
            "-f",
            "apps.yaml",
            "--state",
            ".",
        ],
    ] {
        let run = folder.run(arguments);
        let told = run.transcript();
        assert!(!told.contains("ENC["), "{told}");
        assert!(!told.contains("c2VjcmV0"), "{told}");
    }
    let run = folder.run(&["check", "-o", "json"]);
    for name in ["prd-us", "prd-ap"] {
        assert_eq!(
            findings_of(&run, name),
            [
                "undecided cluster-credentials: its values are encrypted by SOPS and cannot be judged here"
            ]
        );
    }
    for (name, kind) in [("prd-eu", "ExternalSecret"), ("prd-sa", "SealedSecret")] {
        assert_eq!(
            findings_of(&run, name),
            [format!(
                "undecided cluster-credentials: this {kind} makes a cluster Secret whose values are not known here"
            )]
        );
    }
    let levels = |name: &str| {
        let found = findings_of(&run, name);
        assert!(!found.is_empty(), "{name}");
        assert!(
            found
                .iter()
                .all(|line| !line.contains("not among the files") || line.contains("unless")),
            "{found:#?}"
        );
    };
    levels("agent");
    levels("shop");
}

/// Its values were believed to be base64.
#[test]
fn an_encrypted_repository_secret_is_no_error() {
    let folder = Folder::with(&[(
        "repository.yaml",
        "\
apiVersion: v1
kind: Secret
metadata:
  name: shop
  namespace: argocd
  labels: { argocd.argoproj.io/secret-type: repository }
data:
  url: ENC[AES256_GCM,data:c2VjcmV0,iv:AA==,tag:AA==,type:str]
  project: ENC[AES256_GCM,data:c2VjcmV0,iv:AA==,tag:AA==,type:str]
sops: { version: 3.9.0 }
",
    )]);
    // Repository Secrets are not judged, only read.
    let run = folder.run(&["check"]);
    assert_eq!(run.status(), 3, "{}", run.transcript());
    assert!(!run.stderr().contains("error"), "{}", run.transcript());
    assert!(!run.transcript().contains("ENC["));
}

/// The labels of a Secret that is made say where it belongs.
#[test]
fn a_literal_config_in_a_template_is_judged() {
    let folder = Folder::with(&[(
        "cluster.yaml",
        r#"
apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata: { name: cluster-prod, namespace: argocd }
spec:
  target:
    name: prod
    template:
      metadata: { labels: { argocd.argoproj.io/secret-type: cluster } }
      data:
        name: prod
        server: https://prod.example.com
        config: '{"bearerToken": "example"}'
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: { name: database, namespace: argocd }
spec: { target: { template: { metadata: { labels: { team: shop } } } } }
---
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: { name: elsewhere, namespace: shop }
spec: { template: { metadata: { labels: { argocd.argoproj.io/secret-type: cluster } } } }
"#,
    )]);
    let run = folder.run(&["check"]);
    assert_eq!(run.status(), 1);
    assert_snapshot!(run.transcript());
}
