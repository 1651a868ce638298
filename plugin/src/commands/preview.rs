//! `preview`: which Applications come, change and go with an ApplicationSet or a cluster Secret.

use std::iter;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueHint;
use policy::Completeness;
use policy::fan_out::Change;

use crate::args::{
    ArgoCdVersion, ExclusionArgs, FACTS, FactsArgs, Format, OUTPUT, RepositoryArgs, formats,
};
use crate::check::Unread;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::fleet::{Facts, Source};
use crate::kubernetes::block_on;
use crate::namespaces::{ArgoCds, Namespaces};
use crate::preview::{Intent, Preview, Verdict};
use crate::report::preview::PreviewReport;
use crate::repository::problem::Problem;
use crate::repository::work_trees::WorkTrees;
use crate::repository::{Reader, Repository};
use crate::text::counted;

/// Show which Applications a change would create, change and delete
///
/// FILE holds ApplicationSets and cluster Secrets as they would be. These are compared with what
/// the cluster has now, or with files if --against names some. One that is not there yet is new; of
/// one that is, FILE has all of it: a label that is missing in FILE is taken away. Projects,
/// settings and the GitOpsPolicy in FILE count as applied before. Nothing is written to the
/// cluster. What names no namespace in FILE counts as being where `kubectl apply` would put it.
///
/// For each Application that comes, changes or goes: the cluster, the project and the environments
/// that it belongs to, and the verdict of the rules, which the admission webhook would give. It
/// needs to list AppProjects, ApplicationSets, and Secrets in Argo CD's namespace.
///
/// With --against it is judged by what these files say alone. `--against PATH --facts live`
/// compares with the ApplicationSets in PATH and judges by the projects, clusters, settings and
/// policy of the cluster; what may not be listed there is told, and may exist.
///
/// Git generators read the Git work tree that FILE is in, as for `check`. What cannot be worked
/// out, such as pull requests, is listed below the table, and so are ApplicationSets on which Argo
/// CD fails. Whether an Application was changed by hand since it was generated plays no part.
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
    /// File or folder with ApplicationSets and cluster Secrets
    ///
    /// `-` is standard input. It can be given several times.
    #[arg(
        short,
        long = "filename",
        value_name = "FILE",
        required = true,
        value_hint = ValueHint::AnyPath
    )]
    filenames: Vec<PathBuf>,

    /// File or folder that stands for the cluster
    ///
    /// What is in it is there, and nothing else is known. It can be given several times. Without
    /// --delete, FILE itself is left out of it.
    #[arg(
        long,
        value_name = "PATH",
        value_hint = ValueHint::AnyPath
    )]
    against: Vec<PathBuf>,

    /// Show what deleting the objects in FILE would do
    ///
    /// What else FILE says of them plays no part.
    #[arg(long)]
    delete: bool,

    #[command(flatten)]
    facts: FactsArgs,

    /// The files of --against have every cluster: one that is not there does not exist
    #[arg(long, requires = "against", help_heading = FACTS)]
    all_clusters_known: bool,

    #[command(flatten)]
    repository: RepositoryArgs,

    #[command(flatten)]
    version: ArgoCdVersion,

    #[command(flatten)]
    exclusions: ExclusionArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (
        Format::Table,
        "A row for each Application that comes, changes or goes",
    ),
    (
        Format::Wide,
        "The same with the ApplicationSet and what the rules found",
    ),
    (Format::Json, "The preview in JSON"),
    (Format::Yaml, "The preview in YAML"),
    (Format::Name, "The names of the Applications"),
];

/// Reads, compares, prints.
pub(crate) fn run(args: &PreviewArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    args.refuse_cluster(context)?;
    let exclusions = Arc::new(args.exclusions.exclusions());
    let of_context = args.namespace_of_context(context)?;
    let reader = Reader {
        exclusions: &exclusions,
        namespaces: context.namespaces.of_context(of_context.as_deref()),
        progress: context.progress,
    };
    let mut read = args.read(reader, context);
    let argo_cds = read.argo_cds(reader.namespaces);
    if let Some(namespaces) = reader.namespaces.of_main(&argo_cds) {
        read = args.read(
            Reader {
                namespaces,
                ..reader
            },
            context,
        );
    }
    let argocd = read.argocd_namespace(&argo_cds);
    read.keep_what_counts(&argocd);
    let proposed = &read.proposed;
    if proposed.problems.is_empty() && !proposed.fans_out() {
        return Err(nothing_to_preview(reader.namespaces));
    }
    let known = args.known(&read, &argocd, context)?;
    let work_trees = WorkTrees::of(&args.filenames, args.repository.url());
    let work_trees = Arc::new(work_trees.map_err(CommandError::new)?);
    let checkouts = Arc::clone(&work_trees) as _;
    let preview = Preview::of(&proposed.manifests, args.intent(), known.facts, &checkouts)?;

    context.warn(work_trees.unknown_remotes());
    let unread = read.all().flat_map(|repository| &repository.problems);
    let unread = known.problems.iter().chain(unread).chain(&preview.problems);
    let unread = Unread::each_once(unread);
    for problem in &unread {
        context.streams.error(&problem.message);
    }
    let report = PreviewReport {
        preview: &preview,
        unread: &unread,
    };
    context.print(&report, args.output)?;
    context.streams.status(&summary(&preview));
    Ok(status(&preview, &unread))
}

fn status(preview: &Preview, unread: &[Unread]) -> ExitStatus {
    if !unread.is_empty() || !preview.not_expanded.is_empty() {
        ExitStatus::Failed
    } else if preview.is_denied() {
        ExitStatus::ChangesDenied
    } else if preview.is_nothing() {
        ExitStatus::Clean
    } else {
        ExitStatus::Changes
    }
}

