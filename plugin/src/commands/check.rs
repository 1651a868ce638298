//! `check`: judges the manifests of a repository, without a cluster, or the objects that a cluster has.

mod files;
mod live;
mod skipped;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::ValueHint;
use clap::builder::ArgPredicate;
use policy::environment::ClustersByEnvironment;
use policy::{Level, RuleId, registry};

use crate::argocd_version::ArgoCdVersion;
use crate::cluster_access::ClusterArgs;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::facts::args::FactsArgs;
use crate::namespaces::NamespaceArgs;
use crate::output::{self, CheckFormat, CheckOutput};
use crate::production::production;
use crate::report::{Counts, Files, Located, Report, Unread};
use crate::repository::exclusions::ExclusionArgs;
use crate::repository::work_trees::RepositoryArgs;

/// Judge the Argo CD objects in files or in a cluster
///
/// Reads Applications, ApplicationSets, AppProjects and cluster Secrets from YAML and JSON files and
/// says what the admission webhook would deny. What is known about projects, clusters, Argo CD's
/// settings (`argocd-cm`) and the GitOpsPolicy is taken from the same files, and from --facts. A
/// project or cluster that is in none of them may exist elsewhere: what depends on it is `undecided`, and
/// is told once for each kind of fact below the table. The last line says which clusters count as
/// production, and names those that look as if they should.
///
/// With --facts live the files are judged by what the cluster of the current context knows: a project or
/// cluster that is neither there nor in a file does not exist. What may not be listed there is told,
/// and may exist. It is read, never written.
///
/// An ApplicationSet is judged by all Applications that it generates for the known clusters. Its git
/// generators read the Git work tree that the files are in, if a remote of it or --repository says
/// that it is of their repository. It counts as what `HEAD` and every branch are after the merge; a
/// tag or a commit is not at hand. What depends on that, on pull requests or on other things outside
/// is `undecided`.
///
/// An override (`break-glass`) in a file is told with its reason and its end, and turns what its rules
/// deny into warnings if the policy says `breakGlass.fromGit`. Without that it has no effect and is
/// denied, as the webhook refuses it; so is one that has expired or lasts too long.
///
/// Secrets outside of Argo CD's namespace are not judged: they are no clusters to it.
///
/// Folders are read with everything below them that ends in .yaml, .yml or .json, without what is
/// hidden, ignored by Git or excluded by --exclude. Files without an object of Argo CD are skipped,
/// whether they are YAML or not, and so are files with the mark +argocd:skip-file-rendering, the
/// templates of Helm charts and the patches that a kustomization names. Where that may hide objects
/// of Argo CD, it is said how to render them. What a kustomization changes before it is applied is
/// undecided where it would be denied: its overlays have the last word. A file that cannot be read,
/// and may hold an object of Argo CD, is reported and the others are judged.
///
/// With --live the objects of a cluster are judged in place of files, by all that is known there: a
/// project or cluster that is not there does not exist. It needs to list Applications,
/// ApplicationSets, AppProjects, and Secrets in Argo CD's namespace; a kind that may not be listed is
/// reported and the others are judged. Each object is judged as if it were new, but for a sync that is
/// under way. An override that stands on one turns what its rules deny into warnings until it ends, and
/// is told in the same way; that of an ApplicationSet does so for what it generates as well. One that
/// has expired, or that the policy does not allow, has no effect, and that is told beside what it named.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # Judge everything below this folder
  kubectl gitops check

  # Judge one folder, with projects and policy that are kept elsewhere
  kubectl gitops check applications --facts bootstrap

  # Judge one folder by the projects, clusters, settings and policy of the current context's cluster
  kubectl gitops check applications --facts live

  # Judge what Kustomize renders, and explain what is wrong
  kubectl kustomize overlays/prod | kubectl gitops check - --explain

  # Judge what is in the cluster of the current context, in all namespaces
  kubectl gitops check --live -A

  # The names of what is denied there of one team
  kubectl gitops check --live -A -l team=shop -o name

Exit status:
  0  nothing is denied
  1  something is denied
  2  a file, an object or a kind could not be read, or the command line is wrong
  3  there is no object to judge in the files

Called as a plugin of argocd, any status but 0 makes argocd print one more line to standard
output: `Error: exit status N`.")]
pub(crate) struct CheckArgs {
    /// Files and folders to judge; `-` is standard input
    #[arg(
        value_name = "PATH",
        default_value = ".",
        default_value_if("filenames", ArgPredicate::IsPresent, None::<&str>),
        value_hint = ValueHint::AnyPath
    )]
    paths: Vec<PathBuf>,

    /// The same as PATH, as kubectl has it; can be given several times
    #[arg(
        short,
        long = "filename",
        value_name = "PATH",
        value_hint = ValueHint::AnyPath
    )]
    filenames: Vec<PathBuf>,

    #[command(flatten)]
    facts: FactsArgs,

    #[command(flatten)]
    known: KnownArgs,

    #[command(flatten)]
    repository: RepositoryArgs,

    #[command(flatten)]
    exclusions: ExclusionArgs,

    /// Judge what is in the cluster of the current context
    #[arg(
        long,
        conflicts_with_all = ["paths", "filenames", "facts", "all_clusters_known", "RepositoryArgs", "ExclusionArgs"]
    )]
    live: bool,

    #[command(flatten)]
    scope: Scope,

    #[command(flatten)]
    version: ArgoCdVersion,

    #[command(flatten)]
    undecided: UndecidedArgs,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: CheckFormat,

    /// Print the page of each rule that found something, after the table
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// What becomes of what is undecided.
#[derive(Clone, Debug, clap::Args)]
struct UndecidedArgs {
    /// Count what is undecided as denied
    #[arg(long)]
    strict: bool,

