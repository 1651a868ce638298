//! What `cluster onboard` is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use argocd::names::LABEL_SECRET_TYPE;
use clap::ValueHint;

use crate::args::{DryRun, FACTS, FactsArgs, Format, PlanArgs, formats};
use crate::context::Context;
use crate::error::CommandError;
use crate::onboarding::arn::{Arn, RoleArn};
use crate::onboarding::change::Login;
use crate::onboarding::facts::AwsFacts;
use crate::onboarding::registration::{Access, CLUSTER_ADMIN, Engine, Evidence, Registration};

/// Bring a cluster of EKS into the fleet, without a bearer token
///
/// Looks link by link at what takes Argo CD from its pods to the cluster: the role of its pods (Pod
/// Identity), a role in the cluster's account that they may assume, an access entry of the cluster
/// for that role with an access policy, and the cluster Secret with `awsAuthConfig`. Of each link
/// it says what is there, what should be, and which command makes it so. Shown with it are the
/// Secret that would be written, what the rules say of it, and which Applications ApplicationSets
/// would generate on the cluster.
///
/// AWS is asked with the credentials of its CLI, and the fleet is that of the current context's
/// cluster. --describe reads the cluster from the output of `aws eks describe-cluster` instead, so
/// that nobody needs credentials for a plan; the rest of AWS is then unknown, and the fleet is that
/// of --facts.
///
/// Nothing is changed without --apply. That does one step after the other, waits until AWS has it,
/// and can be run again. --aws-cli prints the same as commands. Either way nothing that is half
/// done grants anything: the Secret comes last. --terraform writes the AWS side for Terraform or
/// OpenTofu, --write the Secret for Git: there is no credential in it. Neither replaces a file that
/// says something else.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What a cluster lacks, going by its description
  aws eks describe-cluster --name prod-eu | kubectl gitops cluster onboard prod-eu --describe -

  # The commands that mend all links, with a role that is made for it
  kubectl gitops cluster onboard prod-eu --describe prod-eu.json --create-role argocd --aws-cli

  # Its Secret for Git
  kubectl gitops cluster onboard prod-eu --describe prod-eu.json --create-role argocd --write new

