//! Events as an API server gets them.

use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode};
use gitops_webhook::events::{self, Event, Events, Publisher, QUEUE, Reason};
use gitops_webhook::metrics::Metrics;
use insta::assert_json_snapshot;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::Reporter;
use serde_json::{Value, json};

use crate::api_server::{self, Asked, refusal};

/// What the API server does with the next request.
#[derive(Clone, Copy)]
enum Mood {
    Stores,
    Refuses,
    Hangs,
}

/// Both ends of a queue, and the API server behind it.
struct Test {
    events: Events,
    publisher: Publisher,
    metrics: Metrics,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Test {
    /// With an API server that is in each of these moods once, and from then on stores all it gets.
    fn with(moods: &[Mood]) -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (moods, log) = (moods.to_vec(), Arc::clone(&asked));
        let client = api_server::client(move |asked| {
            let mut log = log.lock().unwrap();
            let mood = moods.get(log.len()).copied().unwrap_or(Mood::Stores);
            let stored = asked.body.clone();
            log.push(asked);
            async move {
                match mood {
                    Mood::Stores => (StatusCode::CREATED, stored),
                    Mood::Refuses => refusal(StatusCode::FORBIDDEN, "Forbidden"),
                    Mood::Hangs => pending().await,
                }
            }
        });
        let metrics = Metrics::new();
        let reporter = Reporter {
            controller: "gitops-webhook".to_owned(),
            instance: Some("gitops-webhook-7c9d-x2x".to_owned()),
        };
        let (events, publisher) = events::queue(client, reporter, &metrics.events);
        Test {
            events,
            publisher,
            metrics,
            asked,
        }
    }

    /// What the API server was asked, after all Events have been handed in.
    async fn asked(self, events: impl IntoIterator<Item = Event>) -> (Vec<Asked>, Metrics) {
        events
            .into_iter()
            .for_each(|event| self.events.publish(event));
        drop(self.events);
        self.publisher.run().await;
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        (asked, self.metrics)
    }
}

fn event(reason: Reason, note: &str) -> Event {
    Event {
        reason,
        object: ObjectReference {
            api_version: Some("argoproj.io/v1alpha1".to_owned()),
            kind: Some("Application".to_owned()),
            namespace: Some("argocd".to_owned()),
            name: Some("orders-prod".to_owned()),
            uid: Some("0e7a".to_owned()),
            ..ObjectReference::default()
        },
        note: note.to_owned(),
    }
}

/// How many Events had each outcome.
fn outcomes(metrics: &Metrics) -> [(&'static str, u64); 3] {
    let metrics = metrics.encode().unwrap();
    ["published", "failed", "dropped"].map(|outcome| {
        let name = format!(r#"gitops_webhook_events_total{{outcome="{outcome}"}} "#);
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        (outcome, value.expect(outcome).parse().unwrap())
    })
}

const USED: &str = "alice@example.com overruled prod-auto-sync: INC-42, orders stuck";

#[tokio::test]
async fn an_event_is_stored_beside_its_object() {
    let event = event(Reason::BreakGlassAllowed, USED);

    let (mut asked, metrics) = Test::with(&[]).asked([event]).await;

    let Asked { method, path, body } = &mut asked[0];
    let expected = "/apis/events.k8s.io/v1/namespaces/argocd/events";
    assert_eq!((&*method, path.as_str()), (&Method::POST, expected));
    let name = body["metadata"]["name"].take();
    assert!(name.as_str().unwrap().starts_with("orders-prod."), "{name}");
    let time: jiff::Timestamp = body["eventTime"].take().as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(time).as_secs() < 60);
    assert_json_snapshot!(body, @r#"
    {
      "action": "Admit",
      "apiVersion": "events.k8s.io/v1",
      "eventTime": null,
      "kind": "Event",
      "metadata": {
        "name": null,
        "namespace": "argocd"
      },
      "note": "alice@example.com overruled prod-auto-sync: INC-42, orders stuck",
      "reason": "BreakGlassAllowed",
      "regarding": {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "name": "orders-prod",
        "namespace": "argocd",
        "uid": "0e7a"
      },
      "reportingController": "gitops-webhook",
      "reportingInstance": "gitops-webhook-7c9d-x2x",
      "type": "Normal"
    }
    "#);
    assert_eq!(
        outcomes(&metrics),
        [("published", 1), ("failed", 0), ("dropped", 0)]
    );
}

#[tokio::test]
async fn what_went_wrong_is_a_warning() {
    let reasons = [
        Reason::BreakGlassAllowed,
        Reason::BreakGlassRefused,
        Reason::BreakGlassExpired,
    ];
    let events = reasons.map(|reason| event(reason, "note"));

    let (asked, _) = Test::with(&[]).asked(events).await;

    let stored: Vec<_> = asked
        .iter()
        .map(|asked| [&asked.body["reason"], &asked.body["type"]])
        .collect();
    assert_eq!(
        stored,
        [
            ["BreakGlassAllowed", "Normal"],
            ["BreakGlassRefused", "Warning"],
            ["BreakGlassExpired", "Warning"],
        ]
    );
}

#[tokio::test]
async fn what_is_repeated_is_counted_and_what_differs_is_stored() {
    let by_bob = "bob@example.com overruled prod-auto-sync: INC-43";
    let events = [USED, by_bob, USED, USED].map(|note| event(Reason::BreakGlassAllowed, note));

    let (asked, metrics) = Test::with(&[]).asked(events).await;

    let told: Vec<_> = asked
        .iter()
        .map(|asked| {
            let count = asked.body["series"]["count"].as_u64();
            (&asked.method, asked.body["note"].as_str().unwrap(), count)
        })
        .collect();
    assert_eq!(
        told,
        [
            (&Method::POST, USED, None),
            (&Method::POST, by_bob, None),
            (&Method::PATCH, USED, Some(2)),
            (&Method::PATCH, USED, Some(3)),
        ]
    );
    assert_eq!(outcomes(&metrics)[0], ("published", 4));
}

#[tokio::test]
async fn a_note_is_made_fit_to_be_stored() {
    let note = format!("alice\r\nover\u{7}led: {}", "é".repeat(2_000));

    let (asked, _) = Test::with(&[])
        .asked([event(Reason::BreakGlassAllowed, &note)])
        .await;

    let note = asked[0].body["note"].as_str().unwrap();
    assert!(note.starts_with("alice  over led: é"), "{note}");
    assert!(!note.contains(char::is_control));
    assert!(note.len() <= 1_024);
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted() {
    let notes = (0..QUEUE + 3).map(|number| format!("{number}"));
    let events: Vec<_> = notes
        .map(|note| event(Reason::BreakGlassAllowed, &note))
        .collect();

    let (asked, metrics) = Test::with(&[]).asked(events).await;

    let first_and_last = [0, QUEUE - 1].map(|place| asked[place].body["note"].clone());
    assert_eq!(
        first_and_last,
        [json!("0"), Value::from((QUEUE - 1).to_string())]
    );
    assert_eq!(
        outcomes(&metrics),
        [
            ("published", u64::try_from(QUEUE).unwrap()),
            ("failed", 0),
            ("dropped", 3)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_counted_and_holds_up_nothing_else() {
    let events = ["refused", "hangs", "stored"].map(|note| event(Reason::BreakGlassAllowed, note));

    let test = Test::with(&[Mood::Refuses, Mood::Hangs]);
    let (asked, metrics) = test.asked(events).await;

    assert_eq!(asked[2].body["note"], "stored");
    assert_eq!(
        outcomes(&metrics),
        [("published", 1), ("failed", 2), ("dropped", 0)]
    );
}
