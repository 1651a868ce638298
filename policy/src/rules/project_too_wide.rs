use argocd::names::DEFAULT_PROJECT;
use argocd::project::{AppProjectSpec, ProjectDestination};
use argocd::{AppProject, Cluster};

use crate::environment::{Belonging, Membership, place_of_cluster};
use crate::finding::{Finding, Level, shorten};
use crate::ratchet::Limits;
use crate::rule::{Context, Findings, Occasion, Rule, RuleMetadata, Scope, declare_rule};
use crate::subject::{Object, Operation};

declare_rule! {
    /// ## What it does
    ///
    /// Denies an AppProject that lets its Applications reach production and permits any repository,
    /// any cluster, or any cluster-scoped kind. What counts is the effect: `*`, `**`, `https://**` and
    /// the like all permit everything, and so does a list that only excludes, as every exclusion
    /// permits what it does not exclude. It warns where all namespaces of a production cluster are
    /// permitted.
    ///
    /// An AppProject reaches production if it permits a cluster that is production, if a
    /// destination, a namespace or the project itself is named like production, or by its labels. So
    /// a project that permits every cluster is on production as soon as there is one.
    ///
    /// The AppProject `default` that argocd-server makes for itself, with everything permitted, is
    /// warned of: refused, argocd-server would not start. Whoever else writes such a `default` is
    /// denied.
    ///
    /// ## Why
    ///
    /// The AppProject is the only thing that stands between a team's mistake and everything else.
    /// With `*` a typo in a destination deploys staging's values to production, a repository that
    /// nobody has heard of installs a `ClusterRoleBinding`, and nothing in Argo CD objects. Each
    /// new cluster is in reach of every such project from the moment it is added.
    ///
    /// ## How to fix
    ///
    /// List what the project needs: its repositories, its clusters with the namespaces in each, its
    /// cluster-scoped kinds (`clusterResourceWhitelist`; often `Namespace` is enough). Cut `default`
    /// down to nothing once Argo CD runs, it is not made again as long as it is there. A project of
    /// the platform's own may be exempted in the policy, under `rules.project-too-wide.exempt`, by
    /// `projects`.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["*"]
    ///   destinations:
    ///     - { name: prod-eu, namespace: orders }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["https://git.example.com/shop/orders.git"]
    ///   destinations:
    ///     - { server: "!https://kubernetes.default.svc", namespace: orders }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["https://git.example.com/shop/orders.git"]
    ///   destinations:
    ///     - { name: prod-eu, namespace: orders }
    ///   clusterResourceWhitelist:
    ///     - { group: "*", kind: "*" }
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["https://git.example.com/shop/*"]
    ///   destinations:
    ///     - { name: prod-eu, namespace: "orders-*" }
    ///   clusterResourceWhitelist:
    ///     - { group: "", kind: Namespace }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: previews, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["*"]
    ///   destinations:
    ///     - { name: staging-eu, namespace: "*" }
    /// ```
    pub struct ProjectTooWide {
        id: "project-too-wide",
        summary: "no AppProject on production that permits everything",
        judges: ["AppProject"],
        occasion: Occasion::Writing,
        scope: Scope::Production,
    }
}

/// How many pairs of an entry that permits any repository and a destination are compared with those before.
/// More are never as before.
const COMPARED: usize = 100_000;

/// What nothing can be added to.
const ANY_CLUSTER: &str = "any cluster";

/// How many entries of one list are told.
const TOLD: usize = 8;

impl Rule for ProjectTooWide {
    fn metadata(&self) -> &'static RuleMetadata {
        &Self::METADATA
    }

    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let Object::AppProject(project) = context.subject.object else {
            return;
        };
        let report = Report {
            level: if is_made_by_argo_cd(project, context) {
                Level::Warn
            } else {
                Level::Deny
            },
            place: match context.membership {
                Membership::In { evidence, .. } => format!(" ({evidence})"),
                _ => String::new(),
            },
        };
        let spec = &project.spec;
        if spec.is_beyond_measure() {
            let message = "more wildcards than are judged";
            findings.deny("/spec", message, "list what it needs by name");
            return;
        }
        check_source_repos(spec, &report, findings);
        check_destinations(spec, &report, findings);
        check_kinds(spec, &report, findings);
        findings.condense(TOLD);
        warn_of_namespaces(spec, context, findings);
    }
}

/// How findings of this rule are told.
struct Report {
    level: Level,
    place: String,
}

impl Report {
    /// `width` is what the entry permits, and how far that reaches; `limits` is what others exclude.
    fn add<'f>(
        &self,
        findings: &'f mut Findings,
        field: String,
        what: &str,
        fix: &'static str,
        width: &[String],
        limits: &Limits,
    ) -> &'f mut Finding {
        let message = format!("{what}{}", self.place);
        let finding = match self.level {
            Level::Warn => findings.warn(field, message, fix),
            _ => findings.deny(field, message, fix),
        };
        finding.extend_to(width).narrow_by(limits)
    }
}

