//! How long is waited for what AWS takes its time for.

use std::time::Duration;

use crate::wait::Wait;

/// How long, and how often it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long a change is tried that AWS refuses for what may pass: another change that is under
    /// way, a role that it does not see yet.
    pub(crate) to_begin: Duration,
    /// How long may pass until what was asked for is so.
    pub(crate) to_finish: Duration,
    /// The first pause between two looks; each is twice as long as the one before.
    pub(crate) first_pause: Duration,
}

/// No pause is longer: whoever waits wants to be told soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Default for Patience {
    /// Access entries take up to a minute, a change of the authentication mode and an add-on
    /// longer.
    fn default() -> Self {
        Patience {
            to_begin: Duration::from_mins(1),
            to_finish: Duration::from_mins(5),
            first_pause: Duration::from_millis(250),
        }
    }
}

impl Patience {
    pub(super) fn to_begin(self) -> Wait {
        self.wait(self.to_begin)
    }

    pub(super) fn to_finish(self) -> Wait {
        self.wait(self.to_finish)
    }

    fn wait(self, limit: Duration) -> Wait {
        Wait::growing(limit, self.first_pause, LONGEST_PAUSE)
    }
}
