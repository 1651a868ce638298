//! `addon onboard`: a release, written into a repository so that Argo CD deploys the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::ValueHint;
use futures::StreamExt as _;
use policy::Level;
use serde_json::Value;

use super::super::plan::{Carrying, FORMATS};
use super::fleet::{Fleet, FleetArgs, Member, MemberError};
use crate::addons::author::application_set::{self, FanOut, scaled};
use crate::addons::author::evidence::Evidence;
use crate::addons::author::inventory::{Known, inventory, unrepeatable};
use crate::addons::author::secret_values::secret_values;
use crate::addons::author::split::{Values, split};
use crate::addons::author::wrapper::{self, RepositoryError, Upstream};
use crate::addons::author::{Given, OnCluster, Places, chart, override_text, shared_text};
use crate::addons::owners::LiveObject;
use crate::addons::read::{OneError, autoscalers, live_objects, one};
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, PlanArgs, formats};
use crate::bootstrap::folder::FileError;
use crate::bootstrap::{File, Folder};
use crate::check;
use crate::context::Context;
use crate::drift::local::Key;
use crate::drift::local::cluster::Cluster;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::fleet::Facts;
use crate::kubernetes::{DiscoveryError, block_on};
use crate::manifest_generation::dependencies::{self, DependencyError};
use crate::manifest_generation::{
    self, ApplicationFacts, Checkouts, GenerationError, Request, Source, SourceError,
};
use crate::releases::{ManifestError, Release};
use crate::repository::manifests_of;
use crate::repository::work_trees::origin_of;
use crate::temporary;
use crate::text::counted;

/// Write what Helm has installed into a repository, so that Argo CD deploys the same
///
/// Reads a release on each cluster, and writes a chart to charts/NAME, the values that all clusters
/// share to charts/NAME/values-shared.yaml, what a cluster has beside to
/// cluster-overrides/CLUSTER/NAME.yaml, and an ApplicationSet without automation to
/// applicationsets/NAME.yaml. Clusters are not changed.
///
/// With --wrapper the chart has the release's own as its only dependency, pinned by Chart.lock, and
/// Argo CD fetches that from --chart-repository, which no release says. With --vendor it is the
/// chart as Helm keeps it with the release, but for charts that it is made of: Helm keeps none.
///
/// What is to be written is rendered for each cluster first, by the helm of the PATH and as Argo CD
/// renders it, and compared with what Helm has applied, object by object. Where anything differs,
/// nothing is written: another name of the release, another chart, a value that is made anew each
/// time, what a post-renderer made of it. The ApplicationSet is judged by the rules, and not written
/// where one denies it. What behaves differently under Argo CD, such as hooks, is told.
///
/// Values that are secrets are refused and never shown: by their names, by their forms, or because
/// the release has them in a Secret. Have External Secrets make the Secret, and name that in the
/// values; --not-secret names a value that is none.
///
/// It needs all clusters to have the same chart in the same version.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What would be written for a release that two clusters have
  kubectl gitops addon onboard dns -n dns --clusters staging,prod --project platform --vendor

  # Write it for all clusters of an environment, without asking
  kubectl gitops addon onboard dns -n dns -l environment=staging --project platform --vendor --yes

Exit status:
  0  it is written, or would be
  1  nothing is written: what Argo CD would deploy differs, or a rule denies it
  2  it failed")]
pub(super) struct OnboardArgs {
    /// Name of the addon, which its files and Applications have
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,

    /// Name of the release [default: NAME]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    release: Option<String>,

    /// The AppProject of the Applications
    #[arg(long, value_name = "NAME")]
    project: String,

    /// Write the chart as Helm keeps it with the release
    #[arg(long, conflicts_with = "wrapper")]
    vendor: bool,

    /// Write a chart that has the release's as its dependency
    #[arg(long, requires = "chart_repository")]
    wrapper: bool,

    /// Repository that has the chart; https:// or oci://
    #[arg(long, value_name = "URL", requires = "wrapper")]
    chart_repository: Option<String>,

    /// Folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    repo: PathBuf,

    /// URL of the repository [default: that of its remote origin]
    #[arg(long, value_name = "URL", hide_short_help = true)]
    repository: Option<String>,

    /// Branch, tag or commit to follow
    #[arg(long, value_name = "REVISION", default_value = "main")]
    target_revision: String,

