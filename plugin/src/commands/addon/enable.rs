//! `addon enable`: Argo CD takes over, and what it has touched is proven.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueHint;
use policy::{Inventory, Level};

use super::super::plan::{Carrying, FORMATS};
use super::checkout::release_of;
use super::fleet::{Fleet, FleetArgs};
use super::git::{GitError, WorkTree};
use super::rollout::{Goal, RolloutError, Target, is_open, parse_duration, targets};
use super::takeover::{InCheckout, takeovers};
use super::terraform_files::{TerraformFiles, unknown_to_have_let_go};
use crate::addons::author::Places;
use crate::addons::automation::{EditError, For, forbidden, is_automated, switched_on};
use crate::addons::evidence::{Evidence, EvidenceError, OnCluster, Release};
use crate::addons::gate;
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, PLAN, PlanArgs, formats};
use crate::bootstrap::folder::FileError;
use crate::bootstrap::{File, Folder};
use crate::check;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::fleet::Facts;
use crate::kubernetes::{AccessError, ApiServer, block_on, who_am_i};
use crate::plan::{Change, Outcome, Plan, Step};
use crate::repository::manifests_of;
use crate::text::counted;

/// Have Argo CD take over, and prove that nothing was restarted
///
/// Goes on only where Argo CD's takeover would change nothing on any of the clusters (`addon diff`),
/// and where Terraform has let go, as far as --state and --plan say.
///
/// Automated sync is switched on in applicationsets/NAME.yaml for the clusters on which the rules
/// admit it, and the file is committed. Where they do not, as on production, the sync stays manual,
/// and the one sync is started here as `argocd app sync` starts it. Then it waits, cluster by
/// cluster, until Argo CD reports Synced and Healthy, and compares all objects and Pods with those
/// of before: uid, generation, Pod template, restarts. It stops at the first cluster that fails.
///
/// --evidence keeps what was before and what is afterwards in a file. It is written before anything
/// is done, and a run that was cut off goes on with it. Without it what was made since the sync is
/// known by its time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What would be done
  kubectl gitops addon enable dns --repo fleet --dry-run client

  # Do it on staging, push the commit, and keep the evidence
  kubectl gitops addon enable dns --repo fleet -l environment=staging --push --evidence dns.json

Exit status:
  0  Argo CD has taken over and nothing was restarted, or would take over
  2  it has not, at least in part, or something was restarted")]
pub(super) struct EnableArgs {
    /// Name of the addon
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,

    /// Folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    repo: PathBuf,

    /// File to keep the evidence in, .json or .md
    #[arg(long, value_name = "FILE", value_parser = parse_evidence, value_hint = ValueHint::FilePath)]
    evidence: Option<PathBuf>,

    #[command(flatten)]
    terraform: TerraformFiles,

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
const KIND: &str = "AddonEnablement";

fn parse_evidence(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json" | "md") if path.file_stem().is_some() => Ok(path),
        _ => Err("expected the name of a file that ends in .json or .md".to_owned()),
    }
}

/// It cannot be done.
#[derive(Debug, thiserror::Error)]
enum EnableError {
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}")]
    Edit {
        path: String,
        #[source]
        source: EditError,
    },
    #[error("{path} is not written, as a rule denies it: {}", .found.join("; "))]
    Denied { path: String, found: Vec<String> },
    #[error("{}", .path.display())]
    Evidence {
        path: PathBuf,
        #[source]
        source: EvidenceError,
    },
    #[error("{}", .0.join("; "))]
    Touched(Vec<String>),
}

/// One thing that is done.
enum Action {
    Begin,
    Write(File),
    Commit,
    Push,
    Sync(usize),
    Wait(usize),
    Prove(usize),
}

/// An addon on a cluster, and whether it may sync by itself there.
struct OfCluster {
    target: Target,
    /// Whether the checkout says that it syncs by itself.
    is_wanted: bool,
    /// Why it may not.
    forbidden: Option<String>,
}

/// What is known before anything is done.
struct Enabling<'e> {
    args: &'e EnableArgs,
    context: &'e Context,
    devops: &'e ApiServer,
    user: String,
    subjects: Vec<OfCluster>,
    evidence: RefCell<Evidence>,
    /// Whether the file has what was before on all clusters.
    is_begun: bool,
    tree: Option<WorkTree<'e>>,
}

