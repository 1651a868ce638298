//! The command line itself: help, names, completion, errors.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use serde_json::{Value, json};

use support::api_server::{ApiServer, CLUSTERS};
use support::{Folder, run_as};

const BINARY: &str = env!("CARGO_BIN_EXE_kubectl-gitops");

const APPLICATION: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: cart, namespace: argocd}
spec:
  project: shop
  source: {repoURL: https://git.example.com/cart.git, path: ., targetRevision: v1.0.0}
  destination: {server: https://kubernetes.default.svc, namespace: cart}
";

const PROJECT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop, namespace: argocd}
spec:
  sourceRepos: [https://git.example.com/cart.git]
  destinations: [{server: https://kubernetes.default.svc, namespace: cart}]
";

const APPLICATION_SET: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: ingress, namespace: argocd}
spec:
  generators: [{clusters: {}}]
  template:
    metadata:
      name: 'ingress-{{name}}'
      annotations: {kubectl-gitops.io/autoscaled: 'false'}
    spec:
      project: platform
      source: {repoURL: https://git.example.com/ingress.git, path: ., targetRevision: v1.0.0}
      destination: {name: '{{name}}', namespace: ingress}
";

/// What `aws eks describe-cluster` says of one.
const CLUSTER_OF_EKS: &str = include_str!("../../tests/fixtures/eks/prod-eu.json");

const PLATFORM: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: platform, namespace: argocd}
spec:
  sourceRepos: [https://git.example.com/ingress.git]
  destinations:
    - {server: https://prod-eu.example.com, namespace: ingress}
    - {server: https://staging-us.example.com, namespace: ingress}
    - {server: https://kubernetes.default.svc, namespace: ingress}
";

fn cluster(name: &str) -> String {
    let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    let server = base64(&format!("https://{name}.example.com"));
    let config = base64(r#"{"awsAuthConfig": {"clusterName": "x"}}"#);
    format!(
        "\
apiVersion: v1
kind: Secret
metadata:
  name: {name}
  namespace: argocd
  labels: {{argocd.argoproj.io/secret-type: cluster}}
data: {{name: {}, server: {server}, config: {config}}}
",
        base64(name)
    )
}

const COMMANDS: [&str; 29] = [
    "",
    "check",
    "audit",
    "preview",
    "drift",
    "drift fix",
    "drift merge",
    "cluster list",
    "cluster onboard",
    "cluster verify",
    "cluster migrate",
    "cluster offboard",
    "addon list",
    "addon onboard",
    "addon diff",
    "addon terraform",
    "addon enable",
    "addon bump",
    "addon rollback",
    "addon finish",
    "addon status",
    "explain",
    "break-glass grant",
    "break-glass list",
    "break-glass revoke",
    "break-glass why",
    "bootstrap",
    "completion",
    "version",
];

/// Makes the binary known by another name.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn called(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::os::unix::fs::symlink(BINARY, &path).unwrap();
    path
}

#[test]
fn help_of_every_command() {
    let folder = Folder::with(&[]);
    for command in COMMANDS {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let name = format!("help_{}", command.replace(' ', "_"));
        assert_snapshot!(name, folder.run(&arguments).transcript());
    }
}

/// Of 40 lines of 100 columns.
#[test]
fn help_of_every_command_fits_one_screen() {
    let folder = Folder::with(&[]);
    for command in COMMANDS
        .into_iter()
        .chain(["addon", "break-glass", "cluster"])
    {
        let by = |flag| {
            let arguments: Vec<_> = command.split_whitespace().chain([flag]).collect();
            folder.run(&arguments).stdout()
        };
        let help = by("--help");
        assert_eq!(by("-h"), help, "{command}");
        let lines = help.lines().count();
        assert!(lines <= 40, "{command}: {lines} lines\n{help}");
        let is_too_long = |line: &&str| line.chars().count() > 100;
        assert_eq!(help.lines().find(is_too_long), None, "{command}");
    }
}

#[test]
fn help_of_every_command_has_a_few_examples() {
    let folder = Folder::with(&[]);
    for command in &COMMANDS[1..] {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let help = folder.run(&arguments).stdout();
        let (_, examples) = help.split_once("Examples:\n").unwrap();
        let count = examples
            .lines()
            .filter(|line| line.starts_with("  # "))
            .count();
        assert!((1..=3).contains(&count), "{command}: {help}");
        assert!(!examples.contains("Exit status"), "{command}: {help}");
    }
}

#[test]
fn called_as_a_plugin_of_argocd_it_says_so() {
    let folder = Folder::with(&[]);
    let argocd = called(&folder, "argocd-gitops");
    let help = |arguments: &[&str]| run_as(&argocd, folder.path(), arguments, "").stdout();
    assert_snapshot!(help(&["check", "-h"]));
    assert!(help(&["--help"]).contains("Usage: argocd gitops [OPTIONS] <COMMAND>"));
    let long = help(&["help", "check"]);
    assert!(
        long.contains("  argocd gitops check applications"),
        "{long}"
    );
    assert!(!long.contains("  kubectl gitops"), "{long}");
    let nested = help(&["help", "break-glass", "list"]);
    assert!(
        nested.contains("  argocd gitops break-glass list -A"),
        "{nested}"
    );
    assert!(!nested.contains("kubectl gitops"), "{nested}");
    let completion = help(&["help", "completion"]);
    assert_snapshot!("help_completion_of_argocd", completion);
    let script = help(&["completion", "bash"]);
    assert!(
        script.contains("argocd-gitops") && !script.contains("kubectl-gitops"),
        "{script}"
    );
}

#[test]
fn the_command_help_says_all_that_there_is_to_say() {
    let folder = Folder::with(&[]);
    for command in COMMANDS {
        let words: Vec<_> = command.split_whitespace().collect();
        let short = folder.run(&[&words[..], &["--help"]].concat()).stdout();
        let whole = folder.run(&[&["help"], &words[..]].concat()).stdout();
        assert!(whole.lines().count() > short.lines().count(), "{command}");
        let first = short.lines().next();
        assert_eq!(whole.lines().next(), first, "{command}");
        let more = format!("`kubectl gitops help {command}");
        assert!(short.contains(more.trim_end()), "{command}: {short}");
    }
    let check = folder.run(&["help", "check"]).stdout();
    for text in [
        "Exit status:",
        "--context <NAME>",
        "It can be given several times.",
    ] {
        assert!(check.contains(text), "{text}: {check}");
    }
}

#[test]
fn mistakes_are_explained() {
    let folder = Folder::with(&[]);
    for (name, arguments) in [
        ("no_command", &[][..]),
        ("unknown_command", &["chek"]),
        ("unknown_flag", &["check", "--outptu", "json"]),
        ("empty_namespace", &["check", "--argocd-namespace", ""]),
        ("unknown_rule", &["explain", "prod-autosync"]),
    ] {
        assert_snapshot!(name, folder.run(arguments).transcript());
    }
}

#[test]
fn the_version_is_the_packages() {
    let run = Folder::with(&[]).run(&["--version"]);
    assert_eq!(run.status(), 0);
    assert_eq!(
        run.stdout(),
        format!("kubectl-gitops {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn kubectl_gets_words_with_their_meaning() {
    let folder = Folder::with(&[("applications/cart.yaml", APPLICATION)]);
    let completer = called(&folder, "kubectl_complete-gitops");
    let complete = |words: &[&str]| run_as(&completer, folder.path(), words, "").transcript();
    assert_snapshot!("complete_commands", complete(&[""]));
    assert_snapshot!("complete_rules", complete(&["explain", "prod"]));
    assert_snapshot!("complete_formats", complete(&["check", "-o", ""]));
    assert_snapshot!(
        "complete_overridable",
        complete(&["break-glass", "grant", "x", "--rule", "prod"])
    );
    assert_snapshot!(
        "complete_overridden",
        complete(&["break-glass", "why", "prod"])
    );
    assert_snapshot!("complete_paths", complete(&["check", "app"]));
    assert!(complete(&[]).contains("check\t"));
}

#[test]
fn every_shell_gets_a_script() {
    let folder = Folder::with(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = folder.run(&["completion", shell]);
        assert_eq!(run.status(), 0, "{}", run.transcript());
        assert!(run.stdout().contains("kubectl-gitops"), "{shell}");
        assert!(run.stdout().contains("check"), "{shell}");
    }
}

/// A `kubectl` that finds its plugins, and renders an overlay that needs no rendering.
const KUBECTL: &str = "\
#!/bin/sh
command=$1
shift
case $command in
  kustomize) exec cat \"$1\"/*.yaml ;;
  *) exec \"kubectl-$command\" \"$@\" ;;
esac
";

/// An Application that was compared a moment ago, and differs.
fn drifted() -> Value {
    json!({
        "metadata": {"name": "shop-production", "namespace": "argocd"},
        "spec": {"destination": {"name": "prod-eu"}},
        "status": {
            "sync": {"status": "OutOfSync"},
            "reconciledAt": jiff::Timestamp::now().to_string(),
            "resources": [{"kind": "ConfigMap", "name": "shop", "status": "OutOfSync"}],
        },
    })
}

/// Lets the API server have what the examples of `break-glass` name, and do what they ask.
fn takes_overrides(server: &ApiServer, application: &Value, application_set: &Value) {
    let argo_cd = "/apis/argoproj.io/v1alpha1";
    let named = |object: &Value, name: &str| {
        let mut object = object.clone();
        object["metadata"]["name"] = name.into();
        object
    };
    for (plural, object) in [
        ("applications/orders", named(application, "orders")),
        ("applicationsets/carts", named(application_set, "carts")),
    ] {
        let path = format!("{argo_cd}/namespaces/argocd/{plural}");
        server.answers(&path, 200, object);
        server.accepts(&format!("PATCH {path}"), 200, json!({}));
    }
    for path in [
        "applications",
        "appprojects",
        "namespaces/argocd/applications",
        "namespaces/argocd/applicationsets",
    ] {
        server.lists(&format!("{argo_cd}/{path}"), &[]);
    }
    for path in ["applications", "applicationsets", "appprojects"] {
        server.lists(&format!("{argo_cd}/{path}?team=shop"), &[]);
    }
    let clusters = "/api/v1/namespaces/argocd/secrets?team=shop";
    server.lists(
        &format!("{clusters},argocd.argoproj.io/secret-type=cluster"),
        &[],
    );
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let allowed = json!({"status": {"allowed": true}});
    server.accepts(&format!("POST {reviews}"), 201, allowed);
    let who = json!({"status": {"userInfo": {"username": "alice"}}});
    server.accepts(
        "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
        201,
        who,
    );
}

/// The root of an app-of-apps may be written, and is synced at once.
fn is_synced(server: &ApiServer) {
    let objects = "/apis/argoproj.io/v1alpha1/namespaces/argocd";
    for kind in ["appprojects", "applications"] {
        server.accepts(&format!("PATCH {objects}/{kind}/root"), 200, json!({}));
    }
    let synced = json!({"status": {"sync": {"status": "Synced"}}});
    server.answers(&format!("{objects}/applications/root"), 200, synced);
}

#[test]
fn the_examples_in_the_help_work() {
    use std::os::unix::fs::PermissionsExt;

    let server = ApiServer::start();
    let object = |text: &str| golang::yaml::value(text).unwrap();
    let sets = "/apis/argoproj.io/v1alpha1/applicationsets";
    server.lists(sets, &[object(APPLICATION_SET)]);
    server.lists(CLUSTERS, &[object(&cluster("prod-eu"))]);
    let projects = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";
    server.lists(projects, &[object(PLATFORM), object(PROJECT)]);
    takes_overrides(&server, &object(APPLICATION), &object(APPLICATION_SET));
    is_synced(&server);
    let folder = Folder::with(&[
        ("applications/cart.yaml", APPLICATION),
        ("bootstrap/project.yaml", PROJECT),
        ("overlays/prod/cart.yaml", APPLICATION),
        ("clusters/prod-eu.yaml", &cluster("prod-eu")),
        ("clusters/staging-us.yaml", &cluster("staging-us")),
        ("bootstrap/platform.yaml", PLATFORM),
        ("applicationsets/ingress.yaml", APPLICATION_SET),
        ("home/.local/bin/kubectl", KUBECTL),
        ("home/.local/bin/aws", "#!/bin/sh\nexec cat prod-eu.json\n"),
        ("prod-eu.json", CLUSTER_OF_EKS),
        (
            "audit.jsonl",
            r#"{"kind": "Event", "apiVersion": "audit.k8s.io/v1"}"#,
        ),
        ("home/.kube/config", &server.kubeconfig("{}")),
    ]);
    let bin = folder.path().join("home/.local/bin");
    for program in ["kubectl", "aws"] {
        std::fs::set_permissions(bin.join(program), PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::symlink(BINARY, bin.join("kubectl-gitops")).unwrap();
    let mut examples = 0;
    for command in &COMMANDS[1..] {
        // Other commands would judge it.
        let applications = Vec::from_iter(matches!(*command, "drift" | "drift fix").then(drifted));
        for namespace in ["", "/namespaces/argocd"] {
            let path = format!("/apis/argoproj.io/v1alpha1{namespace}/applications");
            server.lists(&path, &applications);
        }
        let words: Vec<_> = ["help"].into_iter().chain(command.split(' ')).collect();
        let help = folder.run(&words).stdout();
        let (_, section) = help.split_once("Examples:\n").unwrap();
        let lines = section
            .lines()
            .take_while(|line| line.is_empty() || line.starts_with("  "))
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            examples += 1;
            let asks_git = ["--between", "--with", "--engine"]
                .iter()
                .any(|flag| line.contains(flag));
            // That something changes, or may not, is what an example shows.
            let expected: &[i32] = match *command {
                "preview" => &[0, 1, 3],
                "cluster onboard" => &[1],
                // What Git has nobody says there, or it has it twice.
                "drift" => {
                    if asks_git {
                        &[2]
                    } else {
                        &[1]
                    }
                }
                // There is no AWS here, so that nobody can tell, and neither such a cluster nor a
                // release: `tests/commands` has some. Of three shards there is one.
                "drift fix" | "drift merge" | "cluster verify" | "cluster migrate"
                | "cluster offboard" | "addon list" | "addon onboard" | "addon diff"
                | "addon terraform" | "addon enable" | "addon bump" | "addon rollback"
                | "addon finish" | "addon status" => &[2],
                _ => &[0],
            };
            run_example(line, folder.path(), &bin, expected);
        }
    }
    assert!(examples >= 38, "only {examples} examples were found");
}

#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn run_example(line: &str, folder: &Path, bin: &Path, expected: &[i32]) {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", line])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("HOME", folder.join("home"))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        expected.contains(&output.status.code().unwrap()),
        "{line}\n{}\n{complaint}",
        String::from_utf8_lossy(&output.stdout),
    );
    // It is written as it can be typed, also where it fails.
    assert!(!complaint.contains("try '--help'"), "{line}\n{complaint}");
}

#[test]
fn that_nobody_reads_on_is_no_failure() {
    let applications = APPLICATION
        .repeat(2)
        .replace("apiVersion", "---\napiVersion");
    let folder = Folder::with(&[("cart.yaml", &*applications.repeat(2000))]);
    let status = Command::new("bash")
        .args([
            "-c",
            "\"$0\" check 2>/dev/null | head -n 1 >/dev/null; exit \"${PIPESTATUS[0]}\"",
            BINARY,
        ])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn that_nothing_can_be_written_is_told() {
    let folder = Folder::with(&[("cart.yaml", APPLICATION)]);
    for command in ["check", "explain", "--help", "completion bash"] {
        let output = Command::new("bash")
            .args(["-c", "\"$0\" $1 >/dev/full", BINARY, command])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "error: cannot write to standard output: No space left on device (os error 28)\n",
            "{command}"
        );
    }
}

#[test]
fn explain_lists_the_rules() {
    let folder = Folder::with(&[]);
    assert_snapshot!("explain_list", folder.run(&["explain"]).transcript());
    assert_snapshot!(
        "explain_list_json",
        folder.run(&["explain", "-o", "json"]).transcript()
    );
}

#[test]
fn every_rule_of_the_list_has_a_page() {
    let folder = Folder::with(&[]);
    let list = folder.run(&["explain", "-o", "json"]).json();
    for rule in list["rules"].as_array().unwrap() {
        let id = rule["id"].as_str().unwrap();
        let run = folder.run(&["explain", id]);
        assert_eq!(run.status(), 0, "{}", run.transcript());
        assert!(
            run.stdout().starts_with(&format!("# {id}\n")),
            "{}",
            run.stdout()
        );
        let mut expected = rule.clone();
        expected["apiVersion"] = "kubectl-gitops.io/v1alpha1".into();
        expected["kind"] = "Rule".into();
        expected["page"] = run.stdout().into();
        assert_eq!(folder.run(&["explain", id, "-o", "json"]).json(), expected);
    }
}
