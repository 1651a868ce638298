//! Who granted overrides: the record that the webhook keeps in Events.

use policy::break_glass::annotations::REASON_LIMIT;
use policy::finding::shorten;
use serde::Deserialize;

use super::{Override, OverrideStatus};
use crate::error::chain;
use crate::kubernetes::{ApiServer, Objects, resource};

/// The reason of the Events that tell of an override which was written or used.
const REASON: &str = "BreakGlassAllowed";

/// The action of those that tell that one was written.
const ACTION: &str = "Admit";

/// What Events tell of overrides that were written, the last one first.
#[derive(Debug, Default)]
pub(crate) struct Grants(Vec<Event>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "eventTime")]
    time: String,
    reason: String,
    action: String,
    note: String,
    regarding: Regarding,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Regarding {
    kind: String,
    namespace: String,
    name: String,
}

impl Grants {
    /// Those in a namespace, or in all. Where they may not be read there are none, and the second
    /// value says why.
    pub(crate) async fn of(server: &ApiServer, namespace: Option<&str>) -> (Self, Option<String>) {
        let events = Objects {
            resource: resource("events.k8s.io", "v1", "Event", "events"),
            namespace: namespace.map(str::to_owned),
        };
        let fields = format!("reason={REASON}");
        let read = |json: &str| serde_json::from_str::<Event>(json).ok();
        let found = server.list_by_fields(&events, &fields, read).await;
        let (mut grants, unknown): (Vec<Event>, _) = match found {
            Ok(found) => (found.into_iter().flatten().collect(), None),
            Err(error) if error.is_no_such_kind() => (Vec::new(), None),
            Err(error) => {
                let error = chain(&error);
                let unknown = format!("{error}: who granted what is unknown");
                (Vec::new(), Some(unknown))
            }
        };
        grants.retain(|event| event.reason == REASON && event.action == ACTION);
        grants.sort_by(|one, other| other.time.cmp(&one.time));
        (Grants(grants), unknown)
    }

    /// The user who granted an override last, in the words in which it stands.
    pub(crate) fn granted_by(&self, status: &OverrideStatus) -> Option<String> {
        let Override::Valid(written) = &status.written else {
            return None;
        };
        let object = &status.object;
        let reason = shorten(&written.reason, REASON_LIMIT);
        let end = format!(" until {}: {reason}", written.expires);
        let mut grants = self.0.iter().filter(|event| {
            event.regarding.kind == object.kind
                && Some(&event.regarding.namespace) == object.namespace.as_ref()
                && Some(&event.regarding.name) == object.name.as_ref()
        });
        grants.find_map(|event| {
            let start = event.note.strip_suffix(&end)?;
            let (_, user) = start.split_once("overruled by ")?;
            Some(user.to_owned())
        })
    }
}