/// Reads, shows, asks, does.
pub(super) fn run(args: &EnableArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(enable(args, context))
}

async fn enable(args: &EnableArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let devops = context.connect().await?;
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let addon = InCheckout {
        name: &args.name,
        repo: &args.repo,
    };
    let takeovers = takeovers(addon, &fleet, context).await?;
    is_open(&takeovers).map_err(|error| {
        let hint = format!("kubectl gitops addon diff {} says what", args.name);
        CommandError::new(error).hinted(hint)
    })?;
    args.terraform_has_let_go(&takeovers, context)?;
    let (facts, lacking) = Facts::for_files(&devops, context.argocd_namespace()).await?;
    for text in &lacking {
        context.streams.note(text);
    }
    let inventory = facts.inventory()?;
    let subjects = args
        .subjects(&takeovers, &fleet, &devops, &inventory, context)
        .await?;
    let (evidence, is_begun) = args.evidence(&subjects, context).await?;
    let user = who_am_i(&devops).await;
    let enabling = Enabling {
        args,
        context,
        devops: &devops,
        user: user.map_or_else(|| "kubectl-gitops".to_owned(), |user| user.username),
        subjects,
        evidence: RefCell::new(evidence),
        is_begun,
        tree: WorkTree::of(&args.repo).await,
    };
    let plan = enabling.plan(&inventory).await.map_err(explained)?;
    let carrying = Carrying {
        args: &args.plan,
        output: args.output,
        again: &context.command_line,
        context,
    };
    let act = async |action: &Action, only_ask| enabling.act(action, only_ask).await;
    carrying.at_once_as(KIND, &plan, act).await
}

fn explained(error: EnableError) -> CommandError {
    let hint = match &error {
        EnableError::Edit { .. } => Some(
            "write `automated: {prune: false, selfHeal: true}` there by hand, and run it again",
        ),
        EnableError::Evidence { .. } => Some("name another file by --evidence"),
        _ => None,
    };
    let error = CommandError::new(error);
    match hint {
        Some(hint) => error.hinted(hint),
        None => error,
    }
}

impl EnableArgs {
    fn place(&self) -> String {
        Places { name: &self.name }.application_set()
    }

    /// Refuses where the states and plans that were given say otherwise.
    fn terraform_has_let_go(
        &self,
        takeovers: &[gate::OnCluster],
        context: &Context,
    ) -> Result<(), CommandError> {
        let known = self.terraform.read()?;
        let (release, namespace) = release_of(&self.repo, &self.name, context);
        let unknown = unknown_to_have_let_go(&known, &release, &namespace, takeovers);
        let unknown = unknown.map_err(|error| {
            let hint = format!("kubectl gitops addon terraform {} says how", self.name);
            CommandError::new(error).hinted(hint)
        })?;
        if !unknown.is_empty() {
            context.streams.note(&format!(
                "whether Terraform has let go is not known for {}: --state and --plan say so",
                unknown.join(", ")
            ));
        }
        Ok(())
    }

    async fn subjects(
        &self,
        takeovers: &[gate::OnCluster],
        fleet: &Fleet,
        devops: &ApiServer,
        inventory: &Inventory,
        context: &Context,
    ) -> Result<Vec<OfCluster>, CommandError> {
        let addon = InCheckout {
            name: &self.name,
            repo: &self.repo,
        };
        let wanted = addon.wanted(fleet, inventory, context);
        let wanted = wanted.map_err(CommandError::new)?;
        let targets = targets(takeovers, fleet, devops, context).await?;
        let subjects = targets.into_iter().map(|target| {
            let json = wanted
                .iter()
                .find(|one| one.member.name() == target.cluster);
            let json = json.map_or("", |one| one.json.as_str());
            let namespaces = context.namespaces.of_files();
            OfCluster {
                is_wanted: is_automated(json),
                forbidden: forbidden(json, inventory, namespaces, context.now()),
                target,
            }
        });
        Ok(subjects.collect())
    }

