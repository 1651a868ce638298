//! Why an ApplicationSet cannot be expanded.

use std::fmt;

use golang::template::TemplateError;
use golang::work::TooMuchWork;

use super::template::{RenderError, RenderErrorReason};

/// Why an ApplicationSet generates nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExpansionError {
    /// Argo CD fails as well, and then creates, changes and deletes nothing at all.
    #[error("{message}")]
    Fails {
        /// JSON Pointer into the ApplicationSet.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// Two generated Applications have the same name, on which Argo CD gives up too.
    #[error("two generated Applications are named {0}")]
    DuplicateName(String),
    /// More than is done here. Argo CD might go on.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The most of it.
        limit: usize,
    },
    /// A template takes more work than is spent here. Argo CD might go on.
    #[error("its templates take more work than is spent on them")]
    TooMuchWork,
    /// It depends on what is not known here.
    #[error("{lacks} is not known here")]
    Undecided {
        /// JSON Pointer into the ApplicationSet.
        field: String,
        /// What would be needed.
        lacks: String,
    },
}

impl ExpansionError {
    pub(super) fn fails(field: &str, message: impl fmt::Display) -> Self {
        ExpansionError::Fails {
            field: field.to_owned(),
            message: message.to_string(),
        }
    }

    /// A template below a field that cannot be rendered.
    pub(super) fn render(field: &str, error: RenderError) -> Self {
        let field = format!("{field}{}", error.field);
        match error.reason {
            RenderErrorReason::Fast(error) => ExpansionError::fails(&field, error),
            RenderErrorReason::Go(error) => match error {
                TemplateError::TooMuch(_) => ExpansionError::TooMuchWork,
                TemplateError::Undecided(lacks) => ExpansionError::Undecided { field, lacks },
                fails @ TemplateError::Fails(_) => ExpansionError::fails(&field, fails),
            },
        }
    }

    /// The same, of something that stands in something else.
    pub(super) fn below(self, outer: &str) -> Self {
        match self {
            ExpansionError::Fails { field, message } => ExpansionError::Fails {
                field: format!("{outer}{field}"),
                message,
            },
            ExpansionError::Undecided { field, lacks } => ExpansionError::Undecided {
                field: format!("{outer}{field}"),
                lacks,
            },
            other => other,
        }
    }

    /// JSON Pointer into the ApplicationSet to what is wrong.
    pub fn field(&self) -> &str {
        match self {
            ExpansionError::Fails { field, .. } | ExpansionError::Undecided { field, .. } => field,
            ExpansionError::DuplicateName(_) => "/spec/template/metadata/name",
            ExpansionError::TooMuch { .. } => "/spec/generators",
            ExpansionError::TooMuchWork => "/spec/template",
        }
    }
}

impl From<TemplateError> for ExpansionError {
    fn from(error: TemplateError) -> Self {
        ExpansionError::render("/spec/goTemplateOptions", RenderError::from(error))
    }
}

impl From<TooMuchWork> for ExpansionError {
    fn from(_: TooMuchWork) -> Self {
        ExpansionError::TooMuchWork
    }
}
