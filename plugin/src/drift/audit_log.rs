//! The audit log of an API server: who wrote to which object.
//!
//! Events are those of `audit.k8s.io/v1`, of any level, one after the other as the API server
//! writes them, or as CloudWatch Logs delivers those of EKS: as texts in `events[].message` (`aws
//! logs filter-log-events`), in `@message`, or in `results[][]` (`aws logs get-query-results`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// A write to an object that an API server has done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Write {
    pub(crate) user: String,
    pub(crate) user_agent: String,
    /// The name that the writer gave for `managedFields`.
    pub(crate) field_manager: Option<String>,
    /// Such as `patch`.
    pub(crate) verb: String,
    pub(crate) group: String,
    /// Such as `deployments`.
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Whether the object was not there before.
    pub(crate) is_creation: bool,
    /// The mutating webhooks that changed it on the way, as `CONFIGURATION/WEBHOOK`.
    pub(crate) mutated_by: Vec<String>,
    /// When the request came.
    pub(crate) began: Timestamp,
    /// When it was done.
    pub(crate) time: Timestamp,
}

/// `managedFields` has whole seconds, and several API servers have several clocks.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

impl Write {
    /// Whether it may be the one that `managedFields` notes with a time.
    pub(crate) fn is_at(&self, time: Timestamp) -> bool {
        self.began.duration_since(time) <= TOLERANCE && time.duration_since(self.time) <= TOLERANCE
    }

    /// Whether it was done before the one that `managedFields` notes with a time.
    pub(crate) fn is_before(&self, time: Timestamp) -> bool {
        time.duration_since(self.time) > TOLERANCE
    }

    /// What the API server noted in `managedFields` (Kubernetes 1.36,
    /// `handlers.managerOrUserAgent`).
    pub(crate) fn manager(&self) -> &str {
        let agent = self.user_agent.split('/').next().unwrap_or_default();
        self.field_manager.as_deref().unwrap_or(agent)
    }
}

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditLogError {
    /// Its file cannot.
    #[error("line {line} cannot be read")]
    Read {
        /// Which line, from 1.
        line: usize,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is not JSON, nor part of a document of several lines.
    #[error("line {0} is not JSON: expected events of audit.k8s.io/v1, one a line")]
    Json(usize),
    /// There is JSON, and no event in it.
    #[error("there is no event of audit.k8s.io in it")]
    NoEvents,
}

/// Which objects matter: by namespace and name.
pub(crate) type Wanted = BTreeSet<(String, String)>;

/// Reads the writes to some objects. Whatever else is in the log is not kept. The last line may be
/// cut off.
///
/// # Errors
/// It cannot be read, or is not such a log.
pub(crate) fn read(mut log: impl BufRead, wanted: &Wanted) -> Result<Vec<Write>, AuditLogError> {
    let mut reading = Reading {
        wanted,
        writes: Vec::new(),
        has_events: false,
    };
    let mut pending = String::new();
    let (mut line, mut first) = (0, 0);
    loop {
        let before = pending.len();
        line += 1;
        let read = log.read_line(&mut pending);
        let read = read.map_err(|source| AuditLogError::Read { line, source })?;
        if read == 0 {
            break;
        }
        if pending[before..].trim().is_empty() {
            continue;
        }
        if before == 0 {
            first = line;
        }
        match serde_json::from_str::<Value>(&pending) {
            Ok(value) => {
                reading.take(&value, 0);
                pending.clear();
            }
            // A document of several lines goes on.
            Err(error) if error.is_eof() => {}
            Err(_) => return Err(AuditLogError::Json(first)),
        }
    }
    if !reading.has_events {
        return Err(match pending.trim() {
            "" => AuditLogError::NoEvents,
            _ => AuditLogError::Json(first),
        });
    }
    Ok(reading.writes)
}

struct Reading<'w> {
    wanted: &'w Wanted,
    writes: Vec<Write>,
    has_events: bool,
}

/// How deep events are wrapped: a result, a row, a field, a text.
const DEEPEST: usize = 6;

