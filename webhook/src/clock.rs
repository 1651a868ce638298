//! What time it is, for overrides that expire.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// A clock that can be told what time it is, so that nobody has to wait for an override to expire.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Clock(Arc::new(Timestamp::now))
    }

    /// A clock that shows what a function says.
    pub fn new(time: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Clock(Arc::new(time))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Clock({})", self.now())
    }
}
