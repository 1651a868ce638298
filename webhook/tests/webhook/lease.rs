//! Several replicas and one Lease. Time is tokio's, and passes as fast as nobody has anything to
//! do.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use gitops_webhook::lease::{self, GRACE, PERIOD};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::api_server::{self, Asked, refusal};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/gitops-webhook/leases";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/gitops-webhook/leases/gitops-webhook";

/// As long as the Lease says.
const LASTS: Duration = Duration::from_secs(15);
/// For the requests, which take no time but the clock's resolution.
const MOMENT: Duration = Duration::from_millis(50);

/// What becomes of one replica's requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Network {
    Works,
    Fails,
    Hangs,
}

/// An API server with room for one Lease, and the replicas that lead by it.
#[derive(Clone)]
struct World {
    lease: Arc<Mutex<Stored>>,
    leaders: watch::Sender<Vec<&'static str>>,
}

#[derive(Default)]
struct Stored {
    lease: Option<Value>,
    version: u64,
    /// Puts itself in between, after the next time that the Lease is read.
    intruder: Option<&'static str>,
}

impl Stored {
    fn answer(&mut self, asked: Asked) -> (StatusCode, Value) {
        match (asked.method, asked.path.as_str(), &self.lease) {
            (Method::GET, LEASE, Some(lease)) => {
                let lease = lease.clone();
                if let Some(intruder) = self.intruder.take() {
                    self.take(intruder);
                }
                (StatusCode::OK, lease)
            }
            (Method::PUT, LEASE, Some(lease)) => {
                if asked.body["metadata"]["resourceVersion"] != lease["metadata"]["resourceVersion"]
                {
                    return refusal(StatusCode::CONFLICT, "Conflict");
                }
                (StatusCode::OK, self.store(asked.body))
            }
            (Method::GET | Method::PUT, LEASE, None) => refusal(StatusCode::NOT_FOUND, "NotFound"),
            (Method::POST, LEASES, Some(_)) => refusal(StatusCode::CONFLICT, "AlreadyExists"),
            (Method::POST, LEASES, None) => (StatusCode::CREATED, self.store(asked.body)),
            (method, path, _) => panic!("unexpected {method} {path}"),
        }
    }

    fn store(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.lease = Some(lease.clone());
        lease
    }

    /// Somebody who is not a replica of this test writes the Lease.
    fn take(&mut self, holder: &str) {
        let renewed = "2001-01-01T00:00:00.000000Z";
        self.store(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "gitops-webhook", "namespace": "gitops-webhook"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed},
        }));
    }
}

impl World {
    fn new() -> Self {
        World {
            lease: Arc::default(),
            leaders: watch::Sender::new(Vec::new()),
        }
    }

