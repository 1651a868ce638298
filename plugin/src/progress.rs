//! How far work is, for whoever watches it on a terminal.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::output;

const PATIENCE: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(200);

/// Tells how far it is, once that takes long.
pub(crate) struct Progress {
    label: &'static str,
    /// None if nobody knows.
    total: Option<usize>,
    /// None if nobody watches.
    display: Option<Mutex<Display>>,
}

struct Display {
    due: Instant,
    shown: bool,
}

impl Progress {
    /// Work on so many things begins.
    pub(crate) fn new(label: &'static str, total: Option<usize>) -> Self {
        let watched = std::io::stderr().is_terminal();
        Progress {
            label,
            total,
            display: watched.then(|| {
                Mutex::new(Display {
                    due: Instant::now() + PATIENCE,
                    shown: false,
                })
            }),
        }
    }

    /// So many of them are done.
    pub(crate) fn reached(&self, count: usize) {
        let Some(Ok(mut display)) = self.display.as_ref().map(Mutex::try_lock) else {
            return;
        };
        let now = Instant::now();
        if now >= display.due {
            output::progress(&match self.total {
                Some(total) => format!("{} {count}/{total}", self.label),
                None => format!("{} {count}", self.label),
            });
            display.due = now + INTERVAL;
            display.shown = true;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(Ok(display)) = self.display.as_mut().map(Mutex::get_mut)
            && display.shown
        {
            output::progress("");
        }
    }
}
