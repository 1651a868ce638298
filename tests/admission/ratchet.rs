//! What violated a rule before the webhook came stays as it is: whatever else is changed of it
//! passes, and nothing gets worse. And of a dry run only Argo CD's own controllers are spared the
//! refusal.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use harness::objects::{Base, Session, Writer};
use harness::{Installation, KubectlOutput, Overlay, User, eventually, succeed};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// What there is before the webhook: each of these for each of [`USES`].
const OLD: &str = r#"
application: &application
  apiVersion: argoproj.io/v1alpha1
  kind: Application
  spec: &spec
    project: default
    source: { repoURL: https://git.example.com/shop/orders.git, path: deploy }
    destination: { name: prod, namespace: shop }
    syncPolicy: { automated: { selfHeal: true } }
applicationset:
  apiVersion: argoproj.io/v1alpha1
  kind: ApplicationSet
  spec:
    generators: [{ list: { elements: [{ name: old }] } }]
    template: { metadata: { name: "{{name}}" }, spec: *spec }
appproject:
  apiVersion: argoproj.io/v1alpha1
  kind: AppProject
  spec: { sourceRepos: ["*"], destinations: [{ name: prod, namespace: shop }] }
secret:
  apiVersion: v1
  kind: Secret
  metadata: { labels: { argocd.argoproj.io/secret-type: cluster } }
  stringData: { name: old, server: https://old.k8s.example.com, config: '{"bearerToken": "example"}' }
"#;
/// What a test does to its own, as they are named. All have a finalizer.
const USES: [&str; 5] = ["changed", "labelled", "kept", "deleted", "put-right"];

fn living() -> Result<String> {
    let old: BTreeMap<String, Value> = serde_saphyr::from_str(OLD)?;
    let uses = old.values().flat_map(|object| {
        USES.map(|name| {
            let metadata =
                json!({"name": name, "namespace": "argocd", "finalizers": ["example.com/last"]});
            let mut object = object.clone();
            json_patch::merge(&mut object, &json!({"metadata": metadata}));
            object
        })
    });
    let items: Vec<Value> = uses.collect();
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())
}

/// Each violation of the Application, up to what follows "as before".
const APPLICATION: [&str; 4] = [
    "default-project: spec.project: as before: ",
    "prod-auto-sync: spec.syncPolicy.automated: as before: ",
    "replicas-ignored: spec.ignoreDifferences: as before: ",
    "unpinned-revision: spec.source.targetRevision: as before: ",
];
const SET: [&str; 4] = [
    "default-project: spec.template.spec.project: 1 of 1 generated Applications, old on prod: as before: ",
    "prod-auto-sync: spec.template.spec.syncPolicy.automated: 1 of 1 generated Applications, old on prod: as before: ",
    "replicas-ignored: spec.template.spec.ignoreDifferences: 1 of 1 generated Applications, old on prod: as before: ",
    "unpinned-revision: spec.template.spec.source.targetRevision: 1 of 1 generated Applications, old on prod: as before: ",
];
const CHANGES_ONE: &str = "blast-radius: spec.generators: changes 1 Application (prod 1)";
const PROJECT: [&str; 1] = ["project-too-wide: spec.sourceRepos[0]: as before: "];
const CLUSTER: [&str; 1] = ["cluster-credentials: data.config: as before: "];

async fn installation() -> Result<&'static Installation> {
    static INSTALLATION: OnceCell<Installation> = OnceCell::const_new();
    INSTALLATION
        .get_or_try_init(async || Installation::start(Overlay::ProdDevops, &living()?).await)
        .await
}

/// `kubectl` as a person with a Role.
async fn kubectl(arguments: &[&str]) -> Result<KubectlOutput> {
    let developer = Writer::Developer.log_in(installation().await?).await?;
    let kubectl = developer.kubectl(["--namespace", "argocd"]);
    Ok(kubectl.arguments(arguments).run().await?)
}

async fn patch(object: &str, change: &Value) -> Result<KubectlOutput> {
    let change = change.to_string();
    kubectl(&["patch", object, "--type=merge", "--patch", &change]).await
}

/// It passes, and kubectl prints these warnings and nothing else that could be one. Given are their
/// starts.
fn passes(what: &str, output: &KubectlOutput, warnings: &[&str]) {
    assert!(output.status.success(), "{what}: {output:?}");
    let lines = output.stderr.lines();
    let printed = lines.map(|line| line.strip_prefix("Warning: ").unwrap_or(line));
    are_as_expected(what, &printed.collect::<Vec<_>>(), warnings);
}

