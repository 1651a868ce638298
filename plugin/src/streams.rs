//! Where everything is written: results to standard output, conversation to standard error.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};

use crate::text::{fit, printable};

/// What lines are wrapped to where no terminal says otherwise.
const DEFAULT_WIDTH: usize = 80;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The standard streams of the process.
pub(crate) struct Streams {
    results: Mutex<Box<dyn Write + Send>>,
    conversation: Mutex<Box<dyn Write + Send>>,
    width: usize,
}

/// Standard output does not take what is written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct WriteError(#[source] io::Error);

impl Streams {
    /// Those of this process, which show colours where a terminal does.
    pub(crate) fn of_process() -> Self {
        Streams {
            results: Mutex::new(Box::new(anstream::stdout())),
            conversation: Mutex::new(Box::new(anstream::stderr())),
            width: terminal_size::terminal_size()
                .map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0)),
        }
    }

    /// How many columns a line of the results has.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Writes to standard output. That nobody reads on is not an error.
    ///
    /// # Errors
    /// It does not take it.
    pub(crate) fn print(&self, text: &str) -> Result<(), WriteError> {
        match write(&self.results, text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(WriteError),
        }
    }

    /// The same of something that goes on: whether somebody reads on.
    ///
    /// # Errors
    /// It does not take it.
    pub(crate) fn print_on(&self, text: &str) -> Result<bool, WriteError> {
        match write(&self.results, text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(WriteError(error)),
            Ok(()) => Ok(true),
        }
    }

    /// Prints what was asked about the command line, or what is wrong with it.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub(crate) fn answer(&self, answer: &clap::Error) -> Result<(), WriteError> {
        // It repeats what was typed, which a script may have made of anything.
        let text = answer.render().ansi().to_string();
        if answer.use_stderr() {
            self.tell(&text);
            return Ok(());
        }
        self.print(&text)
    }

    /// Says that something failed.
    pub(crate) fn error(&self, text: &str) {
        self.say("error", ERROR, text);
    }

    /// Says that something may surprise.
    pub(crate) fn warning(&self, text: &str) {
        self.say("warning", WARNING, text);
    }

    /// Says what the API server warns of, in kubectl's words.
    pub(crate) fn warning_of_server(&self, text: &str) {
        self.say("Warning", WARNING, text);
    }

    /// Says what is good to know.
    pub(crate) fn note(&self, text: &str) {
        self.say("note", NOTE, text);
    }

    /// Says what may help.
    pub(crate) fn hint(&self, text: &str) {
        self.say("hint", HINT, text);
    }

    /// Says how it went.
    pub(crate) fn status(&self, text: &str) {
        self.tell(&format!("{}\n", printable(text)));
    }

    /// Asks a question that is answered by yes or no, which is what no answer means.
    pub(crate) fn ask(&self, question: &str) -> bool {
        let question: Vec<String> = question.split('\n').map(printable).collect();
        self.tell(&question.join("\n"));
        let mut answer = String::new();
        let is_read = io::stdin()
            .read_line(&mut answer)
            .is_ok_and(|length| length > 0);
        if !(is_read && io::stdin().is_terminal()) {
            self.tell("\n");
        }
        is_read && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }

    /// Whether there is somebody who can be asked.
    pub(crate) fn has_somebody() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for a text; None where there is no answer, and none will come.
    pub(crate) fn ask_for(&self, question: &str) -> Option<String> {
        self.tell(&printable(question));
        let mut answer = String::new();
        let length = io::stdin().read_line(&mut answer).ok()?;
        (length > 0).then(|| answer.trim().to_owned())
    }

    fn say(&self, label: &str, style: Style, text: &str) {
        let text = printable(text);
        self.tell(&format!("{style}{label}:{style:#} {text}\n"));
    }

    /// There is nobody to tell if standard error is gone.
    fn tell(&self, text: &str) {
        drop(write(&self.conversation, text));
    }
}

fn write(stream: &Mutex<Box<dyn Write + Send>>, text: &str) -> io::Result<()> {
    // What somebody else wrote before it panicked is written.
    let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
    stream.write_all(fit(text).as_bytes())?;
    stream.flush()
}