    /// Show a row for each finding that is undecided, also where it only waits for a project, a cluster
    /// or another fact that is not known; --strict does so as well
    #[arg(long)]
    show_undecided: bool,
}

/// What the files are taken for.
#[derive(Clone, Debug, clap::Args)]
struct KnownArgs {
    /// The files have every cluster: one that is not there does not exist. Without this, what an
    /// ApplicationSet would generate for a cluster that is not among them is `undecided`
    #[arg(long)]
    all_clusters_known: bool,
}

/// Which objects are judged, and where Argo CD is.
#[derive(Clone, Debug, clap::Args)]
struct Scope {
    #[command(flatten)]
    namespaces: NamespaceArgs,

    /// Judge the objects of all namespaces of a cluster
    #[arg(short = 'A', long, conflicts_with = "namespace", requires = "live")]
    all_namespaces: bool,

    /// Label selector for the objects of a cluster, as for `kubectl get`
    #[arg(short = 'l', long, value_name = "SELECTOR", requires = "live")]
    selector: Option<String>,
}

/// What was checked, and what was found.
struct Checked {
    report: Report,
    /// What could not be read.
    problems: Vec<Unread>,
    /// Whether there may be more that should have been read.
    is_complete: bool,
    /// The files, where it is files that were checked.
    files: Option<Files>,
    /// What was checked, for people.
    what: String,
    /// Which clusters count as production.
    clusters: ClustersByEnvironment,
}

/// Reads, judges, prints.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitStatus, CommandError> {
    if args.explain && !args.output.is_for_people() {
        return Err(CommandError::new(
            "--explain goes with -o table or wide only",
        ));
    }
    if let Some(flag) = args.cluster.given()
        && !args.live
        && !args.facts.are_live()
    {
        return Err(without_cluster(flag));
    }
    let checked = if args.live {
        live::check(args)?
    } else {
        files::check(args)?
    };
    let Checked {
        report, problems, ..
    } = &checked;
    tell(problems);
    if let Some(files) = &checked.files {
        skipped::tell(files);
    }

    let counts_as_denied =
        |level| level == Level::Deny || args.undecided.strict && level == Level::Undecided;
    let shows_all = args.undecided.show_undecided || args.undecided.strict;
    let shown = |located: &Located| shows_all || !located.waits_for_facts();
    output::check(
        &CheckOutput {
            report,
            files: checked.files.as_ref(),
            unread: problems,
            clusters: &checked.clusters,
        },
        args.output,
        counts_as_denied,
        shown,
    )?;
    if args.explain {
        output::print(&pages(report, shown))?;
    }
    output::status(&summary(
        &checked.what,
        report.counts,
        args.undecided.strict,
    ));
    if let Some(production) = production(&checked.clusters) {
        output::status(&production);
    }

    let mut levels = report.findings.iter().map(|located| located.finding.level);
    let denied = levels.any(counts_as_denied);
    let is_complete = checked.is_complete && problems.is_empty();
    Ok(match (is_complete, denied) {
        (false, _) => ExitStatus::Failed,
        (true, true) => ExitStatus::Denied,
        (true, false) if checked.files.is_some() && report.counts.objects == 0 => {
            output::warning(NOTHING_TO_JUDGE);
            ExitStatus::NothingToJudge
        }
        (true, false) => ExitStatus::Clean,
    })
}

/// That a flag says which cluster is asked, and none is.
fn without_cluster(flag: &str) -> CommandError {
    CommandError::new(format!(
        "{flag}: no cluster is asked where files are judged"
    ))
    .hinted(
        "--live judges what is in the cluster, --facts live judges files by what the cluster knows",
    )
}

const NOTHING_TO_JUDGE: &str = "nothing was judged: there is no Application, ApplicationSet, AppProject or \
     cluster Secret in these files";

fn tell(problems: &[Unread]) {
    for problem in problems {
        output::error(&problem.message);
    }
}

fn pages(report: &Report, shown: impl Fn(&Located) -> bool) -> String {
    let rules: BTreeSet<RuleId> = report
        .findings
        .iter()
        .filter(|located| shown(located))
        .map(|located| located.finding.rule)
        .collect();
    let mut pages = String::new();
    for rule in registry::all().filter(|rule| rules.contains(&rule.id)) {
        pages.push('\n');
        pages.push_str(&rule.page());
    }
    pages
}

fn summary(what: &str, counts: Counts, strict: bool) -> String {
    let counted_as = match counts.undecided {
        1.. if strict => ", counted as denied",
        _ => "",
    };
    format!(
        "{what}: {} denied, {} warned, {} undecided{counted_as}",
        counts.denied, counts.warned, counts.undecided
    )
}
