//! A person, and how sure it is that it was this one.

use jiff::Timestamp;

use super::manager::WriterKind;

/// Somebody who wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Person {
    pub(crate) name: String,
    /// What kind of writer it was.
    pub(crate) writer: WriterKind,
    pub(crate) confidence: Confidence,
    /// When.
    pub(crate) time: Option<Timestamp>,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Confidence {
    /// Several may have done it; this one wrote last.
    Possible,
    /// Nobody else wrote so, but when the field was written is not known.
    Likely,
    /// The same object, manager and second, and nobody else.
    Certain,
}

impl Person {
    /// `alice@example.com`, with how sure that is.
    pub(crate) fn words(&self) -> String {
        match self.confidence {
            Confidence::Certain => self.name.clone(),
            Confidence::Likely => format!("likely {}", self.name),
            Confidence::Possible => format!("perhaps {}", self.name),
        }
    }

    /// Whether it is no more than a guess.
    pub(crate) fn is_sure(&self) -> bool {
        self.confidence > Confidence::Possible
    }
}
