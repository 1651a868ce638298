//! The forms in which results are printed.

use std::fmt;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A form in which a result is printed. Each command says which of them it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
    Diff,
    Markdown,
    Sarif,
    Junit,
    OpenMetrics,
    Html,
}

/// A text is the name of no format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no such format")]
pub(crate) struct NoFormat;

impl Format {
    const ALL: [Format; 11] = [
        Format::Table,
        Format::Wide,
        Format::Json,
        Format::Yaml,
        Format::Name,
        Format::Diff,
        Format::Markdown,
        Format::Sarif,
        Format::Junit,
        Format::OpenMetrics,
        Format::Html,
    ];

    /// As it is typed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Wide => "wide",
            Format::Json => "json",
            Format::Yaml => "yaml",
            Format::Name => "name",
            Format::Diff => "diff",
            Format::Markdown => "markdown",
            Format::Sarif => "sarif",
            Format::Junit => "junit",
            Format::OpenMetrics => "openmetrics",
            Format::Html => "html",
        }
    }

    /// Whether people read it, and not programs.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Format::Table | Format::Wide)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = NoFormat;

    fn from_str(text: &str) -> Result<Self, NoFormat> {
        let mut all = Format::ALL.into_iter();
        all.find(|format| format.as_str() == text).ok_or(NoFormat)
    }
}

/// Takes the name of one of some formats, each with what a command makes of it.
pub(crate) fn formats(
    formats: &'static [(Format, &'static str)],
) -> impl TypedValueParser<Value = Format> {
    let values = formats
        .iter()
        .map(|(format, help)| PossibleValue::new(format.as_str()).help(*help));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Format>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_read_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("xml".parse::<Format>(), Err(NoFormat));
    }
}
