//! GitOpsPolicy: the cluster's, or a repository's, own terms.
//!
//! The same type is the custom resource and the file that `check` reads. Without any policy the
//! defaults here hold, and they already deny what the project exists to deny.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use argocd::cluster::config::ARGOCD_K8S_AUTH;
use argocd::kubernetes::InvalidSelector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::finding::RuleId;
use crate::rule_list::with_all_rules;

/// The name of the one policy that counts.
pub const POLICY_NAME: &str = "default";

/// What is wrong with a policy that has environments, none of which is production.
pub const NO_PRODUCTION: &str =
    "none of the environments has `production: true`, so no rule for production holds anywhere";

/// What the policy says.
#[derive(CustomResource, JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "kubectl-gitops.io",
    version = "v1alpha1",
    kind = "GitOpsPolicy",
    plural = "gitopspolicies",
    singular = "gitopspolicy",
    shortname = "gop",
    doc = "What is production, and how the rules on Applications, AppProjects and cluster Secrets apply. The one named `default` counts.",
    validation = kube::core::cel::Rule::new("self.metadata.name == 'default'")
        .message("only the policy named default counts: rename it, or add to the one that is there"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GitOpsPolicySpec {
    /// What the environments are. Replaces the built-in environment `prod`.
    #[serde(skip_serializing_if = "Option::is_none")]
    // Here and below, the API server accepts a validation inside a list only if the list is
    // bounded.
    #[schemars(length(max = 64))]
    pub environments: Option<Vec<Environment>>,
    /// What this Argo CD drives.
    pub engine: Engine,
    /// How each rule applies.
    pub rules: Rules,
    /// Who may overrule rules, and how.
    pub break_glass: BreakGlass,
    /// How the webhook answers.
    pub admission: Admission,
    /// What the Argo CD that is watched over looks like.
    pub argocd: ArgoCd,
}

/// The Argo CD on the cluster that the policy is for: what it is there for.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Engine {
    /// Name of the environment that it drives. `engine-isolation` keeps it out of all others;
    /// without it that rule is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// An environment, and what belongs to it.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Environment {
    /// Its name, as rules refer to it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Whether the rules for production hold in it.
    #[serde(default)]
    pub production: bool,
    /// What belongs to it. Any one of these is enough.
    pub r#match: EnvironmentMatch,
}

/// Evidence that something belongs to an environment. Any one is enough, so that nobody leaves an
/// environment by dropping a label.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.clusters) || has(self.applications) || size(self.words) > 0 || size(self.destinations) > 0 || size(self.projects) > 0 || size(self.namespaces) > 0 || size(self.accounts) > 0",
    "message": "match must say something: without it nothing belongs to the environment",
}]))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EnvironmentMatch {
    /// Words by which people name it, without case: as the value of the label `environment` or
    /// `env` of the cluster or the Application, and as a word of its own in the destination's name,
    /// the project or the namespace, unless `non`, `pre` or `not` comes before it. The built-in
    /// environment `prod` has `prod` and `production`.
    #[schemars(length(max = 16))]
    pub words: Vec<String>,
    /// Labels of the destination's cluster Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<LabelSelector>,
    /// Globs on the destination's name or server; of an AppProject on those that it permits.
    pub destinations: Vec<String>,
    /// Numbers of AWS accounts, in quotes: clusters whose role (`awsAuthConfig.roleARN`) is in one
    /// of them, or whose server is the ARN of a cluster there.
    #[schemars(length(max = 256), inner(regex(pattern = "^[0-9]{12}$")))]
    pub accounts: Vec<String>,
    /// Globs on the project.
    pub projects: Vec<String>,
    /// Globs on the destination's namespace; of an AppProject on those that it permits.
    pub namespaces: Vec<String>,
    /// Labels of the Application; of an AppProject where that is judged itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applications: Option<LabelSelector>,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $id:literal, $field:ident: $settings:ident => $rule:ident;)+) => {
        /// The settings of each rule. Each is a field of its own, so that a misspelt rule is an
        /// error.
        #[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Rules {
            $($(#[$doc])* pub $field: $settings,)+
        }

        impl Rules {
            /// What a rule is told that all rules can be told.
            pub(crate) fn common(&self, rule: RuleId) -> Option<CommonSettings<'_>> {
                match rule.as_str() {
                    $($id => Some(CommonSettings {
                        action: self.$field.action,
                        environments: self.$field.environments.as_ref(),
                        exempt: &self.$field.exempt,
                        named: self.$field.named_environments(),
                    }),)+
                    _ => None,
                }
            }
        }
    };
}
with_all_rules!(settings);

