//! What a promotion would change.

use std::collections::BTreeMap;

use argocd::names::LAST_APPLIED;
use futures::StreamExt as _;
use policy::Kind;
use serde::Deserialize;
use serde_json::Value;

use super::facts::{Reached, configuration, reached_server};
use super::known::Found;
use super::{DriftArgs, SourceArg, local};
use crate::argocd_server::ArgoCdServer;
use crate::args::Format;
use crate::context::Context;
use crate::drift::local::Key;
use crate::drift::overview::ListedResource;
use crate::drift::promotion::{Candidate, Deployed, Pairing, Promotion, Selected, pair};
use crate::drift::{ControllerSettings, Overview};
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::fleet::Facts;
use crate::kubernetes::{ApiServer, Objects, block_on, resource_of};
use crate::report::promotion::PromotionReport;
use crate::text::counted;

/// How many Applications are asked for at once.
const AT_ONCE: usize = 8;

/// The formats that it has.
const FORMATS: [Format; 5] = [
    Format::Table,
    Format::Wide,
    Format::Json,
    Format::Yaml,
    Format::Markdown,
];

/// Reads, pairs, compares, prints.
pub(super) fn run(args: &DriftArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    if !FORMATS.contains(&args.output.output) {
        let known = FORMATS.map(Format::as_str).join(", ");
        return Err(CommandError::new(format!(
            "-o {}: what a promotion changes is shown as {known}",
            args.output.output
        )));
    }
    let Compared {
        promotions,
        alone,
        source,
    } = block_on(compared(args, context))?;
    for promotion in &promotions {
        if let Some(reason) = &promotion.reason {
            let name = promotion.to.display_name();
            context
                .streams
                .error(&format!("application/{name}: {reason}"));
        }
    }
    let report = PromotionReport {
        promotions: &promotions,
        alone: &alone,
        source,
    };
    context.print(&report, args.output.output)?;
    context.streams.status(&summary(&promotions, alone.len()));
    let is_complete = promotions.iter().all(|one| one.reason.is_none());
    Ok(if !(is_complete || args.output.partial_ok) {
        ExitStatus::Failed
    } else if promotions.iter().any(Promotion::changes) && !args.output.exit_zero {
        ExitStatus::Changes
    } else {
        ExitStatus::Clean
    })
}

fn summary(promotions: &[Promotion], alone: usize) -> String {
    let changed = promotions.iter().filter(|one| one.changes()).count();
    let images: usize = promotions.iter().map(|one| one.images.len()).sum();
    let only_names: usize = promotions.iter().map(|one| one.only_names).sum();
    format!(
        "{}: {changed} would change, {}; {} without a counterpart; left out: {only_names} that differ \
         in the names of environments alone",
        counted(promotions.len(), "pair"),
        counted(images, "image"),
        counted(alone, "Application"),
    )
}

/// What was found.
struct Compared {
    promotions: Vec<Promotion>,
    /// Those without a counterpart, each with the side that it is on.
    alone: Vec<(Candidate, &'static str)>,
    source: &'static str,
}

async fn compared(args: &DriftArgs, context: &Context) -> Result<Compared, CommandError> {
    let devops = context.connect().await?;
    let (facts, lacking) =
        Facts::of_cluster_as_far_as_permitted(&devops, context.argocd_namespace()).await?;
    for text in &lacking {
        context.streams.note(text);
    }
    let inventory = facts.inventory()?;
    let list = Lister {
        args,
        context,
        devops: &devops,
        inventory: &inventory,
    };
    let (from, to, selected) = list.sides().await?;
    let candidates = |side: &[Listed]| -> Vec<Candidate> {
        side.iter().map(|one| one.candidate(&selected)).collect()
    };
    let (from_names, to_names) = (candidates(&from), candidates(&to));
    let pairing = if args.between.is_empty() {
        pair(&from_names, &to_names, &selected)
    } else {
        Pairing {
            pairs: vec![(0, 0)],
            ..Pairing::default()
        }
    };
    let alone = |places: &[usize], names: &[Candidate], side| {
        let places = places.iter();
        places
            .map(|place| (names[*place].clone(), side))
            .collect::<Vec<_>>()
    };
    let mut without = alone(&pairing.alone_from, &from_names, "from");
    without.extend(alone(&pairing.alone_to, &to_names, "to"));
    let (from, source) = list.deployed(from, from_names).await?;
    let (to, _) = list.deployed(to, to_names).await?;
    let pairs = pairing.pairs.iter();
    Ok(Compared {
        promotions: pairs
            .map(|(one, other)| Promotion::of(&from[*one], &to[*other]))
            .collect(),
        alone: without,
        source,
    })
}

struct Lister<'a> {
    args: &'a DriftArgs,
    context: &'a Context,
    devops: &'a ApiServer,
    inventory: &'a policy::Inventory,
}

