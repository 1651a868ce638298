//! What Argo CD itself refuses to compare or sync, and with which words.
//!
//! Follows Argo CD 3.5: `GetAppProject`, `ValidatePermissions` and `validateSourcePermissions` in
//! `util/argo/argo.go`, in their order. Argo CD stores such an Application all the same and shows
//! the condition on it.

use crate::application::{Application, ApplicationSource, SourceHydrator, Sources};
use crate::cluster::DestinationError;
use crate::fleet::Fleet;
use crate::project::Permissions;

/// A condition that Argo CD would set, with the field that causes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// JSON Pointer into the Application.
    pub field: String,
    /// What is wrong.
    pub problem: Problem,
}

/// Why Argo CD refuses an Application. The texts are its own.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// There is no such AppProject.
    #[error("Application referencing project {project} which does not exist")]
    ProjectNotFound {
        /// `spec.project`.
        project: String,
    },
    /// The project is not for Applications of this namespace.
    #[error(
        "application '{name}' in namespace '{namespace}' is not allowed to use project {project}"
    )]
    NamespaceNotPermitted {
        /// The Application's name.
        name: String,
        /// The Application's namespace.
        namespace: String,
        /// `spec.project`.
        project: String,
    },
    /// The source lacks its repository, or says not what to take from it.
    #[error("spec.source.repoURL and either spec.source.path or spec.source.chart are required")]
    SourceIncomplete,
    /// The same for one of several sources, which may also be there to be referred to. Argo CD's
    /// text goes on with the source.
    #[error(
        "spec.source.repoURL and either source.path, source.chart, or source.ref are required for source"
    )]
    OneOfSourcesIncomplete,
    /// A chart without a version.
    #[error("spec.source.targetRevision is required if the manifest source is a helm chart")]
    ChartRevisionMissing,
    /// The project does not permit the repository.
    #[error("application repo {repository} is not permitted in project '{project}'")]
    SourceNotPermitted {
        /// `repoURL`. It can hold a password.
        repository: String,
        /// `spec.project`.
        project: String,
    },
    /// The project does not permit the repository that the hydrator writes to.
    #[error("sync source repo {repository} is not permitted in project '{project}'")]
    SyncSourceNotPermitted {
        /// `syncSource.repoURL`. It can hold a password.
        repository: String,
        /// `spec.project`.
        project: String,
    },
    /// The dry source has no repository.
    #[error("spec.sourceHydrator.drySource.repoURL is required")]
    HydratorRepositoryMissing,
    /// The sync source has no branch.
    #[error("spec.sourceHydrator.syncSource.targetBranch is required")]
    HydratorBranchMissing,
    /// `hydrateTo` has no branch.
    #[error(
        "when spec.sourceHydrator.hydrateTo is set, spec.sourceHydrator.hydrateTo.targetBranch is required"
    )]
    HydrateToBranchMissing,
    /// The destination means no cluster, or several.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The project does not permit the cluster or the namespace.
    #[error(
        "application destination server '{cluster}' and namespace '{namespace}' do not match any of the allowed destinations in project '{project}'"
    )]
    DestinationNotPermitted {
        /// The cluster's server, or its name if the destination is given by name.
        cluster: String,
        /// `destination.namespace`.
        namespace: String,
        /// `spec.project`.
        project: String,
    },
}

/// The conditions that Argo CD would set on an Application, in its order.
pub fn conditions(application: &Application<'_>, fleet: &Fleet) -> Vec<Condition> {
    let project = application.spec.project();
    let Some(permissions) = fleet.project(project) else {
        return vec![Condition::new(
            "/spec/project",
            Problem::ProjectNotFound {
                project: project.to_owned(),
            },
        )];
    };
    if let Some(condition) = namespace_condition(application, permissions, fleet) {
        return vec![condition];
    }
    let mut conditions = Vec::new();
    if spec_sources(application, permissions, &mut conditions).is_err() {
        return conditions;
    }
    conditions.extend(destination_condition(application, permissions, fleet));
    conditions
}

impl Condition {
    fn new(field: impl Into<String>, problem: Problem) -> Self {
        Condition {
            field: field.into(),
            problem,
        }
    }
}

