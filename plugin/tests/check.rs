//! `kubectl gitops check`.

mod support;

use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use support::{Folder, Ran, fixtures, run_in};

/// An Application that nothing is wrong with, once [`PROJECT`] is known.
const GOOD: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: cart
  namespace: argocd
spec:
  project: shop
  source:
    repoURL: https://git.example.com/shop/services.git
    path: services/cart
    targetRevision: v1.2.0
  destination:
    server: https://kubernetes.default.svc
    namespace: cart
";

/// An Application of the project `default`.
const DEFAULT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: stray
  namespace: argocd
spec:
  project: default
  source:
    repoURL: https://git.example.com/shop/services.git
    path: services/stray
    targetRevision: v1.2.0
  destination:
    server: https://kubernetes.default.svc
    namespace: stray
";

const PROJECT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata:
  name: shop
spec:
  sourceRepos: [https://git.example.com/shop/services.git]
  destinations:
    - server: https://kubernetes.default.svc
      namespace: cart
";

const CLUSTER: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: cluster-prod
  namespace: argocd
  labels:
    argocd.argoproj.io/secret-type: cluster
    environment: prod
stringData:
  name: prod
  server: https://prod.example.com
  config: |
    {\"bearerToken\": \"a-long-secret\"}
";

const POLICY: &str = "\
apiVersion: kubectl-gitops.io/v1alpha1
kind: GitOpsPolicy
metadata:
  name: default
spec:
  rules:
    default-project:
      action: Warn
";

/// Generates an Application that syncs by itself on every cluster, and says so only in the patch.
const APPLICATION_SET: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata:
  name: carts
  namespace: argocd
spec:
  generators:
    - clusters:
        selector:
          matchLabels:
            environment: prod
  template:
    metadata:
      name: cart-{{name}}
    spec:
      project: default
      source:
        repoURL: https://git.example.com/shop/services.git
        path: services/cart
        targetRevision: v1.2.0
      destination:
        name: '{{name}}'
        namespace: cart
  templatePatch: |
    spec:
      syncPolicy:
        automated: {}
";

/// Generates an Application for each folder of a repository.
const GIT_APPLICATION_SET: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata:
  name: services
  namespace: argocd
spec:
  generators:
    - git:
        repoURL: https://git.example.com/shop/services.git
        revision: HEAD
        directories:
          - path: services/*
  template:
    metadata:
      name: '{{path.basename}}'
    spec:
      project: shop
      source:
        repoURL: https://git.example.com/shop/services.git
        path: '{{path}}'
        targetRevision: v1.2.0
      destination:
        server: https://kubernetes.default.svc
        namespace: '{{path.basename}}'
";

/// The configuration of a clone, as `git clone` writes it.
const GIT_CONFIG: &str = "\
[core]
\trepositoryformatversion = 0
[remote \"origin\"]
\turl = git@git.example.com:shop/services.git
\tfetch = +refs/heads/*:refs/remotes/origin/*
";

#[test]
fn nothing_is_denied_where_nothing_is_wrong() {
    let folder = Folder::with(&[("cart.yaml", GOOD), ("project.yaml", PROJECT)]);
    assert_snapshot!(folder.run(&["check"]).transcript());
}

#[test]
fn a_table_tells_what_is_wrong_and_how_to_fix_it() {
    let folder = Folder::with(&[("apps/stray.yaml", DEFAULT), ("cart.yaml", GOOD)]);
    assert_snapshot!(folder.run(&["check"]).transcript());
}

#[test]
fn wide_has_a_line_for_each_finding() {
    let folder = Folder::with(&[("stray.yaml", DEFAULT), ("cart.yaml", GOOD)]);
    assert_snapshot!(folder.run(&["check", "-o", "wide"]).transcript());
}

#[test]
fn json_and_yaml_say_the_same() {
    let folder = Folder::with(&[("stray.yaml", DEFAULT), ("cart.yaml", GOOD)]);
    let json = folder.run(&["check", "-o", "json"]);
    assert_snapshot!(json.transcript());
    let yaml = folder.run(&["check", "-o", "yaml"]);
    assert_eq!(golang::yaml::value(&yaml.stdout()).unwrap(), json.json());
    assert_eq!(
        (yaml.status(), yaml.stderr()),
        (json.status(), json.stderr())
    );
}

#[test]
fn json_has_every_key_and_is_ordered_by_file_line_and_rule() {
    let run = run_in(
        &fixtures(),
        &["check", "services", "platform", "-o", "json"],
        "",
    );
    let report = run.json();
    assert_eq!(
        keys(&report),
        [
            "apiVersion",
            "clusters",
            "findings",
            "kind",
            "missing",
            "problems",
            "skipped",
            "summary"
        ]
    );
    assert_eq!(
        keys(&report["summary"]),
        [
            "denied",
            "files",
            "objects",
            "skipped",
            "undecided",
            "warned"
        ]
    );
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty(), "{}", run.transcript());
    for finding in findings {
        assert_eq!(
            keys(finding),
            [
                "field", "file", "fix", "level", "line", "message", "missing", "object", "patch",
                "rule", "waivedBy"
            ]
        );
        assert_eq!(
            keys(&finding["object"]),
            ["apiVersion", "kind", "name", "namespace"]
        );
    }
    let order: Vec<_> = findings
        .iter()
        .map(|finding| {
            (
                finding["file"].as_str().unwrap(),
                finding["line"].as_u64().unwrap(),
            )
        })
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

fn keys(value: &serde_json::Value) -> Vec<&str> {
    let members = value.as_object().into_iter().flatten();
    let mut keys: Vec<_> = members.map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn name_prints_what_is_denied_once() {
    let folder = Folder::with(&[("a.yaml", &format!("{DEFAULT}---\n{CLUSTER}---\n{GOOD}"))]);
    assert_snapshot!(folder.run(&["check", "-o", "name"]).transcript());
    assert_snapshot!(
        folder
            .run(&["check", "-o", "name", "--strict"])
            .transcript()
    );
}

#[test]
fn what_is_undecided_names_the_missing_fact_and_counts_only_if_asked() {
    let folder = Folder::with(&[("cart.yaml", GOOD)]);
    assert_snapshot!(folder.run(&["check"]).transcript());
    let strict = folder.run(&["check", "--strict"]);
    assert_eq!(strict.status(), 1);
    assert_eq!(
        strict.stderr(),
        "1 file, 1 object: 0 denied, 0 warned, 1 undecided, counted as denied\n"
    );
    let decided = Folder::with(&[("project.yaml", PROJECT)]).run(&["check", "--strict"]);
    assert_eq!(
        decided.stderr(),
        "1 file, 1 object: 0 denied, 0 warned, 0 undecided\n"
    );
}

#[test]
fn facts_may_be_elsewhere_and_are_not_judged_there() {
    let folder = Folder::with(&[
        ("apps/cart.yaml", GOOD),
        ("bootstrap/project.yaml", PROJECT),
        ("bootstrap/stray.yaml", DEFAULT),
    ]);
    let run = folder.run(&["check", "apps", "--policy", "bootstrap", "--strict"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    assert!(
        run.stderr().starts_with("1 file, 1 object:"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_policy_among_the_files_counts() {
    let folder = Folder::with(&[("policy.yaml", POLICY), ("stray.yaml", DEFAULT)]);
    let run = folder.run(&["check", "-o", "json"]);
    let finding = run.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["rule"] == "default-project")
        .cloned();
    assert_eq!(finding.unwrap()["level"], "warn");
}

#[test]
fn a_policy_that_cannot_be_read_ends_the_check() {
    let misspelt = POLICY.replace("action: Warn", "acton: Warn");
    let folder = Folder::with(&[("policy.yaml", &*misspelt), ("stray.yaml", DEFAULT)]);
    assert_snapshot!(folder.run(&["check"]).transcript());
    let renamed = POLICY.replace("name: default", "name: other");
    let folder = Folder::with(&[("policy.yaml", &*renamed)]);
    assert_snapshot!(folder.run(&["check"]).transcript());
}

#[test]
fn two_declarations_of_one_object_are_told_and_the_given_one_counts() {
    let narrow = PROJECT.replace("namespace: cart", "namespace: other");
    let folder = Folder::with(&[
        ("apps/cart.yaml", GOOD),
        ("apps/a.yaml", PROJECT),
        ("apps/b.yaml", &*narrow),
        ("right.yaml", PROJECT),
    ]);
    assert_snapshot!(folder.run(&["check", "apps"]).transcript());
    let run = folder.run(&[
        "check",
        "apps/cart.yaml",
        "apps/b.yaml",
        "--policy",
        "right.yaml",
    ]);
    assert!(
        !run.stdout().contains("project-scope"),
        "{}",
        run.transcript()
    );
    assert!(!run.stderr().contains("warning"), "{}", run.transcript());
}

/// Nothing had been told of these: only of projects and other facts.
#[test]
fn applications_and_sets_of_one_name_are_told_with_both_places() {
    let elsewhere = GOOD.replace("namespace: argocd", "namespace: team-a");
    let folder = Folder::with(&[
        ("a/cart.yaml", GOOD),
        ("b/cart.yaml", GOOD),
        ("c/cart.yaml", &*elsewhere),
        ("set.yaml", APPLICATION_SET),
        ("copy.yaml", APPLICATION_SET),
        ("cluster.yaml", CLUSTER),
    ]);
    let run = folder.run(&["check", ".", "a/cart.yaml", "-o", "json"]);
    let told = run.stderr();
    for text in [
        "application/cart is declared at a/cart.yaml:1 and at b/cart.yaml:1: the one that is applied last",
        "applicationset/carts is declared at copy.yaml:1 and at set.yaml:1: the one",
        "application/cart-prod is generated by applicationset/carts (copy.yaml:1) and by \
         applicationset/carts (set.yaml:1): one of them owns it",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(!told.contains("c/cart.yaml"), "{told}");
    assert_eq!(run.json()["warnings"].as_array().unwrap().len(), 3);
    let mut others = folder.run(&["check", "a/cart.yaml", "c/cart.yaml", "-o", "json"]);
    assert!(others.json().get("warnings").is_none());
    others = folder.run(&["check", "a/cart.yaml", "a/../a/cart.yaml", "a"]);
    assert!(
        !others.stderr().contains("is declared"),
        "{}",
        others.transcript()
    );
}

#[test]
fn an_application_that_is_declared_and_generated_is_told() {
    let generated = GOOD.replace("name: cart", "name: cart-prod");
    let folder = Folder::with(&[
        ("app.yaml", &*generated),
        ("set.yaml", APPLICATION_SET),
        ("cluster.yaml", CLUSTER),
    ]);
    let told = folder.run(&["check"]).stderr();
    let expected = "application/cart-prod is declared at app.yaml:1 and is generated by applicationset/carts \
                    (set.yaml:1): the ApplicationSet takes over";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn two_secrets_of_one_cluster_are_told() {
    let renamed = CLUSTER.replace("name: cluster-prod", "name: cluster-live");
    let same_server = renamed.replace("name: prod\n", "name: live\n");
    let same_name = renamed.replace("prod.example.com", "live.example.com");
    for (other, expected, not_expected) in [
        (
            same_server,
            "the server https://prod.example.com is in secret/cluster-prod (a.yaml:1) and in \
             secret/cluster-live (b.yaml:1)",
            "the cluster name",
        ),
        (
            same_name,
            "the cluster name prod is in secret/cluster-prod (a.yaml:1) and in secret/cluster-live (b.yaml:1)",
            "the server",
        ),
    ] {
        let folder = Folder::with(&[("a.yaml", CLUSTER), ("b.yaml", &*other)]);
        let told = folder.run(&["check"]).stderr();
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains(not_expected), "{told}");
    }
}

/// Overlays are for different clusters, and what a kustomization leaves out is applied by nobody.
#[test]
fn what_is_rendered_apart_is_not_told_as_declared_twice() {
    let kustomization = "resources: [cart.yaml]\n";
    let folder = Folder::with(&[
        ("overlays/prod/kustomization.yaml", kustomization),
        ("overlays/prod/cart.yaml", GOOD),
        ("overlays/staging/kustomization.yaml", kustomization),
        ("overlays/staging/cart.yaml", GOOD),
        ("chart/Chart.yaml", "apiVersion: v2\nname: a\n"),
        ("chart/templates/cart.yaml", GOOD),
        (
            "base/kustomization.yaml",
            "resources: [cart.yaml]\nnamePrefix: a-\n",
        ),
        ("base/cart.yaml", GOOD),
        ("cart.yaml", GOOD),
    ]);
    let run = folder.run(&["check"]);
    assert!(
        !run.stderr().contains("is declared"),
        "{}",
        run.transcript()
    );
    folder.add(&[(
        "kustomization.yaml",
        "resources: [overlays/prod, overlays/staging]\n",
    )]);
    let run = folder.run(&["check"]);
    let expected = "is declared at overlays/prod/cart.yaml:1 and at overlays/staging/cart.yaml:1";
    assert!(run.stderr().contains(expected), "{}", run.transcript());
}

/// Nothing had been told of them, and each of them does nothing.
#[test]
fn fields_and_sync_options_that_argo_cd_does_not_know_are_told() {
    let project = "project: shop\n  syncPolicy:\n    automated: {selfheal: hunter2}\n    syncOptions: [Prune=flase]";
    let application = GOOD.replace("project: shop", project).replace(
        "  namespace: argocd",
        "  namespace: argocd\n  annotations: {argocd.argoproj.io/sync-options: 'Prune=false, Delet=false'}",
    );
    let set = APPLICATION_SET.replace(
        "spec:\n  generators:",
        "spec:\n  preserveResourcesOnDeletion: true\n  generators:",
    );
    let secret = CLUSTER.replace("stringData:", "stringdata: {a: hunter2}\nstringData:");
    let folder = Folder::with(&[
        ("cart.yaml", &*application),
        ("set.yaml", &*set),
        ("cluster.yaml", &*secret),
        (
            "project.yaml",
            &*PROJECT.replace("sourceRepos", "sourceRepositories"),
        ),
    ]);
    let run = folder.run(&["check", "-o", "json"]);
    let report = run.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let told: Vec<String> = findings
        .filter(|finding| finding["rule"] == "unknown-fields")
        .map(|finding| {
            assert_eq!(finding["level"], "warn");
            let [file, field, fix] = ["file", "field", "fix"].map(|key| text(&finding[key]));
            format!("{file}:{} {field}: {fix}", finding["line"])
        })
        .collect();
    assert_eq!(
        told,
        [
            "cart.yaml:6 /metadata/annotations/argocd.argoproj.io~1sync-options: write Delete=false",
            "cart.yaml:10 /spec/syncPolicy/automated/selfheal: write selfHeal",
            "cart.yaml:11 /spec/syncPolicy/syncOptions/0: its value is one of true, false, confirm",
            "cluster.yaml:9 /stringdata: write stringData",
            "project.yaml:6 /spec/sourceRepositories: write sourceRepos",
            "set.yaml:7 /spec/preserveResourcesOnDeletion: write it in spec.syncPolicy",
        ]
    );
    assert!(
        !run.transcript().contains("hunter2"),
        "{}",
        run.transcript()
    );
    let policy = "apiVersion: kubectl-gitops.io/v1alpha1\nkind: GitOpsPolicy\nmetadata: {name: default}\n\
                  spec: {rules: {unknown-fields: {action: Deny}}}\n";
    folder.add(&[("policy.yaml", policy)]);
    let run = folder.run(&[
        "check",
        "cart.yaml",
        "--policy",
        "policy.yaml",
        "-o",
        "json",
    ]);
    let of_rule = run.levels_of("unknown-fields");
    assert_eq!(
        of_rule,
        vec![("cart.yaml".to_owned(), "deny".to_owned()); 3]
    );
}

#[test]
fn a_kind_that_looks_misspelt_is_told() {
    let other = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: a}\n";
    let folder = Folder::with(&[
        (
            "a.yaml",
            &*GOOD.replace("kind: Application", "kind: Aplication"),
        ),
        (
            "b.yaml",
            &*GOOD.replace("argoproj.io/v1alpha1", "argoproj.io/v1beta1"),
        ),
        (
            "c.yaml",
            &*format!(
                "{other}---\n{}",
                other.replace("Workflow", "applicationset")
            ),
        ),
        ("d.yaml", &*other.replace("Workflow", "Rollout")),
        (
            "e.yaml",
            &*GOOD.replace("argoproj.io/v1alpha1", "app.k8s.io/v1beta1"),
        ),
        ("f.yaml", &*POLICY.replace("GitOpsPolicy", "GitopsPolicy")),
    ]);
    let run = folder.run(&["check", "-o", "json"]);
    assert_eq!(run.status(), 3, "{}", run.transcript());
    let report = run.json();
    let told: Vec<&str> = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        told,
        [
            "a.yaml:1: Aplication of argoproj.io/v1alpha1 is not a known kind, so aplication/cart is not judged: \
             write kind: Application",
            "b.yaml:1: application/cart skipped: apiVersion argoproj.io/v1beta1 is not one that Argo CD knows; \
             did you mean argoproj.io/v1alpha1?",
            "c.yaml:5: applicationset of argoproj.io/v1alpha1 is not a known kind, so applicationset/a is not \
             judged: write kind: ApplicationSet",
            "f.yaml:1: GitopsPolicy of kubectl-gitops.io/v1alpha1 is not a known kind, so gitopspolicy/default is \
             not judged: write kind: GitOpsPolicy",
        ]
    );
    for text in told {
        assert!(run.stderr().contains(text), "{}", run.transcript());
    }
}

/// A file whose API group is misspelt had none of the words by which files are read.
#[test]
fn a_misspelt_api_version_is_told_and_others_kinds_of_the_name_are_not() {
    let with = |written: &str| GOOD.replace("argoproj.io/v1alpha1", written);
    for written in [
        "argproj.io/v1alpha1",
        "argoproj.io/v1alpa1",
        "argoproj.io/v1",
        "argoprj.io/v1alpha1",
        "argopoj.io/v1beta1",
        "agroproj.io/v1alpha1",
        "argoproj/v1alpha1",
        "argoproj.com/v1alpha1",
        "Argoproj.io/v1alpha1",
        "argoproj.io",
        "v1alpha1",
    ] {
        let folder = Folder::with(&[("shop.yaml", &*with(written))]);
        let run = folder.run(&["check", "-o", "json"]);
        let expected = format!(
            "shop.yaml:1: application/cart skipped: apiVersion {written} is not one that Argo CD knows; did you \
             mean argoproj.io/v1alpha1?"
        );
        assert_eq!(run.json()["warnings"], json!([expected]));
        assert!(run.stderr().contains(&expected), "{}", run.transcript());
        assert_eq!(run.status(), 3, "{}", run.transcript());
    }
    for written in [
        "app.k8s.io/v1beta1",
        "core.oam.dev/v1beta1",
        "applications.argocd.crossplane.io/v1alpha1",
        "argo.example.com/v1alpha1",
        "apps/v1",
        "v1",
    ] {
        let folder = Folder::with(&[("shop.yaml", &*with(written))]);
        let run = folder.run(&["check", "-o", "json"]);
        assert_eq!(run.json()["warnings"], Value::Null, "{written}");
    }
    let policy = POLICY.replace("kubectl-gitops.io", "kubectl-gitop.io");
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        with("argproj.io/v1alpha1").trim().replace('\n', "\n  ")
    );
    let folder = Folder::with(&[("policy.yaml", &*policy), ("list.yaml", &*list)]);
    let run = folder.run(&["check", "-o", "json"]);
    assert_eq!(
        run.json()["warnings"],
        json!([
            "list.yaml:4: application/cart skipped: apiVersion argproj.io/v1alpha1 is not one that Argo CD knows; \
             did you mean argoproj.io/v1alpha1?",
            "policy.yaml:1: gitopspolicy/default skipped: apiVersion kubectl-gitop.io/v1alpha1 is not one that \
             kubectl gitops knows; did you mean kubectl-gitops.io/v1alpha1?",
        ])
    );
}

/// What is written in a file was taken to be a name that the API server accepts.
#[test]
fn a_name_that_the_api_server_refuses_is_told() {
    let named = |name: &str, namespace: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
        )
    };
    let long = "a".repeat(254);
    for (name, namespace, expected) in [
        (
            "Shop",
            "argocd",
            "4: appproject/Shop: the API server refuses metadata.name \"Shop\": it has upper case",
        ),
        (
            "shop_eu",
            "argocd",
            "4: appproject/shop_eu: the API server refuses metadata.name \"shop_eu\": it has '_' where that is not allowed",
        ),
        (
            "-shop",
            "argocd",
            "4: appproject/-shop: the API server refuses metadata.name \"-shop\": it has '-' where that is not allowed",
        ),
        (
            "shop",
            "Argo_CD",
            "5: appproject/shop: the API server refuses metadata.namespace \"Argo_CD\": it has upper case",
        ),
        (
            "shop",
            "argo.cd",
            "5: appproject/shop: the API server refuses metadata.namespace \"argo.cd\": it has '.' where that is not allowed",
        ),
    ] {
        let run =
            Folder::with(&[("p.yaml", &*named(name, namespace))]).run(&["check", "-o", "json"]);
        let expected = format!("p.yaml:{expected}");
        assert_eq!(run.json()["warnings"], json!([expected]));
        assert!(run.stderr().contains(&expected), "{}", run.transcript());
    }
    let run = Folder::with(&[("p.yaml", &*named(&long, "argocd"))]).run(&["check"]);
    assert!(
        run.stderr().contains("it has more than 253 characters") && !run.stderr().contains(&long),
        "{}",
        run.transcript()
    );
    for name in ["shop", "shop.eu-1", "9", "${NAME}", "$(NAME)-eu", "'a.b'"] {
        let run =
            Folder::with(&[("p.yaml", &*named(name, "argocd"))]).run(&["check", "-o", "json"]);
        assert_eq!(run.json()["warnings"], Value::Null, "{name}");
    }
}

#[test]
fn items_of_lists_are_judged_one_by_one_on_their_own_lines() {
    let list = "\
apiVersion: v1
kind: List
items:
  - apiVersion: argoproj.io/v1alpha1
    kind: Application
    metadata: {name: first}
    spec:
      project: default
  - apiVersion: argoproj.io/v1alpha1
    kind: ApplicationList
    items:
      - metadata: {name: second}
        spec:
          destination: {}
          project: default
";
    let run = Folder::with(&[("list.yaml", list)]).run(&["check", "-o", "json"]);
    let found: Vec<_> = run.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["rule"] == "default-project")
        .map(|finding| {
            json!([
                finding["object"]["name"],
                finding["line"],
                finding["object"]["kind"]
            ])
        })
        .collect();
    assert_eq!(
        found,
        [
            json!(["first", 8, "Application"]),
            json!(["second", 15, "Application"])
        ]
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let folder = Folder::with(&[]);
    assert_snapshot!(folder.run_with_input(&["check", "-"], DEFAULT).transcript());
}

#[test]
fn files_are_given_as_kubectl_has_it_too() {
    let folder = Folder::with(&[
        ("a.yaml", DEFAULT),
        ("b.yaml", DEFAULT),
        ("c.yaml", DEFAULT),
    ]);
    let files = |arguments: &[&str]| {
        let run = folder.run(&[&["check", "-o", "json"], arguments].concat());
        run.json()["summary"]["files"].clone()
    };
    assert_eq!(files(&["-f", "a.yaml"]), 1);
    assert_eq!(files(&["-f", "a.yaml", "--filename", "b.yaml"]), 2);
    assert_eq!(files(&["-f", "a.yaml", "c.yaml"]), 2);
    assert_eq!(files(&[]), 3);
    let run = folder.run_with_input(&["check", "-f", "-"], DEFAULT);
    assert!(run.stdout().contains("<stdin>:7"), "{}", run.transcript());
}

#[test]
fn a_file_is_judged_once_by_whatever_names_it_is_given() {
    let folder = Folder::with(&[("apps/stray.yaml", DEFAULT)]);
    let link = folder.path().join("link.yaml");
    std::os::unix::fs::symlink("apps/stray.yaml", link).unwrap();
    let absolute = folder.path().join("apps/stray.yaml");
    let absolute = absolute.to_str().unwrap();
    let named = |paths: &[&str]| {
        let run = folder.run(&[&["check", "-o", "json"], paths].concat());
        let report = run.json();
        assert_eq!(report["summary"]["files"], 1, "{}", run.transcript());
        assert_eq!(report["summary"]["denied"], 1, "{}", run.transcript());
        report["findings"][0]["file"].as_str().unwrap().to_owned()
    };
    assert_eq!(named(&["apps", absolute, "link.yaml"]), "apps/stray.yaml");
    assert_eq!(named(&[absolute, "apps/../apps/stray.yaml"]), absolute);
    assert_eq!(named(&["link.yaml", "."]), "link.yaml");
}

#[test]
fn an_application_set_is_judged_by_what_it_generates_on_the_lines_that_say_so() {
    let cluster = CLUSTER
        .replace("bearerToken", "awsAuthConfig")
        .replace("\"a-long-secret\"", "{\"clusterName\": \"prod\"}");
    let folder = Folder::with(&[("cluster.yaml", &*cluster), ("set.yaml", APPLICATION_SET)]);
    assert_snapshot!(folder.run(&["check"]).transcript());
}

#[test]
fn an_application_set_that_argo_cd_cannot_expand_is_denied() {
    let twice = APPLICATION_SET
        .replace("cart-{{name}}", "cart")
        .replace("environment: prod", "{}");
    let clusters = format!("{CLUSTER}---\n{}", CLUSTER.replace("prod", "other"));
    let folder = Folder::with(&[("clusters.yaml", &*clusters), ("set.yaml", &*twice)]);
    assert_snapshot!(
        folder
            .run(&["check", "set.yaml", "--policy", "clusters.yaml"])
            .transcript()
    );
}

/// A repository with two services, of which a project permits one, and an ApplicationSet over them.
fn services(git_config: &str, application_set: &str) -> Folder {
    Folder::with(&[
        (".git/config", git_config),
        ("gitops/project.yaml", PROJECT),
        ("gitops/services.yaml", application_set),
        ("services/cart/values.yaml", "a: 1\n"),
        ("services/search/values.yaml", "a: 1\n"),
    ])
}

#[test]
fn a_git_generator_reads_the_work_tree_that_the_files_are_in() {
    let https = GIT_CONFIG.replace(
        "git@git.example.com:",
        "https://ci:hunter2@git.example.com/",
    );
    let run = services(&https, GIT_APPLICATION_SET).run(&["check", "gitops"]);
    assert!(
        !run.transcript().contains("hunter2"),
        "{}",
        run.transcript()
    );
    assert_snapshot!(run.transcript());
}

/// It had been taken for another repository.
#[test]
fn a_clone_by_ssh_is_of_the_repository_that_is_named_by_https() {
    let run = services(GIT_CONFIG, GIT_APPLICATION_SET).run(&["check", "gitops"]);
    assert!(
        !run.stdout().contains("git cannot be judged"),
        "{}",
        run.transcript()
    );
    let by_https = GIT_CONFIG.replace("git@git.example.com:", "https://ci:t@git.example.com/");
    let by_ssh = GIT_APPLICATION_SET.replace(
        "https://git.example.com/shop/services.git\n        revision",
        "ssh://git@git.example.com:22/shop/services.git\n        revision",
    );
    let run = services(&by_https, &by_ssh).run(&["check", "gitops"]);
    assert!(
        !run.stdout().contains("git cannot be judged"),
        "{}",
        run.transcript()
    );
}

#[test]
fn a_git_generator_of_another_repository_or_revision_is_undecided() {
    let other = GIT_CONFIG.replace("services.git", "other.git");
    let elsewhere = services(&other, GIT_APPLICATION_SET).run(&["check", "gitops"]);
    assert_snapshot!(elsewhere.transcript());
    let is_undecided = |application_set: &str| {
        let folder = services(&other, application_set);
        let url = "https://git.example.com/shop/services";
        let arguments = ["check", "gitops", "--show-undecided", "--repository", url];
        let run = folder.run(&arguments);
        run.stdout().contains("git cannot be judged")
    };
    assert!(!is_undecided(GIT_APPLICATION_SET));
    assert!(is_undecided(
        &GIT_APPLICATION_SET.replace("revision: HEAD", "revision: v1.2.0")
    ));
}

#[test]
fn a_repository_is_named_for_a_work_tree_only() {
    let folder = Folder::with(&[("cart.yaml", GOOD)]);
    let run = folder.run(&["check", "--repository", "https://git.example.com/a"]);
    assert_snapshot!(run.transcript());
}

#[test]
fn a_git_configuration_that_cannot_be_read_is_told_where_it_matters() {
    let told = |application_set: &str| {
        let run = services("[remote", application_set).run(&["check", "gitops"]);
        run.stderr()
            .contains("name the repository with --repository")
    };
    assert!(told(GIT_APPLICATION_SET));
    assert!(!told(GOOD));
}

#[test]
fn a_project_is_judged_by_the_clusters_among_the_files() {
    let wide = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata:
  name: shop
spec:
  sourceRepos:
    - https://git.example.com/shop/services.git
    - https://**
  destinations:
    - server: https://prod.example.com
      namespace: cart
";
    let project = Folder::with(&[("project.yaml", wide), ("facts/cluster.yaml", CLUSTER)]);
    let alone = project.run(&["check", "project.yaml"]);
    assert_snapshot!(alone.stdout(), @"
    undecided
        1 cluster is not among the files: https://prod.example.com; 1 finding waits
        for it
        fix: add the Secret of each with --facts
    ");
    let with_facts = project.run(&["check", "project.yaml", "--policy", "facts"]);
    assert_snapshot!(with_facts.stdout(), @"
    LEVEL   RULE               OBJECT            LOCATION
    deny    project-too-wide   appproject/shop   project.yaml:8
        spec.sourceRepos[1]: https://** permits any repository (labels of cluster
        prod)
        fix: list the repositories it needs
    ");
}

#[test]
fn a_secret_outside_of_argo_cds_namespace_is_no_cluster() {
    let elsewhere = CLUSTER.replace("namespace: argocd", "namespace: team");
    let on_cluster = GOOD.replace("server: https://kubernetes.default.svc", "name: prod");
    let folder = Folder::with(&[
        ("cart.yaml", &*on_cluster),
        ("cluster.yaml", &*elsewhere),
        ("project.yaml", PROJECT),
    ]);
    let run = folder.run(&["check", "-o", "json"]);
    let report = run.json();
    assert_eq!(report["summary"]["objects"], 2, "{}", run.transcript());
    assert!(!run.stdout().contains("Secret\","), "{}", run.transcript());
    assert!(
        run.stdout().contains("cluster prod is not among the files"),
        "{}",
        run.transcript()
    );
    let run = folder.run(&["check", "--argocd-namespace", "team", "cluster.yaml"]);
    assert_eq!(run.status(), 1, "{}", run.transcript());
}

#[test]
fn what_kustomize_merges_into_other_objects_is_skipped() {
    let json_patch = "[{op: replace, path: /spec/project, value: shop}]\n";
    let folder = Folder::with(&[
        (
            "prod/kustomization.yaml",
            "resources: [whole.yaml]
patches:
  - path: patches/merge.yaml
  - target: {kind: Application}
    patch: '[]'
patchesStrategicMerge:
  - ./old.yaml
  - |
    kind: Application
patchesJson6902:
  - path: ../shared/json.yaml
    target: {kind: Application}
",
        ),
        ("prod/whole.yaml", DEFAULT),
        ("prod/patches/merge.yaml", DEFAULT),
        ("prod/patches/unused.yaml", DEFAULT),
        ("prod/old.yaml", DEFAULT),
        ("shared/json.yaml", json_patch),
        ("staging/old.yaml", DEFAULT),
        ("staging/kustomization.yaml", "patches: {path: old.yaml}\n"),
    ]);
    let run = folder.run(&["check", "-o", "json"]);
    let judged: Vec<_> = run.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["rule"] == "default-project")
        .map(|finding| finding["file"].clone())
        .collect();
    assert_eq!(
        judged,
        [
            "prod/patches/unused.yaml",
            "prod/whole.yaml",
            "staging/old.yaml"
        ]
    );
    assert!(
        run.stderr().contains("8 files (5 skipped), 3 objects:"),
        "{}",
        run.transcript()
    );
    let alone = folder.run(&["check", "prod/patches/merge.yaml"]);
    assert_eq!(alone.status(), 3, "{}", alone.transcript());
    assert!(
        alone.stderr().contains("1 file (1 skipped), 0 objects:"),
        "{}",
        alone.transcript()
    );
}

#[test]
fn what_an_overlay_changes_is_not_denied_as_it_is_in_the_base() {
    let merge = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: stray}
spec: {project: shop}
";
    let patched = "resources: [../../base]\npatches: [{path: merge.yaml}]\n";
    let workload =
        "resources: [../../other]\npatches: [{target: {kind: Deployment}, patch: '[]'}]\n";
    let folder = Folder::with(&[
        ("base/kustomization.yaml", "resources: [stray.yaml, deep]\n"),
        ("base/stray.yaml", DEFAULT),
        (
            "base/deep/kustomization.yaml",
            "resources: [stray.yaml, ..]\n",
        ),
        ("base/deep/stray.yaml", DEFAULT),
        ("base/beside.yaml", DEFAULT),
        (
            "other/kustomization.yaml",
            "resources: [stray.yaml]\nnamespace: argocd\n",
        ),
        ("other/stray.yaml", DEFAULT),
        ("overlays/prod/kustomization.yaml", patched),
        ("overlays/prod/merge.yaml", merge),
        ("overlays/workload/kustomization.yaml", workload),
    ]);
    let run = folder.run(&["check", "-o", "json"]);
    let level = |file: &str, level: &str| (file.to_owned(), level.to_owned());
    assert_eq!(
        run.levels_of("default-project"),
        [
            level("base/beside.yaml", "deny"),
            level("base/deep/stray.yaml", "undecided"),
            level("base/stray.yaml", "undecided"),
            level("other/stray.yaml", "deny"),
        ],
        "{}",
        run.transcript()
    );
    assert!(
        run.stderr()
            .contains("kubectl kustomize overlays/prod | kubectl gitops check -"),
        "{}",
        run.transcript()
    );
    assert_eq!(
        folder
            .run(&["check", "base", "-o", "json"])
            .levels_of("default-project")[2]
            .1,
        "deny",
        "without its overlays a base is all that there is"
    );
}

#[test]
fn a_secret_is_named_by_the_field_that_the_file_has_and_never_shown() {
    let folder = Folder::with(&[("cluster.yaml", CLUSTER)]);
    for format in ["table", "wide", "json", "yaml", "name"] {
        let run = folder.run(&["check", "-o", format, "--strict"]);
        assert_eq!(run.status(), 1, "{}", run.transcript());
        assert!(!run.transcript().contains("a-long-secret"), "{format}");
    }
    let report = folder.run(&["check", "-o", "json"]).json();
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["field"], &finding["line"]),
        (
            &json!("cluster-credentials"),
            &json!("/stringData/config"),
            &json!(12)
        )
    );
}

#[test]
fn what_a_secret_holds_is_not_in_errors() {
    let cluster = CLUSTER.replace("stringData:", "data:\n  extra: hunter2\nstringData:");
    let broken = cluster.replace("  server: https://prod.example.com", "  server: [hunter2]");
    let run = Folder::with(&[("cluster.yaml", &*broken)]).run(&["check"]);
    assert_snapshot!(run.transcript());
    assert!(!run.transcript().contains("hunter2"));
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_judged() {
    let wrong_type = GOOD.replace("project: shop", "project: 7");
    let twice = GOOD.replace("spec:", "spec:\nspec:");
    let folder = Folder::with(&[
        ("broken.yaml", "a: [1,\nb: }\n"),
        ("stray.yaml", DEFAULT),
        (
            "tail.yaml",
            &format!("{DEFAULT}---\na: b: c\n").replace("stray", "before"),
        ),
        ("twice.yaml", &*twice),
        ("type.yaml", &*wrong_type),
    ]);
    std::fs::write(folder.path().join("bytes.yaml"), b"a: \xff\n").unwrap();
    let run = folder.run(&["check", ".", "missing", "missing.yaml"]);
    assert_snapshot!(run.transcript());
}

#[test]
fn what_is_wrong_with_a_file_is_told_from_its_first_line_to_its_last() {
    let wrong_type = GOOD.replace("project: shop", "project: 7");
    let text = format!("{wrong_type}---\n{wrong_type}---\na: b: c\n");
    let torn = format!("{GOOD}  a: [");
    let run = Folder::with(&[("a.yaml", &*text), ("b.yaml", &*torn)]).run(&["check"]);
    let told = run.stderr();
    let places: Vec<_> = told
        .lines()
        .filter_map(|line| line.strip_prefix("error: "))
        .filter_map(|line| line.split_once(": "))
        .map(|(place, _)| place)
        .collect();
    assert_eq!(
        places,
        ["a.yaml:7", "a.yaml:22", "a.yaml:31:5", "b.yaml:16:1"]
    );
}

#[test]
fn a_folder_that_cannot_be_read_is_told_in_one_sentence() {
    // A path that is too long for the system, which stops the superuser too.
    let deep = ["deep"; 600].join("/");
    let folder = Folder::with(&[
        (&*format!("a/{deep}/inner/x"), ""),
        (&*format!("b/{deep}/x"), ""),
        ("stray.yaml", DEFAULT),
    ]);
    std::fs::rename(
        folder.path().join("b"),
        folder.path().join("a").join(&deep).join("inner/b"),
    )
    .unwrap();
    let run = folder.run(&["check"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stdout().contains("stray.yaml:7"),
        "{}",
        run.transcript()
    );
    let told = run.stderr();
    let (path, reason) = told.split_once(": ").unwrap().1.split_once(": ").unwrap();
    assert!(path.starts_with("a/deep/deep/"), "{told}");
    assert!(
        reason.starts_with("File name too long (os error 36)\n"),
        "{reason}"
    );
}

#[test]
fn templates_and_files_without_objects_are_skipped() {
    let folder = Folder::with(&[
        ("chart/Chart.yaml", "apiVersion: v2\nname: cart\n"),
        ("chart/values.yaml", "replicas: 1\nyes: no\n"),
        (
            "chart/templates/app.yaml",
            "{{- if .Values.a }}\nkind: {{ .Values.kind }}\n{{- end }}\n",
        ),
        (
            "chart/templates/deep/app.yaml",
            "kind: {{ .Values.kind }}\n",
        ),
        ("chart/templates/static.yaml", DEFAULT),
        ("empty.yaml", ""),
        ("notes.txt", "not yaml: ["),
        ("package.json", "{\"name\": \"x\"}"),
        (".hidden/app.yaml", "a: ["),
        (".gitignore", "/ignored\n"),
        ("ignored/app.yaml", "a: ["),
    ]);
    assert_snapshot!(folder.run(&["check"]).transcript());
}

#[test]
fn a_file_that_is_named_is_read_whatever_it_is_called() {
    let folder = Folder::with(&[(".hidden.txt", DEFAULT)]);
    assert_eq!(folder.run(&["check", ".hidden.txt"]).status(), 1);
}

/// Files that are not manifests, as they lie in public repositories.
const NO_MANIFESTS: [(&str, &str); 7] = [
    (
        "ansible/pool.yaml",
        "blocks:\n  {% for c in pools %}\n  - cidr: {{ c }}\n  {% endfor %}\n",
    ),
    (
        "charts-values/values.yaml",
        "server: {replicas: 1}\nserver: {replicas: 2}\n",
    ),
    (
        "dashboards/d.json",
        "{\"title\": \"x\", \"url\": \"https://{{ index .Values \"a\" }}/\"}",
    ),
    (
        "dup.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: {}\n  labels: {}\n",
    ),
    ("logs/out.json", "{\"a\": 1}\n$ exit\n"),
    ("templates/service.yaml", "kind: {{ .Values.kind }}\n"),
    ("tasks.yaml", "- name: \"x\n  - y: [\n"),
];

#[test]
fn files_that_are_no_manifests_never_make_it_fail() {
    let mut files = NO_MANIFESTS.to_vec();
    files.extend([("cart.yaml", GOOD), ("project.yaml", PROJECT)]);
    let folder = Folder::with(&files);
    std::fs::write(folder.path().join("image.yaml"), b"\x89PNG \xff\n").unwrap();
    assert_snapshot!(folder.run(&["check"]).transcript());
    assert_snapshot!(folder.run(&["check", "-o", "json"]).transcript());
}

#[test]
fn what_lies_around_in_a_repository_changes_nothing() {
    let application = DEFAULT.replace("project: default", "project: shop");
    let base = application.replace("name: stray", "name: based");
    let chart = format!("{{{{- range list \"cart\" }}}}\n---\n{application}{{{{- end }}}}\n");
    let patch = "resources: [../../base]\npatches: [{target: {kind: Application}, patch: '[]'}]\n";
    for repository in ["platform", "services"] {
        let folder = Folder::with(&[]);
        folder.add_copy_of(&fixtures().join(repository));
        let before = folder.run(&["check", "-o", "json"]);
        folder.add(&NO_MANIFESTS);
        folder.add(&[
            ("more/chart/Chart.yaml", "apiVersion: v2\nname: more\n"),
            ("more/chart/templates/apps.yaml", &chart),
            ("more/base/kustomization.yaml", "resources: [app.yaml]\n"),
            ("more/base/app.yaml", &base),
            ("more/overlays/prod/kustomization.yaml", patch),
            (
                "more/sops-cluster.yaml",
                include_str!("cases/encrypted/sops-cluster.yaml"),
            ),
        ]);
        let after = folder.run(&["check", "-o", "json"]);
        assert_eq!(after.status(), before.status(), "{}", after.transcript());
        let denied = |run: &Ran| run.json()["summary"]["denied"].clone();
        assert_eq!(denied(&after), denied(&before), "{}", after.transcript());
        assert!(
            after.stderr().contains("helm template more/chart |"),
            "{}",
            after.transcript()
        );
        assert!(
            after
                .stderr()
                .contains("kubectl kustomize more/overlays/prod |"),
            "{}",
            after.transcript()
        );
    }
}

#[test]
fn where_there_is_nothing_to_judge_it_says_so() {
    let run = Folder::with(&NO_MANIFESTS).run(&["check"]);
    assert_eq!(run.status(), 3, "{}", run.transcript());
    assert!(
        run.stderr().contains("nothing was judged"),
        "{}",
        run.transcript()
    );
    assert_eq!(Folder::with(&[]).run(&["check"]).status(), 3);
}

#[test]
fn what_may_hold_an_object_of_argo_cd_and_cannot_be_read_is_an_error() {
    let templated = DEFAULT.replace("name: stray", "name: {% raw %}");
    let minified =
        r#"{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"#;
    for text in [&*templated, minified, &format!("{DEFAULT}---\na: [\n")] {
        let run = Folder::with(&[("app.yaml", text), ("cart.yaml", GOOD)]).run(&["check"]);
        assert_eq!(run.status(), 2, "{}", run.transcript());
        assert!(
            run.stderr().contains("error: app.yaml:"),
            "{}",
            run.transcript()
        );
    }
}

#[test]
fn what_charts_would_render_is_told_and_how() {
    let folder = Folder::with(&[
        ("argocd-apps/Chart.yaml", "apiVersion: v2\nname: umbrella\n"),
        (
            "argocd-apps/values.yaml",
            "argocd-apps:\n  applications:\n    shop:\n      source: {repoURL: a}\n      destination: {name: b}\n",
        ),
        ("chart/Chart.yaml", "apiVersion: v2\nname: apps\n"),
        (
            "chart/templates/apps.yaml",
            &format!("{{{{- range list \"cart\" }}}}\n---\n{DEFAULT}{{{{- end }}}}\n"),
        ),
        ("chart/templates/service.yaml", "kind: {{ .Values.kind }}\n"),
        ("chart/templates/plain.yaml", DEFAULT),
        (
            "values/prod.yaml",
            "apps:\n- {repoURL: a, destination: {name: b}}\n",
        ),
    ]);
    assert_snapshot!(folder.run(&["check"]).transcript());
    let inside = run_in(&folder.path().join("chart/templates"), &["check"], "");
    assert!(
        inside.stderr().contains("/chart | kubectl gitops check -"),
        "{}",
        inside.transcript()
    );
}

#[test]
fn files_are_left_out_as_git_argo_cd_and_the_command_line_say() {
    let folder = Folder::with(&[
        (".git/info/exclude", "/local\n"),
        ("local/stray.yaml", DEFAULT),
        (
            "marked.yaml",
            &format!("# +argocd:skip-file-rendering\n{DEFAULT}"),
        ),
        ("docs/examples/stray.yaml", DEFAULT),
        ("docs/examples/deep/stray.yaml", DEFAULT),
        ("stray.test.yaml", DEFAULT),
        ("cart.yaml", GOOD),
        ("project.yaml", PROJECT),
    ]);
    let arguments = [
        "check",
        "--exclude",
        "docs/examples",
        "--exclude",
        "*.test.yaml",
    ];
    let run = folder.run(&arguments);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    assert!(run.stderr().contains("marked.yaml"), "{}", run.transcript());
    let here = folder.path().to_str().unwrap();
    for path in [here, "docs/examples/deep/stray.yaml", "docs"] {
        let run = folder.run(&[&arguments[..], &[path]].concat());
        assert!(!run.stdout().contains("stray"), "{}", run.transcript());
    }
    assert_eq!(folder.run(&["check", "docs"]).status(), 1);
    let run = folder.run(&["check", "--exclude", "{a"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
}

#[test]
fn text_behind_a_byte_order_mark_is_read() {
    let folder = Folder::with(&[("cart.yaml", GOOD)]);
    let bytes = |text: &str| -> Vec<u8> {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    std::fs::write(folder.path().join("stray.yaml"), bytes(DEFAULT)).unwrap();
    let run = folder.run(&["check"]);
    assert!(
        run.stdout().contains("stray.yaml:7"),
        "{}",
        run.transcript()
    );
}

#[test]
fn values_that_look_like_something_else_do_not_stop_it() {
    let digest = GOOD.replace("v1.2.0", "229105075e664652");
    let folder = Folder::with(&[("cart.yaml", &*digest), ("project.yaml", PROJECT)]);
    let run = folder.run(&["check"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
}

#[test]
fn pages_follow_the_table_if_asked() {
    let folder = Folder::with(&[("stray.yaml", DEFAULT)]);
    let explained = folder.run(&["check", "--explain"]).stdout();
    let page = folder.run(&["explain", "default-project"]).stdout();
    assert!(explained.starts_with("LEVEL"), "{explained}");
    assert!(explained.contains(&page), "{explained}");
    assert_snapshot!(
        folder
            .run(&["check", "--explain", "-o", "json"])
            .transcript()
    );
}

#[test]
fn a_repository_secret_widens_the_project_that_it_belongs_to() {
    let repository = "\
apiVersion: v1
kind: Secret
metadata:
  name: services
  labels: {argocd.argoproj.io/secret-type: repository}
data:
  url: aHR0cHM6Ly9vbGQuZXhhbXBsZS5jb20=
stringData:
  url: https://git.example.com/shop/services.git
  project: shop
";
    let closed = PROJECT.replace("[https://git.example.com/shop/services.git]", "[]");
    let folder = Folder::with(&[
        ("a.yaml", GOOD),
        ("b.yaml", &*closed),
        ("c.yaml", repository),
    ]);
    let run = folder.run(&["check", "a.yaml", "b.yaml"]);
    assert_eq!(run.status(), 1, "{}", run.transcript());
    let run = folder.run(&["check", "--strict"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
}

#[test]
fn the_settings_of_argo_cd_count() {
    let production = GOOD.replace("cart", "cart-prod");
    let project = PROJECT.replace("cart", "cart-prod");
    let settings = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
data:
  resource.customizations.ignoreDifferences.apps_Deployment: |
    jsonPointers: [/spec/replicas]
  resource.customizations.ignoreDifferences.apps_StatefulSet: |
    jsonPointers: [/spec/replicas]
";
    let folder = Folder::with(&[
        ("a.yaml", &*production),
        ("b.yaml", &*project),
        ("settings.yaml", settings),
    ]);
    let run = folder.run(&["check", "a.yaml", "b.yaml"]);
    assert_eq!(run.status(), 1, "{}", run.transcript());
    let run = folder.run(&["check", "a.yaml", "b.yaml", "--policy", "settings.yaml"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
}

#[test]
fn another_argo_cd_namespace_has_its_own_facts() {
    let here = PROJECT.replace("name: shop", "name: shop\n  namespace: gitops");
    let folder = Folder::with(&[
        (
            "cart.yaml",
            &*GOOD.replace("namespace: argocd", "namespace: gitops"),
        ),
        ("project.yaml", &*here),
    ]);
    let scope = |run: Ran| run.stdout().contains("project-scope");
    assert!(!scope(folder.run(&[
        "check",
        "--show-undecided",
        "--argocd-namespace",
        "gitops"
    ])));
    let elsewhere = ["check", "--show-undecided", "--argocd-namespace", "argocd"];
    assert!(scope(folder.run(&elsewhere)));
}

/// An Argo CD reads AppProjects of its own namespace only, so that there is one where there are
/// some.
#[test]
fn an_argo_cd_is_found_by_its_projects() {
    let elsewhere = |text: &str| text.replace("namespace: argocd", "namespace: openshift-gitops");
    let project = PROJECT.replace("name: shop", "name: shop\n  namespace: openshift-gitops");
    let secret = elsewhere(&cluster("prod-eu", "environment: prod"));
    let only = Folder::with(&[
        ("cart.yaml", &*elsewhere(GOOD)),
        ("project.yaml", &*project),
        ("cluster.yaml", &*secret),
    ]);
    let run = only.run(&["check", "--show-undecided"]);
    assert!(
        !run.stdout().contains("not among the files"),
        "{}",
        run.transcript()
    );
    assert!(
        run.stderr()
            .contains("openshift-gitops, where AppProjects are"),
        "{}",
        run.transcript()
    );
    assert!(
        run.stderr().contains("1 of 1 cluster"),
        "{}",
        run.transcript()
    );

    // What names no namespace is in Argo CD's.
    let silent = Folder::with(&[
        ("cart.yaml", &*GOOD.replace("  namespace: argocd\n", "")),
        ("project.yaml", &*project),
        ("cluster.yaml", &*secret),
    ]);
    let run = silent.run(&["check", "--strict"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());

    // Each is judged by what its own Argo CD knows.
    let both = Folder::with(&[
        ("cart.yaml", &*elsewhere(GOOD)),
        (
            "project.yaml",
            &*project.replace("services.git", "other.git"),
        ),
        ("other/cart.yaml", GOOD),
        ("other/project.yaml", PROJECT),
    ]);
    let run = both.run(&["check"]);
    assert_eq!(run.status(), 1, "{}", run.transcript());
    let denied: Vec<String> = run
        .stdout()
        .lines()
        .filter(|line| line.starts_with("deny "))
        .map(str::to_owned)
        .collect();
    assert!(
        matches!(&*denied, [one] if one.contains(" cart.yaml:")),
        "{}",
        run.transcript()
    );

    // What was said counts.
    let run = only.run(&["check", "--show-undecided", "--argocd-namespace", "argocd"]);
    assert!(
        run.stdout()
            .contains("AppProject shop is not among the files"),
        "{}",
        run.transcript()
    );
    assert!(
        !run.stderr().contains("is taken to run"),
        "{}",
        run.transcript()
    );
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    let forged = DEFAULT.replace("name: stray", "name: \"stray\\e[2J\\ndeny\"");
    let run = Folder::with(&[("stray.yaml", &*forged)]).run(&["check"]);
    assert!(!run.transcript().contains('\u{1b}'), "{}", run.transcript());
}

#[test]
fn the_platform_repository() {
    let run = run_in(&fixtures().join("platform"), &["check"], "");
    assert_snapshot!(run.transcript());
}

#[test]
fn the_services_repository() {
    let run = run_in(&fixtures().join("services"), &["check"], "");
    assert_snapshot!(run.transcript());
}

#[test]
fn the_services_repository_with_the_platform_teams_facts() {
    let arguments = ["check", "services", "--policy", "platform"];
    assert_snapshot!(run_in(&fixtures(), &arguments, "").transcript());
}

/// An Application of the project `default`, which an override lets pass that ends so many hours
/// from now, and a policy.
fn overridden(hours: i64, from_git: bool) -> Folder {
    let end = Timestamp::now() + SignedDuration::from_hours(hours);
    let metadata = format!(
        "\
metadata:
  annotations:
    kubectl-gitops.io/break-glass: default-project
    kubectl-gitops.io/break-glass-reason: 'INC-1: it burns'
    kubectl-gitops.io/break-glass-expires: '{end}'
"
    );
    let policy = format!(
        "\
apiVersion: kubectl-gitops.io/v1alpha1
kind: GitOpsPolicy
metadata: {{name: default}}
spec: {{breakGlass: {{fromGit: {from_git}}}}}
"
    );
    Folder::with(&[
        ("stray.yaml", &DEFAULT.replace("metadata:\n", &metadata)),
        ("policy.yaml", &policy),
    ])
}

/// What is said of an override in a file, without when it ends.
fn told_of_override(folder: &Folder) -> String {
    let report = folder.run(&["check", "-o", "json"]).json();
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let mut lines: Vec<String> = findings
        .iter()
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            let [level, rule, message] = ["level", "rule", "message"].map(text);
            format!("{level}: {rule}:{}: {message}", finding["line"])
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn an_override_in_a_file_counts_if_the_policy_lets_git_overrule() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>");
    settings.bind(|| {
        for (name, hours, from_git, status) in [
            ("an_override_in_a_file", 1, true, 0),
            ("an_override_without_leave", 1, false, 1),
            ("an_override_that_is_over", -1, true, 1),
            ("an_override_that_lasts_too_long", 9, true, 1),
        ] {
            let folder = overridden(hours, from_git);
            let run = folder.run(&["check"]);
            assert_eq!(run.status(), status, "{}", run.transcript());
            assert_snapshot!(name, told_of_override(&folder));
        }
    });
}

#[test]
fn programs_are_told_what_lets_a_denial_pass() {
    let waived_by = |folder: &Folder| {
        let report = folder.run(&["check", "-o", "json"]).json();
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        let of_rule = findings
            .iter()
            .find(|finding| finding["rule"] == "default-project");
        let finding = of_rule.cloned().unwrap_or_default();
        let level = finding["level"].clone();
        (level, finding.get("waivedBy").cloned())
    };
    let exempt = "\
apiVersion: kubectl-gitops.io/v1alpha1
kind: GitOpsPolicy
metadata: {name: default}
spec: {rules: {default-project: {exempt: [{applications: ['*'], reason: for a test}]}}}
";
    let warned = "\
apiVersion: kubectl-gitops.io/v1alpha1
kind: GitOpsPolicy
metadata: {name: default}
spec: {rules: {default-project: {action: Warn}}}
";
    let with_policy =
        |policy: &str| Folder::with(&[("stray.yaml", DEFAULT), ("policy.yaml", policy)]);
    for (folder, level, waiver) in [
        (overridden(1, true), "warn", json!("break-glass")),
        (with_policy(exempt), "warn", json!("exemption")),
        (with_policy(warned), "warn", Value::Null),
        (overridden(1, false), "deny", Value::Null),
    ] {
        assert_eq!(waived_by(&folder), (json!(level), Some(waiver)));
    }
}

/// A cluster Secret with which nothing is wrong.
fn cluster(name: &str, label: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: cluster-{name}\n  namespace: argocd\n  labels: \
        {{ argocd.argoproj.io/secret-type: cluster, {label} }}\nstringData:\n  name: {name}\n  server: \
        https://{name}.example.com\n  config: '{{\"awsAuthConfig\": {{\"clusterName\": \"{name}\"}}}}'\n"
    )
}

/// An ApplicationSet that syncs by itself on each cluster with a label.
fn automated_on(label: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{ name: agent, namespace: argocd }}\nspec:\n  \
        generators: [{{ clusters: {{ selector: {{ matchLabels: {{ {label} }} }} }} }}]\n  template:\n    metadata: \
        {{ name: 'agent-{{{{name}}}}' }}\n    spec:\n      project: web\n      source: {{ repoURL: \
        https://git.example.com/web/agent.git, path: deploy, targetRevision: v1.0.0 }}\n      destination: {{ name: \
        '{{{{name}}}}', namespace: web-agent }}\n      syncPolicy: {{ automated: {{}} }}\n"
    )
}

const WEB: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: { name: web, namespace: argocd }
spec:
  sourceRepos: ['https://git.example.com/web/*']
  destinations: [{ name: 'stg-eu', namespace: 'web-*' }, { name: 'eu-1', namespace: 'web-*' }]
";

/// It was believed that a fleet of which some is known is the whole, and that one of which nothing
/// is selected never is.
#[test]
fn whether_the_files_have_every_cluster_is_said_by_a_flag() {
    let staging = cluster("stg-eu", "environment: staging");
    let some_known = Folder::with(&[
        (
            "set.yaml",
            &automated_on("argocd.argoproj.io/secret-type: cluster"),
        ),
        ("clusters.yaml", &staging),
        ("project.yaml", WEB),
    ]);
    let none_selected = Folder::with(&[
        ("set.yaml", &automated_on("gpu: \"true\"")),
        ("clusters.yaml", &staging),
        ("project.yaml", WEB),
    ]);
    for (folder, rule) in [
        (&some_known, "prod-auto-sync"),
        (&none_selected, "generated-applications"),
    ] {
        let open = folder.run(&["check", "--show-undecided"]);
        assert_eq!(open.status(), 0, "{}", open.transcript());
        assert!(open.stdout().contains(rule), "{}", open.transcript());
        assert_eq!(folder.run(&["check", "--strict"]).status(), 1);
        let closed = folder.run(&["check", "--strict", "--all-clusters-known"]);
        assert_eq!(closed.status(), 0, "{}", closed.transcript());
    }
}

/// 34 of 38 findings on an ordinary repository, which never has cluster Secrets, were undecided and
/// hid those that were not.
#[test]
fn findings_that_lack_the_same_fact_are_told_once() {
    let on = |name: &str, cluster: &str| {
        GOOD.replace("name: cart", &format!("name: {name}"))
            .replace(
                "server: https://kubernetes.default.svc",
                &format!("name: {cluster}"),
            )
    };
    let folder = Folder::with(&[
        ("a.yaml", &*on("a", "eu-1")),
        ("b.yaml", &*on("b", "us-1")),
        ("c.yaml", &*on("c", "us-1")),
        ("stray.yaml", DEFAULT),
        ("project.yaml", PROJECT),
    ]);
    let run = folder.run(&["check"]);
    assert_snapshot!(run.transcript());

    let report = folder.run(&["check", "-o", "json"]).json();
    let undecided = report["summary"]["undecided"].as_u64().unwrap();
    assert_eq!(
        report["missing"],
        json!([{"kind": "cluster", "names": ["eu-1", "us-1"], "findings": undecided}])
    );
    let rows = |arguments: &[&str]| {
        let shown = folder.run(arguments).stdout();
        shown
            .lines()
            .filter(|line| line.starts_with("undecided "))
            .count()
    };
    for shows_all in ["--show-undecided", "--strict"] {
        assert_eq!(rows(&["check", shows_all]) as u64, undecided, "{shows_all}");
    }
}

/// What a project permits that nobody may use is not in question.
#[test]
fn a_project_that_is_denied_is_not_missed() {
    let folder = Folder::with(&[("stray.yaml", DEFAULT)]);
    let run = folder.run(&["check", "--show-undecided"]);
    assert!(
        !run.stdout().contains("not among the files"),
        "{}",
        run.transcript()
    );

    let policy = "apiVersion: kubectl-gitops.io/v1alpha1\nkind: GitOpsPolicy\nmetadata: { name: default }\n\
        spec: { rules: { default-project: { action: \"Off\" } } }\n";
    let folder = Folder::with(&[("stray.yaml", DEFAULT), ("policy.yaml", policy)]);
    let run = folder.run(&["check", "--show-undecided"]);
    assert!(
        run.stdout()
            .contains("AppProject default is not among the files"),
        "{}",
        run.transcript()
    );
}

#[test]
fn off_without_quotes_is_explained() {
    let policy = "apiVersion: kubectl-gitops.io/v1alpha1\nkind: GitOpsPolicy\nmetadata: { name: default }\n\
        spec: { rules: { default-project: { action: Off } } }\n";
    let folder = Folder::with(&[("stray.yaml", DEFAULT), ("policy.yaml", policy)]);
    let run = folder.run(&["check"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr().contains("policy.yaml:4") && run.stderr().contains("with its quotes"),
        "{}",
        run.transcript()
    );
}

#[test]
fn the_summary_says_which_clusters_count_as_production() {
    let clusters = [
        cluster("eu-1", "environment: prod"),
        cluster("prd-1", "region: eu"),
        cluster("eu-2", "environment: live"),
        cluster("eu-3", "env: prod-eu"),
        cluster("non-prd", "region: eu"),
        cluster("stg-eu", "environment: staging"),
    ];
    let clusters = clusters.join("---\n");
    let run = Folder::with(&[("clusters.yaml", &clusters)]).run(&["check"]);
    let line = "production: 1 of 6 clusters (eu-1); unknown to the policy: eu-2, eu-3, prd-1\n";
    assert!(run.stderr().ends_with(line), "{}", run.transcript());
    // A policy that has other environments does not know what belongs to none.
    let policy = format!(
        "{POLICY}  environments:\n    - {{ name: prod, production: true, match: {{ words: [prod, prd, live] }} }}\n    \
        - {{ name: staging, match: {{ words: [staging] }} }}\n"
    );
    let run =
        Folder::with(&[("clusters.yaml", &clusters), ("policy.yaml", &policy)]).run(&["check"]);
    let line =
        "production: 3 of 6 clusters (eu-1, eu-2, prd-1); unknown to the policy: eu-3, non-prd\n";
    assert!(run.stderr().ends_with(line), "{}", run.transcript());
}

#[test]
fn a_policy_without_production_is_refused() {
    let policy =
        format!("{POLICY}  environments:\n    - {{ name: live, match: {{ projects: [live] }} }}\n");
    let run = Folder::with(&[("policy.yaml", &policy), ("app.yaml", GOOD)]).run(&["check"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr().contains("policy.yaml:1")
            && run
                .stderr()
                .contains("none of the environments has `production: true`"),
        "{}",
        run.transcript()
    );
}

/// A destination that excludes by name excludes less since Argo CD 3.6.
#[test]
fn projects_are_read_by_the_version_of_argo_cd_that_is_named() {
    let project = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: { name: shop, namespace: argocd }
spec:
  sourceRepos: [https://git.example.com/shop/services.git]
  destinations:
    - { server: https://kubernetes.default.svc, namespace: cart }
    - { name: \"!in-cluster\", namespace: kube-system }
";
    let folder = Folder::with(&[("app.yaml", GOOD), ("project.yaml", project)]);
    let denied = |arguments: &[&str]| {
        let ran = folder.run(&[&["check", "-o", "json"], arguments].concat());
        let shown = ran.stdout();
        assert!(
            shown.contains("the upgrade makes the project wider")
                || shown.contains("wider than it was"),
            "{shown}"
        );
        shown.contains("\"deny\"")
    };
    assert!(denied(&[]));
    assert!(denied(&["--argocd-version", "3.5.7"]));
    assert!(!denied(&["--argocd-version", "v3.6.1"]));
    let ran = folder.run(&["check", "--argocd-version", "newest"]);
    assert_eq!(ran.status(), 2);
    assert!(
        ran.stderr()
            .contains("expected a version of Argo CD such as 3.6"),
        "{}",
        ran.stderr()
    );
}
