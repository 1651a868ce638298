//! How far work is, for whoever watches it on a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What takes less long is not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether anybody watches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    is_watched: bool,
}

/// One piece of work. Its line is gone when this is.
pub(crate) struct Work {
    /// None if nobody watches.
    line: Option<ProgressBar>,
    begun: Instant,
}

impl Progress {
    /// Standard error is watched if it is a terminal.
    pub(crate) fn of_process() -> Self {
        Progress {
            is_watched: std::io::stderr().is_terminal(),
        }
    }

    /// Work on so many things begins; nobody may know on how many. It is told how far it is once
    /// that takes long.
    pub(crate) fn begin(self, label: &'static str, total: Option<usize>) -> Work {
        let line = self.is_watched.then(|| {
            let of_total = total.map_or("", |_| "/{len}");
            let template = format!("{label} {{pos}}{of_total}");
            let style = ProgressStyle::with_template(&template);
            ProgressBar::with_draw_target(
                total.map(|total| total as u64),
                ProgressDrawTarget::hidden(),
            )
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Work {
            line,
            begun: Instant::now(),
        }
    }
}

impl Work {
    /// So many of the things are done.
    pub(crate) fn reached(&self, count: usize) {
        let Some(line) = &self.line else {
            return;
        };
        if line.is_hidden() && self.begun.elapsed() >= PATIENCE {
            line.set_draw_target(ProgressDrawTarget::stderr());
        }
        line.set_position(count as u64);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}
