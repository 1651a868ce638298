//! `addon status`: how far addons have come on their way to Argo CD.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::ValueHint;
use futures::StreamExt as _;
use policy::Kind;
use serde_json::Value;

use super::checkout::{chart_of, release_of};
use super::fleet::{Fleet, FleetArgs, Member};
use super::takeover::{InCheckout, takeovers};
use super::terraform_files::TerraformFiles;
use crate::addons::Installed;
use crate::addons::author::Places;
use crate::addons::read::installed;
use crate::addons::status::{Facts, LiveApplication, findings};
use crate::addons::terraform_gate;
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, formats};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, block_on, objects_of};
use crate::report::addon_status::{AddonOnClusters, AddonStatus};

/// Show how far addons have come on their way to Argo CD
///
/// Works out the gates of each addon on each cluster from what is there: the chart and the
/// ApplicationSet of the checkout, the releases that Helm keeps, the ApplicationSet and the
/// Applications in Argo CD, and what a sync would make of the live objects. Nothing is remembered
/// and nothing is changed.
///
/// An addon is an ApplicationSet of applicationsets/ with a chart of the same name in charts/. What
/// Terraform still manages is known by --state and --plan; without them that gate is unknown.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # All addons of the checkout
  kubectl gitops addon status --repo fleet

  # One of them on some clusters, with what tells so
  kubectl gitops addon status dns --repo fleet -l environment=staging -o wide

  # With what Terraform has, a state for each cluster
  kubectl gitops addon status --repo fleet --state prod=prod.json --state staging=staging.json

Exit status:
  0  no gate is shut
  1  one is
  2  it failed")]
pub(super) struct StatusArgs {
    /// Name of an addon [default: all of the checkout]
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: Option<String>,

    /// Folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    repo: PathBuf,

    #[command(flatten)]
    terraform: TerraformFiles,

    #[command(flatten)]
    fleet: FleetArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each addon on each cluster"),
    (Format::Wide, "A row for each gate, with its evidence"),
    (Format::Json, "All that was found, in JSON"),
    (Format::Yaml, "All that was found, in YAML"),
    (Format::Markdown, "A row for each gate, in Markdown"),
];

/// How many addons are rendered at once. Each is rendered for several clusters at once.
const ADDONS_AT_ONCE: usize = 2;
/// How many clusters are read at once.
const CLUSTERS_AT_ONCE: usize = 16;

/// The checkout has no addon that can be told of.
#[derive(Debug, thiserror::Error)]
enum StatusError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} has no addon: no ApplicationSet in applicationsets/ with a chart in charts/", .0.display())]
    None(PathBuf),
}

/// Reads, works out, prints.
pub(super) fn run(args: &StatusArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let report = block_on(status(args, context))?;
    context.print(&report, args.output)?;
    Ok(if report.is_shut() {
        ExitStatus::Drifted
    } else {
        ExitStatus::Clean
    })
}

async fn status(args: &StatusArgs, context: &Context) -> Result<AddonStatus, CommandError> {
    let names = args.names().map_err(CommandError::new)?;
    let terraform = args.terraform.read()?;
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let devops = context.connect().await?;
    let namespaces: BTreeSet<String> = names
        .iter()
        .map(|name| release_of(&args.repo, name, context).1)
        .collect();
    let known = Known {
        installed: installed_on_all(&fleet, &namespaces, context).await,
        terraform,
        fleet: &fleet,
        devops: &devops,
    };
    let addons = futures::stream::iter(names)
        .map(|name| args.addon(name, &known, context))
        .buffered(ADDONS_AT_ONCE);
    let addons: Vec<_> = addons.collect().await;
    Ok(AddonStatus {
        addons: addons.into_iter().collect::<Result<_, _>>()?,
    })
}

