//! What `show -json` prints of a state and of a plan.

use semver::Version;
use serde::Deserialize;
use serde_json::Value;

use super::address::without_keys;
use super::configuration::Configuration;
use super::error::ReadError;
use super::release::HelmRelease;
use super::resource::Resource;
use super::tool::{Program, Tool};

/// What is managed, by a state.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// By which program and version it was written or shown.
    pub(crate) tool: Tool,
    /// Those that Terraform manages, wherever they are.
    pub(crate) releases: Vec<HelmRelease>,
    /// What each managed resource depends on, by addresses: also by way of others, and of locals.
    pub(super) dependencies: Vec<Dependencies>,
}

/// What a resource depends on.
#[derive(Clone, Debug)]
pub(super) struct Dependencies {
    pub(super) address: String,
    /// Without keys.
    pub(super) on: Vec<String>,
}

/// What is to be done, by a plan.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// By which program and version it was made.
    pub(crate) tool: Tool,
    /// What was managed before.
    pub(crate) prior: State,
    /// What it does to each resource.
    pub(crate) changes: Vec<Change>,
    pub(super) configuration: Configuration,
    /// Whether applying it leaves nothing to do, which it does not with `-target`; None where the
    /// program does not say, as OpenTofu does not.
    pub(crate) is_complete: Option<bool>,
    /// Whether making it failed.
    pub(super) is_errored: bool,
    /// How many changes are put off.
    pub(super) deferred: usize,
}

/// What a plan does to a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) address: String,
    pub(crate) is_managed: bool,
    pub(crate) action: Action,
    /// Name and namespace, where it is a `helm_release` and they may be shown.
    pub(crate) release: Option<(String, String)>,
    /// Whether it is about an object that was to be replaced earlier.
    pub(crate) is_deposed: bool,
}

/// What is done to a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    NoOp,
    Create,
    Read,
    Update,
    Delete,
    /// Delete and create it, in either order.
    Replace,
    /// No longer manage it, and leave it as it is.
    Forget,
    /// The same, and create another one.
    ForgetThenCreate,
    /// What is not known here.
    Other(Vec<String>),
}

impl Action {
    fn of(actions: &[String]) -> Self {
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        match *actions.as_slice() {
            ["no-op"] => Action::NoOp,
            ["create"] => Action::Create,
            ["read"] => Action::Read,
            ["update"] => Action::Update,
            ["delete"] => Action::Delete,
            ["delete", "create"] | ["create", "delete"] => Action::Replace,
            ["forget"] => Action::Forget,
            ["forget", "create"] | ["create", "forget"] => Action::ForgetThenCreate,
            _ => Action::Other(actions.into_iter().map(str::to_owned).collect()),
        }
    }
}

