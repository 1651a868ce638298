//! How a cluster leaves the fleet: what is on it, what becomes of that, and in which order.
//!
//! The ApplicationSet controller deletes an Application that it generates no longer. While the
//! cluster is a destination, the Application's finalizer takes its resources along; once it is
//! none, the controller takes the finalizer off first, and the resources stay (Argo CD 3.6,
//! `removeFinalizerOnInvalidDestination`). So whether workloads go or stay is decided by what goes
//! first: the labels by which ApplicationSets select the cluster, or its Secret.

pub(crate) mod aws_side;
pub(crate) mod live;

use argocd::Cluster;
use argocd::names::LABEL_SECRET_TYPE;

use crate::plan::{Change, Plan, Step};
use crate::text::{counted, listed, shell_word};

/// An Application that is on the cluster.
#[derive(Clone, Debug)]
pub(crate) struct OnCluster {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The ApplicationSet that generates it, and whether that deletes what it no longer generates.
    pub(crate) generator: Option<Generator>,
    /// The Application that deploys it.
    pub(crate) parent: Option<String>,
    /// How many resources it deploys.
    pub(crate) resources: usize,
    pub(crate) finalizers: Vec<String>,
}

/// The ApplicationSet of an Application.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    pub(crate) name: String,
    /// What it no longer generates, it deletes.
    pub(crate) deletes: bool,
    /// It selects the cluster also by no label.
    pub(crate) selects_any: bool,
}

/// What becomes of workloads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Workloads {
    /// They stay, and nobody manages them.
    Orphan,
    /// They are deleted with their Applications.
    Delete,
}

/// Why there is no plan.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{applications} on cluster {cluster} deploy {resources} there ({names})")]
    Undecided {
        cluster: String,
        applications: String,
        resources: String,
        names: String,
    },
    #[error(
        "{names} would generate Applications for cluster {cluster} also without its labels, and their resources would stay"
    )]
    StillGenerated { cluster: String, names: String },
    #[error(
        "{names} on cluster {cluster} are deployed by other Applications, which would deploy them again"
    )]
    StillDeployed { cluster: String, names: String },
    #[error("cluster {0} is the one that Argo CD runs in, and has no Secret that could be deleted")]
    BuiltIn(String),
}

/// One thing that is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Takes labels off the Secret, by which ApplicationSets select the cluster.
    TakeLabels { secret: String, keys: Vec<String> },
    /// Deletes an Application with its resources, and waits until it is gone.
    DeleteApplication(Named),
    /// Deletes an Application and leaves its resources.
    ReleaseApplication(Named),
    /// Waits until the ApplicationSet controller has deleted an Application.
    AwaitDeletion(Named),
    /// Deletes the Secret, by which Argo CD knows the cluster.
    DeleteSecret { secret: String },
}

/// An Application.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Named {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) finalizers: Vec<String>,
}

/// What has to be done so that a cluster leaves. The Secret goes last where workloads are deleted,
/// and before what is generated where they stay.
///
/// # Errors
/// It is not said what becomes of workloads, or that cannot be had.
pub(crate) fn plan(
    cluster: &Cluster,
    argocd_namespace: &str,
    applications: &[OnCluster],
    workloads: Option<Workloads>,
) -> Result<Plan<Action>, Refusal> {
    if cluster.secret_name.is_empty() {
        return Err(Refusal::BuiltIn(cluster.name.clone()));
    }
    let resources: usize = applications.iter().map(|one| one.resources).sum();
    let workloads = match workloads {
        Some(workloads) => workloads,
        None if resources == 0 => Workloads::Orphan,
        None => return Err(undecided(cluster, applications, resources)),
    };
    let leaving = Leaving {
        cluster,
        argocd_namespace,
        applications,
    };
    Ok(Plan {
        steps: match workloads {
            Workloads::Orphan => leaving.orphan(),
            Workloads::Delete => leaving.delete()?,
        },
    })
}

fn undecided(cluster: &Cluster, applications: &[OnCluster], resources: usize) -> Refusal {
    let deploying = applications.iter().filter(|one| one.resources > 0);
    let names: Vec<String> = deploying.map(OnCluster::short).collect();
    Refusal::Undecided {
        cluster: cluster.name.clone(),
        applications: counted(names.len(), "Application"),
        resources: counted(resources, "resource"),
        names: listed(&names, 3),
    }
}

struct Leaving<'l> {
    cluster: &'l Cluster,
    argocd_namespace: &'l str,
    applications: &'l [OnCluster],
}

