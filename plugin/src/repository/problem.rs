//! What could not be read, and where. It stops nothing else.

use argocd::yaml;

/// A file or an object that cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// A file cannot be read.
    #[error("{file}")]
    Read {
        file: String,
        #[source]
        source: std::io::Error,
    },
    /// A folder cannot be walked. The error names the path itself, and repeats its source.
    #[error("{0}")]
    Walk(ignore::Error),
    /// A file holds bytes that are no text.
    #[error("{file}: it is not UTF-8")]
    NotText { file: String },
    /// A file is neither YAML nor JSON.
    #[error("{file}:{line}:{column}")]
    Syntax {
        file: String,
        line: usize,
        column: usize,
        #[source]
        source: yaml::ErrorKind,
    },
    /// An object is not what its kind says.
    #[error("{file}:{line}: {object}: {reason}")]
    Object {
        file: String,
        line: usize,
        object: String,
        reason: String,
    },
}

impl Problem {
    pub(super) fn read(file: &str, source: std::io::Error) -> Self {
        Problem::Read {
            file: file.to_owned(),
            source,
        }
    }

    pub(super) fn not_text(file: &str) -> Self {
        Problem::NotText {
            file: file.to_owned(),
        }
    }

    pub(super) fn syntax(file: &str, error: yaml::Error) -> Self {
        Problem::Syntax {
            file: file.to_owned(),
            line: error.line(),
            column: error.column(),
            source: error.into_kind(),
        }
    }
}
