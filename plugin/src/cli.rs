//! What can be typed, and under which names.

mod help;
mod typed;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::args::{ClusterArgs, NamespaceArgs, behind_the_command};
use crate::commands::addon::{self, AddonArgs};
use crate::commands::audit::{self, AuditArgs};
use crate::commands::bootstrap::{self, BootstrapArgs};
use crate::commands::break_glass::{self, BreakGlassArgs};
use crate::commands::check::{self, CheckArgs};
use crate::commands::cluster::{self, ClusterCommandArgs};
use crate::commands::completion::{self, CompletionArgs};
use crate::commands::drift::{self, DriftCommandArgs};
use crate::commands::explain::{self, ExplainArgs};
use crate::commands::preview::{self, PreviewArgs};
use crate::commands::version::{self, VersionArgs};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::streams::Streams;

/// Look after fleets that run Argo CD
///
/// Judges Argo CD's objects by the same rules as the admission webhook `gitops-webhook`: what it
/// accepts in a pull request is what the API server admits, as far as the files tell.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-gitops",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  # Judge the files of a repository
  kubectl gitops check

  # Judge what is in a cluster
  kubectl gitops audit -A

  # Read about a rule
  kubectl gitops explain prod-auto-sync"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Box<CheckArgs>),
    Audit(AuditArgs),
    Preview(Box<PreviewArgs>),
    Drift(Box<DriftCommandArgs>),
    Cluster(ClusterCommandArgs),
    Addon(AddonArgs),
    Explain(ExplainArgs),
    BreakGlass(BreakGlassArgs),
    Bootstrap(Box<BootstrapArgs>),
    Completion(CompletionArgs),
    Version(Box<VersionArgs>),
}

/// The name of the file that kubectl calls to complete our words.
const COMPLETER: &str = "kubectl_complete-gitops";

/// The programs that we are a plugin of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Host {
    Kubectl,
    Argocd,
}

impl Host {
    fn of(file_name: &str) -> Self {
        match file_name {
            "argocd-gitops" => Host::Argocd,
            _ => Host::Kubectl,
        }
    }

    fn command_line(self) -> &'static str {
        match self {
            Host::Kubectl => "kubectl gitops",
            Host::Argocd => "argocd gitops",
        }
    }

    /// The file that the host calls for us.
    fn executable(self) -> &'static str {
        match self {
            Host::Kubectl => "kubectl-gitops",
            Host::Argocd => "argocd-gitops",
        }
    }
}

/// Does what the arguments say, the first of which is the name that we are called by.
pub(crate) fn run(
    arguments: Vec<OsString>,
    streams: Arc<Streams>,
) -> Result<ExitStatus, CommandError> {
    let called = file_name(arguments.first());
    if called == COMPLETER {
        let words = arguments.into_iter().skip(1).collect();
        return completion::complete(command(Host::Kubectl), words, &streams);
    }
    let host = Host::of(&called);
    let command = command(host);
    let typed = typed::command_line(host.command_line(), &arguments);
    let arguments = behind_the_command(&command, arguments);
    match command
        .try_get_matches_from(arguments)
        .and_then(|matches| parsed(&matches))
    {
        Ok((command, cluster, namespaces)) => {
            let context = Context::new(typed, streams, cluster, namespaces);
            dispatch(command, host, &context)
        }
        Err(answer) => {
            streams.answer(&answer)?;
            Ok(match answer.exit_code() {
                0 => ExitStatus::Clean,
                _ => ExitStatus::Failed,
            })
        }
    }
}

/// The command, and kubectl's flags behind it.
fn parsed(matches: &ArgMatches) -> Result<(Command, ClusterArgs, NamespaceArgs), clap::Error> {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    let cluster = ClusterArgs::from_arg_matches(innermost)?;
    let namespaces = NamespaceArgs::from_arg_matches(innermost)?;
    let cli = Cli::from_arg_matches(matches)?;
    Ok((cli.command, cluster, namespaces))
}

