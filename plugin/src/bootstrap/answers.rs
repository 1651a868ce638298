//! What has to be known of a fleet before its repository can be laid out.
//!
//! Each answer is checked when it is read, from a flag or from a person, so that what is made of it
//! is whole: a name fits where it stands in other names, and nothing is a pattern that permits more
//! than it says.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::charts::{Addon, OtherVersion, is_exact};

/// All answers, which fit together.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    /// The repository that is laid out, as Argo CD reads it.
    pub(crate) repository: RepositoryAddress,
    /// What the devops cluster follows.
    pub(crate) revision: Revision,
    /// The namespace that Argo CD runs in.
    pub(crate) namespace: String,
    pub(crate) teams: Vec<Team>,
    pub(crate) environments: Vec<Environment>,
    /// The only environment that this Argo CD drives.
    pub(crate) engine: Option<EnvironmentName>,
    pub(crate) addons: BTreeSet<Addon>,
    pub(crate) versions: Vec<OtherVersion>,
    /// The version of Argo CD, where it is not its chart's.
    pub(crate) argocd_version: Option<ArgoCdVersion>,
    pub(crate) region: Region,
    pub(crate) channel: Channel,
    pub(crate) time_zone: TimeZone,
}

/// An environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Environment {
    pub(crate) name: EnvironmentName,
    pub(crate) is_production: bool,
}

/// Names of environments that are production unless somebody says which are.
const PRODUCTION: [&str; 2] = ["prod", "production"];

/// Answers that do not fit together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Contradiction {
    #[error("--environment: there is none")]
    NoEnvironment,
    #[error("--environment: {0} is named twice")]
    RepeatedEnvironment(EnvironmentName),
    #[error("--team: {0} is named twice")]
    RepeatedTeam(String),
    #[error("--team: none may be called {0}, as AppProjects of its own are")]
    ReservedTeam(String),
    #[error(
        "--production: none of the environments {0} is production, so no rule for production would hold anywhere: \
         expected one of them"
    )]
    NoProduction(String),
    #[error("{flag}: {name} is none of the environments: expected one of {environments}")]
    UnknownEnvironment {
        flag: &'static str,
        name: EnvironmentName,
        environments: String,
    },
    #[error("--chart: {0} is named twice")]
    RepeatedChart(Addon),
    #[error("--chart: {0} is none of the addons that are laid out (--addon)")]
    LeftOutChart(Addon),
    #[error("--argocd-version: argo-cd is none of the addons that are laid out (--addon)")]
    NoArgoCd,
    #[error("a namespace of {team} and {environment} would have more than 63 characters")]
    LongNamespace {
        team: String,
        environment: EnvironmentName,
    },
}

impl Environment {
    /// Environments by their names, of which some are production.
    ///
    /// # Errors
    /// There is none, one is named twice, or none is production.
    pub(crate) fn of_names(
        names: &[EnvironmentName],
        production: &[EnvironmentName],
    ) -> Result<Vec<Self>, Contradiction> {
        if names.is_empty() {
            return Err(Contradiction::NoEnvironment);
        }
        if let Some(name) = repeated(names) {
            return Err(Contradiction::RepeatedEnvironment(name.clone()));
        }
        let all = || listed(names);
        if let Some(name) = production.iter().find(|name| !names.contains(name)) {
            return Err(Contradiction::UnknownEnvironment {
                flag: "--production",
                name: name.clone(),
                environments: all(),
            });
        }
        let is_production = |name: &EnvironmentName| match production {
            [] => PRODUCTION.contains(&name.as_str()),
            some => some.contains(name),
        };
        let environments: Vec<Environment> = names
            .iter()
            .map(|name| Environment {
                is_production: is_production(name),
                name: name.clone(),
            })
            .collect();
        if environments
            .iter()
            .any(|environment| environment.is_production)
        {
            Ok(environments)
        } else {
            Err(Contradiction::NoProduction(all()))
        }
    }
}

