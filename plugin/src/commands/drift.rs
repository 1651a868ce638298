//! `drift`: what differs between Git and the clusters, and who did it.

mod between;
mod engine;
mod external_diff;
mod facts;
mod fix;
mod known;
mod local;
mod merge;
mod told;
mod watch;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use jiff::SignedDuration;

use self::external_diff::{Compared, ExternalDiff};
use self::facts::found;
use self::fix::FixArgs;
use self::merge::MergeArgs;
use crate::args::{ArgoCdServerArgs, Format, OUTPUT, SCOPE, SOURCE, ScopeArgs, formats};
use crate::context::Context;
use crate::drift::audit_log;
use crate::drift::filter::{Filter, Wanted};
use crate::drift::locate::locate;
use crate::drift::shard::Shard;
use crate::drift::{Drift, Source, Verdict, attribution};
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::block_on;
use crate::report::Report as _;
use crate::report::drift::DriftReport;
use crate::text::counted;

/// Show what differs between Git and the clusters, and who did it
///
/// Reads Applications of the cluster of the current context, and from argocd-server, where somebody
/// is logged in to it, what Argo CD compared: which fields of which resources differ, by whom since
/// when, of what kind that is, and what a sync would do. Nothing is written or refreshed. The values
/// of Secrets are never shown.
///
/// Who did it is the field manager that owns the field, which the API server notes; a field that is
/// gone has no owner any more. An audit log (--audit-log) names the person as well.
///
/// Without argocd-server it says what Applications say of themselves: which resources are out of
/// sync, but not in which fields. With --source local it generates the manifests of a checkout as
/// Argo CD would (--checkout), and compares them with the clusters themselves, by the contexts of the
/// kubeconfig.
///
/// A verdict of Argo CD's that is out of date is told as stale, and one that it could not reach as
/// unknown; neither counts as clean.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What differs, in all namespaces, production first
  kubectl gitops drift -A

  # What people changed on a cluster within the last day, and who they are
  kubectl gitops drift -A --cluster prod-eu --since 24h --hide-expected --audit-log audit.jsonl

  # Argo CD's own objects, also in what its own comparison leaves alone
  kubectl gitops drift --engine --checkout .

  # What Applications say of themselves, for a script
  kubectl gitops drift -A --source status -o json

  # Whether an Application drifts
  kubectl gitops drift shop-production -o name

  # What a promotion would change
  kubectl gitops drift --between shop-staging shop-production

  # The same for a whole environment
  kubectl gitops drift -l env=staging --with env=prod

  # The clusters of the second of three machines
  kubectl gitops drift -A --shard 1/3 -o json > shard-1.json

Causes:
  changed-by-hand        kubectl, Helm, or whatever a person or a pipeline runs
  changed-by-controller  another controller, or a webhook while Argo CD wrote
  autoscaled             an autoscaler
  not-synced-yet         Git has moved on since the last sync
  extra, missing         it is not in Git; it is not there
  unknown                nobody can tell, as of a field that is gone

Effects of a sync:
  nothing, in-place      it leaves the object alone, or changes only that
  restart                it changes a Pod template
  replace                the field cannot be changed: the object must be replaced
  create, delete         the latter only where Argo CD prunes by itself
  refused                the webhook does not let it, by its rules for Argo CD's own objects

Exit status:
  0  nothing differs
  1  something differs
  2  something that was asked for could not be seen, such as a stale or unknown Application,
     or the command line is wrong")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct DriftCommandArgs {
    #[command(subcommand)]
    command: Option<DriftCommand>,

    #[command(flatten)]
    args: DriftArgs,
}

// What is asked for. A doc comment would be the help of the command.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
struct DriftArgs {
    /// Names of Applications, also as NAMESPACE/NAME [default: all]
    #[arg(value_name = "APPLICATION")]
    applications: Vec<String>,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Only Applications of a project
    #[arg(long, value_name = "NAME", help_heading = SCOPE, hide_short_help = true)]
    project: Option<String>,

    /// Only Applications on a cluster, by name or server
    ///
    /// The name is the one that it has in Argo CD. kubectl's own flag of this name is
    /// --kubeconfig-cluster here.
    #[arg(long = "cluster", id = "on_cluster", value_name = "CLUSTER", help_heading = SCOPE)]
    cluster: Option<String>,

    /// Only Applications in an environment, such as production
    ///
    /// It is one of the GitOpsPolicy; `production` is whatever counts as that.
    #[arg(long, value_name = "NAME", hide_short_help = true, help_heading = SCOPE)]
    environment: Option<String>,