impl Reading<'_> {
    fn take(&mut self, value: &Value, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.take(value, depth + 1)),
            Value::String(text) => {
                if let Ok(value @ Value::Object(_)) = serde_json::from_str(text) {
                    self.take(&value, depth + 1);
                }
            }
            Value::Object(members) => {
                if is_event(value) {
                    self.has_events = true;
                    self.writes.extend(self.write(value));
                    return;
                }
                // Of a row of CloudWatch Logs Insights.
                if members.get("field").and_then(Value::as_str) == Some("@message") {
                    members
                        .get("value")
                        .iter()
                        .for_each(|value| self.take(value, depth + 1));
                    return;
                }
                for name in ["items", "events", "results", "message", "@message"] {
                    members
                        .get(name)
                        .iter()
                        .for_each(|value| self.take(value, depth + 1));
                }
            }
            _ => {}
        }
    }

    fn write(&self, event: &Value) -> Option<Write> {
        let Event {
            stage,
            verb,
            request_uri,
            user,
            impersonated_user,
            user_agent,
            object_ref,
            response_status,
            request_received_timestamp,
            stage_timestamp,
            annotations,
        } = Event::deserialize(event).ok()?;
        let object = object_ref?;
        let (namespace, name) = (
            object.namespace.unwrap_or_default(),
            object.name.unwrap_or_default(),
        );
        let is_write = matches!(&*verb, "create" | "update" | "patch" | "delete");
        let code = response_status.and_then(|status| status.code);
        let is_done = stage
            .as_deref()
            .is_none_or(|stage| stage == "ResponseComplete")
            && code.is_none_or(|code| code < 400);
        let query = request_uri.as_deref().unwrap_or_default();
        let query = query.split_once('?').map_or("", |(_, query)| query);
        let key = (namespace, name);
        if !is_write
            || !is_done
            || parameter(query, "dryRun").is_some()
            || !self.wanted.contains(&key)
        {
            return None;
        }
        let (namespace, name) = key;
        let time = |text: &Option<String>| text.as_deref()?.parse().ok();
        let (began, done) = (time(&request_received_timestamp), time(&stage_timestamp));
        let subresource = object.subresource.unwrap_or_default();
        Some(Write {
            user: named(user?, impersonated_user)?,
            user_agent: user_agent.unwrap_or_default(),
            field_manager: parameter(query, "fieldManager"),
            // A patch of server-side apply may create an object, too.
            is_creation: subresource.is_empty() && (verb == "create" || code == Some(CREATED)),
            mutated_by: mutated_by(&annotations.unwrap_or_default()),
            verb,
            group: object.api_group.unwrap_or_default(),
            resource: object.resource.unwrap_or_default(),
            subresource,
            namespace,
            name,
            began: began.or(done)?,
            time: done.or(began)?,
        })
    }
}

/// The status of an answer to what created something.
const CREATED: u16 = 201;

/// Who wrote. Whoever acts as somebody else is named with that.
fn named(user: User, impersonated: Option<User>) -> Option<String> {
    let user = user.username?;
    Some(match impersonated.and_then(|user| user.username) {
        Some(impersonated) => format!("{impersonated}, impersonated by {user}"),
        None => user,
    })
}

/// What the API server notes of a mutating webhook, from level Metadata on (Kubernetes 1.36,
/// `mutating.mutationAuditAnnotation`).
const MUTATION: &str = "mutation.webhook.admission.k8s.io/";

fn mutated_by(annotations: &BTreeMap<String, Value>) -> Vec<String> {
    #[derive(Deserialize)]
    struct Mutation {
        configuration: String,
        webhook: String,
        mutated: bool,
    }
    let noted = annotations.iter();
    let noted = noted.filter(|(key, _)| key.starts_with(MUTATION));
    let mutations = noted.filter_map(|(_, value)| serde_json::from_str(value.as_str()?).ok());
    let mutations = mutations.filter(|mutation: &Mutation| mutation.mutated);
    mutations
        .map(|mutation| format!("{}/{}", mutation.configuration, mutation.webhook))
        .collect()
}