/// The webhook refuses it for these reasons and no others. Given are their starts.
fn refused(what: &str, output: &KubectlOutput, denials: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
    let error = output.stderr.lines().next_back().unwrap_or_default();
    let message = error.split_once("\" denied the request: ");
    let (_, message) = message.unwrap_or_else(|| panic!("{what}: {}", output.stderr));
    are_as_expected(what, &message.split(" | ").collect::<Vec<_>>(), denials);
}

fn are_as_expected(what: &str, lines: &[&str], starts: &[&str]) {
    let each = lines
        .iter()
        .zip(starts)
        .all(|(line, start)| line.starts_with(start));
    assert!(
        each && lines.len() == starts.len(),
        "{what}: {lines:#?} instead of {starts:#?}"
    );
}

#[tokio::test]
async fn a_change_of_anything_else_passes_and_kubectl_prints_what_stays_wrong() -> Result<()> {
    let config = |config: &Value| json!({"stringData": {"config": config.to_string()}});
    for (object, change, warnings) in [
        (
            "application/changed",
            json!({"spec": {"source": {"path": "elsewhere"}}}),
            &APPLICATION[..],
        ),
        (
            "application/changed",
            json!({"spec": {"syncPolicy": {"syncOptions": ["CreateNamespace=true"]}}}),
            &APPLICATION,
        ),
        (
            "applicationset/changed",
            json!({"spec": {"template": {"spec": {"source": {"path": "elsewhere"}}}}}),
            &[&SET[..], &[CHANGES_ONE]].concat(),
        ),
        (
            "appproject/changed",
            json!({"spec": {"destinations": [{"name": "prod", "namespace": "orders"}]}}),
            &PROJECT,
        ),
        (
            "secret/changed",
            json!({"stringData": {"name": "older"}}),
            &CLUSTER,
        ),
        // A token in the place of a token.
        (
            "secret/changed",
            config(&json!({"bearerToken": "another"})),
            &CLUSTER,
        ),
    ] {
        let what = format!("{object}: {change}");
        passes(&what, &patch(object, &change).await?, warnings);
    }
    Ok(())
}