/// An Application of the cluster.
struct Listed {
    found: Found,
    labels: BTreeMap<String, String>,
    spec: Value,
}

impl Listed {
    fn candidate(&self, selected: &Selected) -> Candidate {
        let overview = &self.found.overview;
        let mut words = selected.words(&self.labels);
        words.extend(overview.environments.iter().cloned());
        words.extend(overview.cluster.name.clone());
        Candidate {
            namespace: overview.namespace.clone(),
            name: overview.name.clone(),
            labels: self.labels.clone(),
            words,
        }
    }
}

impl Lister<'_> {
    /// The Applications of either side.
    async fn sides(&self) -> Result<(Vec<Listed>, Vec<Listed>, Selected), CommandError> {
        if let [from, to] = self.args.between.as_slice() {
            let all = self.list(None).await?;
            let (mut from_side, mut to_side) = (Vec::new(), Vec::new());
            for one in all {
                let overview = &one.found.overview;
                let is = |name: &String| *name == overview.name || *name == overview.display_name();
                if is(from) {
                    from_side.push(one);
                } else if is(to) {
                    to_side.push(one);
                }
            }
            for (name, side) in [(from, &from_side), (to, &to_side)] {
                let problem = match side.as_slice() {
                    [_] => continue,
                    [] => "there is none of this name there",
                    _ => "there are several of this name: say NAMESPACE/NAME",
                };
                return Err(CommandError::new(format!("application/{name}: {problem}")));
            }
            return Ok((from_side, to_side, Selected::default()));
        }
        let selectors = [&self.args.scope.selector, &self.args.with];
        let selectors = selectors.map(|selector| selector.as_deref().unwrap_or_default());
        let (from, to) = (
            self.list(Some(selectors[0])).await?,
            self.list(Some(selectors[1])).await?,
        );
        for (selector, side) in selectors.iter().zip([&from, &to]) {
            if side.is_empty() {
                return Err(CommandError::new(format!(
                    "{selector}: no Application has these labels"
                )));
            }
        }
        Ok((from, to, Selected::by(&selectors)))
    }

    async fn list(&self, selector: Option<&str>) -> Result<Vec<Listed>, CommandError> {
        let own = self.context.namespace_of(self.devops);
        let is_all = self.args.scope.all_namespaces;
        let objects = Objects {
            resource: resource_of(Kind::Application),
            namespace: (!is_all).then(|| own.to_owned()),
        };
        let listed = self
            .devops
            .list(&objects, selector, |json| self.read(json))
            .await?;
        listed.into_iter().collect()
    }

    fn read(&self, json: &str) -> Result<Listed, CommandError> {
        #[derive(Deserialize)]
        struct Document {
            metadata: Metadata,
            #[serde(default)]
            spec: Value,
        }
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(default)]
            labels: Option<BTreeMap<String, String>>,
        }
        let settings = ControllerSettings::default();
        let overview = Overview::read(json, self.inventory, settings, self.context.now());
        let overview = overview.map_err(CommandError::new)?;
        let document: Document = serde_json::from_str(json).map_err(|_| {
            CommandError::new(format!("application/{}: cannot be read", overview.name))
        })?;
        Ok(Listed {
            labels: document.metadata.labels.unwrap_or_default(),
            spec: document.spec,
            found: Found {
                overview,
                json: json.to_owned(),
            },
        })
    }

    /// What Git has of Applications, and where that is from.
    async fn deployed(
        &self,
        listed: Vec<Listed>,
        names: Vec<Candidate>,
    ) -> Result<(Vec<Deployed>, &'static str), CommandError> {
        let specs: Vec<Value> = listed.iter().map(|one| one.spec.clone()).collect();
        let is_local = self.args.source == SourceArg::Local;
        let (objects, source) = if is_local {
            let found = listed.into_iter().map(|one| one.found).collect();
            let namespace = self.context.argocd_namespace();
            let configuration = configuration(self.devops, namespace).await;
            let fleet = &self.inventory.fleet;
            let generated = local::generated(
                self.args,
                self.context,
                self.devops,
                &configuration,
                fleet,
                found,
            );
            (generated.await?, "local")
        } else {
            let reached = reached_server(self.args, self.context, Some(self.devops)).await?;
            if let Some(server) = reached {
                (by_server(&server, &listed).await, "argocd")
            } else {
                let reason =
                    "nobody is logged in to argocd-server, and --source local is not asked for";
                let unknown = listed.iter().map(|_| Err(reason.to_owned()));
                (unknown.collect(), "status")
            }
        };
        let parts = names.into_iter().zip(specs).zip(objects);
        let deployed = parts.map(|((candidate, spec), objects)| Deployed {
            candidate,
            spec,
            objects: objects.map(|objects| objects.into_iter().map(without_applied).collect()),
            is_masked: !is_local,
        });
        Ok((deployed.collect(), source))
    }
}