impl Leaving<'_> {
    fn orphan(&self) -> Vec<Step<Action>> {
        let mut before = Vec::new();
        let mut after = Vec::new();
        for one in self.applications {
            match (one.goes_with_its_set(), &one.parent) {
                (true, _) => after.push(one.left_behind()),
                // Pruned while the cluster is registered, it would take its resources along.
                (false, Some(parent)) if one.generator.is_none() => {
                    after.push(one.left_to(parent));
                }
                (false, _) => before.push(one.released()),
            }
        }
        before.push(self.secret());
        before.extend(after);
        before
    }

    fn delete(&self) -> Result<Vec<Step<Action>>, Refusal> {
        let generators = self
            .applications
            .iter()
            .filter_map(|one| one.generator.as_ref());
        let mut still: Vec<&str> = generators
            .filter(|generator| generator.deletes && generator.selects_any)
            .map(|generator| generator.name.as_str())
            .collect();
        still.sort_unstable();
        still.dedup();
        if !still.is_empty() {
            return Err(Refusal::StillGenerated {
                cluster: self.cluster.name.clone(),
                names: format!("applicationset {}", listed(&still, 3)),
            });
        }
        let deployed = self.applications.iter();
        let deployed: Vec<String> = deployed
            .filter(|one| one.generator.is_none() && one.parent.is_some())
            .map(OnCluster::short)
            .collect();
        if !deployed.is_empty() {
            return Err(Refusal::StillDeployed {
                cluster: self.cluster.name.clone(),
                names: listed(&deployed, 3),
            });
        }
        let (by_set, by_hand): (Vec<_>, Vec<_>) = self
            .applications
            .iter()
            .partition(|one| one.goes_with_its_set());
        let labels = (!by_set.is_empty()).then(|| self.labels());
        let awaited = by_set.into_iter().map(OnCluster::deleted_by_its_set);
        let deleted = by_hand.into_iter().map(OnCluster::deleted);
        let steps = labels.into_iter().chain(awaited).chain(deleted);
        Ok(steps.chain([self.secret()]).collect())
    }

    /// ApplicationSets select by these.
    fn labels(&self) -> Step<Action> {
        let labels = self.cluster.labels.iter();
        let labels: Vec<_> = labels
            .filter(|(key, _)| *key != LABEL_SECRET_TYPE)
            .collect();
        let keys: Vec<String> = labels.iter().map(|(key, _)| (*key).clone()).collect();
        let secret = self.cluster.secret_name.clone();
        let is: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let label = format!("kubectl label secret {secret} -n {}", self.argocd_namespace);
        let without: Vec<String> = keys.iter().map(|key| format!("{key}-")).collect();
        let change = if keys.is_empty() {
            Change::None
        } else {
            Change::Make {
                should_be: "none that an ApplicationSet selects".to_owned(),
                how: vec![format!("{label} {}", without.join(" "))],
                undo: vec![format!("{label} {}", is.join(" "))],
                action: Action::TakeLabels {
                    secret: secret.clone(),
                    keys,
                },
            }
        };
        Step {
            what: format!("labels of secret/{secret}"),
            is: listed(&is, 5),
            change,
        }
    }

    fn secret(&self) -> Step<Action> {
        let secret = self.cluster.secret_name.clone();
        Step {
            what: format!("secret/{secret}"),
            is: format!("registers {}", self.cluster.server),
            change: Change::Make {
                should_be: "gone".to_owned(),
                how: vec![format!(
                    "kubectl delete secret {secret} -n {}",
                    self.argocd_namespace
                )],
                // It may hold a credential, which nobody keeps.
                undo: vec![format!(
                    "kubectl gitops cluster onboard {} --server {}",
                    shell_word(&self.cluster.name),
                    shell_word(&self.cluster.server)
                )],
                action: Action::DeleteSecret { secret },
            },
        }
    }
}

impl OnCluster {
    fn short(&self) -> String {
        format!("application/{}", self.name)
    }

    fn goes_with_its_set(&self) -> bool {
        let generator = self.generator.as_ref();
        generator.is_some_and(|generator| generator.deletes)
    }

    fn named(&self) -> Named {
        Named {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            finalizers: self.finalizers.clone(),
        }
    }

    /// What there is of it.
    fn is(&self) -> String {
        let resources = counted(self.resources, "resource");
        match (&self.generator, &self.parent) {
            (Some(generator), _) => {
                format!(
                    "{resources}, generated by applicationset/{}",
                    generator.name
                )
            }
            (None, Some(parent)) => format!("{resources}, deployed by application/{parent}"),
            (None, None) => resources,
        }
    }

    fn step(
        &self,
        should_be: &str,
        how: Vec<String>,
        action: impl FnOnce(Named) -> Action,
    ) -> Step<Action> {
        Step {
            what: format!("{} in {}", self.short(), self.namespace),
            is: self.is(),
            change: Change::Make {
                should_be: should_be.to_owned(),
                how,
                undo: Vec::new(),
                action: action(self.named()),
            },
        }
    }

    fn released(&self) -> Step<Action> {
        let (name, namespace) = (&self.name, &self.namespace);
        let how = vec![
            format!(
                "kubectl patch application {name} -n {namespace} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"
            ),
            format!("kubectl delete application {name} -n {namespace}"),
        ];
        self.step("gone, its resources stay", how, Action::ReleaseApplication)
    }

    fn left_behind(&self) -> Step<Action> {
        let should_be = "gone by its ApplicationSet, its resources stay";
        self.step(should_be, self.wait(), Action::AwaitDeletion)
    }

    fn left_to(&self, parent: &str) -> Step<Action> {
        Step {
            what: format!("{} in {}", self.short(), self.namespace),
            is: self.is(),
            change: Change::ByHand {
                should_be: "gone, its resources stay".to_owned(),
                how: format!(
                    "take it out of what application/{parent} deploys, once the Secret is gone: its resources then stay"
                ),
            },
        }
    }