/// What is wrong is named again where a label may decide in which environment the object is.
#[tokio::test]
async fn labels_and_annotations_pass() -> Result<()> {
    for (object, warnings) in [
        ("application/labelled", &APPLICATION[..]),
        ("applicationset/labelled", &[]),
        ("appproject/labelled", &PROJECT),
        ("secret/labelled", &[]),
    ] {
        let labelled = kubectl(&["label", object, "team=shop"]).await?;
        passes(object, &labelled, warnings);
        let annotated = kubectl(&["annotate", object, "example.com/ticket=42"]).await?;
        passes(object, &annotated, &[]);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_worse_than_before_is_refused_and_so_is_what_is_added() -> Result<()> {
    let automated = json!({"automated": {"prune": true}});
    let elements = ["old", "new"].map(|name| json!({"name": name}));
    let insecure = json!({"bearerToken": "example", "tlsClientConfig": {"insecure": true}});
    for (object, change, denials) in [
        (
            "application/kept",
            json!({"spec": {"syncPolicy": automated}}),
            &["prod-auto-sync: spec.syncPolicy.automated: auto-syncs production"][..],
        ),
        (
            "application/kept",
            json!({"spec": {"source": {"targetRevision": "1.*"}}}),
            &["unpinned-revision: spec.source.targetRevision: follows 1.*"],
        ),
        (
            "application/kept",
            json!({"spec": {"destination": {"namespace": "kube-system"}}}),
            &["project-scope: spec.destination: AppProject default does not permit"],
        ),
        (
            "applicationset/kept",
            json!({"spec": {"template": {"spec": {"syncPolicy": automated}}}}),
            &["prod-auto-sync: spec.template.spec.syncPolicy.automated: "],
        ),
        // One more of the kind.
        (
            "applicationset/kept",
            json!({"spec": {"generators": [{"list": {"elements": elements}}]}}),
            &[
                "default-project: spec.template.spec.project: ",
                "prod-auto-sync: spec.template.spec.syncPolicy.automated: ",
                "replicas-ignored: spec.template.spec.ignoreDifferences: ",
                "unpinned-revision: spec.template.spec.source.targetRevision: ",
            ],
        ),
        (
            "appproject/kept",
            json!({"spec": {"destinations": [{"server": "*", "namespace": "*"}]}}),
            &[
                "project-too-wide: spec.sourceRepos[0]: * permits any repository",
                "project-too-wide: spec.destinations[0]: permits any cluster",
            ],
        ),
        (
            "appproject/kept",
            json!({"spec": {"sourceRepos": ["*", "https://**"]}}),
            &["project-too-wide: spec.sourceRepos[1]: https://** permits any repository"],
        ),
        (
            "secret/kept",
            json!({"stringData": {"config": insecure.to_string()}}),
            &["cluster-credentials: data.config: does not verify the server's certificate"],
        ),
    ] {
        let what = format!("{object}: {change}");
        refused(&what, &patch(object, &change).await?, denials);
    }
    Ok(())
}

#[tokio::test]
async fn a_new_one_like_an_old_one_is_refused() -> Result<()> {
    let developer = Writer::Developer.log_in(installation().await?).await?;
    for (object, old) in [
        ("application/kept", &APPLICATION[..]),
        ("applicationset/kept", &SET),
        ("appproject/kept", &PROJECT),
        ("secret/kept", &CLUSTER),
    ] {
        let get = ["get", object, "--namespace=argocd", "--output=json"];
        let mut copy: Value = serde_json::from_str(&developer.kubectl(get).run().await?.stdout)?;
        copy["metadata"] = json!({
            "name": "copied",
            "namespace": "argocd",
            "labels": copy["metadata"]["labels"],
        });

        let create = developer.kubectl(["create", "--filename=-"]);
        let created = create.input(copy.to_string()).run().await?;

        let denials = old.iter().map(|line| line.replace("as before: ", ""));
        let denials: Vec<String> = denials.collect();
        let denials: Vec<&str> = denials.iter().map(String::as_str).collect();
        refused(object, &created, &denials);
    }
    Ok(())
}

#[tokio::test]
async fn old_ones_can_be_deleted_and_their_finalizers_taken_off() -> Result<()> {
    for object in [
        "application/deleted",
        "applicationset/deleted",
        "appproject/deleted",
        "secret/deleted",
    ] {
        // Its Applications stay: what a deletion takes along is another rule's concern.
        let delete = ["delete", object, "--cascade=orphan", "--wait=false"];
        passes(object, &kubectl(&delete).await?, &[]);
        let labelled = kubectl(&["label", object, "team=shop"]).await?;
        assert!(labelled.status.success(), "{labelled:?}");
        let finalizers = json!({"metadata": {"finalizers": null}});
        passes(object, &patch(object, &finalizers).await?, &[]);

        let get = ["get", object, "--ignore-not-found", "--output=name"];
        assert_eq!(kubectl(&get).await?.stdout, "");
    }
    Ok(())
}

/// Each a step on the way to an object with which nothing is wrong.
#[tokio::test]
async fn what_was_put_right_stays_right() -> Result<()> {
    let ignored =
        json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]);
    let aws = json!({"awsAuthConfig": {"clusterName": "old"}}).to_string();
    let token = json!({"bearerToken": "example"}).to_string();
    let [project, _, replicas, revision] = APPLICATION;
    let of_set = [SET[0], SET[2], SET[3], CHANGES_ONE];
    for (object, change, warnings, back, denials) in [
        (
            "application/put-right",
            json!({"spec": {"syncPolicy": {"automated": null}}}),
            &[project, replicas, revision][..],
            json!({"spec": {"syncPolicy": {"automated": {"selfHeal": true}}}}),
            "prod-auto-sync: spec.syncPolicy.automated: auto-syncs production",
        ),
        (
            "application/put-right",
            json!({"spec": {"project": "shop-prod", "source": {"targetRevision": "v1.0.0"}}}),
            &[replicas],
            json!({"spec": {"source": {"targetRevision": null}}}),
            "unpinned-revision: spec.source.targetRevision: follows whatever is newest",
        ),
        (
            "application/put-right",
            json!({"spec": {
                "ignoreDifferences": ignored,
                "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
            }}),
            &[],
            json!({"spec": {"project": "default"}}),
            "default-project: spec.project: ",
        ),
        (
            "applicationset/put-right",
            json!({"spec": {"template": {"spec": {"syncPolicy": null}}}}),
            &of_set,
            json!({"spec": {"template": {"spec": {"syncPolicy": {"automated": {"selfHeal": true}}}}}}),
            "prod-auto-sync: spec.template.spec.syncPolicy.automated: 1 of 1 generated",
        ),
        (
            "appproject/put-right",
            json!({"spec": {"sourceRepos": ["https://git.example.com/shop/*"]}}),
            &[],
            json!({"spec": {"sourceRepos": ["*"]}}),
            "project-too-wide: spec.sourceRepos[0]: * permits any repository",
        ),
        (
            "secret/put-right",
            json!({"stringData": {"config": aws}}),
            &[],
            json!({"stringData": {"config": token}}),
            "cluster-credentials: data.config: holds a bearer token",
        ),
    ] {
        let what = format!("{object}: {change}");
        passes(&what, &patch(object, &change).await?, warnings);
        refused(&what, &patch(object, &back).await?, &[denials]);
    }
    Ok(())
}

