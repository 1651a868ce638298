//! Facts of a live cluster: what the admission webhook watches, read once.

use argocd::names::{
    APPLICATION_DEFINITION, LABEL_SECRET_TYPE, PARAMETERS_CONFIG_MAP, SECRET_TYPE_CLUSTER,
    SECRET_TYPE_REPOSITORY, SETTINGS_CONFIG_MAP,
};
use argocd::settings::InstalledApi;
use kube::api::ApiResource;
use policy::gitops_policy::POLICY_NAME;
use policy::{Completeness, Inventory, Kind};

use super::fact::{Fact, FactError};
use super::{Facts, Identity};
use crate::error::{CommandError, chain};
use crate::kubernetes::{
    AccessError, ApiServer, Objects, of_all_namespaces, reference_of, resource, resource_of,
};
use crate::repository::problem::Problem;

/// An object and what it says.
type Stated = (Identity, Result<Fact, Problem>);

/// What is done where something may not be read without which verdicts say little.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Demand {
    /// It fails.
    All,
    /// It is not known.
    Permitted,
}

/// What is read of a cluster.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// None where they are not read.
    application_sets: Option<Demand>,
    others: Demand,
}

impl Facts {
    /// Reads what there is: AppProjects, and the rest at once if these can be read.
    ///
    /// The second value is what is not known because the user may not read it, as one sentence
    /// each.
    ///
    /// # Errors
    /// Something cannot be read without which no preview would mean anything.
    pub(crate) async fn of_cluster(
        server: &ApiServer,
        namespace: &str,
    ) -> Result<(Self, Vec<String>), AccessError> {
        let reading = Reading {
            application_sets: Some(Demand::All),
            others: Demand::All,
        };
        Facts::read(server, namespace, reading, |_| ()).await
    }

    /// The same, but that only ApplicationSets must be readable: what depends on anything else that
    /// the user may not read is undecided.
    ///
    /// # Errors
    /// ApplicationSets cannot be read, or something cannot be read for another reason than that it
    /// is forbidden.
    pub(crate) async fn of_cluster_with_application_sets(
        server: &ApiServer,
        namespace: &str,
    ) -> Result<(Self, Vec<String>), AccessError> {
        let reading = Reading {
            application_sets: Some(Demand::All),
            others: Demand::Permitted,
        };
        Facts::read(server, namespace, reading, |_| ()).await
    }

    /// The same without ApplicationSets: what files are judged by.
    ///
    /// # Errors
    /// Something cannot be read for another reason than that it is forbidden.
    pub(crate) async fn for_files(
        server: &ApiServer,
        namespace: &str,
    ) -> Result<(Self, Vec<String>), AccessError> {
        let reading = Reading {
            application_sets: None,
            others: Demand::Permitted,
        };
        Facts::read(server, namespace, reading, |_| ()).await
    }

    /// The same, but that what depends on something that the user may not read is undecided.
    ///
    /// # Errors
    /// Something cannot be read for another reason than that it is forbidden.
    pub(crate) async fn of_cluster_as_far_as_permitted(
        server: &ApiServer,
        namespace: &str,
    ) -> Result<(Self, Vec<String>), AccessError> {
        let reading = Reading {
            application_sets: Some(Demand::Permitted),
            others: Demand::Permitted,
        };
        Facts::read(server, namespace, reading, |_| ()).await
    }

    /// The same, where somebody else sees the JSON of each cluster Secret as well, so that they are
    /// listed once.
    ///
    /// # Errors
    /// Something cannot be read for another reason than that it is forbidden.
    pub(crate) async fn of_cluster_with_secrets(
        server: &ApiServer,
        namespace: &str,
        see: impl FnMut(&str),
    ) -> Result<(Self, Vec<String>), AccessError> {
        let reading = Reading {
            application_sets: Some(Demand::Permitted),
            others: Demand::Permitted,
        };
        Facts::read(server, namespace, reading, see).await
    }