    /// Only resources of a kind; can be given several times
    #[arg(long = "kind", value_name = "KIND", hide_short_help = true, help_heading = SCOPE)]
    kinds: Vec<String>,

    /// Only what was written so recently, as in 30m, 24h or 7d
    ///
    /// What was written at a time that is not known may be as recent, and is shown.
    #[arg(long, value_name = "DURATION", value_parser = parse_since, help_heading = SCOPE)]
    since: Option<SignedDuration>,

    /// Only what a field manager or person did
    #[arg(long, value_name = "MANAGER|PERSON", hide_short_help = true, help_heading = SCOPE)]
    by: Option<String>,

    /// Leave out what autoscalers set
    #[arg(long, hide_short_help = true, help_heading = SCOPE)]
    hide_expected: bool,

    /// Only the clusters of one of several machines, as I/N: the first of four is 0/4
    ///
    /// Which clusters these are depends on nothing but their servers, so that the parts are all
    /// there is. What is of no cluster is told by the first. `kubectl gitops drift merge` puts the
    /// reports together. In an Indexed Job, I is `$(JOB_COMPLETION_INDEX)`. An audit log is of one
    /// cluster, for which no parts are needed.
    #[arg(long, value_name = "I/N", conflicts_with = "audit_log", hide_short_help = true, help_heading = SCOPE)]
    shard: Option<Shard>,

    /// What a promotion would change: the second Application against the first one
    ///
    /// Values and images come first. What differs in the names of environments alone, such as a
    /// path or a host, is left out and counted. What Git has of both comes from argocd-server, or
    /// from a checkout (--source local).
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], conflicts_with_all = ["applications", "engine", "with"], hide_short_help = true, help_heading = SCOPE)]
    between: Vec<String>,

    /// The same for all Applications of -l, against their counterparts that this selector selects
    #[arg(long, value_name = "SELECTOR", requires = "selector", conflicts_with_all = ["applications", "engine"], hide_short_help = true, help_heading = SCOPE)]
    with: Option<String>,

    /// Compare Argo CD's own objects with those of a checkout
    ///
    /// Applications, ApplicationSets and AppProjects of the cluster of the current context are
    /// compared with the manifests in --checkout, and Applications that an ApplicationSet makes with
    /// what it makes of the clusters there are. What Git says nothing of counts as well, such as
    /// `automated` that somebody added, which Argo CD's own comparison leaves alone.
    #[arg(long, conflicts_with_all = ["applications", "selector", "project", "on_cluster", "environment", "source", "exact", "context_for", "watch", "shard"], hide_short_help = true, help_heading = SOURCE)]
    engine: bool,

    /// Where differences come from: argocd, local or status
    ///
    /// argocd is argocd-server, local a checkout (--checkout), and status what Applications say of
    /// themselves. Without the flag it is argocd where somebody is logged in to it, else status.
    #[arg(long, value_name = "SOURCE", value_enum, default_value = "auto", hide_possible_values = true, help_heading = SOURCE)]
    source: SourceArg,

    #[command(flatten)]
    server: ArgoCdServerArgs,

    /// Checkout that --source local renders [default: the current folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, hide_short_help = true, help_heading = SOURCE)]
    checkout: Option<PathBuf>,

    /// URL of the repository that the checkout is of, where no remote of it says so
    #[arg(long, value_name = "URL", hide_short_help = true, help_heading = SOURCE)]
    repository: Option<String>,

    /// Context of the kubeconfig for a cluster, by its name in Argo CD or its server
    ///
    /// It is needed for a cluster whose context --source local cannot find by its server, its name
    /// or the ARN of EKS. It can be given several times.
    #[arg(long, value_name = "CLUSTER=CONTEXT", value_parser = parse_context, hide_short_help = true, help_heading = SOURCE)]
    context_for: Vec<(String, String)>,

    /// Ask each API server by dry runs what a sync would make of every object (--source local)
    #[arg(long, hide_short_help = true, help_heading = SOURCE)]
    exact: bool,

    /// Audit log of a cluster's API server, which names people
    ///
    /// The file `-` is standard input. Events of audit.k8s.io/v1 in JSON, one a line, or as
    /// CloudWatch Logs delivers those of EKS. The level Metadata is enough. A log is of one
    /// cluster, so name that by --cluster.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = SOURCE)]
    audit_log: Option<PathBuf>,

    #[command(flatten)]
    output: OutputArgs,

    /// Go on and tell what changes, until it is interrupted
    ///
    /// Applications are watched, and with --source local what they have on the clusters: nothing is
    /// asked again and again. A change comes as rows for the Application, or as a report in a line
    /// of JSON. The status is that of what was seen last. It takes the right to watch what is
    /// watched, and has the formats table, wide, json, yaml and name.
    #[arg(short, long, conflicts_with = "audit_log", hide_short_help = true, help_heading = OUTPUT)]
    watch: bool,
}

