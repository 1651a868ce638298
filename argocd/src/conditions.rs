//! What Argo CD itself refuses to compare or sync, and with which words.
//!
//! Follows Argo CD 3.5: `GetAppProject`, `ValidatePermissions` and `validateSourcePermissions` in
//! `util/argo/argo.go`, in their order. Argo CD stores such an Application all the same and shows
//! the condition on it.

use crate::application::{Application, ApplicationSource, SourceHydrator, Sources};
use crate::destination::DestinationError;
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
        "application '{name}' in namespace '{namespace}' is not permitted to use project '{project}'"
    )]
    NamespaceNotPermitted {
        /// The Application's name.
        name: String,
        /// The Application's namespace.
        namespace: String,
        /// `spec.project`.
        project: String,
    },
    /// A source lacks its repository, or says not what to take from it.
    #[error("spec.source.repoURL and either spec.source.path or spec.source.chart are required")]
    SourceIncomplete,
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
    /// The dry source has no repository.
    #[error("spec.sourceHydrator.drySource.repoURL is required")]
    HydratorRepositoryMissing,
    /// The sync source has no branch.
    #[error("spec.sourceHydrator.syncSource.targetBranch is required")]
    HydratorBranchMissing,
    /// `hydrateTo` has no branch.
    #[error("spec.sourceHydrator.hydrateTo.targetBranch is required")]
    HydrateToBranchMissing,
    /// The destination means no cluster, or several.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The project does not permit the cluster or the namespace.
    #[error(
        "application destination server '{cluster}' and namespace '{namespace}' do not match any of the allowed destinations in project '{project}'"
    )]
    DestinationNotPermitted {
        /// The server, or the name if the destination is given by name.
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
            let complete =
                !source.path.is_empty() || !source.chart.is_empty() || !source.reference.is_empty();
            source_conditions(source, complete, &field, project, permissions, conditions)
        }),
        Sources::Single(Some(source)) => {
            let complete = !source.path.is_empty() || !source.chart.is_empty();
            source_conditions(
                source,
                complete,
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
    complete: bool,
    field: &str,
    project: &str,
    permissions: &Permissions,
    conditions: &mut Vec<Condition>,
) -> Result<(), Malformed> {
    if source.repo_url.is_empty() || !complete {
        conditions.push(Condition::new(field, Problem::SourceIncomplete));
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
    let hydrate_to = hydrator.hydrate_to.as_ref();
    let malformed = if hydrator.dry_source.repo_url.is_empty() {
        Some(("drySource/repoURL", Problem::HydratorRepositoryMissing))
    } else if hydrator.sync_source.target_branch.is_empty() {
        Some(("syncSource/targetBranch", Problem::HydratorBranchMissing))
    } else if hydrate_to.is_some_and(|to| to.target_branch.is_empty()) {
        Some(("hydrateTo/targetBranch", Problem::HydrateToBranchMissing))
    } else {
        None
    };
    if let Some((field, problem)) = malformed {
        let field = format!("/spec/sourceHydrator/{field}");
        conditions.push(Condition::new(field, problem));
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
    if !sync.is_empty() && sync != dry {
        conditions.extend(repository_condition(
            sync,
            "/spec/sourceHydrator/syncSource/repoURL",
            project,
            permissions,
        ));
    }
    Ok(())
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
        let written = if destination.name.is_empty() {
            &destination.server
        } else {
            &destination.name
        };
        Condition::new(
            "/spec/destination",
            Problem::DestinationNotPermitted {
                cluster: written.to_string(),
                namespace: destination.namespace.to_string(),
                project: project.to_owned(),
            },
        )
    })
}