    /// That of an earlier run with what is there now of the other clusters, and whether there are
    /// none.
    async fn evidence(
        &self,
        subjects: &[OfCluster],
        context: &Context,
    ) -> Result<(Evidence, bool), CommandError> {
        let (name, namespace) = release_of(&self.repo, &self.name, context);
        let release = Release { name, namespace };
        let mut evidence = self
            .kept_evidence()
            .map_err(explained)?
            .unwrap_or_else(|| Evidence::begun(&self.name, release, context.now()));
        let mut is_begun = true;
        for subject in subjects {
            let target = &subject.target;
            if evidence.of(&target.cluster).is_some() {
                continue;
            }
            is_begun = false;
            let before = if target.is_taken_over {
                None
            } else {
                Some(target.snapshot().await?)
            };
            evidence.set(OnCluster {
                name: target.cluster.clone(),
                application: target.application.clone(),
                synced_at: before.is_none().then(|| target.live.first_sync()).flatten(),
                before,
                ..OnCluster::default()
            });
        }
        Ok((evidence, is_begun))
    }

    fn kept_evidence(&self) -> Result<Option<Evidence>, EnableError> {
        let Some(path) = self.evidence.as_ref().filter(|path| !is_markdown(path)) else {
            return Ok(None);
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let path = path.clone();
                return Err(EnableError::Read { path, source });
            }
        };
        let read = Evidence::read(&text, &self.name);
        let read = read.map_err(|source| EnableError::Evidence {
            path: path.clone(),
            source,
        })?;
        Ok(Some(read))
    }
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

