//! The generated references in `docs` are what the binary says. `UPDATE_DOCS=1 cargo test -p
//! kubectl-gitops --test docs` writes them anew.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use support::{Folder, run_in};

const UPDATE: &str = "UPDATE_DOCS";

const COMMANDS: [&str; 12] = [
    "",
    "check",
    "audit",
    "preview",
    "explain",
    "break-glass",
    "break-glass grant",
    "break-glass list",
    "break-glass revoke",
    "break-glass why",
    "completion",
    "version",
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
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

/// Pages by file name, with an index.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn rule_reference() -> BTreeMap<String, String> {
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
            "| [`{id}`]({id}.md) | {} | {} | {} | {} |",
            judges.join(", "),
            text("occasion"),
            text("scope"),
            text("summary")
        );
        pages.insert(format!("{id}.md"), folder.run(&["explain", &id]).stdout());
    }
    pages.insert("README.md".to_owned(), index);
    pages
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
    compare(&docs().join("cli.md"), &command_reference());
}

/// What the README shows of `preview`: commands, with what they print on a terminal.
const PREVIEWS: [(&str, &str); 2] = [
    (
        "A cluster is registered, and no ApplicationSet selects it yet",
        "preview -f tests/fixtures/staging-us/registered.yaml --against tests/fixtures/platform",
    ),
    (
        "What `workload-cluster: \"true\"` on it would create; the projects lack the cluster",
        "preview -f tests/fixtures/staging-us/labelled.yaml --against tests/fixtures/platform \
         --against tests/fixtures/staging-us/registered.yaml",
    ),
];

#[test]
fn the_previews_in_the_readme_are_what_is_printed() {
    const START: &str = "<!-- preview -->\n";
    let root = docs().join("..");
    let mut transcript = "```console\n".to_owned();
    for (title, command) in PREVIEWS {
        let arguments: Vec<_> = command.split(' ').collect();
        let run = run_in(&root, &arguments, "");
        let _ = write!(
            transcript,
            "# {title}\n$ kubectl gitops {command}\n{}{}\n",
            run.stdout(),
            run.stderr()
        );
    }
    let transcript = format!(
        "{}```\n",
        transcript.trim_end_matches('\n').to_owned() + "\n"
    );
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (before, rest) = readme.split_once(START).unwrap();
    let (_, after) = rest.split_once("<!-- /preview -->").unwrap();
    let generated = format!("{before}{START}{transcript}<!-- /preview -->{after}");
    compare(&root.join("README.md"), &generated);
}

#[test]
fn the_rule_reference_is_what_explain_says() {
    let folder = docs().join("rules");
    let pages = rule_reference();
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
    let within = subcommands(&folder, &["break-glass"]);
    let place = listed.iter().position(|command| command == "break-glass");
    let place = place.expect("break-glass is listed") + 1;
    let within = within
        .iter()
        .map(|command| format!("break-glass {command}"));
    listed.splice(place..place, within);
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
