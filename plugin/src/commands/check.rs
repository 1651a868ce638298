//! `check`: judges the manifests of a repository, without a cluster.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueHint;
use clap::builder::ArgPredicate;
use policy::{Completeness, Level, RuleId, registry};

use crate::argocd_namespace::ArgoCdNamespace;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::facts::{Facts, Source};
use crate::output::{self, CheckFormat, counted};
use crate::report::Report;
use crate::repository::Repository;
use crate::repository::problem::Problem;
use crate::repository::work_trees::{RepositoryArgs, WorkTrees};

/// Judge the Argo CD objects in files
///
/// Reads Applications, ApplicationSets, AppProjects and cluster Secrets from YAML and JSON files and
/// says what the admission webhook would deny. What is known about projects, clusters, Argo CD's
/// settings (`argocd-cm`) and the GitOpsPolicy is taken from the same files, and from --policy. A
/// project or cluster that is in none of them may exist elsewhere: what depends on it is `undecided`.
///
/// An ApplicationSet is judged by all Applications that it generates for the known clusters. Its git
/// generators read the Git work tree that the files are in, if a remote of it or --repository says
/// that it is of their repository. It counts as what `HEAD` and every branch are after the merge; a
/// tag or a commit is not at hand. What depends on that, on pull requests or on other things outside
/// is `undecided`.
///
/// Secrets outside of Argo CD's namespace are not judged: they are no clusters to it.
///
/// Folders are read with everything below them that ends in .yaml, .yml or .json, without what is
/// hidden or ignored by Git. Files without any object of Kubernetes are skipped, and so are the
/// templates of Helm charts and the patches that a kustomization names. A file that cannot be read
/// is reported and the others are judged.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # Judge everything below this folder
  kubectl gitops check

  # Judge one folder, with projects and policy that are kept elsewhere
  kubectl gitops check applications --policy bootstrap

  # Judge what Kustomize renders, and explain what is wrong
  kubectl kustomize overlays/prod | kubectl gitops check - --explain

Exit status:
  0  nothing is denied
  1  something is denied
  2  a file or an object could not be read, or the command line is wrong

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
    repository: RepositoryArgs,

    #[command(flatten)]
    namespace: ArgoCdNamespace,

    /// Count what is undecided as denied
    #[arg(long)]
    strict: bool,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: CheckFormat,

    /// Print the page of each rule that found something, after the table
    #[arg(long)]
    explain: bool,
}

/// Reads, judges, prints.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitStatus, CommandError> {
    if args.explain && !args.output.is_for_people() {
        return Err(CommandError::new(
            "--explain goes with -o table or wide only",
        ));
    }
    let namespace = args.namespace.name();
    let given = Repository::read(&args.policy, namespace);
    let paths: Vec<_> = args.paths.iter().chain(&args.filenames).collect();
    let judged = Repository::read(&paths, namespace);
    let unread_files = given.problems.iter().chain(&judged.problems);

    let mut facts = Facts::new(namespace, Completeness::Partial);
    facts.add(&judged.manifests, Source::Judged);
    facts.add(&given.manifests, Source::Given);
    for text in &facts.repeated {
        output::warning(text);
    }
    let mut inventory = facts
        .inventory()
        .inspect_err(|_| tell(&lines_of(unread_files.clone())))?;
    let work_trees = Arc::new(WorkTrees::of(&paths, &args.repository).map_err(CommandError::new)?);
    inventory.checkouts = Arc::clone(&work_trees) as _;
    let report = Report::of(&judged.manifests, &inventory);
    work_trees.warn_of_unknown_remotes();
    let problems = lines_of(unread_files.chain(facts.problems()).chain(&report.problems));
    tell(&problems);

    let counts_as_denied = |level| level == Level::Deny || args.strict && level == Level::Undecided;
    output::check(&report, &judged, args.output, counts_as_denied)?;
    if args.explain {
        output::print(&pages(&report))?;
    }
    output::status(&summary(&report, &judged, args.strict));

    let denied = report
        .findings
        .iter()
        .any(|located| counts_as_denied(located.finding.level));
    Ok(match (!problems.is_empty(), denied) {
        (true, _) => ExitStatus::Failed,
        (false, true) => ExitStatus::Denied,
        (false, false) => ExitStatus::Clean,
    })
}

/// Problems by file and line, each once: an object may be a fact and judged as well.
fn lines_of<'p>(problems: impl Iterator<Item = &'p Problem>) -> Vec<String> {
    let lines: BTreeSet<_> = problems
        .map(|problem| (problem.place(), chain(problem)))
        .collect();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn tell(problems: &[String]) {
    for problem in problems {
        output::error(problem);
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

fn summary(report: &Report, judged: &Repository, strict: bool) -> String {
    let counts = report.counts;
    let skipped = match judged.skipped {
        0 => String::new(),
        skipped => format!(" ({skipped} skipped)"),
    };
    let counted_as = match counts.undecided {
        1.. if strict => ", counted as denied",
        _ => "",
    };
    format!(
        "{}{skipped}, {}: {} denied, {} warned, {} undecided{counted_as}",
        counted(judged.files, "file"),
        counted(counts.objects, "object"),
        counts.denied,
        counts.warned,
        counts.undecided
    )
}