fn is_event(value: &Value) -> bool {
    let version = value.get("apiVersion").and_then(Value::as_str);
    version.is_some_and(|version| version.starts_with("audit.k8s.io/"))
        && value.get("kind").and_then(Value::as_str) == Some("Event")
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let value = percent_encoding::percent_decode_str(value);
    Some(value.decode_utf8_lossy().into_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: Option<String>,
    #[serde(default)]
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: Option<String>,
    user: Option<User>,
    impersonated_user: Option<User>,
    user_agent: Option<String>,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
    request_received_timestamp: Option<String>,
    stage_timestamp: Option<String>,
    annotations: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct User {
    username: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    api_group: Option<String>,
    resource: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct ResponseStatus {
    code: Option<u16>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(change: &Value) -> Value {
        let mut event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
            "stage": "ResponseComplete", "verb": "patch",
            "requestURI": "/apis/apps/v1/namespaces/shop/deployments/cart?fieldManager=kubectl-edit&fieldValidation=Strict",
            "user": {"username": "alice@example.com", "groups": ["developers"]},
            "userAgent": "kubectl/v1.36.1 (linux/amd64) kubernetes/abc",
            "objectRef": {"resource": "deployments", "namespace": "shop", "name": "cart", "apiGroup": "apps", "apiVersion": "v1"},
            "responseStatus": {"metadata": {}, "code": 200},
            "requestReceivedTimestamp": "2026-11-30T10:00:00.100000Z",
            "stageTimestamp": "2026-11-30T10:00:00.200000Z",
        });
        json_patch::merge(&mut event, change);
        event
    }

    fn read_text(text: &str) -> Result<Vec<Write>, AuditLogError> {
        let wanted = Wanted::from([("shop".to_owned(), "cart".to_owned())]);
        read(text.as_bytes(), &wanted)
    }

    #[test]
    fn a_write_is_read_from_each_shape() {
        let event = event(&json!({}));
        let text = event.to_string();
        let pretty = serde_json::to_string_pretty(&json!({"events": [{"message": text}]})).unwrap();
        for shape in [
            format!("{text}\n{text}\n"),
            format!("{text}\n\n{text}\n{}", &text[..40]),
            format!("{pretty}\n{pretty}"),
            json!({"events": [{"message": text}, {"message": text}]}).to_string(),
            format!("{}\n{}", json!({"@message": text}), json!({"@message": event})),
            json!({"results": [[{"field": "@message", "value": text}], [{"field": "@message", "value": text}]]})
                .to_string(),
            json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [event, event]}).to_string(),
        ] {
            let writes = read_text(&shape).unwrap();
            assert_eq!(writes.len(), 2, "{shape}");
            let write = &writes[0];
            assert_eq!(write.user, "alice@example.com");
            assert_eq!(write.manager(), "kubectl-edit");
            assert_eq!(write.time, "2026-11-30T10:00:00.2Z".parse().unwrap());
        }
    }

    #[test]
    fn what_wrote_nothing_does_not_count() {
        for change in [
            json!({"verb": "get"}),
            json!({"stage": "RequestReceived"}),
            json!({"responseStatus": {"code": 403}}),
            json!({"requestURI": "/apis/apps/v1/namespaces/shop/deployments/cart?dryRun=All"}),
            json!({"objectRef": {"name": "other"}}),
            json!({"objectRef": null}),
            json!({"user": 7}),
        ] {
            let writes = read_text(&event(&change).to_string()).unwrap();
            assert_eq!(writes, [], "{change}");
        }
    }

    #[test]
    fn the_user_agent_names_the_manager_where_nothing_else_does() {
        let change = json!({"requestURI": "/apis/apps/v1/namespaces/shop/deployments/cart/scale"});
        let writes = read_text(&event(&change).to_string()).unwrap();
        assert_eq!(writes[0].manager(), "kubectl");
    }

    #[test]
    fn who_acts_as_somebody_else_is_named_with_that() {
        let change = json!({"impersonatedUser": {"username": "bob@example.com"}});
        let writes = read_text(&event(&change).to_string()).unwrap();
        assert_eq!(
            writes[0].user,
            "bob@example.com, impersonated by alice@example.com"
        );
    }

    #[test]
    fn webhooks_that_changed_it_on_the_way_are_named() {
        let noted = |mutated: bool| {
            json!({"configuration": "mesh", "webhook": "inject.example.com", "mutated": mutated})
                .to_string()
        };
        let change = json!({"annotations": {
            "authorization.k8s.io/decision": "allow",
            "mutation.webhook.admission.k8s.io/round_0_index_0": noted(true),
            "mutation.webhook.admission.k8s.io/round_0_index_1": noted(false),
            "mutation.webhook.admission.k8s.io/round_0_index_2": "garbage",
            "mutation.webhook.admission.k8s.io/round_0_index_3": 7,
            "patch.webhook.admission.k8s.io/round_0_index_0": noted(true),
        }});
        let writes = read_text(&event(&change).to_string()).unwrap();
        assert_eq!(writes[0].mutated_by, ["mesh/inject.example.com"]);
    }

    #[test]
    fn a_patch_may_create_an_object() {
        let created = |change: Value| {
            let writes = read_text(&event(&change).to_string()).unwrap();
            writes[0].is_creation
        };
        assert!(created(json!({"verb": "create"})));
        assert!(created(json!({"responseStatus": {"code": 201}})));
        assert!(!created(json!({})));
        let change = json!({"verb": "create", "objectRef": {"subresource": "token"}});
        assert!(!created(change));
    }

    #[test]
    fn a_slow_write_has_the_time_at_which_it_was_noted() {
        let change = json!({"stageTimestamp": "2026-11-30T10:00:20Z"});
        let writes = read_text(&event(&change).to_string()).unwrap();
        let is_at = |time: &str| writes[0].is_at(time.parse().unwrap());
        assert!(is_at("2026-11-30T10:00:00Z"));
        assert!(is_at("2026-11-30T10:00:20Z"));
        assert!(!is_at("2026-11-30T09:59:50Z"));
        assert!(!is_at("2026-11-30T10:00:30Z"));
    }

    #[test]
    fn what_is_not_a_log_is_told_with_its_line() {
        let good = event(&json!({})).to_string();
        for (text, reason) in [
            (format!("{good}\nnonsense\n"), "line 2 is not JSON"),
            (format!("{good}\n{{\"a\": }}\n"), "line 2 is not JSON"),
            ("{\"cut\": ".to_owned(), "line 1 is not JSON"),
            (String::new(), "there is no event"),
            ("{}\n".to_owned(), "there is no event"),
            ("7\n".to_owned(), "there is no event"),
        ] {
            let error = read_text(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
