//! What is shown while a newcomer waits minutes for the first build.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A line for each of these in a log; a terminal's one line is drawn again at every change.
const BETWEEN_LINES: Duration = Duration::from_secs(5);
const BYTES_OF_A_MEGABYTE: u64 = 1_000_000;
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(100);

/// How a `go` command or a download gets on, on standard error. What takes no time is not shown at
/// all.
pub(crate) struct Progress {
    what: String,
    started: Instant,
    shown: Instant,
    anything_shown: bool,
    terminal: bool,
    modules: usize,
    packages: usize,
    bytes: u64,
}

impl Progress {
    pub(crate) fn new(what: &str) -> Self {
        let now = Instant::now();
        Self {
            what: what.to_owned(),
            started: now,
            shown: now,
            anything_shown: false,
            terminal: io::stderr().is_terminal(),
            modules: 0,
            packages: 0,
            bytes: 0,
        }
    }

    /// Counts a line of `go build -v`: a module that is fetched, or a package that is compiled.
    pub(crate) fn line(&mut self, line: &str) {
        if line.starts_with("go: downloading ") {
            self.modules += 1;
        } else if !line.contains(' ') {
            self.packages += 1;
        }
        self.show();
    }

    /// Counts bytes that were downloaded.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.show();
    }

    /// Shows how far it is, unless that was just shown.
    pub(crate) fn show(&mut self) {
        let pause = if self.terminal {
            BETWEEN_DRAWINGS
        } else {
            BETWEEN_LINES
        };
        if self.shown.elapsed() >= pause {
            self.write(if self.terminal { "" } else { "\n" });
        }
    }

    /// Says that it is done, if there was anything to show.
    pub(crate) fn finish(&mut self) {
        if self.anything_shown {
            self.write(", done\n");
        }
    }

    /// Says at once that something is waited for.
    pub(crate) fn announce(&mut self) {
        self.write("\n");
    }

    fn write(&mut self, end: &str) {
        self.shown = Instant::now();
        self.anything_shown = true;
        let start = if self.terminal { "\r\x1b[2K" } else { "" };
        // Nobody is left to be told that standard error is closed.
        let _ = write!(io::stderr(), "{start}{}{end}", self.text());
    }

    fn text(&self) -> String {
        let time = format!("{}: {} s", self.what, self.started.elapsed().as_secs());
        let counts = [
            (self.modules as u64, "modules fetched"),
            (self.packages as u64, "packages compiled"),
            (self.bytes / BYTES_OF_A_MEGABYTE, "MB downloaded"),
        ];
        counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .fold(time, |text, (count, what)| {
                format!("{text}, {count} {what}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_modules_and_packages_and_nothing_else() {
        let mut progress = Progress::new("building etcd");
        for line in [
            "go: downloading go.uber.org/zap v1.27.1",
            "go.uber.org/zap",
            "sort",
            "some warning: about this",
        ] {
            progress.line(line);
        }

        assert_eq!(
            progress.text(),
            "building etcd: 0 s, 1 modules fetched, 2 packages compiled"
        );
    }

    #[test]
    fn counts_whole_megabytes() {
        let mut progress = Progress::new("downloading etcd");
        for _ in 0..3 {
            progress.received(900_000);
        }

        assert_eq!(progress.text(), "downloading etcd: 0 s, 2 MB downloaded");
    }
}
