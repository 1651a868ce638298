//! What could not be read, and where. It stops nothing else.

use std::io;

use golang::yaml;

use super::path::name_of;

/// A file or an object that cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// A file cannot be read.
    #[error("{file}")]
    Read {
        file: String,
        #[source]
        source: io::Error,
    },
    /// A folder cannot be walked, for a reason that is not the system's.
    #[error("{0}")]
    Walk(ignore::Error),
    /// A file holds bytes that are not text.
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
    /// An object of a cluster cannot be read.
    #[error("{object}: {reason}")]
    Live { object: String, reason: String },
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
    pub(super) fn read(file: &str, source: io::Error) -> Self {
        Problem::Read {
            file: file.to_owned(),
            source,
        }
    }

    /// A folder cannot be walked. What the system says is wrapped several times, with the path in
    /// each of them.
    pub(super) fn walk(error: ignore::Error) -> Self {
        let system = error
            .io_error()
            .and_then(|error| error.get_ref()?.source()?.downcast_ref::<io::Error>())
            .and_then(io::Error::raw_os_error);
        match (error, system) {
            (ignore::Error::WithPath { path, .. }, Some(code)) => {
                Problem::read(&name_of(&path), io::Error::from_raw_os_error(code))
            }
            (error, _) => Problem::Walk(error),
        }
    }

    /// The file, and the line in it or 0, by which problems are ordered.
    pub(crate) fn place(&self) -> (&str, usize) {
        match self {
            Problem::Read { file, .. } | Problem::NotText { file } => (file, 0),
            Problem::Walk(_) | Problem::Live { .. } => ("", 0),
            Problem::Syntax { file, line, .. } | Problem::Object { file, line, .. } => {
                (file, *line)
            }
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