    /// Hook that may run at every sync, as job/migrate; can be given several times
    #[arg(long, value_name = "KIND/NAME", hide_short_help = true)]
    run_hook: Vec<String>,

    /// Value that is not a secret, as auth.user; can be given several times
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    not_secret: Vec<String>,

    #[command(flatten)]
    fleet: FleetArgs,

    #[command(flatten)]
    plan: PlanArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

/// How many clusters are read at once.
const CLUSTERS_AT_ONCE: usize = 16;
/// How many clusters are rendered for at once.
const RENDERED_AT_ONCE: usize = 4;

/// The kind of the document.
const KIND: &str = "AddonOnboarding";

/// Nothing can be written.
#[derive(Debug, thiserror::Error)]
enum OnboardError {
    #[error("the namespace of the release is not named")]
    NoNamespace,
    #[error("it is not said where the chart comes from")]
    NoChart,
    #[error("no cluster is meant")]
    NoCluster,
    #[error("the release cannot be read on {}: {}", counted(.0.len(), "cluster"), .0.join("; "))]
    Unread(Vec<String>),
    #[error(
        "{first} and {other} have different charts: {first_chart} and {other_chart}{}",
        with_other_files(.first_chart, .other_chart)
    )]
    Charts {
        first: String,
        first_chart: String,
        other: String,
        other_chart: String,
    },
    #[error("{} would be in the repository: {}", counted(.0.len(), "secret"), .0.join("; "))]
    Secrets(Vec<String>),
    #[error("--run-hook {hook}: the release has no such hook, but {}", .known.join(", "))]
    NoHook { hook: String, known: Vec<String> },
    #[error("--run-hook {0}: the release has no hooks")]
    NoHooks(String),
    #[error("the URL of the repository is not known")]
    NoRepository,
    #[error("no folder for temporary files can be made")]
    Scratch(#[source] std::io::Error),
    #[error(transparent)]
    Chart(#[from] chart::ChartError),
    #[error(transparent)]
    ChartRepository(#[from] RepositoryError),
    #[error("charts/{name}")]
    Dependency {
        name: String,
        #[source]
        source: Box<DependencyError>,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cluster {cluster}: what would be written cannot be rendered")]
    Generation {
        cluster: String,
        #[source]
        source: Box<GenerationError>,
    },
    #[error("cluster {cluster}")]
    Source {
        cluster: String,
        #[source]
        source: Box<SourceError>,
    },
}

/// What is said where a chart of one version is not the same.
fn with_other_files(one: &str, other: &str) -> &'static str {
    if one == other {
        ", with other files"
    } else {
        ""
    }
}

impl OnboardError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            OnboardError::NoNamespace => Some("name it by -n"),
            OnboardError::NoChart => Some(
                "--wrapper has Argo CD fetch it from --chart-repository; --vendor writes it as Helm \
                 keeps it with the release",
            ),
            OnboardError::NoRepository => Some("name it by --repository"),
            OnboardError::Charts { .. } => Some(
                "upgrade one of them first, or onboard them one by one under names of their own",
            ),
            OnboardError::Secrets(_) => Some(
                "have External Secrets make a Secret of it and name that in the values; \
                 --not-secret PATH says that a value is none",
            ),
            OnboardError::Chart(chart::ChartError::Subcharts { .. }) => {
                Some("only the chart's own repository has them: --wrapper fetches them from there")
            }
            _ => None,
        }
    }
}

impl From<OnboardError> for CommandError {
    fn from(error: OnboardError) -> Self {
        let hint = error.hint();
        let error = CommandError::new(error);
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }
}

