//! What is worked out of a list says what a dry run says, whatever somebody has edited: random edits
//! of random built-in objects on the real API server.
//!
//! `GITOPS_TEST_EDITS` says how many edits are made, and `GITOPS_TEST_SEED` with which the first of
//! them begins, as a failure tells it.

use std::collections::BTreeMap;
use std::env;

use anyhow::{Context, Result, ensure};
use argocd::comparison::{
    Comparison, ComparisonSettings, Generation, IgnoreRules, Pair, Rules, Strategy, Verdict,
    compare, remarshalled,
};
use golang::work::Work;
use harness::ControlPlane;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::objects;
use crate::random::Random;
use crate::world::{NAMESPACE, World, tracked};

/// How many edits are made where nothing says otherwise.
const EDITS: u64 = 200;
const ARGO_CD: &str = "argocd-controller";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How Argo CD has applied an object, and so how it is compared without a dry run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Applied {
    /// By a client: three-way.
    ByClient,
    /// On the server, as up to Argo CD 3.5: by managed fields.
    OnServer,
}

impl Applied {
    fn strategy(self) -> Strategy<'static> {
        match self {
            Applied::ByClient => Strategy::ClientSide,
            Applied::OnServer => Strategy::Structured,
        }
    }

    fn generation(self) -> Generation {
        match self {
            Applied::ByClient => Generation::Since36,
            Applied::OnServer => Generation::UpTo35,
        }
    }
}

/// A kind, and an object of it, as it is applied.
struct Subject {
    api: Api<DynamicObject>,
    name: String,
    desired: Value,
}

impl Subject {
    fn of(client: Client, object: &Value, number: u64) -> Result<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").context("no kind")?;
        let version = text("/apiVersion").context("no apiVersion")?;
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let name = format!("edited-{number}");
        let mut desired = object.clone();
        desired["metadata"]["name"] = json!(name);
        Ok(Subject {
            api: Api::namespaced_with(client, NAMESPACE, &resource),
            desired: tracked(&desired),
            name,
        })
    }

    async fn apply(&self, applied: Applied) -> Result<()> {
        match applied {
            Applied::ByClient => {
                let mut object = self.desired.clone();
                let last_applied = format!("{}\n", self.desired);
                object["metadata"]["annotations"][LAST_APPLIED] = json!(last_applied);
                let parameters = PostParams {
                    field_manager: Some(ARGO_CD.to_owned()),
                    ..PostParams::default()
                };
                let object = serde_json::from_value(object)?;
                self.api.create(&parameters, &object).await?;
            }
            Applied::OnServer => {
                let parameters = PatchParams::apply(ARGO_CD).force();
                let patch = Patch::Apply(&self.desired);
                self.api.patch(&self.name, &parameters, &patch).await?;
            }
        }
        Ok(())
    }

    async fn live(&self) -> Result<Value> {
        Ok(serde_json::to_value(self.api.get(&self.name).await?)?)
    }

    /// Whether the API server takes it.
    async fn replace(&self, object: Value) -> bool {
        let parameters = PostParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PostParams::default()
        };
        let Ok(object) = serde_json::from_value(object) else {
            return false;
        };
        let replaced = self.api.replace(&self.name, &parameters, &object);
        replaced.await.is_ok()
    }

    /// None where the API server would refuse it.
    async fn predicted(&self, desired: &Value) -> Option<Value> {
        let parameters = PatchParams {
            dry_run: true,
            ..PatchParams::apply(ARGO_CD).force()
        };
        let patch = Patch::Apply(desired);
        let predicted = self.api.patch(&self.name, &parameters, &patch).await;
        serde_json::to_value(predicted.ok()?).ok()
    }

    async fn delete(&self) -> Result<()> {
        let parameters = DeleteParams::background().grace_period(0);
        self.api.delete(&self.name, &parameters).await?;
        Ok(())
    }
}

fn verdict(
    desired: &Value,
    live: &Value,
    strategy: Strategy<'_>,
    generation: Generation,
) -> Result<Verdict> {
    let mut settings = ComparisonSettings::from_config_map(&BTreeMap::new());
    settings.generation = generation;
    let work = Work::new(1 << 28);
    let ignore = IgnoreRules::new(&[], &settings.customizations, &work)?;
    let rules = Rules {
        settings: &settings,
        ignore: &ignore,
    };
    let pair = Pair {
        desired: Some(desired.clone()),
        live: Some(live.clone()),
    };
    Ok(compare(pair, strategy, rules, &work)?)
}

