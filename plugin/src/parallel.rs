//! The same work on many things, on all processors.

use std::io::IsTerminal;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{panic, thread};

use crate::output;

/// What `work` makes of each item, in the order of the items. Work that takes long is reported on
/// a terminal.
pub(crate) fn map<T: Sync, R: Send>(
    label: &'static str,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let progress = Progress::new(label, items.len());
    let worker = || {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return results;
            };
            results.push((index, work(item)));
            progress.reached(index);
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let mut results = thread::scope(|scope| {
        let workers: Vec<_> = (1..processors.min(items.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        let mut results = worker();
        for worker in workers {
            results.extend(
                worker
                    .join()
                    .unwrap_or_else(|cause| panic::resume_unwind(cause)),
            );
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

const PATIENCE: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(200);

struct Progress {
    label: &'static str,
    total: usize,
    /// None if nobody watches.
    display: Option<Mutex<Display>>,
}

struct Display {
    due: Instant,
    shown: bool,
}

impl Progress {
    fn new(label: &'static str, total: usize) -> Self {
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

    fn reached(&self, index: usize) {
        let Some(Ok(mut display)) = self.display.as_ref().map(Mutex::try_lock) else {
            return;
        };
        let now = Instant::now();
        if now >= display.due {
            output::progress(&format!("{} {index}/{}", self.label, self.total));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(
            map("counting", &items, |item| item * 2),
            (0..1000).map(|item| item * 2).collect::<Vec<_>>()
        );
        assert!(map("counting", &[], |item: &usize| *item).is_empty());
    }
}