impl StatusArgs {
    /// The addons of the checkout that are meant.
    fn names(&self) -> Result<Vec<String>, StatusError> {
        if let Some(name) = &self.name {
            return Ok(vec![name.clone()]);
        }
        let path = self.repo.join("applicationsets");
        let entries = fs::read_dir(&path).map_err(|source| StatusError::Read {
            path: path.clone(),
            source,
        })?;
        let names = entries.filter_map(|entry| {
            let file = entry.ok()?.file_name().into_string().ok()?;
            let name = file.strip_suffix(".yaml")?.to_owned();
            let chart = Places { name: &name }.chart();
            self.repo.join(chart).is_dir().then_some(name)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        if names.is_empty() {
            return Err(StatusError::None(self.repo.clone()));
        }
        Ok(names)
    }

    async fn addon(
        &self,
        name: String,
        known: &Known<'_>,
        context: &Context,
    ) -> Result<AddonOnClusters, CommandError> {
        let Known { fleet, devops, .. } = known;
        let argocd = context.argocd_namespace();
        let in_checkout = InCheckout {
            name: &name,
            repo: &self.repo,
        };
        let takeovers = takeovers(in_checkout, fleet, context).await?;
        let (release, namespace) = release_of(&self.repo, &name, context);
        let chart = chart_of(&self.repo, &name);
        let is_set_live = exists(devops, Kind::ApplicationSet, argocd, &name).await;
        let mut clusters = Vec::with_capacity(takeovers.len());
        for takeover in &takeovers {
            let installed = known.installed(&takeover.name, &release, &namespace, context);
            let application = live_application(devops, argocd, &takeover.application).await;
            let found = findings(&Facts {
                name: &name,
                release: &release,
                namespace: &namespace,
                chart_version: chart.as_ref().map(|(_, version)| version.as_str()),
                installed,
                is_set_live,
                takeover,
                application: application.as_ref(),
                terraform: &known.terraform,
            });
            clusters.push((takeover.name.clone(), found));
        }
        Ok(AddonOnClusters {
            name,
            release,
            namespace,
            chart,
            clusters,
        })
    }
}

/// Whether an object is there; None where it cannot be read.
async fn exists(server: &ApiServer, kind: Kind, namespace: &str, name: &str) -> Option<bool> {
    let objects = objects_of(kind, namespace);
    let found = server.get(&objects, name, |_| ()).await.ok()?;
    Some(found.is_some())
}

/// What an Application says of itself, if it is there and can be read.
async fn live_application(
    server: &ApiServer,
    namespace: &str,
    name: &str,
) -> Option<LiveApplication> {
    let objects = objects_of(Kind::Application, namespace);
    let read = |json: &str| serde_json::from_str::<Value>(json).ok();
    let application = server.get(&objects, name, read).await.ok()???;
    let text = |pointer: &str| {
        let value = application.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or("Unknown").to_owned()
    };
    let automated = application.pointer("/spec/syncPolicy/automated");
    // An empty one switches it on.
    let is_automated = automated
        .filter(|automated| automated.is_object())
        .is_some_and(|automated| automated.get("enabled") != Some(&Value::Bool(false)));
    let history = application.pointer("/status/history");
    let history = history.and_then(Value::as_array);
    Some(LiveApplication {
        is_automated,
        was_synced: history.is_some_and(|all| !all.is_empty()),
        sync: text("/status/sync/status"),
        health: text("/status/health/status"),
    })
}

/// What all addons have in common, read once.
struct Known<'k> {
    fleet: &'k Fleet,
    devops: &'k ApiServer,
    terraform: terraform_gate::Known,
    /// The releases on each cluster, by the name of the cluster, or why they cannot be read.
    installed: BTreeMap<String, Result<Vec<Installed>, String>>,
}

impl Known<'_> {
    /// The release on a cluster, where Helm knows it. What cannot be read is told.
    fn installed(
        &self,
        cluster: &str,
        release: &str,
        namespace: &str,
        context: &Context,
    ) -> Option<&Installed> {
        let releases = self.installed.get(cluster)?.as_ref();
        let told =
            releases.map_err(|reason| context.warn([format!("cluster {cluster}: {reason}")]));
        let mut releases = told.ok()?.iter();
        releases.find(|one| {
            let newest = &one.stored.newest;
            newest.release == release && newest.namespace == namespace
        })
    }
}

/// The releases on all clusters, where Helm knows some. Each cluster is asked once, for one
/// namespace where all addons are in that.
async fn installed_on_all(
    fleet: &Fleet,
    namespaces: &BTreeSet<String>,
    context: &Context,
) -> BTreeMap<String, Result<Vec<Installed>, String>> {
    let mut namespaces = namespaces.iter();
    let only = match (namespaces.next(), namespaces.next()) {
        (Some(only), None) => Some(only.as_str()),
        _ => None,
    };
    let read = futures::stream::iter(&fleet.clusters)
        .map(|member| async move {
            let cluster = member.name().to_owned();
            (cluster, installed_on(fleet, member, only, context).await)
        })
        .buffer_unordered(CLUSTERS_AT_ONCE);
    read.collect().await
}

async fn installed_on(
    fleet: &Fleet,
    member: &Member,
    namespace: Option<&str>,
    context: &Context,
) -> Result<Vec<Installed>, String> {
    let server = fleet.connect(member, context).await;
    let server = server.map_err(|error| chain(&error))?;
    let installed = installed(&server, member.name(), namespace, &fleet.tracking).await;
    let (releases, _) = installed.map_err(|error| chain(&error))?;
    Ok(releases)
}
