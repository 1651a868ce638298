//! Every rule: what it admits and what it refuses, whoever writes it and in whatever way.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use kube::api::{DeleteParams, PropagationPolicy};
use policy::finding::LINE_LIMIT;
use serde_json::json;

use crate::support::{Answer, Base, Session, Writer, kubectl_apply, shared};

/// What a rule says of an object with which nothing is wrong, after a change.
pub(crate) struct Case {
    pub(crate) rule: &'static str,
    pub(crate) object: Base,
    /// A change that the rule reads and does not mind.
    pub(crate) admitted: &'static str,
    /// A change that the rule minds.
    pub(crate) denied: &'static str,
    /// What the writer of that is told.
    message: &'static str,
}

/// One case for each rule.
pub(crate) const CASES: [Case; 9] = [
    Case {
        rule: "project-scope",
        object: Base::Staging,
        admitted: "spec: { source: { repoURL: https://git.example.com/shop/payments.git } }",
        denied: "spec: { source: { repoURL: https://git.example.com/billing/ledger.git } }",
        message: "project-scope: spec.source.repoURL: AppProject shop-staging does not permit \
            https://git.example.com/billing/ledger.git; use a repository of its sourceRepos",
    },
    Case {
        rule: "default-project",
        object: Base::Staging,
        admitted: "metadata: { labels: { team: orders } }",
        denied: "spec: { project: default }",
        message: "default-project: spec.project: the project `default` permits everything unless cut down; \
            name your team's AppProject for this environment",
    },
    Case {
        rule: "prod-auto-sync",
        object: Base::Production,
        admitted: "spec: { syncPolicy: { automated: { enabled: false, prune: true, selfHeal: true } } }",
        denied: "spec: { syncPolicy: { automated: { prune: false, selfHeal: false } } }",
        message: "prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster prod): \
            `prune: false` and `selfHeal: false` do not turn it off; remove `automated` or set `enabled: false` in it",
    },
    Case {
        rule: "replicas-ignored",
        object: Base::Production,
        admitted: "spec: { ignoreDifferences: [{ group: '*', kind: '*', managedFieldsManagers: [kube-controller-manager] }] }",
        denied: "spec: { ignoreDifferences: [] }",
        message: "replicas-ignored: spec.ignoreDifferences: an autoscaler's replicas are overwritten by every sync; \
            ignore /spec/replicas and set RespectIgnoreDifferences=true",
    },
    Case {
        rule: "operation-override",
        object: Base::Production,
        admitted: "operation: { sync: { revision: v1.4.0, prune: true } }",
        denied: "operation: { sync: { revision: hotfix } }",
        message: "operation-override: operation.sync.revision: syncs revision hotfix to production, the spec says v1.4.0; \
            leave it out, or change targetRevision",
    },
    Case {
        rule: "cluster-credentials",
        object: Base::Cluster,
        admitted: r#"stringData: { config: '{"awsAuthConfig": {"clusterName": "other"}}' }"#,
        denied: r#"stringData: { config: '{"bearerToken": "example"}' }"#,
        message: "cluster-credentials: data.config: holds a bearer token; use awsAuthConfig, which holds no credential",
    },
    Case {
        rule: "project-too-wide",
        object: Base::Project,
        admitted: "spec: { sourceRepos: ['https://git.example.com/**'] }",
        denied: "spec: { sourceRepos: ['!https://git.example.com/billing/*'] }",
        message: "project-too-wide: spec.sourceRepos[0]: !https://git.example.com/billing/* permits any other repository \
            (labels of cluster prod); list the repositories it needs",
    },
    Case {
        rule: "image-updater",
        object: Base::Production,
        admitted: "metadata: { annotations: { argocd-image-updater.argoproj.io/write-back-method: git } }",
        denied: "metadata: { annotations: { argocd-image-updater.argoproj.io/image-list: r.example.com/orders } }",
        message: "image-updater: metadata.annotations[argocd-image-updater.argoproj.io/image-list]: \
            deploys new images by itself, past Git; remove the annotation, release by a commit",
    },
    Case {
        rule: "unpinned-revision",
        object: Base::Production,
        admitted: "spec: { source: { targetRevision: v1.5.0 } }",
        denied: "spec: { source: { targetRevision: HEAD } }",
        message: "unpinned-revision: spec.source.targetRevision: follows HEAD, whatever is newest; write a tag or a full commit",
    },
];

