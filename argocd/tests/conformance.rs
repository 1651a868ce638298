//! Every vector: what Argo CD answered against what we answer.
//!
//! `ARGOCD_VECTORS=DIR` runs another folder. A mismatch prints its id, input, expectation and
//! answer; the last line printed is `N passed, M failed`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use argocd::application::{Application, AutomatedSync, EnabledField};
use argocd::cluster::config::{Login, LoginError};
use argocd::cluster::{ClusterSecret, ClusterSecretError};
use argocd::conditions::{Problem, conditions};
use argocd::destination::DestinationError;
use argocd::diff::{ComparisonError, IgnoredDifferences};
use argocd::fleet::{Fleet, Parts, ScopedRepository};
use argocd::names::{LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER, SECRET_TYPE_REPOSITORY};
use argocd::project::{AppProject, Permissions};
use argocd::settings::Settings;
use serde_json::{Map, Value, json};

const CONTROL_PLANE: &str = "argocd";

type Answer = fn(&Value) -> Value;

const KINDS: [(&str, Answer); 7] = [
    ("automated", automated),
    ("cluster_auth", cluster_auth),
    ("deny_reason", deny_reason),
    ("project_destination", project_destination),
    ("project_namespace", project_namespace),
    ("project_source", project_source),
    ("replicas_ignored", replicas_ignored),
];

#[test]
fn argo_cd_gives_the_same_answers() {
    let folder = std::env::var_os("ARGOCD_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors"),
        PathBuf::from,
    );
    let (mut passed, mut failed) = (0, 0);
    for (kind, answer) in KINDS {
        let path = folder.join(format!("{kind}.jsonl"));
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("vectors {}: {error}", path.display()));
        let (mut kind_passed, mut kind_failed) = (0, 0);
        for line in text.lines() {
            if check(answer, line) {
                kind_passed += 1;
            } else {
                kind_failed += 1;
            }
        }
        println!("{kind}: {kind_passed} passed, {kind_failed} failed");
        assert!(
            kind_passed + kind_failed > 0,
            "no vectors in {}",
            path.display()
        );
        passed += kind_passed;
        failed += kind_failed;
    }
    println!("{passed} passed, {failed} failed");
    assert_eq!(failed, 0, "see the mismatches above");
}

#[expect(clippy::print_stdout, reason = "a mismatch is to be read whole")]
fn check(answer: Answer, line: &str) -> bool {
    let vector: Value = serde_json::from_str(line).expect("a vector is JSON");
    let expected = without_messages(&vector["expect"]);
    let got = answer(&vector["input"]);
    let same = expected == got;
    if !same {
        println!(
            "mismatch {}\n  input    {}\n  expected {expected}\n  got      {got}",
            vector["id"], vector["input"]
        );
    }
    same
}