fn dispatch(command: Command, host: Host, context: &Context) -> Result<ExitStatus, CommandError> {
    match command {
        Command::Check(args) => check::run(&args, context),
        Command::Audit(args) => audit::run(&args, context),
        Command::Preview(args) => preview::run(&args, context),
        Command::Drift(args) => drift::run(&args, context),
        Command::Cluster(args) => cluster::run(&args, context),
        Command::Addon(args) => addon::run(&args, context),
        Command::Explain(args) => explain::run(&args, context),
        Command::BreakGlass(args) => break_glass::run(&args, context),
        Command::Bootstrap(args) => bootstrap::run(&args, context),
        Command::Version(args) => version::run(&args, context),
        Command::Completion(args) => {
            let command = self::command(host);
            completion::run(&args, command, host.executable(), context)
        }
    }
}

/// The command line as the host's users write it.
fn command(host: Host) -> clap::Command {
    let name = host.command_line();
    let command = called(Cli::command().bin_name(name), name);
    let command = with_cluster_flags(command.args_override_self(true));
    let command = match host {
        Host::Kubectl => command,
        Host::Argocd => command.mut_subcommand("completion", completion::of_argocd),
    };
    help::short(command, name)
}

/// The commands that ask no cluster.
const WITHOUT_CLUSTER: [&str; 3] = ["explain", "completion", "merge"];

/// What kubectl's `--cluster` is called where a command has its own.
const CLUSTER_OF_KUBECONFIG: &str = "kubeconfig-cluster";

/// Gives kubectl's flags to every command, as kubectl does. Those that ask no cluster do not show
/// them, and none has room for all of them on one screen.
fn with_cluster_flags(command: clap::Command) -> clap::Command {
    let is_hidden = WITHOUT_CLUSTER.contains(&command.get_name());
    let namespaces = NamespaceArgs::augment_args(clap::Command::new("flags"));
    let cluster = ClusterArgs::augment_args(clap::Command::new("flags"));
    let cluster = cluster
        .get_arguments()
        .map(|flag| flag.clone().hide_short_help(true));
    let flags = namespaces.get_arguments().cloned().chain(cluster);
    // A command may have a flag of its own of the same name, and then kubectl's has its short form,
    // or another name.
    let own: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect();
    let flags = flags.map(|flag| match flag.get_long() {
        Some(long) if own.iter().any(|own| own == long) => match flag.get_short() {
            Some(_) => flag.long(None::<&'static str>),
            None => flag.long(CLUSTER_OF_KUBECONFIG),
        },
        _ => flag,
    });
    command
        .args(flags.map(|flag| flag.hide(is_hidden)).collect::<Vec<_>>())
        .mut_subcommands(with_cluster_flags)
}

/// Examples as the host's users write them, of this command and of all below it.
fn called(command: clap::Command, name: &'static str) -> clap::Command {
    let help = command.get_after_long_help().map(ToString::to_string);
    let command = match help {
        Some(help) => command.after_long_help(help.replace("kubectl gitops", name)),
        None => command,
    };
    command.mut_subcommands(|subcommand| called(subcommand, name))
}

fn file_name(path: Option<&OsString>) -> String {
    path.and_then(|path| Path::new(path).file_name())
        .map(|name| name.to_string_lossy().trim_end_matches(".exe").to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command(Host::Kubectl).debug_assert();
    }

    #[test]
    fn the_name_that_we_are_called_by_decides_what_help_says() {
        for (file, line) in [
            ("/usr/local/bin/kubectl-gitops", "kubectl gitops"),
            ("argocd-gitops", "argocd gitops"),
            ("argocd-gitops.exe", "argocd gitops"),
            ("anything", "kubectl gitops"),
        ] {
            let host = Host::of(&file_name(Some(&file.into())));
            assert_eq!(host.command_line(), line, "{file}");
        }
    }
}
