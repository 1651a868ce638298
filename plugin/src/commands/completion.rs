//! `completion`: words for shells, and for kubectl.

mod candidates;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use clap_complete::Shell;
use clap_complete::engine::CompletionCandidate;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::streams::Streams;

/// Print a completion script for a shell
///
/// kubectl completes its plugins' words by itself: it calls an executable named
/// `kubectl_complete-gitops`. This binary is that executable too, when it is called so. It
/// completes contexts, clusters and users of the kubeconfig as well, and namespaces and objects of
/// the cluster, for which it waits two seconds at most.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # Complete `kubectl-gitops` in this shell
  source <(kubectl gitops completion bash)

  # Complete `kubectl gitops` wherever kubectl's own completion is on
  ln -s \"$(command -v kubectl-gitops)\" ~/.local/bin/kubectl_complete-gitops")]
pub(crate) struct CompletionArgs {
    /// The shell to print the script for
    shell: Shell,
}

/// The command as argocd has it, which completes no words of its plugins.
pub(crate) fn of_argocd(command: clap::Command) -> clap::Command {
    command
        .long_about(
            "Print a completion script for a shell\n\nargocd does not complete its plugins' words. \
             They are completed after `argocd-gitops`, the name of the executable.",
        )
        .after_long_help(
            "\
Examples:
  # Complete `argocd-gitops` in this shell
  source <(argocd gitops completion bash)",
        )
}

/// Prints a shell's script, which completes words after the name of the executable.
pub(crate) fn run(
    args: &CompletionArgs,
    mut command: clap::Command,
    executable: &str,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, executable, &mut script);
    context.streams.print(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Clean)
}

/// The shell must not offer files of its own: ours are among the candidates.
const NO_FILE_COMPLETION: u8 = 4;
/// The shell must not add a space: the candidate is a folder, or a kind whose name is to follow.
const NO_SPACE: u8 = 2;

/// Answers kubectl, which passes the words so far, the last one being the one to complete. Each
/// candidate is a line; the last line holds the directive bits of cobra's `ShellCompDirective`.
pub(crate) fn complete(
    command: clap::Command,
    words: Vec<OsString>,
    streams: &Streams,
) -> Result<ExitStatus, CommandError> {
    let last = words.len().max(1);
    let mut line = vec![OsString::from("kubectl-gitops")];
    line.extend(words);
    line.resize(last + 1, OsString::new());
    let mut command = candidates::attach(command, line[1..last].to_vec());
    let folder = std::env::current_dir().ok();
    let candidates = clap_complete::engine::complete(&mut command, line, last, folder.as_deref())
        .map_err(CommandError::new)?;
    let candidates = candidates.iter();
    let shown: Vec<_> = candidates
        .filter(|candidate| !candidate.is_hide_set())
        .collect();
    let is_flag = |candidate: &CompletionCandidate| {
        let value = candidate.get_value().to_string_lossy();
        value.starts_with('-')
    };
    // Nobody who types something else looks for a flag, unless there is nothing else.
    let has_others = shown.iter().any(|candidate| !is_flag(candidate));
    let mut answer = String::new();
    let mut directive = NO_FILE_COMPLETION;
    for candidate in shown
        .into_iter()
        .filter(|candidate| !(has_others && is_flag(candidate)))
    {
        let value = candidate.get_value().to_string_lossy();
        answer.push_str(&value);
        if let Some(help) = candidate.get_help() {
            let help = help.to_string();
            let _ = write!(answer, "\t{}", help.lines().next().unwrap_or_default());
        }
        answer.push('\n');
        if value.ends_with('/') || Path::new(&*value).is_dir() {
            directive |= NO_SPACE;
        }
    }
    let _ = writeln!(answer, ":{directive}");
    streams.print(&answer)?;
    Ok(ExitStatus::Clean)
}
