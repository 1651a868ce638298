//! Everything that is written: results to standard output, conversation to standard error.
//!
//! One module a format. What programs read is a versioned type of its own ([`v1`]).

pub(crate) mod break_glass;
mod name;
pub(crate) mod preview;
mod printable;
pub(crate) mod table;
mod v1;

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use policy::Level;
use policy::environment::ClustersByEnvironment;
use policy::finding::shorten;
use serde::Serialize;

pub(crate) use self::printable::printable;

use self::printable::{escaped, fit, is_fit};
use crate::error::CommandError;
use crate::report::missing::{Missing, Source};
use crate::report::{Files, Located, Report, Unread};

/// The version of everything in JSON and YAML.
pub(crate) const API_VERSION: &str = "kubectl-gitops.io/v1alpha1";

/// How `check` shows what it found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// A row and a message for each finding
    #[default]
    Table,
    /// One long row for each finding, with field and fix
    Wide,
    /// The report in JSON
    Json,
    /// The report in YAML
    Yaml,
    /// The names of the objects that are denied
    Name,
}

impl CheckFormat {
    /// Whether people read it, and not programs.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, CheckFormat::Table | CheckFormat::Wide)
    }
}

/// How `explain` shows rules.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// A row for each rule, or the page of the one that is named
    #[default]
    Table,
    /// The same in JSON
    Json,
}

/// What `check` prints.
pub(crate) struct CheckOutput<'c> {
    pub(crate) report: &'c Report,
    /// The files, where it is files that were checked.
    pub(crate) files: Option<&'c Files>,
    /// What could not be read.
    pub(crate) unread: &'c [Unread],
    pub(crate) clusters: &'c ClustersByEnvironment,
}

/// Prints it. Tables have a row for each finding that is `shown`, those that weigh most first, and a line for each kind
/// of fact that the others wait for.
pub(crate) fn check(
    checked: &CheckOutput<'_>,
    format: CheckFormat,
    counts_as_denied: impl Fn(Level) -> bool,
    shown: impl Fn(&Located) -> bool,
) -> Result<(), CommandError> {
    let report = checked.report;
    let mut rows: Vec<&Located> = report.findings.iter().filter(|one| shown(one)).collect();
    rows.sort_by_key(|located| located.finding.level);
    let missing = if rows.len() < report.findings.len() {
        Missing::of(report)
    } else {
        Vec::new()
    };
    let source = match checked.files {
        Some(_) => Source::Files,
        None => Source::Cluster,
    };
    let width = terminal_width();
    let text = match format {
        CheckFormat::Table => {
            table::findings(&rows, width) + &table::missing(&missing, source, width)
        }
        CheckFormat::Wide => table::wide(&rows) + &table::missing(&missing, source, usize::MAX),
        CheckFormat::Json => to_json(&v1::CheckReport::new(checked))?,
        CheckFormat::Yaml => to_yaml(&v1::CheckReport::new(checked))?,
        CheckFormat::Name => name::denied(report, counts_as_denied),
    };
    print(&text)
}

/// Writes to standard output. That nobody reads on is no error.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = anstream::stdout().lock();
    written(
        stdout
            .write_all(fit(text).as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

/// Prints what was asked about the command line, or what is wrong with it.
pub(crate) fn answer(answer: &clap::Error) -> Result<(), CommandError> {
    // It repeats what was typed, which a script may have made of anything.
    let text = answer.render().ansi().to_string();
    if answer.use_stderr() {
        write_to_stderr(&text);
        return Ok(());
    }
    print(&text)
}

/// Standard output does not take what is written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct WriteError(#[source] io::Error);

fn written(result: io::Result<()>) -> Result<(), CommandError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| CommandError::new(WriteError(error))),
    }
}

/// Says that something failed.
pub(crate) fn error(text: &str) {
    say("error", RED.bold(), text);
}

/// Says that something may surprise.
pub(crate) fn warning(text: &str) {
    say("warning", YELLOW.bold(), text);
}

/// Says what the API server warns of, in kubectl's words.
pub(crate) fn warning_of_server(text: &str) {
    say("Warning", YELLOW.bold(), text);
}

/// Says what is good to know.
pub(crate) fn note(text: &str) {
    say("note", CYAN, text);
}

/// Says what may help.
pub(crate) fn hint(text: &str) {
    say("hint", CYAN.bold(), text);
}

/// Asks a question that is answered by yes or no, which is what no answer means.
pub(crate) fn ask(question: &str) -> bool {
    let question: Vec<String> = question.split('\n').map(printable).collect();
    write_to_stderr(&question.join("\n"));
    let mut answer = String::new();
    let is_read = io::stdin()
        .read_line(&mut answer)
        .is_ok_and(|length| length > 0);
    if !(is_read && io::stdin().is_terminal()) {
        write_to_stderr("\n");
    }
    is_read && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Says how it went.
pub(crate) fn status(text: &str) {
    write_to_stderr(&format!("{}\n", printable(text)));
}

/// Replaces the last line that says how far it is. It is for terminals only, and not a matter of
/// colour.
pub(crate) fn progress(text: &str) {
    let mut stderr = io::stderr().lock();
    drop(write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush()));
}

fn say(label: &str, style: Style, text: &str) {
    let text = printable(text);
    write_to_stderr(&format!("{style}{label}:{style:#} {text}\n"));
}

/// There is nobody to tell if standard error is gone.
fn write_to_stderr(text: &str) {
    let mut stderr = anstream::stderr().lock();
    drop(
        stderr
            .write_all(fit(text).as_bytes())
            .and_then(|()| stderr.flush()),
    );
}

/// A value in JSON as kubectl prints it.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, CommandError> {
    let mut text = serde_json::to_string_pretty(value).map_err(CommandError::new)?;
    let _ = writeln!(text);
    Ok(escaped(text))
}

/// A value in YAML. Where characters need to be escaped that cannot be in block style, it is the JSON, which is YAML, too.
pub(crate) fn to_yaml(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_saphyr::to_string(value).map_err(CommandError::new)?;
    if text.chars().all(is_fit) {
        Ok(text)
    } else {
        to_json(value)
    }
}

/// `1 file`, `2 files`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The first of several names, and how many more there are.
pub(crate) fn listed(names: &[impl AsRef<str>], limit: usize) -> String {
    let first: Vec<String> = names
        .iter()
        .take(limit)
        .map(|name| shorten(name.as_ref(), 80))
        .collect();
    match names.len().saturating_sub(limit) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

fn style_of(level: Level) -> Style {
    match level {
        Level::Deny => RED.bold(),
        Level::Warn => YELLOW,
        Level::Undecided => CYAN,
    }
}

/// What lines are wrapped to where no terminal says otherwise.
const DEFAULT_WIDTH: usize = 80;

fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0))
}