/// What is in files.
struct Read {
    /// FILE.
    proposed: Repository,
    /// What stands for the cluster, if files do.
    state: Option<Repository>,
    /// What was given for its facts.
    given: Repository,
}

impl Read {
    fn all(&self) -> impl Iterator<Item = &Repository> {
        iter::once(&self.proposed)
            .chain(&self.state)
            .chain(iter::once(&self.given))
    }

    /// Where Argo CD runs.
    fn argo_cds(&self, namespaces: Namespaces<'_>) -> ArgoCds {
        namespaces.argo_cds(self.all().flat_map(Repository::with_projects))
    }

    /// Where the Argo CD runs that what is in FILE is of.
    fn argocd_namespace(&self, argo_cds: &ArgoCds) -> String {
        let mut proposed = self.proposed.manifests.iter();
        let own = proposed
            .find(|manifest| manifest.kind.fans_out() && argo_cds.are_in(&manifest.namespace));
        own.map_or_else(|| argo_cds.main.clone(), |own| own.namespace.clone())
    }

    fn keep_what_counts(&mut self, argocd: &str) {
        let Read {
            proposed,
            state,
            given,
        } = self;
        for repository in iter::once(proposed).chain(state).chain(iter::once(given)) {
            repository.keep_what_counts(|namespace| namespace == argocd);
        }
    }
}

/// What there is now.
struct Known {
    facts: Facts,
    /// What could not be read of it.
    problems: Vec<Problem>,
}

impl PreviewArgs {
    fn intent(&self) -> Intent {
        if self.delete {
            Intent::Delete
        } else {
            Intent::Apply
        }
    }

    /// Whether a cluster is asked for anything.
    fn asks_cluster(&self) -> bool {
        self.against.is_empty() || self.facts.are_live()
    }

    /// Refuses a flag that says which cluster is asked where none is.
    fn refuse_cluster(&self, context: &Context) -> Result<(), CommandError> {
        match context.cluster.given() {
            Some(flag) if !self.asks_cluster() => Err(CommandError::new(format!(
                "{flag}: --against compares with files, and asks no cluster"
            ))
            .hinted("--facts live has them judged by what the cluster knows")),
            _ => Ok(()),
        }
    }

    /// The namespace that objects are applied to which name none, where the context says so.
    fn namespace_of_context(&self, context: &Context) -> Result<Option<String>, CommandError> {
        if !self.against.is_empty() {
            return Ok(None);
        }
        context.cluster.namespace().map_err(|error| {
            let is_without = error.is_without_cluster();
            or_files(error.into(), is_without)
        })
    }

    fn read(&self, reader: Reader<'_>, context: &Context) -> Read {
        Read {
            proposed: reader.read(&self.filenames),
            state: (!self.against.is_empty()).then(|| self.state(reader, context)),
            given: reader.read(&self.facts.paths()),
        }
    }

    fn known(&self, read: &Read, argocd: &str, context: &Context) -> Result<Known, CommandError> {
        let mut known = Known {
            facts: if self.asks_cluster() {
                self.live(argocd, context)?
            } else {
                Facts::new(argocd, Completeness::Partial)
            },
            problems: Vec::new(),
        };
        if self.all_clusters_known {
            known.facts.have_all_clusters();
        }
        if let Some(reading) = self.version.project_reading() {
            known.facts.read_projects_by(reading);
        }
        if let Some(state) = &read.state {
            known.facts.add(&state.manifests, Source::State);
        }
        known.facts.add(&read.given.manifests, Source::Given);
        context.warn(&known.facts.repeated);
        known.problems.extend(known.facts.take_problems());
        Ok(known)
    }

    /// The files that stand for the cluster.
    fn state(&self, reader: Reader<'_>, context: &Context) -> Repository {
        // What FILE says is to come; but what is deleted must be there.
        if self.delete {
            return reader.read(&self.against);
        }
        let (state, left_out) = reader.read_without(&self.against, &self.filenames);
        for name in left_out {
            context.streams.warning(&format!(
                "{name} is part of --against and left out of it: what it holds counts as new, \
                 so nothing in it is shown as changed or deleted"
            ));
        }
        state
    }

    fn live(&self, namespace: &str, context: &Context) -> Result<Facts, CommandError> {
        let (mut facts, lacking) = block_on(async {
            let server = context.connect().await.map_err(|error| {
                let is_without = error.is_without_cluster();
                or_files(error.into(), is_without)
            })?;
            let read = match (self.against.is_empty(), self.facts.are_live()) {
                (true, false) => Facts::of_cluster(&server, namespace).await,
                (true, true) => Facts::of_cluster_with_application_sets(&server, namespace).await,
                (false, _) => Facts::for_files(&server, namespace).await,
            };
            read.map_err(|error| {
                let is_without = error.is_without_answer();
                or_files(error.into(), is_without)
            })
        })?;
        context.warn(facts.what_lacks(lacking));
        Ok(facts)
    }
}

fn nothing_to_preview(namespaces: Namespaces<'_>) -> CommandError {
    let error = CommandError::new("there is no ApplicationSet and no cluster Secret in FILE")
        .hinted("a cluster Secret has the label argocd.argoproj.io/secret-type: cluster");
    let Namespaces {
        objects, argocd, ..
    } = namespaces;
    if objects == argocd {
        return error;
    }
    error.hinted(format!(
        "what names no namespace in FILE counts as being in {objects}, and a Secret is a cluster only in {argocd}: \
         -n names another namespace, --argocd-namespace Argo CD's"
    ))
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
