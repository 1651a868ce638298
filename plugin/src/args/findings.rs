//! What becomes of findings that are undecided, and how findings are shown.

use super::{Format, OUTPUT, formats};

/// How findings are counted and shown.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = OUTPUT)]
pub(crate) struct FindingsArgs {
    /// Count what is undecided as denied
    #[arg(long)]
    pub(crate) strict: bool,

    /// Show a row for each finding that is undecided
    ///
    /// Also where it only waits for a project, a cluster or another fact that is not known;
    /// --strict does so as well.
    #[arg(long)]
    show_undecided: bool,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS))]
    pub(crate) output: Format,

    /// Print the page of each rule that found something, after the table
    #[arg(long)]
    pub(crate) explain: bool,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row and a message for each finding"),
    (
        Format::Wide,
        "One long row for each finding, with field and fix",
    ),
    (Format::Json, "The report in JSON"),
    (Format::Yaml, "The report in YAML"),
    (Format::Name, "The names of the objects that are denied"),
];

impl FindingsArgs {
    /// Whether findings have a row of their own that only wait for facts.
    pub(crate) fn shows_all(&self) -> bool {
        self.show_undecided || self.strict
    }
}