#[derive(Debug, Subcommand)]
enum DriftCommand {
    Merge(MergeArgs),
    Fix(Box<FixArgs>),
}

/// Where differences come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum SourceArg {
    /// argocd-server where somebody is logged in to it, else status
    Auto,
    /// argocd-server
    Argocd,
    /// A checkout, rendered here, and the clusters themselves
    Local,
    /// What Applications say of themselves
    Status,
}

const FORMATS: &[(Format, &str)] = &[
    (
        Format::Table,
        "A row for each resource that differs, and its fields",
    ),
    (Format::Wide, "The same, with nothing shortened"),
    (Format::Json, "All that was found, in JSON"),
    (Format::Yaml, "All that was found, in YAML"),
    (Format::Name, "The names of Applications that differ"),
    (Format::Diff, "A unified diff for each resource"),
    (
        Format::Markdown,
        "A table and its fields, for a pull request",
    ),
    (Format::Sarif, "Results for code scanning, by file and line"),
    (Format::Junit, "A test for each Application"),
    (Format::OpenMetrics, "Verdicts and counts, for monitoring"),
    (Format::Html, "A page with filters, in one file"),
];

/// The audit log.
#[derive(Debug, thiserror::Error)]
enum LogError {
    #[error("cannot read {}", .0.display())]
    Open(PathBuf, #[source] io::Error),
    #[error("{}", .0.display())]
    Read(PathBuf, #[source] audit_log::AuditLogError),
}

/// `CLUSTER=CONTEXT`. The server of a cluster may have a `=` in it, a context has none.
pub(super) fn parse_context(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((cluster, context)) if !cluster.is_empty() && !context.is_empty() => {
            Ok((cluster.to_owned(), context.to_owned()))
        }
        _ => Err("expected CLUSTER=CONTEXT".to_owned()),
    }
}

/// Reads, compares, prints.
pub(crate) fn run(args: &DriftCommandArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let DriftCommandArgs { command, args } = args;
    match command {
        Some(DriftCommand::Merge(args)) => merge::run(args, context),
        Some(DriftCommand::Fix(args)) => fix::run(args, context),
        None if !args.between.is_empty() || args.with.is_some() => between::run(args, context),
        None if args.watch => block_on(watch::run(args, context)),
        None => read(args, context),
    }
}

fn read(args: &DriftArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let mut drift = differing(args, context)?;
    let is_in_checkout = args.source == SourceArg::Local || args.engine;
    if is_in_checkout && args.output.output == Format::Sarif {
        locate(&mut drift, &args.work_trees()?);
    }
    tell(&mut drift, args.shard, args.output, context)
}

/// What differs of what is asked for.
fn differing(args: &DriftArgs, context: &Context) -> Result<Drift, CommandError> {
    let mut drift = block_on(async {
        if args.engine {
            engine::found(args, context).await
        } else {
            found(args, context).await
        }
    })?;
    if let Some(path) = &args.audit_log {
        let writes = writes(path, &attribution::wanted(&drift)).map_err(CommandError::new)?;
        attribution::attribute(&mut drift, &writes);
    }
    args.filter(context).apply(&mut drift);
    Ok(drift)
}

/// How results are told.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = OUTPUT)]
struct OutputArgs {
    /// As table, wide, json, name, diff, markdown, sarif, html, or others
    ///
    /// The others are yaml, junit and openmetrics. The program that `KUBECTL_EXTERNAL_DIFF` names
    /// shows -o diff.
    #[arg(short, long, value_name = "FORMAT", default_value = "table", hide_default_value = true, hide_possible_values = true, value_parser = formats(FORMATS))]
    output: Format,

    /// End with status 0 also where something differs
    #[arg(long, hide_short_help = true)]
    exit_zero: bool,

    /// End with status 0 or 1 also where something could not be seen
    #[arg(long, hide_short_help = true)]
    partial_ok: bool,
}

impl OutputArgs {
    /// Prints, or has another program show what differs and say whether anything does.
    fn print(
        self,
        report: &DriftReport<'_>,
        context: &Context,
    ) -> Result<Option<Compared>, CommandError> {
        if self.output == Format::Diff {
            for text in undiffed(report.drift) {
                context.streams.note(&text);
            }
            let diffs = report.diffs();
            if let Some(program) = ExternalDiff::of_environment().filter(|_| !diffs.is_empty()) {
                return program.run(&diffs, &context.streams).map(Some);
            }
        }
        context.print(report, self.output)?;
        Ok(None)
    }

