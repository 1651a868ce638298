//! How a report looks. One module a form.

mod diff;
mod html;
mod json;
mod junit;
mod markdown;
mod name;
mod openmetrics;
mod sarif;
mod table;
mod yaml;

use crate::args::Format;
use crate::error::CommandError;
use crate::report::{Detail, Report};

/// An object in YAML, as `-o yaml` writes it.
pub(crate) use self::yaml::document as yaml;

/// The same of one of several reports, one after the other: JSON takes a line, and documents of YAML
/// begin as such.
///
/// # Errors
/// Its document cannot be written.
pub(crate) fn render_next(
    report: &impl Report,
    format: Format,
    width: usize,
) -> Result<String, CommandError> {
    match format {
        Format::Json => json::line(&report.document()),
        Format::Yaml => Ok(format!("---\n{}", render(report, format, width)?)),
        format => render(report, format, width),
    }
}

/// A report in a format, in lines of so many columns.
///
/// # Errors
/// Its document cannot be written.
pub(crate) fn render(
    report: &impl Report,
    format: Format,
    width: usize,
) -> Result<String, CommandError> {
    Ok(match format {
        Format::Table => table::page(&report.page(Detail::Table), width),
        Format::Wide => table::page(&report.page(Detail::Wide), usize::MAX),
        Format::Json => json::document(&report.document())?,
        Format::Yaml => yaml::document(&report.document())?,
        Format::Name => name::lines(&report.names()),
        Format::Markdown => markdown::page(&report.page(Detail::Wide)),
        Format::Junit => junit::document(report.suites())?,
        Format::OpenMetrics => openmetrics::exposition(&report.gauges()),
        Format::Diff => diff::unified(&report.diffs())?,
        Format::Sarif => sarif::document(&report.log())?,
        Format::Html => html::page(&report.document(), report.view())?,
    })
}
