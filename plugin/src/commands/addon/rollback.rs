//! `addon rollback`: an addon goes back from Argo CD to Helm and Terraform, and nothing that runs
//! is touched.

use std::path::PathBuf;

use clap::ValueHint;
use kube::api::PropagationPolicy;
use policy::Kind;
use serde_json::{Value, json};

use super::super::plan::{Carrying, FORMATS};
use super::checkout::release_of;
use super::fleet::{Fleet, FleetArgs};
use super::git::{GitError, WorkTree};
use super::terraform_files::TerraformFiles;
use crate::addons::author::Places;
use crate::addons::read::{OneError, one};
use crate::addons::status::State as GateState;
use crate::addons::terraform_gate::{Subject, letting_go};
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, PLAN, PlanArgs, formats};
use crate::context::Context;
use crate::drift::local::Key;
use crate::drift::local::cluster::Cluster;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::{AccessError, ApiServer, Objects, block_on, objects_of};
use crate::plan::{Change, Outcome, Plan, Step};
use crate::releases::ManifestError;
use crate::terraform::Restoring;

/// Give an addon back to Helm and Terraform
///
/// Nothing that runs is touched. The ApplicationSet is made to keep resources, its Applications lose
/// the finalizers that would delete what they deploy or run hooks of deletion, the file goes from the checkout, and then
/// ApplicationSet and Applications are deleted without what they deploy. Argo CD's marks are taken
/// off the objects of the release, and Helm's label and annotations are put back where they are
/// gone. How Terraform takes the release back is told: with --state, what it showed before it let
/// go, as an `import` block or a command with the address.
///
/// All clusters of the ApplicationSet go back. The release has to be there as Helm keeps it, which
/// is so until `addon finish`. Run again after it was cut off, it goes on with what is left;
/// --release and -n name the release once the file is gone.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What would be done
  kubectl gitops addon rollback dns --repo fleet --dry-run client

  # Do it, push the commit, and tell how Terraform takes it back
  kubectl gitops addon rollback dns --repo fleet --push --state before.json

Exit status:
  0  it is given back, or would be
  2  it is not, at least in part")]
pub(super) struct RollbackArgs {
    /// Name of the addon
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,

    /// Folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    repo: PathBuf,

    /// Name of the release [default: that of the ApplicationSet]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    release: Option<String>,

    #[command(flatten)]
    terraform: TerraformFiles,

    #[command(flatten)]
    fleet: FleetArgs,

    /// Push the commit
    #[arg(long, help_heading = PLAN)]
    push: bool,

    #[command(flatten)]
    plan: PlanArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

/// The kind of the document.
const KIND: &str = "AddonRollback";

/// It is not done.
#[derive(Debug, thiserror::Error)]
enum RollbackError {
    #[error("the namespace of the release is not known")]
    NoNamespace,
    #[error("cluster {cluster}: there is no release to go back to: {reason}")]
    NoRelease { cluster: String, reason: String },
    #[error(transparent)]
    Release(#[from] OneError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot remove {}", .path.display())]
    Remove {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("application/{0} has a finalizer that would delete what it deploys, or run its hooks")]
    Cascades(String),
    #[error("applicationset/{0} does not keep resources and Applications as they are")]
    NotKept(String),
}

/// One thing that is done.
enum Action {
    Keep,
    Release(Named),
    RemoveFile,
    Commit,
    Push,
    DeleteSet(Named),
    DeleteApplication(Named),
    Restore(usize, Key, Value),
}

/// An object of Argo CD's.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    uid: String,
}

/// The objects of the release on a cluster.
struct OnCluster {
    name: String,
    server: ApiServer,
    kinds: Cluster,
    objects: Vec<Key>,
}

struct Rollback<'r> {
    args: &'r RollbackArgs,
    context: &'r Context,
    devops: &'r ApiServer,
    release: String,
    namespace: String,
    set: Option<Value>,
    applications: Vec<Value>,
    clusters: Vec<OnCluster>,
    tree: Option<WorkTree<'r>>,
}

