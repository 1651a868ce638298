//! The project's own commands: `cargo xtask test`, `lint`, `docs`, `demo`, `bench`.
//!
//! Each says what it does and runs cargo and the programs of this workspace; nothing of the system
//! itself is here, so that this compiles in a moment.

mod background;
mod docs;
mod preflight;
mod run;
mod summary;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use crate::background::Background;
use crate::preflight::{BASH, GIT, GO, PYTHON};
use crate::run::{cargo, program, run, succeeds, target_folder};
use crate::summary::{Summary, run_tests};

/// Makes what the harness starts, and shows how that gets on.
const PREPARE: &str = "gitops-prepare";
/// Where the tests look for programs that are known to be current.
const PROGRAMS: &str = "GITOPS_TEST_PROGRAMS";
/// Where the tests with Argo CD look for the release that they are to run.
const ARGO_CD_RELEASE: &str = "GITOPS_TEST_ARGO_CD";
/// The package of the harness, and of the tests and programs that use it.
const TESTS: &str = "gitops-tests";
/// What tells cargo to run the tests with Argo CD, which it leaves out otherwise.
const ARGO_CD_TESTS: [&str; 2] = ["--test", "argo_cd"];

/// The project's own commands
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Clone, Debug, Subcommand)]
enum Task {
    /// Run all tests
    ///
    /// The first time on a machine this downloads etcd, kube-apiserver and kubectl, or builds them
    /// from their Go modules, which takes some minutes. Argo CD is built while other tests run.
    Test {
        /// Only these
        only: Option<Part>,
        /// With another release of Argo CD than the newest that is tried, such as 3.2.11
        #[arg(long, value_name = "VERSION", requires = "only")]
        argo_cd: Option<String>,
    },
    /// Check format, lints, documentation and, where cargo-deny is installed, dependencies
    Lint,
    /// Check the links of the documentation, and build the book where mdBook is installed
    Docs,
    /// Watch a real API server turn bad objects away
    ///
    /// The first time on a machine this downloads etcd, kube-apiserver and kubectl, or builds them
    /// from their Go modules, which takes some minutes.
    Demo {
        /// Watch the real Argo CD be turned away, which is built the first time
        #[arg(long)]
        with_argo_cd: bool,
    },
    /// Measure the webhook, by its parts and beside a bare server and Open Policy Agent
    ///
    /// All that was measured is also written to bench.json, beside the release build's programs.
    /// The first time on a machine this downloads etcd and kube-apiserver, or builds them from
    /// their Go modules as it does Open Policy Agent, which takes some minutes.
    Bench {
        /// A short run, without Open Policy Agent
        #[arg(long)]
        quick: bool,
    },
}

/// Tests that can be run apart.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// Those with the real Argo CD
    ArgoCd,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Test { only, argo_cd } => test(only, argo_cd.as_deref()),
        Task::Lint => lint(),
        Task::Docs => docs::docs(),
        Task::Demo { with_argo_cd } => demo(with_argo_cd),
        Task::Bench { quick } => bench(quick),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn test(only: Option<Part>, argo_cd: Option<&str>) -> Result<()> {
    preflight::check(&[GO, GIT, BASH, PYTHON])?;
    let summary = match only {
        None => all_tests()?,
        Some(Part::ArgoCd) => argo_cd_tests(argo_cd)?,
    };
    anyhow::ensure!(summary.failed == 0, "{summary}");
    summary.print()
}

fn all_tests() -> Result<Summary> {
    let tests = |arguments: &[&str]| tests(&["--workspace"], arguments);
    run("building everything", &mut tests(&["--no-run"])?)?;
    let what = "building the tests with Argo CD";
    run(what, tests(&ARGO_CD_TESTS)?.arg("--no-run"))?;
    prepare_control_plane()?;
    prepare_aws()?;
    // It shares much with the API server, which is there now, and yields to the tests.
    let mut prepare = Command::new("nice");
    prepare
        .arg(program(PREPARE)?)
        .args(["open-tofu", "argo-cd"]);
    let what = "making sure that OpenTofu and Argo CD are there";
    let argo_cd = Background::start(what, prepare)?;
    run::say("running the tests");
    let mut summary = run_tests(&mut tests(&["--no-fail-fast"])?)?;
    argo_cd.finish()?;
    run::say("running the tests with Argo CD");
    summary += run_tests(&mut tests(&ARGO_CD_TESTS)?)?;
    Ok(summary)
}