Exit status:
  0  every link is ok
  1  something is to be done, is wrong or is not known
  2  something could not be read or written, or the command line is wrong")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct OnboardArgs {
    /// Name of the cluster for Argo CD
    #[arg(value_name = "NAME", value_parser = parse_cluster_name)]
    pub(super) name: String,

    /// Output of `aws eks describe-cluster` to go by; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) describe: Option<PathBuf>,

    /// Name of the cluster in EKS [default: the description's or NAME]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(super) eks_cluster: Option<String>,

    /// Region of the cluster [default: the description's]
    #[arg(long, value_name = "REGION", hide_short_help = true)]
    pub(super) region: Option<String>,

    /// Role in the cluster's account that Argo CD assumes
    #[arg(long, value_name = "ARN", conflicts_with = "create_role")]
    pub(super) role_arn: Option<RoleArn>,

    /// The same, as the name of a role that is made for it
    #[arg(long, value_name = "NAME", value_parser = parse_role_name)]
    pub(super) create_role: Option<String>,

    /// Profile of AWS for the cluster's account
    #[arg(long, value_name = "PROFILE", hide_short_help = true)]
    pub(super) profile: Option<String>,

    /// Name in EKS of the cluster that Argo CD runs on
    #[arg(long, value_name = "NAME")]
    pub(super) engine_cluster: Option<String>,

    /// Role of Argo CD's pods
    #[arg(long, value_name = "ARN")]
    pub(super) engine_role_arn: Option<RoleArn>,

    /// Region of that cluster [default: --region]
    #[arg(long, value_name = "REGION", hide_short_help = true)]
    pub(super) engine_region: Option<String>,

    /// Profile of AWS for the account of that cluster
    #[arg(long, value_name = "PROFILE", hide_short_help = true)]
    pub(super) engine_profile: Option<String>,

    /// Argo CD is the one that AWS manages: `server` is the cluster's ARN, and there is no `config`
    #[arg(long, hide_short_help = true)]
    pub(super) capability: bool,

    /// What Argo CD may do: the name or ARN of an access policy of EKS
    #[arg(long, value_name = "POLICY", default_value = CLUSTER_ADMIN, value_parser = parse_policy, help_heading = ACCESS, hide_short_help = true)]
    access_policy: String,

    /// Only in these namespaces; `*` at the end means any text
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',', help_heading = ACCESS, hide_short_help = true)]
    access_namespaces: Vec<String>,

    /// Group of Kubernetes with rights of its own, in place of an access policy
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["access_policy", "access_namespaces"], help_heading = ACCESS, hide_short_help = true)]
    kubernetes_group: Option<String>,

    /// Label of the Secret, as KEY=VALUE; can be given several times
    #[arg(short, long = "label", value_name = "LABEL", value_parser = parse_label, value_delimiter = ',')]
    labels: Vec<(String, String)>,

    /// Annotation of the Secret, as KEY=VALUE; can be given several times
    #[arg(long = "annotation", value_name = "ANNOTATION", value_parser = parse_pair, help_heading = SECRET, hide_short_help = true)]
    annotations: Vec<(String, String)>,

    /// AppProject that the cluster belongs to
    #[arg(long, value_name = "PROJECT", help_heading = SECRET, hide_short_help = true)]
    project: Option<String>,

    /// Namespaces that Argo CD watches [default: all]
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',', help_heading = SECRET, hide_short_help = true)]
    namespaces: Vec<String>,

    /// Argo CD manages what is in no namespace as well, where --namespaces limits it
    #[arg(long, help_heading = SECRET, hide_short_help = true)]
    cluster_resources: bool,

    /// Shard of Argo CD's application controllers that takes the cluster
    #[arg(long, value_name = "NUMBER", help_heading = SECRET, hide_short_help = true)]
    shard: Option<u32>,

    /// Address by which Argo CD reaches the cluster [default: its endpoint]
    #[arg(long = "server", id = "secret_server", value_name = "URL", value_parser = parse_server, help_heading = SECRET, hide_short_help = true)]
    secret_server: Option<String>,

    /// Make it so, after the plan was shown and agreed to
    #[arg(long, conflicts_with_all = ["describe", "aws_cli"])]
    pub(super) apply: bool,

    /// Do it without asking
    #[arg(short, long, requires = "apply", hide_short_help = true)]
    yes: bool,

    /// Whether anything is written
    ///
    /// AWS cannot be asked what it would do: with `server` only the Secret is.
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        default_value_t,
        requires = "apply",
        hide_short_help = true
    )]
    dry_run: DryRun,

    /// Write the Secret to a folder, and name it in the kustomization there
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(super) write: Option<PathBuf>,

    /// Write the AWS side to a folder, for Terraform or OpenTofu
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(super) terraform: Option<PathBuf>,

    /// Print the commands that mend all links in place of the plan
    #[arg(long, conflicts_with = "output")]
    pub(super) aws_cli: bool,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS))]
    pub(super) output: Format,

    #[command(flatten)]
    pub(super) facts: FactsArgs,

    /// The facts have every cluster: one that is not there does not exist
    #[arg(long, requires = "facts", help_heading = FACTS, hide_short_help = true)]
    pub(super) all_clusters_known: bool,
}

const ACCESS: &str = "Access";
const SECRET: &str = "Secret";

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each link, and the Secret"),
    (Format::Wide, "The same with what should be in the row"),
    (Format::Json, "The plan in JSON"),
    (Format::Yaml, "The plan in YAML"),
];

/// Flags that contradict each other, or what is known.
#[derive(Debug, thiserror::Error)]
enum Contradiction {
    #[error("{flag} {given}: the description is of {found}")]
    Described {
        flag: &'static str,
        given: String,
        found: String,
    },
    #[error("{0}: no cluster is asked with --describe or --facts FILE, but with --facts live")]
    NoClusterAsked(&'static str),
    #[error("--create-role: the account of the cluster is not known, in which the role would be")]
    NoAccount,
    #[error(
        "--capability: the Argo CD that AWS manages assumes no role in the cluster's account; its own role is \
             --engine-role-arn"
    )]
    RoleOfCapability,
    #[error("-l {LABEL_SECRET_TYPE}: it says what the Secret is, and is set already")]
    SecretType,
}

