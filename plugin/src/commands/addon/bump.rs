//! `addon bump`: another version of the chart, cluster by cluster.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueHint;
use tempfile::TempDir;

use super::super::plan::{Carrying, FORMATS};
use super::checkout::chart_of;
use super::fleet::{Fleet, FleetArgs};
use super::git::{GitError, WorkTree};
use super::rollout::{Goal, Moved, RolloutError, Target, parse_duration, targets};
use super::takeover::{InCheckout, takeovers};
use crate::addons::author::Places;
use crate::addons::gate::OnCluster;
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, PLAN, PlanArgs, formats};
use crate::bootstrap::folder::FileError;
use crate::bootstrap::{File, Folder};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, block_on, who_am_i};
use crate::plan::{Change, Outcome, Plan, Step};
use crate::report::addon_diff::AddonDiff;
use crate::temporary;
use crate::text::counted;

/// Bring another version of the chart to all clusters
///
/// Takes the chart from a folder, as `helm pull --untar` writes it, keeps the values of the checkout,
/// and renders it for each cluster: what a sync would change there is shown first, field by field.
/// Then the files are written and committed. Argo CD brings them to the clusters: by itself where
/// automated sync is on, else by a sync that is started here. It waits for one cluster after the
/// other, the first that was selected first, until it is Synced and Healthy with that commit, and
/// stops at the first that degrades.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What another version would change, on each cluster
  kubectl gitops addon bump dns --version 1.3.0 --chart dns --repo fleet --dry-run client

  # Bring it to staging, and push the commit
  kubectl gitops addon bump dns --version 1.3.0 --chart dns --repo fleet --clusters staging --push

Exit status:
  0  all clusters have it, or would have it
  2  one has not")]
pub(super) struct BumpArgs {
    /// Name of the addon
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,

    /// The version of the chart
    #[arg(long, value_name = "VERSION")]
    version: semver::Version,

    /// Folder with the chart in that version
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    chart: PathBuf,

    /// Folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    repo: PathBuf,

    #[command(flatten)]
    fleet: FleetArgs,

    /// Push the commit
    #[arg(long, help_heading = PLAN)]
    push: bool,

    /// How long to wait for each Application
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration, hide_short_help = true, help_heading = PLAN)]
    timeout: Duration,

    #[command(flatten)]
    plan: PlanArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

/// The kind of the document.
const KIND: &str = "AddonBump";

/// It is not done.
#[derive(Debug, thiserror::Error)]
enum BumpError {
    #[error("{} has no chart that can be read", .0.display())]
    NoChart(PathBuf),
    #[error("{} has the chart {found}: expected {expected}", .folder.display())]
    OtherChart {
        folder: PathBuf,
        found: String,
        expected: String,
    },
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: it is not a text file", .0.display())]
    NotText(PathBuf),
    #[error("cannot remove {}", .path.display())]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no folder for temporary files can be made")]
    Scratch(#[source] io::Error),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error("what the new version makes of a cluster is not known: {}", .0.join("; "))]
    Unknown(Vec<String>),
}

/// The files of a chart, by their paths in its folder.
type Files = BTreeMap<String, String>;

/// One thing that is done.
enum Action {
    Write(File),
    Remove(String),
    Commit,
    Push,
    Roll(usize),
}

struct Bumping<'b> {
    args: &'b BumpArgs,
    context: &'b Context,
    devops: &'b ApiServer,
    user: String,
    takeovers: Vec<OnCluster>,
    targets: Vec<Target>,
    old: Files,
    new: Files,
    tree: Option<WorkTree<'b>>,
}

/// Reads, renders, shows, asks, does.
pub(super) fn run(args: &BumpArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(bump(args, context))
}

async fn bump(args: &BumpArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let (old, new) = args.files().map_err(CommandError::new)?;
    let devops = context.connect().await?;
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let scratch = args.laid_out(&new).map_err(CommandError::new)?;
    let addon = InCheckout {
        name: &args.name,
        repo: scratch.path(),
    };
    let diff = AddonDiff {
        addon: args.name.clone(),
        clusters: takeovers(addon, &fleet, context).await?,
    };
    if args.output.is_for_people() {
        context.print(&diff, args.output)?;
    }
    let problems = diff.clusters.iter().flat_map(|one| {
        let problems = one.problems.iter();
        problems.map(|problem| format!("{}: {problem}", one.name))
    });
    let problems: Vec<String> = problems.collect();
    if !problems.is_empty() {
        return Err(CommandError::new(BumpError::Unknown(problems)));
    }
    let targets = targets(&diff.clusters, &fleet, &devops, context).await?;
    let user = who_am_i(&devops).await;
    let bumping = Bumping {
        args,
        context,
        devops: &devops,
        user: user.map_or_else(|| "kubectl-gitops".to_owned(), |user| user.username),
        takeovers: diff.clusters,
        targets,
        old,
        new,
        tree: WorkTree::of(&args.repo).await,
    };
    let plan = bumping.plan().await.map_err(CommandError::new)?;
    let carrying = Carrying {
        args: &args.plan,
        output: args.output,
        again: &context.command_line,
        context,
    };
    let act = async |action: &Action, only_ask| bumping.act(action, only_ask).await;
    carrying.at_once_as(KIND, &plan, act).await
}