/// Argo CD's texts are for information; comparing classes is what counts.
fn without_messages(expect: &Value) -> Value {
    match expect {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "message" && *name != "reason")
            .map(|(name, value)| (name.clone(), without_messages(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_messages).collect(),
        other => other.clone(),
    }
}

fn text(value: &Value) -> String {
    value.to_string()
}

fn project(value: &Value) -> AppProject {
    serde_json::from_value(value.clone()).expect("a project decodes")
}

fn settings(input: &Value) -> Settings {
    let data: BTreeMap<String, String> = input
        .pointer("/argocdCM/data")
        .map(|data| serde_json::from_value(data.clone()).expect("settings are strings"))
        .unwrap_or_default();
    Settings::from_config_map(&data)
}

fn fleet(projects: Vec<AppProject>, secrets: &Value, settings: Settings) -> Fleet {
    let mut parts = Parts {
        control_plane_namespace: CONTROL_PLANE.to_owned(),
        projects,
        settings,
        ..Parts::default()
    };
    for secret in secrets.as_array().into_iter().flatten() {
        let labels = &secret["metadata"]["labels"];
        let namespace = secret["metadata"]["namespace"].as_str();
        if namespace != Some(CONTROL_PLANE) {
            continue;
        }
        match labels[LABEL_SECRET_TYPE].as_str() {
            Some(SECRET_TYPE_CLUSTER) => {
                let json = text(secret);
                let secret: ClusterSecret<'_> = serde_json::from_str(&json).expect("a Secret");
                // Argo CD 3.5 takes a cluster whose config it cannot read for missing.
                if secret.config().is_ok() {
                    parts.clusters.push(secret.cluster().expect("a cluster"));
                }
            }
            Some(SECRET_TYPE_REPOSITORY) => {
                let field = |name: &str| decode(&secret["data"][name]);
                parts.repositories.push(ScopedRepository {
                    url: field("url"),
                    project: field("project"),
                });
            }
            _ => {}
        }
    }
    Fleet::new(parts)
}

fn decode(value: &Value) -> String {
    use base64::Engine as _;
    let bytes = base64::prelude::BASE64_STANDARD
        .decode(value.as_str().unwrap_or_default())
        .expect("data is base64");
    String::from_utf8(bytes).expect("data is text")
}

fn automated(input: &Value) -> Value {
    let json = text(&input["application"]);
    let Ok(application) = Application::from_json(&json) else {
        return json!({"decode_error": true});
    };
    let policy = application.spec.sync_policy();
    let fields = policy.automated.clone().unwrap_or_default();
    let enabled = matches!(
        policy.automated_sync(EnabledField::Supported),
        AutomatedSync::On { .. }
    );
    json!({"enabled": enabled, "prune": fields.prune(), "selfHeal": fields.self_heal(), "allowEmpty": fields.allow_empty()})
}

fn project_source(input: &Value) -> Value {
    let permissions = Permissions::new(&project(&input["project"]).spec);
    let repository = input["source"]["repoURL"].as_str().unwrap_or_default();
    json!({"permitted": permissions.permits_source(repository)})
}

fn project_namespace(input: &Value) -> Value {
    let permissions = Permissions::new(&project(&input["project"]).spec);
    let namespace = input
        .pointer("/application/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let control_plane = input["controllerNamespace"].as_str().unwrap_or_default();
    let permitted = namespace.is_empty()
        || namespace == control_plane
        || permissions.permits_source_namespace(namespace);
    json!({"permitted": permitted})
}

fn project_destination(input: &Value) -> Value {
    let project = project(&input["project"]);
    // The project is taken as it stands: project-scoped clusters do not widen it here.
    let permissions = Permissions::new(&project.spec);
    let fleet = fleet(Vec::new(), &input["clusterSecrets"], settings(input));
    let json = text(&input["destination"]);
    let destination: argocd::application::ApplicationDestination<'_> =
        serde_json::from_str(&json).expect("a destination");
    match fleet.clusters.resolve(&destination) {
        Err(error) => json!({"error": destination_class(&error)}),
        Ok(cluster) => {
            let scoped = fleet.clusters_of(&project.metadata.name);
            let permitted =
                permissions.permits_destination(cluster, &destination.namespace, scoped);
            json!({"permitted": permitted, "cluster": {"server": cluster.server, "name": cluster.name}})
        }
    }
}

fn destination_class(error: &DestinationError) -> &'static str {
    match error {
        DestinationError::NameAndServer { .. } => "destination_name_and_server",
        DestinationError::Missing => "destination_missing",
        DestinationError::ServerNotFound(_) => "cluster_not_found",
        DestinationError::NameNotFound(_) => "cluster_name_not_found",
        DestinationError::NameAmbiguous { .. } => "cluster_name_ambiguous",
        DestinationError::InClusterDisabled => "in_cluster_disabled",
    }
}

fn problem_class(problem: &Problem) -> (&'static str, &'static str) {
    let class = match problem {
        Problem::NamespaceNotPermitted { .. } => {
            return ("UnknownError", "namespace_not_permitted");
        }
        Problem::ProjectNotFound { .. } => "project_not_found",
        Problem::SourceIncomplete => "source_incomplete",
        Problem::ChartRevisionMissing => "chart_revision_missing",
        Problem::SourceNotPermitted { .. } => "source_not_permitted",
        Problem::HydratorRepositoryMissing => "hydrator_repo_missing",
        Problem::HydratorBranchMissing => "hydrator_branch_missing",
        Problem::HydrateToBranchMissing => "hydrate_to_branch_missing",
        Problem::Destination(error) => destination_class(error),
        Problem::DestinationNotPermitted { .. } => "destination_not_permitted",
    };
    ("InvalidSpecError", class)
}

fn deny_reason(input: &Value) -> Value {
    let json = text(&input["application"]);
    let Ok(application) = Application::from_json(&json) else {
        return json!({"decode_error": true});
    };
    let projects = input["projects"].as_array().into_iter().flatten();
    let fleet = fleet(
        projects.map(project).collect(),
        &input["secrets"],
        settings(input),
    );
    let found: Vec<Value> = conditions(&application, &fleet)
        .iter()
        .map(|condition| {
            let (kind, class) = problem_class(&condition.problem);
            json!({"type": kind, "class": class})
        })
        .collect();
    json!({"conditions": found})
}

fn replicas_ignored(input: &Value) -> Value {
    let json = text(input.get("ignoreDifferences").unwrap_or(&Value::Null));
    let entries: Option<Vec<argocd::application::IgnoreDifference<'_>>> =
        serde_json::from_str(&json).expect("entries decode");
    let settings = settings(input);
    match IgnoredDifferences::new(&entries.unwrap_or_default(), &settings.ignore_differences) {
        Ok(ignored) => {
            json!({"ignored": ignored.hides("/spec/replicas", &input["desired"], &input["live"])})
        }
        Err(ComparisonError::Settings(_)) => json!({"error": "settings"}),
        Err(_) => json!({"error": "comparison"}),
    }
}

fn cluster_auth(input: &Value) -> Value {
    let json = text(&input["secret"]);
    let Ok(secret) = serde_json::from_str::<ClusterSecret<'_>>(&json) else {
        return json!({"error": "decode"});
    };
    let Ok(cluster) = secret.cluster() else {
        return json!({"error": "decode"});
    };
    let config = match secret.config() {
        Ok(config) => config,
        Err(ClusterSecretError::Encoding(_)) => return json!({"error": "decode"}),
        Err(ClusterSecretError::Config(_)) => return json!({"error": "secret"}),
    };
    let in_cluster = secret.is_in_cluster();
    let login = match config.login(in_cluster) {
        Ok(login) => login,
        Err(LoginError::Proxy) => return json!({"error": "rest"}),
        Err(_) => return json!({"error": "rest_defaults"}),
    };
    let mut answer = json!({
        "server": cluster.server,
        "name": cluster.name,
        "namespaces": cluster.namespaces,
        "project": cluster.project,
        "cluster_resources": cluster.cluster_resources,
        "stored_bearer_token": config.bearer_token,
        "stored_basic_auth": config.username || config.password,
        "stored_client_key": config.tls.key_data,
        "in_cluster": in_cluster,
        "has_bearer_token": false,
        "has_basic_auth": false,
        "has_client_cert": !in_cluster && config.tls.cert_data,
        "insecure_tls": !in_cluster && config.tls.insecure,
        "has_exec": false,
        "aws_auth": false,
    });
    match login {
        Login::InCluster => {
            answer["has_bearer_token"] = config.bearer_token.into();
            answer["has_basic_auth"] = config.username.into();
        }
        Login::Static {
            bearer_token,
            basic_auth,
        } => {
            answer["has_bearer_token"] = bearer_token.into();
            answer["has_basic_auth"] = basic_auth.into();
        }
        Login::Exec(exec) => {
            answer["has_exec"] = true.into();
            answer["exec_command"] = exec.command.into();
            answer["exec_args"] = exec.args.into();
        }
        Login::Aws(aws) => {
            answer["has_exec"] = true.into();
            answer["aws_auth"] = true.into();
            answer["exec_command"] = "argocd-k8s-auth".into();
            answer["exec_args"] = aws.arguments().into();
        }
    }
    answer
}