/// Rules that have cases of their own.
///
/// `engine-isolation` is off until the policy says what this Argo CD drives: see [`crate::policy`].
/// `cascade-delete` is about deletions: see [`an_app_of_apps_is_not_deleted_together_with_its_applications`].
/// `generated-applications` and `blast-radius` are about ApplicationSets: see [`crate::application_sets`].
/// `unknown-fields` only warns: see [`an_unknown_sync_option_is_warned_of`].
const CASES_ELSEWHERE: [&str; 5] = [
    "engine-isolation",
    "cascade-delete",
    "generated-applications",
    "blast-radius",
    "unknown-fields",
];

/// What the API server drops before it asks cannot be told.
#[tokio::test]
async fn an_unknown_sync_option_is_warned_of() -> Result<()> {
    let admin = shared().await?.admin();
    let apply = async |name: &str, option: &str| -> Result<String> {
        let change =
            format!("spec: {{ syncPolicy: {{ syncOptions: ['{option}'] }}, unheardOf: true }}");
        let object = Base::Staging.with(name, &change)?.to_string();
        let apply = admin.kubectl(["apply", "--validate=false", "-f", "-"]);
        let applied = apply.input(object).run().await?;
        assert!(applied.status.success(), "{applied:?}");
        Ok(applied.stderr)
    };

    let warned = apply("unknown-option", "CreateNamespaces=true").await?;
    let said_nothing = apply("known-option", "CreateNamespace=true").await?;

    assert_eq!(
        warned.trim_end(),
        "Warning: unknown-fields: spec.syncPolicy.syncOptions[0]: Argo CD knows no sync option \
         \"CreateNamespaces=true\", and ignores it; write CreateNamespace=true"
    );
    assert_eq!(said_nothing, "");
    Ok(())
}

/// How an object is written.
#[derive(Clone, Copy, Debug)]
enum Way {
    KubectlApply,
    ServerSideApply,
    Update,
}

impl Way {
    const ALL: [Way; 3] = [Way::KubectlApply, Way::ServerSideApply, Way::Update];
}

/// What the object is called that is written for a case.
fn name(case: &Case, verdict: &str, writer: Writer, way: Way) -> String {
    format!("{}-{writer}-{way:?}-{verdict}", case.rule).to_lowercase()
}

/// Whether a line says what is expected, but for what it leaves out to stay short behind the object that it begins with.
fn is_same(line: &str, expected: &str, object: &str) -> bool {
    let is_short = object.chars().count() + line.chars().count() < LINE_LIMIT;
    let mut parts = line.split('…');
    let begins = parts.next().unwrap_or_default();
    let Some(mut rest) = expected.strip_prefix(begins) else {
        return false;
    };
    let is_part = parts.all(|part| {
        let found = rest.split_once(part);
        rest = found.map_or("", |(_, behind)| behind);
        found.is_some()
    });
    is_short && is_part && (line.contains('…') || rest.is_empty())
}

/// Writes an object with a change, in one way, as one writer.
async fn written(
    case: &Case,
    change: &str,
    verdict: &str,
    writer: Writer,
    way: Way,
) -> Result<Answer> {
    let installation = shared().await?;
    let user = writer.log_in(installation).await?;
    let name = name(case, verdict, writer, way);
    let object = case.object.with(&name, change)?;
    let session = Session::of(&user).await?;
    match way {
        Way::KubectlApply => kubectl_apply(&user, &object, &[]).await,
        Way::ServerSideApply => session.server_side_apply(&object).await,
        Way::Update => {
            session
                .create(&case.object.with(&name, "{}")?)
                .await?
                .admitted();
            session.replace(&object).await
        }
    }
}

async fn holds_for_everybody_in_every_way(rule: &str) -> Result<()> {
    let case = CASES
        .iter()
        .find(|case| case.rule == rule)
        .context("there is no case")?;
    let cells = Writer::ALL
        .into_iter()
        .flat_map(|writer| Way::ALL.map(|way| (writer, way)));
    let judged = cells.map(async |(writer, way)| {
        let admitted = written(case, case.admitted, "admitted", writer, way);
        let denied = written(case, case.denied, "denied", writer, way);
        let (admitted, denied) = futures::try_join!(admitted, denied)
            .with_context(|| format!("{rule}: {writer}, {way:?}"))?;
        assert_eq!(admitted, Answer::Admitted, "{rule}: {writer}, {way:?}");
        let object = case.object.with("", "{}")?;
        let name = name(case, "denied", writer, way);
        let object = writer.told_of(object["kind"].as_str().unwrap_or_default(), &name);
        let refused = denied.refusal();
        let line = refused
            .strip_prefix(&object)
            .with_context(|| refused.clone())?;
        assert!(
            is_same(line, case.message, &object),
            "{rule}: {writer}, {way:?}: {refused}"
        );
        Ok::<_, anyhow::Error>(())
    });
    try_join_all(judged).await?;
    Ok(())
}

