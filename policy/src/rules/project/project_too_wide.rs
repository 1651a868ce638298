use argocd::names::DEFAULT_PROJECT;
use argocd::project::{AppProjectSpec, Permissions, ProjectReading};
use argocd::project::{EffectiveProject, List, Origin};
use argocd::{AppProject, Cluster};

use super::breadth::{self, Breadth, is_of_any_namespace};
use crate::finding::{Level, shorten};
use crate::request::environment::{
    InEnvironment, environments_of_cluster, membership_of_effective,
};
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Scope, declare_rule};
use crate::terms::environment::Membership;

declare_rule! {
    /// ## What it does
    ///
    /// Denies an AppProject that lets its Applications reach production and permits any repository,
    /// any cluster, or any cluster-scoped kind. What counts is the effect: `*`, `**`, `https://**`,
    /// `[!u]*`, `{a*,*}` and the like all permit everything, entries that permit a part each do so
    /// together, and so does a list that only excludes, as every exclusion permits what it does not
    /// exclude. What is excluded beside `*` makes no difference, unless nothing is left. Kinds are
    /// compared as Go's `filepath.Match` does, as Argo CD compares them. It warns where all
    /// namespaces of a production cluster are permitted.
    ///
    /// An AppProject is judged as Argo CD puts it together: with the repositories and clusters that
    /// belong to it, and with the global projects that its labels select (`globalProjects` in
    /// `argocd-cm`). A global project is judged by each AppProject that it widens, as well. A
    /// change of `argocd-cm` itself is not put to the webhook: it is judged by `check`, and in the
    /// cluster with the next change of one of the AppProjects. Neither is the deletion of a global
    /// project, whose exclusions go with it.
    ///
    /// An update passes, with a warning, if it permits nothing that was not permitted before,
    /// however it is written.
    ///
    /// An AppProject reaches production if it permits a cluster that is production, if a
    /// destination, a namespace or the project itself is named like production, or by its labels.
    /// So a project that permits every cluster is on production as soon as there is one. A
    /// destination that names a cluster which is not there counts as production, since it may
    /// become that.
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
    /// cluster-scoped kinds (`clusterResourceWhitelist`; often `Namespace` is enough). Cut
    /// `default` down to nothing once Argo CD runs, it is not made again as long as it is there. A
    /// project of the platform's own may be exempted in the policy, under
    /// `rules.project-too-wide.exempt`, by `projects`.
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
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: { name: argocd-cm, namespace: argocd }
    /// data:
    ///   globalProjects: |
    ///     - { projectName: common, labelSelector: { matchLabels: { tier: live } } }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: common, namespace: argocd }
    /// spec:
    ///   sourceRepos: ["*"]
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: AppProject
    /// metadata: { name: orders, namespace: argocd, labels: { tier: live } }
    /// spec:
    ///   sourceRepos: ["https://git.example.com/shop/orders.git"]
    ///   destinations:
    ///     - { name: prod-eu, namespace: orders }
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
        judges: [AppProject],
        judged_on: JudgedOn::Writing,
        scope: Scope::Production,
    }
}

/// How many entries of one list are told.
const TOLD: usize = 8;

impl ObjectRule<AppProject> for ProjectTooWide {
    fn check(&self, request: Request<&AppProject>, context: &Context<'_>, findings: &mut Findings) {
        let project = *request.object();
        let level = if is_made_by_argo_cd(request, context) {
            Level::Warn
        } else {
            Level::Deny
        };
        let old = request.old().copied();
        let fleet = &context.inventory.fleet;
        let own = Judged {
            project: fleet.effective(project),
            before: old.map(|old| fleet.effective(old)),
            level,
            reading: fleet.project_reading(),
            widened_by: None,
        };
        own.check(context, findings);
        let before = old.map(|old| fleet.widened_by(old)).unwrap_or_default();
        for other in fleet.widened_by(project) {
            let is_other = |before: &&EffectiveProject| before.metadata.name == other.metadata.name;
            let other = Judged {
                before: before.iter().find(is_other).cloned(),
                project: other,
                level,
                reading: fleet.project_reading(),
                widened_by: Some(&project.metadata.name),
            };
            other.check(context, findings);
        }
        warn_of_namespaces(&own.project, context, findings);
    }
}

/// A project as Argo CD puts it together, and how what is found in it is told.
struct Judged<'j> {
    project: EffectiveProject,
    /// The same before the update.
    before: Option<EffectiveProject>,
    level: Level,
    reading: ProjectReading,
    /// The global project that is being written, where this is another.
    widened_by: Option<&'j str>,
}

/// What is asked of one list.
struct Question {
    list: List,
    /// The entries, as they are written.
    entries: Vec<String>,
    breadth: Breadth,
    /// Whether it goes no further than before.
    is_no_worse: bool,
    what: &'static str,
    fix: &'static str,
}

