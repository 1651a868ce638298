//! What Argo CD says of an Application's project, source and destination when it is stored,
//! `project-scope` says before.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use harness::argo_cd::{ArgoCd, Devops, Guard, Programs, Release};
use harness::{User, eventually_objects, succeed};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::WITHIN;

/// What is wrong with an Application.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Problem {
    NoProject,
    NeitherPathNorChart,
    NoChartVersion,
    Repository,
    NoCluster,
    SeveralClusters,
    NameAndServer,
    NeitherNameNorServer,
    Destination,
}

use Problem::{
    Destination, NameAndServer, NeitherNameNorServer, NeitherPathNorChart, NoChartVersion,
    NoCluster, NoProject, Repository, SeveralClusters,
};

/// A problem, how Argo CD tells it, and how we do.
type Words = (Problem, &'static str, &'static str);

/// The first that fits counts.
const WORDS: [Words; 11] = [
    (NoProject, "which does not exist", "there is no AppProject"),
    (
        NeitherPathNorChart,
        "spec.source.path or spec.source.chart are required",
        "Argo CD needs repoURL and one of path, chart;",
    ),
    (
        NeitherPathNorChart,
        "source.path, source.chart, or source.ref are required",
        "Argo CD needs repoURL and one of path, chart, ref;",
    ),
    (
        NoChartVersion,
        "targetRevision is required",
        "a chart needs a version",
    ),
    (
        NameAndServer,
        "can't have both name and server",
        "both name and server are set",
    ),
    (
        NeitherNameNorServer,
        "Destination server missing",
        "neither name nor server is set",
    ),
    (
        SeveralClusters,
        "clusters with the same name",
        "clusters are named",
    ),
    (
        NoCluster,
        "no clusters with this name",
        "Argo CD knows no cluster",
    ),
    (
        NoCluster,
        "error getting cluster by server",
        "Argo CD knows no cluster",
    ),
    (
        Destination,
        "do not match any of the allowed destinations",
        "does not permit namespace '",
    ),
    (
        Repository,
        "is not permitted in project",
        "does not permit ",
    ),
];