    async fn read(
        server: &ApiServer,
        namespace: &str,
        reading: Reading,
        see: impl FnMut(&str),
    ) -> Result<(Self, Vec<String>), AccessError> {
        let reader = Reader { server, namespace };
        let demand = reading.others;
        let projects = demand.meet(reader.projects().await)?;
        let (application_sets, clusters, repositories, settings, parameters, policy, definition) =
            tokio::try_join!(
                reader.application_sets(reading.application_sets),
                reader.secrets(Kind::ClusterSecret, SECRET_TYPE_CLUSTER, demand, see),
                reader.secrets(
                    Kind::RepositorySecret,
                    SECRET_TYPE_REPOSITORY,
                    demand,
                    |_| ()
                ),
                reader.settings(),
                reader.parameters(),
                reader.policy("the verdicts are those of a cluster without a GitOpsPolicy"),
                reader.definition(),
            )?;
        let fleet = [&projects, &clusters, &repositories];
        let completeness = if fleet.iter().all(|list| list.lacks.is_none()) {
            Completeness::Complete
        } else {
            Completeness::Partial
        };
        let mut facts = Facts::new(namespace, completeness);
        // Argo CD makes the project `default` wherever it runs.
        let is_elsewhere = projects.lacks.is_none() && projects.known.is_empty();
        let no_project = is_elsewhere.then(|| {
            format!("there is no AppProject in namespace {namespace}: name Argo CD's by --argocd-namespace")
        });
        facts.has_live = true;
        facts.knows_policy = policy.lacks.is_none();
        facts.installed = definition.known;
        let mut lacking = vec![no_project];
        for list in [projects, application_sets, clusters, repositories] {
            facts.objects.extend(list.known);
            lacking.push(list.lacks);
        }
        facts.objects.extend(settings.known);
        facts.knows_parameters = parameters.is_some();
        facts.objects.extend(parameters.flatten());
        facts.objects.extend(policy.known);
        lacking.extend([settings.lacks, policy.lacks, definition.lacks]);
        // Secrets are listed twice.
        lacking.dedup();
        Ok((facts, lacking.into_iter().flatten().collect()))
    }

    /// Reads the policy and nothing else. What it means that it may not be read is for the caller
    /// to say.
    ///
    /// # Errors
    /// It cannot be read for another reason than that it is forbidden.
    pub(crate) async fn of_policy(
        server: &ApiServer,
        namespace: &str,
        consequence: &str,
    ) -> Result<(Self, Vec<String>), AccessError> {
        let policy = Reader { server, namespace }.policy(consequence).await?;
        let mut facts = Facts::new(namespace, Completeness::Partial);
        facts.objects.extend(policy.known);
        facts.knows_policy = policy.lacks.is_none();
        Ok((facts, policy.lacks.into_iter().collect()))
    }

