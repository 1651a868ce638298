use std::collections::HashSet;

use argocd::Application;
use argocd::application::SyncOperation;
use argocd::conditions::{Condition, Problem, conditions, repository_condition};
use argocd::destination::DestinationError;
use argocd::project::Permissions;

use crate::environment::target_of;
use crate::finding::{Finding, shorten, without_user_info};
use crate::inventory::{Absence, Inventory};
use crate::rule::{Context, Findings, Occasion, Rule, RuleMetadata, Scope, declare_rule};
use crate::subject::Object;

declare_rule! {
    /// ## What it does
    ///
    /// Denies an Application whose source, destination or own namespace its AppProject does not
    /// permit, whose AppProject does not exist, or whose destination means no cluster or several.
    /// It follows Argo CD's own algorithm, with project-scoped repositories and clusters, global
    /// projects, exclusions and each of its glob flavours.
    ///
    /// The sources of an `operation` are judged like the spec's, and literal manifests in it, as
    /// `argocd app sync --local` sends them, are denied: Argo CD itself checks neither, so whoever
    /// may patch an Application could deploy anything through it. For the same reason nobody but
    /// Argo CD may write a running `status.operationState`, and nobody at all may create an
    /// Application with one: Argo CD goes on with what it says, whatever `operation` says.
    ///
    /// ## Why
    ///
    /// Argo CD stores such an Application and only then refuses to compare it: it stays in
    /// `Unknown`, nobody is told, and what it already deployed is not kept in step any more.
    ///
    /// ## How to fix
    ///
    /// Use a repository, cluster and namespace of the AppProject, or have the AppProject permit
    /// them: `spec.sourceRepos`, `spec.destinations`, `spec.sourceNamespaces`. Commit literal
    /// manifests, and sync the Application as it is.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders-staging, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["https://git.example.com/shop/*"]
    ///   destinations: [{ server: "*", namespace: "orders-*" }]
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-staging
    ///   source: { repoURL: https://github.com/somebody/else.git, path: deploy, targetRevision: main }
    ///   destination: { server: https://kubernetes.default.svc, namespace: kube-system }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders-staging, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["https://git.example.com/shop/*"]
    ///   destinations: [{ server: "*", namespace: "orders-*" }]
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-staging
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///   destination: { server: https://kubernetes.default.svc, namespace: orders-staging }
    /// operation:
    ///   sync:
    ///     source: { repoURL: https://github.com/somebody/else.git, path: deploy, targetRevision: main }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders-staging, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["https://git.example.com/shop/*"]
    ///   destinations: [{ server: "*", namespace: "orders-*" }]
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-staging
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///   destination: { server: https://kubernetes.default.svc, namespace: orders-staging }
    /// operation:
    ///   sync: { manifests: ['{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"by-hand"}}'] }
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders-staging, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["https://git.example.com/shop/*"]
    ///   destinations: [{ server: "*", namespace: "orders-*" }]
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-staging
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///   destination: { server: https://kubernetes.default.svc, namespace: orders-staging }
    /// ```
    pub struct ProjectScope {
        id: "project-scope",
        summary: "source, destination and namespace that the AppProject permits",
        judges: ["Application", "ApplicationSet"],
        occasion: Occasion::Writing,
        scope: Scope::Everywhere,
    }
}

impl Rule for ProjectScope {
    fn metadata(&self) -> &'static RuleMetadata {
        &Self::METADATA
    }

    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let Object::Application(application) = context.subject.object else {
            return;
        };
        let inventory = context.inventory;
        let fleet = &inventory.fleet;
        let target = target_of(application, inventory);
        for condition in conditions(application, fleet) {
            report(&condition, target, inventory, findings);
        }
        if context.resumes_what_others_wrote(application) {
            findings.deny(
                "/status/operationState",
                "Argo CD would go on with this operation, whatever the project permits",
                "leave it to Argo CD, and set operation instead",
            );
        }
        let Some(sync) = application.operation.as_ref().and_then(|o| o.sync.as_ref()) else {
            return;
        };
        if let Some(permissions) = fleet.project(application.spec.project()) {
            operation_conditions(sync, application, permissions, |condition| {
                report(&condition, target, inventory, findings);
            });
        }
        // No project permits what is in no repository, so it does not matter which one it is.
        if !sync.manifests.is_empty() {
            findings.deny(
                "/operation/sync/manifests",
                "literal manifests come from no repository that the AppProject permits",
                "commit them, then sync the Application as it is",
            );
        }
    }
}

