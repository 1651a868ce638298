//! `addon status`: how far addons have come on their way to Argo CD.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use policy::Kind;
use serde_json::Value;

use super::fleet::{Fleet, FleetArgs};
use super::takeover::{InCheckout, takeovers};
use crate::addons::Installed;
use crate::addons::author::Places;
use crate::addons::read::installed;
use crate::addons::status::{Facts, LiveApplication, findings};
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, formats};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, block_on, objects_of};
use crate::report::addon_status::{AddonOnClusters, AddonStatus};
use crate::repository::manifests_of;

/// Show how far addons have come on their way to Argo CD
///
/// Works out the gates of each addon on each cluster from what is there: the chart and the
/// ApplicationSet of the checkout, the releases that Helm keeps, the ApplicationSet and the
/// Applications in Argo CD, and what a sync would make of the live objects. Nothing is remembered
/// and nothing is changed.
///
/// An addon is an ApplicationSet of applicationsets/ with a chart of the same name in charts/. What
/// Terraform still knows is not read here: that gate is unknown.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # All addons of the checkout
  kubectl gitops addon status --repo fleet

  # One of them on some clusters, with what tells so
  kubectl gitops addon status dns --repo fleet -l environment=staging -o wide

  # For a script
  kubectl gitops addon status --repo fleet -o json

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
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let devops = context.connect().await?;
    let mut addons = Vec::with_capacity(names.len());
    for name in names {
        addons.push(args.addon(name, &fleet, &devops, context).await?);
    }
    Ok(AddonStatus { addons })
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
        fleet: &Fleet,
        devops: &ApiServer,
        context: &Context,
    ) -> Result<AddonOnClusters, CommandError> {
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
            let installed = installed_on(fleet, &takeover.name, &release, &namespace, context);
            let installed = installed.await;
            let application = live_application(devops, argocd, &takeover.application).await;
            let found = findings(&Facts {
                name: &name,
                release: &release,
                namespace: &namespace,
                chart_version: chart.as_ref().map(|(_, version)| version.as_str()),
                installed: installed.as_ref(),
                is_set_live,
                takeover,
                application: application.as_ref(),
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

/// Name and namespace of the release that an ApplicationSet of the checkout is for.
fn release_of(repo: &Path, name: &str, context: &Context) -> (String, String) {
    let place = Places { name }.application_set();
    let text = fs::read_to_string(repo.join(&place)).unwrap_or_default();
    let manifests = manifests_of(&place, &text, context.namespaces.of_files());
    let set = manifests
        .iter()
        .find(|one| one.kind == Kind::ApplicationSet);
    let set = set.and_then(|one| serde_json::from_str::<Value>(one.json()).ok());
    let text = |pointer: &str| {
        let value = set.as_ref().and_then(|set| set.pointer(pointer));
        value.and_then(Value::as_str).map(str::to_owned)
    };
    let release = text("/spec/template/spec/source/helm/releaseName");
    let namespace = text("/spec/template/spec/destination/namespace");
    (
        release.unwrap_or_else(|| name.to_owned()),
        namespace.unwrap_or_default(),
    )
}

/// Name and version of a chart of the checkout, if there is one.
fn chart_of(repo: &Path, name: &str) -> Option<(String, String)> {
    let path = repo.join(Places { name }.chart()).join("Chart.yaml");
    let chart = golang::yaml::value(&fs::read_to_string(path).ok()?).ok()?;
    let text = |field: &str| chart.get(field)?.as_str().map(str::to_owned);
    Some((text("name")?, text("version")?))
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
    Some(LiveApplication {
        is_automated,
        sync: text("/status/sync/status"),
        health: text("/status/health/status"),
    })
}

/// The release on a cluster, where Helm knows it. What cannot be read is told.
async fn installed_on(
    fleet: &Fleet,
    cluster: &str,
    release: &str,
    namespace: &str,
    context: &Context,
) -> Option<Installed> {
    let member = fleet
        .clusters
        .iter()
        .find(|member| member.name() == cluster)?;
    let failed = |error: &dyn std::error::Error| {
        context.warn([format!("cluster {cluster}: {}", chain(error))]);
    };
    let server = match fleet.connect(member, context).await {
        Ok(server) => server,
        Err(error) => {
            failed(&error);
            return None;
        }
    };
    match installed(&server, cluster, Some(namespace), &fleet.tracking).await {
        Ok((releases, _)) => releases
            .into_iter()
            .find(|one| one.stored.newest.release == release),
        Err(error) => {
            failed(&error);
            None
        }
    }
}
