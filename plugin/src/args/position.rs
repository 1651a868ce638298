//! Where kubectl's flags stand on a command line: behind the command, or before it.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// The command line with the flags that stand before a command behind it, where they mean the same.
/// The first argument is the name of the program.
pub(crate) fn behind_the_command(root: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut rest = arguments.into_iter().peekable();
    let mut line: Vec<OsString> = rest.next().into_iter().collect();
    // Each word with the command that it is a flag of, if it is one.
    let mut flags: Vec<(OsString, Option<&Command>)> = Vec::new();
    let mut command = root;
    while let Some(word) = rest.peek().filter(|_| command.has_subcommands()) {
        if let Some(has_value_behind) = flag(command, word) {
            flags.extend(rest.next().map(|flag| (flag, Some(command))));
            if has_value_behind {
                flags.extend(rest.next().map(|value| (value, None)));
            }
        } else if let Some(found) = command.find_subcommand(word) {
            line.extend(rest.next());
            command = found;
        } else {
            break;
        }
    }
    line.extend(flags.into_iter().map(|(word, of)| match of {
        Some(before) => meant_before(before, command, word),
        None => word,
    }));
    line.extend(rest);
    line
}

/// A flag as it has to be written behind a command to mean what it means before it: by its short
/// form or its other name, where the command has another flag of the name.
fn meant_before(before: &Command, command: &Command, word: OsString) -> OsString {
    let written = word.to_string_lossy();
    let Some(long) = written.strip_prefix("--") else {
        return word;
    };
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let named = |command: &Command| {
        let mut all = command.get_arguments();
        all.find(|argument| argument.get_long() == Some(name))
            .cloned()
    };
    let (Some(meant), Some(there)) = (named(before), named(command)) else {
        return word;
    };
    if meant.get_id() == there.get_id() {
        return word;
    }
    let mut all = command.get_arguments();
    let same = all.find(|argument| argument.get_id() == meant.get_id());
    let flag = match same.map(|same| (same.get_short(), same.get_long())) {
        Some((Some(short), _)) => format!("-{short}"),
        Some((None, Some(long))) => format!("--{long}"),
        _ => return word,
    };
    match value {
        Some(value) => format!("{flag}={value}").into(),
        None => flag.into(),
    }
}

/// Those words of a command line that are flags of a command, or their values, whatever else is
/// there.
pub(crate) fn flags_among(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut rest = arguments.into_iter();
    let mut flags = Vec::new();
    while let Some(word) = rest.next() {
        if let Some(has_value_behind) = flag(command, &word) {
            flags.push(word);
            if has_value_behind {
                flags.extend(rest.next());
            }
        }
    }
    flags
}