impl BumpArgs {
    fn places(&self) -> Places<'_> {
        Places { name: &self.name }
    }

    /// The files of the chart as the checkout has them, and as it is to have them.
    fn files(&self) -> Result<(Files, Files), BumpError> {
        let own = self.repo.join(self.places().chart());
        let (name, _) =
            chart_of(&self.repo, &self.name).ok_or_else(|| BumpError::NoChart(own.clone()))?;
        let expected = format!("{name} {}", self.version);
        let mut new = read(&self.chart)?;
        let found = new.get("Chart.yaml").and_then(|text| {
            let chart = golang::yaml::value(text).ok()?;
            let field = |field: &str| Some(chart.get(field)?.as_str()?.to_owned());
            Some(format!("{} {}", field("name")?, field("version")?))
        });
        let found = found.ok_or_else(|| BumpError::NoChart(self.chart.clone()))?;
        if found != expected {
            return Err(BumpError::OtherChart {
                folder: self.chart.clone(),
                found,
                expected,
            });
        }
        let old = read(&own)?;
        // What the clusters share stays.
        if let Some(shared) = old.get(Places::SHARED) {
            new.insert(Places::SHARED.to_owned(), shared.clone());
        }
        Ok((old, new))
    }

    /// The checkout with the new chart, as far as it is about the addon.
    fn laid_out(&self, new: &Files) -> Result<TempDir, BumpError> {
        let scratch = temporary::folder("kubectl-gitops-").map_err(BumpError::Scratch)?;
        let write = |path: String, text: String| Folder(scratch.path()).write(&File { path, text });
        for (name, text) in new {
            write(format!("{}/{name}", self.places().chart()), text.clone())?;
        }
        let set = self.places().application_set();
        write(set.clone(), text_of(&self.repo.join(set))?)?;
        let overrides = self.repo.join("cluster-overrides");
        let clusters = match fs::read_dir(&overrides) {
            Ok(entries) => entries.filter_map(Result::ok).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => {
                return Err(BumpError::Read {
                    path: overrides,
                    source,
                });
            }
        };
        for cluster in clusters {
            let Ok(cluster) = cluster.file_name().into_string() else {
                continue;
            };
            let path = self.places().override_of(&cluster);
            if self.repo.join(&path).exists() {
                let text = text_of(&self.repo.join(&path))?;
                write(path, text)?;
            }
        }
        Ok(scratch)
    }
}

fn text_of(path: &Path) -> Result<String, BumpError> {
    let bytes = fs::read(path).map_err(|source| BumpError::Read {
        path: path.to_owned(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|_| BumpError::NotText(path.to_owned()))
}

/// The files below a folder.
fn read(top: &Path) -> Result<Files, BumpError> {
    let mut files = Files::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = top.join(&folder);
        let failed = |source| BumpError::Read {
            path: path.clone(),
            source,
        };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let below = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(below);
            } else {
                let text = text_of(&entry.path())?;
                files.insert(below.to_string_lossy().into_owned(), text);
            }
        }
    }
    Ok(files)
}