#[derive(Deserialize)]
struct Head {
    format_version: Option<String>,
    version: Option<u64>,
    lineage: Option<String>,
    resource_changes: Option<serde::de::IgnoredAny>,
    planned_values: Option<serde::de::IgnoredAny>,
    configuration: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StateDocument {
    terraform_version: Option<String>,
    values: Option<Values>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Values {
    root_module: Option<Module>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Module {
    resources: Option<Vec<Resource>>,
    child_modules: Option<Vec<Module>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PlanDocument {
    terraform_version: Option<String>,
    prior_state: Option<StateDocument>,
    resource_changes: Option<Vec<ResourceChange>>,
    deferred_changes: Option<Vec<serde::de::IgnoredAny>>,
    configuration: Option<Configuration>,
    complete: Option<bool>,
    errored: Option<bool>,
}

#[derive(Deserialize)]
struct ResourceChange {
    address: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    provider_name: String,
    deposed: Option<String>,
    change: ChangeDocument,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChangeDocument {
    actions: Vec<String>,
    before: Value,
    after: Value,
    before_sensitive: Value,
    after_sensitive: Value,
}

const MANAGED: &str = "managed";
const HELM_RELEASE: &str = "helm_release";

impl State {
    /// Reads what `show -json` prints of a state. Without a state it prints one that is empty.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn read(json: &str) -> Result<Self, ReadError> {
        if head(json)? {
            return Err(ReadError::Plan);
        }
        State::of(decode(json)?)
    }

    fn of(document: StateDocument) -> Result<Self, ReadError> {
        let mut resources = Vec::new();
        let root = document.values.and_then(|values| values.root_module);
        collect(root.unwrap_or_default(), &mut resources);
        let providers = resources.iter().map(|one| one.provider_name.as_str());
        let tool = Tool {
            program: program(&providers.collect::<Vec<_>>()),
            version: version(document.terraform_version.as_deref()),
        };
        let (mut releases, mut dependencies) = (Vec::new(), Vec::new());
        for resource in resources.iter().filter(|one| one.mode == MANAGED) {
            let on = resource.depends_on.iter().flatten();
            dependencies.push(Dependencies {
                address: resource.address.clone(),
                on: on.map(|address| without_keys(address)).collect(),
            });
            if resource.r#type == HELM_RELEASE {
                releases.push(HelmRelease::of(resource)?);
            }
        }
        Ok(State {
            tool,
            releases,
            dependencies,
        })
    }
}

impl Plan {
    /// Reads what `show -json PLAN` prints.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn read(json: &str) -> Result<Self, ReadError> {
        if !head(json)? {
            return Err(ReadError::State);
        }
        let document: PlanDocument = decode(json)?;
        let changes = document.resource_changes.unwrap_or_default();
        let prior = State::of(document.prior_state.unwrap_or_default())?;
        let providers = changes.iter().map(|one| one.provider_name.as_str());
        Ok(Plan {
            tool: Tool {
                program: program(&providers.collect::<Vec<_>>()).or(prior.tool.program),
                version: version(document.terraform_version.as_deref()),
            },
            prior,
            changes: changes.iter().map(Change::of).collect(),
            configuration: document.configuration.unwrap_or_default(),
            is_complete: document.complete,
            is_errored: document.errored.unwrap_or(false),
            deferred: document.deferred_changes.unwrap_or_default().len(),
        })
    }
}

impl Change {
    fn of(written: &ResourceChange) -> Self {
        let change = &written.change;
        let is_release = written.r#type == HELM_RELEASE;
        let before = HelmRelease::identity(&change.before, &change.before_sensitive);
        let after = || HelmRelease::identity(&change.after, &change.after_sensitive);
        Change {
            address: written.address.clone(),
            is_managed: written.mode == MANAGED,
            action: Action::of(&change.actions),
            release: is_release.then(|| before.or_else(after)).flatten(),
            is_deposed: written.deposed.is_some(),
        }
    }
}

/// Whether it is a plan.
fn head(json: &str) -> Result<bool, ReadError> {
    let head: Head = decode(json)?;
    let Some(format) = head.format_version else {
        let is_state_file = head.version.is_some() && head.lineage.is_some();
        return Err(if is_state_file {
            ReadError::StateFile
        } else {
            ReadError::NoFormat
        });
    };
    let major = format
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    match major {
        Some(0u64 | 1) => {}
        Some(_) => return Err(ReadError::Format(format)),
        None => return Err(ReadError::NoFormat),
    }
    Ok(head.resource_changes.is_some()
        || head.planned_values.is_some()
        || head.configuration.is_some())
}

fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ReadError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let not_json = |error: &serde_json::Error| ReadError::Json {
        line: error.line(),
        column: error.column(),
    };
    let decoded = serde_path_to_error::deserialize(&mut deserializer);
    let decoded = decoded.map_err(|error| match error.inner().classify() {
        serde_json::error::Category::Data => ReadError::Shape(match error.path().to_string() {
            path if path == "." => "the whole".to_owned(),
            path => path,
        }),
        _ => not_json(error.inner()),
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(decoded)
}

/// As deep as JSON is read at all.
fn collect(module: Module, into: &mut Vec<Resource>) {
    into.extend(module.resources.into_iter().flatten());
    for child in module.child_modules.into_iter().flatten() {
        collect(child, into);
    }
}

/// Providers are of the registry of the program that runs them, unless a configuration names
/// another.
fn program(providers: &[&str]) -> Option<Program> {
    let is_of = |registry: &str| providers.iter().any(|name| name.starts_with(registry));
    if is_of("registry.opentofu.org/") {
        Some(Program::OpenTofu)
    } else if is_of("registry.terraform.io/") {
        Some(Program::Terraform)
    } else {
        None
    }
}

fn version(text: Option<&str>) -> Option<Version> {
    Version::parse(text?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{helm_release, state};
    use super::*;

    #[test]
    fn a_state_is_read_wherever_a_release_is() {
        let state = state(&json!({
            "resources": [helm_release("helm_release.a", "a", "shop", 1)],
            "child_modules": [{
                "address": r#"module.m["x"]"#,
                "resources": [helm_release(r#"module.m["x"].helm_release.b[0]"#, "b", "shop", 2)],
                "child_modules": [{
                    "address": r#"module.m["x"].module.n"#,
                    "resources": [helm_release(r#"module.m["x"].module.n.helm_release.c"#, "c", "shop", 2)],
                }],
            }],
        }));
        let state = State::read(&state).unwrap();
        let addresses: Vec<&str> = state
            .releases
            .iter()
            .map(|one| one.address.as_str())
            .collect();
        assert_eq!(
            addresses,
            [
                "helm_release.a",
                r#"module.m["x"].helm_release.b[0]"#,
                r#"module.m["x"].module.n.helm_release.c"#
            ]
        );
        assert_eq!(state.tool.program, Some(Program::Terraform));
        assert_eq!(state.tool.version, Some(Version::new(1, 9, 0)));
    }

    #[test]
    fn who_made_a_plan_follows_from_its_providers() {
        let made_by = |registry: &str| {
            let provider = format!("{registry}/hashicorp/helm");
            let change = json!({
                "address": "helm_release.x", "provider_name": provider,
                "change": {"actions": ["no-op"]},
            });
            let text = super::super::testing::plan(&json!({"resource_changes": [change]}));
            Plan::read(&text).unwrap().tool.program
        };
        assert_eq!(made_by("registry.opentofu.org"), Some(Program::OpenTofu));
        assert_eq!(made_by("registry.terraform.io"), Some(Program::Terraform));
        assert_eq!(made_by("registry.example.com"), None);
    }

    #[test]
    fn no_state_is_an_empty_one() {
        let state = State::read(r#"{"format_version": "1.0"}"#).unwrap();
        assert!(state.releases.is_empty());
        assert_eq!(state.tool.program, None);
    }

    #[test]
    fn what_is_something_else_is_told_without_what_it_says() {
        let secret = "hunter2";
        for (text, reason) in [
            (format!("{{\n\"{secret}"), "line 2"),
            ("[]".to_owned(), "the whole"),
            (
                format!(r#"{{"format_version": "1.0", "values": "{secret}"}}"#),
                "values: it is not what",
            ),
            (
                format!(
                    r#"{{"format_version": "1.0", "values": {{"root_module": {{"resources": [{{"address": "a", "depends_on": "{secret}"}}]}}}}}}"#
                ),
                "values.root_module.resources[0].depends_on: it is not what",
            ),
            (
                r#"{"format_version": "2.0"}"#.to_owned(),
                "format_version 2.0",
            ),
            (
                format!(r#"{{"format_version": "{secret}"}}"#),
                "format_version: expected one",
            ),
            ("{}".to_owned(), "format_version: expected one"),
            (
                format!(r#"{{"version": 4, "lineage": "{secret}", "resources": []}}"#),
                "it is a state file",
            ),
            (
                r#"{"format_version": "1.2", "resource_changes": []}"#.to_owned(),
                "it is a plan",
            ),
        ] {
            let error = State::read(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains(secret), "{error}");
        }
        let error = Plan::read(r#"{"format_version": "1.0"}"#).unwrap_err();
        assert_eq!(error, ReadError::State);
    }

    #[test]
    fn each_action_is_known() {
        let of = |actions: &[&str]| {
            let actions: Vec<String> = actions.iter().map(|one| (*one).to_owned()).collect();
            Action::of(&actions)
        };
        assert_eq!(of(&["no-op"]), Action::NoOp);
        assert_eq!(of(&["create", "delete"]), Action::Replace);
        assert_eq!(of(&["delete", "create"]), Action::Replace);
        assert_eq!(of(&["forget"]), Action::Forget);
        assert_eq!(of(&["forget", "create"]), Action::ForgetThenCreate);
        assert_eq!(of(&["open"]), Action::Other(vec!["open".to_owned()]));
        assert_eq!(of(&[]), Action::Other(Vec::new()));
    }
}