/// A release cannot be read on a cluster.
#[derive(Debug, thiserror::Error)]
enum ClusterError {
    #[error(transparent)]
    Member(#[from] MemberError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Release(#[from] OneError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// A release on a cluster, and what is known of that.
struct Subject {
    on: OnCluster,
    cluster: Cluster,
    /// What Helm has applied, and its hooks.
    objects: Vec<Value>,
    /// What is there of it.
    live: BTreeMap<Key, LiveObject>,
    /// Autoscalers in its namespace, of whomever.
    autoscalers: Vec<Value>,
    /// What could not be read, as one sentence each.
    lacking: Vec<String>,
}

/// What is written.
struct Written {
    files: Vec<File>,
    /// The text of the ApplicationSet, which is one of them.
    application_set: String,
}

/// Reads, splits, renders, compares, judges, writes.
pub(super) fn run(args: &OnboardArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(onboard(args, context))
}

async fn onboard(args: &OnboardArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    if !args.vendor && !args.wrapper {
        return Err(OnboardError::NoChart.into());
    }
    if let Some(repository) = &args.chart_repository {
        wrapper::check(repository).map_err(OnboardError::from)?;
    }
    let subjects = args.subjects(context).await?;
    args.is_one_chart(&subjects)?;
    args.has_hooks(&subjects)?;
    args.has_no_secrets(&subjects)?;
    let written = args.written(&subjects, context)?;
    if !args.is_proven(&written, &subjects, context).await? {
        return Ok(ExitStatus::Drifted);
    }
    if !args.is_admitted(&written, context).await? {
        return Ok(ExitStatus::Denied);
    }
    args.write(written, context).await
}

impl OnboardArgs {
    fn release(&self) -> &str {
        self.release.as_deref().unwrap_or(&self.name)
    }

    fn places(&self) -> Places<'_> {
        Places { name: &self.name }
    }

    /// The release on all clusters that are meant.
    async fn subjects(&self, context: &Context) -> Result<Vec<Subject>, CommandError> {
        let namespace = context.namespaces.given();
        let namespace = namespace.ok_or(OnboardError::NoNamespace)?;
        let fleet = Fleet::read(&self.fleet, context).await?;
        context.warn(&fleet.lacking);
        if fleet.clusters.is_empty() {
            return Err(OnboardError::NoCluster.into());
        }
        let fleet = &fleet;
        let read = futures::stream::iter(&fleet.clusters)
            .map(|member| async move {
                let subject = self.subject(fleet, member, namespace, context).await;
                subject.map_err(|error| format!("{}: {}", member.name(), chain(&error)))
            })
            .buffered(CLUSTERS_AT_ONCE);
        let read: Vec<_> = read.collect().await;
        let (mut subjects, mut problems) = (Vec::new(), Vec::new());
        for subject in read {
            match subject {
                Ok(subject) => subjects.push(subject),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(OnboardError::Unread(problems).into());
        }
        let lacking = subjects.iter().flat_map(|subject| {
            let cluster = &subject.on.cluster;
            let told = subject.lacking.iter();
            told.map(move |text| format!("cluster {cluster}: {text}"))
        });
        context.warn(lacking);
        Ok(subjects)
    }

    async fn subject(
        &self,
        fleet: &Fleet,
        member: &Member,
        namespace: &str,
        context: &Context,
    ) -> Result<Subject, ClusterError> {
        let server = fleet.connect(member, context).await?;
        let release = one(&server, self.release(), namespace).await?;
        let cluster = Cluster::discover(&server).await?;
        let on = OnCluster {
            cluster: member.name().to_owned(),
            release,
        };
        let objects = objects_of(&on)?;
        let (live, mut lacking) =
            live_objects(&server, &cluster, &objects, namespace, &fleet.tracking).await;
        let (autoscalers, unread) = autoscalers(&server, &cluster, namespace).await;
        lacking.extend(unread);
        Ok(Subject {
            on,
            cluster,
            objects,
            live,
            autoscalers,
            lacking,
        })
    }

    /// Whether the hooks are there that may run.
    fn has_hooks(&self, subjects: &[Subject]) -> Result<(), OnboardError> {
        let hooks = subjects.iter().flat_map(|one| &one.on.release.hooks);
        let known = hooks.map(|hook| format!("{}/{}", hook.kind.to_lowercase(), hook.name));
        let known: BTreeSet<String> = known.collect();
        match self.run_hook.iter().find(|hook| !known.contains(*hook)) {
            None => Ok(()),
            Some(hook) if known.is_empty() => Err(OnboardError::NoHooks(hook.clone())),
            Some(hook) => Err(OnboardError::NoHook {
                hook: hook.clone(),
                known: known.into_iter().collect(),
            }),
        }
    }

    /// Whether all clusters have the same chart. Of one that a wrapper fetches, name and version
    /// count: Helm keeps it as the values of a cluster left it, without the charts that those switch
    /// off (Helm 4.3, `processDependencyEnabled`).
    fn is_one_chart(&self, subjects: &[Subject]) -> Result<(), OnboardError> {
        let Some((first, others)) = subjects.split_first() else {
            return Ok(());
        };
        let told = |subject: &Subject| {
            let metadata = &subject.on.release.chart.metadata;
            format!("{} {}", metadata.name, metadata.version)
        };
        let differs = |other: &&Subject| {
            if self.wrapper {
                return told(first) != told(other);
            }
            let (one, other) = (&first.on.release.chart, &other.on.release.chart);
            !chart::is_same(one, other)
        };
        match others.iter().find(differs) {
            None => Ok(()),
            Some(other) => Err(OnboardError::Charts {
                first: first.on.cluster.clone(),
                first_chart: told(first),
                other: other.on.cluster.clone(),
                other_chart: told(other),
            }),
        }
    }

    /// Tells where secrets are, and not what they are.
    fn has_no_secrets(&self, subjects: &[Subject]) -> Result<(), OnboardError> {
        let mut clusters: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for subject in subjects {
            let values = subject.on.release.config.expose();
            for found in secret_values(values, &subject.objects) {
                if !self.not_secret.contains(&found.path) {
                    clusters.entry(found).or_default().push(&subject.on.cluster);
                }
            }
        }
        if clusters.is_empty() {
            return Ok(());
        }
        let told = clusters.iter().map(|(found, clusters)| {
            let clusters = clusters.join(", ");
            format!("{} on {clusters} ({})", found.path, found.reason)
        });
        Err(OnboardError::Secrets(told.collect()))
    }

    fn written(&self, subjects: &[Subject], context: &Context) -> Result<Written, OnboardError> {
        let Some(first) = subjects.first() else {
            return Err(OnboardError::NoCluster);
        };
        let places = self.places();
        let release = &first.on.release;
        let mut files = match self.upstream(release) {
            Some(upstream) => Vec::from(upstream.files(places)),
            None => chart::files(release, &places.chart())?,
        };
        let configs = subjects.iter().map(|subject| {
            let release = &subject.on.release;
            let config = release.config.expose();
            let upstream = self.upstream(release);
            upstream.map_or_else(|| config.clone(), |upstream| upstream.nested(config))
        });
        let configs: Vec<Values> = configs.collect();
        let parts = split(&configs.iter().collect::<Vec<_>>());
        let all: Vec<&OnCluster> = subjects.iter().map(|subject| &subject.on).collect();
        files.push(File {
            path: format!("{}/{}", places.chart(), Places::SHARED),
            text: shared_text(&parts.shared, &all),
        });
        let given: Vec<Given<'_>> = all
            .iter()
            .zip(&configs)
            .map(|(on, values)| Given { on, values })
            .collect();
        for (own, on) in parts.overrides.iter().zip(&all) {
            if !own.is_empty() {
                files.push(File {
                    path: places.override_of(&on.cluster),
                    text: override_text(own, on, &given),
                });
            }
        }
        let application_set = application_set::text(&self.facts(subjects, context)?.borrowed(self));
        files.push(File {
            path: places.application_set(),
            text: application_set.clone(),
        });
        Ok(Written {
            files,
            application_set,
        })
    }

    /// The chart that is wrapped, where one is.
    fn upstream<'u>(&'u self, release: &'u Release) -> Option<Upstream<'u>> {
        let repository = self.chart_repository.as_deref()?;
        Some(Upstream {
            chart: &release.chart.metadata,
            repository,
        })
    }

    fn facts<'s>(
        &self,
        subjects: &'s [Subject],
        context: &'s Context,
    ) -> Result<SetFacts<'s>, OnboardError> {
        let repository = self.repository.clone().or_else(|| origin_of(&self.repo));
        let scaled: BTreeSet<_> = subjects.iter().flat_map(Subject::scaled).collect();
        let mut namespaces = subjects.iter().map(|one| &*one.on.release.namespace);
        Ok(SetFacts {
            argocd_namespace: context.argocd_namespace(),
            labels: self.fleet.labels(),
            clusters: subjects.iter().map(|one| &*one.on.cluster).collect(),
            repository: repository.ok_or(OnboardError::NoRepository)?,
            namespace: namespaces.next().unwrap_or_default(),
            scaled: scaled.into_iter().collect(),
        })
    }

