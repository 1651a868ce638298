//! Kubernetes Events about the objects that are judged, for whoever asks `kubectl describe` or
//! `kubectl events`.
//!
//! No request waits for them: they go through a short queue to one task, and are dropped when it is
//! full. They tell what the log tells as well, so nothing is lost but convenience, and the metric
//! says how much.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{self, EventType, Recorder, Reporter};
use policy::finding::shorten;
use quick_cache::unsync::Cache;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

use crate::labels::EventOutcome;
use crate::metrics::events::EventMetrics;

/// How many may wait to be published. Each takes the API server a few milliseconds.
pub const QUEUE: usize = 64;

/// How long the API server may take to store one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest note that the API server takes, in bytes.
const NOTE_LIMIT: usize = 1024;

/// How many different notes are remembered, to count what is repeated instead of storing it again.
const NOTES: usize = 64;

/// Why there is an Event, as `kubectl describe` shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// An override was allowed, or a violation under one that is written with it.
    BreakGlassAllowed,
    /// A violation was allowed under an override that stood already.
    BreakGlassAllowedLater,
    /// An override was taken off or cut short.
    BreakGlassRevoked,
    /// Somebody tried, and it does not hold.
    BreakGlassRefused,
    /// It was right, and time is over.
    BreakGlassExpired,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Reason::BreakGlassAllowed | Reason::BreakGlassAllowedLater => "BreakGlassAllowed",
            Reason::BreakGlassRevoked => "BreakGlassRevoked",
            Reason::BreakGlassRefused => "BreakGlassRefused",
            Reason::BreakGlassExpired => "BreakGlassExpired",
        }
    }

    fn event_type(self) -> EventType {
        match self {
            Reason::BreakGlassAllowed
            | Reason::BreakGlassAllowedLater
            | Reason::BreakGlassRevoked => EventType::Normal,
            Reason::BreakGlassRefused | Reason::BreakGlassExpired => EventType::Warning,
        }
    }

    /// What the webhook did, which the API server insists on. `kubectl gitops break-glass list`
    /// tells by it who wrote an override from who used it.
    fn action(self) -> &'static str {
        match self {
            Reason::BreakGlassAllowed | Reason::BreakGlassRevoked => "Admit",
            Reason::BreakGlassAllowedLater => "Use",
            Reason::BreakGlassRefused => "Deny",
            Reason::BreakGlassExpired => "Report",
        }
    }
}

/// What there is to tell.
#[derive(Clone, Debug)]
pub struct Event {
    /// Why.
    pub reason: Reason,
    /// The object: API version, kind, namespace, name and UID. The Event goes to its namespace.
    pub object: ObjectReference,
    /// What happened, in a sentence. Line breaks and what is too long are taken out of it.
    /// Everybody who may read Events reads it, so there must be nothing in it from the data of a
    /// Secret.
    pub note: String,
}

/// Where Events are handed in.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Event>,
    metrics: EventMetrics,
}

/// What publishes them.
pub struct Publisher {
    queue: mpsc::Receiver<Event>,
    metrics: EventMetrics,
    client: Client,
    reporter: Reporter,
    recorders: Cache<String, Recorder>,
}

/// Both ends of a queue. The reporter is who the Events are from: this program and this pod.
pub fn queue(client: Client, reporter: Reporter, metrics: &EventMetrics) -> (Events, Publisher) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let events = Events {
        queue: sender,
        metrics: metrics.clone(),
    };
    let publisher = Publisher {
        queue: receiver,
        metrics: metrics.clone(),
        client,
        reporter,
        recorders: Cache::new(NOTES),
    };
    (events, publisher)
}

impl Events {
    /// Sees to it that an Event is published, if there is room for it.
    pub fn publish(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.metrics.count(EventOutcome::Dropped);
        }
    }
}

impl Publisher {
    /// Publishes until the last [`Events`] is gone and all is published.
    pub async fn run(mut self) {
        while let Some(event) = self.queue.recv().await {
            self.publish(event).await;
        }
    }

    async fn publish(&mut self, event: Event) {
        let Event {
            reason,
            object,
            note,
        } = event;
        let note = one_line(&note);
        let recorder = self.recorder(&note);
        let event = events::Event {
            type_: reason.event_type(),
            reason: reason.as_str().to_owned(),
            action: reason.action().to_owned(),
            note: Some(note),
            secondary: None,
        };
        let error = match timeout(TIMEOUT, recorder.publish(&event, &object)).await {
            Ok(Ok(())) => return self.metrics.count(EventOutcome::Published),
            Ok(Err(error)) => crate::chain(&error),
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        self.metrics.count(EventOutcome::Failed);
        warn!(
            reason = reason.as_str(),
            kind = object.kind,
            namespace = object.namespace,
            name = object.name,
            error,
            "an Event cannot be published"
        );
    }

    /// A recorder takes whatever happens to one object for one reason for the same, and only counts
    /// it. Who did what is in the note, so each note has a recorder of its own.
    fn recorder(&mut self, note: &str) -> Recorder {
        if let Some(recorder) = self.recorders.get(note) {
            return recorder.clone();
        }
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        self.recorders.insert(note.to_owned(), recorder.clone());
        recorder
    }
}

/// A note that the API server takes and a terminal shows on one line.
fn one_line(note: &str) -> String {
    const CUT: char = '…';
    let mut note = shorten(note, usize::MAX);
    if note.len() > NOTE_LIMIT {
        note.truncate(note.floor_char_boundary(NOTE_LIMIT - CUT.len_utf8()));
        note.push(CUT);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_one_line_and_no_more_bytes_than_the_api_server_takes() {
        assert_eq!(one_line("a\nb\tc\u{1b}[1m"), "a b c [1m");
        let longest = "x".repeat(NOTE_LIMIT);
        assert_eq!(one_line(&longest), longest);
        for letter in ["x", "é", "…", "🔥"] {
            for start in ["", "a", "ab", "abc"] {
                let note = one_line(&(start.to_owned() + &letter.repeat(NOTE_LIMIT + 1)));
                assert!(note.len() <= NOTE_LIMIT, "{} bytes", note.len());
                assert!(note.len() > NOTE_LIMIT - 4, "{} bytes", note.len());
                assert!(note.ends_with('…'));
            }
        }
    }
}