/// Reads, shows, asks, does.
pub(super) fn run(args: &RollbackArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(rollback(args, context))
}

async fn rollback(args: &RollbackArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let (named, namespace) = release_of(&args.repo, &args.name, context);
    let release = args.release.clone().unwrap_or(named);
    let given = context.namespaces.given().filter(|_| namespace.is_empty());
    let namespace = given.map_or(namespace, str::to_owned);
    if namespace.is_empty() {
        let error = CommandError::new(RollbackError::NoNamespace);
        return Err(error.hinted("--release and -n name the release and its namespace"));
    }
    let devops = context.connect().await?;
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let set = read_set(&devops, &args.name, context).await?;
    let applications = applications(&devops, &args.name, context).await?;
    let mut rollback = Rollback {
        args,
        context,
        devops: &devops,
        release,
        namespace,
        set,
        applications,
        clusters: Vec::new(),
        tree: WorkTree::of(&args.repo).await,
    };
    rollback.clusters = rollback.read_clusters(&fleet).await?;
    let plan = rollback.plan().await.map_err(CommandError::new)?;
    let again = format!(
        "{} --release {} -n {}",
        context.command_line, rollback.release, rollback.namespace
    );
    let carrying = Carrying {
        args: &args.plan,
        output: args.output,
        again: &again,
        context,
    };
    let act = async |action: &Action, only_ask| rollback.act(action, only_ask).await;
    let status = carrying.at_once_as(KIND, &plan, act).await?;
    rollback.tell_terraform()?;
    Ok(status)
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

async fn read_set(
    devops: &ApiServer,
    name: &str,
    context: &Context,
) -> Result<Option<Value>, AccessError> {
    let sets = objects_of(Kind::ApplicationSet, context.argocd_namespace());
    let set = devops.get(&sets, name, value).await?;
    // The garbage collector may still be at it.
    Ok(set.filter(|set| set.pointer("/metadata/deletionTimestamp").is_none()))
}

/// The Applications that the ApplicationSet has generated, also those that it has left behind.
async fn applications(
    devops: &ApiServer,
    name: &str,
    context: &Context,
) -> Result<Vec<Value>, AccessError> {
    let objects = objects_of(Kind::Application, context.argocd_namespace());
    let all = devops.list(&objects, None, value).await?;
    let is_generated = |application: &Value| {
        let owners = application.pointer("/metadata/ownerReferences");
        let mut owners = owners.and_then(Value::as_array).into_iter().flatten();
        owners.any(|owner| owner["kind"] == "ApplicationSet" && owner["name"] == name)
            || is_left_behind(application, name)
    };
    Ok(all.into_iter().filter(is_generated).collect())
}

/// Whether an Application was prepared for its deletion by an earlier run, and has lost its owner.
fn is_left_behind(application: &Value, name: &str) -> bool {
    let chart = Places { name }.chart();
    let spec = &application["spec"];
    let several = spec["sources"].as_array().into_iter().flatten();
    let mut sources = several.chain([&spec["source"]]);
    application["metadata"]["annotations"][SKIP_RECONCILE] == "true"
        && sources.any(|source| source["path"] == chart)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

impl Named {
    fn of(object: &Value) -> Self {
        Named {
            name: text(object, "/metadata/name").to_owned(),
            uid: text(object, "/metadata/uid").to_owned(),
        }
    }
}

/// Finalizers by which Argo CD runs an Application's hooks of deletion, which it does also where
/// what the Application deploys is kept (Argo CD 3.6, `PreDeleteFinalizerName` and
/// `PostDeleteFinalizerName`). Each may have a stage behind it.
const FINALIZERS_OF_HOOKS: [&str; 2] = [
    "pre-delete-finalizer.argocd.argoproj.io",
    "post-delete-finalizer.argocd.argoproj.io",
];

/// Keeps the application controller from adding finalizers of hooks again.
const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";

/// Whether Argo CD would delete what an Application deploys, or run its hooks of deletion.
fn cascades(application: &Value) -> bool {
    let finalizers = application.pointer("/metadata/finalizers");
    let mut finalizers = finalizers.and_then(Value::as_array).into_iter().flatten();
    finalizers.any(is_cascading)
}

fn is_cascading(finalizer: &Value) -> bool {
    let finalizer = finalizer.as_str().unwrap_or_default();
    let stage = |name: &str| finalizer.strip_prefix(name);
    let is_of_hook =
        |name: &&str| stage(name).is_some_and(|stage| stage.is_empty() || stage.starts_with('/'));
    argocd::names::RESOURCES_FINALIZERS.contains(&finalizer)
        || FINALIZERS_OF_HOOKS.iter().any(is_of_hook)
}

/// What has an ApplicationSet keep resources when it is deleted, and leave alone until then what is
/// done to its Applications.
fn keeping() -> Value {
    json!({"spec": {"syncPolicy": {
        "preserveResourcesOnDeletion": true,
        "applicationsSync": "create-only",
    }}})
}

fn keeps(set: &Value) -> bool {
    let policy = &set["spec"]["syncPolicy"];
    let kept = &keeping()["spec"]["syncPolicy"];
    let mut kept = kept.as_object().into_iter().flatten();
    kept.all(|(name, value)| policy[name] == *value)
}

/// What makes an object Helm's again and not Argo CD's; None where it is so already.
fn restored(object: &Value, release: &str, namespace: &str) -> Option<Value> {
    let metadata = &object["metadata"];
    let mut annotations = serde_json::Map::new();
    for mark in [
        "argocd.argoproj.io/tracking-id",
        "argocd.argoproj.io/installation-id",
    ] {
        if !metadata["annotations"][mark].is_null() {
            annotations.insert(mark.to_owned(), Value::Null);
        }
    }
    for (name, value) in [
        ("meta.helm.sh/release-name", release),
        ("meta.helm.sh/release-namespace", namespace),
    ] {
        if metadata["annotations"][name] != value {
            annotations.insert(name.to_owned(), value.into());
        }
    }
    let mut labels = serde_json::Map::new();
    if metadata["labels"]["app.kubernetes.io/managed-by"] != "Helm" {
        labels.insert("app.kubernetes.io/managed-by".to_owned(), "Helm".into());
    }
    if annotations.is_empty() && labels.is_empty() {
        return None;
    }
    Some(json!({"metadata": {"annotations": annotations, "labels": labels}}))
}

impl Rollback<'_> {
    /// Those that have an Application of it, or all that are meant once these are gone.
    async fn read_clusters(&self, fleet: &Fleet) -> Result<Vec<OnCluster>, CommandError> {
        let mut clusters = Vec::new();
        for member in &fleet.clusters {
            let name = member.name().to_owned();
            let is_deployed_to = self.is_deployed_to(&name, &member.cluster().server);
            if !is_deployed_to && !self.applications.is_empty() {
                continue;
            }
            let read = self.read_cluster(fleet, &name).await;
            match read {
                Ok(cluster) => clusters.push(cluster),
                // Without Applications nobody says which clusters had it.
                Err(RollbackError::Release(OneError::None { .. })) if !is_deployed_to => {}
                Err(error) => {
                    let reason = chain(&error);
                    let cluster = name;
                    let error = RollbackError::NoRelease { cluster, reason };
                    return Err(CommandError::new(error));
                }
            }
        }
        Ok(clusters)
    }

    fn is_deployed_to(&self, name: &str, server: &str) -> bool {
        let mut destinations = self
            .applications
            .iter()
            .map(|one| &one["spec"]["destination"]);
        destinations.any(|one| one["name"] == name || one["server"] == server)
    }

    async fn read_cluster(&self, fleet: &Fleet, name: &str) -> Result<OnCluster, RollbackError> {
        let no_release = |error: &dyn std::error::Error| RollbackError::NoRelease {
            cluster: name.to_owned(),
            reason: chain(error),
        };
        let server = fleet.connect_to(name, self.context).await;
        let server = server.map_err(|error| no_release(&error))?;
        let release = one(&server, &self.release, &self.namespace).await?;
        let kinds = Cluster::discover(&server).await;
        let kinds = kinds.map_err(|error| no_release(&error))?;
        let mut objects: Vec<Key> = release.objects()?.iter().map(Key::of).collect();
        for key in &mut objects {
            match kinds.is_namespaced(&key.group, &key.kind) {
                Some(false) => key.namespace.clear(),
                _ if key.namespace.is_empty() => key.namespace.clone_from(&self.namespace),
                _ => {}
            }
        }
        Ok(OnCluster {
            name: name.to_owned(),
            server,
            kinds,
            objects,
        })
    }

    fn place(&self) -> String {
        Places {
            name: &self.args.name,
        }
        .application_set()
    }

    fn file(&self) -> PathBuf {
        self.args.repo.join(self.place())
    }

    async fn plan(&self) -> Result<Plan<Action>, RollbackError> {
        let name = &self.args.name;
        let mut steps = Vec::new();
        if let Some(set) = &self.set {
            steps.push(step(
                format!("resources of applicationset/{name} when it is deleted"),
                if keeps(set) { "kept" } else { "deleted" },
                (!keeps(set)).then_some(("kept", Action::Keep)),
            ));
        }
        for application in &self.applications {
            let named = Named::of(application);
            let cascades = cascades(application);
            steps.push(step(
                format!("resources of application/{} when it is deleted", named.name),
                if cascades { "deleted" } else { "kept" },
                cascades.then_some(("kept", Action::Release(named))),
            ));
        }
        self.file_steps(&mut steps).await?;
        if let Some(set) = &self.set {
            steps.push(step(
                format!("applicationset/{name}"),
                "there",
                Some(("absent", Action::DeleteSet(Named::of(set)))),
            ));
        }
        for application in &self.applications {
            let named = Named::of(application);
            steps.push(step(
                format!("application/{}", named.name),
                "there",
                Some((
                    "absent; what it deploys stays",
                    Action::DeleteApplication(named),
                )),
            ));
        }
        for (index, cluster) in self.clusters.iter().enumerate() {
            for key in &cluster.objects {
                steps.extend(self.restoring_step(index, cluster, key).await?);
            }
        }
        Ok(Plan { steps })
    }

    /// The file goes before the ApplicationSet, which would be made anew of it.
    async fn file_steps(&self, steps: &mut Vec<Step<Action>>) -> Result<(), RollbackError> {
        let place = self.place();
        let is_there = self.file().exists();
        steps.push(step(
            place.clone(),
            if is_there { "there" } else { "absent" },
            is_there.then_some(("absent", Action::RemoveFile)),
        ));
        let Some(tree) = &self.tree else {
            return Ok(());
        };
        let is_changed = is_there || tree.is_changed(std::slice::from_ref(&place)).await?;
        if is_changed {
            let commit = Some(("committed", Action::Commit));
            steps.push(step(format!("commit of {place}"), "not committed", commit));
        }
        if !tree.has_remote().await || !(is_changed || tree.is_ahead().await) {
            return Ok(());
        }
        if self.args.push {
            let push = Some(("pushed", Action::Push));
            steps.push(step("push of the commit".to_owned(), "not pushed", push));
        } else {
            self.context.streams.warning(
                "without --push, what deploys applicationsets/ may bring the ApplicationSet back \
                 until the commit is pushed",
            );
        }
        Ok(())
    }

    async fn restoring_step(
        &self,
        index: usize,
        cluster: &OnCluster,
        key: &Key,
    ) -> Result<Option<Step<Action>>, RollbackError> {
        let Some(objects) = objects(cluster, key) else {
            return Ok(None);
        };
        let Some(live) = cluster.server.get(&objects, &key.name, value).await? else {
            return Ok(None);
        };
        let restored = restored(&live, &self.release, &self.namespace);
        let what = format!(
            "{}/{} on {}",
            key.kind.to_lowercase(),
            key.name,
            cluster.name
        );
        Ok(Some(match restored {
            None => step(what, "Helm's", None),
            Some(patch) => step(
                what,
                "marked as Argo CD's",
                Some((
                    "marked as Helm's",
                    Action::Restore(index, key.clone(), patch),
                )),
            ),
        }))
    }

    async fn act(&self, action: &Action, only_ask: bool) -> Result<Outcome, RollbackError> {
        let namespace = self.context.argocd_namespace();
        let sets = objects_of(Kind::ApplicationSet, namespace);
        let applications = objects_of(Kind::Application, namespace);
        match action {
            Action::RemoveFile
            | Action::Commit
            | Action::Push
            | Action::DeleteSet(_)
            | Action::DeleteApplication(_)
                if only_ask =>
            {
                return Ok(Outcome::NotAsked);
            }
            Action::Keep => {
                let name = &self.args.name;
                self.devops
                    .patch(&sets, name, &keeping(), only_ask, |_| ())
                    .await?;
            }
            Action::Release(named) => self.let_go(named, only_ask).await?,
            Action::RemoveFile => {
                let path = self.file();
                std::fs::remove_file(&path)
                    .map_err(|source| RollbackError::Remove { path, source })?;
            }
            Action::Commit => {
                if let Some(tree) = &self.tree {
                    let message = format!("Give {} back to Helm", self.args.name);
                    tree.commit(&[self.place()], &message).await?;
                }
            }
            Action::Push => {
                if let Some(tree) = &self.tree {
                    tree.push().await?;
                }
            }
            Action::DeleteSet(named) => {
                // Somebody may have put it back.
                let set = self.devops.get(&sets, &named.name, value).await?;
                if set.is_some_and(|set| !keeps(&set)) {
                    return Err(RollbackError::NotKept(named.name.clone()));
                }
                // Its Applications are deleted by us, once they have been looked at again.
                self.devops
                    .delete_propagating(&sets, &named.name, &named.uid, PropagationPolicy::Orphan)
                    .await?;
            }
            Action::DeleteApplication(named) => {
                let live = self.devops.get(&applications, &named.name, value).await?;
                if live.is_some_and(|live| cascades(&live)) {
                    return Err(RollbackError::Cascades(named.name.clone()));
                }
                self.devops
                    .delete(&applications, &named.name, &named.uid, false)
                    .await?;
            }
            Action::Restore(index, key, patch) => {
                let cluster = &self.clusters[*index];
                if let Some(objects) = objects(cluster, key) {
                    let patched =
                        cluster
                            .server
                            .patch(&objects, &key.name, patch, only_ask, |_| ());
                    patched.await?;
                }
            }
        }
        Ok(if only_ask {
            Outcome::WouldBeDone
        } else {
            Outcome::Done
        })
    }

    /// Takes off the finalizers that would delete what an Application deploys, or run its hooks of
    /// deletion; others stay.
    async fn let_go(&self, named: &Named, only_ask: bool) -> Result<(), RollbackError> {
        let objects = objects_of(Kind::Application, self.context.argocd_namespace());
        let Some(live) = self.devops.get(&objects, &named.name, value).await? else {
            return Ok(());
        };
        let finalizers = live
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array);
        let left = finalizers
            .into_iter()
            .flatten()
            .filter(|one| !is_cascading(one));
        let left: Vec<&Value> = left.collect();
        let patch = json!({"metadata": {
            "finalizers": left,
            "annotations": {SKIP_RECONCILE: "true"},
            "resourceVersion": text(&live, "/metadata/resourceVersion"),
        }});
        let patched = self
            .devops
            .patch(&objects, &named.name, &patch, only_ask, |_| ());
        Ok(patched.await?)
    }

    /// How Terraform takes the release back.
    fn tell_terraform(&self) -> Result<(), CommandError> {
        let known = self.args.terraform.read()?;
        let streams = &self.context.streams;
        let mut told = false;
        for cluster in &self.clusters {
            let judgement = known.judge(&Subject {
                cluster: &cluster.name,
                release: &self.release,
                namespace: &self.namespace,
                addresses: &[],
                zero_diff: GateState::Open,
            });
            for of_state in letting_go(&judgement.managing, &known) {
                for restoring in &of_state.restoring {
                    told = true;
                    match restoring {
                        Restoring::Import { block } => streams.hint(&format!(
                            "put the block of the resource back, with this beside it: {}",
                            block.split_whitespace().collect::<Vec<_>>().join(" ")
                        )),
                        Restoring::Command(command) => streams.hint(&format!(
                            "put the block of the resource back, then: {command}"
                        )),
                    }
                }
            }
        }
        if !told {
            streams.hint(&format!(
                "where Terraform is to have it again: put the block of the resource back, then: \
                 terraform import ADDRESS {}/{}",
                self.namespace, self.release
            ));
        }
        Ok(())
    }
}