    /// Whether what is to be written, rendered for each cluster, is what Helm has applied there.
    /// Either is told.
    async fn is_proven(
        &self,
        written: &Written,
        subjects: &[Subject],
        context: &Context,
    ) -> Result<bool, CommandError> {
        let scratch = temporary::folder("kubectl-gitops-");
        let scratch = scratch.map_err(OnboardError::Scratch)?;
        let top = scratch
            .path()
            .canonicalize()
            .map_err(OnboardError::Scratch)?;
        for file in &written.files {
            Folder(&top).write(file).map_err(OnboardError::File)?;
        }
        if self.wrapper {
            let fetched = dependencies::fetch(&top.join(self.places().chart())).await;
            fetched.map_err(|source| OnboardError::Dependency {
                name: self.name.clone(),
                source: Box::new(source),
            })?;
        }
        let facts = self.facts(subjects, context)?;
        let count = subjects.len();
        let progress = context.progress.begin("rendering", Some(count));
        let rendered = futures::stream::iter(subjects)
            .map(|subject| self.evidence(&facts, &top, subject))
            .buffered(RENDERED_AT_ONCE);
        let mut rendered = std::pin::pin!(rendered);
        let mut found = Vec::with_capacity(count);
        while let Some(evidence) = rendered.next().await {
            found.push(evidence?);
            progress.reached(found.len());
        }
        drop(progress);
        for (subject, evidence) in subjects.iter().zip(&found) {
            tell(subject, evidence, context);
        }
        let is_proven = found.iter().all(Evidence::is_proof);
        if is_proven {
            let told = subjects.iter().zip(&found);
            let told = told.flat_map(|(one, evidence)| {
                inventory(&Known {
                    on: &one.on,
                    objects: &one.objects,
                    live: &one.live,
                    definitions: &evidence.definitions,
                })
            });
            let told: BTreeSet<String> = told.chain(self.told_of_repository()).collect();
            for text in &told {
                context.streams.note(text);
            }
        } else {
            let charts = subjects.iter().map(|one| &one.on.release.chart);
            let told: BTreeSet<String> = charts.flat_map(unrepeatable).collect();
            for text in &told {
                context.streams.note(text);
            }
            context.streams.hint(if told.is_empty() {
                "nothing is written: Argo CD would not deploy what Helm has applied; as no template \
                 calls what is made anew each time or what asks the cluster, a post-renderer, or \
                 somebody who has changed the chart, made the difference"
            } else {
                "nothing is written: Argo CD would not deploy what Helm has applied; what a \
                 post-renderer made of it, a value that is made anew each time, or what a chart \
                 asks of the cluster cannot be written into values"
            });
        }
        Ok(is_proven)
    }