impl Bumping<'_> {
    async fn plan(&self) -> Result<Plan<Action>, BumpError> {
        let mut steps = self.file_steps();
        let is_written = !steps.is_empty();
        let is_committed_now = self.git_steps(is_written, &mut steps).await?;
        for (index, target) in self.targets.iter().enumerate() {
            steps.push(self.roll_step(index, target, is_committed_now));
        }
        Ok(Plan { steps })
    }

    /// The version goes last, so that a run that was cut off is not taken for one at its end.
    fn file_steps(&self) -> Vec<Step<Action>> {
        let chart = self.args.places().chart();
        let mut steps = Vec::new();
        let make = |what: String, is: &str, should_be: &str, action| Step {
            what,
            is: is.to_owned(),
            change: Change::Make {
                should_be: should_be.to_owned(),
                action,
                how: Vec::new(),
                undo: Vec::new(),
            },
        };
        let is_version = |name: &str| name == "Chart.yaml";
        let gone = self.old.keys().filter(|name| !self.new.contains_key(*name));
        for name in gone {
            let path = format!("{chart}/{name}");
            steps.push(make(path.clone(), "there", "absent", Action::Remove(path)));
        }
        let rest = self.new.iter().filter(|(name, _)| !is_version(name));
        let last = self.new.iter().filter(|(name, _)| is_version(name));
        for (name, text) in rest.chain(last) {
            let path = format!("{chart}/{name}");
            let (is, should_be) = match self.old.get(name) {
                Some(old) if old == text => continue,
                Some(_) => ("different", "overwritten"),
                None => ("absent", "new"),
            };
            let file = File {
                path: path.clone(),
                text: text.clone(),
            };
            steps.push(make(path, is, should_be, Action::Write(file)));
        }
        steps
    }

    /// Whether something is committed now.
    async fn git_steps(
        &self,
        is_written: bool,
        steps: &mut Vec<Step<Action>>,
    ) -> Result<bool, BumpError> {
        let Some(tree) = &self.tree else {
            return Ok(is_written);
        };
        let chart = self.args.places().chart();
        let is_changed = is_written || tree.is_changed(std::slice::from_ref(&chart)).await?;
        let make = |what: String, is: &str, should_be: &str, action, how: String| Step {
            what,
            is: is.to_owned(),
            change: Change::Make {
                should_be: should_be.to_owned(),
                action,
                how: vec![how],
                undo: Vec::new(),
            },
        };
        if is_changed {
            let how = format!("git add {chart} && git commit -- {chart}");
            let what = format!("commit of {chart}");
            steps.push(make(
                what,
                "not committed",
                "committed",
                Action::Commit,
                how,
            ));
        }
        let is_ahead = tree.has_remote().await && (is_changed || tree.is_ahead().await);
        if is_ahead && self.args.push {
            let (what, how) = ("push of the commit".to_owned(), "git push".to_owned());
            steps.push(make(what, "not pushed", "pushed", Action::Push, how));
        } else if is_ahead {
            let hint = "Argo CD sees the commit once it is pushed: --push does it";
            self.context.streams.warning(hint);
        }
        Ok(is_changed)
    }

    fn roll_step(&self, index: usize, target: &Target, is_committed_now: bool) -> Step<Action> {
        let takeover = &self.takeovers[index];
        let is_done =
            !is_committed_now && target.is_taken_over && target.live.is_synced_and_healthy();
        let changed = takeover.objects.iter().filter(|one| !one.class.is_open());
        let changed = counted(changed.count(), "object");
        Step {
            what: target.name(),
            is: target.live.to_string(),
            change: if is_done {
                Change::None
            } else {
                Change::Make {
                    should_be: format!(
                        "Synced, Healthy, with version {} ({changed} changed)",
                        self.args.version
                    ),
                    action: Action::Roll(index),
                    how: vec![format!("argocd app sync {}", target.application)],
                    undo: Vec::new(),
                }
            },
        }
    }

    async fn act(&self, action: &Action, only_ask: bool) -> Result<Outcome, BumpError> {
        if only_ask {
            return Ok(Outcome::NotAsked);
        }
        match action {
            Action::Write(file) => Folder(&self.args.repo).write(file)?,
            Action::Remove(path) => {
                let path = self.args.repo.join(path);
                fs::remove_file(&path).map_err(|source| BumpError::Remove { path, source })?;
            }
            Action::Commit => {
                if let Some(tree) = &self.tree {
                    let message = format!("Bump {} to {}", self.args.name, self.args.version);
                    tree.commit(&[self.args.places().chart()], &message).await?;
                }
            }
            Action::Push => {
                if let Some(tree) = &self.tree {
                    tree.push().await?;
                }
            }
            Action::Roll(index) => self.roll(&self.targets[*index]).await?,
        }
        Ok(Outcome::Done)
    }

    /// Brings the commit to a cluster.
    async fn roll(&self, target: &Target) -> Result<(), BumpError> {
        let head = match &self.tree {
            Some(tree) => Some(tree.head().await?),
            None => None,
        };
        let moved = Moved {
            from: target.live.compared_revision(),
            to: head.as_deref(),
        };
        let within = self.args.timeout;
        if !target.live.is_automated() {
            target
                .seen(moved, within, self.devops, self.context)
                .await?;
            let live = target.now(self.devops, self.context).await?;
            if live.sync_status() != "Synced" && !live.is_operating() {
                target
                    .sync(self.devops, &self.user, false, self.context)
                    .await?;
            }
        }
        let goal = Goal {
            within,
            is_automated: false,
            moved: Some(moved),
        };
        target.wait(goal, self.devops, self.context).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_chart_are_read_by_their_paths() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("templates")).unwrap();
        fs::write(folder.path().join("Chart.yaml"), "name: dns\n").unwrap();
        fs::write(folder.path().join("templates/a.yaml"), "a: 1\n").unwrap();
        let files = read(folder.path()).unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["Chart.yaml", "templates/a.yaml"]);
        fs::write(folder.path().join("icon.png"), [0xff, 0xfe]).unwrap();
        assert!(matches!(read(folder.path()), Err(BumpError::NotText(_))));
    }
}
