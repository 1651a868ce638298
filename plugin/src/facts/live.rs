//! Facts of a live cluster: what the admission webhook watches, read once.

use std::sync::Arc;

use argocd::application::EnabledField;
use argocd::names::{
    APPLICATION_DEFINITION, GROUP, LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER, SECRET_TYPE_REPOSITORY,
    SETTINGS_CONFIG_MAP, VERSION,
};
use argocd::settings::SettingsConfigMap;
use argocd::{AppProject, ApplicationSet, ClusterSecret, RepositorySecret};
use kube::api::ApiResource;
use policy::gitops_policy::POLICY_NAME;
use policy::{Completeness, GitOpsPolicy};
use serde::Deserialize;

use super::{Fact, Facts, Identity, check_policy};
use crate::cluster_access::{AccessError, ApiServer, Objects};
use crate::error::chain;
use crate::repository::manifest::{Kind, ObjectReference};
use crate::repository::problem::Problem;

/// An object and what it says.
type Stated = (Identity, Result<Fact, Problem>);

impl Facts {
    /// Reads what there is: AppProjects, and the rest at once if these can be read.
    ///
    /// The second value is what is not known because the user may not read it, as one sentence each.
    ///
    /// # Errors
    /// Something cannot be read without which no preview would mean anything.
    pub(crate) async fn of_cluster(
        server: &ApiServer,
        namespace: &str,
    ) -> Result<(Self, Vec<String>), AccessError> {
        let reader = Reader { server, namespace };
        let projects = reader.projects().await?;
        let (application_sets, clusters, repositories, settings, policy, definition) = tokio::try_join!(
            reader.application_sets(),
            reader.secrets(Kind::ClusterSecret, SECRET_TYPE_CLUSTER),
            reader.secrets(Kind::RepositorySecret, SECRET_TYPE_REPOSITORY),
            reader.settings(),
            reader.policy(),
            reader.definition(),
        )?;
        let mut facts = Facts::new(namespace, Completeness::Complete);
        let no_project = projects.is_empty();
        let lists = [projects, application_sets.known, clusters, repositories];
        facts.objects.extend(lists.into_iter().flatten());
        facts.objects.extend(settings.known);
        facts.objects.extend(policy.known);
        facts.enabled_field = definition.known;
        // Argo CD makes the project `default` wherever it runs.
        let no_project = no_project.then(|| {
            format!("there is no AppProject in namespace {namespace}: name Argo CD's by --argocd-namespace")
        });
        let lacking = [
            no_project,
            application_sets.lacks,
            settings.lacks,
            policy.lacks,
            definition.lacks,
        ];
        Ok((facts, lacking.into_iter().flatten().collect()))
    }
}

/// What is known, and what is not because the user may not read it.
struct Perhaps<T> {
    known: T,
    lacks: Option<String>,
}

impl<T> Perhaps<T> {
    /// What was read, or something in its place where that is forbidden.
    fn or_if_forbidden(
        read: Result<T, AccessError>,
        instead: T,
        consequence: &str,
    ) -> Result<Self, AccessError> {
        match read {
            Ok(known) => Ok(Perhaps { known, lacks: None }),
            Err(error) if error.is_forbidden() => Ok(Perhaps {
                known: instead,
                lacks: Some(format!("{}: {consequence}", chain(&error))),
            }),
            Err(error) => Err(error),
        }
    }
}

struct Reader<'r> {
    server: &'r ApiServer,
    namespace: &'r str,
}