/// The condition on an Application outside of the control plane's namespace.
fn namespace_condition(
    application: &Application<'_>,
    permissions: &Permissions,
    fleet: &Fleet,
) -> Option<Condition> {
    let namespace = application.metadata.namespace.as_str();
    let permitted = namespace.is_empty()
        || namespace == fleet.control_plane_namespace
        || permissions.permits_source_namespace(namespace);
    (!permitted).then(|| {
        Condition::new(
            "/metadata/namespace",
            Problem::NamespaceNotPermitted {
                name: application.metadata.name.to_string(),
                namespace: namespace.to_owned(),
                project: application.spec.project().to_owned(),
            },
        )
    })
}

/// A source that is not well-formed ends the validation.
struct Malformed;

fn spec_sources(
    application: &Application<'_>,
    permissions: &Permissions,
    conditions: &mut Vec<Condition>,
) -> Result<(), Malformed> {
    let project = application.spec.project();
    match application.spec.effective_sources() {
        Sources::Hydrator(hydrator) => {
            hydrator_conditions(hydrator, project, permissions, conditions)
        }
        Sources::Several(sources) => sources.iter().enumerate().try_for_each(|(index, source)| {
            let field = format!("/spec/sources/{index}");
            let incomplete = (source.repo_url.is_empty()
                || source.path.is_empty()
                    && source.chart.is_empty()
                    && source.reference.is_empty())
            .then_some(Problem::OneOfSourcesIncomplete);
            source_conditions(source, incomplete, &field, project, permissions, conditions)
        }),
        Sources::Single(Some(source)) => {
            let incomplete = (source.repo_url.is_empty()
                || source.path.is_empty() && source.chart.is_empty())
            .then_some(Problem::SourceIncomplete);
            source_conditions(
                source,
                incomplete,
                "/spec/source",
                project,
                permissions,
                conditions,
            )
        }
        Sources::Single(None) => {
            conditions.push(Condition::new("/spec/source", Problem::SourceIncomplete));
            Err(Malformed)
        }
    }
}

fn source_conditions(
    source: &ApplicationSource<'_>,
    incomplete: Option<Problem>,
    field: &str,
    project: &str,
    permissions: &Permissions,
    conditions: &mut Vec<Condition>,
) -> Result<(), Malformed> {
    if let Some(problem) = incomplete {
        conditions.push(Condition::new(field, problem));
        return Err(Malformed);
    }
    if !source.chart.is_empty() && source.target_revision.is_empty() {
        let field = format!("{field}/targetRevision");
        conditions.push(Condition::new(field, Problem::ChartRevisionMissing));
        return Err(Malformed);
    }
    conditions.extend(repository_condition(
        &source.repo_url,
        &format!("{field}/repoURL"),
        project,
        permissions,
    ));
    Ok(())
}

fn hydrator_conditions(
    hydrator: &SourceHydrator<'_>,
    project: &str,
    permissions: &Permissions,
    conditions: &mut Vec<Condition>,
) -> Result<(), Malformed> {
    let malformed = hydrator_problems(hydrator);
    if !malformed.is_empty() {
        conditions.extend(malformed.into_iter().map(|(field, problem)| {
            Condition::new(format!("/spec/sourceHydrator/{field}"), problem)
        }));
        return Err(Malformed);
    }
    let dry = hydrator.dry_source.repo_url.as_str();
    let sync = hydrator.sync_source.repo_url.as_str();
    conditions.extend(repository_condition(
        dry,
        "/spec/sourceHydrator/drySource/repoURL",
        project,
        permissions,
    ));
    // An empty one stands for the repository of the dry source.
    if !sync.is_empty() && sync != dry && !permissions.permits_source(sync) {
        conditions.push(Condition::new(
            "/spec/sourceHydrator/syncSource/repoURL",
            Problem::SyncSourceNotPermitted {
                repository: sync.to_owned(),
                project: project.to_owned(),
            },
        ));
    }
    Ok(())
}