impl Enabling<'_> {
    async fn plan(&self, inventory: &Inventory) -> Result<Plan<Action>, EnableError> {
        let mut steps: Vec<Step<Action>> = Vec::new();
        steps.extend(self.evidence_step());
        let writing = self.writing(inventory)?;
        let is_written = matches!(writing.change, Change::Make { .. });
        steps.push(writing);
        let is_to_be_pushed = self.git_steps(is_written, &mut steps).await?;
        let waits_for_people = is_to_be_pushed && !self.args.push;
        for (index, subject) in self.subjects.iter().enumerate() {
            let target = &subject.target;
            let is_done = Self::is_done(subject);
            if subject.forbidden.is_none() && !target.live.is_automated() && waits_for_people {
                steps.push(Step {
                    what: format!("automated sync of {}", target.name()),
                    is: "off".to_owned(),
                    change: Change::ByHand {
                        should_be: "on, and proven".to_owned(),
                        how: "push the commit, and run this again".to_owned(),
                    },
                });
                continue;
            }
            if subject.forbidden.is_some() {
                steps.push(Self::sync_step(index, target));
            }
            steps.push(Self::wait_step(index, subject, is_done));
            steps.push(self.proof_step(index, target, is_done));
        }
        Ok(Plan { steps })
    }

    /// Whether Argo CD has taken over as it should, and all is well.
    fn is_done(subject: &OfCluster) -> bool {
        let target = &subject.target;
        let is_automated = subject.forbidden.is_some() || target.live.is_automated();
        let is_taken_over = target.is_taken_over || subject.forbidden.is_none();
        is_automated && is_taken_over && target.live.is_synced_and_healthy()
    }

    fn evidence_step(&self) -> Option<Step<Action>> {
        let path = self.args.evidence.as_ref()?;
        let is_there = self.is_begun;
        Some(Step {
            what: format!("evidence of before, {}", path.display()),
            is: if is_there { "there" } else { "absent" }.to_owned(),
            change: if is_there {
                Change::None
            } else {
                Change::Make {
                    should_be: "there".to_owned(),
                    action: Action::Begin,
                    how: Vec::new(),
                    undo: Vec::new(),
                }
            },
        })
    }

    /// What becomes of the ApplicationSet in the checkout.
    fn writing(&self, inventory: &Inventory) -> Result<Step<Action>, EnableError> {
        let path = self.args.place();
        let may: Vec<&OfCluster> = self
            .subjects
            .iter()
            .filter(|one| one.forbidden.is_none())
            .collect();
        for subject in &self.subjects {
            if let Some(reason) = &subject.forbidden {
                let cluster = &subject.target.cluster;
                self.context
                    .streams
                    .note(&format!("cluster {cluster} keeps manual sync: {reason}"));
            }
        }
        let lacking = may.iter().filter(|one| !one.is_wanted);
        let lacking: BTreeSet<String> = lacking.map(|one| one.target.cluster.clone()).collect();
        let what = format!("automated sync in {path}");
        if lacking.is_empty() {
            return Ok(Step {
                what,
                is: match may.len() {
                    0 => "off, as it has to be".to_owned(),
                    _ => "on where it may be".to_owned(),
                },
                change: Change::None,
            });
        }
        let file = self.args.repo.join(&path);
        let text =
            fs::read_to_string(&file).map_err(|source| EnableError::Read { path: file, source })?;
        let names = lacking.iter().cloned().collect::<Vec<_>>().join(", ");
        let is_for_all = self.args.fleet.is_all() && lacking.len() == self.subjects.len();
        let meant = if is_for_all {
            For::All
        } else {
            For::Clusters(lacking)
        };
        let text = switched_on(&text, &meant).map_err(|source| EnableError::Edit {
            path: path.clone(),
            source,
        })?;
        self.is_admitted(&path, &text, inventory)?;
        Ok(Step {
            what,
            is: format!("off for {names}"),
            change: Change::Make {
                should_be: "on".to_owned(),
                action: Action::Write(File {
                    path: path.clone(),
                    text,
                }),
                how: Vec::new(),
                undo: vec![format!("kubectl gitops addon rollback {}", self.args.name)],
            },
        })
    }

    /// Refuses what a rule denies.
    fn is_admitted(
        &self,
        path: &str,
        text: &str,
        inventory: &Inventory,
    ) -> Result<(), EnableError> {
        let manifests = manifests_of(path, text, self.context.namespaces.of_files());
        let judged = manifests
            .iter()
            .map(|one| check::judge(one, inventory, self.context.now()));
        let found = judged.filter_map(Result::ok).flat_map(|(found, _)| found);
        let denied = found.filter(|one| one.finding.level() == Level::Deny);
        let found = denied.map(|one| format!("{}: {}", one.finding.rule, one.finding.message));
        let found: Vec<String> = found.collect();
        if found.is_empty() {
            return Ok(());
        }
        let path = path.to_owned();
        Err(EnableError::Denied { path, found })
    }

    /// Whether somebody has to push.
    async fn git_steps(
        &self,
        is_written: bool,
        steps: &mut Vec<Step<Action>>,
    ) -> Result<bool, EnableError> {
        let Some(tree) = &self.tree else {
            return Ok(is_written);
        };
        let path = self.args.place();
        let is_changed = is_written || tree.is_changed(std::slice::from_ref(&path)).await?;
        if is_changed {
            steps.push(Step {
                what: format!("commit of {path}"),
                is: "not committed".to_owned(),
                change: Change::Make {
                    should_be: "committed".to_owned(),
                    action: Action::Commit,
                    how: vec![format!("git add {path} && git commit -- {path}")],
                    undo: Vec::new(),
                },
            });
        }
        let has_remote = tree.has_remote().await;
        let is_ahead = has_remote && (is_changed || tree.is_ahead().await);
        if is_ahead && self.args.push {
            steps.push(Step {
                what: "push of the commit".to_owned(),
                is: "not pushed".to_owned(),
                change: Change::Make {
                    should_be: "pushed".to_owned(),
                    action: Action::Push,
                    how: vec!["git push".to_owned()],
                    undo: Vec::new(),
                },
            });
        }
        Ok(is_ahead)
    }

    fn sync_step(index: usize, target: &Target) -> Step<Action> {
        let is_needed = !target.is_taken_over || target.live.sync_status() != "Synced";
        Step {
            what: format!("sync of {}", target.name()),
            is: target.live.to_string(),
            change: if is_needed && !target.live.is_operating() {
                Change::Make {
                    should_be: "started".to_owned(),
                    action: Action::Sync(index),
                    how: vec![format!("argocd app sync {}", target.application)],
                    undo: Vec::new(),
                }
            } else {
                Change::None
            },
        }
    }

    fn wait_step(index: usize, subject: &OfCluster, is_done: bool) -> Step<Action> {
        let target = &subject.target;
        let with = if subject.forbidden.is_some() {
            "by hand"
        } else {
            "automated"
        };
        let is = if target.live.is_automated() {
            format!("{}, automated", target.live)
        } else {
            target.live.to_string()
        };
        Step {
            what: target.name(),
            is,
            change: if is_done {
                Change::None
            } else {
                Change::Make {
                    should_be: format!("Synced, Healthy, {with}"),
                    action: Action::Wait(index),
                    how: vec![format!("argocd app wait {}", target.application)],
                    undo: Vec::new(),
                }
            },
        }
    }

    fn proof_step(&self, index: usize, target: &Target, is_done: bool) -> Step<Action> {
        let evidence = self.evidence.borrow();
        let known = evidence.of(&target.cluster);
        let is_proven = known.is_some_and(OnCluster::is_untouched);
        let is_asked_for = self.args.evidence.is_some();
        Step {
            what: format!("objects and Pods on {}", target.cluster),
            is: if is_proven {
                "untouched".to_owned()
            } else {
                "not proven".to_owned()
            },
            change: if is_done && (is_proven || !is_asked_for) {
                Change::None
            } else {
                Change::Make {
                    should_be: "those of before".to_owned(),
                    action: Action::Prove(index),
                    how: Vec::new(),
                    undo: Vec::new(),
                }
            },
        }
    }

    async fn act(&self, action: &Action, only_ask: bool) -> Result<Outcome, EnableError> {
        match action {
            Action::Sync(index) => {
                let target = &self.subjects[*index].target;
                let outcome = target
                    .sync(self.devops, &self.user, only_ask, self.context)
                    .await?;
                return Ok(outcome);
            }
            _ if only_ask => return Ok(Outcome::NotAsked),
            Action::Begin => self.keep()?,
            Action::Write(file) => Folder(&self.args.repo).write(file)?,
            Action::Commit => {
                if let Some(tree) = &self.tree {
                    let message = format!("Switch on automated sync of {}", self.args.name);
                    tree.commit(&[self.args.place()], &message).await?;
                }
            }
            Action::Push => {
                if let Some(tree) = &self.tree {
                    tree.push().await?;
                }
            }
            Action::Wait(index) => {
                let subject = &self.subjects[*index];
                let goal = Goal {
                    within: self.args.timeout,
                    is_automated: subject.forbidden.is_none(),
                    moved: None,
                };
                subject.target.wait(goal, self.devops, self.context).await?;
            }
            Action::Prove(index) => self.prove(&self.subjects[*index].target).await?,
        }
        Ok(Outcome::Done)
    }

    /// Compares with what was before, and keeps both.
    async fn prove(&self, target: &Target) -> Result<(), EnableError> {
        let live = target.now(self.devops, self.context).await?;
        let after = target.snapshot().await?;
        let count = (after.objects.len(), after.pods.len());
        let known = self.evidence.borrow().of(&target.cluster).cloned();
        let mut on = known.unwrap_or_default();
        on.revision = Some(live.compared_revision().to_owned());
        on.synced_at = on.synced_at.or(live.first_sync());
        on.finish(after, self.context.now());
        let changes = on.changes.clone().unwrap_or_default();
        self.evidence.borrow_mut().set(on);
        self.keep()?;
        if !changes.is_empty() {
            return Err(EnableError::Touched(changes));
        }
        self.context.streams.status(&format!(
            "cluster {}: {} and {} are those of before",
            target.cluster,
            counted(count.0, "object"),
            counted(count.1, "Pod")
        ));
        Ok(())
    }

    /// Writes the evidence, where there is a file for it.
    fn keep(&self) -> Result<(), EnableError> {
        let Some(path) = &self.args.evidence else {
            return Ok(());
        };
        let evidence = self.evidence.borrow();
        let text = if is_markdown(path) {
            evidence.markdown()
        } else {
            evidence.json()
        };
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let file = File {
            path: name.unwrap_or_default(),
            text,
        };
        Ok(Folder(folder.unwrap_or_else(|| Path::new("."))).write(&file)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_json_or_markdown() {
        assert!(parse_evidence("dns.json").is_ok());
        assert!(parse_evidence("a/dns.md").is_ok());
        for other in ["dns.yaml", "dns", ".json", ""] {
            assert!(parse_evidence(other).is_err(), "{other}");
        }
    }
}
