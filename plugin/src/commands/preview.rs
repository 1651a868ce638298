//! `preview`: which Applications come, change and go with an ApplicationSet or a cluster Secret.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueHint;
use policy::Completeness;
use policy::fan_out::Change;

use crate::argocd_namespace::ArgoCdNamespace;
use crate::argocd_version::ArgoCdVersion;
use crate::cluster_access::{ClusterArgs, block_on};
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::facts::{Facts, Source};
use crate::output::preview::PreviewFormat;
use crate::output::{self, counted};
use crate::preview::{Intent, Preview, Verdict};
use crate::report::Unread;
use crate::repository::Repository;
use crate::repository::exclusions::{ExclusionArgs, Exclusions};
use crate::repository::problem::Problem;
use crate::repository::work_trees::{RepositoryArgs, WorkTrees};

/// Show which Applications a change would create, change and delete
///
/// FILE holds ApplicationSets and cluster Secrets as they would be. These are compared with what the
/// cluster has now, or with files if --against names some. One that is not there yet is new; of one
/// that is, FILE has all of it: a label that is missing in FILE is taken away. Projects, settings and
/// the GitOpsPolicy in FILE count as applied before. Nothing is written to the cluster.
///
/// For each Application that comes, changes or goes: the cluster, the project and the environments
/// that it belongs to, and the verdict of the rules, which the admission webhook would give. It needs
/// to list AppProjects, ApplicationSets, and Secrets in Argo CD's namespace.
///
/// Git generators read the Git work tree that FILE is in, as for `check`. What cannot be worked out,
/// such as pull requests, is listed below the table, and so are ApplicationSets on which Argo CD
/// fails. Whether an Application was changed by hand since it was generated plays no part.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What an ApplicationSet would do to the cluster of the current context
  kubectl gitops preview -f applicationsets/ingress.yaml

  # What deleting it would do
  kubectl gitops preview -f applicationsets/ingress.yaml --delete

  # What a new label on a cluster Secret would do, going by the files of a repository alone
  kubectl gitops preview -f clusters/staging-us.yaml --against bootstrap --against applicationsets

  # The names of the Applications that would go with a cluster
  kubectl gitops preview -f clusters/prod-eu.yaml --delete -o name

Exit status:
  0  nothing changes
  1  something changes, or may change, and nothing of it is denied
  2  something could not be read, or Argo CD fails on an ApplicationSet
  3  an object in FILE, or an Application that it would generate, is denied

Called as a plugin of argocd, any status but 0 makes argocd print one more line to standard
output: `Error: exit status N`.")]
pub(crate) struct PreviewArgs {
    /// File or folder with ApplicationSets and cluster Secrets, `-` is standard input; can be given
    /// several times
    #[arg(
        short,
        long = "filename",
        value_name = "FILE",
        required = true,
        value_hint = ValueHint::AnyPath
    )]
    filenames: Vec<PathBuf>,

    /// File or folder that stands for the cluster: what is in it is there, and nothing else is known;
    /// can be given several times. Without --delete, FILE itself is left out of it
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with = "ClusterArgs",
        value_hint = ValueHint::AnyPath
    )]
    against: Vec<PathBuf>,

    /// Show what deleting the objects in FILE would do; what else FILE says of them plays no part
    #[arg(long)]
    delete: bool,

    /// The files of --against have every cluster: one that is not there does not exist
    #[arg(long, requires = "against")]
    all_clusters_known: bool,

    #[command(flatten)]
    repository: RepositoryArgs,

    #[command(flatten)]
    exclusions: ExclusionArgs,

    #[command(flatten)]
    namespace: ArgoCdNamespace,

    #[command(flatten)]
    version: ArgoCdVersion,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: PreviewFormat,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Reads, compares, prints.
