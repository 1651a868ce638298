//! Every rule: what it admits and what it refuses, whoever writes it and in whatever way.

mod cascade_delete;
mod cluster_credentials;
mod default_project;
mod image_updater;
mod operation_override;
mod prod_auto_sync;
mod project_scope;
mod project_too_wide;
mod replicas_ignored;
mod unknown_fields;
mod unpinned_revision;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use harness::eventually;
use harness::objects::{Answer, Base, Session, Writer, kubectl_apply};
use harness::shared;
use policy::finding::LINE_LIMIT;
use serde_json::json;

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
    project_scope::CASE,
    default_project::CASE,
    prod_auto_sync::CASE,
    replicas_ignored::CASE,
    operation_override::CASE,
    cluster_credentials::CASE,
    project_too_wide::CASE,
    image_updater::CASE,
    unpinned_revision::CASE,
];

/// Rules that have cases of their own.
///
/// `engine-isolation` is off until the policy says what this Argo CD drives: see [`crate::policy`]
/// and [`crate::isolation`]. `cascade-delete` is about deletions: see [`cascade_delete`].
/// `generated-applications` and `blast-radius` are about ApplicationSets: see
/// [`crate::application_sets`]. `unknown-fields` only warns: see [`unknown_fields`].
const CASES_ELSEWHERE: [&str; 5] = [
    "engine-isolation",
    "cascade-delete",
    "generated-applications",
    "blast-radius",
    "unknown-fields",
];

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

/// Whether a line says what is expected, but for what it leaves out to stay short behind the object
/// that it begins with.
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

async fn holds_for_everybody_in_every_way(case: &Case) -> Result<()> {
    let rule = case.rule;
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
    eventually(wait, "the project is known", async || {
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

/// The watch of the webhook is told of a project later than the API server asks about its first
/// Application.
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