fn objects(cluster: &OnCluster, key: &Key) -> Option<Objects> {
    Some(Objects {
        resource: cluster.kinds.resource(&key.group, &key.kind)?.clone(),
        namespace: Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
    })
}

fn step(what: String, is: &str, change: Option<(&str, Action)>) -> Step<Action> {
    Step {
        what,
        is: is.to_owned(),
        change: match change {
            None => Change::None,
            Some((should_be, action)) => Change::Make {
                should_be: should_be.to_owned(),
                action,
                how: Vec::new(),
                undo: Vec::new(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_helms_again_with_its_label_and_annotations() {
        let taken = json!({"metadata": {
            "annotations": {"argocd.argoproj.io/tracking-id": "prod-dns:/Service:dns/dns", "a": "b"},
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
        }});
        assert_eq!(
            restored(&taken, "dns", "dns"),
            Some(json!({"metadata": {
                "annotations": {
                    "argocd.argoproj.io/tracking-id": null,
                    "meta.helm.sh/release-name": "dns",
                    "meta.helm.sh/release-namespace": "dns",
                },
                "labels": {},
            }}))
        );
        let own = json!({"metadata": {
            "annotations": {
                "meta.helm.sh/release-name": "dns", "meta.helm.sh/release-namespace": "dns",
            },
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
        }});
        assert_eq!(restored(&own, "dns", "dns"), None);
    }

    #[test]
    fn only_the_finalizers_that_delete_resources_cascade() {
        let with = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
        assert!(cascades(&with(json!([
            "resources-finalizer.argocd.argoproj.io"
        ]))));
        assert!(cascades(&with(json!([
            "resources-finalizer.argocd.argoproj.io/background"
        ]))));
        assert!(!cascades(&with(json!(["example.com/mine"]))));
        assert!(!cascades(&json!({})));
    }

    /// Argo CD would run them though what the Application deploys is kept.
    #[test]
    fn hooks_of_deletion_are_not_to_run() {
        for finalizer in [
            "pre-delete-finalizer.argocd.argoproj.io",
            "pre-delete-finalizer.argocd.argoproj.io/cleanup",
            "post-delete-finalizer.argocd.argoproj.io",
            "post-delete-finalizer.argocd.argoproj.io/cleanup",
        ] {
            assert!(is_cascading(&json!(finalizer)), "{finalizer}");
        }
        assert!(!is_cascading(&json!("post-delete-finalizer.example.com")));
    }

    #[test]
    fn what_an_earlier_run_has_left_behind_is_found() {
        let left = |skip: &str, path: &str| {
            let application = json!({
                "metadata": {"annotations": {SKIP_RECONCILE: skip}},
                "spec": {"source": {"path": path}},
            });
            is_left_behind(&application, "dns")
        };
        assert!(left("true", "charts/dns"));
        assert!(!left("false", "charts/dns"));
        assert!(!left("true", "charts/other"));
        assert!(!is_left_behind(&json!({}), "dns"));
    }

    #[test]
    fn an_application_set_keeps_what_it_makes_and_leaves_it_alone() {
        assert!(keeps(&keeping()));
        let kept = json!({"spec": {"syncPolicy": {"preserveResourcesOnDeletion": true}}});
        assert!(!keeps(&kept));
        assert!(!keeps(&json!({})));
    }
}