    fn deleted_by_its_set(&self) -> Step<Action> {
        let should_be = "gone by its ApplicationSet, with its resources";
        self.step(should_be, self.wait(), Action::AwaitDeletion)
    }

    fn deleted(&self) -> Step<Action> {
        let how = vec![format!(
            "argocd app delete {} --app-namespace {} --cascade",
            self.name, self.namespace
        )];
        self.step("gone with its resources", how, Action::DeleteApplication)
    }

    fn wait(&self) -> Vec<String> {
        vec![format!(
            "kubectl wait --for=delete application/{} -n {}",
            self.name, self.namespace
        )]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        let labels = [(LABEL_SECRET_TYPE, "cluster"), ("environment", "staging")];
        Cluster {
            name: "staging".to_owned(),
            server: "https://staging.example.com".to_owned(),
            secret_name: "cluster-staging".to_owned(),
            labels: labels
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ..Cluster::default()
        }
    }

    fn application(name: &str, generator: Option<Generator>, resources: usize) -> OnCluster {
        OnCluster {
            namespace: "argocd".to_owned(),
            name: name.to_owned(),
            uid: name.to_owned(),
            generator,
            parent: None,
            resources,
            finalizers: Vec::new(),
        }
    }

    fn generator(selects_any: bool, deletes: bool) -> Generator {
        Generator {
            name: "addons".to_owned(),
            deletes,
            selects_any,
        }
    }

    fn steps(
        applications: &[OnCluster],
        workloads: Option<Workloads>,
    ) -> Result<Vec<String>, Refusal> {
        let plan = plan(&cluster(), "argocd", applications, workloads)?;
        let steps = plan.steps.into_iter().map(|step| {
            let Change::Make { action, .. } = step.change else {
                return "nothing".to_owned();
            };
            match action {
                Action::TakeLabels { keys, .. } => format!("take {}", keys.join(",")),
                Action::DeleteApplication(one) => format!("delete {}", one.name),
                Action::ReleaseApplication(one) => format!("release {}", one.name),
                Action::AwaitDeletion(one) => format!("await {}", one.name),
                Action::DeleteSecret { .. } => "delete the Secret".to_owned(),
            }
        });
        Ok(steps.collect())
    }

    #[test]
    fn nothing_is_decided_for_workloads_that_run() {
        let applications = [application("orders", None, 3), application("idle", None, 0)];
        let refusal = steps(&applications, None).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "1 Application on cluster staging deploy 3 resources there (application/orders)"
        );
        assert_eq!(
            steps(&applications[1..], None).unwrap(),
            ["release idle", "delete the Secret"]
        );
        assert_eq!(steps(&[], None).unwrap(), ["delete the Secret"]);
    }

    #[test]
    fn workloads_stay_where_the_secret_goes_before_what_is_generated() {
        let applications = [
            application("addons", Some(generator(true, true)), 1),
            application("orders", None, 3),
            application("kept", Some(generator(false, false)), 1),
        ];
        assert_eq!(
            steps(&applications, Some(Workloads::Orphan)).unwrap(),
            [
                "release orders",
                "release kept",
                "delete the Secret",
                "await addons"
            ]
        );
    }

    #[test]
    fn workloads_go_where_the_secret_goes_last() {
        let applications = [
            application("addons", Some(generator(false, true)), 1),
            application("orders", None, 3),
        ];
        assert_eq!(
            steps(&applications, Some(Workloads::Delete)).unwrap(),
            [
                "take environment",
                "await addons",
                "delete orders",
                "delete the Secret"
            ]
        );
        assert_eq!(
            steps(&applications[1..], Some(Workloads::Delete)).unwrap(),
            ["delete orders", "delete the Secret"]
        );
    }

    #[test]
    fn what_another_application_deploys_is_not_deleted_before_it_is_taken_out_there() {
        let child = OnCluster {
            parent: Some("root".to_owned()),
            ..application("orders", None, 3)
        };
        let refusal = steps(std::slice::from_ref(&child), Some(Workloads::Delete)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "application/orders on cluster staging are deployed by other Applications, which would deploy them again"
        );
        // Once the cluster is not registered, pruning leaves what is there.
        let order = steps(&[child], Some(Workloads::Orphan)).unwrap();
        assert_eq!(order, ["delete the Secret", "nothing"]);
    }

    #[test]
    fn what_would_be_generated_all_the_same_is_not_waited_for() {
        let applications = [application("addons", Some(generator(true, true)), 1)];
        let refusal = steps(&applications, Some(Workloads::Delete)).unwrap_err();
        assert!(
            matches!(refusal, Refusal::StillGenerated { .. }),
            "{refusal}"
        );
    }

    #[test]
    fn the_cluster_of_argo_cd_stays() {
        let built_in = Cluster {
            secret_name: String::new(),
            ..cluster()
        };
        let plan = plan(&built_in, "argocd", &[], None);
        assert!(matches!(plan, Err(Refusal::BuiltIn(_))));
    }
}
