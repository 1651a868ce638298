use std::collections::HashSet;

use argocd::application::SyncOperation;
use argocd::cluster::DestinationError;
use argocd::conditions::{Condition, Problem, conditions, repository_condition};
use argocd::project::{
    DestinationRefusal, Difference, Permissions, ProjectReading, SourceRefusal, is_unparsable,
};
use argocd::{AppProject, Application};

use crate::finding::missing::MissingFact;
use crate::finding::{Finding, shorten, shorten_middle, without_user_info};
use crate::request::environment::target_of;
use crate::request::inventory::{Absence, Inventory};
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Scope, declare_rule};

declare_rule! {
    /// ## What it does
    ///
    /// Denies an Application whose source, destination or own namespace its AppProject does not
    /// permit, whose AppProject does not exist, or whose destination means no cluster or several.
    /// It follows Argo CD's own algorithm, with project-scoped repositories and clusters, global
    /// projects, exclusions and each of its glob flavours. It names the entry that excludes what is
    /// refused, or the one that comes nearest to permitting it, and in what that differs: `*` does
    /// not match `/`, a slash at the end, SSH in place of HTTPS, `oci://`.
    ///
    /// Of an AppProject it warns of what does not mean what it seems to: a repository in
    /// `sourceRepos` that cannot be parsed as a URL, and so permits every repository that cannot be
    /// parsed either; a destination that excludes by `name` without `namespace: "*"`, which
    /// excludes less since Argo CD 3.6; and `//` in `sourceNamespaces`, which permitted every
    /// namespace and permits none since Argo CD 3.6. The webhook reads projects as the installed
    /// Argo CD does, `check` as 3.5 or as `--argocd-version` says.
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
        judges: [Application, AppProject],
        judged_on: JudgedOn::Writing,
        scope: Scope::Everywhere,
    }
}

impl ObjectRule<Application<'_>> for ProjectScope {
    fn check(
        &self,
        request: Request<&Application<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let inventory = context.inventory;
        let application = *request.object();
        let fleet = &inventory.fleet;
        let target = target_of(application, inventory);
        for condition in conditions(application, fleet) {
            report(&condition, target, application, inventory, findings);
        }
        if context.resumes_what_others_wrote(request) {
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
                report(&condition, target, application, inventory, findings);
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

impl ObjectRule<AppProject> for ProjectScope {
    fn check(&self, request: Request<&AppProject>, context: &Context<'_>, findings: &mut Findings) {
        warn_of_project(request.object(), context.inventory, findings);
    }
}

/// What the project does not permit of the sources that an operation brings along. Argo CD checks
/// the spec's own before it syncs, so that a copy of them, which every ordinary sync has, adds
/// nothing.
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

fn report(
    condition: &Condition,
    target: &str,
    application: &Application<'_>,
    inventory: &Inventory,
    findings: &mut Findings,
) {
    let field = condition.field.clone();
    let short = |text: &str| shorten(text, 60);
    let elsewhere = !inventory.completeness.has_all_projects();
    let permissions = inventory.fleet.project(application.spec.project());
    let finding = match &condition.problem {
        Problem::ProjectNotFound { project } if elsewhere => findings
            .undecided(
                field,
                format!("AppProject {} is not among the files", short(project)),
                "add it with --facts",
            )
            .lack(MissingFact::Project(project.clone())),
        Problem::ProjectNotFound { project } => findings
            .deny(
                field,
                format!("there is no AppProject {}", short(project)),
                "create it first or name one that exists",
            )
            .lack(MissingFact::Project(project.clone())),
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
        } => {
            let refusal = permissions.map(|one| one.source_refusal(repository));
            let told = told_of_source(repository, refusal.unwrap_or(SourceRefusal::Unlisted));
            findings.deny(
                field,
                format!(
                    "AppProject {} does not permit {}",
                    shorten(project, 30),
                    told.what
                ),
                told.fix,
            )
        }
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
        } => {
            let told = told_of_destination(application, permissions, inventory);
            findings.deny(
                field,
                format!(
                    "AppProject {} does not permit namespace '{}' on {}{}",
                    shorten(project, 30),
                    shorten(namespace, 30),
                    shorten(&without_user_info(cluster), 40),
                    told.what
                ),
                told.fix,
            )
        }
    };
    finding.extend_to([extent(&condition.problem, target)]);
}

/// What is said beside what is refused, and how to put it right.
struct Told {
    what: String,
    fix: &'static str,
}

/// The repository, and why it is not permitted. Both URLs are shown so that the difference can be
/// seen.
fn told_of_source(repository: &str, refusal: SourceRefusal<'_>) -> Told {
    let url = |text: &str| shorten_middle(&without_user_info(text), 40);
    let plain = "use a repository of its sourceRepos";
    let given = url(repository);
    let (why, fix) = match refusal {
        SourceRefusal::Excluded { entry } => {
            let entry = format!("!{}", url(entry.trim_start().trim_start_matches('!')));
            (format!("{given}: {entry} excludes it"), plain)
        }
        SourceRefusal::Unparsable => (
            format!("{given}, which cannot be parsed as a URL"),
            "write a URL that can be",
        ),
        SourceRefusal::Unlisted => {
            let given = shorten_middle(&without_user_info(repository), 60);
            (given, plain)
        }
        SourceRefusal::Near { entry, difference } => {
            let near = url(entry);
            let alike = "write both alike";
            let (differs, fix) = match difference {
                Difference::Slash => ("`*` matches no `/` in", "write `**` there, or use another"),
                Difference::TrailingSlash => ("only the `/` at the end differs from", alike),
                Difference::Ssh => ("by SSH one and by HTTPS the other:", alike),
                Difference::Scheme => ("another scheme than", alike),
                Difference::User => ("another user than", alike),
                Difference::Port => ("another port than", alike),
                Difference::Below => ("another depth than", plain),
            };
            (format!("{given}: {differs} {near}"), fix)
        }
    };
    Told { what: why, fix }
}

