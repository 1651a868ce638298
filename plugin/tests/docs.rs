//! The generated references in `docs` are what the binary says, and what pages show of it is what
//! it prints. `UPDATE_DOCS=1 cargo test -p kubectl-gitops --test docs` writes both anew.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use gitops_documentation::{Block, Command, Page, RunBy, pages, root};
use support::{Folder, Ran, fixtures};

const UPDATE: &str = "UPDATE_DOCS";

const COMMANDS: [&str; 32] = [
    "",
    "check",
    "audit",
    "preview",
    "drift",
    "drift merge",
    "drift fix",
    "cluster",
    "cluster list",
    "cluster onboard",
    "cluster verify",
    "cluster migrate",
    "cluster offboard",
    "addon",
    "addon list",
    "addon onboard",
    "addon diff",
    "addon terraform",
    "addon enable",
    "addon bump",
    "addon rollback",
    "addon finish",
    "addon status",
    "explain",
    "break-glass",
    "break-glass grant",
    "break-glass list",
    "break-glass revoke",
    "break-glass why",
    "bootstrap",
    "completion",
    "version",
];

fn reference() -> PathBuf {
    root().join("docs/src/reference")
}

fn command_reference() -> String {
    let folder = Folder::with(&[]);
    let mut page = "# Command reference\n\nGenerated from `kubectl gitops help`; `--help` of a command is shorter.\n".to_owned();
    for command in COMMANDS {
        let arguments: Vec<_> = ["help"]
            .into_iter()
            .chain(command.split_whitespace())
            .collect();
        let title = format!("kubectl gitops {command}");
        let _ = write!(
            page,
            "\n## `{}`\n\n```text\n{}```\n",
            title.trim_end(),
            folder.run(&arguments).stdout()
        );
    }
    page
}

/// The list of the rules, and their pages by file name.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn rule_reference() -> (String, BTreeMap<String, String>) {
    let folder = Folder::with(&[]);
    let list = folder.run(&["explain", "-o", "json"]).json();
    let mut index = "\
# Rules

Generated from the rules themselves; `kubectl gitops explain RULE` prints the same pages.

| rule | judges | on | holds by default | summary |
|---|---|---|---|---|
"
    .to_owned();
    let mut pages = BTreeMap::new();
    for rule in list["rules"].as_array().unwrap() {
        let text = |key: &str| rule[key].as_str().unwrap().to_owned();
        let judges: Vec<_> = rule["judges"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(serde_json::Value::as_str)
            .collect();
        let id = text("id");
        let _ = writeln!(
            index,
            "| [`{id}`](rules/{id}.md) | {} | {} | {} | {} |",
            judges.join(", "),
            text("occasion"),
            text("scope"),
            text("summary")
        );
        pages.insert(format!("{id}.md"), folder.run(&["explain", &id]).stdout());
    }
    (index, pages)
}

/// Compares a page with what is generated, or writes it if that is asked for.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn compare(path: &Path, generated: &str) {
    if std::env::var_os(UPDATE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, generated).unwrap();
        return;
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == generated,
        "{} is not what is generated; {UPDATE}=1 cargo test -p kubectl-gitops --test docs",
        path.display()
    );
}

#[test]
fn the_command_reference_is_what_help_says() {
    compare(&reference().join("commands.md"), &command_reference());
}

/// Runs a command line of a page, as in a shell that has the plugin and no cluster.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn run_line(command: &Command, folder: &Path) -> Ran {
    let bin = Folder::with(&[]);
    let program = Path::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
    symlink(program, bin.path().join("kubectl-gitops")).unwrap();
    let arguments = command.arguments().unwrap();
    let output = process::Command::new("bash")
        .args(["-c", &format!("kubectl-gitops {arguments}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.path().display()))
        .stdin(Stdio::null())
        .output();
    output.unwrap().into()
}

/// Whether a comment before a block says that another test writes it.
fn is_written_by_another_test(page: &Page, block: &Block) -> bool {
    let mut before = page.text[..block.range.start].lines().rev();
    let fence = before.next();
    assert!(fence.is_some_and(|line| line.contains("```")));
    before
        .next()
        .is_some_and(|line| line.contains(": written by `"))
}

/// The titles and commands of a transcript, with what the commands print now.
fn transcript(shown: &str) -> String {
    let mut transcript = String::new();
    let mut lines = shown.lines().peekable();
    while let Some(line) = lines.next() {
        let command = line.strip_prefix("$ ");
        let next = lines.peek();
        if line.starts_with("# ") && next.is_some_and(|next| next.starts_with("$ ")) {
            let gap = if transcript.is_empty() { "" } else { "\n" };
            let _ = writeln!(transcript, "{gap}{line}");
        } else if let Some(command) = command {
            let command = Command {
                line: command.to_owned(),
            };
            let run = run_line(&command, &root());
            let line = command.line;
            let _ = write!(transcript, "$ {line}\n{}{}", run.stdout(), run.stderr());
        }
    }
    transcript
}

#[test]
fn the_transcripts_in_the_pages_are_what_is_printed() {
    let mut transcripts = 0;
    for page in pages(&root()).unwrap() {
        let mut text = page.text.clone();
        for block in page.blocks().into_iter().rev() {
            if block.language == "console" && !is_written_by_another_test(&page, &block) {
                text.replace_range(block.range, &transcript(&block.text));
                transcripts += 1;
            }
        }
        if text != page.text {
            compare(&root().join(&page.path), &text);
        }
    }
    assert!(transcripts >= 5, "only {transcripts} were found");
}

/// Those that need a cluster are run in `tests/pages`.
#[test]
fn the_commands_in_the_pages_that_need_no_cluster_work() {
    let folder = Folder::with(&[]);
    folder.add_copy_of(&fixtures().join("platform"));
    let mut commands = 0;
    for page in pages(&root()).unwrap() {
        let shown = page.commands().into_iter();
        for command in shown.filter(|command| command.run_by() == Some(RunBy::Plugin)) {
            // Those that name no file of this repository are for the reader's.
            let run = if command.line.contains(" tests/") {
                run_line(&command, &root())
            } else {
                run_line(&command, folder.path())
            };
            // That something is denied, or changes, is what an example shows.
            let works = matches!(run.status(), 0 | 1);
            let path = page.path.display();
            assert!(works, "{path}: {}\n{}", command.line, run.transcript());
            commands += 1;
        }
    }
    assert!(commands >= 6, "only {commands} were found");
}

#[test]
fn the_rule_reference_is_what_explain_says() {
    let folder = reference().join("rules");
    let (index, pages) = rule_reference();
    compare(&reference().join("rules.md"), &index);
    for (name, page) in &pages {
        compare(&folder.join(name), page);
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            pages.contains_key(&name),
            "{name} is the page of no rule: delete it"
        );
    }
}

#[test]
fn the_command_reference_has_every_command() {
    let folder = Folder::with(&[]);
    let mut listed = subcommands(&folder, &[]);
    for group in ["addon", "break-glass", "cluster", "drift"] {
        let within = subcommands(&folder, &[group]);
        let place = listed.iter().position(|command| command == group);
        let place = place.expect("it is listed") + 1;
        let within = within.iter().map(|command| format!("{group} {command}"));
        listed.splice(place..place, within);
    }
    assert_eq!(listed, COMMANDS[1..]);
}

/// The commands that a command's help lists.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn subcommands(folder: &Folder, command: &[&str]) -> Vec<String> {
    let help = folder.run(&[command, &["--help"]].concat()).stdout();
    let (_, section) = help.split_once("Commands:\n").unwrap();
    section
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .map(str::to_owned)
        .collect()
}
