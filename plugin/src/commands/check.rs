//! `check`: judges the manifests of a repository, without a cluster, or the objects that a cluster has.

mod files;
mod live;
mod skipped;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueHint;
use clap::builder::ArgPredicate;
use policy::{Level, RuleId, registry};

use crate::argocd_version::ArgoCdVersion;
use crate::break_glass::target::parse_name;
use crate::cluster_access::ClusterArgs;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::output::{self, CheckFormat};
use crate::report::{Counts, Report};
use crate::repository::exclusions::ExclusionArgs;
use crate::repository::problem::Problem;
use crate::repository::skipped::Skipped;
use crate::repository::work_trees::RepositoryArgs;

/// Judge the Argo CD objects in files or in a cluster
///
/// Reads Applications, ApplicationSets, AppProjects and cluster Secrets from YAML and JSON files and
/// says what the admission webhook would deny. What is known about projects, clusters, Argo CD's
/// settings (`argocd-cm`) and the GitOpsPolicy is taken from the same files, and from --policy. A
/// project or cluster that is in none of them may exist elsewhere: what depends on it is `undecided`. The
/// last line says which clusters count as production, and names those that look as if they should.
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
#[command(mut_group("ClusterArgs", |group| group.requires("live")))]
#[command(after_long_help = "\
Examples:
  # Judge everything below this folder
  kubectl gitops check

  # Judge one folder, with projects and policy that are kept elsewhere
  kubectl gitops check applications --policy bootstrap

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

    /// File or folder with more projects, clusters, settings or the GitOpsPolicy, which are not
    /// judged and override those among the judged files; can be given several times
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    policy: Vec<PathBuf>,

    #[command(flatten)]
    known: KnownArgs,

    #[command(flatten)]
    repository: RepositoryArgs,

    #[command(flatten)]
    exclusions: ExclusionArgs,

    /// Judge what is in the cluster of the current context
    #[arg(
        long,
        conflicts_with_all = ["paths", "filenames", "policy", "all_clusters_known", "RepositoryArgs", "ExclusionArgs"]
    )]
    live: bool,

    #[command(flatten)]
    scope: Scope,

    #[command(flatten)]
    version: ArgoCdVersion,

    /// Count what is undecided as denied
    #[arg(long)]
    strict: bool,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: CheckFormat,

    /// Print the page of each rule that found something, after the table
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    cluster: ClusterArgs,
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
    /// Namespace that Argo CD runs in, where objects without one count as being [default: argocd]
    #[arg(long, value_name = "NAMESPACE", value_parser = parse_name)]
    argocd_namespace: Option<String>,

    /// Namespace of the objects of a cluster, if it is not Argo CD's; for files the same as
    /// --argocd-namespace
    #[arg(short, long, value_parser = parse_name)]
    namespace: Option<String>,

    /// Judge the objects of all namespaces of a cluster
    #[arg(short = 'A', long, conflicts_with = "namespace", requires = "live")]
    all_namespaces: bool,

    /// Label selector for the objects of a cluster, as for `kubectl get`
    #[arg(short = 'l', long, value_name = "SELECTOR", requires = "live")]
    selector: Option<String>,
}

const ARGOCD_NAMESPACE: &str = "argocd";

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
    /// Which clusters count as production, for people; nothing where no cluster is known.
    production: Option<String>,
}

/// Which files were checked.
pub(crate) struct Files {
    /// How many were looked at.
    pub(crate) count: usize,
    /// Those of them that were not judged.
    pub(crate) skipped: Vec<Skipped>,
    /// The folders of kustomizations that change what was judged before it is applied, and how many objects of each.
    pub(crate) overlays: BTreeMap<Arc<str>, usize>,
    /// Kinds that look misspelt, and what is declared or generated more than once, in one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Reads, judges, prints.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitStatus, CommandError> {
    if args.explain && !args.output.is_for_people() {
        return Err(CommandError::new(
            "--explain goes with -o table or wide only",
        ));
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

    let counts_as_denied = |level| level == Level::Deny || args.strict && level == Level::Undecided;
    output::check(
        report,
        checked.files.as_ref(),
        problems,
        args.output,
        counts_as_denied,
    )?;
    if args.explain {
        output::print(&pages(report))?;
    }
    output::status(&summary(&checked.what, report.counts, args.strict));
    if let Some(production) = &checked.production {
        output::status(production);
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

const NOTHING_TO_JUDGE: &str = "nothing was judged: there is no Application, ApplicationSet, AppProject or \
     cluster Secret in these files";

/// What could not be read, as it is told.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Unread {
    /// Empty where it is in no file.
    pub(crate) file: String,
    /// 0 where it is the whole file.
    pub(crate) line: usize,
    /// With file and line.
    pub(crate) message: String,
}

/// Problems by file and line, each once: an object may be a fact and judged as well.
fn each_once<'p>(problems: impl Iterator<Item = &'p Problem>) -> Vec<Unread> {
    let problems: BTreeSet<_> = problems
        .map(|problem| {
            let (file, line) = problem.place();
            Unread {
                file: file.to_owned(),
                line,
                message: chain(problem),
            }
        })
        .collect();
    problems.into_iter().collect()
}

fn tell(problems: &[Unread]) {
    for problem in problems {
        output::error(&problem.message);
    }
}

fn pages(report: &Report) -> String {
    let rules: BTreeSet<RuleId> = report
        .findings
        .iter()
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