impl Judged<'_> {
    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let Some(place) = self.place(context) else {
            return;
        };
        let spec = &self.project.spec;
        if spec.has_costly_patterns() {
            let message = "more wildcards than are judged";
            findings.deny("/spec", message, "list what it needs by name");
            return;
        }
        let permissions = Permissions::read(spec, self.reading);
        let before = self.before.as_ref();
        let before = before.map(|before| Permissions::read(&before.spec, self.reading));
        for question in questions(spec, &permissions, before.as_ref()) {
            self.tell(&question, &place, findings);
        }
    }

    /// The evidence that it is on production, if it is. Where that is not known, it is not told for
    /// another project than what is written.
    fn place(&self, context: &Context<'_>) -> Option<String> {
        let inventory = context.inventory;
        let membership = membership_of_effective(&self.project, context.holds, inventory);
        match membership {
            Membership::In { evidence, .. } => Some(format!(" ({evidence})")),
            Membership::Everywhere | Membership::MayBeAnywhere => Some(String::new()),
            Membership::Unknown { .. } => {
                let is_asked = matches!(context.membership, Membership::Unknown { .. });
                is_asked.then(String::new)
            }
            Membership::NotIn => None,
        }
    }

    fn tell(&self, question: &Question, place: &str, findings: &mut Findings) {
        let Question {
            list,
            entries,
            breadth,
            is_no_worse,
            what,
            fix,
        } = question;
        let mut add = |field: String, message: String, fix: String| {
            let message = format!("{message}{place}");
            let finding = match self.level {
                Level::Warn => findings.warn(field, message, fix),
                _ => findings.deny(field, message, fix),
            };
            finding.compare(*is_no_worse, entries);
        };
        let name = field_of(*list);
        match breadth {
            Breadth::Bounded => {}
            Breadth::Together => {
                let subject = match self.widened_by {
                    Some(_) => format!("with it, AppProject {}", self.name()),
                    None => "together they".to_owned(),
                };
                let permits = if self.widened_by.is_some() {
                    "permits"
                } else {
                    "permit"
                };
                let field = format!("/spec/{name}");
                add(
                    field,
                    format!("{subject} {permits} {what}"),
                    (*fix).to_owned(),
                );
            }
            Breadth::Entries(places) => {
                for &index in places {
                    let (origin, place) = self.project.origin(*list, index);
                    let entry = &entries[index];
                    let message = permits(*list, entry, what);
                    match (origin, self.widened_by) {
                        (Origin::Own, None) => {
                            add(format!("/spec/{name}/{place}"), message, (*fix).to_owned());
                        }
                        (Origin::Global(global), Some(written)) if global == written => {
                            let message = format!("in AppProject {}, {message}", self.name());
                            add(format!("/spec/{name}/{place}"), message, (*fix).to_owned());
                        }
                        (Origin::Global(global), None) => {
                            let global = shorten(global, 30);
                            let message = format!("by global project {global}, {message}");
                            let fix =
                                format!("list in {global} what is needed, or do not select it");
                            add(self.field_that_selects().to_owned(), message, fix);
                        }
                        (Origin::Scoped, None) => {
                            let message = format!("by a Secret of its own, {message}");
                            add("/metadata/name".to_owned(), message, (*fix).to_owned());
                        }
                        // Only what the written project had kept within bounds until now is its
                        // doing.
                        (_, Some(_)) if self.is_no_longer_bounded(*list) => {
                            let message = format!(
                                "what it excluded is permitted in AppProject {}, where {message}",
                                self.name()
                            );
                            add("/spec".to_owned(), message, "exclude it still".to_owned());
                        }
                        (_, Some(_)) => {}
                    }
                }
            }
        }
    }

    fn name(&self) -> String {
        shorten(&self.project.metadata.name, 30)
    }

    fn field_that_selects(&self) -> &'static str {
        if self.project.metadata.labels.is_empty() {
            "/metadata/name"
        } else {
            "/metadata/labels"
        }
    }

    fn is_no_longer_bounded(&self, list: List) -> bool {
        self.before.as_ref().is_some_and(|before| {
            !before.spec.has_costly_patterns() && {
                let permissions = Permissions::read(&before.spec, self.reading);
                breadth(&permissions, list) == Breadth::Bounded
            }
        })
    }
}

/// Whether it is the project `default` as argocd-server makes it at its start, and exits if it is
/// refused.
fn is_made_by_argo_cd(request: Request<&AppProject>, context: &Context<'_>) -> bool {
    let Request::Create(project) = request else {
        return false;
    };
    let inventory = context.inventory;
    inventory.is_argo_cd_server(context.requester)
        && project.metadata.name == DEFAULT_PROJECT
        && project.metadata.namespace == inventory.fleet.control_plane_namespace
        && project.spec == AppProjectSpec::of_default_project()
}

