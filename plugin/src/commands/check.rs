//! `check`: judges the manifests of a repository, without a cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueHint;
use clap::builder::ArgPredicate;
use policy::Completeness;

use super::audit::{self, AuditArgs};
use super::findings;
use crate::args::{
    ArgoCdVersion, ExclusionArgs, FACTS, FactsArgs, FindingsArgs, RepositoryArgs, ScopeArgs,
};
use crate::check::missing::KnownFrom;
use crate::check::skipped::{Remark, remarks};
use crate::check::{Fleets, Unread, check};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::fleet::files::cluster_places;
use crate::fleet::live::refuse_flaw;
use crate::fleet::{Facts, Source};
use crate::kubernetes::block_on;
use crate::namespaces::{ArgoCds, Namespaces};
use crate::repository::manifest::Manifest;
use crate::repository::work_trees::WorkTrees;
use crate::repository::{Reader, Repository};

/// Judge the Argo CD objects in files
///
/// Reads Applications, ApplicationSets, AppProjects and cluster Secrets from YAML and JSON files
/// and says what the admission webhook would deny. What is known about projects, clusters, Argo
/// CD's settings (`argocd-cm`) and the GitOpsPolicy is taken from the same files, and from --facts.
/// A project or cluster that is in none of them may exist elsewhere: what depends on it is
/// `undecided`, and is told once for each kind of fact below the table. The last line says which
/// clusters count as production, and names those that look as if they should.
///
/// With --facts live the files are judged by what the cluster of the current context knows: a
/// project or cluster that is neither there nor in a file does not exist. What may not be listed
/// there is told, and may exist. It is read, never written.
///
/// An ApplicationSet is judged by all Applications that it generates for the known clusters. Its
/// git generators read the Git work tree that the files are in, if a remote of it or --repository
/// says that it is of their repository. It counts as what `HEAD` and every branch are after the
/// merge; a tag or a commit is not at hand. What depends on that, on pull requests or on other
/// things outside is `undecided`.
///
/// An override (`break-glass`) in a file is told with its reason and its end, and turns what its
/// rules deny into warnings if the policy says `breakGlass.fromGit`. Without that it has no effect
/// and is denied, as the webhook refuses it; so is one that has expired or lasts too long.
///
/// Secrets outside of Argo CD's namespace are not judged: they are not clusters to it.
///
/// Folders are read with everything below them that ends in .yaml, .yml or .json, without what is
/// hidden, ignored by Git or excluded by --exclude. Files without an object of Argo CD are skipped,
/// whether they are YAML or not, and so are files with the mark +argocd:skip-file-rendering, the
/// templates of Helm charts and the patches that a kustomization names. Where that may hide objects
/// of Argo CD, it is said how to render them. What a kustomization changes before it is applied is
/// undecided where it would be denied: its overlays have the last word. A file that cannot be read,
/// and may hold an object of Argo CD, is reported and the others are judged.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # Judge everything below this folder
  kubectl gitops check

  # Judge one folder by the projects, clusters, settings and policy of the current context's cluster
  kubectl gitops check applications --facts live

  # Judge what Kustomize renders, and explain what is wrong
  kubectl kustomize overlays/prod | kubectl gitops check - --explain

  # Judge one folder, with projects and policy that are kept elsewhere
  kubectl gitops check applications --facts bootstrap

Exit status:
  0  nothing is denied
  1  something is denied
  2  a file or an object could not be read, or the command line is wrong
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

    /// The files have every cluster: one that is not there does not exist
    ///
    /// Without this, what an ApplicationSet would generate for a cluster that is not among them is
    /// `undecided`.
    #[arg(long, help_heading = FACTS)]
    all_clusters_known: bool,

    #[command(flatten)]
    repository: RepositoryArgs,

    #[command(flatten)]
    version: ArgoCdVersion,

    #[command(flatten)]
    exclusions: ExclusionArgs,

    #[command(flatten)]
    live: LiveArgs,

    #[command(flatten)]
    findings: FindingsArgs,
}

