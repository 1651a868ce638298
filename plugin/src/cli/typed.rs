//! The command line as it was typed.

use std::ffi::OsString;
use std::fmt::Write as _;

use crate::text::shell_word;

/// The flag of which the value is nobody else's business, and what is told in its place.
const TOKEN: &str = "--token";
const LEFT_OUT: &str = "\"$TOKEN\"";

/// A command line as a shell reads it, whatever program we are a plugin of. The first argument is
/// the name that we are called by. It goes to messages, so that no secret is in it.
pub(super) fn command_line(program: &str, arguments: &[OsString]) -> String {
    let mut line = program.to_owned();
    let mut is_token = false;
    for argument in arguments.iter().skip(1) {
        let word = argument.to_string_lossy();
        line.push(' ');
        if is_token {
            line.push_str(LEFT_OUT);
        } else if word
            .strip_prefix(TOKEN)
            .is_some_and(|rest| rest.starts_with('='))
        {
            // A String takes all that is written to it.
            let _ = write!(line, "{TOKEN}={LEFT_OUT}");
        } else {
            line.push_str(&shell_word(&word));
        }
        is_token = !is_token && word == TOKEN;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(arguments: &[&str]) -> String {
        let called = ["/usr/bin/kubectl-gitops"].iter().chain(arguments);
        let arguments: Vec<OsString> = called.map(OsString::from).collect();
        command_line("kubectl gitops", &arguments)
    }

    #[test]
    fn a_shell_reads_it_as_it_was_typed() {
        assert_eq!(
            typed(&["cluster", "onboard", "it's", "-l", "a=b c", "--apply"]),
            r"kubectl gitops cluster onboard 'it'\''s' -l 'a=b c' --apply"
        );
    }

    #[test]
    fn a_token_is_not_told() {
        assert_eq!(
            typed(&["--token", "hunter2", "audit", "--token=hunter2", "-A"]),
            "kubectl gitops --token \"$TOKEN\" audit --token=\"$TOKEN\" -A"
        );
    }
}