/// Whether the word behind a flag of the command is its value; None for what is not a flag of it.
fn flag(command: &Command, word: &OsStr) -> Option<bool> {
    let word = word.to_string_lossy();
    let mut all = command.get_arguments();
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split_once('=').map_or(long, |(name, _)| name);
        let known = all.find(|argument| argument.get_long() == Some(name))?;
        return Some(takes_value(known) && name == long);
    }
    let mut characters = word.strip_prefix('-')?.chars();
    let short = characters.next()?;
    let known = all.find(|argument| argument.get_short() == Some(short))?;
    Some(takes_value(known) && characters.next().is_none())
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    fn command() -> Command {
        let flags = [
            Arg::new("context").long("context"),
            Arg::new("namespace").short('n').long("namespace"),
            Arg::new("insecure")
                .long("insecure")
                .action(ArgAction::SetTrue),
        ]
        .map(|flag| match flag.get_id().as_str() {
            "insecure" => flag,
            _ => flag.action(ArgAction::Set),
        });
        let inner = Command::new("inner").args(&flags);
        let outer = Command::new("outer").args(&flags).subcommand(inner);
        let check = Command::new("check").args(&flags);
        Command::new("program")
            .args(&flags)
            .subcommands([outer, check])
    }

    /// A command has a flag of its own of a name that another flag has before it.
    #[test]
    fn a_flag_means_the_same_before_a_command_that_has_its_own() {
        let server = |id: &'static str| Arg::new(id).long("server").action(ArgAction::Set);
        let inner = Command::new("inner").args([
            server("own"),
            Arg::new("other").short('s').action(ArgAction::Set),
        ]);
        let root = Command::new("program")
            .arg(server("other").short('s'))
            .subcommand(inner);
        for (written, read) in [
            (
                "program --server a inner --server b",
                "program inner -s a --server b",
            ),
            ("program --server=a inner", "program inner -s=a"),
            ("program -s --server inner", "program inner -s --server"),
        ] {
            assert_eq!(
                behind_the_command(&root, words(written)),
                words(read),
                "{written}"
            );
        }
    }

    /// A flag behind a command is its own, also where that has commands below it.
    #[test]
    fn a_flag_behind_a_command_with_others_below_it_is_its_own() {
        let cluster =
            |id: &'static str, long: &'static str| Arg::new(id).long(long).action(ArgAction::Set);
        let own = [cluster("own", "cluster"), cluster("other", "other-cluster")];
        let outer = Command::new("outer")
            .args(own)
            .subcommand(Command::new("inner").arg(cluster("other", "cluster")));
        let root = Command::new("program")
            .arg(cluster("other", "cluster"))
            .subcommand(outer);
        for (written, read) in [
            ("program outer --cluster a", "program outer --cluster a"),
            (
                "program --cluster a outer --cluster b",
                "program outer --other-cluster a --cluster b",
            ),
            (
                "program --cluster a outer inner",
                "program outer inner --cluster a",
            ),
        ] {
            assert_eq!(
                behind_the_command(&root, words(written)),
                words(read),
                "{written}"
            );
        }
    }

    /// The same of one without a short form, which then has another name.
    #[test]
    fn a_flag_with_another_name_behind_a_command_is_called_by_that() {
        let cluster =
            |id: &'static str, long: &'static str| Arg::new(id).long(long).action(ArgAction::Set);
        let inner = Command::new("inner")
            .args([cluster("own", "cluster"), cluster("other", "other-cluster")]);
        let root = Command::new("program")
            .arg(cluster("other", "cluster"))
            .subcommand(inner);
        for (written, read) in [
            (
                "program --cluster a inner --cluster b",
                "program inner --other-cluster a --cluster b",
            ),
            (
                "program --cluster=a inner",
                "program inner --other-cluster=a",
            ),
        ] {
            assert_eq!(
                behind_the_command(&root, words(written)),
                words(read),
                "{written}"
            );
        }
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn flags_are_found_among_other_words() {
        for (written, flags) in [
            ("--context a check x -n b", "--context a -n b"),
            ("check --other -nb --insecure x", "-nb --insecure"),
            ("check --context", "--context"),
        ] {
            assert_eq!(flags_among(&command(), words(written)), words(flags));
        }
    }

    #[test]
    fn flags_count_where_the_command_is() {
        for (written, read) in [
            ("check --context a", "check --context a"),
            ("--context a check x", "check --context a x"),
            ("--context=a check", "check --context=a"),
            ("--insecure check", "check --insecure"),
            ("-n a check -- -n", "check -n a -- -n"),
            ("-na check", "check -na"),
            ("-n=a check", "check -n=a"),
            // A value may be the name of a command.
            ("--context check check", "check --context check"),
            (
                "-n a outer --context b inner -n c",
                "outer inner -n a --context b -n c",
            ),
            // What is wrong stays as it is.
            ("--context", "--context"),
            ("--context a", "--context a"),
            ("--context a chek", "--context a chek"),
            ("--context a outer", "outer --context a"),
            ("--other a check --context b", "--other a check --context b"),
            ("--context a help check", "--context a help check"),
            ("--context a -- check", "--context a -- check"),
        ] {
            let line = |line: &str| words(&format!("program {line}"));
            assert_eq!(
                behind_the_command(&command(), line(written)),
                line(read),
                "{written}"
            );
        }
    }
}
