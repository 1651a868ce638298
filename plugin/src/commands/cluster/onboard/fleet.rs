//! The fleet that a cluster comes into, of files or of a cluster.

use std::sync::Arc;

use argocd::application_set::Checkouts;
use argocd::names::CLUSTER_SECRETS;
use policy::{Completeness, Kind, Level};

use super::OnboardArgs;
use crate::check::{Located, Place, judge};
use crate::context::Context;
use crate::error::CommandError;
use crate::fleet::{Facts, Source};
use crate::kubernetes::{Objects, resource_of};
use crate::onboarding::facts::Lookup;
use crate::onboarding::registered::Registered;
use crate::onboarding::secret::SecretManifest;
use crate::preview::{Intent, Preview};
use crate::repository::exclusions::Exclusions;
use crate::repository::manifest::Manifest;
use crate::repository::work_trees::WorkTrees;
use crate::repository::{Reader, Repository, manifests_of};

/// What is known of the fleet.
pub(super) struct FleetFacts {
    facts: Facts,
    pub(super) registered: Lookup<Vec<Registered>>,
    work_trees: Arc<WorkTrees>,
}

/// What the rules say of a Secret, and what it sets off.
pub(super) struct Verdict {
    pub(super) findings: Vec<Located>,
    /// None where no fleet is known.
    pub(super) fan_out: Option<Preview>,
}

const NO_FLEET: &str =
    "no fleet is known: --facts names its files, or `live` for the cluster that Argo CD runs on";

impl FleetFacts {
    /// Reads what `--facts` names.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(super) async fn read(args: &OnboardArgs, context: &Context) -> Result<Self, CommandError> {
        let paths = args.facts.paths();
        let exclusions = Arc::new(Exclusions::of(&[]));
        let reader = Reader {
            exclusions: &exclusions,
            namespaces: context.namespaces.of_files(),
            progress: context.progress,
        };
        let files = reader.read(&paths);
        refuse_unread(&files)?;
        let namespace = context.argocd_namespace();
        let mut registered = Vec::new();
        let mut facts = if args.asks_cluster() {
            let (facts, of_cluster) = live(context, namespace).await?;
            registered.extend(of_cluster);
            facts
        } else {
            Facts::new(namespace, Completeness::Partial)
        };
        if args.all_clusters_known {
            facts.have_all_clusters();
        }
        facts.add(&files.manifests, Source::State);
        context.warn(&facts.repeated);
        let problems = facts.take_problems();
        context.warn(problems.iter().map(|problem| crate::error::chain(problem)));
        let secrets = files
            .manifests
            .iter()
            .filter(|manifest| manifest.kind == Kind::ClusterSecret);
        for manifest in secrets.filter(|manifest| manifest.namespace == namespace) {
            registered.extend(registered_of(manifest));
        }
        let work_trees = WorkTrees::of(&paths, None).map_err(CommandError::new)?;
        let is_known = args.asks_cluster() || !paths.is_empty();
        Ok(FleetFacts {
            facts,
            registered: if is_known {
                Lookup::Known(registered)
            } else {
                Lookup::Unknown(NO_FLEET.to_owned())
            },
            work_trees: Arc::new(work_trees),
        })
    }

    /// Has the rules judge a Secret, and works out what it sets off.
    ///
    /// # Errors
    /// The policy cannot be used.
    pub(super) fn judge(
        &mut self,
        secret: &SecretManifest,
        context: &Context,
    ) -> Result<Verdict, CommandError> {
        let checkouts = Arc::clone(&self.work_trees) as Arc<dyn Checkouts + Send + Sync>;
        let mut inventory = self.facts.inventory()?;
        // What ApplicationSets make of it is worked out below, against what there is.
        inventory.application_sets = Vec::new().into();
        let manifests = manifests_of("the Secret", &secret.yaml(), context.namespaces.of_files());
        let mut findings = Vec::new();
        for manifest in &manifests {
            let judged = judge(manifest, &inventory, context.now());
            findings.extend(judged.map_err(CommandError::new)?.0);
        }
        // It is in no file yet.
        for located in &mut findings {
            located.place = Place::Live;
            located.field = located.finding.field.to_string();
        }
        let is_known = self.registered.known().is_some();
        let facts = std::mem::replace(
            &mut self.facts,
            Facts::new(context.argocd_namespace(), Completeness::Partial),
        );
        let fan_out = is_known
            .then(|| Preview::of(&manifests, Intent::Apply, facts, &checkouts))
            .transpose()?;
        context.warn(self.work_trees.unknown_remotes());
        let refused = fan_out.iter().flat_map(|preview| &preview.refused);
        findings.extend(refused.filter_map(|refused| {
            Some(Located {
                object: manifests.first()?.reference.clone(),
                field: refused.finding.field.to_string(),
                place: Place::Live,
                finding: refused.finding.clone(),
            })
        }));
        Ok(Verdict { findings, fan_out })
    }
}

/// Why the rules refuse an object, one sentence each.
pub(super) fn denials(findings: &[Located]) -> Vec<String> {
    let denied = findings
        .iter()
        .filter(|located| located.finding.level() == Level::Deny);
    denied
        .map(|located| {
            let finding = &located.finding;
            format!("{}: {}", finding.rule, finding.message)
        })
        .collect()
}

/// What cannot be read may be the policy, or the cluster itself.
fn refuse_unread(files: &Repository) -> Result<(), CommandError> {
    match files.problems.first() {
        Some(problem) => Err(CommandError::new(crate::error::chain(problem))),
        None => Ok(()),
    }
}

fn registered_of(manifest: &Manifest) -> Option<Registered> {
    Registered::read(manifest.json())
}

async fn live(
    context: &Context,
    namespace: &str,
) -> Result<(Facts, Vec<Registered>), CommandError> {
    let server = context.connect().await?;
    let (mut facts, lacking) = Facts::of_cluster(&server, namespace).await?;
    let secrets = Objects {
        resource: resource_of(Kind::ClusterSecret),
        namespace: Some(namespace.to_owned()),
    };
    let registered = server
        .list(&secrets, Some(CLUSTER_SECRETS), Registered::read)
        .await?;
    context.warn(facts.what_lacks(lacking));
    Ok((facts, registered.into_iter().flatten().collect()))
}