#[tokio::test]
async fn project_scope() -> Result<()> {
    holds_for_everybody_in_every_way("project-scope").await
}

#[tokio::test]
async fn default_project() -> Result<()> {
    holds_for_everybody_in_every_way("default-project").await
}

#[tokio::test]
async fn prod_auto_sync() -> Result<()> {
    holds_for_everybody_in_every_way("prod-auto-sync").await
}

#[tokio::test]
async fn replicas_ignored() -> Result<()> {
    holds_for_everybody_in_every_way("replicas-ignored").await
}

#[tokio::test]
async fn operation_override() -> Result<()> {
    holds_for_everybody_in_every_way("operation-override").await
}

#[tokio::test]
async fn cluster_credentials() -> Result<()> {
    holds_for_everybody_in_every_way("cluster-credentials").await
}

#[tokio::test]
async fn project_too_wide() -> Result<()> {
    holds_for_everybody_in_every_way("project-too-wide").await
}

#[tokio::test]
async fn image_updater() -> Result<()> {
    holds_for_everybody_in_every_way("image-updater").await
}

#[tokio::test]
async fn unpinned_revision() -> Result<()> {
    holds_for_everybody_in_every_way("unpinned-revision").await
}

/// `cascade-delete`: whoever asks, and however. Without the finalizer it goes, and so does an Application that takes none
/// along.
#[tokio::test]
async fn an_app_of_apps_is_not_deleted_together_with_its_applications() -> Result<()> {
    let installation = shared().await?;
    let admin = Session::of(installation.admin()).await?;
    let with_resources = |name: &str, group: &str, kind: &str| {
        let change = json!({
            "metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
            "status": {"resources": [{"group": group, "version": "v1", "kind": kind, "name": "a", "namespace": "argocd"}]},
        });
        Base::Staging.with(name, &change.to_string())
    };
    let expected = "cascade-delete: metadata.finalizers: deletes its Applications and all they deploy (labels of cluster prod); \
        argocd app delete --cascade=false, or first remove the finalizer";
    let root = with_resources("app-of-apps", "argoproj.io", "Application")?;
    admin.create(&root).await?.admitted();

    for writer in Writer::ALL {
        let session = Session::of(&writer.log_in(installation).await?).await?;
        let refused = session.delete("Application", "app-of-apps").await?;
        let object = writer.told_of("Application", "app-of-apps");
        let refused = refused.refusal();
        let line = refused
            .strip_prefix(&object)
            .with_context(|| refused.clone())?;
        assert!(is_same(line, expected, &object), "{writer}: {refused}");
    }
    let refused = admin
        .delete_with("Application", "app-of-apps", &orphaning())
        .await?
        .refusal();
    assert!(refused.contains("whatever --cascade says"), "{refused}");
    let there = admin.get("Application", "app-of-apps").await?;
    let there = there.context("it is still there")?;
    assert!(there.metadata.deletion_timestamp.is_none());

    let bare = json!({"metadata": {"finalizers": null}});
    let removed = admin.patch("Application", "app-of-apps", &bare).await?;
    removed.admitted();
    let deleted = admin.delete("Application", "app-of-apps").await?;
    deleted.admitted();
    let gone = admin.get("Application", "app-of-apps").await?;
    assert!(gone.is_none());

    let leaf = with_resources("a-leaf", "apps", "Deployment")?;
    admin.create(&leaf).await?.admitted();
    admin.delete("Application", "a-leaf").await?.admitted();
    Ok(())
}

/// What `kubectl delete --cascade=orphan` asks for.
fn orphaning() -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    }
}

#[tokio::test]
async fn an_apply_over_what_is_there_is_judged() -> Result<()> {
    let developer = Writer::Developer.log_in(shared().await?).await?;
    let change = "spec: { project: default }";

    let first = Base::Staging.with("applied-twice", "{}")?;
    kubectl_apply(&developer, &first, &[]).await?.admitted();
    let second = Base::Staging.with("applied-twice", change)?;
    let message = kubectl_apply(&developer, &second, &[]).await?.refusal();

    assert!(message.starts_with("default-project: "), "{message}");
    Ok(())
}

