//! `addon terraform`: how Terraform lets go of a release, and that it has.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use super::super::plan::{Carrying, FORMATS as PLAN_FORMATS};
use super::checkout::release_of;
use super::fleet::{Fleet, FleetArgs};
use super::private_file::keep;
use super::takeover::{InCheckout, takeovers};
use super::terraform_files::{TERRAFORM, TerraformFiles};
use crate::addons::status::State as GateState;
use crate::addons::terraform_gate::{Known, Managing, Source, Subject, letting_go};
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, PlanArgs, formats};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::block_on;
use crate::plan::{Change, Outcome, Plan, Step};
use crate::report::addon_terraform::{AddonTerraform, ClusterGate};
use crate::terraform::{FindError, RunError, Runner};

/// Show how Terraform lets go of a release, and prove that it has
///
/// Finds the `helm_release` of an addon in a state, by the name of the release and its namespace, also
/// in modules and among instances of `count` and `for_each`, and tells who refers to it. Prints the
/// `removed` block that forgets it, for versions that have one, or else the commands for the state
/// in their order, the backup first. Nothing of that touches the release.
///
/// Neither is printed while the gate is shut: while Argo CD's takeover would change something on one
/// of the clusters (`addon diff`), or while something refers to the resource, renders the release
/// otherwise or would replace it. --despite REASON prints them all the same, with the reason.
///
/// A plan of afterwards is the proof: nothing would be destroyed or created. Any `delete` of a
/// `helm_release` would uninstall it.
///
/// --run-terraform has Terraform or OpenTofu itself forget the resource: it reads the state in
/// --terraform-dir, keeps a copy of it there first, shows each command and asks. The block of the
/// resource is yours to remove. States and plans are read and never shown: they have secrets.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # How to let go of it
  terraform show -json | kubectl gitops addon terraform dns --repo fleet --state -

  # The proof afterwards
  kubectl gitops addon terraform dns --repo fleet --state state.json --plan after.json

Exit status:
  0  it may let go, or has, or is to do so by --despite
  1  the gate is shut
  2  nobody can tell, or it failed")]
pub(super) struct TerraformArgs {
    /// Name of the addon
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,

    /// Folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    repo: PathBuf,

    #[command(flatten)]
    files: TerraformFiles,

    /// Resource that is meant, where several manage the release
    ///
    /// It can be given several times.
    #[arg(long, value_name = "ADDRESS", hide_short_help = true, help_heading = TERRAFORM)]
    address: Vec<String>,

    /// Go on although the gate is shut, for this reason
    #[arg(long, value_name = "REASON", value_parser = parse_reason, help_heading = TERRAFORM)]
    despite: Option<String>,

    /// Have Terraform forget it, after a backup of the state
    #[arg(long, conflicts_with = "state", help_heading = TERRAFORM)]
    run_terraform: bool,

    /// Folder that Terraform runs in
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath, hide_short_help = true, help_heading = TERRAFORM)]
    terraform_dir: PathBuf,

    /// Terraform or OpenTofu [default: terraform or tofu of the PATH]
    #[arg(long, value_name = "PROGRAM", value_hint = ValueHint::CommandName, hide_short_help = true, help_heading = TERRAFORM)]
    terraform: Option<OsString>,

    #[command(flatten)]
    fleet: FleetArgs,

    #[command(flatten)]
    plan: PlanArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(PLAN_FORMATS), help_heading = OUTPUT)]
    output: Format,
}

/// The kind of the document of what Terraform was made to do.
const KIND: &str = "AddonLettingGo";

fn parse_reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected a reason".to_owned()),
        reason => Ok(reason.to_owned()),
    }
}

/// It cannot be said, or not be done.
#[derive(Debug, thiserror::Error)]
enum TerraformError {
    #[error("it is not said what Terraform has")]
    NoState,
    #[error(transparent)]
    Unclear(FindError),
    #[error(
        "Terraform does not let go of {release} in namespace {namespace}, as the gate is {gate}: {reasons}"
    )]
    Shut {
        release: String,
        namespace: String,
        gate: &'static str,
        reasons: String,
    },
    #[error("neither terraform nor tofu is on the PATH")]
    NoProgram,
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("cannot write {}", .path.display())]
    Backup {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is still in the state")]
    StillThere(String),
}