fn without_applied(mut object: Value) -> Value {
    let annotations = object.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    object
}

async fn by_server(reached: &Reached, listed: &[Listed]) -> Vec<Result<Vec<Value>, String>> {
    let asked = futures::stream::iter(listed)
        .map(|one| manifests(reached.server(), &one.found.overview))
        .buffered(AT_ONCE);
    asked.collect().await
}

async fn manifests(server: &ArgoCdServer, overview: &Overview) -> Result<Vec<Value>, String> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        manifests: Vec<String>,
    }
    let Overview {
        namespace,
        name,
        project,
        ..
    } = overview;
    let answer = server.manifests(namespace, name, project).await;
    let text = answer.map_err(|error| chain(&error))?;
    let unreadable = || "argocd-server answered something else than manifests".to_owned();
    let answer: Answer = serde_json::from_str(&text).map_err(|_| unreadable())?;
    let objects = answer
        .manifests
        .iter()
        .map(|text| match serde_json::from_str(text) {
            Ok(mut object @ Value::Object(_)) => {
                give_namespace(&mut object, overview);
                Ok(object)
            }
            _ => Err(unreadable()),
        });
    objects.collect()
}

/// Gives an object the namespace that it goes to, as Argo CD lists it: manifests have what Git says.
fn give_namespace(object: &mut Value, overview: &Overview) {
    let key = Key::of(object);
    if !key.namespace.is_empty() {
        return;
    }
    let is_it = |listed: &&ListedResource| {
        let is = |listed: &Option<String>, own: &str| listed.as_deref().unwrap_or_default() == own;
        is(&listed.group, &key.group) && is(&listed.kind, &key.kind) && is(&listed.name, &key.name)
    };
    let listed = overview.resources.iter().find(is_it);
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let namespace = listed.and_then(|listed| listed.namespace.clone());
    if let (Some(metadata), Some(namespace)) = (metadata, namespace) {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
}