/// Whether it is the project `default` as argocd-server makes it at its start, and exits if it is
/// refused.
fn is_made_by_argo_cd(project: &AppProject, context: &Context<'_>) -> bool {
    let inventory = context.inventory;
    context.subject.operation == Operation::Create
        && inventory.is_argo_cd_server(context.subject.requester)
        && project.metadata.name == DEFAULT_PROJECT
        && project.metadata.namespace == inventory.fleet.control_plane_namespace
        && project.spec == AppProjectSpec::of_default_project()
}

fn check_source_repos(spec: &AppProjectSpec, report: &Report, findings: &mut Findings) {
    let mut boundless: Vec<usize> = spec.boundless_source_repos().collect();
    let is_exclusion = |index: &usize| spec.source_repos[*index].starts_with('!');
    // Where something permits everything, what is excluded only takes from that.
    if !boundless.iter().all(is_exclusion) {
        boundless.retain(|index| !is_exclusion(index));
    }
    let is_compared = boundless.len() * spec.destinations.len() <= COMPARED;
    if !is_compared {
        boundless.truncate(TOLD);
    }
    // Any repository, on more clusters, is more.
    let cluster = |item: &ProjectDestination| {
        if item.permits_any_cluster() {
            ANY_CLUSTER.to_owned()
        } else {
            format!("{} {}", item.name, item.server)
        }
    };
    let mut reached: Vec<String> = spec.destinations.iter().map(cluster).collect();
    if reached.iter().any(|cluster| cluster == ANY_CLUSTER) {
        reached = vec![ANY_CLUSTER.to_owned()];
    }
    let excluded = spec.source_repos.iter();
    let excluded = excluded.filter(|pattern| pattern.starts_with('!'));
    let limits = Limits::new(excluded);
    for index in boundless {
        let pattern = &spec.source_repos[index];
        let (other, width) = if pattern.starts_with('!') {
            (" other", "anything else".to_owned())
        } else {
            ("", pattern.clone())
        };
        let what = format!("{} permits any{other} repository", shorten(pattern, 40));
        let field = format!("/spec/sourceRepos/{index}");
        let fix = "list the repositories it needs";
        let width: Vec<String> = reached.iter().cloned().chain([width]).collect();
        let finding = report.add(findings, field, &what, fix, &width, &limits);
        if !is_compared {
            finding.extent.be_unjudged();
        }
    }
}

fn check_destinations(spec: &AppProjectSpec, report: &Report, findings: &mut Findings) {
    // Then only clusters that belong to the project count, whatever is permitted.
    if spec.permit_only_project_scoped_clusters {
        return;
    }
    let written = |item: &ProjectDestination| format!("{item:?}");
    let items = spec.destinations.iter().enumerate();
    let excluded = items.clone().filter(|(_, item)| item.excludes());
    let limits = Limits::new(excluded.map(|(_, item)| written(item)));
    for (index, item) in items.filter(|(_, item)| item.permits_any_cluster()) {
        let field = format!("/spec/destinations/{index}");
        let fix = "list the clusters it needs";
        let width = [written(item)];
        report.add(findings, field, "permits any cluster", fix, &width, &limits);
    }
}

fn check_kinds(spec: &AppProjectSpec, report: &Report, findings: &mut Findings) {
    let limits = Limits::new([""; 0]);
    let items = spec.cluster_resource_whitelist.iter().enumerate();
    for (index, item) in items.filter(|(_, item)| item.permits_any_kind()) {
        let field = format!("/spec/clusterResourceWhitelist/{index}");
        let fix = "list the kinds it needs";
        let what = "permits any cluster-scoped kind";
        let width = [format!("{item:?}")];
        report.add(findings, field, what, fix, &width, &limits);
    }
}

fn warn_of_namespaces(spec: &AppProjectSpec, context: &Context<'_>, findings: &mut Findings) {
    let is_production = |cluster: &&Cluster| {
        let place = place_of_cluster(cluster, context.inventory);
        let production = |belonging: &Belonging<'_>| belonging.production;
        place.environments.iter().any(production)
    };
    let clusters = context.inventory.fleet.clusters.iter();
    let production: Vec<&Cluster> = clusters.filter(is_production).collect();
    let whole = spec.destinations.iter().enumerate();
    let whole = whole
        .filter(|(_, item)| item.permits_any_namespace() && !item.permits_any_cluster())
        .filter_map(|(index, item)| {
            let clusters = item.clusters();
            let reached = production.iter().find(|cluster| clusters.matches(cluster));
            reached.map(|cluster| (index, cluster))
        });
    for (index, cluster) in whole.take(TOLD) {
        findings.warn(
            format!("/spec/destinations/{index}/namespace"),
            format!("permits any namespace of {}", shorten(&cluster.name, 40)),
            "list the namespaces it needs",
        );
    }
}
