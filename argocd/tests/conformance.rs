//! Every vector: what Argo CD answered against what we answer.
//!
//! `ARGOCD_VECTORS=DIR` runs another folder. A mismatch prints its id, input, expectation and
//! answer. The run goes through all of them whatever it finds; the last line that it prints is
//! `N passed, M failed`.
//!
//! A kind is one line of [`SUITE`] and a function from `input` to what `expect` should be.

#[path = "conformance/suite.rs"]
mod suite;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argocd::application::{Application, AutomatedSync, EnabledField};
use argocd::application_set::{ApplicationSet, ExpansionError, Generated, Limits, NoCheckouts};
use argocd::cluster::DestinationError;
use argocd::cluster::config::{Login, LoginError};
use argocd::cluster::{ClusterSecret, ClusterSecretError};
use argocd::comparison::{
    CompareError, ComparisonError, ComparisonSettings, Hidden, IgnoreRules, Pair, Rules, Strategy,
    Verdict, compare,
};
use argocd::conditions::{Problem, conditions};
use argocd::fleet::{Fleet, Parts};
use argocd::names::{LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER, SECRET_TYPE_REPOSITORY};
use argocd::project::{AppProject, Permissions, ResourceScope};
use argocd::repository::ScopedRepository;
use argocd::settings::Settings;
use golang::work::Work;
use serde_json::{Value, json};
use suite::{Suite, without_messages};

const CONTROL_PLANE: &str = "argocd";

const SUITE: Suite<'_> = Suite {
    kinds: &[
        ("appset_expand", appset_expand, expected_applications),
        ("automated", automated, without_messages),
        ("cluster_auth", cluster_auth, without_messages),
        ("deny_reason", deny_reason, without_messages),
        ("drift", drift, without_messages),
        ("project_destination", project_destination, without_messages),
        ("project_namespace", project_namespace, without_messages),
        ("project_resource", project_resource, without_messages),
        ("project_source", project_source, without_messages),
        ("replicas_ignored", replicas_ignored, without_messages),
    ],
    skipped: &[],
};

fn main() -> io::Result<ExitCode> {
    let folder = std::env::var_os("ARGOCD_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors"),
        PathBuf::from,
    );
    let well = SUITE.run(&folder, &mut io::stdout().lock())?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn text(value: &Value) -> String {
    value.to_string()
}

fn project(value: &Value) -> AppProject {
    serde_json::from_value(value.clone()).expect("a project decodes")
}

fn config_map(input: &Value) -> BTreeMap<String, String> {
    input
        .pointer("/argocdCM/data")
        .map(|data| serde_json::from_value(data.clone()).expect("settings are strings"))
        .unwrap_or_default()
}

fn settings(input: &Value) -> Settings {
    Settings::from_config_map(&config_map(input))
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
                parts.clusters.push(secret.cluster().expect("a cluster"));
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

fn appset_expand(input: &Value) -> Value {
    let json = text(&input["applicationset"]);
    let Ok(set) = ApplicationSet::from_json(&json) else {
        return json!({"decode_error": true});
    };
    let fleet = fleet(Vec::new(), &input["clusterSecrets"], Settings::default());
    let limits = Limits::default();
    let generated = set
        .expand(&fleet.clusters, &NoCheckouts, &limits)
        .and_then(|expansion| expansion.applications().collect::<Result<Vec<_>, _>>());
    match generated {
        Err(ExpansionError::Fails { .. }) => json!({"error": true}),
        Err(other) => json!({"unexpected": other.to_string()}),
        Ok(generated) => json!({"applications": sorted(generated.iter().map(printed))}),
    }
}

/// The parts of a generated Application that the expectation has.
fn printed(generated: &Generated) -> Value {
    match generated {
        Generated::Application(application) => {
            let json: Value = serde_json::from_str(application.json()).expect("an Application");
            json!({"metadata": json["metadata"], "spec": json["spec"]})
        }
        Generated::Undecided(undecided) => json!({"undecided": undecided.lacks.to_string()}),
    }
}

/// By name, then by text, without what Go's types leave out or not, as it happens.
fn sorted(applications: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut sorted: Vec<Value> = applications
        .map(|application| without_empty(&application))
        .collect();
    sorted.sort_by_key(|application| {
        (
            application["metadata"]["name"].to_string(),
            application.to_string(),
        )
    });
    sorted
}

fn expected_applications(expect: &Value) -> Value {
    match expect["applications"].as_array() {
        Some(applications) => {
            json!({"applications": sorted(applications.iter().cloned())})
        }
        None => without_messages(expect),
    }
}

/// Members that say something even where they are empty, and what is below free JSON.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| match name.as_str() {
                "valuesObject" => (name.clone(), member.clone()),
                _ => (name.clone(), without_empty(member)),
            })
            .filter(|(name, member)| {
                ["automated", "enabled", "valuesObject"].contains(&name.as_str())
                    || !is_empty(member)
            })
            .collect(),
        Value::Array(items) => items.iter().map(without_empty).collect(),
        other => other.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
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

