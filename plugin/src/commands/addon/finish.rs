//! `addon finish`: what Helm keeps of a release is taken away, once Argo CD has it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::plan::{Carrying, FORMATS};
use super::checkout::release_of;
use super::fleet::{Fleet, FleetArgs};
use super::private_file::replace;
use super::rollout::{RolloutError, Target, targets};
use super::takeover::{InCheckout, takeovers};
use super::terraform_files::{TerraformFiles, unknown_to_have_let_go};
use crate::addons::gate;
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, PLAN, PlanArgs, formats};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::{AccessError, ApiServer, Objects, block_on};
use crate::plan::{Change, Outcome, Plan, Step};
use crate::releases::Driver;
use crate::text::counted;

/// Take away what Helm keeps of a release that Argo CD has taken over
///
/// Deletes the Secrets and `ConfigMaps` in which Helm keeps the revisions of the release
/// (`sh.helm.release.v1.…`), so that neither Helm nor Terraform knows it any more. What the release
/// has installed stays as it is: nothing is uninstalled. They are written to a file for each cluster
/// first, which only its owner may read: they have the values of the release, which may be secrets.
/// `kubectl create -f` brings them back.
///
/// Goes on only where Argo CD has taken over on all clusters that are meant: each Application is
/// Synced and Healthy, and a sync would leave all objects as they are; and where Terraform has let
/// go, as far as --state and --plan say. Afterwards `addon rollback` has no release to go back to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What would be taken away
  kubectl gitops addon finish dns --repo fleet --dry-run client

  # Take it away on one cluster, and keep it in a folder
  kubectl gitops addon finish dns --repo fleet --clusters staging --backup backups

Exit status:
  0  it is taken away, or would be
  2  it is not, at least in part")]
pub(super) struct FinishArgs {
    /// Name of the addon
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,

    /// Folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    repo: PathBuf,

    #[command(flatten)]
    terraform: TerraformFiles,

    #[command(flatten)]
    fleet: FleetArgs,

    /// Folder that the files are kept in
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath, help_heading = PLAN)]
    backup: PathBuf,

    #[command(flatten)]
    plan: PlanArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

/// The kind of the document.
const KIND: &str = "AddonFinish";

/// It is not done.
#[derive(Debug, thiserror::Error)]
enum FinishError {
    #[error("Argo CD has not taken over on {cluster}: {reason}")]
    NotTakenOver { cluster: String, reason: String },
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: it is not what was kept here before", .0.display())]
    OtherFile(PathBuf),
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// One thing that is done on a cluster.
enum Action {
    Backup(usize),
    Delete(usize, Kept),
}

/// An object in which Helm keeps a revision.
#[derive(Clone, Debug)]
struct Kept {
    driver: Driver,
    name: String,
    uid: String,
}

/// A cluster with what Helm keeps there.
struct OfCluster {
    target: Target,
    kept: Vec<Kept>,
}

struct Finishing<'f> {
    args: &'f FinishArgs,
    namespace: String,
    clusters: Vec<OfCluster>,
}

/// Reads, shows, asks, does.
pub(super) fn run(args: &FinishArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(finish(args, context))
}

async fn finish(args: &FinishArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let devops = context.connect().await?;
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let addon = InCheckout {
        name: &args.name,
        repo: &args.repo,
    };
    let takeovers = takeovers(addon, &fleet, context).await?;
    let targets = targets(&takeovers, &fleet, &devops, context).await?;
    for target in &targets {
        is_taken_over(target).map_err(|error| {
            let hint = format!("kubectl gitops addon enable {} does it", args.name);
            CommandError::new(error).hinted(hint)
        })?;
    }
    args.terraform_has_let_go(&takeovers, context)?;
    let (release, namespace) = release_of(&args.repo, &args.name, context);
    let mut clusters = Vec::with_capacity(targets.len());
    for target in targets {
        let kept = kept(&target.server, &release, &namespace).await?;
        clusters.push(OfCluster { target, kept });
    }
    let finishing = Finishing {
        args,
        namespace,
        clusters,
    };
    let plan = finishing.plan().map_err(CommandError::new)?;
    let carrying = Carrying {
        args: &args.plan,
        output: args.output,
        again: &context.command_line,
        context,
    };
    let act = async |action: &Action, only_ask| finishing.act(action, only_ask).await;
    carrying.at_once_as(KIND, &plan, act).await
}

fn is_taken_over(target: &Target) -> Result<(), FinishError> {
    let reason = if !target.live.is_synced_and_healthy() {
        format!("{} is {}", target.name(), target.live)
    } else if !target.is_taken_over {
        "a sync would still change something".to_owned()
    } else {
        return Ok(());
    };
    let cluster = target.cluster.clone();
    Err(FinishError::NotTakenOver { cluster, reason })
}

/// The objects in which Helm keeps a release, by their metadata.
async fn kept(
    server: &ApiServer,
    release: &str,
    namespace: &str,
) -> Result<Vec<Kept>, AccessError> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: String,
        uid: String,
    }
    let mut all = Vec::new();
    for driver in Driver::ALL {
        let (labels, fields) = driver.selectors();
        let labels = format!("{labels},name={release}");
        let objects = objects_of(driver, namespace);
        let read = |json: &str| serde_json::from_str::<Object>(json).ok();
        let listed = server.list_metadata(&objects, Some(&labels), fields, read);
        all.extend(listed.await?.into_iter().flatten().map(|object| Kept {
            driver,
            name: object.metadata.name,
            uid: object.metadata.uid,
        }));
    }
    Ok(all)
}