impl OnboardArgs {
    /// Refuses what makes no sense together.
    pub(super) fn refuse_contradictions(&self, context: &Context) -> Result<(), CommandError> {
        let refused = |contradiction| Err(CommandError::new(contradiction));
        if let Some(flag) = context.cluster.given()
            && !self.asks_cluster()
            && !self.apply
        {
            return refused(Contradiction::NoClusterAsked(flag));
        }
        if self.capability && (self.role_arn.is_some() || self.create_role.is_some()) {
            return refused(Contradiction::RoleOfCapability);
        }
        if self.labels.iter().any(|(key, _)| key == LABEL_SECRET_TYPE) {
            return refused(Contradiction::SecretType);
        }
        Ok(())
    }

    /// Whether a cluster is asked about the fleet: where it is told to, and where nothing else is
    /// said.
    pub(super) fn asks_cluster(&self) -> bool {
        self.facts.are_live() || self.describe.is_none() && self.facts.paths().is_empty()
    }

    /// What becomes of the plan.
    pub(super) fn plan(&self) -> PlanArgs {
        PlanArgs {
            yes: self.yes,
            dry_run: self.dry_run,
        }
    }

    /// What is asked for, as far as the facts are needed to say it.
    ///
    /// # Errors
    /// The facts are of something else.
    pub(super) fn registration(
        &self,
        aws: &AwsFacts,
        context: &Context,
    ) -> Result<Registration, CommandError> {
        let described = aws.cluster.known();
        let of_description =
            |flag, given: &Option<String>, found: Option<String>| match (given, found) {
                (Some(given), Some(found)) if *given != found => {
                    let given = given.clone();
                    Err(CommandError::new(Contradiction::Described {
                        flag,
                        given,
                        found,
                    }))
                }
                (given, found) => Ok(given.clone().or(found)),
            };
        let name = described.map(|cluster| cluster.name.clone());
        let eks_cluster = of_description("--eks-cluster", &self.eks_cluster, name)?;
        let arn = described.and_then(|cluster| cluster.arn.parse::<Arn>().ok());
        let region = of_description("--region", &self.region, arn.map(|arn| arn.region))?;
        let mut registration = Registration {
            name: self.name.clone(),
            eks_cluster: eks_cluster.unwrap_or_else(|| self.name.clone()),
            cluster_role: self.role_arn.clone(),
            engine: Engine {
                cluster: self.engine_cluster.clone(),
                role: self.engine_role_arn.clone(),
                namespace: context.argocd_namespace().to_owned(),
                login: Login {
                    region: self.engine_region.clone().or_else(|| region.clone()),
                    profile: self.engine_profile.clone(),
                },
            },
            access: self.access(),
            server: self.secret_server.clone(),
            labels: self.labels.iter().cloned().collect(),
            annotations: self.annotations.iter().cloned().collect::<BTreeMap<_, _>>(),
            project: self.project.clone(),
            namespaces: self.namespaces.clone(),
            cluster_resources: self.cluster_resources,
            shard: self.shard,
            capability: self.capability,
            login: Login {
                region,
                profile: self.profile.clone(),
            },
        };
        if let Some(name) = &self.create_role {
            let evidence = Evidence {
                registration: &registration,
                aws,
            };
            let account = evidence
                .account()
                .ok_or_else(|| CommandError::new(Contradiction::NoAccount))?;
            let role = RoleArn::new(&evidence.partition(), &account, name);
            registration.cluster_role = Some(role);
        }
        Ok(registration)
    }

    fn access(&self) -> Access {
        match &self.kubernetes_group {
            Some(group) => Access::Group(group.clone()),
            None => Access::Policy {
                policy: self.access_policy.clone(),
                namespaces: self.access_namespaces.clone(),
            },
        }
    }
}

