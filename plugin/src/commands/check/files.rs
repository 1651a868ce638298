//! What is in files.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::Completeness;
use policy::environment::ClustersByEnvironment;

use super::{CheckArgs, Checked, tell};
use crate::cluster_access::block_on;
use crate::error::CommandError;
use crate::facts::files::cluster_places;
use crate::facts::live::refuse_flaw;
use crate::facts::{Facts, Source};
use crate::namespaces::Namespaces;
use crate::output::{self, counted};
use crate::repeated::repeated;
use crate::report::{Files, Report, Unread};
use crate::repository::Repository;
use crate::repository::manifest::{Kind, Manifest};
use crate::repository::work_trees::WorkTrees;

/// Judges what is in them, by what is in them.
pub(super) fn check(args: &CheckArgs) -> Result<Checked, CommandError> {
    let namespaces = args.scope.namespaces.of_files();
    let exclusions = Arc::new(args.exclusions.exclusions());
    let given = args.facts.read(&exclusions, namespaces);
    let paths: Vec<_> = args.paths.iter().chain(&args.filenames).collect();
    let judged = Repository::read(&paths, &exclusions, namespaces);
    warn_of_projects(judged.manifests.iter().chain(&given.manifests), namespaces);
    let unread_files = given.problems.iter().chain(&judged.problems);

    let mut facts = if args.facts.are_live() {
        of_cluster(args)?
    } else {
        Facts::new(namespaces.argocd, Completeness::Partial)
    };
    if args.known.all_clusters_known {
        facts.have_all_clusters();
    }
    args.version.apply(&mut facts);
    facts.add(&judged.manifests, Source::Judged);
    facts.add(&given.manifests, Source::Given);
    let mut inventory = facts
        .inventory()
        .inspect_err(|_| tell(&Unread::each_once(unread_files.clone())))?;
    refuse_flaw(&inventory)?;
    let work_trees = Arc::new(WorkTrees::of(&paths, &args.repository).map_err(CommandError::new)?);
    inventory.checkouts = Arc::clone(&work_trees) as _;
    let secrets = judged.manifests.iter().chain(&given.manifests);
    inventory.cluster_places = Arc::new(cluster_places(secrets));
    let report = Report::of(&judged.manifests, &inventory);
    let mut told = judged.unknown_kinds.clone();
    told.extend(facts.repeated.iter().cloned());
    told.extend(repeated(&judged.manifests, &inventory));
    for text in &told {
        output::warning(text);
    }
    work_trees.warn_of_unknown_remotes();
    let problems = Unread::each_once(unread_files.chain(facts.problems()).chain(&report.problems));
    Ok(Checked {
        problems,
        is_complete: true,
        what: what(&judged, &report),
        clusters: ClustersByEnvironment::of(&inventory),
        files: Some(Files {
            count: judged.files,
            overlays: overlays(&judged),
            warnings: told,
            skipped: judged.skipped,
        }),
        report,
    })
}

/// Projects that `-n` puts where Argo CD does not read them.
fn warn_of_projects<'m>(
    manifests: impl Iterator<Item = &'m Manifest>,
    Namespaces { objects, argocd }: Namespaces<'_>,
) {
    let is_elsewhere =
        |manifest: &&Manifest| manifest.kind == Kind::AppProject && manifest.namespace == objects;
    let count = manifests.filter(is_elsewhere).count();
    if objects != argocd && count > 0 {
        output::warning(&format!(
            "{} in namespace {objects}, but Argo CD is taken to run in {argocd}: --argocd-namespace names another",
            counted(count, "AppProject")
        ));
    }
}

/// What the cluster knows, as far as it may be read.
fn of_cluster(args: &CheckArgs) -> Result<Facts, CommandError> {
    let (facts, lacking) = block_on(async {
        let server = args.cluster.connect().await?;
        let read = Facts::for_files(&server, args.scope.namespaces.argocd());
        Ok(read.await?)
    })?;
    for text in &lacking {
        output::warning(text);
    }
    Ok(facts)
}

fn overlays(judged: &Repository) -> BTreeMap<Arc<str>, usize> {
    let mut overlays = BTreeMap::new();
    for manifest in judged
        .manifests
        .iter()
        .filter(|manifest| manifest.kind.is_judged())
    {
        if let Some(overlay) = &manifest.overlay {
            *overlays.entry(Arc::clone(overlay)).or_default() += 1;
        }
    }
    overlays
}

fn what(judged: &Repository, report: &Report) -> String {
    let skipped = match judged.skipped.len() {
        0 => String::new(),
        skipped => format!(" ({skipped} skipped)"),
    };
    format!(
        "{}{skipped}, {}",
        counted(judged.files, "file"),
        counted(report.counts.objects, "object")
    )
}