/// What is done to the state.
enum Action {
    Backup,
    Forget(String),
}

/// Reads, judges, prints or runs.
pub(super) fn run(args: &TerraformArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(terraform(args, context))
}

async fn terraform(args: &TerraformArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let (release, namespace) = release_of(&args.repo, &args.name, context);
    let known = args.known().await?;
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let addon = InCheckout {
        name: &args.name,
        repo: &args.repo,
    };
    let takeovers = takeovers(addon, &fleet, context).await?;
    let judged = takeovers.iter().map(|takeover| {
        let judgement = known.judge(&Subject {
            cluster: &takeover.name,
            release: &release,
            namespace: &namespace,
            addresses: &args.address,
            zero_diff: GateState::of_takeover(takeover),
        });
        ClusterGate {
            cluster: takeover.name.clone(),
            judgement,
        }
    });
    let clusters: Vec<ClusterGate<'_>> = judged.collect();
    let mut unclear = clusters
        .iter()
        .filter_map(|one| one.judgement.unclear.clone());
    if let Some(error) = unclear.next() {
        let error = CommandError::new(TerraformError::Unclear(error));
        return Err(error.hinted("--address names the one that is meant"));
    }
    let managing: Vec<Managing<'_>> = clusters
        .iter()
        .flat_map(|one| one.judgement.managing.iter().copied())
        .collect();
    let mut report = AddonTerraform {
        addon: args.name.clone(),
        release,
        namespace,
        despite: args.despite.clone(),
        clusters,
        letting_go: Vec::new(),
    };
    let may_let_go = report.gate() == GateState::Open || args.despite.is_some();
    if args.run_terraform {
        if report.gate() == GateState::Shut || report.gate() == GateState::Unknown {
            if !may_let_go {
                return Err(refusal(&report));
            }
            context.warn([report.despite_words()]);
        }
        return args.let_go(&managing, context).await;
    }
    if may_let_go {
        report.letting_go = letting_go(&managing, &known);
    }
    context.print(&report, args.output)?;
    Ok(match report.gate() {
        _ if args.despite.is_some() => ExitStatus::Clean,
        GateState::Open | GateState::Done => ExitStatus::Clean,
        GateState::Shut => ExitStatus::Drifted,
        GateState::Unknown => ExitStatus::Failed,
    })
}

fn refusal(report: &AddonTerraform<'_>) -> CommandError {
    let error = CommandError::new(TerraformError::Shut {
        release: report.release.clone(),
        namespace: report.namespace.clone(),
        gate: report.gate().as_str(),
        reasons: report.reasons().join("; "),
    });
    error.hinted("--despite REASON does it all the same")
}

impl TerraformArgs {
    async fn known(&self) -> Result<Known, CommandError> {
        let mut known = self.files.read()?;
        if self.run_terraform {
            let program = self.program()?;
            let state = self.runner(&program).state().await;
            known.states.push(Source {
                cluster: None,
                from: "the state".to_owned(),
                content: state.map_err(CommandError::new)?,
            });
        } else if !self.files.has_state() {
            let error = CommandError::new(TerraformError::NoState);
            return Err(error.hinted(
                "`terraform show -json > state.json` and --state state.json say so, or \
                 --run-terraform",
            ));
        }
        Ok(known)
    }

    fn runner<'r>(&'r self, program: &'r OsString) -> Runner<'r> {
        Runner {
            program,
            folder: &self.terraform_dir,
        }
    }