    /// What Argo CD needs to fetch the chart, where that is not plain.
    fn told_of_repository(&self) -> Option<String> {
        let repository = self.chart_repository.as_deref()?;
        repository.starts_with("http://").then(|| {
            "Argo CD fetches a dependency by http:// only from a repository that it has been told of"
                .to_owned()
        })
    }

    async fn evidence(
        &self,
        facts: &SetFacts<'_>,
        top: &Path,
        subject: &Subject,
    ) -> Result<Evidence, OnboardError> {
        let cluster = &subject.on.cluster;
        let application = application_set::application(&self.name, cluster);
        let folder = top.join(self.places().chart());
        let source = application_set::source(&facts.borrowed(self), cluster);
        let source = Source::read(&source, &folder, &application).map_err(|source| {
            OnboardError::Source {
                cluster: cluster.clone(),
                source: Box::new(source),
            }
        })?;
        let references = BTreeMap::new();
        let request = Request {
            application: ApplicationFacts {
                name: &application,
                instance_name: &application,
                project: &self.project,
            },
            source: &source,
            namespace: &subject.on.release.namespace,
            revision: "",
            checkouts: Checkouts {
                folder: &folder,
                top,
                references: &references,
            },
            capabilities: &subject.cluster.capabilities,
            kustomize_build_options: "",
        };
        let failed = |source| OnboardError::Generation {
            cluster: cluster.clone(),
            source: Box::new(source),
        };
        // What is not the same twice is made anew each time.
        let first = manifest_generation::generate(&request)
            .await
            .map_err(failed)?;
        let second = manifest_generation::generate(&request)
            .await
            .map_err(failed)?;
        Ok(Evidence::of(
            subject.objects.clone(),
            [first, second],
            &subject.cluster,
            &subject.on.release.namespace,
        ))
    }