/// What all rules can be told, wherever the policy keeps it.
pub(crate) struct CommonSettings<'p> {
    pub(crate) action: Action,
    pub(crate) environments: Option<&'p Vec<String>>,
    pub(crate) exempt: &'p [Exemption],
    /// Environments that are named in a field of the rule's own, and that field.
    pub(crate) named: Vec<(&'static str, &'p String)>,
}

/// The settings of a rule, as far as others than the rule need to know them.
trait OwnSettings {
    /// Environments that are named in another field than `environments`, and that field.
    fn named_environments(&self) -> Vec<(&'static str, &String)> {
        Vec::new()
    }
}

impl OwnSettings for RuleSettings {}
impl OwnSettings for ReplicasIgnoredSettings {}
impl OwnSettings for ClusterCredentialsSettings {}
impl OwnSettings for UnknownFieldsSettings {}

impl OwnSettings for BlastRadiusSettings {
    fn named_environments(&self) -> Vec<(&'static str, &String)> {
        let names = self.max_deletions.keys();
        names.map(|name| ("maxDeletions", name)).collect()
    }
}

/// Overrides: annotations with which somebody who may lets an object pass that a rule denies, for a
/// while.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BreakGlass {
    /// The longest that an override may last, such as `4h` or `90m`.
    #[schemars(length(min = 2, max = 32))]
    pub max_duration: String,
    /// What the reason of an override must contain, as a regular expression: the number of a
    /// ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub ticket_pattern: Option<String>,
    /// Whether overrides count that Argo CD's application controller writes, so that whoever may
    /// merge may overrule.
    pub from_git: bool,
    /// Service accounts, as `namespace/name`, whose overrides count if they have the permission.
    /// All others are turned away unasked.
    #[schemars(length(max = 64))]
    pub service_accounts: Vec<String>,
}

impl Default for BreakGlass {
    fn default() -> Self {
        BreakGlass {
            max_duration: "4h".to_owned(),
            ticket_pattern: None,
            from_git: false,
            service_accounts: Vec::new(),
        }
    }
}

/// What in `spec.breakGlass` makes no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidTerms {
    /// The longest duration is none.
    #[error("spec.breakGlass.maxDuration: {0:?} is not a duration, such as 4h or 90m")]
    MaxDuration(String),
    /// The pattern is not a regular expression.
    #[error("spec.breakGlass.ticketPattern: {0:?} is not a regular expression")]
    TicketPattern(String),
    /// A service account without its namespace.
    #[error("spec.breakGlass.serviceAccounts: {0:?} is not namespace/name")]
    ServiceAccount(String),
}

/// How the webhook answers.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Admission {
    /// What a dry run by Argo CD's application controller or ApplicationSet controller is told of
    /// an object that would be refused. The real write is refused in any case.
    pub controller_dry_run: ControllerDryRun,
}

/// The answer to dry runs of Argo CD's own controllers.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum ControllerDryRun {
    /// Warnings. With server-side diff, Argo CD compares nothing of a whole app-of-apps if the dry
    /// run of one child is refused.
    #[default]
    Warn,
    /// The refusal.
    Deny,
}

/// What happens to a finding.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub enum Action {
    /// The object is refused.
    #[default]
    Deny,
    /// The object passes with a warning.
    Warn,
    /// The rule is not asked.
    Off,
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // YAML without quotes makes a boolean of `Off`, which says nothing of where it came from.
        deserializer.deserialize_any(ActionVisitor)
    }
}

struct ActionVisitor;

impl Visitor<'_> for ActionVisitor {
    type Value = Action;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "`Deny`, `Warn` or `\"Off\"` with its quotes, without which YAML reads false",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Action, E> {
        match text {
            "Deny" => Ok(Action::Deny),
            "Warn" => Ok(Action::Warn),
            "Off" => Ok(Action::Off),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

/// What every rule can be told.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RuleSettings {
    /// What happens to a finding.
    pub action: Action,
    /// Names of the environments in which the rule holds, in place of its own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
    /// What the rule lets pass.
    #[schemars(length(max = 256))]
    pub exempt: Vec<Exemption>,
}

/// Settings of `replicas-ignored`.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReplicasIgnoredSettings {
    /// What happens to a finding.
    pub action: Action,
    /// Names of the environments in which the rule holds, in place of its own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
    /// What the rule lets pass.
    #[schemars(length(max = 256))]
    pub exempt: Vec<Exemption>,
    /// When the ignore is required.
    pub require: Require,
}

/// When `replicas-ignored` requires the ignore.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Require {
    /// Unless the Application says that nothing scales it.
    #[default]
    Always,
    /// Where Argo CD has seen an autoscaler among the Application's resources.
    WhenAutoscaled,
    /// Nowhere.
    Never,
}

