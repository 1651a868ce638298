//! The caches follow the API server. It is a mock here, which answers lists and holds watches open.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, Uri};
use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use gitops_webhook::index::{self, PolicyOrigin};
use gitops_webhook::limits::Limits;
use gitops_webhook::state::{Caches, Webhook, WebhookParts};
use kube::Client;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{application, ask, automated_on_production, create, metric};

const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";
const SECRETS: &str = "/api/v1/namespaces/argocd/secrets";
const SETTINGS: &str = "/api/v1/namespaces/argocd/configmaps/argocd-cm";
const PARAMETERS: &str = "/api/v1/namespaces/argocd/configmaps/argocd-cmd-params-cm";
const APPLICATION_SETS: &str = "/apis/argoproj.io/v1alpha1/applicationsets";
const POLICY: &str = "/apis/kubectl-gitops.io/v1alpha1/gitopspolicies/default";
const APPLICATION_DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.argoproj.io";
const IMAGE_UPDATER_DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imageupdaters.argocd-image-updater.argoproj.io";
const AUTOMATED_ENABLED: &str = r#"gitops_webhook_argo_cd_features{feature="automated.enabled"}"#;
const IMAGE_UPDATER: &str = r#"gitops_webhook_argo_cd_features{feature="ImageUpdater"}"#;

type Events = UnboundedReceiver<Result<Bytes, Infallible>>;

/// What the API server has, by path, and the watches that are yet to be opened. What is asked for
/// by its name has the path of that object.
struct ApiServer {
    objects: BTreeMap<&'static str, Vec<Value>>,
    watches: Mutex<BTreeMap<&'static str, Events>>,
    refused: Option<&'static str>,
}

impl ApiServer {
    /// Argo CD with the project `team-shop` and the cluster `staging`; no GitOpsPolicy's kind.
    fn new() -> Self {
        let project = project("team-shop", "web-*");
        let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
        let cluster = json!({
            "metadata": {
                "name": "staging", "resourceVersion": "1",
                "labels": {"argocd.argoproj.io/secret-type": "cluster"},
            },
            "data": {"name": base64("staging"), "server": base64("https://staging"), "config": base64("{}")},
        });
        let objects = BTreeMap::from([
            (PROJECTS, vec![project]),
            (SECRETS, vec![cluster]),
            (SETTINGS, Vec::new()),
            (PARAMETERS, Vec::new()),
            (APPLICATION_SETS, Vec::new()),
            (APPLICATION_DEFINITION, Vec::new()),
            (IMAGE_UPDATER_DEFINITION, Vec::new()),
        ]);
        ApiServer {
            objects,
            watches: Mutex::default(),
            refused: None,
        }
    }

    fn without(mut self, path: &str) -> Self {
        self.objects.remove(path);
        self
    }

    /// Answers that the webhook lacks the right.
    fn with_refused(mut self, path: &'static str) -> Self {
        self.refused = Some(path);
        self
    }

    fn with(mut self, path: &'static str, objects: Vec<Value>) -> Self {
        self.objects.insert(path, objects);
        self
    }

    /// Lets events of one kind be sent.
    fn events(&self, path: &'static str) -> UnboundedSender<Result<Bytes, Infallible>> {
        let (sender, receiver) = unbounded();
        self.watches.lock().unwrap().insert(path, receiver);
        sender
    }

    fn answer(&self, request: &Request<kube::client::Body>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let path = path(request.uri());
        let path = path.as_str();
        if self.refused == Some(path) {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
                "reason": "Forbidden", "message": format!("{path} is forbidden"),
            });
            return respond(StatusCode::FORBIDDEN, Body::from(status.to_string()));
        }
        let Some(objects) = self.objects.get(path) else {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                "reason": "NotFound", "message": "the server could not find the requested resource",
            });
            return respond(StatusCode::NOT_FOUND, Body::from(status.to_string()));
        };
        // The two kinds of Secrets are told apart by their label.
        let repositories = query.contains("repository");
        if query.contains("watch=true") {
            let mut watches = self.watches.lock().unwrap();
            let events = (!repositories).then(|| watches.remove(path)).flatten();
            let events = events.map_or_else(
                || futures::stream::pending().boxed(),
                |events| events.boxed(),
            );
            return respond(StatusCode::OK, Body::from_stream(events));
        }
        let items = if repositories { &[][..] } else { objects };
        let list = json!({
            "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items,
        });
        respond(StatusCode::OK, Body::from(list.to_string()))
    }
}

