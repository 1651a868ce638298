//! Whether a gate can be passed.

use super::gate::{OnCluster, State as GateState};

/// Whether one can go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// It is behind.
    Done,
    /// It can be passed.
    Open,
    /// It cannot.
    Shut,
    /// Nobody can tell.
    Unknown,
}

impl State {
    /// Whether a takeover would change nothing.
    pub(crate) fn of_takeover(takeover: &OnCluster) -> Self {
        match takeover.state() {
            GateState::Open => State::Open,
            GateState::Shut => State::Shut,
            GateState::Unknown => State::Unknown,
        }
    }

    /// All that there are.
    pub(crate) const ALL: [State; 4] = [State::Open, State::Shut, State::Unknown, State::Done];

    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Open => "open",
            State::Shut => "shut",
            State::Unknown => "unknown",
        }
    }
}
