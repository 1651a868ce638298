use argocd::{Application, ClusterSecret};

use crate::finding::shorten;
use crate::request::environment::{
    InEnvironment, InEnvironments, environments_of_application, environments_of_cluster, target_of,
};
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Scope, declare_rule};
use crate::terms::environment::{Evidence, Holds, has_placeholder};

declare_rule! {
    /// ## What it does
    ///
    /// Keeps the Argo CD of one environment out of all others. The policy says what this one
    /// drives, `spec.engine.environment`; without it the rule is off. Denied is an Application with
    /// any evidence of another environment, in its destination, project, namespace or labels, and a
    /// cluster Secret with the labels, name, server or AWS account of one. What belongs to no
    /// environment at all passes.
    ///
    /// Only what the policy declares as an environment is known as one: a policy for staging's Argo
    /// CD must declare production too, or nothing is evidence of it.
    ///
    /// ## Why
    ///
    /// The staging Argo CD is where people try things: its rights are wide, its branches move, its
    /// plugins are new. One Secret with the credentials of a production cluster, or one copied
    /// Application, and whatever is tried there happens to production, past the reviews and windows
    /// of production's own Argo CD. Two of them that manage the same objects also undo each other's
    /// work without end.
    ///
    /// ## How to fix
    ///
    /// Give the object to the Argo CD of its environment. If it does belong here, the evidence is
    /// wrong: correct the label, the project or the namespace that the message names, or the
    /// environments of the policy.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: kubectl-gitops.io/v1alpha1
    /// kind: GitOpsPolicy
    /// metadata: { name: default }
    /// spec:
    ///   engine: { environment: staging }
    ///   environments:
    ///     - { name: staging, match: { destinations: ["staging-*"] } }
    ///     - { name: prod, production: true, match: { destinations: ["prod-*"] } }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { name: prod-eu, namespace: orders }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: kubectl-gitops.io/v1alpha1
    /// kind: GitOpsPolicy
    /// metadata: { name: default }
    /// spec:
    ///   engine: { environment: staging }
    ///   environments:
    ///     - { name: staging, match: { destinations: ["staging-*"] } }
    ///     - { name: prod, production: true, match: { clusters: { matchLabels: { environment: prod } } } }
    /// ---
    /// apiVersion: v1
    /// kind: Secret
    /// metadata:
    ///   name: cluster-eu
    ///   namespace: argocd
    ///   labels: { argocd.argoproj.io/secret-type: cluster, environment: prod }
    /// stringData:
    ///   name: eu
    ///   server: https://eu.example.com
    ///   config: '{"awsAuthConfig": {"clusterName": "eu"}}'
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: kubectl-gitops.io/v1alpha1
    /// kind: GitOpsPolicy
    /// metadata: { name: default }
    /// spec:
    ///   engine: { environment: staging }
    ///   environments:
    ///     - { name: staging, match: { destinations: ["staging-*"] } }
    ///     - { name: prod, production: true, match: { destinations: ["prod-*"] } }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///   destination: { name: staging-eu, namespace: orders }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: root, namespace: argocd }
    /// spec:
    ///   project: root
    ///   source: { repoURL: https://git.example.com/platform/fleet.git, path: bootstrap, targetRevision: main }
    ///   destination: { server: https://kubernetes.default.svc, namespace: argocd }
    /// ```
    pub struct EngineIsolation {
        id: "engine-isolation",
        summary: "no target of another environment than the engine's",
        judges: [Application, ClusterSecret],
        judged_on: JudgedOn::Writing,
        scope: Scope::Everywhere,
    }
}

impl ObjectRule<Application<'_>> for EngineIsolation {
    fn check(
        &self,
        request: Request<&Application<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let (application, inventory) = (request.object(), context.inventory);
        let Some(own) = &inventory.policy().engine.environment else {
            return;
        };
        let place = environments_of_application(application, inventory);
        let target = target_of(application, inventory);
        if let (None, Some(destination)) = (others(&place, own).next(), &place.unresolved) {
            let absence = inventory.absence(destination);
            let finding = findings.undecided(
                "/spec/destination",
                format!("{}, it may belong elsewhere", absence.message),
                absence.fix,
            );
            if !has_placeholder(destination) {
                finding.lack(absence.fact);
            }
        }
        let namespace = &*application.spec.destination.namespace;
        // On a cluster that environments share, another namespace is another place.
        let apart = |environment: &str| {
            let holds = Holds::In(vec![environment.to_owned()]);
            let is_evidence = inventory.environments.know_namespace(namespace, &holds);
            is_evidence.then(|| format!("namespace {namespace}"))
        };
        report(&place, own, target, apart, field_of_application, findings);
    }
}

impl ObjectRule<ClusterSecret<'_>> for EngineIsolation {
    fn check(
        &self,
        request: Request<&ClusterSecret<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let Some(own) = &context.inventory.policy().engine.environment else {
            return;
        };
        // What cannot be read is not a cluster to Argo CD.
        if let Ok(cluster) = request.object().cluster() {
            let place = environments_of_cluster(&cluster, context.inventory);
            let server = &cluster.server;
            let field = |evidence: &Evidence| field_of_secret(evidence, server);
            report(&place, own, server, |_| None, field, findings);
        }
    }
}

fn report(
    place: &InEnvironments<'_>,
    own: &str,
    target: &str,
    apart: impl Fn(&str) -> Option<String>,
    field: impl Fn(&Evidence) -> &'static str,
    findings: &mut Findings,
) {
    for InEnvironment {
        environment,
        evidence,
        ..
    } in others(place, own)
    {
        findings
            .deny(
                field(evidence),
                format!(
                    "belongs to {} ({evidence}), and this Argo CD drives {}",
                    shorten(environment, 20),
                    shorten(own, 20)
                ),
                "give it to the Argo CD of its environment",
            )
            .extend_to(
                [(*environment).to_owned(), target.to_owned()]
                    .into_iter()
                    .chain(apart(environment)),
            )
            .extent
            .be_wherever();
    }
}

/// The environments that are not the engine's own.
fn others<'p>(
    place: &'p InEnvironments<'_>,
    own: &str,
) -> impl Iterator<Item = &'p InEnvironment<'p>> {
    let all = place.environments.iter();
    all.filter(move |found| found.environment != own)
}

fn field_of_application(evidence: &Evidence) -> &'static str {
    match evidence {
        Evidence::ClusterLabels(_)
        | Evidence::Account(_)
        | Evidence::Destination(_)
        | Evidence::NoSuchCluster(_)
        | Evidence::NotOneCluster(_) => "/spec/destination",
        Evidence::Project(_) => "/spec/project",
        Evidence::Namespace(_) => "/spec/destination/namespace",
        Evidence::OwnLabels | Evidence::Generated(_) => "/metadata/labels",
    }
}

fn field_of_secret(evidence: &Evidence, server: &str) -> &'static str {
    match evidence {
        Evidence::Destination(name) if name.contains("://") => "/data/server",
        Evidence::Destination(_) => "/data/name",
        Evidence::Account(_) if server.starts_with("arn:") => "/data/server",
        Evidence::Account(_) => "/data/config",
        _ => "/metadata/labels",
    }
}