    /// What is not known as the user may not read it, and which objects are left out as they cannot
    /// be read: one sentence each.
    pub(crate) fn what_lacks(&mut self, mut lacking: Vec<String>) -> Vec<String> {
        let problems = self.take_problems();
        lacking.extend(
            problems
                .iter()
                .map(|problem| format!("left out: {}", chain(problem))),
        );
        lacking
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

impl Demand {
    fn meet(
        self,
        read: Result<Vec<Stated>, AccessError>,
    ) -> Result<Perhaps<Vec<Stated>>, AccessError> {
        match self {
            Demand::All => read.map(|known| Perhaps { known, lacks: None }),
            Demand::Permitted => {
                let consequence = "what depends on them is undecided";
                Perhaps::or_if_forbidden(read, Vec::new(), consequence)
            }
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
        let objects = self.own(resource_of(Kind::AppProject));
        let read = |json: &str| stated(Kind::AppProject, &objects.resource, json);
        self.server.list(&objects, None, read).await
    }

    /// Those of all namespaces, or only of Argo CD's where more is forbidden.
    async fn application_sets(
        &self,
        demand: Option<Demand>,
    ) -> Result<Perhaps<Vec<Stated>>, AccessError> {
        let Some(demand) = demand else {
            return Ok(Perhaps {
                known: Vec::new(),
                lacks: None,
            });
        };
        let own = self.own(resource_of(Kind::ApplicationSet));
        let all = Objects {
            namespace: None,
            ..own.clone()
        };
        let read = |json: &str| stated(Kind::ApplicationSet, &own.resource, json);
        match self.server.list(&all, None, read).await {
            Ok(known) => Ok(Perhaps { known, lacks: None }),
            Err(error) if error.is_forbidden() => {
                let known = demand.meet(self.server.list(&own, None, read).await)?;
                let of_all = || {
                    format!(
                        "{}: only those in namespace {} are known",
                        chain(&error),
                        self.namespace
                    )
                };
                Ok(Perhaps {
                    lacks: known.lacks.or_else(|| Some(of_all())),
                    known: known.known,
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn secrets(
        &self,
        kind: Kind,
        label: &str,
        demand: Demand,
        mut see: impl FnMut(&str),
    ) -> Result<Perhaps<Vec<Stated>>, AccessError> {
        let objects = self.own(resource_of(kind));
        let labels = format!("{LABEL_SECRET_TYPE}={label}");
        let read = |json: &str| {
            see(json);
            stated(kind, &objects.resource, json)
        };
        demand.meet(self.server.list(&objects, Some(&labels), read).await)
    }

    async fn settings(&self) -> Result<Perhaps<Option<Stated>>, AccessError> {
        let objects = self.own(resource_of(Kind::Settings));
        let read = |json: &str| stated(Kind::Settings, &objects.resource, json);
        let settings = self.server.get(&objects, SETTINGS_CONFIG_MAP, read).await;
        let consequence = "argocd-cm is taken to be empty";
        Perhaps::or_if_forbidden(settings, None, consequence)
    }

    /// Nothing where they may not be read: what depends on them says so.
    async fn parameters(&self) -> Result<Option<Option<Stated>>, AccessError> {
        let objects = self.own(resource_of(Kind::Parameters));
        let read = |json: &str| stated(Kind::Parameters, &objects.resource, json);
        match self.server.get(&objects, PARAMETERS_CONFIG_MAP, read).await {
            Err(error) if error.is_forbidden() => Ok(None),
            parameters => parameters.map(Some),
        }
    }

    async fn policy(&self, consequence: &str) -> Result<Perhaps<Option<Stated>>, AccessError> {
        let objects = of_all_namespaces(resource_of(Kind::Policy));
        let read = |json: &str| stated(Kind::Policy, &objects.resource, json);
        let policy = self.server.get(&objects, POLICY_NAME, read).await;
        Perhaps::or_if_forbidden(policy, None, consequence)
    }

    async fn definition(&self) -> Result<Perhaps<InstalledApi>, AccessError> {
        let objects = of_all_namespaces(resource(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        ));
        let read = |json: &str| InstalledApi::of_definition(json).unwrap_or_default();
        let installed = self
            .server
            .get(&objects, APPLICATION_DEFINITION, read)
            .await;
        Perhaps::or_if_forbidden(
            installed.map(Option::unwrap_or_default),
            InstalledApi::default(),
            "`automated.enabled: false` is taken to be kept, as by Argo CD 3.1 and newer",
        )
    }
}

/// Refuses a policy that a cluster has and no verdict can go by.
///
/// # Errors
/// Its environments leave it open what production is.
pub(crate) fn refuse_flaw(inventory: &Inventory) -> Result<(), CommandError> {
    match inventory.policy().flaw() {
        Some(flaw) => Err(CommandError::new(format!(
            "gitopspolicy/{POLICY_NAME}: spec.environments: {flaw}"
        ))),
        None => Ok(()),
    }
}

/// What an object says, by its JSON.
fn stated(kind: Kind, resource: &ApiResource, json: &str) -> Stated {
    let reference = reference_of(resource, json);
    let fact = Fact::read(kind, json, None).map_err(|error| Problem::Live {
        object: reference.short(),
        reason: match error {
            // A policy holds no secrets, and whoever wrote it needs to know what is wrong with it.
            FactError::Form(error) if kind != Kind::Policy => error.without_value(),
            error => chain(&error),
        },
    });
    ((kind, reference), fact)
}