pub(crate) fn run(args: &PreviewArgs) -> Result<ExitStatus, CommandError> {
    let exclusions = Arc::new(args.exclusions.exclusions());
    let proposed = Repository::read(&args.filenames, &exclusions, args.namespace.name());
    if proposed.problems.is_empty() && !proposed.fans_out() {
        return Err(
            CommandError::new("there is no ApplicationSet and no cluster Secret in FILE")
                .hinted("a cluster Secret has the label argocd.argoproj.io/secret-type: cluster"),
        );
    }
    let mut known = args.known(&exclusions)?;
    args.version.apply(&mut known.facts);
    let work_trees =
        Arc::new(WorkTrees::of(&args.filenames, &args.repository).map_err(CommandError::new)?);
    let intent = if args.delete {
        Intent::Delete
    } else {
        Intent::Apply
    };
    let checkouts = Arc::clone(&work_trees) as _;
    let preview = Preview::of(&proposed.manifests, intent, known.facts, &checkouts)?;

    work_trees.warn_of_unknown_remotes();
    let unread = proposed.problems.iter().chain(&preview.problems);
    let problems = Unread::each_once(known.problems.iter().chain(unread));
    for problem in &problems {
        output::error(&problem.message);
    }
    output::preview::print(&preview, &problems, args.output)?;
    output::status(&summary(&preview));

    Ok(
        if !problems.is_empty() || !preview.not_expanded.is_empty() {
            ExitStatus::Failed
        } else if preview.is_denied() {
            ExitStatus::ChangesDenied
        } else if preview.is_nothing() {
            ExitStatus::Clean
        } else {
            ExitStatus::Changes
        },
    )
}

/// What there is now.
struct Known {
    facts: Facts,
    /// What could not be read of it.
    problems: Vec<Problem>,
}

impl PreviewArgs {
    fn known(&self, exclusions: &Arc<Exclusions>) -> Result<Known, CommandError> {
        if self.against.is_empty() {
            self.live()
        } else {
            Ok(self.files(exclusions))
        }
    }

    fn files(&self, exclusions: &Arc<Exclusions>) -> Known {
        let namespace = self.namespace.name();
        // What FILE says is to come; but what is deleted must be there.
        let given = if self.delete {
            Repository::read(&self.against, exclusions, namespace)
        } else {
            let (given, left_out) =
                Repository::read_without(&self.against, &self.filenames, exclusions, namespace);
            for name in left_out {
                output::warning(&format!(
                    "{name} is part of --against and left out of it: what it holds counts as new, \
                     so nothing in it is shown as changed or deleted"
                ));
            }
            given
        };
        let completeness = if self.all_clusters_known {
            Completeness::AllClusters
        } else {
            Completeness::Partial
        };
        let mut facts = Facts::new(namespace, completeness);
        facts.add(&given.manifests, Source::State);
        for text in &facts.repeated {
            output::warning(text);
        }
        let mut problems = given.problems;
        problems.extend(facts.take_problems());
        Known { facts, problems }
    }

    fn live(&self) -> Result<Known, CommandError> {
        let (mut facts, lacking) = block_on(async {
            let server = self.cluster.connect().await.map_err(|error| {
                let is_without = error.is_without_cluster();
                or_files(error.into(), is_without)
            })?;
            let read = Facts::of_cluster(&server, self.namespace.name()).await;
            read.map_err(|error| {
                let is_without = error.is_without_answer();
                or_files(error.into(), is_without)
            })
        })?;
        facts.tell_what_lacks(&lacking);
        Ok(Known {
            facts,
            problems: Vec::new(),
        })
    }
}

/// Says that files will do where there is no cluster.
fn or_files(error: CommandError, is_without: bool) -> CommandError {
    if is_without {
        error.hinted("compare with files instead by --against PATH")
    } else {
        error
    }
}

fn summary(preview: &Preview) -> String {
    let orphaned = match preview.changes(Change::Orphan) {
        0 => String::new(),
        count => format!(", {count} left behind"),
    };
    format!(
        "{}: {} created, {} changed, {} deleted{orphaned}; {} denied, {} undecided",
        counted(preview.affected.len(), "Application"),
        preview.changes(Change::Create),
        preview.changes(Change::Change),
        preview.changes(Change::Delete),
        preview.count(Verdict::Denied),
        preview.count(Verdict::Undecided)
    )
}