/// What `audit` was called before it was a command.
#[derive(Clone, Debug, clap::Args)]
struct LiveArgs {
    #[arg(
        long,
        hide = true,
        conflicts_with_all = ["paths", "filenames", "facts", "all_clusters_known", "RepositoryArgs", "ExclusionArgs"]
    )]
    live: bool,

    #[arg(short = 'A', long, hide = true, conflicts_with = "namespace")]
    all_namespaces: bool,

    #[arg(short = 'l', long, hide = true, value_name = "SELECTOR")]
    selector: Option<String>,
}

impl LiveArgs {
    /// A flag that says which objects of a cluster are meant, where one was given.
    fn scope(&self) -> Option<&'static str> {
        let selector = self.selector.as_ref().map(|_| "--selector");
        self.all_namespaces
            .then_some("--all-namespaces")
            .or(selector)
    }
}

/// Reads, judges, prints.
pub(crate) fn run(args: &CheckArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    if args.live.live {
        return audit::run(&args.as_audit(), context);
    }
    findings::refuse_pages(&args.findings)?;
    args.refuse_cluster(context)?;
    let namespaces = context.namespaces.of_files();
    let mut files = args.read(namespaces, context);
    let argo_cds = files.argo_cds(namespaces);
    if let Some(namespaces) = namespaces.of_main(&argo_cds) {
        files = args.read(namespaces, context);
    }
    tell_argo_cds(&argo_cds, namespaces.argocd, context);
    files.keep_what_counts(&argo_cds);
    let known = args.known(&files, &argo_cds, context)?;
    let work_trees = args.work_trees()?;
    let inventories = argo_cds.all().zip(&known).map(|(namespace, facts)| {
        let mut inventory = facts
            .inventory()
            .inspect_err(|_| findings::tell_unread(&files.unread(), context))?;
        refuse_flaw(&inventory)?;
        inventory.checkouts = Arc::clone(&work_trees) as _;
        let own = files
            .manifests()
            .filter(|secret| secret.namespace == namespace);
        inventory.cluster_places = Arc::new(cluster_places(own));
        Ok(inventory)
    });
    let inventories = inventories.collect::<Result<_, CommandError>>()?;
    let repeated: Vec<String> = known
        .iter()
        .flat_map(|facts| facts.repeated.clone())
        .collect();
    let unread = files.given.problems.iter();
    let checked = check(
        files.judged,
        &Fleets::new(argo_cds, inventories),
        args.known_from(),
        &repeated,
        unread.chain(known.iter().flat_map(Facts::problems)),
        context.now(),
        context.progress,
    );

    let files = checked.files.as_ref();
    context.warn(files.iter().flat_map(|files| &files.warnings));
    context.warn(work_trees.unknown_remotes());
    findings::tell_unread(&checked.problems, context);
    for remark in files.iter().flat_map(|files| remarks(files)) {
        match remark {
            Remark::Note(text) => context.streams.note(&text),
            Remark::Warning(text) => context.streams.warning(&text),
        }
    }
    let status = findings::print(&checked, &args.findings, context)?;
    if status == ExitStatus::Clean && checked.findings.counts.objects == 0 {
        context.streams.warning(NOTHING_TO_JUDGE);
        return Ok(ExitStatus::NothingToJudge);
    }
    Ok(status)
}

/// What was read.
struct Read {
    judged: Repository,
    /// What it is judged by besides.
    given: Repository,
}

impl Read {
    fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.judged.manifests.iter().chain(&self.given.manifests)
    }

    /// Where Argo CD runs.
    fn argo_cds(&self, namespaces: Namespaces<'_>) -> ArgoCds {
        let given = self.given.with_projects();
        namespaces.argo_cds(self.judged.with_projects().chain(given))
    }

    fn keep_what_counts(&mut self, argo_cds: &ArgoCds) {
        for repository in [&mut self.judged, &mut self.given] {
            repository.keep_what_counts(|namespace| argo_cds.are_in(namespace));
        }
    }

    fn unread(&self) -> Vec<Unread> {
        let problems = self.given.problems.iter().chain(&self.judged.problems);
        Unread::each_once(problems)
    }
}

