//! What a build server shows as tests.

/// Cases that belong together.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) cases: Vec<Case>,
}

/// One thing that was looked at.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// It is not as it is to be: in a sentence, and in lines.
    Failed {
        message: String,
        text: String,
    },
    /// Nobody can tell.
    Error {
        message: String,
    },
}
