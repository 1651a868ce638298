//! `bootstrap`: lays out the repository of a fleet, and its root in the devops cluster.

mod questions;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use jiff::SignedDuration;

use self::questions::AnswerArgs;
use super::plan::Carrying;
use crate::args::{DryRun, Format, OUTPUT, PLAN, PlanArgs, formats};
use crate::bootstrap::folder::different;
use crate::bootstrap::root::{Root, RootError};
use crate::bootstrap::{Folder, layout};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::block_on;
use crate::plan::Outcome;

/// Lay out the repository of a fleet, and its root in the cluster
///
/// Writes a repository from which Argo CD runs a fleet: an app-of-apps root, ApplicationSets with
/// pinned addons, AppProjects for each team and environment, External Secrets instead of secrets,
/// and a GitOpsPolicy. What flags do not say is asked on a terminal, and has a default elsewhere.
/// No network is needed. `kubectl gitops check` denies nothing of what is written.
///
/// What is written is shown first. Files that are there already and are the same stay; those that
/// differ are overwritten only if somebody agrees, or by --yes.
///
/// With --apply the root of a repository that is committed and pushed is laid into the cluster of
/// the current context, on which Argo CD runs: its AppProject and its Application, by server-side
/// apply. Then it waits until Argo CD has synced that. Run again, it goes on from where it was.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # Lay out a repository; without --yes it is shown first, and what flags do not say is asked
  kubectl gitops bootstrap fleet --repository https://git.example.com/fleet.git --yes

  # Show what would be written
  kubectl gitops bootstrap fleet --repository https://git.example.com/fleet.git --dry-run client

  # Once it is pushed, have Argo CD follow it
  kubectl gitops bootstrap fleet --apply --yes

  # For an Argo CD that drives production alone
  kubectl gitops bootstrap prod --repository https://git.example.com/prod.git --engine prod --yes

Exit status:
  0  all of it is there, or would be
  2  it failed, or nobody agreed")]
pub(crate) struct BootstrapArgs {
    /// Folder of the repository
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    folder: PathBuf,

    /// Lay the root of DIR into the cluster, and wait for Argo CD
    #[arg(long, conflicts_with = "AnswerArgs", help_heading = PLAN)]
    apply: bool,

    /// How long --apply waits for Argo CD, such as 10m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration, requires = "apply", help_heading = PLAN, hide_short_help = true)]
    timeout: Duration,

    #[command(flatten)]
    answers: AnswerArgs,

    #[command(flatten)]
    plan: PlanArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each file or object"),
    (Format::Wide, "With the commands that do the same"),
    (Format::Json, "The plan and what became of it in JSON"),
    (Format::Yaml, "The same in YAML"),
];

/// The kind of the document.
const KIND: &str = "Bootstrap";

/// Lays out files, or the root.
pub(crate) fn run(args: &BootstrapArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(async {
        if args.apply {
            apply(args, context).await
        } else {
            lay_out(args, context).await
        }
    })
}

async fn lay_out(args: &BootstrapArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let answers = args.answers.answers(&args.folder, args.plan.yes, context)?;
    let folder = Folder(&args.folder);
    let plan = folder.plan(layout(&answers)).map_err(CommandError::new)?;
    let overwritten = different(&plan).map(|path| {
        let path = args.folder.join(path);
        format!("{} differs, and would be overwritten", path.display())
    });
    context.warn(overwritten);
    let act = async |file: &_, only_ask| {
        if only_ask {
            return Ok(Outcome::WouldBeDone);
        }
        folder.write(file).map(|()| Outcome::Done)
    };
    let carrying = args.carrying("kubectl gitops bootstrap", context);
    let status = carrying.at_once_as(KIND, &plan, act).await?;
    if status == ExitStatus::Clean && args.plan.dry_run == DryRun::None {
        let folder = args.folder.display();
        context.streams.hint(&format!(
            "commit and push {folder}, and then: kubectl gitops bootstrap {folder} --apply"
        ));
    }
    Ok(status)
}

async fn apply(args: &BootstrapArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let root = Root::of_folder(&args.folder).map_err(without_root)?;
    let server = context.connect().await?;
    let plan = root.plan(&server).await.map_err(refused)?;
    let again = format!("kubectl gitops bootstrap {} --apply", args.folder.display());
    let act = async |action: &_, only_ask| {
        let told = |state: &_| {
            context
                .streams
                .status(&format!("application/root: {state}"));
        };
        root.act(action, only_ask, &server, args.timeout, told)
            .await
    };
    let carrying = args.carrying(&again, context);
    carrying.at_once_as(KIND, &plan, act).await
}

impl BootstrapArgs {
    fn carrying<'c>(&'c self, again: &'c str, context: &'c Context) -> Carrying<'c> {
        Carrying {
            args: &self.plan,
            output: self.output,
            again,
            context,
        }
    }
}

fn without_root(error: RootError) -> CommandError {
    let is_without_root = error.is_without_root();
    let error = CommandError::new(error);
    if is_without_root {
        error.hinted(
            "without --apply it lays out the repository, which then has to be committed and pushed",
        )
    } else {
        error
    }
}

/// The hints of the API server's answer come with it.
fn refused(error: RootError) -> CommandError {
    match error {
        RootError::Access(error) => error.into(),
        error => CommandError::new(error),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok();
    duration
        .filter(SignedDuration::is_positive)
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "expected a duration such as 5m or 90s".to_owned())
}