impl Answers {
    /// Whether the answers fit together.
    ///
    /// # Errors
    /// The first that do not.
    pub(crate) fn check(&self) -> Result<(), Contradiction> {
        let names: Vec<&str> = self.teams.iter().map(|team| team.name.as_str()).collect();
        if let Some(name) = repeated(&names) {
            return Err(Contradiction::RepeatedTeam((*name).to_owned()));
        }
        if let Some(name) = names.iter().find(|name| **name == PLATFORM) {
            return Err(Contradiction::ReservedTeam((*name).to_owned()));
        }
        let environments: Vec<EnvironmentName> = self
            .environments
            .iter()
            .map(|environment| environment.name.clone())
            .collect();
        if let Some(engine) = &self.engine
            && !environments.contains(engine)
        {
            return Err(Contradiction::UnknownEnvironment {
                flag: "--engine",
                name: engine.clone(),
                environments: listed(&environments),
            });
        }
        self.check_namespaces()?;
        self.check_charts()
    }

    fn check_namespaces(&self) -> Result<(), Contradiction> {
        for team in &self.teams {
            for environment in &self.environments {
                if team.project(&environment.name).len() > LABEL_LIMIT {
                    return Err(Contradiction::LongNamespace {
                        team: team.name.clone(),
                        environment: environment.name.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn check_charts(&self) -> Result<(), Contradiction> {
        let charts: Vec<Addon> = self.versions.iter().map(|other| other.addon).collect();
        if let Some(addon) = repeated(&charts) {
            return Err(Contradiction::RepeatedChart(*addon));
        }
        if let Some(addon) = charts.iter().find(|addon| !self.has(**addon)) {
            return Err(Contradiction::LeftOutChart(*addon));
        }
        if self.argocd_version.is_some() && !self.has(Addon::ArgoCd) {
            return Err(Contradiction::NoArgoCd);
        }
        Ok(())
    }

    /// Whether an addon is laid out.
    pub(crate) fn has(&self, addon: Addon) -> bool {
        self.addons.contains(&addon)
    }

    /// The version of an addon's chart.
    pub(crate) fn version_of(&self, addon: Addon) -> &str {
        let mut others = self.versions.iter();
        let other = others.find(|other| other.addon == addon);
        other.map_or(addon.published().version, |other| &other.version)
    }

    /// The environments that this Argo CD drives.
    pub(crate) fn driven(&self) -> impl Iterator<Item = &Environment> {
        self.environments
            .iter()
            .filter(|environment| match &self.engine {
                Some(engine) => environment.name == *engine,
                None => true,
            })
    }
}

/// Whose AppProjects the addons are in.
pub(crate) const PLATFORM: &str = "platform";

fn repeated<T: PartialEq>(items: &[T]) -> Option<&T> {
    let mut indexed = items.iter().enumerate();
    let found = indexed.find(|(index, item)| items[..*index].contains(item));
    found.map(|(_, item)| item)
}

fn listed(names: &[impl fmt::Display]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// An answer that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}: expected {expected}")]
pub(crate) struct Unusable {
    reason: String,
    expected: &'static str,
}

impl Unusable {
    fn new(text: &str, expected: &'static str) -> Self {
        Unusable {
            reason: format!("{text:?}"),
            expected,
        }
    }
}

/// Declares an answer that is one text, with what it may be and what is said where it is not.
macro_rules! answer {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $is_fit:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub(crate) struct $name(String);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Unusable;

            fn from_str(text: &str) -> Result<Self, Unusable> {
                let is_fit: fn(&str) -> bool = $is_fit;
                if is_fit(text) {
                    Ok($name(text.to_owned()))
                } else {
                    Err(Unusable::new(text, $expected))
                }
            }
        }
    };
}

answer! {
    /// The name of an environment. It has no hyphen, as it ends names of projects and begins those
    /// of clusters: `prod-eu` is a cluster of `prod`.
    EnvironmentName,
    "lower-case letters and digits, a letter first, at most 20, such as prod",
    |text| {
        text.len() <= 20
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    }
}

impl EnvironmentName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

answer! {
    /// A branch or tag.
    Revision,
    "a branch or tag, such as main",
    |text| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        text != "HEAD"
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(is_allowed)
            && !text.contains("..")
            && !text.contains("//")
            && !text.ends_with(['/', '.'])
    }
}

answer! {
    /// A version of Argo CD.
    ArgoCdVersion,
    "a version of Argo CD such as v3.6.1",
    is_exact
}

impl ArgoCdVersion {
    /// As the images are tagged, with a `v`.
    pub(crate) fn tag(&self) -> String {
        format!("v{}", self.0.trim_start_matches('v'))
    }
}

answer! {
    /// A region of AWS.
    Region,
    "a region of AWS such as eu-central-1",
    |text| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }
}

answer! {
    /// A channel of Slack, without the hash sign.
    Channel,
    "the name of a channel without the hash sign, such as deployments",
    |text| {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        !text.is_empty() && text.len() <= 80 && text.chars().all(is_allowed)
    }
}

answer! {
    /// A time zone by its IANA name.
    TimeZone,
    "the IANA name of a time zone, such as UTC or Europe/Berlin",
    |text| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
        text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(is_allowed)
            && (text == "UTC" || text.contains('/'))
            && !text.ends_with('/')
    }
}

/// The URL of a repository, as Argo CD reads it and an AppProject permits it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RepositoryAddress(String);

/// How somebody logs in to a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RepositoryLogin {
    Password,
    SshKey,
    /// It is a folder.
    None,
}

const REPOSITORY: &str = "the URL of a Git repository without credentials and patterns, such as https://git.example.com/platform/fleet.git \
     or git@git.example.com:platform/fleet.git";

impl RepositoryAddress {
    /// How somebody logs in to it.
    pub(crate) fn login(&self) -> RepositoryLogin {
        match self.0.split_once("://") {
            Some(("http" | "https", _)) => RepositoryLogin::Password,
            Some(("file", _)) => RepositoryLogin::None,
            _ => RepositoryLogin::SshKey,
        }
    }
}

impl fmt::Display for RepositoryAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RepositoryAddress {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let is_allowed = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-' | '_' | '~' | '@' | '%')
        };
        let is_one = text.chars().all(is_allowed)
            && match text.split_once("://") {
                Some(("https" | "http", rest)) => is_host_and_path(rest) && !rest.contains('@'),
                Some(("ssh", rest)) => is_host_and_path(rest) && !has_password(rest),
                Some(("file", rest)) => rest.starts_with('/') && rest.len() > 1,
                Some(_) => false,
                None => text
                    .split_once(':')
                    .is_some_and(|(host, path)| is_host_of_scp(host) && !path.is_empty()),
            };
        if is_one {
            return Ok(RepositoryAddress(text.to_owned()));
        }
        // What it is refused for may be a credential, which is repeated nowhere.
        let reason = if text.contains('@') && text.contains("://") {
            "this URL".to_owned()
        } else {
            format!("{text:?}")
        };
        Err(Unusable {
            reason,
            expected: REPOSITORY,
        })
    }
}