impl CheckArgs {
    fn as_audit(&self) -> AuditArgs {
        AuditArgs {
            scope: ScopeArgs {
                all_namespaces: self.live.all_namespaces,
                selector: self.live.selector.clone(),
            },
            version: self.version,
            findings: self.findings.clone(),
        }
    }

    /// Refuses a flag that says which objects of which cluster are meant where none are asked for.
    fn refuse_cluster(&self, context: &Context) -> Result<(), CommandError> {
        let scope = self.live.scope();
        let cluster = context.cluster.given();
        match scope.or(cluster.filter(|_| !self.facts.are_live())) {
            Some(flag) => Err(CommandError::new(format!(
                "{flag}: no cluster is asked where files are judged"
            ))
            .hinted(
                "`kubectl gitops audit` judges what is in the cluster, --facts live judges files by what the cluster \
                 knows",
            )),
            None => Ok(()),
        }
    }

    fn paths(&self) -> Vec<&Path> {
        let paths = self.paths.iter().chain(&self.filenames);
        paths.map(PathBuf::as_path).collect()
    }

    fn read(&self, namespaces: Namespaces<'_>, context: &Context) -> Read {
        let exclusions = Arc::new(self.exclusions.exclusions());
        let reader = Reader {
            exclusions: &exclusions,
            namespaces,
            progress: context.progress,
        };
        Read {
            given: reader.read(&self.facts.paths()),
            judged: reader.read(&self.paths()),
        }
    }

    /// What the files are judged by, for each Argo CD. A cluster tells of the main one.
    fn known(
        &self,
        files: &Read,
        argo_cds: &ArgoCds,
        context: &Context,
    ) -> Result<Vec<Facts>, CommandError> {
        let known = argo_cds.all().map(|namespace| {
            let mut facts = if self.facts.are_live() && namespace == argo_cds.main {
                of_cluster(context, namespace)?
            } else {
                Facts::new(namespace, Completeness::Partial)
            };
            if self.all_clusters_known {
                facts.have_all_clusters();
            }
            if let Some(reading) = self.version.project_reading() {
                facts.read_projects_by(reading);
            }
            facts.add(&files.judged.manifests, Source::Judged);
            facts.add(&files.given.manifests, Source::Given);
            Ok(facts)
        });
        known.collect()
    }

    fn known_from(&self) -> KnownFrom {
        if self.facts.are_live() {
            KnownFrom::FilesAndCluster
        } else {
            KnownFrom::Files
        }
    }

    fn work_trees(&self) -> Result<Arc<WorkTrees>, CommandError> {
        let work_trees = WorkTrees::of(&self.paths(), self.repository.url());
        Ok(Arc::new(work_trees.map_err(CommandError::new)?))
    }
}

/// What the cluster knows, as far as it may be read.
fn of_cluster(context: &Context, argocd_namespace: &str) -> Result<Facts, CommandError> {
    let (facts, lacking) = block_on(async {
        let server = context.connect().await?;
        Ok(Facts::for_files(&server, argocd_namespace).await?)
    })?;
    context.warn(lacking);
    Ok(facts)
}

/// Says where Argo CD is taken to run, if that is not where it is expected.
fn tell_argo_cds(argo_cds: &ArgoCds, expected: &str, context: &Context) {
    let found: Vec<&str> = argo_cds.all().filter(|own| *own != expected).collect();
    if !found.is_empty() {
        context.streams.note(&format!(
            "Argo CD is taken to run in {}, where AppProjects are; --argocd-namespace says where it runs",
            found.join(", ")
        ));
    }
}

const NOTHING_TO_JUDGE: &str = "nothing was judged: there is no Application, ApplicationSet, AppProject or \
     cluster Secret in these files";