    fn status(self, drift: &Drift) -> ExitStatus {
        self.status_of(drift, drift.has_drift())
    }

    fn status_of(self, drift: &Drift, differs: bool) -> ExitStatus {
        if !(drift.is_complete() || self.partial_ok) {
            ExitStatus::Failed
        } else if differs && !self.exit_zero {
            ExitStatus::Drifted
        } else {
            ExitStatus::Clean
        }
    }
}

/// Prints what was found, and says what could not be seen.
fn tell(
    drift: &mut Drift,
    shard: Option<Shard>,
    args: OutputArgs,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    drift.sort();
    tell_problems(drift, context);
    let report = DriftReport {
        drift,
        now: context.now(),
        shard,
        is_change: false,
    };
    let shown = args.print(&report, context)?;
    context.streams.status(&summary(drift));
    Ok(match shown {
        Some(Compared::Same) if undiffed(drift).is_empty() => args.status_of(drift, false),
        _ => args.status(drift),
    })
}

fn tell_problems(drift: &Drift, context: &Context) {
    for problem in &drift.problems {
        let text = format!("{}: {}", problem.object, problem.message);
        context.streams.error(&text);
    }
}

/// What differs and cannot be shown as a diff, as nobody says in which fields.
fn undiffed(drift: &Drift) -> Vec<String> {
    let applications = drift.applications.iter();
    let found = applications.flat_map(|application| {
        let name = application.overview.display_name();
        let resources = application.resources.iter();
        let unknown = resources.filter(|resource| resource.sides.is_none());
        let texts =
            unknown.map(|one| format!("{} of {name} differs: fields are not known", one.short()));
        let texts: Vec<_> = texts.collect();
        let is_bare = application.verdict == Verdict::Drifted && application.resources.is_empty();
        texts
            .into_iter()
            .chain(is_bare.then(|| format!("{name} differs: resources are not known")))
    });
    found.collect()
}

fn summary(drift: &Drift) -> String {
    let count = |verdict| drift.count(verdict);
    let from = match drift.source {
        Source::ArgoCd => "as Argo CD compared them",
        Source::Local => "as the checkout compares with the clusters",
        Source::Status => "by their status alone, which has no fields",
    };
    format!(
        "{}, {from}: {} clean, {} drifted, {} stale, {} unknown; {}",
        counted(drift.applications.len(), "Application"),
        count(Verdict::Clean),
        count(Verdict::Drifted),
        count(Verdict::Stale),
        count(Verdict::Unknown),
        match drift.resources() {
            1 => "1 resource differs".to_owned(),
            many => format!("{many} resources differ"),
        }
    )
}

fn writes(path: &PathBuf, wanted: &audit_log::Wanted) -> Result<Vec<audit_log::Write>, LogError> {
    let read = |error| LogError::Read(path.clone(), error);
    if path.as_os_str() == "-" {
        return audit_log::read(io::stdin().lock(), wanted).map_err(read);
    }
    let file = File::open(path).map_err(|error| LogError::Open(path.clone(), error))?;
    audit_log::read(BufReader::new(file), wanted).map_err(read)
}

impl DriftArgs {
    fn filter(&self, context: &Context) -> Filter {
        Filter {
            kinds: self.kinds.clone(),
            since: self
                .since
                .and_then(|since| context.now().checked_sub(since).ok()),
            by: self.by.clone(),
            hides_expected: self.hide_expected,
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            project: self.project.clone(),
            cluster: self.cluster.clone(),
            environment: self.environment.clone(),
        }
    }
}

/// Reads a duration as people write it; a day has 24 hours.
fn parse_since(text: &str) -> Result<SignedDuration, String> {
    let expected = || "expected a number with a unit, as in 30m, 24h or 7d".to_owned();
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    let duration = match days {
        Some(days) => SignedDuration::from_hours(i64::from(days) * 24),
        None => text.parse().map_err(|_| expected())?,
    };
    if duration.is_negative() {
        return Err(expected());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_people_write_it() {
        let hours = |hours| Ok(SignedDuration::from_hours(hours));
        assert_eq!(parse_since("24h"), hours(24));
        assert_eq!(parse_since("7d"), hours(168));
        assert_eq!(parse_since("90m"), Ok(SignedDuration::from_mins(90)));
        for wrong in ["", "soon", "-1h", "5"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }
}