    /// Whether the rules admit the ApplicationSet. What they deny is told.
    async fn is_admitted(
        &self,
        written: &Written,
        context: &Context,
    ) -> Result<bool, CommandError> {
        let server = context.connect().await?;
        let (facts, lacking) = Facts::for_files(&server, context.argocd_namespace()).await?;
        for text in &lacking {
            context.streams.note(text);
        }
        let inventory = facts.inventory()?;
        let path = self.places().application_set();
        let namespaces = context.namespaces.of_files();
        let mut is_admitted = true;
        for manifest in manifests_of(&path, &written.application_set, namespaces) {
            let judged = check::judge(&manifest, &inventory, context.now());
            let (found, _) = judged.map_err(CommandError::new)?;
            for located in found {
                let finding = &located.finding;
                let text = format!("{path}: {}: {}", finding.rule, finding.message);
                match finding.level() {
                    Level::Deny => {
                        is_admitted = false;
                        context.streams.error(&text);
                    }
                    Level::Warn | Level::Undecided => context.streams.warning(&text),
                }
            }
        }
        Ok(is_admitted)
    }

    async fn write(&self, written: Written, context: &Context) -> Result<ExitStatus, CommandError> {
        let carrying = Carrying {
            args: &self.plan,
            output: self.output,
            again: &context.command_line,
            context,
        };
        carrying
            .write_files(KIND, Folder(&self.repo), written.files)
            .await
    }
}

/// What the ApplicationSet is made of beside what was typed.
struct SetFacts<'s> {
    argocd_namespace: &'s str,
    /// Those that all of the clusters have, and no others, where that was said.
    labels: Option<BTreeMap<String, String>>,
    clusters: Vec<&'s str>,
    repository: String,
    namespace: &'s str,
    scaled: Vec<application_set::Scaled>,
}

impl SetFacts<'_> {
    fn borrowed<'f>(&'f self, args: &'f OnboardArgs) -> application_set::Facts<'f> {
        application_set::Facts {
            places: args.places(),
            argocd_namespace: self.argocd_namespace,
            fan_out: match &self.labels {
                Some(labels) => FanOut::Labels(labels),
                None => FanOut::Names(&self.clusters),
            },
            project: &args.project,
            repository: &self.repository,
            target_revision: &args.target_revision,
            release: args.release(),
            namespace: self.namespace,
            scaled: &self.scaled,
            run_hooks: &args.run_hook,
        }
    }
}

/// What Helm has applied, and its hooks.
fn objects_of(on: &OnCluster) -> Result<Vec<Value>, ManifestError> {
    let mut objects = on.release.objects()?;
    for hook in &on.release.hooks {
        objects.extend(hook.objects()?);
    }
    Ok(objects)
}

impl Subject {
    /// The objects of the release that autoscalers scale, whoever has made those.
    fn scaled(&self) -> Vec<application_set::Scaled> {
        let is_own = |one: &application_set::Scaled| {
            let mut keys = self.objects.iter().map(Key::of);
            keys.any(|key| key.group == one.group && key.kind == one.kind && key.name == one.name)
        };
        let all = [&self.objects[..], &self.autoscalers].concat();
        let mut scaled = scaled(&all);
        scaled.retain(is_own);
        scaled
    }
}

/// Tells what the rendering for a cluster showed.
fn tell(subject: &Subject, evidence: &Evidence, context: &Context) {
    let cluster = &subject.on.cluster;
    let same = counted(evidence.same, "object");
    let revision = subject.on.release.revision;
    context.streams.status(&format!(
        "cluster {cluster}: {same} rendered as revision {revision} has them"
    ));
    for mismatch in &evidence.mismatches {
        let what = mismatch.what.words();
        let text = format!("cluster {cluster}: {} {what}", mismatch.object);
        context.streams.error(&text);
    }
    for mismatch in &evidence.generated {
        let text = format!(
            "cluster {cluster}: {} is rendered otherwise each time: Argo CD would never be in sync",
            mismatch.object
        );
        context.streams.error(&text);
    }
}
