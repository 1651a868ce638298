//! What can be typed behind a command: kubectl's flags, and those that several commands share.

mod argocd_server;
mod argocd_version;
mod cluster;
mod dry_run;
mod exclusions;
mod facts;
mod findings;
mod format;
mod namespaces;
mod plan;
mod position;
mod repository;
mod rule;
mod scope;
pub(crate) mod target;

pub(crate) use self::argocd_server::{ArgoCdServerArgs, SOURCE};
pub(crate) use self::argocd_version::ArgoCdVersion;
pub(crate) use self::cluster::{ClusterArgs, RequestTimeout};
pub(crate) use self::dry_run::DryRun;
pub(crate) use self::exclusions::ExclusionArgs;
pub(crate) use self::facts::FactsArgs;
pub(crate) use self::findings::FindingsArgs;
pub(crate) use self::format::{Format, formats};
pub(crate) use self::namespaces::NamespaceArgs;
pub(crate) use self::plan::{PLAN, PlanArgs};
pub(crate) use self::position::{behind_the_command, flags_among};
pub(crate) use self::repository::RepositoryArgs;
pub(crate) use self::rule::{rule_names, rule_of, rule_parser};
pub(crate) use self::scope::ScopeArgs;
pub(crate) use self::target::Target;

/// Under which flags are shown that say what is known.
pub(crate) const FACTS: &str = "Facts";

/// Under which flags are shown that say which objects are meant.
pub(crate) const SCOPE: &str = "Scope";

/// Under which flags are shown that say how a result looks.
pub(crate) const OUTPUT: &str = "Output";

/// Under which kubectl's flags for the cluster are shown.
pub(crate) const CLUSTER: &str = "Cluster";