/// All that is missing, each with its field below `sourceHydrator`.
fn hydrator_problems(hydrator: &SourceHydrator<'_>) -> Vec<(&'static str, Problem)> {
    let mut problems = Vec::new();
    if hydrator.dry_source.repo_url.is_empty() {
        problems.push(("drySource/repoURL", Problem::HydratorRepositoryMissing));
    }
    if hydrator.sync_source.target_branch.is_empty() {
        problems.push(("syncSource/targetBranch", Problem::HydratorBranchMissing));
    }
    let hydrate_to = hydrator.hydrate_to.as_ref();
    if hydrate_to.is_some_and(|to| to.target_branch.is_empty()) {
        problems.push(("hydrateTo/targetBranch", Problem::HydrateToBranchMissing));
    }
    problems
}

/// The condition on a repository that the project does not permit.
pub fn repository_condition(
    repository: &str,
    field: &str,
    project: &str,
    permissions: &Permissions,
) -> Option<Condition> {
    (!permissions.permits_source(repository)).then(|| {
        Condition::new(
            field,
            Problem::SourceNotPermitted {
                repository: repository.to_owned(),
                project: project.to_owned(),
            },
        )
    })
}

fn destination_condition(
    application: &Application<'_>,
    permissions: &Permissions,
    fleet: &Fleet,
) -> Option<Condition> {
    let destination = &application.spec.destination;
    let project = application.spec.project();
    let cluster = match fleet.clusters.resolve(destination) {
        Ok(cluster) => cluster,
        Err(error) => return Some(Condition::new("/spec/destination", error.into())),
    };
    let permitted = permissions.permits_destination(
        cluster,
        &destination.namespace,
        fleet.clusters_of(project),
    );
    (!permitted).then(|| {
        let shown = if destination.name.is_empty() {
            &cluster.server
        } else {
            &cluster.name
        };
        Condition::new(
            "/spec/destination",
            Problem::DestinationNotPermitted {
                cluster: shown.clone(),
                namespace: destination.namespace.to_string(),
                project: project.to_owned(),
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::Cluster;
    use crate::fleet::Parts;
    use crate::settings::Settings;

    /// A fleet with the project `web` and the cluster `engine`, which Argo CD runs in.
    fn fleet(settings: Settings) -> Fleet {
        let project = json!({"metadata": {"name": "web"}, "spec": {
            "sourceRepos": ["https://h/web/*"],
            "destinations": [{"server": "*", "namespace": "web"}],
        }});
        let engine = Cluster {
            name: "engine".to_owned(),
            server: "https://kubernetes.default.svc".to_owned(),
            ..Cluster::default()
        };
        Fleet::new(Parts {
            control_plane_namespace: "argocd".to_owned(),
            projects: vec![serde_json::from_value(project).unwrap()],
            clusters: vec![engine],
            settings,
            ..Parts::default()
        })
    }

    /// The fields and texts of the conditions on an Application of the project `web`.
    fn found_in(fleet: &Fleet, namespace: &str, spec: &Value) -> Vec<(String, String)> {
        let mut spec = spec.clone();
        spec["project"] = "web".into();
        let json =
            json!({"metadata": {"name": "a", "namespace": namespace}, "spec": spec}).to_string();
        conditions(&Application::from_json(&json).unwrap(), fleet)
            .into_iter()
            .map(|condition| (condition.field, condition.problem.to_string()))
            .collect()
    }

    fn found(spec: &Value) -> Vec<(String, String)> {
        found_in(&fleet(Settings::default()), "argocd", spec)
    }

    fn destination(destination: &Value) -> Vec<(String, String)> {
        found(&json!({
            "source": {"repoURL": "https://h/web/a", "path": "."},
            "destination": destination,
        }))
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |&(field, text): &(&str, &str)| (field.to_owned(), text.to_owned());
        expected.iter().map(owned).collect()
    }

    #[test]
    fn a_namespace_that_is_not_permitted_is_the_only_condition() {
        assert_eq!(
            found_in(&fleet(Settings::default()), "team", &json!({})),
            pairs(&[(
                "/metadata/namespace",
                "application 'a' in namespace 'team' is not allowed to use project web"
            )])
        );
    }

    #[test]
    fn an_incomplete_source_ends_the_validation() {
        assert_eq!(
            found(&json!({"source": {"repoURL": "https://other/a", "ref": "values"}})),
            pairs(&[(
                "/spec/source",
                "spec.source.repoURL and either spec.source.path or spec.source.chart are required"
            )])
        );
        let sources = json!([
            {"repoURL": "https://other/a", "ref": "values"},
            {"repoURL": "https://h/web/a"},
            {},
        ]);
        assert_eq!(
            found(&json!({"sources": sources})),
            pairs(&[
                (
                    "/spec/sources/0/repoURL",
                    "application repo https://other/a is not permitted in project 'web'"
                ),
                (
                    "/spec/sources/1",
                    "spec.source.repoURL and either source.path, source.chart, or source.ref are required for source"
                ),
            ])
        );
    }

    #[test]
    fn all_that_a_hydrator_lacks_is_told() {
        assert_eq!(
            found(&json!({"sourceHydrator": {"hydrateTo": {}}})),
            pairs(&[
                (
                    "/spec/sourceHydrator/drySource/repoURL",
                    "spec.sourceHydrator.drySource.repoURL is required"
                ),
                (
                    "/spec/sourceHydrator/syncSource/targetBranch",
                    "spec.sourceHydrator.syncSource.targetBranch is required"
                ),
                (
                    "/spec/sourceHydrator/hydrateTo/targetBranch",
                    "when spec.sourceHydrator.hydrateTo is set, spec.sourceHydrator.hydrateTo.targetBranch is required"
                ),
            ])
        );
    }

    #[test]
    fn the_repository_that_a_hydrator_writes_to_must_be_permitted_too() {
        let hydrated = |sync: &str| {
            found(&json!({
                "sourceHydrator": {
                    "drySource": {"repoURL": "https://h/web/a"},
                    "syncSource": {"repoURL": sync, "targetBranch": "live"},
                },
                "destination": {"name": "engine", "namespace": "web"},
            }))
        };
        assert_eq!(hydrated(""), pairs(&[]));
        assert_eq!(
            hydrated("https://other/a"),
            pairs(&[(
                "/spec/sourceHydrator/syncSource/repoURL",
                "sync source repo https://other/a is not permitted in project 'web'"
            )])
        );
    }

    #[test]
    fn a_destination_is_told_as_it_was_resolved() {
        let not_permitted = |cluster: &str| {
            let text = format!(
                "application destination server '{cluster}' and namespace 'shop' do not match any of the allowed destinations in project 'web'"
            );
            pairs(&[("/spec/destination", &text)])
        };
        let server = "https://kubernetes.default.svc";
        assert_eq!(
            destination(&json!({"server": format!("{server}//"), "namespace": "shop"})),
            not_permitted(server)
        );
        assert_eq!(
            destination(&json!({"name": "in-cluster", "namespace": "shop"})),
            not_permitted("engine")
        );
    }

    #[test]
    fn a_server_that_no_cluster_has_is_told_as_it_is_written() {
        assert_eq!(
            destination(&json!({"server": "https://gone/"})),
            pairs(&[(
                "/spec/destination",
                r#"error getting cluster by server "https://gone/": rpc error: code = NotFound desc = cluster "https://gone" not found"#
            )])
        );
        assert_eq!(
            destination(&json!({"server": "/"})),
            pairs(&[(
                "/spec/destination",
                r#"error getting cluster by server "/": rpc error: code = NotFound desc = cluster "" not found"#
            )])
        );
        assert_eq!(
            destination(&json!({"name": "a", "server": "/"})),
            pairs(&[(
                "/spec/destination",
                "application destination can't have both name and server defined: a /"
            )])
        );
    }

    #[test]
    fn the_disabled_cluster_is_told_by_server_and_unknown_by_name() {
        let disabled = fleet(Settings {
            in_cluster_enabled: false,
            ..Settings::default()
        });
        let found = |destination: &Value| {
            let source = json!({"repoURL": "https://h/web/a", "path": "."});
            let spec = json!({"source": source, "destination": destination});
            found_in(&disabled, "argocd", &spec)
        };
        assert_eq!(
            found(&json!({"server": "https://kubernetes.default.svc"})),
            pairs(&[(
                "/spec/destination",
                r#"error getting cluster by server "https://kubernetes.default.svc": rpc error: code = NotFound desc = cluster "https://kubernetes.default.svc" is disabled"#
            )])
        );
        for name in ["in-cluster", "engine"] {
            let text = format!("there are no clusters with this name: {name}");
            assert_eq!(
                found(&json!({"name": name})),
                pairs(&[("/spec/destination", &text)])
            );
        }
    }
}
