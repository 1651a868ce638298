//! `cluster list`: the clusters of a fleet.

use clap::builder::PossibleValuesParser;

use crate::args::{Format, OUTPUT, SCOPE, formats};
use crate::clusters::live::{Clusters, read};
use crate::clusters::login::Login;
use crate::clusters::{Registration, Usage};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::block_on;
use crate::report::clusters::ClusterList;

/// List the clusters and how Argo CD logs in to each
///
/// The clusters of Argo CD's cluster Secrets and the one that it runs in: which environment each is
/// part of, how Argo CD logs in, when the credential in the Secret ends, how many Applications are
/// on it. Of a credential nothing is shown but its kind and its dates, which are read from the
/// claims of a token and from a certificate. The last line says how many clusters still have one.
///
/// A login is called `token`, `basic` or `certificate` by the credential that Argo CD uses; `aws`
/// where it signs a request to AWS (`awsAuthConfig`, or the same by `execProviderConfig`); `exec`
/// where it runs another command; `in-cluster` for its own service account; `capability` where EKS
/// runs Argo CD and nothing is written; `anonymous` where nothing is; `broken` where Argo CD cannot
/// use the Secret.
///
/// -o wide adds which ApplicationSets generate Applications for a cluster, and when its login was
/// last proven (annotation kubectl-gitops.io/verified).
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # Which clusters there are, and how Argo CD logs in to each
  kubectl gitops cluster list

  # Those that still have a bearer token, for a ticket
  kubectl gitops cluster list --login token -o markdown

  # Which ApplicationSets generate for each, as JSON
  kubectl gitops cluster list -o json

Exit status:
  0  the list is complete
  2  something could not be read")]
pub(super) struct ListArgs {
    /// Only clusters with this login; can be given several times
    #[arg(long, value_name = "LOGIN", value_delimiter = ',', hide_possible_values = true, value_parser = PossibleValuesParser::new(Login::NAMES), help_heading = SCOPE)]
    login: Vec<String>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each cluster"),
    (Format::Wide, "The same with ApplicationSets and more"),
    (Format::Json, "The list in JSON"),
    (Format::Yaml, "The list in YAML"),
    (Format::Name, "The names of the Secrets"),
    (Format::Markdown, "The wide table in Markdown"),
];

/// Reads, selects, prints.
pub(super) fn run(args: &ListArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let (clusters, usage) = block_on(list(context))?;
    let is_complete = clusters.lacking.is_empty();
    context.warn(&clusters.lacking);
    let report = ClusterList {
        clusters: args.selected(&clusters.all),
        of: &clusters.all,
        usage: &usage,
        now: context.now(),
    };
    context.print(&report, args.output)?;
    Ok(if is_complete {
        ExitStatus::Clean
    } else {
        ExitStatus::Failed
    })
}

async fn list(context: &Context) -> Result<(Clusters, Usage), CommandError> {
    let server = context.connect().await?;
    let namespace = context.argocd_namespace();
    let mut clusters = read(&server, namespace).await?;
    let usage = clusters.usage(&server, namespace).await?;
    Ok((clusters, usage))
}

impl ListArgs {
    fn selected<'r>(&self, all: &'r [Registration]) -> Vec<&'r Registration> {
        let is_meant = |one: &&Registration| {
            let login = one.login.as_str();
            self.login.is_empty() || self.login.iter().any(|meant| meant == login)
        };
        all.iter().filter(is_meant).collect()
    }
}