fn is_host_and_path(rest: &str) -> bool {
    rest.split_once('/')
        .is_some_and(|(host, path)| !host.is_empty() && !path.is_empty())
}

fn has_password(rest: &str) -> bool {
    rest.split_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
}

/// `git@git.example.com`, or the host alone.
fn is_host_of_scp(host: &str) -> bool {
    let name = host.split_once('@').map_or(host, |(_, name)| name);
    name.contains('.') && !name.contains(['/', '@'])
}

/// A team, and where its Applications come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Team {
    pub(crate) name: String,
    /// None for the repository that is laid out.
    pub(crate) repository: Option<RepositoryAddress>,
}

const LABEL_LIMIT: usize = 63;

const TEAM: &str =
    "a name of lower-case letters, digits and hyphens, or NAME=URL with the team's repository";

impl Team {
    /// The AppProject of the team in an environment, and the namespace.
    pub(crate) fn project(&self, environment: &EnvironmentName) -> String {
        format!("{}-{environment}", self.name)
    }
}

impl fmt::Display for Team {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl FromStr for Team {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let (name, url) = match text.split_once('=') {
            Some((name, url)) => (name, Some(url)),
            None => (text, None),
        };
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name.chars().all(is_allowed)
            && name.len() <= LABEL_LIMIT;
        if !is_name {
            return Err(Unusable::new(name, TEAM));
        }
        Ok(Team {
            name: name.to_owned(),
            repository: url.map(str::parse).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_without_credentials_and_patterns() {
        for (url, login) in [
            (
                "https://git.example.com/platform/fleet.git",
                RepositoryLogin::Password,
            ),
            (
                "https://git.example.com:8443/fleet",
                RepositoryLogin::Password,
            ),
            (
                "ssh://git@git.example.com:22/fleet.git",
                RepositoryLogin::SshKey,
            ),
            (
                "git@git.example.com:platform/fleet.git",
                RepositoryLogin::SshKey,
            ),
            ("file:///srv/fleet.git", RepositoryLogin::None),
        ] {
            let address = url.parse::<RepositoryAddress>();
            assert_eq!(address.map(|address| address.login()), Ok(login), "{url}");
        }
        for wrong in [
            "",
            "fleet",
            "https://",
            "https://git.example.com",
            "https://git.example.com/*",
            "https://git.example.com/a b.git",
            "https://git.example.com/[a].git",
            "!https://git.example.com/fleet.git",
            "oci://registry.example.com/fleet",
            "file://fleet",
            "https://git.example.com/fleet.git\nspec: {}",
        ] {
            assert!(wrong.parse::<RepositoryAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_credential_in_a_url_is_refused_and_not_repeated() {
        for url in [
            "https://alice:hunter2@git.example.com/fleet.git",
            "https://hunter2@git.example.com/fleet.git",
            "ssh://git:hunter2@git.example.com/fleet.git",
        ] {
            let error = url.parse::<RepositoryAddress>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
            let error = format!("orders={url}").parse::<Team>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn names_fit_where_they_stand_in_other_names() {
        for name in ["prod", "staging2"] {
            assert!(name.parse::<EnvironmentName>().is_ok(), "{name}");
        }
        for name in ["", "Prod", "prod-eu", "2", "prod*", "aaaaaaaaaaaaaaaaaaaaa"] {
            assert!(name.parse::<EnvironmentName>().is_err(), "{name}");
        }
        for name in ["orders", "order-desk", "o2"] {
            assert!(name.parse::<Team>().is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a_b", "a*", "a b"] {
            assert!(name.parse::<Team>().is_err(), "{name}");
        }
        for revision in ["main", "v1.0.0", "release/2026-11"] {
            assert!(revision.parse::<Revision>().is_ok(), "{revision}");
        }
        for revision in [
            "", "HEAD", "-x", "a..b", "a b", "a//b", "a/", "main~1", "a:b",
        ] {
            assert!(revision.parse::<Revision>().is_err(), "{revision}");
        }
        for zone in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"] {
            assert!(zone.parse::<TimeZone>().is_ok(), "{zone}");
        }
        for zone in ["", "utc", "Berlin", "Europe/", "Europe/Berlin x"] {
            assert!(zone.parse::<TimeZone>().is_err(), "{zone}");
        }
        for (tag, is_one) in [("v3.6.1", true), ("3.6.1", true), ("v3.6", false)] {
            assert_eq!(tag.parse::<ArgoCdVersion>().is_ok(), is_one, "{tag}");
        }
    }

    #[test]
    fn some_environment_is_production() {
        let names = |names: &[&str]| -> Vec<EnvironmentName> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        let production = |environments: Vec<Environment>| -> Vec<String> {
            let production = environments.into_iter().filter(|one| one.is_production);
            production.map(|one| one.name.to_string()).collect()
        };
        let of_names = |all: &[&str], some: &[&str]| {
            Environment::of_names(&names(all), &names(some)).map(production)
        };
        assert_eq!(of_names(&["staging", "prod"], &[]), Ok(vec!["prod".into()]));
        assert_eq!(
            of_names(&["test", "live"], &["live"]),
            Ok(vec!["live".into()])
        );
        // Whoever says which are production says it of all.
        assert_eq!(
            of_names(&["prod", "live"], &["live"]),
            Ok(vec!["live".into()])
        );
        for (all, some) in [
            (&[][..], &[][..]),
            (&["test", "live"], &[]),
            (&["test"], &["live"]),
            (&["test", "test"], &["test"]),
        ] {
            assert!(of_names(all, some).is_err(), "{all:?} {some:?}");
        }
    }
}