/// A change of the policy holds within milliseconds; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(20);
const AUTOMATED: &str = "spec: { syncPolicy: { automated: {} } }";
const DENIAL: &str = "Error from server (Forbidden): error when creating \"STDIN\": \
    admission webhook \"applications.kubectl-gitops.io\" denied the request: \
    prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster prod): \
    an empty `automated` is on, not off; remove `automated` or set `enabled: false` in it\n";
const WARNING: &str = "Warning: prod-auto-sync: spec.syncPolicy.automated: will be denied: \
    auto-syncs production (labels of cluster prod): an empty `automated` is on, not off; \
    remove `automated` or set `enabled: false` in it\n";

async fn apply(user: &User, object: &Value, flags: &[&str]) -> Result<KubectlOutput> {
    let apply = user.kubectl(["apply", "--filename=-"]).arguments(flags);
    Ok(apply.input(object.to_string()).run().await?)
}

#[tokio::test]
async fn a_dry_run_is_refused_like_the_write_but_to_argo_cds_controllers() -> Result<()> {
    let installation = installation().await?;
    for writer in [
        Writer::Admin,
        Writer::Developer,
        Writer::Server,
        Writer::ImageUpdater,
        Writer::ApplicationController,
        Writer::ApplicationSetController,
    ] {
        let is_told = matches!(
            writer,
            Writer::ApplicationController | Writer::ApplicationSetController
        );
        let name = format!("dry-run-by-{writer}");
        let user = writer.log_in(installation).await?;
        let object = Base::Production.with(&name, AUTOMATED)?;

        let dry_run = apply(&user, &object, &["--dry-run=server"]).await?;
        let stored = Session::of(&user).await?.get("Application", &name).await?;
        let written = apply(&user, &object, &[]).await?;

        assert_eq!(dry_run.status.success(), is_told, "{writer}");
        let said = if is_told { WARNING } else { DENIAL };
        assert_eq!(dry_run.stderr, said, "{writer}");
        assert!(stored.is_none(), "{writer}: {stored:?}");
        assert!(!written.status.success(), "{writer}");
        if is_told {
            let denial = format!("denied the request: Application argocd/{name}: prod-auto-sync: ");
            assert!(
                written.stderr.contains(&denial),
                "{writer}: {}",
                written.stderr
            );
        } else {
            assert_eq!(written.stderr, DENIAL, "{writer}");
        }
        let mut decisions = installation.webhook().log().entries_of("decision")?;
        decisions.retain(|entry| entry["name"] == *name);
        let told = |entry: &Value| json!([entry["dry_run"], entry["verdict"], entry["rules"]]);
        let verdict = if is_told { "admitted" } else { "denied" };
        assert_eq!(
            decisions.iter().map(told).collect::<Vec<_>>(),
            [
                json!([true, verdict, "prod-auto-sync"]),
                json!([false, "denied", "prod-auto-sync"]),
            ],
            "{writer}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_policy_can_have_the_dry_runs_of_controllers_refused() -> Result<()> {
    const FOUND: &str = "gitops_webhook_findings_total{rule=\"prod-auto-sync\",level=";
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    let webhook = installation.webhook();
    let controller = Writer::ApplicationController.log_in(&installation).await?;
    let object = Base::Production.with("dry-run", AUTOMATED)?;
    let dry_run = async || apply(&controller, &object, &["--dry-run=server"]).await;
    let found = async || {
        let warned = webhook.counter(&format!("{FOUND}\"warn\"}}")).await?;
        let denied = webhook.counter(&format!("{FOUND}\"deny\"}}")).await?;
        Ok::<_, anyhow::Error>((warned, denied))
    };

    assert_eq!(dry_run().await?.stderr, WARNING);
    assert_eq!(found().await?, (1, 0));

    let policy = [
        "patch",
        "gitopspolicy",
        "default",
        "--type=merge",
        "--patch",
    ];
    let deny = json!({"spec": {"admission": {"controllerDryRun": "Deny"}}}).to_string();
    succeed(installation.admin().kubectl(policy).arguments([deny])).await?;

    eventually(WITHIN, "the dry run is refused", async || {
        let said = dry_run()
            .await
            .map_err(|error| format!("{error:#}"))?
            .stderr;
        let denial = "denied the request: Application argocd/dry-run: prod-auto-sync: ";
        said.contains(denial).then_some(()).ok_or(said)
    })
    .await?;
    assert_eq!(found().await?.1, 1);
    Ok(())
}