fn compared(verdict: Verdict) -> Option<Box<Comparison>> {
    match verdict {
        Verdict::Compared(comparison) => Some(comparison),
        Verdict::NeedsDryRun(_) | Verdict::Undecided => None,
    }
}

/// How what is worked out of a list compares with a dry run.
enum Outcome {
    /// A list alone says that it cannot tell.
    Unknown,
    Agreed,
    /// How they differ.
    Disagreed(String),
}

fn outcome(desired: &Value, live: &Value, predicted: &Value, applied: Applied) -> Result<Outcome> {
    let generation = applied.generation();
    // What cannot be compared is told as unknown, as by Argo CD: an item without its key, where
    // somebody owns another field of an item that Git has no more.
    let listed = verdict(desired, live, applied.strategy(), generation);
    let Some(listed) = listed.ok().and_then(compared) else {
        return Ok(Outcome::Unknown);
    };
    let strategy = Strategy::ServerSide {
        dry_run: Some(predicted),
        mutation_webhooks: false,
    };
    let exact = compared(verdict(desired, live, strategy, generation)?);
    let exact = exact.context("a dry run does not tell")?;
    let argo_cds_own_ways_differ =
        is_of_atomic_map(&exact, applied) || is_of_required_field(&listed, applied);
    if listed.modified == exact.modified || argo_cds_own_ways_differ {
        return Ok(Outcome::Agreed);
    }
    let differ = |one: &Comparison| {
        let found = argocd::comparison::differences(&one.predicted, &one.live).into_iter();
        let found = found.map(|one| format!("{}: {:?} {:?}", one.pointer, one.desired, one.live));
        found.collect::<Vec<_>>().join("; ")
    };
    Ok(Outcome::Disagreed(format!(
        "a list says {} ({}), a dry run {} ({})",
        listed.modified,
        differ(&listed),
        exact.modified,
        differ(&exact)
    )))
}

/// Maps that a server-side apply replaces as a whole, while a client merges them.
const ATOMIC_MAPS: [&str; 2] = ["/matchLabels/", "/nodeSelector/"];

/// Whether a dry run takes away what somebody added to such a map, which a client leaves alone.
/// `drift --exact` says of that that it is unknown.
fn is_of_atomic_map(exact: &Comparison, applied: Applied) -> bool {
    let differences = argocd::comparison::differences(&exact.predicted, &exact.live);
    let is_added = |pointer: &str| ATOMIC_MAPS.iter().any(|map| pointer.contains(map));
    applied == Applied::ByClient
        && exact.modified
        && differences
            .iter()
            .all(|one| one.desired.is_none() && is_added(&one.pointer))
}

/// Fields that the API server always writes, empty where nothing is said of them.
const REQUIRED_FIELDS: [&str; 2] = ["/spec/podSelector", "/spec/limits"];

/// Whether Git says nothing any more of what has to be there. A dry run empties it, and leaves it
/// without an owner, for which Argo CD takes that for the work of a webhook and says that nothing
/// differs (3.6.1, gitops-engine `removeWebhookMutation`). For the managed fields an empty list is
/// not what is absent.
fn is_of_required_field(listed: &Comparison, applied: Applied) -> bool {
    let differences = argocd::comparison::differences(&listed.predicted, &listed.live);
    let is_required = |one: &argocd::comparison::Difference| match &one.desired {
        None => REQUIRED_FIELDS.contains(&one.pointer.as_str()),
        Some(desired) => one.live.is_none() && *desired == json!([]),
    };
    applied == Applied::OnServer && listed.modified && differences.iter().all(is_required)
}

fn number(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}: {text}")),
        Err(_) => Ok(default),
    }
}