/// Why a destination is not permitted, to be put behind it.
fn told_of_destination(
    application: &Application<'_>,
    permissions: Option<&Permissions>,
    inventory: &Inventory,
) -> Told {
    let fleet = &inventory.fleet;
    let plain = "use one of its destinations";
    let destination = &application.spec.destination;
    let (Some(permissions), Ok(cluster)) = (permissions, fleet.clusters.resolve(destination))
    else {
        return Told {
            what: String::new(),
            fix: plain,
        };
    };
    let own = fleet.clusters_of(application.spec.project());
    let refusal = permissions.destination_refusal(cluster, &destination.namespace, own);
    let show = |entry: &str| shorten_middle(&without_user_info(entry), 40);
    let (what, fix) = match refusal {
        DestinationRefusal::Excluded { entry } => (format!(": {} excludes it", show(entry)), plain),
        DestinationRefusal::NotScoped => (
            ": it permits only clusters of its own".to_owned(),
            "use a cluster whose Secret names the project",
        ),
        DestinationRefusal::OtherNamespace { entry } => {
            (format!(", but '{}' there", show(entry)), plain)
        }
        DestinationRefusal::TrailingSlash { entry } => (
            format!(": {} ends with `/`", show(entry)),
            "take the slash off in its destinations",
        ),
        DestinationRefusal::OtherField { entry } => (
            format!(": {} is not in the field that it belongs in", show(entry)),
            "write `name` for a name and `server` for a URL in its destinations",
        ),
        DestinationRefusal::Case { entry } => (
            format!(": {} has other capital letters", show(entry)),
            "write it as the cluster Secret does",
        ),
        DestinationRefusal::Unlisted => (String::new(), plain),
    };
    Told { what, fix }
}

/// How many entries of one list are told.
const TOLD: usize = 8;

/// What in a project does not mean what it seems to, or not in every version of Argo CD.
fn warn_of_project(project: &AppProject, inventory: &Inventory, findings: &mut Findings) {
    let spec = &project.spec;
    let sources = spec.source_repos.iter().enumerate();
    for (index, entry) in sources.filter(|(_, entry)| is_unparsable(entry)).take(TOLD) {
        let does = if entry.starts_with('!') {
            "excludes"
        } else {
            "permits"
        };
        let entry = shorten_middle(&without_user_info(entry), 44);
        findings.warn(
            format!("/spec/sourceRepos/{index}"),
            format!("{entry} cannot be parsed as a URL: it {does} all that cannot be either"),
            "write one that can be parsed",
        );
    }
    warn_of_exclusions(project, inventory, findings);
    let namespaces = spec.source_namespaces.iter().enumerate();
    for (index, _) in namespaces.filter(|(_, entry)| *entry == "//").take(TOLD) {
        findings.warn(
            format!("/spec/sourceNamespaces/{index}"),
            "`//` permits every namespace until Argo CD 3.5, and none since 3.6",
            "write `*`, or leave it out",
        );
    }
}

/// Exclusions by name that hold in fewer namespaces since Argo CD 3.6, if that makes the project
/// wider.
fn warn_of_exclusions(project: &AppProject, inventory: &Inventory, findings: &mut Findings) {
    let spec = &project.spec;
    let is_told = |name: &str, namespace: &str| name.starts_with('!') && namespace != "*";
    let exclusions = || {
        let items = spec.destinations.iter().enumerate();
        items.filter(|(_, item)| is_told(&item.name, &item.namespace))
    };
    if exclusions().next().is_none() || spec.has_costly_patterns() {
        return;
    }
    let [until, since] = [ProjectReading::UpTo35, ProjectReading::Since36]
        .map(|reading| Permissions::read(spec, reading));
    if since.destinations_are_within(&until) {
        return;
    }
    let becomes = match inventory.fleet.project_reading() {
        ProjectReading::UpTo35 => "the upgrade makes the project wider",
        ProjectReading::Since36 => "the project is wider than it was",
    };
    for (index, item) in exclusions().take(TOLD) {
        findings.warn(
            format!("/spec/destinations/{index}"),
            format!(
                "Argo CD 3.6 excludes {} only from '{}', 3.5 from every namespace: {becomes}",
                shorten(&item.name[1..], 30),
                shorten(&item.namespace, 30),
            ),
            "write namespace: \"*\" in it",
        );
    }
}

fn report_destination<'f>(
    field: String,
    error: &DestinationError,
    inventory: &Inventory,
    findings: &'f mut Findings,
) -> &'f mut Finding {
    match error {
        DestinationError::ServerNotFound(cluster) | DestinationError::NameNotFound(cluster) => {
            let Absence { message, fix, fact } = inventory.absence(cluster);
            let finding = if inventory.completeness.has_all_clusters() {
                findings.deny(field, message, fix)
            } else {
                findings.undecided(field, message, fix)
            };
            finding.lack(fact)
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