/// Settings of `cluster-credentials`.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterCredentialsSettings {
    /// What happens to a finding.
    pub action: Action,
    /// Names of the environments in which the rule holds, in place of its own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
    /// What the rule lets pass.
    #[schemars(length(max = 256))]
    pub exempt: Vec<Exemption>,
    /// Commands that `execProviderConfig` may run, exactly as written there.
    pub allow_exec: Vec<String>,
}

impl Default for ClusterCredentialsSettings {
    fn default() -> Self {
        ClusterCredentialsSettings {
            action: Action::default(),
            environments: None,
            exempt: Vec::new(),
            allow_exec: vec![ARGOCD_K8S_AUTH.to_owned()],
        }
    }
}

/// Settings of `blast-radius`.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BlastRadiusSettings {
    /// What happens to a finding.
    pub action: Action,
    /// Names of the environments in which the rule holds, in place of its own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
    /// What the rule lets pass.
    #[schemars(length(max = 256))]
    pub exempt: Vec<Exemption>,
    /// How many Applications of an environment one change may delete, by the environment's name.
    /// Environments that are not named are not limited.
    #[schemars(schema_with = "counts_by_name")]
    pub max_deletions: BTreeMap<String, u32>,
}

/// Settings of `unknown-fields`, which only warns unless it is told otherwise.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UnknownFieldsSettings {
    /// What happens to a finding.
    pub action: Action,
    /// Names of the environments in which the rule holds, in place of its own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
    /// What the rule lets pass.
    #[schemars(length(max = 256))]
    pub exempt: Vec<Exemption>,
}

impl Default for UnknownFieldsSettings {
    fn default() -> Self {
        UnknownFieldsSettings {
            action: Action::Warn,
            environments: None,
            exempt: Vec::new(),
        }
    }
}

/// The API server knows no unsigned integers.
fn counts_by_name(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "additionalProperties": {"type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX},
    })
}

/// Something that a rule lets pass. All that is given must match.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "size(self.projects) > 0 || size(self.applications) > 0 || size(self.clusters) > 0",
    "message": "an exemption must say what it is for: to switch the rule off, set its action to Off",
}]))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exemption {
    /// Globs on the project.
    #[serde(default)]
    pub projects: Vec<String>,
    /// Globs on `namespace/name` of the Application.
    #[serde(default)]
    pub applications: Vec<String>,
    /// Globs on the name of the cluster.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// Why. It is shown wherever the exemption decides.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
}

/// The Argo CD that is watched over.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ArgoCd {
    /// Names of its service accounts.
    pub service_accounts: ServiceAccounts,
}

/// Names of Argo CD's service accounts, in the namespace that it runs in.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServiceAccounts {
    /// The application controller's.
    pub application_controller: String,
    /// The ApplicationSet controller's.
    pub application_set_controller: String,
    /// The API server's, through which everybody comes who uses the UI or the CLI.
    pub server: String,
}

impl Default for ServiceAccounts {
    fn default() -> Self {
        ServiceAccounts {
            application_controller: "argocd-application-controller".to_owned(),
            application_set_controller: "argocd-applicationset-controller".to_owned(),
            server: "argocd-server".to_owned(),
        }
    }
}

impl ServiceAccounts {
    /// Whether a user name is one of Argo CD's own controllers or its API server.
    pub fn include(&self, username: &str, namespace: &str) -> bool {
        account(username, namespace).is_some_and(|name| {
            [
                &self.application_controller,
                &self.application_set_controller,
                &self.server,
            ]
            .iter()
            .any(|own| *own == name)
        })
    }

    /// Whether a user name is that of the application controller, which writes what Git says.
    pub fn is_application_controller(&self, username: &str, namespace: &str) -> bool {
        account(username, namespace) == Some(&self.application_controller)
    }

    /// Whether a user name is that of the ApplicationSet controller.
    pub fn is_application_set_controller(&self, username: &str, namespace: &str) -> bool {
        account(username, namespace) == Some(&self.application_set_controller)
    }

    /// Whether a user name is that of Argo CD's API server.
    pub fn is_server(&self, username: &str, namespace: &str) -> bool {
        account(username, namespace) == Some(&self.server)
    }
}

/// The name of a service account of a namespace, if that is what a user name stands for.
fn account<'u>(username: &'u str, namespace: &str) -> Option<&'u str> {
    username
        .strip_prefix("system:serviceaccount:")?
        .strip_prefix(namespace)?
        .strip_prefix(':')
}