    fn program(&self) -> Result<OsString, CommandError> {
        if let Some(program) = &self.terraform {
            return Ok(program.clone());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |name: &&str| {
            let mut folders = std::env::split_paths(&path);
            folders.any(|folder| folder.join(name).is_file())
        };
        let found = ["terraform", "tofu"].into_iter().find(is_there);
        let found = found.ok_or_else(|| CommandError::new(TerraformError::NoProgram));
        Ok(found?.into())
    }

    /// Keeps a copy of the state, and has Terraform forget the resources, as far as it has not.
    async fn let_go(
        &self,
        managing: &[Managing<'_>],
        context: &Context,
    ) -> Result<ExitStatus, CommandError> {
        let program = self.program()?;
        let runner = self.runner(&program);
        let mut addresses: Vec<&str> = Vec::new();
        for one in managing {
            if !addresses.contains(&&*one.release.address) {
                addresses.push(&one.release.address);
            }
        }
        let plan = self.steps(&addresses, &runner).await?;
        let carrying = Carrying {
            args: &self.plan,
            output: self.output,
            again: &context.command_line,
            context,
        };
        let act = async |action: &Action, only_ask| {
            if only_ask {
                return Ok(Outcome::NotAsked);
            }
            self.act(action, &runner).await
        };
        let status = carrying.at_once_as(KIND, &plan, act).await?;
        if status == ExitStatus::Clean {
            let name = Path::new(&program).display();
            context.streams.hint(&format!(
                "take its block out of the configuration, and prove that it has let go: {name} plan \
                 -out=after.tfplan && {name} show -json after.tfplan > after.json, and --plan after.json"
            ));
        }
        Ok(status)
    }

    async fn steps(
        &self,
        addresses: &[&str],
        runner: &Runner<'_>,
    ) -> Result<Plan<Action>, CommandError> {
        let mut steps = Vec::new();
        let program = Path::new(runner.program).display().to_string();
        if addresses.is_empty() {
            steps.push(Step {
                what: format!("helm_release of {} in the state", self.name),
                is: "absent".to_owned(),
                change: Change::None,
            });
            return Ok(Plan { steps });
        }
        let path = self.backup_path(runner).await?;
        let is_kept = path.exists();
        steps.push(Step {
            what: format!("backup of the state, {}", path.display()),
            is: if is_kept { "there" } else { "absent" }.to_owned(),
            change: if is_kept {
                Change::None
            } else {
                Change::Make {
                    should_be: "there".to_owned(),
                    action: Action::Backup,
                    how: vec![format!("{program} state pull > {}", path.display())],
                    undo: Vec::new(),
                }
            },
        });
        steps.extend(addresses.iter().map(|address| Step {
            what: format!("{address} in the state"),
            is: "managed".to_owned(),
            change: Change::Make {
                should_be: "forgotten; the release stays as it is".to_owned(),
                action: Action::Forget((*address).to_owned()),
                how: vec![format!("{program} state rm '{address}'")],
                undo: vec![format!("{program} state push {}", path.display())],
            },
        }));
        Ok(Plan { steps })
    }

    /// One for each version of the state, so that none is overwritten.
    async fn backup_path(&self, runner: &Runner<'_>) -> Result<PathBuf, CommandError> {
        let pulled = runner.pull().await.map_err(CommandError::new)?;
        let name = format!("before-{}.{}.tfstate", self.name, pulled.serial);
        Ok(self.terraform_dir.join(name))
    }

    async fn act(&self, action: &Action, runner: &Runner<'_>) -> Result<Outcome, TerraformError> {
        match action {
            Action::Backup => {
                let pulled = runner.pull().await?;
                let name = format!("before-{}.{}.tfstate", self.name, pulled.serial);
                let path = self.terraform_dir.join(name);
                keep(&path, &pulled.text)
                    .map_err(|source| TerraformError::Backup { path, source })?;
            }
            Action::Forget(address) => {
                runner.forget(address).await?;
                let state = runner.state().await?;
                if state.releases.iter().any(|one| one.address == *address) {
                    return Err(TerraformError::StillThere(address.clone()));
                }
            }
        }
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something() {
        assert!(parse_reason("  ").is_err());
        assert_eq!(parse_reason(" ticket 7 "), Ok("ticket 7".to_owned()));
    }
}
