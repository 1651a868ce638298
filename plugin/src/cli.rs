//! What can be typed, and under which names.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cluster_access::{self, ClusterArgs};
use crate::commands::break_glass::{self, BreakGlassArgs};
use crate::commands::check::{self, CheckArgs};
use crate::commands::completion::{self, CompletionArgs};
use crate::commands::explain::{self, ExplainArgs};
use crate::commands::preview::{self, PreviewArgs};
use crate::commands::version::{self, VersionArgs};
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::namespaces::NamespaceArgs;
use crate::output;

/// Look after fleets that run Argo CD
///
/// Judges Argo CD's objects by the same rules as the admission webhook `gitops-webhook`: what it
/// accepts in a pull request is what the API server admits, as far as the files tell.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-gitops",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Box<CheckArgs>),
    Preview(Box<PreviewArgs>),
    Explain(ExplainArgs),
    BreakGlass(BreakGlassArgs),
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
pub(crate) fn run(arguments: Vec<OsString>) -> Result<ExitStatus, CommandError> {
    let called = file_name(arguments.first());
    if called == COMPLETER {
        let words = arguments.into_iter().skip(1).collect();
        return completion::complete(command(Host::Kubectl), words);
    }
    let host = Host::of(&called);
    let command = command(host);
    let arguments = cluster_access::behind_the_command(&command, arguments);
    let parsed = command
        .try_get_matches_from(arguments)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    match parsed {
        Ok(cli) => dispatch(cli.command, host),
        Err(answer) => {
            output::answer(&answer)?;
            Ok(match answer.exit_code() {
                0 => ExitStatus::Clean,
                _ => ExitStatus::Failed,
            })
        }
    }
}

fn dispatch(command: Command, host: Host) -> Result<ExitStatus, CommandError> {
    match command {
        Command::Check(args) => check::run(&args),
        Command::Preview(args) => preview::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::BreakGlass(args) => break_glass::run(&args),
        Command::Version(args) => version::run(&args),
        Command::Completion(args) => completion::run(&args, self::command(host), host.executable()),
    }
}

/// The command line as the host's users write it.
fn command(host: Host) -> clap::Command {
    let name = host.command_line();
    let command = called(Cli::command().bin_name(name), name);
    let command = with_cluster_flags(command.args_override_self(true));
    match host {
        Host::Kubectl => command,
        Host::Argocd => command.mut_subcommand("completion", completion::of_argocd),
    }
}

/// Gives kubectl's flags to every command, as kubectl does. Those that ask no cluster do not show them.
fn with_cluster_flags(command: clap::Command) -> clap::Command {
    if command.get_arguments().any(ClusterArgs::is_among) {
        return command;
    }
    let has_subcommands = command.has_subcommands();
    let flags = ClusterArgs::augment_args(clap::Command::new("flags"));
    let flags = NamespaceArgs::augment_args(flags.next_help_heading(ClusterArgs::HEADING));
    let flags = flags.get_arguments();
    let flags = flags.map(|flag| flag.clone().hide(!has_subcommands));
    command
        .args(flags.collect::<Vec<_>>())
        .mut_subcommands(with_cluster_flags)
}

/// Examples as the host's users write them, of all commands below this one.
fn called(command: clap::Command, name: &'static str) -> clap::Command {
    command.mut_subcommands(|subcommand| {
        let subcommand = called(subcommand, name);
        match subcommand.get_after_long_help() {
            Some(help) => {
                let help = help.to_string().replace("kubectl gitops", name);
                subcommand.after_long_help(help)
            }
            None => subcommand,
        }
    })
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