fn path(uri: &Uri) -> String {
    let path = uri.path();
    let query = uri.query().unwrap_or_default().split('&');
    let mut names = query.filter_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
    names
        .next()
        .map_or_else(|| path.to_owned(), |name| format!("{path}/{name}"))
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let response = Response::builder().status(status);
    response
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

fn project(name: &str, namespaces: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": name, "namespace": "argocd", "resourceVersion": "1"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"name": "*", "namespace": namespaces}],
        },
    })
}

/// The definition of Application, with what `spec.syncPolicy.automated` has.
fn application_definition(automated: &Value) -> Value {
    let spec = json!({"properties": {"syncPolicy": {"properties": {"automated": automated}}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "applications.argoproj.io", "resourceVersion": "1"},
        "spec": {"versions": [{
            "name": "v1alpha1",
            "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}},
        }]},
    })
}

fn image_updater_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "imageupdaters.argocd-image-updater.argoproj.io", "resourceVersion": "1"},
        "spec": {},
    })
}

/// An Application on production that says `enabled: false`, and with which nothing else is wrong.
fn switched_off_on_production() -> Value {
    let mut application = application();
    application["spec"]["destination"]["namespace"] = "web-prod".into();
    application["spec"]["ignoreDifferences"] =
        json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]);
    application["spec"]["syncPolicy"] = json!({
        "automated": {"enabled": false},
        "syncOptions": ["RespectIgnoreDifferences=true"],
    });
    application
}

