//! `addon list`: the releases of a fleet.

use futures::StreamExt as _;

use super::fleet::{Fleet, FleetArgs, Member};
use crate::addons::read::installed;
use crate::addons::{Installed, Problem};
use crate::args::{Format, OUTPUT, formats};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::block_on;
use crate::report::addons::AddonList;

/// List what Helm has installed on the clusters, and who manages it
///
/// Reads the releases that Helm keeps on each cluster of the fleet, by the contexts of the
/// kubeconfig and without the helm binary. A context is found by the server of a cluster, its name
/// in Argo CD, or the ARN of EKS; `--context-for` names it otherwise.
///
/// Who manages a release is worked out of who wrote its newest revision, of the field managers of
/// its objects, and of the marks by which Argo CD tracks them: Terraform, Helm (somebody by hand, or
/// a pipeline), Argo CD, or another program by its name. Several are told where several have left
/// something: a release that Terraform has and Argo CD tracks, or one that was upgraded by hand. -o
/// json says what tells so.
///
/// -n shows one namespace; the default is all. Values of releases are read and never shown.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What Helm has installed on all clusters, and who manages it
  kubectl gitops addon list

  # That of some clusters, for a ticket
  kubectl gitops addon list -l environment=production -o markdown

  # What tells who manages a release, as JSON
  kubectl gitops addon list --clusters prod-eu -n kube-system -o json

Exit status:
  0  the list is complete
  2  something could not be read, such as a cluster that does not answer")]
pub(super) struct ListArgs {
    #[command(flatten)]
    fleet: FleetArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each release on each cluster"),
    (Format::Wide, "The same with objects, Applications and more"),
    (Format::Json, "The list in JSON"),
    (Format::Yaml, "The list in YAML"),
    (Format::Name, "The names of the objects that hold releases"),
    (Format::Markdown, "The wide table in Markdown"),
];

/// How many clusters are read at once.
const CLUSTERS_AT_ONCE: usize = 16;

/// Reads, prints, says what could not be read.
pub(super) fn run(args: &ListArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let report = block_on(list(args, context))?;
    context.print(&report, args.output)?;
    for problem in &report.problems {
        let text = format!("cluster {}: {}", problem.cluster, problem.message);
        context.streams.error(&text);
    }
    Ok(if report.problems.is_empty() && report.is_whole_fleet {
        ExitStatus::Clean
    } else {
        ExitStatus::Failed
    })
}

async fn list(args: &ListArgs, context: &Context) -> Result<AddonList, CommandError> {
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let count = fleet.clusters.len();
    let progress = context.progress.begin("reading releases", Some(count));
    let read = futures::stream::iter(&fleet.clusters)
        .map(|member| of_cluster(&fleet, member, context))
        .buffer_unordered(CLUSTERS_AT_ONCE);
    let mut read = std::pin::pin!(read);
    let mut report = AddonList {
        releases: Vec::new(),
        problems: Vec::new(),
        clusters: count,
        is_whole_fleet: fleet.lacking.is_empty(),
        now: context.now(),
    };
    let mut reached = 0;
    while let Some((installed, problems)) = read.next().await {
        report.releases.extend(installed);
        report.problems.extend(problems);
        reached += 1;
        progress.reached(reached);
    }
    report.sort();
    Ok(report)
}

async fn of_cluster(
    fleet: &Fleet,
    member: &Member,
    context: &Context,
) -> (Vec<Installed>, Vec<Problem>) {
    let failed = |error: &dyn std::error::Error| {
        let problem = Problem {
            cluster: member.name().to_owned(),
            message: chain(error),
        };
        (Vec::new(), vec![problem])
    };
    let server = match fleet.connect(member, context).await {
        Ok(server) => server,
        Err(error) => return failed(&error),
    };
    let namespace = context.namespaces.given();
    match installed(&server, member.name(), namespace, &fleet.tracking).await {
        Ok(read) => read,
        Err(error) => failed(&error),
    }
}