/// A policy that contradicts itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPolicy {
    /// Two environments have one name.
    #[error("spec.environments: the name {0:?} is there twice")]
    RepeatedEnvironment(String),
    /// An environment to which nothing can belong.
    #[error("spec.environments[{0}].match: must say something: nothing belongs to the environment")]
    NothingBelongs(usize),
    /// A rule names an environment that is not there.
    #[error("spec.rules.{rule}.{field}: there is no environment {name:?}")]
    UnknownEnvironment {
        /// The rule.
        rule: RuleId,
        /// The setting.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// The environment of the engine is not there.
    #[error("spec.engine.environment: there is no environment {0:?}")]
    UnknownEngineEnvironment(String),
    /// A pattern that does not compile, and so would match nothing in silence.
    #[error("{field}: {pattern:?} is not a valid glob")]
    Glob {
        /// Path of the field.
        field: String,
        /// The pattern.
        pattern: String,
    },
    /// What is not the number of an account, and so would match nothing in silence.
    #[error(
        "{field}: {number:?} is not the number of an AWS account: expected twelve digits in quotes"
    )]
    Account {
        /// Path of the field.
        field: String,
        /// What is there.
        number: String,
    },
    /// A label selector that Kubernetes would refuse.
    #[error("{field}.{problem}")]
    Selector {
        /// Path of the selector.
        field: String,
        /// What is wrong with it.
        problem: InvalidSelector,
    },
    /// What is said about overrides makes no sense.
    #[error(transparent)]
    BreakGlass(#[from] InvalidTerms),
    /// An exemption without a reason.
    #[error("spec.rules.{rule}.exempt[{index}]: reason is required")]
    NoReason {
        /// The rule.
        rule: RuleId,
        /// Its place in the list.
        index: usize,
    },
    /// An exemption that would let everything pass.
    #[error(
        "spec.rules.{rule}.exempt[{index}]: one of projects, applications, clusters is required"
    )]
    ExemptsEverything {
        /// The rule.
        rule: RuleId,
        /// Its place in the list.
        index: usize,
    },
}

impl EnvironmentMatch {
    fn is_empty(&self) -> bool {
        *self == EnvironmentMatch::default()
    }
}

impl GitOpsPolicySpec {
    /// What keeps a policy that can be used from meaning what it says, as one sentence.
    pub fn flaw(&self) -> Option<&'static str> {
        let mut environments = self.environments.as_ref()?.iter();
        let has_production = environments.any(|environment| environment.production);
        (!has_production).then_some(NO_PRODUCTION)
    }

    pub(crate) fn environment_names(&self) -> Result<BTreeSet<&str>, InvalidPolicy> {
        let mut names = BTreeSet::new();
        for environment in self.environments.iter().flatten() {
            if !names.insert(environment.name.as_str()) {
                return Err(InvalidPolicy::RepeatedEnvironment(environment.name.clone()));
            }
        }
        let mut environments = self.environments.iter().flatten();
        if let Some(index) = environments.position(|environment| environment.r#match.is_empty()) {
            return Err(InvalidPolicy::NothingBelongs(index));
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_spec_is_the_defaults() {
        let spec: GitOpsPolicySpec = serde_json::from_str("{}").unwrap();
        assert_eq!(spec, GitOpsPolicySpec::default());
        assert_eq!(spec.rules.project_scope.action, Action::Deny);
    }

    #[test]
    fn a_policy_with_environments_names_one_that_is_production() {
        for (json, is_flawed) in [
            (r"{}", false),
            (r#"{"environments":null}"#, false),
            (r#"{"environments":[]}"#, true),
            (
                r#"{"environments":[{"name":"live","match":{"projects":["live"]}}]}"#,
                true,
            ),
            (
                r#"{"environments":[{"name":"live","production":true,"match":{"projects":["live"]}}]}"#,
                false,
            ),
        ] {
            let spec: GitOpsPolicySpec = serde_json::from_str(json).unwrap();
            assert_eq!(spec.flaw().is_some(), is_flawed, "{json}");
        }
    }

    #[test]
    fn a_misspelt_rule_or_parameter_is_an_error() {
        for json in [
            r#"{"rules":{"prod-autosync":{}}}"#,
            r#"{"rules":{"prod-auto-sync":{"acton":"Off"}}}"#,
            r#"{"rules":{"prod-auto-sync":{"action":"Of"}}}"#,
            r#"{"rules":{"prod-auto-sync":{"exempt":[{"projects":["a"]}]}}}"#,
        ] {
            assert!(
                serde_json::from_str::<GitOpsPolicySpec>(json).is_err(),
                "{json}"
            );
        }
    }

    #[test]
    fn only_argo_cds_own_accounts_are_its_own() {
        let accounts = ServiceAccounts::default();
        let server = "system:serviceaccount:argocd:argocd-server";
        assert!(accounts.include(server, "argocd"));
        assert!(accounts.is_server(server, "argocd"));
        assert!(!accounts.is_server(&server.replace("server", "x"), "argocd"));
        assert!(!accounts.include("system:serviceaccount:argocd-x:argocd-server", "argocd"));
        assert!(!accounts.include("system:serviceaccount:argocd:other", "argocd"));
        assert!(!accounts.include("argocd-server", "argocd"));
    }
}
