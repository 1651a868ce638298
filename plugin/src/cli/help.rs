//! `--help` of a command fits one screen; `help COMMAND` says all that there is to say.

use clap::{Arg, ArgAction, Command};

/// How many examples a screen has room for.
const EXAMPLES: usize = 3;

/// Under which clap shows the general flags.
const GENERAL: &str = "General";

/// Has `-h` and `--help` of a command, and of all below it, say the same in short.
pub(super) fn short(command: Command, host: &str) -> Command {
    shortened(command, host, "")
}

fn shortened(command: Command, host: &str, path: &str) -> Command {
    let whole = format!("{host} help {path}");
    let shows_cluster_flags = command
        .get_arguments()
        .any(|flag| flag.get_id() == "context" && !flag.is_hide_set());
    let more = if shows_cluster_flags {
        ", also of --context and kubectl's other flags"
    } else {
        ""
    };
    let flag = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort)
        .help_heading(GENERAL)
        .help(format!(
            "Print this; `{}` says more{more}",
            whole.trim_end()
        ));
    let examples = command.get_after_long_help();
    let examples = examples.map(|help| first_examples(&help.to_string()));
    let command = command.disable_help_flag(true).arg(flag);
    let command = match examples {
        Some(examples) => command.after_help(examples),
        None => command,
    };
    command.mut_subcommands(|inner| {
        let path = format!("{path} {}", inner.get_name());
        shortened(inner, host, path.trim_start())
    })
}

/// The first examples of a help, which come before everything else in it.
fn first_examples(help: &str) -> String {
    let (examples, _) = help.split_once("\n\nExit status:").unwrap_or((help, ""));
    let mut paragraphs: Vec<&str> = examples.split("\n\n").collect();
    paragraphs.truncate(EXAMPLES);
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_examples_are_kept_and_nothing_else() {
        let example = |name: &str| format!("  # {name}\n  kubectl gitops {name}");
        let names = ["a", "b", "c", "d"].map(example);
        let help = format!(
            "Examples:\n{}\n\nExit status:\n  0  good",
            names.join("\n\n")
        );
        let first = format!("Examples:\n{}", names[..3].join("\n\n"));
        assert_eq!(first_examples(&help), first);
        assert_eq!(first_examples(&first), first);
    }
}