async fn edited(applied: Applied) -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let client = control_plane.admin().client().await?;
    let namespace = json!({"metadata": {"name": NAMESPACE}});
    let namespaces = Api::all(client.clone());
    let namespace: k8s_openapi::api::core::v1::Namespace = serde_json::from_value(namespace)?;
    namespaces
        .create(&PostParams::default(), &namespace)
        .await?;
    let all = objects::all();
    let (count, seed) = (
        number("GITOPS_TEST_EDITS", EDITS)?,
        number("GITOPS_TEST_SEED", 1)?,
    );
    let (mut told, mut taken, mut agreed, mut drifted) = (Vec::new(), 0, 0, 0);
    for seed in seed..seed + count {
        let mut random = Random::new(seed);
        let object = random.one_of(&all).context("there are no objects")?;
        let subject = Subject::of(client.clone(), object, seed)?;
        let apply = subject.apply(applied).await;
        apply.with_context(|| format!("{object}"))?;
        let before = subject.live().await?;
        let mut after = before.clone();
        let mut edits: Vec<String> = (0..=random.below(3))
            .filter_map(|_| random.edit(&mut after))
            .collect();
        if subject.replace(after).await {
            taken += 1;
            let live = subject.live().await?;
            let mut desired = subject.desired.clone();
            // Argo CD's own two ways differ in what Git does not say any more: a dry run removes
            // only what was applied on the server.
            if applied == Applied::OnServer && random.below(2) == 0 {
                edits.extend(
                    random
                        .edit(&mut desired)
                        .map(|edit| format!("in Git: {edit}")),
                );
                // Argo CD leaves out an empty list before it compares, and sends it in a dry run.
                desired = remarshalled(desired);
            }
            if let Some(predicted) = subject.predicted(&desired).await {
                drifted += u64::from(predicted["spec"] != live["spec"]);
                let found = outcome(&desired, &live, &predicted, applied);
                match found.with_context(|| format!("seed {seed}: {edits:?}"))? {
                    Outcome::Unknown => {}
                    Outcome::Agreed => agreed += 1,
                    Outcome::Disagreed(how) => {
                        let kind = &object["kind"];
                        told.push(format!("seed {seed}, {kind}, {edits:?}: {how}"));
                    }
                }
            }
        }
        subject.delete().await?;
    }
    ensure!(told.is_empty(), "{}", told.join("\n"));
    // Most edits are of a kind that the API server takes, and some of them drift.
    ensure!(
        count < EDITS || taken > count / 3 && agreed > count / 4 && drifted > 0,
        "{taken} of {count} were taken, of {agreed} they agree, {drifted} drift"
    );
    Ok(())
}

/// Argo CD itself says nothing differs, as its client-side apply would change nothing.
#[tokio::test]
async fn where_a_dry_run_says_otherwise_than_argo_cd_it_is_unknown() -> Result<()> {
    let world = World::start(&json!({})).await?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "allow"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
    });
    world.desire(std::slice::from_ref(&policy))?;
    world.sync(&[policy]).await?;
    let exact = ["--exact", "--output", "json"];
    let report = world.answer(&exact).await?;
    assert_eq!(report.0, 0, "{}", report.1);
    let added = r#"{"spec": {"podSelector": {"matchLabels": {"added": "yes"}}}}"#;
    let patch = [
        "patch",
        "networkpolicy/allow",
        "--type=merge",
        "--patch",
        added,
    ];
    let patch = world
        .admin()
        .kubectl(patch)
        .arguments(["--namespace", NAMESPACE]);
    harness::succeed(patch).await?;

    let (code, listed) = world.answer(&["--output", "json"]).await?;
    assert_eq!(code, 0, "{listed}");
    let (code, report) = world.answer(&exact).await?;
    assert_eq!(code, 2, "{report}");
    let report: Value = serde_json::from_str(&report)?;
    let application = &report["applications"][0];
    assert_eq!(application["verdict"], "unknown");
    let reason = application["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("NetworkPolicy allow: a dry run "),
        "{reason}"
    );
    Ok(())
}

#[tokio::test]
async fn a_list_says_what_a_dry_run_says_of_what_a_client_applied() -> Result<()> {
    edited(Applied::ByClient).await
}

#[tokio::test]
async fn a_list_says_what_a_dry_run_says_of_what_was_applied_on_the_server() -> Result<()> {
    edited(Applied::OnServer).await
}