/// What the project does not permit of the sources that an operation brings along. Argo CD checks the
/// spec's own before it syncs, so that a copy of them, which every ordinary sync has, adds nothing.
fn operation_conditions(
    sync: &SyncOperation<'_>,
    application: &Application<'_>,
    permissions: &Permissions,
    mut report: impl FnMut(Condition),
) {
    let spec = &application.spec;
    let first = spec.sync_source();
    let own: HashSet<&str> = first
        .as_deref()
        .into_iter()
        .chain(spec.sync_sources())
        .map(|source| source.repo_url.as_str())
        .collect();
    let single = sync
        .source
        .iter()
        .map(|source| ("/operation/sync/source/repoURL".to_owned(), source));
    let several = sync
        .sources
        .iter()
        .enumerate()
        .map(|(index, source)| (format!("/operation/sync/sources/{index}/repoURL"), source));
    single
        .chain(several)
        .filter(|(_, source)| !own.contains(source.repo_url.as_str()))
        .filter_map(|(field, source)| {
            repository_condition(&source.repo_url, &field, spec.project(), permissions)
        })
        .for_each(&mut report);
}

/// Texts of problems have all values in full; but one cluster can be given by name or by server.
fn extent(problem: &Problem, target: &str) -> String {
    match problem {
        Problem::DestinationNotPermitted {
            namespace, project, ..
        } => format!("{project} {namespace} {target}"),
        problem => problem.to_string(),
    }
}

fn report(condition: &Condition, target: &str, inventory: &Inventory, findings: &mut Findings) {
    let field = condition.field.clone();
    let short = |text: &str| shorten(text, 60);
    let elsewhere = !inventory.completeness.has_all_projects();
    let finding = match &condition.problem {
        Problem::ProjectNotFound { project } if elsewhere => findings
            .undecided(
                field,
                format!("AppProject {} is not among the files", short(project)),
                "add it with --policy",
            )
            .rest_on_absence(),
        Problem::ProjectNotFound { project } => findings
            .deny(
                field,
                format!("there is no AppProject {}", short(project)),
                "create it first or name one that exists",
            )
            .rest_on_absence(),
        Problem::NamespaceNotPermitted {
            namespace, project, ..
        } => findings.deny(
            field,
            format!(
                "AppProject {} is not for Applications of namespace {}",
                short(project),
                short(namespace)
            ),
            "add the namespace to its sourceNamespaces",
        ),
        Problem::SourceIncomplete => findings.deny(
            field,
            "Argo CD needs repoURL and one of path, chart",
            "add what is missing",
        ),
        Problem::OneOfSourcesIncomplete => findings.deny(
            field,
            "Argo CD needs repoURL and one of path, chart, ref",
            "add what is missing",
        ),
        Problem::ChartRevisionMissing => {
            findings.deny(field, "a chart needs a version", "set targetRevision")
        }
        Problem::SourceNotPermitted {
            repository,
            project,
        }
        | Problem::SyncSourceNotPermitted {
            repository,
            project,
        } => findings.deny(
            field,
            format!(
                "AppProject {} does not permit {}",
                shorten(project, 30),
                shorten(&without_user_info(repository), 60)
            ),
            "use a repository of its sourceRepos",
        ),
        Problem::HydratorRepositoryMissing
        | Problem::HydratorBranchMissing
        | Problem::HydrateToBranchMissing => {
            findings.deny(field, "Argo CD needs this field", "set it")
        }
        Problem::Destination(error) => report_destination(field, error, inventory, findings),
        Problem::DestinationNotPermitted {
            cluster,
            namespace,
            project,
        } => findings.deny(
            field,
            format!(
                "AppProject {} does not permit namespace '{}' on {}",
                shorten(project, 30),
                shorten(namespace, 30),
                shorten(&without_user_info(cluster), 40)
            ),
            "use one of its destinations",
        ),
    };
    finding.extend_to([extent(&condition.problem, target)]);
}

fn report_destination<'f>(
    field: String,
    error: &DestinationError,
    inventory: &Inventory,
    findings: &'f mut Findings,
) -> &'f mut Finding {
    match error {
        DestinationError::ServerNotFound(cluster) | DestinationError::NameNotFound(cluster) => {
            let Absence { message, fix } = inventory.absence(cluster);
            let finding = if inventory.completeness.has_all_clusters() {
                findings.deny(field, message, fix)
            } else {
                findings.undecided(field, message, fix)
            };
            finding.rest_on_absence()
        }
        DestinationError::NameAmbiguous { name, servers } => findings.deny(
            field,
            format!("{} clusters are named {}", servers.len(), shorten(name, 60)),
            "give the destination by server",
        ),
        DestinationError::NameAndServer { .. } => {
            findings.deny(field, "both name and server are set", "remove one of them")
        }
        DestinationError::Missing => {
            findings.deny(field, "neither name nor server is set", "set one of them")
        }
        DestinationError::InClusterDisabled => findings.deny(
            field,
            "argocd-cm sets cluster.inClusterEnabled to false",
            "use another cluster",
        ),
    }
}