fn project_resource(input: &Value) -> Value {
    let permissions = Permissions::new(&project(&input["project"]).spec);
    let field = |name: &str| input[name].as_str().unwrap_or_default();
    let scope = if input["namespaced"] == true {
        ResourceScope::Namespaced
    } else {
        // What was asked is the kind; no vector has an entry with a name.
        ResourceScope::Cluster { name: "" }
    };
    json!({"permitted": permissions.permits_resource(field("group"), field("kind"), scope)})
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
        Problem::SourceIncomplete | Problem::OneOfSourcesIncomplete => "source_incomplete",
        Problem::ChartRevisionMissing => "chart_revision_missing",
        Problem::SourceNotPermitted { .. } | Problem::SyncSourceNotPermitted { .. } => {
            "source_not_permitted"
        }
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
    let entries = entries.unwrap_or_default();
    let work = Work::new(16 << 20);
    let hidden = IgnoreRules::new(&entries, &settings.ignore_differences, &work)
        .and_then(|rules| rules.hides("/spec/replicas", &input["desired"], &input["live"], &work));
    match hidden {
        Ok(Hidden::Undecided) => json!({"undecided": true}),
        Ok(hidden) => json!({"ignored": hidden == Hidden::Yes}),
        Err(ComparisonError::Settings(_)) => json!({"error": "settings"}),
        Err(_) => json!({"error": "comparison"}),
    }
}

fn drift(input: &Value) -> Value {
    let json = text(input.get("ignoreDifferences").unwrap_or(&Value::Null));
    let entries: Option<Vec<argocd::application::IgnoreDifference<'_>>> =
        serde_json::from_str(&json).expect("entries decode");
    let settings = ComparisonSettings::from_config_map(&config_map(input));
    let work = Work::new(16 << 20);
    let pair = Pair {
        desired: input.get("desired").cloned(),
        live: input.get("live").cloned(),
    };
    let entries = entries.unwrap_or_default();
    let verdict = IgnoreRules::new(&entries, &settings.customizations, &work)
        .map_err(CompareError::from)
        .and_then(|ignore| {
            let rules = Rules {
                settings: &settings,
                ignore: &ignore,
            };
            compare(pair, Strategy::ClientSide, rules, &work)
        });
    match verdict {
        Ok(Verdict::Compared(comparison)) => json!({"modified": comparison.modified}),
        Ok(Verdict::NeedsDryRun(_)) => json!({"needs_dry_run": true}),
        Ok(Verdict::Undecided) => json!({"undecided": true}),
        Err(CompareError::Ignore(ComparisonError::Settings(_))) => json!({"error": "settings"}),
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
            answer["aws_auth"] = exec.is_aws_login().into();
            answer["exec_command"] = exec.command.as_str().into();
            answer["exec_args"] = exec.args.expose().collect();
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