fn breadth(permissions: &Permissions, list: List) -> Breadth {
    match list {
        List::SourceRepos => breadth::of_sources(permissions, TOLD),
        List::Destinations => breadth::of_destinations(permissions, TOLD),
        List::ClusterResourceWhitelist => breadth::of_cluster_resources(permissions, TOLD),
    }
}

/// What is asked of a project: how wide its lists are, and, where one is, whether it was before.
fn questions(
    spec: &AppProjectSpec,
    permissions: &Permissions,
    before: Option<&Permissions>,
) -> Vec<Question> {
    let no_worse = |breadth: &Breadth, compare: &dyn Fn(&Permissions) -> bool| {
        *breadth != Breadth::Bounded && before.is_some_and(compare)
    };
    let mut sources = breadth(permissions, List::SourceRepos);
    let is_exclusion = |index: usize| spec.source_repos[index].trim_start().starts_with('!');
    keep_what_includes(&mut sources, is_exclusion);
    let destinations = if spec.permit_only_project_scoped_clusters {
        // Then only clusters that belong to the project count, whatever is permitted.
        Breadth::Bounded
    } else {
        let excludes = |index: usize| {
            let item = &spec.destinations[index];
            item.name.starts_with('!') || item.server.starts_with('!')
        };
        let mut destinations = breadth(permissions, List::Destinations);
        keep_what_includes(&mut destinations, excludes);
        destinations
    };
    let kinds = breadth(permissions, List::ClusterResourceWhitelist);
    vec![
        Question {
            list: List::SourceRepos,
            entries: spec.source_repos.clone(),
            // Any repository, on more clusters, is more.
            is_no_worse: no_worse(&sources, &|before| {
                permissions.sources_are_within(before) && permissions.clusters_are_within(before)
            }),
            breadth: sources,
            what: "any repository",
            fix: "list the repositories it needs",
        },
        Question {
            list: List::Destinations,
            entries: spec
                .destinations
                .iter()
                .map(|item| format!("{item:?}"))
                .collect(),
            is_no_worse: no_worse(&destinations, &|before| {
                permissions.destinations_are_within(before)
            }),
            breadth: destinations,
            what: "any cluster",
            fix: "list the clusters it needs",
        },
        Question {
            list: List::ClusterResourceWhitelist,
            entries: spec
                .cluster_resource_whitelist
                .iter()
                .map(|item| format!("{item:?}"))
                .collect(),
            is_no_worse: no_worse(&kinds, &|before| {
                permissions.cluster_resources_are_within(before)
                    && permissions.clusters_are_within(before)
            }),
            breadth: kinds,
            what: "any cluster-scoped kind",
            fix: "list the kinds it needs",
        },
    ]
}

/// Where something permits everything, what is excluded only takes from that.
fn keep_what_includes(breadth: &mut Breadth, excludes: impl Fn(usize) -> bool) {
    if let Breadth::Entries(places) = breadth
        && !places.iter().all(|&index| excludes(index))
    {
        places.retain(|&index| !excludes(index));
    }
}

fn field_of(list: List) -> &'static str {
    match list {
        List::SourceRepos => "sourceRepos",
        List::Destinations => "destinations",
        List::ClusterResourceWhitelist => "clusterResourceWhitelist",
    }
}

/// What an entry permits, in words.
fn permits(list: List, entry: &str, what: &str) -> String {
    match list {
        List::SourceRepos if entry.trim_start().starts_with('!') => {
            format!("{} permits any other repository", shorten(entry, 40))
        }
        List::SourceRepos => format!("{} permits {what}", shorten(entry, 40)),
        List::Destinations | List::ClusterResourceWhitelist => format!("permits {what}"),
    }
}

fn warn_of_namespaces(project: &EffectiveProject, context: &Context<'_>, findings: &mut Findings) {
    let spec = &project.spec;
    if spec.has_costly_patterns() {
        return;
    }
    let is_production = |cluster: &&Cluster| {
        let place = environments_of_cluster(cluster, context.inventory);
        let production = |found: &InEnvironment<'_>| found.production;
        place.environments.iter().any(production)
    };
    let clusters = context.inventory.fleet.clusters.iter();
    let production: Vec<&Cluster> = clusters.filter(is_production).collect();
    let permissions = Permissions::read(spec, context.inventory.fleet.project_reading());
    let of_any_cluster = match breadth::of_destinations(&permissions, spec.destinations.len()) {
        Breadth::Entries(places) => places,
        Breadth::Bounded | Breadth::Together => Vec::new(),
    };
    let own = spec.destinations.iter().enumerate().filter(|(index, _)| {
        let (origin, _) = project.origin(List::Destinations, *index);
        *origin == Origin::Own && of_any_cluster.binary_search(index).is_err()
    });
    let whole = own
        .filter(|(_, item)| is_of_any_namespace(item))
        .filter_map(|(index, _)| {
            let is_about = |cluster: &&&Cluster| permissions.entry_is_about(index, cluster);
            let reached = production.iter().find(is_about);
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