/// An event of a watch, with its fields in the API server's order.
fn event(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

/// The watches of a webhook.
struct Watching {
    webhook: Arc<Webhook>,
    task: JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn watch(server: ApiServer) -> Watching {
    let server = Arc::new(server);
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let response = server.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let client = Client::new(service, "gitops");
    let caches = Caches::Syncing(vec!["the first lists"]);
    let webhook = Arc::new(Webhook::new(WebhookParts::alone(caches, Limits::default())));
    let index = index::run(
        client,
        "argocd".to_owned(),
        PolicyOrigin::Cluster,
        Arc::clone(&webhook),
    );
    Watching {
        webhook,
        task: tokio::spawn(index),
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn synced(webhook: &Webhook) {
    until("the caches are synced", async || {
        matches!(&**webhook.caches.load(), Caches::Synced(_))
    })
    .await;
}

async fn allows(webhook: &Arc<Webhook>, object: &Value) -> bool {
    let response = ask(webhook, create("Application", object)).await.response();
    response["allowed"].as_bool().unwrap()
}

#[tokio::test]
async fn it_judges_by_what_the_api_server_has() {
    let watching = watch(ApiServer::new());
    synced(&watching.webhook).await;
    assert!(allows(&watching.webhook, &application()).await);
    assert!(!allows(&watching.webhook, &automated_on_production()).await);
    assert_eq!(
        metric(
            &watching.webhook,
            r#"gitops_webhook_inventory_objects{kind="AppProject"}"#
        ),
        1
    );
    assert_eq!(
        metric(
            &watching.webhook,
            r#"gitops_webhook_policy_source{source="kind-missing"}"#
        ),
        1
    );
}

#[tokio::test]
async fn it_is_not_ready_while_a_list_is_missing() {
    let watching = watch(ApiServer::new().without(PROJECTS));
    until("only the projects are missing", async || {
        watching
            .webhook
            .obstacles()
            .contains(&"waiting for AppProject".to_owned())
    })
    .await;
    let answer = ask(&watching.webhook, create("Application", &application())).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn changes_count_from_then_on() {
    let server = ApiServer::new();
    let projects = server.events(PROJECTS);
    let watching = watch(server);
    synced(&watching.webhook).await;
    let narrowed = event("MODIFIED", &project("team-shop", "elsewhere"));
    projects.unbounded_send(Ok(narrowed.into())).unwrap();
    until("the narrowed project counts", async || {
        !allows(&watching.webhook, &application()).await
    })
    .await;
    let widened = event("MODIFIED", &project("team-shop", "*"));
    projects.unbounded_send(Ok(widened.into())).unwrap();
    until("the widened project counts", async || {
        allows(&watching.webhook, &application()).await
    })
    .await;
    let deleted = event("DELETED", &project("team-shop", "*"));
    projects.unbounded_send(Ok(deleted.into())).unwrap();
    until("the deleted project is gone", async || {
        !allows(&watching.webhook, &application()).await
    })
    .await;
}

#[tokio::test]
async fn a_burst_of_changes_does_not_make_an_inventory_for_each() {
    let server = ApiServer::new();
    let projects = server.events(PROJECTS);
    let watching = watch(server);
    synced(&watching.webhook).await;
    let burst: String = (0..5_000)
        .map(|i| event("ADDED", &project(&format!("p-{}", i % 100), "*")))
        .chain([event("ADDED", &project("last", "*"))])
        .collect();
    projects.unbounded_send(Ok(burst.into())).unwrap();
    until("the last project is known", async || {
        metric(
            &watching.webhook,
            r#"gitops_webhook_inventory_objects{kind="AppProject"}"#,
        ) == 102
    })
    .await;
    let builds = metric(&watching.webhook, "gitops_webhook_inventory_builds_total");
    assert!(builds < 500, "{builds} inventories");
}

const BUILDS: &str = "gitops_webhook_inventory_builds_total";

fn application_set() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
        "metadata": {"name": "shops", "namespace": "argocd", "uid": "a1", "resourceVersion": "1"},
        "spec": {
            "generators": [{"clusters": {}}],
            "template": {"metadata": {"name": "shop-{{name}}"}, "spec": application()["spec"]},
        },
    })
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "argocd", "resourceVersion": "1"}, "data": data})
}

/// An object with a change, written as the API server would after it.
fn changed(object: &Value, change: &Value) -> String {
    let mut object = object.clone();
    merge(&mut object, change);
    object["metadata"]["resourceVersion"] = "2".into();
    event("MODIFIED", &object)
}

fn merge(object: &mut Value, change: &Value) {
    match (object, change) {
        (Value::Object(object), Value::Object(change)) => {
            for (key, change) in change {
                merge(object.entry(key).or_insert(Value::Null), change);
            }
        }
        (object, change) => *object = change.clone(),
    }
}

/// Changes of what there is at a path, and whether they matter.
fn changes() -> Vec<(&'static str, Value, bool)> {
    let annotated = |key: &str| json!({"metadata": {"annotations": {key: "x"}}});
    let written = || json!({"metadata": {"managedFields": [{"manager": "x"}], "generation": 2}});
    let labelled = || json!({"metadata": {"labels": {"a": "b"}}});
    let data = |key: &str, value: &str| json!({"data": {key: value}});
    let refresh = "argocd.argoproj.io/application-set-refresh";
    let ignored = "resource.customizations.ignoreDifferences.all";
    vec![
        (
            APPLICATION_SETS,
            json!({"status": {"conditions": [{"type": "x"}]}}),
            false,
        ),
        (APPLICATION_SETS, written(), false),
        (APPLICATION_SETS, annotated(refresh), false),
        (
            APPLICATION_SETS,
            annotated("kubectl-gitops.io/break-glass"),
            true,
        ),
        (APPLICATION_SETS, json!({"spec": {"generators": []}}), true),
        (
            PROJECTS,
            json!({"status": {"jwtTokensByRole": {"ci": {"items": []}}}}),
            false,
        ),
        (PROJECTS, written(), false),
        (PROJECTS, annotated("note"), false),
        (PROJECTS, labelled(), true),
        (
            PROJECTS,
            json!({"spec": {"sourceRepos": ["https://a"]}}),
            true,
        ),
        (SECRETS, written(), false),
        (SECRETS, labelled(), true),
        (SETTINGS, data("url", "https://b"), false),
        (SETTINGS, data("users.anonymous.enabled", "true"), false),
        (SETTINGS, data("globalProjects", "- projectName: x"), true),
        (SETTINGS, data("cluster.inClusterEnabled", "false"), true),
        (SETTINGS, data(ignored, "jsonPointers: [/a]"), true),
        (PARAMETERS, data("server.insecure", "false"), false),
        (PARAMETERS, data("application.namespaces", "shop"), true),
        (
            PARAMETERS,
            data("applicationsetcontroller.namespaces", "shop"),
            true,
        ),
    ]
}