/// A rule without a case here would be believed to be tested.
#[test]
fn every_rule_has_its_case() {
    let known: Vec<&str> = policy::registry::all()
        .map(|rule| rule.id.as_str())
        .collect();
    let mut tested: Vec<&str> = CASES.iter().map(|case| case.rule).collect();
    tested.extend(CASES_ELSEWHERE);
    tested.sort_by_key(|rule| known.iter().position(|other| other == rule));
    assert_eq!(tested, known);
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_once_in_the_order_of_the_rules() -> Result<()> {
    let admin = Session::of(shared().await?.admin()).await?;
    let object = Base::Production.with(
        "everything-wrong",
        "
        metadata: { labels: { environment: prod } }
        spec:
          project: default
          destination: { name: nowhere }
          ignoreDifferences: null
          syncPolicy: { automated: { selfHeal: true } }
        operation: { sync: { revision: hotfix } }
        ",
    )?;

    let first = admin.create(&object).await?.refusal();
    let second = admin.create(&object).await?.refusal();

    let rules: Vec<&str> = first
        .split(" | ")
        .filter_map(|line| line.split_once(": ").map(|(rule, _)| rule))
        .collect();
    assert_eq!(
        rules,
        [
            "project-scope",
            "default-project",
            "prod-auto-sync",
            "replicas-ignored",
            "operation-override",
        ],
        "{first}"
    );
    assert_eq!(first, second);
    Ok(())
}

#[tokio::test]
async fn a_warning_reaches_the_one_who_applies() -> Result<()> {
    let developer = Writer::Developer.log_in(shared().await?).await?;
    let object = Base::Production.with("not-respected", "spec: { syncPolicy: null }")?;

    let apply = developer
        .kubectl(["apply", "-f", "-"])
        .input(object.to_string());
    let applied = apply.run().await?;

    assert!(applied.status.success(), "{applied:?}");
    assert_eq!(
        applied.stderr,
        "Warning: replicas-ignored: spec.syncPolicy.syncOptions: the ignored replicas are still written by every sync; \
         add RespectIgnoreDifferences=true\n"
    );
    Ok(())
}

#[tokio::test]
async fn a_dry_run_sees_the_refusal_and_the_warning_and_leaves_nothing() -> Result<()> {
    let installation = shared().await?;
    let developer = Writer::Developer.log_in(installation).await?;
    let dry_run = ["--dry-run=server"];
    let refused = Base::Staging.with("dry-run-refused", "spec: { project: default }")?;
    let admitted = Base::Staging.with("dry-run-admitted", "{}")?;

    let refusal = kubectl_apply(&developer, &refused, &dry_run)
        .await?
        .refusal();
    kubectl_apply(&developer, &admitted, &dry_run)
        .await?
        .admitted();

    assert!(refusal.starts_with("default-project: "), "{refusal}");
    let session = Session::of(&developer).await?;
    assert!(
        session
            .get("Application", "dry-run-admitted")
            .await?
            .is_none()
    );
    Ok(())
}

#[tokio::test]
async fn a_project_counts_as_soon_as_it_is_there() -> Result<()> {
    let admin = Session::of(shared().await?.admin()).await?;
    let application =
        Base::Staging.with("orders-in-new-project", "spec: { project: just-made }")?;
    let project = serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "just-made", "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["https://git.example.com/shop/*"],
            "destinations": [{"name": "staging", "server": "https://staging.k8s.example.com", "namespace": "shop"}],
        },
    });

    let before = admin.create(&application).await?.refusal();
    admin.create(&project).await?.admitted();
    let wait = std::time::Duration::from_secs(10);
    control_plane::eventually(wait, "the project is known", async || {
        match admin.create(&application).await {
            Ok(Answer::Admitted) => Ok(()),
            Ok(Answer::Refused(message)) => Err(message),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;

    assert_eq!(
        before,
        "project-scope: spec.project: there is no AppProject just-made; create it first or name one that exists"
    );
    Ok(())
}

/// The watch of the webhook is told of a project later than the API server asks about its first Application.
#[tokio::test]
async fn an_application_may_follow_its_project_at_once() -> Result<()> {
    let installation = shared().await?;
    let session = Session::of(&Writer::Admin.log_in(installation).await?).await?;
    for number in 0..10 {
        let name = format!("just-made-{number}");
        let project = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {
                "sourceRepos": ["https://git.example.com/shop/*"],
                "destinations": [{"server": "https://staging.k8s.example.com", "namespace": "*"}],
            },
        });
        let application = Base::Staging.with(&name, &format!("spec: {{ project: {name} }}"))?;
        session.create(&project).await?.admitted();
        session.create(&application).await?.admitted();
    }
    Ok(())
}
