//! How a demo tells its story: every command as a person would type it, and below it what it really
//! printed.
//!
//! Where a step comes out in another way than the story says, it is an error, and the story ends
//! there.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use crate::control_plane::{Binaries, ControlPlane};
use crate::installation::path;
use crate::programs::Programs;

const TITLE: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();

/// Where a person would type commands: in the root of this repository, as the control plane's
/// administrator.
#[derive(Clone, Debug)]
pub struct Shell {
    path: Vec<PathBuf>,
    home: PathBuf,
    folder: PathBuf,
    kubeconfig: Option<PathBuf>,
    variables: Vec<(&'static str, String)>,
    hidden: Vec<Hidden>,
    hides_times: bool,
}

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed and then what it complained about, as it was shown.
    pub text: String,
}

impl Shell {
    /// In which `kubectl` is the one that fits the API server, and finds its plugin.
    pub fn new(control_plane: &ControlPlane) -> Result<Self> {
        let kubectl = Binaries::locate()?.folder().to_owned();
        let programs = Programs::locate()?.folder().to_owned();
        Ok(Self {
            path: vec![kubectl, programs],
            home: control_plane.folder().to_owned(),
            folder: path(".."),
            kubeconfig: Some(control_plane.admin().kubeconfig().to_owned()),
            variables: Vec::new(),
            hidden: Vec::new(),
            hides_times: false,
        })
    }

    /// One that also finds the programs of a folder.
    #[must_use]
    pub fn with_programs(mut self, folder: &Path) -> Self {
        self.path.push(folder.to_owned());
        self
    }

    /// One in another folder.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// One of somebody whose settings are in `home`.
    #[must_use]
    pub fn at_home(mut self, home: &Path) -> Self {
        home.clone_into(&mut self.home);
        self
    }

    /// One with more in its environment.
    #[must_use]
    pub fn with_variables(
        mut self,
        variables: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        self.variables.extend(variables);
        self
    }

    /// One that knows of no cluster.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.kubeconfig = None;
        self
    }

    /// One that shows a placeholder for what is another text in every run: whatever stands in a
    /// line between these two.
    #[must_use]
    pub fn hiding(
        mut self,
        before: &'static str,
        placeholder: &'static str,
        after: &'static str,
    ) -> Self {
        self.hidden.push(Hidden {
            before,
            placeholder,
            after,
        });
        self
    }

    /// One that shows a placeholder for every time.
    #[must_use]
    pub fn hiding_times(mut self) -> Self {
        self.hides_times = true;
        self
    }

    /// Runs what must succeed.
    pub fn succeeds(&self, line: &str) -> Result<Outcome> {
        let outcome = self.run(line)?;
        ensure_success(line, &outcome)?;
        Ok(outcome)
    }

    /// Runs what this rule, and no other, must refuse.
    pub fn is_refused(&self, line: &str, rule: &str) -> Result<()> {
        let Outcome { status, text } = self.run(line)?;
        let refused = format!("denied the request: {rule}: ");
        ensure!(
            !status.success() && text.contains(&refused) && !text.contains(" | "),
            "{rule}, and nothing else, should have refused this: {line}"
        );
        Ok(())
    }

    /// Runs what must succeed, and shows as many lines of it.
    pub fn begins(&self, line: &str, lines: usize) -> Result<()> {
        let outcome = self.execute(line)?;
        let begin: Vec<&str> = outcome.text.lines().take(lines).collect();
        say(&format!("{}\n…", begin.join("\n")))?;
        ensure_success(line, &outcome)
    }

    /// Runs a command line. That it failed is not an error, but in [`Outcome::status`].
    pub fn run(&self, line: &str) -> Result<Outcome> {
        let outcome = self.execute(line)?;
        if !outcome.text.is_empty() {
            say(outcome.text.trim_end())?;
        }
        Ok(outcome)
    }

    fn execute(&self, line: &str) -> Result<Outcome> {
        writeln!(anstream::stdout(), "{COMMAND}$ {line}{COMMAND:#}").context("cannot print")?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", self.search_path()?)
            .env("HOME", &self.home)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null());
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let output = command.output();
        let output = output.with_context(|| format!("cannot run {line}"))?;
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        Ok(Outcome {
            status: output.status,
            text: self.shown(&format!("{stdout}{stderr}")),
        })
    }

    fn search_path(&self) -> Result<OsString> {
        let callers = env::var_os("PATH").unwrap_or_default();
        let folders = self.path.iter().cloned();
        let folders = folders.chain(env::split_paths(&callers));
        env::join_paths(folders).context("a folder's name cannot be in PATH")
    }

    fn shown(&self, text: &str) -> String {
        let lines = text.lines().map(|line| {
            let hidden = self.hidden.iter();
            let line = hidden.fold(line.to_owned(), |line, hidden| hidden.replaced(&line));
            if self.hides_times {
                without_times(&line)
            } else {
                line
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What is shown as a placeholder between two texts.
#[derive(Clone, Copy, Debug)]
struct Hidden {
    before: &'static str,
    placeholder: &'static str,
    after: &'static str,
}

impl Hidden {
    fn replaced(self, line: &str) -> String {
        let mut shown = String::new();
        let mut rest = line;
        while let Some((visible, hidden)) = rest.split_once(self.before)
            && let Some((_, end)) = hidden.split_once(self.after)
        {
            shown.extend([visible, self.before, self.placeholder, self.after]);
            rest = end;
        }
        shown + rest
    }
}

/// A line with a placeholder for each time as RFC 3339 writes it.
fn without_times(line: &str) -> String {
    let words = line.split_inclusive([' ', '"', '=', ',', ';']);
    let shown = words.map(|word| {
        let written = word.trim_end_matches([' ', '"', '=', ',', ';', ':', '.']);
        match written.parse::<Timestamp>() {
            Ok(_) => word.replacen(written, "<time>", 1),
            Err(_) => word.to_owned(),
        }
    });
    shown.collect()
}

fn ensure_success(line: &str, outcome: &Outcome) -> Result<()> {
    ensure!(
        outcome.status.success(),
        "this should have succeeded: {line}"
    );
    Ok(())
}

/// Begins a chapter.
pub fn title(text: &str) -> Result<()> {
    writeln!(anstream::stdout(), "\n{TITLE}# {text}{TITLE:#}").context("cannot print")
}

/// Says something that no command printed.
pub fn say(text: &str) -> Result<()> {
    writeln!(anstream::stdout(), "{text}").context("cannot print")
}

/// Says what is not part of the story, apart from it.
pub fn progress(text: &str) {
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// What the process ends with that has told a story, or did not come to its end.
pub fn end(told: Result<()>) -> ExitCode {
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_hidden_wherever_they_stand_and_nothing_else_is() {
        assert_eq!(
            without_times("until 2026-01-01T00:00:00Z: at=2026-01-01T00:00:00.5Z, 2026-01-01 v1.2"),
            "until <time>: at=<time>, 2026-01-01 v1.2"
        );
    }

    #[test]
    fn what_is_hidden_is_shown_as_its_placeholder_wherever_it_stands() {
        let folder = Hidden {
            before: "file://",
            placeholder: "<folder>",
            after: "/platform.git",
        };

        assert_eq!(
            folder
                .replaced("from file:///tmp/a/platform.git to file:///tmp/b/platform.git, file://"),
            "from file://<folder>/platform.git to file://<folder>/platform.git, file://"
        );
    }
}