/// What there is when Argo CD starts. Nobody listens at any of its servers, so that what is
/// permitted fails at once, but later than what is not.
const FACTS: &str = r#"
apiVersion: v1
kind: List
items:
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: default }
    spec:
      sourceRepos: [https://127.0.0.1:1/common/*]
      destinations: [{ name: in-cluster, namespace: common }]
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: orders }
    spec:
      sourceRepos: [https://127.0.0.1:1/shop/*, "git@127.0.0.1:shop/*", https://127.0.0.1:1/charts]
      destinations:
        - { name: staging, namespace: "orders-*" }
        - { server: https://kubernetes.default.svc, namespace: orders }
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: deep }
    spec:
      sourceRepos: ["https://127.0.0.1:1/shop/**"]
      destinations: [{ name: "st?ging", namespace: "[a-c]*" }]
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: open }
    spec:
      sourceRepos: ["*", "!https://127.0.0.1:1/evil/*"]
      destinations:
        - { server: "*", namespace: "*" }
        - { server: "*", namespace: "!kube-*" }
        - { server: "!https://127.0.0.1:1/production", namespace: "*" }
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: no-url }
    spec:
      sourceRepos: [127.0.0.1:1/charts]
      destinations: [{ name: staging, namespace: "*" }]
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: only-exclusions }
    spec:
      sourceRepos: ["!https://127.0.0.1:1/evil/*"]
      destinations: [{ server: https://kubernetes.default.svc, namespace: "!kube-system" }]
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: not-production }
    spec:
      sourceRepos: ["*"]
      destinations:
        - { server: "*", namespace: "*" }
        - { name: "!production", namespace: other }
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: nothing }
    spec: {}
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: scoped }
    spec:
      permitOnlyProjectScopedClusters: true
      destinations: [{ name: staging, namespace: "*" }]
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: with-global, labels: { global: "true" } }
    spec:
      sourceRepos: [https://127.0.0.1:1/shop/*]
      destinations: [{ name: staging, namespace: "*" }]
  - apiVersion: argoproj.io/v1alpha1
    kind: AppProject
    metadata: { name: global }
    spec:
      sourceRepos: [https://127.0.0.1:1/global/*]
      destinations: [{ server: https://kubernetes.default.svc, namespace: global }]
  - apiVersion: v1
    kind: Secret
    metadata: { name: repository, labels: { argocd.argoproj.io/secret-type: repository } }
    stringData: { type: git, url: https://127.0.0.1:1/scoped/orders.git, project: scoped }
  - apiVersion: v1
    kind: Secret
    metadata: { name: cluster-staging, labels: { argocd.argoproj.io/secret-type: cluster } }
    stringData: { name: staging, server: https://127.0.0.1:1/staging, config: "{}" }
  - apiVersion: v1
    kind: Secret
    metadata: { name: cluster-production, labels: { argocd.argoproj.io/secret-type: cluster } }
    stringData: { name: production, server: https://127.0.0.1:1/production, config: "{}" }
  - apiVersion: v1
    kind: Secret
    metadata: { name: cluster-scoped, labels: { argocd.argoproj.io/secret-type: cluster } }
    stringData: { name: scoped, server: https://127.0.0.1:1/scoped, config: "{}", project: scoped }
  - apiVersion: v1
    kind: Secret
    metadata: { name: cluster-twin-1, labels: { argocd.argoproj.io/secret-type: cluster } }
    stringData: { name: twin, server: https://127.0.0.1:1/twin-1, config: "{}" }
  - apiVersion: v1
    kind: Secret
    metadata: { name: cluster-twin-2, labels: { argocd.argoproj.io/secret-type: cluster } }
    stringData: { name: twin, server: https://127.0.0.1:1/twin-2, config: "{}" }
"#;

const GLOBAL_PROJECTS: &str = r#"
data:
  globalProjects: |
    - projectName: global
      labelSelector: { matchLabels: { global: "true" } }
"#;

/// Argo CD takes it off when it has done what it asks for.
const REFRESH: &str = "argocd.argoproj.io/refresh";

/// The Application that all others differ from.
const PERMITTED: &str = "
project: orders
source: { repoURL: https://127.0.0.1:1/shop/orders.git, path: deploy, targetRevision: main }
destination: { name: staging, namespace: orders-web }
";

/// Applications: in what their specs differ from the permitted one, as a JSON Merge Patch, and what
/// is wrong with them.
const APPLICATIONS: &[(&str, &str, &[Problem])] = &[
    ("all that the project permits", "{}", &[]),
    // Projects.
    (
        "a project that does not exist",
        "{ project: absent }",
        &[NoProject],
    ),
    (
        "a project in another case",
        "{ project: Orders }",
        &[NoProject],
    ),
    (
        "no project is the project default",
        "{ project: '', source: { repoURL: https://127.0.0.1:1/common/web.git }, \
         destination: { name: in-cluster, namespace: common } }",
        &[],
    ),
    (
        "no project is not every project",
        "{ project: '' }",
        &[Repository, Destination],
    ),
    (
        "a project that permits nothing",
        "{ project: nothing }",
        &[Repository, Destination],
    ),
    // Repositories.
    (
        "another repository",
        "{ source: { repoURL: https://127.0.0.1:1/other/orders.git } }",
        &[Repository],
    ),
    (
        "another host",
        "{ source: { repoURL: https://127.0.0.2:1/shop/orders.git } }",
        &[Repository],
    ),
    (
        "another scheme",
        "{ source: { repoURL: http://127.0.0.1:1/shop/orders.git } }",
        &[Repository],
    ),
    (
        "a repository without .git",
        "{ source: { repoURL: https://127.0.0.1:1/shop/orders } }",
        &[],
    ),
    (
        "a repository in another case",
        "{ source: { repoURL: HTTPS://127.0.0.1:1/Shop/Orders.git } }",
        &[],
    ),
    (
        "a repository with a slash at its end",
        "{ source: { repoURL: https://127.0.0.1:1/shop/orders/ } }",
        &[Repository],
    ),
    (
        "a repository with a user in its URL",
        "{ source: { repoURL: https://me@127.0.0.1:1/shop/orders.git } }",
        &[Repository],
    ),
    (
        "a star does not cross a slash",
        "{ source: { repoURL: https://127.0.0.1:1/shop/web/orders.git } }",
        &[Repository],
    ),
    (
        "two stars do",
        "{ project: deep, source: { repoURL: https://127.0.0.1:1/shop/web/orders.git }, \
         destination: { namespace: a } }",
        &[],
    ),
    (
        "a repository by SSH, in short",
        "{ source: { repoURL: 'git@127.0.0.1:shop/orders.git' } }",
        &[],
    ),
    (
        "a repository by SSH, in full",
        "{ source: { repoURL: 'ssh://git@127.0.0.1/shop/orders.git' } }",
        &[],
    ),
    (
        "another repository by SSH",
        "{ source: { repoURL: 'git@127.0.0.1:other/orders.git' } }",
        &[Repository],
    ),
    (
        "a star alone permits every repository",
        "{ project: open, source: { repoURL: https://127.0.0.1:1/a/b/c } }",
        &[],
    ),
    (
        "but for what is excluded",
        "{ project: open, source: { repoURL: https://127.0.0.1:1/evil/orders.git } }",
        &[Repository],
    ),
    (
        "exclusions alone permit all the rest",
        "{ project: only-exclusions, destination: { name: in-cluster } }",
        &[],
    ),
    (
        "and not what they exclude",
        "{ project: only-exclusions, source: { repoURL: https://127.0.0.1:1/evil/orders }, \
         destination: { name: in-cluster } }",
        &[Repository],
    ),
    (
        "a repository of the project's own",
        "{ project: scoped, source: { repoURL: https://127.0.0.1:1/scoped/orders.git }, \
         destination: { name: scoped } }",
        &[],
    ),
    (
        "a repository of another project's own",
        "{ source: { repoURL: https://127.0.0.1:1/scoped/orders.git } }",
        &[Repository],
    ),
    (
        "a repository of a global project",
        "{ project: with-global, source: { repoURL: https://127.0.0.1:1/global/orders.git } }",
        &[],
    ),
    (
        "a chart",
        "{ source: { repoURL: https://127.0.0.1:1/charts, path: null, chart: orders, targetRevision: 1.0.0 } }",
        &[],
    ),
    (
        "a chart of another repository",
        "{ source: { repoURL: https://127.0.0.1:1/others, path: null, chart: orders, targetRevision: 1.0.0 } }",
        &[Repository],
    ),
    (
        "an address that is not a URL fits a pattern that is none",
        "{ project: no-url, source: { repoURL: 127.0.0.1:1/others, path: null, chart: orders, \
         targetRevision: 1.0.0 } }",
        &[],
    ),
    (
        "and no pattern that is one",
        "{ source: { repoURL: 127.0.0.1:1/charts, path: null, chart: orders, targetRevision: 1.0.0 } }",
        &[Repository],
    ),
    // Sources.
    (
        "a source with neither path nor chart",
        "{ source: { path: null } }",
        &[NeitherPathNorChart],
    ),
    (
        "a source that is only to be referred to",
        "{ source: { path: null, ref: values } }",
        &[NeitherPathNorChart],
    ),
    (
        "a source without a repository",
        "{ source: { repoURL: '' } }",
        &[NeitherPathNorChart],
    ),
    (
        "no source at all",
        "{ source: null }",
        &[NeitherPathNorChart],
    ),
    (
        "a chart without a version",
        "{ source: { repoURL: https://127.0.0.1:1/charts, path: null, chart: orders, targetRevision: null } }",
        &[NoChartVersion],
    ),
    (
        "an incomplete source hides all else",
        "{ source: { repoURL: https://127.0.0.1:1/other/orders.git, path: null }, destination: { name: production } }",
        &[NeitherPathNorChart],
    ),
    (
        "one of several sources",
        "{ source: null, sources: [{ repoURL: https://127.0.0.1:1/shop/orders, path: a }, \
         { repoURL: https://127.0.0.1:1/other/x, path: b }] }",
        &[Repository],
    ),
    (
        "a source that others refer to",
        "{ source: null, sources: [{ repoURL: https://127.0.0.1:1/shop/orders, path: a }, \
         { repoURL: https://127.0.0.1:1/other/x, ref: values }] }",
        &[Repository],
    ),
    (
        "several sources, all of them permitted",
        "{ source: null, sources: [{ repoURL: https://127.0.0.1:1/shop/orders, path: a }, \
         { repoURL: https://127.0.0.1:1/shop/values, ref: values }] }",
        &[],
    ),
    (
        "a source beside several does not count",
        "{ source: { repoURL: https://127.0.0.1:1/other/x }, \
         sources: [{ repoURL: https://127.0.0.1:1/shop/orders, path: a }] }",
        &[],
    ),
    (
        "one of several sources is incomplete",
        "{ source: null, sources: [{ repoURL: https://127.0.0.1:1/shop/orders }] }",
        &[NeitherPathNorChart],
    ),
    // Clusters.
    (
        "a cluster that does not exist, by name",
        "{ destination: { name: absent } }",
        &[NoCluster],
    ),
    (
        "a cluster that does not exist, by server",
        "{ destination: { name: null, server: https://127.0.0.1:1/absent } }",
        &[NoCluster],
    ),
    (
        "a cluster's name in another case",
        "{ destination: { name: Staging } }",
        &[NoCluster],
    ),
    (
        "a cluster's server in another case",
        "{ destination: { name: null, server: https://127.0.0.1:1/Staging } }",
        &[NoCluster],
    ),
    (
        "name and server",
        "{ destination: { server: https://127.0.0.1:1/staging } }",
        &[NameAndServer],
    ),
    (
        "neither name nor server",
        "{ destination: { name: null } }",
        &[NeitherNameNorServer],
    ),
    (
        "a name of two clusters",
        "{ destination: { name: twin } }",
        &[SeveralClusters],
    ),
    // Destinations.
    (
        "a cluster permitted by name, given by server",
        "{ destination: { name: null, server: https://127.0.0.1:1/staging } }",
        &[],
    ),
    (
        "a cluster permitted by server, given by name",
        "{ destination: { name: in-cluster, namespace: orders } }",
        &[],
    ),
    (
        "another cluster",
        "{ destination: { name: production } }",
        &[Destination],
    ),
    (
        "another namespace",
        "{ destination: { namespace: kube-system } }",
        &[Destination],
    ),
    (
        "another cluster's namespace",
        "{ destination: { namespace: orders } }",
        &[Destination],
    ),
    (
        "no namespace where one is asked for",
        "{ destination: { namespace: null } }",
        &[Destination],
    ),
    (
        "no namespace where any will do",
        "{ project: open, destination: { namespace: null } }",
        &[],
    ),
    (
        "a pattern with a class",
        "{ project: deep, destination: { namespace: d } }",
        &[Destination],
    ),
    (
        "an excluded namespace",
        "{ project: open, destination: { namespace: kube-system } }",
        &[Destination],
    ),
    (
        "an excluded server",
        "{ project: open, destination: { name: production } }",
        &[Destination],
    ),
    (
        EXCLUDED_ELSEWHERE,
        "{ project: not-production, destination: { name: production } }",
        &[Destination],
    ),
    (
        "a cluster beside the excluded one",
        "{ project: not-production }",
        &[],
    ),
    (
        "an excluded namespace, and nothing else is said",
        "{ project: only-exclusions, destination: { name: in-cluster, namespace: kube-system } }",
        &[Destination],
    ),
    (
        "a cluster that is not the project's own",
        "{ project: scoped, source: { repoURL: https://127.0.0.1:1/scoped/orders.git } }",
        &[Destination],
    ),
    (
        "a cluster of another project's own",
        "{ project: open, destination: { name: scoped } }",
        &[],
    ),
    (
        "a destination of a global project",
        "{ project: with-global, destination: { name: in-cluster, namespace: global } }",
        &[],
    ),
    (
        "another repository and another cluster",
        "{ source: { repoURL: https://127.0.0.1:1/other/x }, destination: { name: production } }",
        &[Repository, Destination],
    ),
    (
        "another repository and no cluster",
        "{ source: { repoURL: https://127.0.0.1:1/other/x }, destination: { name: absent } }",
        &[Repository, NoCluster],
    ),
];

const EXCLUDED_ELSEWHERE: &str = "an excluded cluster, in another namespace than the excluded one";

#[tokio::test]
async fn project_scope_and_argo_cd_agree_on_each_of_these_applications() -> Result<()> {
    let programs = spawn_blocking(Programs::locate).await??;
    let mut devops = Devops::start(Guard::None, &programs).await?;
    let admin = devops.control_plane().admin().clone();
    create_facts(&admin).await?;
    let _argo_cd = ArgoCd::start(devops.control_plane(), &programs, &[]).await?;
    let applications = applications(&admin).await?;
    for index in 0..APPLICATIONS.len() {
        let application = application("application", index)?;
        applications
            .create(&PostParams::default(), &application)
            .await?;
    }
    let by_argo_cd = verdicts_of_argo_cd(&applications).await?;
    // The same projects, clusters and settings, from here on with the webhook.
    devops.install_webhook().await?;

    let mut disagreements = Vec::new();
    for (index, (description, _, problems)) in APPLICATIONS.iter().enumerate() {
        let webhook = verdict_of_webhook(&applications, index).await?;
        // Since Argo CD 3.6 a cluster is excluded only where the namespace of the entry matches as
        // well.
        let is_wider = *description == EXCLUDED_ELSEWHERE && Release::chosen()?.is_newest();
        let problems: &[Problem] = if is_wider { &[] } else { problems };
        let expected: BTreeSet<_> = problems.iter().copied().map(Some).collect();
        let argo_cd = &by_argo_cd[index];
        if argo_cd.problems != expected || webhook.problems != expected {
            disagreements.push(format!(
                "{description}: {expected:?}\n  Argo CD: {argo_cd:?}\n  webhook: {webhook:?}"
            ));
        }
    }
    assert!(disagreements.is_empty(), "\n{}", disagreements.join("\n"));
    Ok(())
}

/// What a judge finds wrong with an Application.
#[derive(Debug)]
struct Verdict {
    /// `None` for what is told in unknown words.
    problems: BTreeSet<Option<Problem>>,
    /// As it is told.
    #[expect(dead_code, reason = "it explains a disagreement")]
    words: Vec<String>,
}

impl Verdict {
    fn new(words: Vec<String>, known: fn(&Words) -> &'static str) -> Self {
        let problem = |told: &String| {
            let fits = |words: &&Words| told.contains(known(words));
            WORDS.iter().find(fits).map(|(problem, ..)| *problem)
        };
        Self {
            problems: words.iter().map(problem).collect(),
            words,
        }
    }
}

/// Argo CD's, once it has judged all Applications.
async fn verdicts_of_argo_cd(applications: &Api<DynamicObject>) -> Result<Vec<Verdict>> {
    let what = "Argo CD has judged every Application";
    let judged = eventually_objects(WITHIN, what, applications.clone(), |found| {
        let verdicts = (0..APPLICATIONS.len()).map(|index| {
            let name = format!("application-{index}");
            let application = found.get(&name).ok_or("it does not exist");
            let verdict = application.and_then(verdict_of_argo_cd);
            verdict.map_err(|missing| format!("{name}: {missing}"))
        });
        verdicts.collect::<Result<Vec<_>, _>>()
    });
    Ok(judged.await?)
}

/// Argo CD says what is wrong, or goes on to compare.
fn verdict_of_argo_cd(application: &DynamicObject) -> Result<Verdict, &'static str> {
    let status = &application.data["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let words = conditions.filter(|condition| condition["type"] == "InvalidSpecError");
    let words = words.map(|condition| condition["message"].as_str().unwrap_or_default().to_owned());
    let words: Vec<_> = words.collect();
    // A part of the conditions comes a moment before the comparison that was asked for.
    if application.annotations().contains_key(REFRESH) {
        return Err("Argo CD has not got to it");
    }
    if words.is_empty() && status["reconciledAt"].is_null() {
        return Err("neither refused nor compared");
    }
    Ok(Verdict::new(words, |(_, argo_cd, _)| argo_cd))
}

/// What `project-scope` finds when the Application is created under another name.
async fn verdict_of_webhook(applications: &Api<DynamicObject>, index: usize) -> Result<Verdict> {
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let message = match applications
        .create(&dry_run, &application("judged", index)?)
        .await
    {
        Ok(_) => String::new(),
        Err(kube::Error::Api(status)) => status.message,
        Err(error) => return Err(error.into()),
    };
    let findings = match message.split_once(" denied the request: ") {
        Some((_, findings)) => findings,
        None if message.is_empty() => "",
        None => bail!("the API server refuses it otherwise: {message}"),
    };
    let words = findings
        .split(" | ")
        .filter(|finding| finding.starts_with("project-scope: "));
    let words = words.map(str::to_owned).collect();
    Ok(Verdict::new(words, |(_, _, webhook)| webhook))
}

async fn create_facts(admin: &User) -> Result<()> {
    let in_namespace = ["--namespace", "argocd"];
    let create = admin
        .kubectl(["create", "--filename", "-"])
        .arguments(in_namespace);
    succeed(create.input(FACTS)).await?;
    let patch = [
        "patch",
        "configmap",
        "argocd-cm",
        "--patch",
        GLOBAL_PROJECTS,
    ];
    succeed(admin.kubectl(patch).arguments(in_namespace)).await
}

async fn applications(admin: &User) -> Result<Api<DynamicObject>> {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
    let kind = ApiResource::from_gvk(&kind);
    Ok(Api::namespaced_with(admin.client().await?, "argocd", &kind))
}

/// Argo CD is asked for a comparison at once, which it does not put off where a repository does not
/// answer.
fn application(prefix: &str, index: usize) -> Result<DynamicObject> {
    let (description, difference, _) = APPLICATIONS[index];
    let mut spec: Value = serde_saphyr::from_str(PERMITTED)?;
    let difference: Value = serde_saphyr::from_str(difference).with_context(|| description)?;
    json_patch::merge(&mut spec, &difference);
    Ok(serde_json::from_value(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": format!("{prefix}-{index}"),
            "annotations": {REFRESH: "normal"},
        },
        "spec": spec,
    }))?)
}