impl Reader<'_> {
    fn own(&self, resource: ApiResource) -> Objects {
        Objects {
            resource,
            namespace: Some(self.namespace.to_owned()),
        }
    }

    async fn projects(&self) -> Result<Vec<Stated>, AccessError> {
        let objects = self.own(of_argo_cd("AppProject", "appprojects"));
        let read = |json: &str| stated(Kind::AppProject, &objects.resource, json);
        self.server.list(&objects, None, read).await
    }

    /// Those of all namespaces, or only of Argo CD's where more is forbidden.
    async fn application_sets(&self) -> Result<Perhaps<Vec<Stated>>, AccessError> {
        let own = self.own(of_argo_cd("ApplicationSet", "applicationsets"));
        let all = Objects {
            namespace: None,
            ..own.clone()
        };
        let read = |json: &str| stated(Kind::ApplicationSet, &own.resource, json);
        match self.server.list(&all, None, read).await {
            Ok(known) => Ok(Perhaps { known, lacks: None }),
            Err(error) if error.is_forbidden() => Ok(Perhaps {
                known: self.server.list(&own, None, read).await?,
                lacks: Some(format!(
                    "{}: only those in namespace {} are known",
                    chain(&error),
                    self.namespace
                )),
            }),
            Err(error) => Err(error),
        }
    }

    async fn secrets(&self, kind: Kind, label: &str) -> Result<Vec<Stated>, AccessError> {
        let objects = self.own(resource("", "v1", "Secret", "secrets"));
        let labels = format!("{LABEL_SECRET_TYPE}={label}");
        let read = |json: &str| stated(kind, &objects.resource, json);
        self.server.list(&objects, Some(&labels), read).await
    }

    async fn settings(&self) -> Result<Perhaps<Option<Stated>>, AccessError> {
        let objects = self.own(resource("", "v1", "ConfigMap", "configmaps"));
        let read = |json: &str| stated(Kind::Settings, &objects.resource, json);
        let settings = self.server.get(&objects, SETTINGS_CONFIG_MAP, read).await;
        let consequence = "argocd-cm is taken to be empty";
        Perhaps::or_if_forbidden(settings, None, consequence)
    }

    async fn policy(&self) -> Result<Perhaps<Option<Stated>>, AccessError> {
        let resource = resource(
            "kubectl-gitops.io",
            VERSION,
            "GitOpsPolicy",
            "gitopspolicies",
        );
        let objects = of_all_namespaces(resource);
        let read = |json: &str| stated(Kind::Policy, &objects.resource, json);
        let policy = self.server.get(&objects, POLICY_NAME, read).await;
        let consequence = "the verdicts are those of a cluster without a GitOpsPolicy";
        Perhaps::or_if_forbidden(policy, None, consequence)
    }

    async fn definition(&self) -> Result<Perhaps<EnabledField>, AccessError> {
        let objects = of_all_namespaces(resource(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        ));
        let read = |json: &str| EnabledField::of_definition(json).unwrap_or_default();
        let field = self
            .server
            .get(&objects, APPLICATION_DEFINITION, read)
            .await;
        Perhaps::or_if_forbidden(
            field.map(Option::unwrap_or_default),
            EnabledField::default(),
            "`automated.enabled: false` is taken to be kept, as by Argo CD 3.1 and newer",
        )
    }
}

fn of_argo_cd(kind: &str, plural: &str) -> ApiResource {
    resource(GROUP, VERSION, kind, plural)
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

fn of_all_namespaces(resource: ApiResource) -> Objects {
    Objects {
        resource,
        namespace: None,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    metadata: Name,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Name {
    name: String,
    namespace: Option<String>,
}

/// What an object says, by its JSON.
fn stated(kind: Kind, resource: &ApiResource, json: &str) -> Stated {
    let Named { metadata } = serde_json::from_str(json).unwrap_or_default();
    let reference = ObjectReference {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
        namespace: metadata.namespace,
        name: Some(metadata.name),
    };
    let fact = fact(kind, json).map_err(|reason| Problem::Live {
        object: reference.short(),
        reason,
    });
    ((kind, reference), fact)
}

/// What an object says, or what is wrong with it: where, and not what is there.
fn fact(kind: Kind, json: &str) -> Result<Fact, String> {
    let form = |error: serde_json::Error| {
        format!("unexpected value at column {} of its JSON", error.column())
    };
    Ok(match kind {
        Kind::AppProject => {
            let project: AppProject = serde_json::from_str(json).map_err(form)?;
            Fact::Project(Box::new(project))
        }
        Kind::ApplicationSet => {
            let set = ApplicationSet::from_json(json).map_err(form)?;
            Fact::ApplicationSet(Arc::new(set.into_owned()))
        }
        Kind::ClusterSecret => {
            let secret: ClusterSecret<'_> = serde_json::from_str(json).map_err(form)?;
            let cluster = secret.cluster().map_err(|error| chain(&error))?;
            Fact::Cluster(Box::new(cluster))
        }
        Kind::RepositorySecret => {
            let secret: RepositorySecret<'_> = serde_json::from_str(json).map_err(form)?;
            Fact::Repository(secret.scoped().map_err(|error| error.to_string())?)
        }
        Kind::Settings => {
            let config_map: SettingsConfigMap = serde_json::from_str(json).map_err(form)?;
            Fact::Settings(Box::new(config_map.settings()))
        }
        Kind::Policy => {
            // It holds no secrets, and whoever wrote it needs to know what is wrong with it.
            let policy: GitOpsPolicy =
                serde_json::from_str(json).map_err(|error| error.to_string())?;
            Fact::Policy(check_policy(policy.spec)?)
        }
        Kind::Application => return Err("it says nothing about others".to_owned()),
    })
}