    /// Starts a replica.
    fn replica(&self, name: &'static str) -> Replica {
        let network = watch::Sender::new(Network::Works);
        let (stored, requests) = (Arc::clone(&self.lease), network.subscribe());
        let client = api_server::client(move |asked| {
            let (stored, network) = (Arc::clone(&stored), *requests.borrow());
            async move {
                match network {
                    Network::Works => stored.lock().unwrap().answer(asked),
                    Network::Fails => refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
                    Network::Hangs => pending().await,
                }
            }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let leaders = self.leaders.clone();
        let task = tokio::spawn(async move {
            let work = || {
                let leading = Leading::begin(&leaders, name);
                async move {
                    let _leading = leading;
                    pending::<()>().await;
                }
            };
            let shutdown = async { drop(stopped.await) };
            lease::lead(client, "gitops-webhook", name.to_owned(), work, shutdown).await;
        });
        Replica {
            task,
            stop: Some(stop),
            network,
        }
    }

    /// Starts a replica and returns when it leads.
    async fn leader(&self, name: &'static str) -> Replica {
        let replica = self.replica(name);
        self.led_by(&[name], MOMENT).await;
        replica
    }

    /// Returns once these lead; they must within this time. How long it took.
    async fn led_by(&self, names: &[&str], within: Duration) -> Duration {
        let began = Instant::now();
        let mut leaders = self.leaders.subscribe();
        let led = timeout(within, leaders.wait_for(|leaders| leaders == names)).await;
        assert!(
            led.is_ok(),
            "after {within:?} not {names:?} lead but {:?}",
            self.leaders.borrow()
        );
        began.elapsed()
    }

    /// Passes if nobody begins to lead or ceases to.
    async fn stays_so_for(&self, long: Duration) {
        let mut leaders = self.leaders.subscribe();
        let changed = timeout(long, leaders.changed()).await;
        assert!(changed.is_err(), "now {:?} lead", self.leaders.borrow());
    }

    fn spec(&self) -> Value {
        self.lease.lock().unwrap().lease.as_ref().unwrap()["spec"].clone()
    }

    fn holder(&self) -> Value {
        self.spec()["holderIdentity"].clone()
    }
}

/// One process. It is killed when this is dropped.
struct Replica {
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    network: watch::Sender<Network>,
}

impl Replica {
    /// Lets it end in its own time.
    async fn end(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap();
    }

    fn network(&self, network: Network) {
        self.network.send_replace(network);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// That a replica leads. Two at the same time stay on record, so that no test overlooks them.
struct Leading(watch::Sender<Vec<&'static str>>);

impl Leading {
    fn begin(leaders: &watch::Sender<Vec<&'static str>>, name: &'static str) -> Self {
        leaders.send_modify(|leaders| leaders.push(name));
        Leading(leaders.clone())
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.send_modify(|leaders| {
            if leaders.len() == 1 {
                leaders.clear();
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_replicas_one_leads_and_goes_on_to() {
    let world = World::new();
    let _first = world.leader("first").await;
    let _others = [world.replica("second"), world.replica("third")];

    world.stays_so_for(Duration::from_hours(1)).await;
}

#[tokio::test(start_paused = true)]
async fn of_replicas_that_begin_at_once_one_leads() {
    let world = World::new();
    let _replicas = ["first", "second", "third"].map(|name| world.replica(name));
    sleep(PERIOD).await;

    assert_eq!(world.leaders.borrow().len(), 1);
    world.stays_so_for(Duration::from_hours(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_says_who_leads_and_for_how_long() {
    let world = World::new();
    let _first = world.leader("first").await;

    let mut spec = world.spec();
    let times = ["acquireTime", "renewTime"].map(|field| spec[field].take());

    assert_eq!(times[0], times[1]);
    let time: jiff::Timestamp = times[0].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(time).as_secs() < 60);
    assert_json_snapshot!(spec, @r#"
    {
      "acquireTime": null,
      "holderIdentity": "first",
      "leaseDurationSeconds": 15,
      "leaseTransitions": 0,
      "renewTime": null
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn who_renews_the_lease_has_it_since_it_was_taken() {
    let world = World::new();
    let _first = world.leader("first").await;
    let before = world.spec();

    sleep(PERIOD + MOMENT).await;

    let after = world.spec();
    assert_eq!(after["acquireTime"], before["acquireTime"]);
    assert_ne!(after["renewTime"], before["renewTime"]);
    assert_eq!(after["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn who_ends_makes_room_for_the_next_at_once() {
    let world = World::new();
    let first = world.leader("first").await;
    let _second = world.replica("second");
    sleep(MOMENT).await;

    first.end().await;

    assert_eq!(world.holder(), Value::Null);
    world.led_by(&["second"], PERIOD).await;
    assert_eq!(world.holder(), "second");
    assert_eq!(world.spec()["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn who_ends_without_leading_leaves_the_lease_alone() {
    let world = World::new();
    let _first = world.leader("first").await;
    let second = world.replica("second");
    sleep(MOMENT).await;

    second.end().await;

    assert_eq!(world.holder(), "first");
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_is_followed_when_the_lease_has_lasted_out() {
    let world = World::new();
    let first = world.leader("first").await;
    let _second = world.replica("second");
    sleep(PERIOD + MOMENT).await;

    drop(first);

    world.led_by(&[], MOMENT).await;
    let took = world.led_by(&["second"], LASTS + PERIOD).await;
    assert!(took + MOMENT * 2 > LASTS, "after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_the_lease_ceases_to_lead_before_another_begins() {
    for network in [Network::Fails, Network::Hangs] {
        let world = World::new();
        let first = world.leader("first").await;
        let _second = world.replica("second");

        first.network(network);

        let ceased = world.led_by(&[], GRACE + MOMENT).await;
        assert!(ceased + MOMENT * 2 > GRACE, "after {ceased:?}");
        world.led_by(&["second"], LASTS + PERIOD).await;
        first.network(Network::Works);
        world.stays_so_for(Duration::from_mins(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_interruption_changes_nothing() {
    for network in [Network::Fails, Network::Hangs] {
        let world = World::new();
        let first = world.leader("first").await;
        let _second = world.replica("second");

        first.network(network);
        world.stays_so_for(Duration::from_secs(8)).await;
        first.network(Network::Works);

        world.stays_so_for(Duration::from_mins(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_ceased_to_lead_leads_again_if_nobody_else_does() {
    let world = World::new();
    let first = world.leader("first").await;

    first.network(Network::Fails);
    world.led_by(&[], GRACE + MOMENT).await;
    first.network(Network::Works);

    world.led_by(&["first"], PERIOD + MOMENT).await;
}

#[tokio::test(start_paused = true)]
async fn the_holders_clock_is_not_believed() {
    let world = World::new();
    // By its own account it was renewed last many years ago.
    world.lease.lock().unwrap().take("somebody");

    let _first = world.replica("first");

    let took = world.led_by(&["first"], LASTS + PERIOD).await;
    assert!(took >= LASTS, "after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_takes_the_lease_a_moment_too_late_does_not_lead() {
    let world = World::new();
    let first = world.leader("first").await;
    first.end().await;
    world.lease.lock().unwrap().intruder = Some("somebody");

    let _second = world.replica("second");

    world.stays_so_for(LASTS).await;
    assert_eq!(world.holder(), "somebody");
}

#[tokio::test(start_paused = true)]
async fn who_loses_the_lease_leads_no_longer_than_until_it_would_be_renewed() {
    let world = World::new();
    let _first = world.leader("first").await;

    world.lease.lock().unwrap().take("somebody");

    world.led_by(&[], PERIOD + MOMENT).await;
    assert_eq!(world.holder(), "somebody");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_is_created_again_by_its_holder() {
    let world = World::new();
    let _first = world.leader("first").await;

    world.lease.lock().unwrap().lease = None;

    world.stays_so_for(PERIOD + MOMENT).await;
    assert_eq!(world.holder(), "first");
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_is_not_done_again_by_who_still_leads() {
    let world = World::new();
    let (stored, done) = (Arc::clone(&world.lease), watch::Sender::new(0));
    let client = api_server::client(move |asked| {
        let answer = stored.lock().unwrap().answer(asked);
        async move { answer }
    });
    let work = || async { done.send_modify(|times| *times += 1) };

    let leading = lease::lead(
        client,
        "gitops-webhook",
        "first".to_owned(),
        work,
        pending(),
    );
    let ended = timeout(Duration::from_mins(10), leading).await;

    assert!(ended.is_err());
    assert_eq!(*done.borrow(), 1);
    assert_eq!(world.holder(), "first");
}