fn objects_of(driver: Driver, namespace: &str) -> Objects {
    Objects {
        resource: driver.resource(),
        namespace: Some(namespace.to_owned()),
    }
}

impl FinishArgs {
    fn terraform_has_let_go(
        &self,
        takeovers: &[gate::OnCluster],
        context: &Context,
    ) -> Result<(), CommandError> {
        let known = self.terraform.read()?;
        let (release, namespace) = release_of(&self.repo, &self.name, context);
        let unknown = unknown_to_have_let_go(&known, &release, &namespace, takeovers);
        for cluster in unknown.map_err(CommandError::new)? {
            context.streams.warning(&format!(
                "whether Terraform has let go on {cluster} is not known: --state and --plan say so"
            ));
        }
        Ok(())
    }

    /// Where what Helm keeps on a cluster is written to.
    fn backup_path(&self, cluster: &str) -> PathBuf {
        // A cluster without a name is called by its server.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let cluster: String = cluster
            .chars()
            .map(|c| if is_plain(c) { c } else { '-' })
            .collect();
        self.backup
            .join(format!("{cluster}-{}-releases.json", self.name))
    }
}

impl Finishing<'_> {
    fn plan(&self) -> Result<Plan<Action>, FinishError> {
        let mut steps = Vec::new();
        for (index, one) in self.clusters.iter().enumerate() {
            let cluster = &one.target.cluster;
            if one.kept.is_empty() {
                steps.push(Step {
                    what: format!("what Helm keeps of the release on {cluster}"),
                    is: "absent".to_owned(),
                    change: Change::None,
                });
                continue;
            }
            steps.push(self.backup_step(index, one)?);
            steps.extend(one.kept.iter().map(|kept| {
                let Kept { driver, name, .. } = kept;
                Step {
                    what: format!("{driver}/{name} on {cluster}"),
                    is: "there".to_owned(),
                    change: Change::Make {
                        should_be: "absent".to_owned(),
                        action: Action::Delete(index, kept.clone()),
                        how: vec![format!(
                            "kubectl delete {driver} {name} -n {}",
                            self.namespace
                        )],
                        undo: vec![format!(
                            "kubectl create -f {}",
                            self.args.backup_path(cluster).display()
                        )],
                    },
                }
            }));
        }
        Ok(Plan { steps })
    }

    fn backup_step(&self, index: usize, one: &OfCluster) -> Result<Step<Action>, FinishError> {
        let path = self.args.backup_path(&one.target.cluster);
        let before = before(&path)?;
        let names: Vec<&Value> = before
            .iter()
            .map(|item| &item["metadata"]["name"])
            .collect();
        let is_there = one
            .kept
            .iter()
            .all(|kept| names.iter().any(|name| **name == *kept.name));
        Ok(Step {
            what: format!(
                "backup of {}, {}",
                counted(one.kept.len(), "object"),
                path.display()
            ),
            is: if is_there { "there" } else { "absent" }.to_owned(),
            change: if is_there {
                Change::None
            } else {
                Change::Make {
                    should_be: "there".to_owned(),
                    action: Action::Backup(index),
                    how: Vec::new(),
                    undo: Vec::new(),
                }
            },
        })
    }

    async fn act(&self, action: &Action, only_ask: bool) -> Result<Outcome, FinishError> {
        match action {
            Action::Backup(_) if only_ask => Ok(Outcome::NotAsked),
            Action::Backup(index) => {
                self.back_up(&self.clusters[*index]).await?;
                Ok(Outcome::Done)
            }
            Action::Delete(index, kept) => {
                let server = &self.clusters[*index].target.server;
                let objects = objects_of(kept.driver, &self.namespace);
                server
                    .delete(&objects, &kept.name, &kept.uid, only_ask)
                    .await?;
                Ok(if only_ask {
                    Outcome::WouldBeDone
                } else {
                    Outcome::Done
                })
            }
        }
    }

    /// Adds what is there to what an earlier run has kept.
    async fn back_up(&self, one: &OfCluster) -> Result<(), FinishError> {
        let path = self.args.backup_path(&one.target.cluster);
        let mut items = before(&path)?;
        for kept in &one.kept {
            let objects = objects_of(kept.driver, &self.namespace);
            let read = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
            let found = one.target.server.get(&objects, &kept.name, read).await?;
            let Some(mut object) = found else { continue };
            if let Some(metadata) = object["metadata"].as_object_mut() {
                for name in [
                    "managedFields",
                    "resourceVersion",
                    "uid",
                    "creationTimestamp",
                ] {
                    metadata.remove(name);
                }
            }
            items.retain(|item| item["metadata"]["name"] != object["metadata"]["name"]);
            items.push(object);
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let text = Zeroizing::new(list.to_string());
        let failed = |source| FinishError::Write {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&self.args.backup).map_err(failed)?;
        replace(&path, &text).map_err(failed)
    }
}

/// What an earlier run has kept.
fn before(path: &Path) -> Result<Vec<Value>, FinishError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(FinishError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    let list: Option<Value> = serde_json::from_str(&text).ok();
    let items = list.as_ref().and_then(|list| list["items"].as_array());
    let items = items.ok_or_else(|| FinishError::OtherFile(path.to_owned()))?;
    Ok(items.clone())
}