/// The name that Argo CD shows, which may be anything that people can read.
fn parse_cluster_name(text: &str) -> Result<String, String> {
    let is_name = !text.trim().is_empty()
        && text.trim() == text
        && text.chars().all(policy::finding::is_printed);
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("expected a name without blanks around it and control characters".to_owned())
    }
}

/// The name of a role of IAM: at most 64 of the characters that it takes.
fn parse_role_name(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(is_allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of a role, 1 to 64 letters, digits and +=,.@_-".to_owned())
    }
}

/// The name of an access policy, or its ARN.
fn parse_policy(text: &str) -> Result<String, String> {
    let invalid = || {
        "expected the name of an access policy of EKS, such as AmazonEKSEditPolicy, or its ARN, \
         arn:aws:eks::aws:cluster-access-policy/NAME"
            .to_owned()
    };
    let name = match text.parse::<Arn>() {
        Ok(arn) if arn.service == "eks" => arn
            .resource
            .strip_prefix("cluster-access-policy/")
            .map(str::to_owned),
        Ok(_) => None,
        Err(_) => Some(text.to_owned()),
    };
    let is_name =
        |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
    name.filter(is_name)
        .map(|_| text.to_owned())
        .ok_or_else(invalid)
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if is_key(key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = parse_pair(text)?;
    if value.is_empty() || is_part(&value) {
        Ok((key, value))
    } else {
        Err("expected a value of at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends".to_owned())
    }
}

/// A key of a label or annotation: `name` or `domain/name`.
fn is_key(key: &str) -> bool {
    let (prefix, name) = key
        .rsplit_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_domain = |prefix: &str| {
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        !prefix.is_empty() && prefix.len() <= 253 && prefix.chars().all(is_allowed)
    };
    prefix.is_none_or(is_domain) && is_part(name)
}

fn is_part(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(is_end)
        && text.ends_with(is_end)
        && text
            .chars()
            .all(|c| is_end(c) || matches!(c, '-' | '_' | '.'))
}

/// Where Argo CD talks to a cluster.
fn parse_server(text: &str) -> Result<String, String> {
    let invalid = || {
        "expected an address such as https://ABCDEF.gr7.eu-central-1.eks.amazonaws.com".to_owned()
    };
    let uri: http::Uri = text.parse().map_err(|_| invalid())?;
    let authority = uri.authority().ok_or_else(invalid)?;
    match uri.scheme_str() {
        Some("https") if !authority.as_str().contains('@') => Ok(text.to_owned()),
        Some("https") => Err("expected an address without user name and password".to_owned()),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_named_or_has_an_arn() {
        for text in [
            "AmazonEKSEditPolicy",
            "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
            "arn:aws-us-gov:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
        ] {
            assert_eq!(parse_policy(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "a b",
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws:eks::aws:cluster-access-policy/",
        ] {
            assert!(parse_policy(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_those_that_the_api_server_takes() {
        for text in ["environment=prod", "example.com/team=a.b_c-d", "empty="] {
            assert!(parse_label(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "a",
            "=b",
            "a=b c",
            "a=-b",
            "/a=b",
            "A.com/a=b",
            "a/b/c=d",
        ] {
            assert!(parse_label(text).is_err(), "{text}");
        }
        assert!(parse_label(&format!("a={}", "x".repeat(64))).is_err());
    }

    #[test]
    fn a_server_is_an_address_without_a_password() {
        assert!(parse_server("https://example.com:6443/path").is_ok());
        for text in [
            "",
            "example.com",
            "http://example.com",
            "https://",
            "https://a:b@example.com",
        ] {
            assert!(parse_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_what_people_can_read() {
        assert!(parse_cluster_name("Prod EU").is_ok());
        for text in ["", " a", "a\n"] {
            assert!(parse_cluster_name(text).is_err(), "{text:?}");
        }
        assert!(parse_role_name("argocd-deployer").is_ok());
        for text in ["", "a/b", "a b"] {
            assert!(parse_role_name(text).is_err(), "{text:?}");
        }
    }
}