fn argo_cd_tests(release: Option<&str>) -> Result<Summary> {
    build_programs()?;
    prepare_control_plane()?;
    prepare_argo_cd(release)?;
    prepare_opentofu()?;
    let mut tests = tests(&["--package", TESTS], &ARGO_CD_TESTS)?;
    run_tests(with_release(&mut tests, release))
}

/// Has the tests with Argo CD run a release, unless it is up to them.
fn with_release<'a>(command: &'a mut Command, release: Option<&str>) -> &'a mut Command {
    match release {
        Some(release) => command.env(ARGO_CD_RELEASE, release),
        None => command,
    }
}

/// Tests of these packages, which all find our programs.
fn tests(packages: &[&str], arguments: &[&str]) -> Result<Command> {
    let mut tests = cargo();
    tests.arg("test").args(packages).args(arguments);
    tests.env(PROGRAMS, target_folder()?);
    Ok(tests)
}

/// Our own, and those that prepare and tell demos.
fn build_programs() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--bins"]);
    for package in ["gitops-webhook", "kubectl-gitops", TESTS] {
        build.args(["--package", package]);
    }
    let what = "building the webhook, the plugin and what runs them";
    run(what, &mut build)
}

fn lint() -> Result<()> {
    run(
        "checking the format",
        cargo().args(["fmt", "--all", "--check"]),
    )?;
    // The tests with Argo CD run only when they are named, and are not among all.
    for targets in [&["--all-targets"][..], &["--test", "argo_cd"]] {
        let mut clippy = cargo();
        clippy
            .args(["clippy", "--workspace", "--quiet"])
            .args(targets)
            .args(["--", "-D", "warnings"]);
        run("checking the lints", &mut clippy)?;
    }
    let mut doc = cargo();
    doc.args(["doc", "--workspace", "--no-deps", "--quiet"]);
    run(
        "checking the documentation",
        doc.env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    if succeeds(cargo().args(["deny", "--version"])) {
        // Advisories change without a change here: they are for a daily look, not for a commit.
        let checks = ["deny", "check", "bans", "licenses", "sources"];
        run("checking the dependencies", cargo().args(checks))
    } else {
        run::say(
            "not checking the dependencies: cargo-deny is not installed (cargo install cargo-deny)",
        );
        Ok(())
    }
}

fn demo(with_argo_cd: bool) -> Result<()> {
    preflight::check(&[GO, GIT])?;
    build_programs()?;
    prepare_control_plane()?;
    let mut demo = Command::new(program("gitops-demo")?);
    if with_argo_cd {
        prepare_argo_cd(None)?;
        demo.arg("--with-argo-cd");
    }
    let status = demo
        .env(PROGRAMS, target_folder()?)
        .status()
        .with_context(|| format!("cannot run {demo:?}"))?;
    anyhow::ensure!(
        status.success(),
        "the demo did not go as it should ({status})"
    );
    Ok(())
}

fn bench(quick: bool) -> Result<()> {
    preflight::check(&[GO])?;
    // One after the other: built together, the webhook would get what only the benchmark asks of
    // their dependencies.
    for package in ["gitops-webhook", "kubectl-gitops", "gitops-bench"] {
        let mut build = cargo();
        build.args([
            "build",
            "--release",
            "--bins",
            "--quiet",
            "--package",
            package,
        ]);
        run(&format!("building {package}"), &mut build)?;
    }
    let mut parts = cargo();
    parts.args([
        "bench",
        "--quiet",
        "--package",
        "gitops-bench",
        "--",
        "--quick",
    ]);
    run("measuring the webhook's parts", &mut parts)?;
    let programs = target_folder()?.with_file_name("release");
    let mut servers = Command::new(programs.join("gitops-bench"));
    servers.arg("--json").arg(programs.join("bench.json"));
    if quick {
        servers.args(["--servers", "gitops-webhook,floor,floor-json"]);
        servers.args(["--rounds", "1", "--seconds", "1", "--applications", "200"]);
    }
    run("measuring the servers", &mut servers)?;
    let mut clusters = Command::new(programs.join("gitops-bench-clusters"));
    if quick {
        clusters.args(["--rounds", "3"]);
    }
    run("measuring the list of clusters", &mut clusters)?;
    let mut drift = Command::new(programs.join("gitops-bench-drift"));
    if quick {
        drift.args(["--rounds", "3", "--kubectl-rounds", "0"]);
    }
    run("measuring drift", &mut drift)
}

fn prepare_control_plane() -> Result<()> {
    let what = "making sure that etcd, kube-apiserver, kubectl and Argo CD's API are there";
    let mut prepare = Command::new(program(PREPARE)?);
    run(what, prepare.arg("control-plane"))
}

fn prepare_aws() -> Result<()> {
    let what = "making sure that what stands for AWS in tests is there";
    run(what, Command::new(program(PREPARE)?).arg("aws"))
}

fn prepare_argo_cd(release: Option<&str>) -> Result<()> {
    let what = "making sure that Argo CD and all that it needs is there";
    let mut prepare = Command::new(program(PREPARE)?);
    run(what, with_release(prepare.arg("argo-cd"), release))
}

fn prepare_opentofu() -> Result<()> {
    let what = "making sure that OpenTofu and its providers are there";
    run(what, Command::new(program(PREPARE)?).arg("open-tofu"))
}

#[cfg(test)]
mod tests {
    use gitops_documentation::{RunBy, pages, root};

    use super::*;

    #[test]
    fn the_documentation_shows_commands_that_there_are() {
        let mut shown = 0;
        for page in pages(&root()).expect("the pages are there") {
            for command in page.commands() {
                if command.run_by() != Some(RunBy::Xtask) {
                    continue;
                }
                shown += 1;
                let words = command.line.split_whitespace().skip(1);
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{}: {parsed:?}", page.path.display());
            }
        }
        assert!(shown >= 2, "only {shown} commands were found");
    }

    /// The words of all commands in the prose of the pages that begin with these, with where they
    /// are.
    fn in_prose(begin: &[&str]) -> Vec<(String, Vec<String>)> {
        let mut commands = Vec::new();
        for page in pages(&root()).expect("the pages are there") {
            for code in page.inline_code() {
                let is_setting = |word: &&str| word.contains('=');
                let words = code.split_whitespace().skip_while(is_setting);
                let words: Vec<_> = words.map(str::to_owned).collect();
                if words.len() > begin.len() && words.iter().zip(begin).all(|(a, b)| a == b) {
                    commands.push((format!("{}: {code}", page.path.display()), words));
                }
            }
        }
        commands
    }

    #[test]
    fn the_prose_names_commands_that_there_are() {
        let commands = in_prose(&["cargo", "xtask"]);
        for (place, words) in &commands {
            let parsed = Cli::try_parse_from(&words[1..]);
            assert!(parsed.is_ok(), "{place}: {parsed:?}");
        }
        assert!(commands.len() >= 8, "only {} were found", commands.len());
    }

    #[test]
    fn the_prose_names_packages_and_test_programs_that_there_are() {
        let metadata = cargo()
            .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
            .output()
            .expect("cargo runs");
        let metadata: serde_json::Value =
            serde_json::from_slice(&metadata.stdout).expect("cargo tells what there is");
        let packages = metadata["packages"].as_array().expect("packages");
        let commands = in_prose(&["cargo", "test"]);
        for (place, words) in &commands {
            let after = |flag: &'static str| {
                let pairs = words.iter().zip(words.iter().skip(1));
                pairs
                    .filter(move |(word, _)| *word == flag)
                    .map(|(_, value)| value)
            };
            for name in after("-p") {
                let package = packages.iter().find(|package| package["name"] == **name);
                let package = package.unwrap_or_else(|| panic!("{place}: no package {name}"));
                let targets = package["targets"].as_array().expect("targets");
                let is = |target: &serde_json::Value, name: &str| {
                    target["name"] == name && target["kind"][0] == "test"
                };
                for name in after("--test") {
                    let there = targets.iter().any(|target| is(target, name));
                    assert!(there, "{place}: no test program {name}");
                }
            }
        }
        assert!(commands.len() >= 8, "only {} were found", commands.len());
    }
}
