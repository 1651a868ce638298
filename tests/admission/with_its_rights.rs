//! What the webhook asks of the API server and tells it, with no more rights than the manifests
//! give it.

use std::future::pending;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gitops_webhook::authorisation::{Authoriser, User};
use gitops_webhook::events::{self, Event, Reason};
use gitops_webhook::lease;
use gitops_webhook::metrics::Metrics;
use harness::{ControlPlane, Overlay, eventually, install, succeed};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as StoredEvent;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// All of this takes milliseconds; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(20);

/// A control plane with the manifests, and no webhook: what it would do is done by the tests.
async fn control_plane() -> Result<&'static ControlPlane> {
    static CONTROL_PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    CONTROL_PLANE
        .get_or_try_init(async || {
            let control_plane = ControlPlane::start().await?;
            control_plane
                .service_account("argocd", "argocd-server")
                .await?;
            install(&control_plane, Overlay::ProdDevops).await?;
            anyhow::Ok(control_plane)
        })
        .await
}

/// The webhook's own client.
async fn webhooks_client() -> Result<Client> {
    let account = control_plane().await?;
    let account = account.service_account("gitops-webhook", "gitops-webhook");
    Ok(account.await?.client().await?)
}

#[tokio::test]
async fn who_is_bound_to_the_role_may_overrule_its_rules_and_no_others() -> Result<()> {
    let bind = [
        "create",
        "clusterrolebinding",
        "gitops-break-glass",
        "--clusterrole=gitops-break-glass",
        "--group=on-call",
    ];
    succeed(control_plane().await?.admin().kubectl(bind)).await?;
    let client = webhooks_client().await?;
    let user = |groups: &[&str]| User {
        username: "alice@example.com".to_owned(),
        groups: groups.iter().map(ToString::to_string).collect(),
        ..User::default()
    };

    eventually(WITHIN, "the binding counts", async || {
        let authoriser = Authoriser::new(client.clone());
        match authoriser
            .may_break_glass(&user(&["on-call"]), "prod-auto-sync")
            .await
        {
            Ok(true) => Ok(()),
            Ok(false) => Err("it does not yet".to_owned()),
            Err(error) => Err(gitops_webhook::chain(&error)),
        }
    })
    .await?;

    let authoriser = Authoriser::new(client);
    for (groups, rule, expected) in [
        (
            ["system:authenticated", "on-call"],
            "replicas-ignored",
            true,
        ),
        (["system:authenticated", "on-call"], "project-scope", false),
        (
            ["system:authenticated", "developers"],
            "replicas-ignored",
            false,
        ),
        (
            ["system:authenticated", "system:masters"],
            "project-scope",
            true,
        ),
    ] {
        let allowed = authoriser.may_break_glass(&user(&groups), rule).await?;
        assert_eq!(allowed, expected, "{groups:?} {rule}");
    }
    Ok(())
}

#[tokio::test]
async fn events_are_stored_and_repeated_ones_counted() -> Result<()> {
    let metrics = Metrics::new();
    let reporter = "gitops-webhook".into();
    let (events, publisher) = events::queue(webhooks_client().await?, reporter, &metrics.events);
    let event = |reason: Reason, note: &str| Event {
        reason,
        object: ObjectReference {
            api_version: Some("argoproj.io/v1alpha1".to_owned()),
            kind: Some("Application".to_owned()),
            namespace: Some("argocd".to_owned()),
            name: Some("told-about".to_owned()),
            uid: Some("3c5e4f0a-0000-4000-8000-000000000000".to_owned()),
            ..ObjectReference::default()
        },
        note: note.to_owned(),
    };

    events.publish(event(
        Reason::BreakGlassAllowed,
        "alice overruled prod-auto-sync",
    ));
    events.publish(event(
        Reason::BreakGlassAllowed,
        "alice overruled prod-auto-sync",
    ));
    events.publish(event(Reason::BreakGlassRefused, &"é".repeat(2_000)));
    events.publish(event(Reason::BreakGlassExpired, "time is over"));
    drop(events);
    publisher.run().await;

    let api =
        Api::<StoredEvent>::namespaced(control_plane().await?.admin().client().await?, "argocd");
    let about = ListParams::default().fields("regarding.name=told-about");
    let stored = api.list(&about).await?.items;
    let mut told: Vec<_> = stored
        .iter()
        .map(|event| {
            let count = event.series.as_ref().map_or(1, |series| series.count);
            (event.reason.as_deref(), event.type_.as_deref(), count)
        })
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            (Some("BreakGlassAllowed"), Some("Normal"), 2),
            (Some("BreakGlassExpired"), Some("Warning"), 1),
            (Some("BreakGlassRefused"), Some("Warning"), 1),
        ]
    );
    let metrics = metrics.encode()?;
    let counted = r#"gitops_webhook_events_total{outcome="published"} 4"#;
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    Ok(())
}

/// What replicas say.
type Told = mpsc::UnboundedSender<(&'static str, &'static str)>;

/// Says that a replica leads, and once it does no more.
struct Leading(&'static str, Told);

impl Leading {
    fn begin(name: &'static str, told: Told) -> Self {
        let leading = Self(name, told);
        leading.tell("leads");
        leading
    }

    fn tell(&self, what: &'static str) {
        // An error means that the test is over.
        let _ = self.1.send((self.0, what));
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.tell("leads no more");
    }
}

/// One replica, and what ends it.
struct Replica {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Replica {
    fn start(client: Client, name: &'static str, told: Told) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let work = || {
                let leading = Leading::begin(name, told.clone());
                async move {
                    let _leading = leading;
                    pending::<()>().await;
                }
            };
            let shutdown = async { drop(stopped.await) };
            lease::lead(client, "gitops-webhook", name.to_owned(), work, shutdown).await;
        });
        Self { task, stop }
    }

    async fn end(self) -> Result<()> {
        drop(self.stop);
        Ok(self.task.await?)
    }
}

#[tokio::test]
async fn of_two_replicas_one_leads_and_the_other_follows_it() -> Result<()> {
    let client = webhooks_client().await?;
    let admin = control_plane().await?.admin().client().await?;
    let leases = Api::<Lease>::namespaced(admin, "gitops-webhook");
    let holder = async || {
        let spec = leases.get(lease::NAME).await?.spec.unwrap_or_default();
        anyhow::Ok(spec.holder_identity)
    };
    let (sender, mut told) = mpsc::unbounded_channel();
    let mut next = async || {
        timeout(WITHIN, told.recv())
            .await?
            .context("no replica is left")
    };

    let replicas = ["one", "two"].map(|name| Replica::start(client.clone(), name, sender.clone()));
    let (leader, what) = next().await?;
    assert_eq!(what, "leads");
    assert_eq!(holder().await?.as_deref(), Some(leader));

    let [one, two] = replicas;
    let (first, second, follower) = match leader {
        "one" => (one, two, "two"),
        _ => (two, one, "one"),
    };
    first.end().await?;
    assert_eq!(next().await?, (leader, "leads no more"));
    assert_eq!(next().await?, (follower, "leads"));
    assert_eq!(holder().await?.as_deref(), Some(follower));

    second.end().await?;
    assert_eq!(holder().await?, None);
    Ok(())
}