/// Each write of an ApplicationSet's status had made a whole new inventory. Time is tokio's: it
/// goes on when all that there is to do is done.
#[tokio::test(start_paused = true)]
async fn what_changes_nothing_that_is_read_makes_no_inventory_and_all_else_does() {
    for (path, change, is_read) in changes() {
        let settings = config_map("argocd-cm", &json!({"url": "https://a"}));
        let parameters = config_map("argocd-cmd-params-cm", &json!({"server.insecure": "true"}));
        let server = ApiServer::new()
            .with(APPLICATION_SETS, vec![application_set()])
            .with(SETTINGS, vec![settings])
            .with(PARAMETERS, vec![parameters]);
        let object = server.objects[path][0].clone();
        let events = server.events(path);
        let watching = watch(server);
        synced(&watching.webhook).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = metric(&watching.webhook, BUILDS);
        let changed = changed(&object, &change);
        events.unbounded_send(Ok(changed.into())).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let built = metric(&watching.webhook, BUILDS) - before;
        assert_eq!(built, u64::from(is_read), "{path} {change}");
    }
}

#[tokio::test]
async fn the_parameters_of_argo_cd_say_where_it_has_applications_and_are_followed() {
    let parameters = |namespaces: &str| {
        config_map(
            "argocd-cmd-params-cm",
            &json!({"application.namespaces": namespaces}),
        )
    };
    let server = ApiServer::new().with(PARAMETERS, vec![parameters("shop, team-*")]);
    let events = server.events(PARAMETERS);
    let watching = watch(server);
    synced(&watching.webhook).await;
    let denies = async |namespace: &str| {
        let body = create("Application", &automated_on_production());
        let body = body.replace(
            r#""namespace":"argocd","operation""#,
            &format!(r#""namespace":"{namespace}","operation""#),
        );
        let response = ask(&watching.webhook, body).await.response();
        response["allowed"] == false
    };
    assert!(denies("argocd").await);
    assert!(denies("shop").await);
    assert!(denies("team-a").await);
    assert!(!denies("elsewhere").await);

    let narrowed = event("MODIFIED", &parameters("/^elsewhere$/"));
    events.unbounded_send(Ok(narrowed.into())).unwrap();
    until("another namespace is Argo CD's", async || {
        denies("elsewhere").await
    })
    .await;
    assert!(!denies("shop").await);

    let deleted = event("DELETED", &parameters(""));
    events.unbounded_send(Ok(deleted.into())).unwrap();
    until("only its own is", async || !denies("elsewhere").await).await;
    assert!(denies("argocd").await);
}

/// A set in a namespace where our Argo CD does not look generates nothing for it.
#[tokio::test]
async fn application_sets_of_another_argo_cd_are_not_expanded() {
    for (namespaces, expected) in [("", 0), ("shop", 1)] {
        let mut set = application_set();
        set["metadata"]["namespace"] = "shop".into();
        let parameters = json!({"applicationsetcontroller.namespaces": namespaces});
        let server = ApiServer::new().with(APPLICATION_SETS, vec![set]).with(
            PARAMETERS,
            vec![config_map("argocd-cmd-params-cm", &parameters)],
        );
        let watching = watch(server);
        synced(&watching.webhook).await;
        let caches = watching.webhook.caches.load();
        let Caches::Synced(inventory) = &**caches else {
            panic!("it is synced");
        };
        assert_eq!(inventory.application_sets.len(), expected, "{namespaces:?}");
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_read_hides_no_other() {
    let mut odd = project("odd", "*");
    odd["spec"]["sourceRepos"] = json!(5);
    let server = ApiServer::new().with(PROJECTS, vec![odd, project("team-shop", "web-*")]);
    let watching = watch(server);
    synced(&watching.webhook).await;
    assert!(allows(&watching.webhook, &application()).await);
    assert_eq!(
        metric(
            &watching.webhook,
            r#"gitops_webhook_inventory_objects{kind="unreadable"}"#
        ),
        1
    );
}

#[tokio::test]
async fn the_policy_in_the_cluster_counts() {
    let policy = |action: &str| {
        json!({
            "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
            "metadata": {"name": "default", "resourceVersion": "1"},
            "spec": {"rules": {
                "prod-auto-sync": {"action": action},
                "replicas-ignored": {"action": "Off"},
                "project-scope": {"action": "Off"},
            }},
        })
    };
    let server = ApiServer::new().with(POLICY, vec![policy("Warn")]);
    let policies = server.events(POLICY);
    let watching = watch(server);
    synced(&watching.webhook).await;
    assert!(allows(&watching.webhook, &automated_on_production()).await);
    let invalid = event("MODIFIED", &policy("Perhaps"));
    policies.unbounded_send(Ok(invalid.into())).unwrap();
    until("the invalid policy is noticed", async || {
        metric(
            &watching.webhook,
            r#"gitops_webhook_policy_source{source="invalid"}"#,
        ) == 1
    })
    .await;
    assert!(
        allows(&watching.webhook, &automated_on_production()).await,
        "the last good policy counts"
    );
    let deleted = event("DELETED", &policy("Perhaps"));
    policies.unbounded_send(Ok(deleted.into())).unwrap();
    until("the defaults count", async || {
        !allows(&watching.webhook, &automated_on_production()).await
    })
    .await;
}

#[tokio::test]
async fn a_watch_that_fails_and_one_that_works_are_told_apart() {
    let watching = watch(ApiServer::new().with_refused(PROJECTS));
    let of = |name: &str, kind: &str| {
        let name = format!(r#"gitops_webhook_watch_{name}{{kind="{kind}"}}"#);
        metric(&watching.webhook, &name)
    };
    until("the failure is counted and the others work", async || {
        of("failures_total", "AppProject") > 0
            && of("last_event_timestamp_seconds", "cluster Secret") > 0
    })
    .await;
    assert_eq!(of("failures_total", "cluster Secret"), 0);
    assert_eq!(of("last_event_timestamp_seconds", "AppProject"), 0);
}

#[tokio::test]
async fn that_automated_sync_can_be_switched_off_counts_once_argo_cd_has_been_upgraded() {
    let old = application_definition(&json!({"properties": {"prune": {"type": "boolean"}}}));
    let server = ApiServer::new().with(APPLICATION_DEFINITION, vec![old]);
    let definitions = server.events(APPLICATION_DEFINITION);
    let watching = watch(server);
    synced(&watching.webhook).await;
    assert!(!allows(&watching.webhook, &switched_off_on_production()).await);
    assert_eq!(metric(&watching.webhook, AUTOMATED_ENABLED), 0);
    let new = application_definition(&json!({"properties": {"enabled": {"type": "boolean"}}}));
    let upgraded = event("MODIFIED", &new);
    definitions.unbounded_send(Ok(upgraded.into())).unwrap();
    until("`enabled: false` counts", async || {
        allows(&watching.webhook, &switched_off_on_production()).await
    })
    .await;
    assert_eq!(metric(&watching.webhook, AUTOMATED_ENABLED), 1);
}

#[tokio::test]
async fn projects_are_read_as_the_installed_argo_cd_does() {
    let enabled = json!({"properties": {"enabled": {"type": "boolean"}}});
    let old = application_definition(&enabled);
    let mut shop = project("team-shop", "web-*");
    let everywhere =
        json!([{"server": "*", "namespace": "*"}, {"name": "!staging", "namespace": "kube-*"}]);
    shop["spec"]["destinations"] = everywhere;
    let server = ApiServer::new()
        .with(APPLICATION_DEFINITION, vec![old])
        .with(PROJECTS, vec![shop]);
    let definitions = server.events(APPLICATION_DEFINITION);
    let watching = watch(server);
    synced(&watching.webhook).await;
    assert!(!allows(&watching.webhook, &application()).await);
    let mut new = application_definition(&enabled);
    let spec = &mut new["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["source"]["properties"]["directory"]["properties"]["disableExtensionFilter"] =
        json!({"type": "boolean"});
    let upgraded = event("MODIFIED", &new);
    definitions.unbounded_send(Ok(upgraded.into())).unwrap();
    until("the exclusion holds in its namespaces only", async || {
        allows(&watching.webhook, &application()).await
    })
    .await;
}

#[tokio::test]
async fn the_image_updaters_own_kind_is_noticed_as_it_comes_and_goes() {
    let server = ApiServer::new();
    let definitions = server.events(IMAGE_UPDATER_DEFINITION);
    let watching = watch(server);
    synced(&watching.webhook).await;
    assert_eq!(metric(&watching.webhook, IMAGE_UPDATER), 0);
    for (what, there) in [("ADDED", 1), ("DELETED", 0)] {
        let changed = event(what, &image_updater_definition());
        definitions.unbounded_send(Ok(changed.into())).unwrap();
        until(what, async || {
            metric(&watching.webhook, IMAGE_UPDATER) == there
        })
        .await;
    }
}

/// As with the RBAC of an older version of the webhook.
#[tokio::test]
async fn it_judges_without_the_right_to_know_of_the_image_updaters_own_kind() {
    let server = ApiServer::new()
        .with(IMAGE_UPDATER_DEFINITION, vec![image_updater_definition()])
        .with_refused(IMAGE_UPDATER_DEFINITION);
    let watching = watch(server);
    synced(&watching.webhook).await;
    assert!(allows(&watching.webhook, &application()).await);
    assert_eq!(metric(&watching.webhook, AUTOMATED_ENABLED), 1);
    assert_eq!(metric(&watching.webhook, IMAGE_UPDATER), 0);
    until("the refusal is counted", async || {
        let kind = "CustomResourceDefinition of ImageUpdater";
        let failures = format!(r#"gitops_webhook_watch_failures_total{{kind="{kind}"}}"#);
        metric(&watching.webhook, &failures) > 0
    })
    .await;
}

/// It was believed that a policy without production needs no telling.
#[tokio::test]
async fn a_policy_without_production_is_told_in_metric_and_warning() {
    let policy = |production: bool| {
        json!({
            "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
            "metadata": {"name": "default", "resourceVersion": "1"},
            "spec": {"environments": [{
                "name": "live", "production": production, "match": {"projects": ["nobodys"]},
            }]},
        })
    };
    let server = ApiServer::new().with(POLICY, vec![policy(false)]);
    let policies = server.events(POLICY);
    let watching = watch(server);
    synced(&watching.webhook).await;
    let lacks = || metric(&watching.webhook, "gitops_webhook_policy_lacks_production");
    assert_eq!(lacks(), 1);
    let response = ask(&watching.webhook, create("Application", &application()))
        .await
        .response();
    let warnings = response["warnings"].to_string();
    assert!(
        warnings.contains("none of the environments has `production: true`"),
        "{warnings}"
    );
    let mended = event("MODIFIED", &policy(true));
    policies.unbounded_send(Ok(mended.into())).unwrap();
    until("the policy is mended", async || lacks() == 0).await;
}
