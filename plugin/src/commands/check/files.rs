//! What is in files.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::Completeness;

use super::{ARGOCD_NAMESPACE, CheckArgs, Checked, Files, Scope, each_once, tell};
use crate::error::CommandError;
use crate::facts::files::cluster_places;
use crate::facts::{Facts, Source};
use crate::output::{self, counted};
use crate::production::production;
use crate::repeated::repeated;
use crate::report::Report;
use crate::repository::Repository;
use crate::repository::work_trees::WorkTrees;

/// Judges what is in them, by what is in them.
pub(super) fn check(args: &CheckArgs) -> Result<Checked, CommandError> {
    let namespace = args.scope.namespace_of_files()?;
    let exclusions = Arc::new(args.exclusions.exclusions());
    let given = Repository::read(&args.policy, &exclusions, namespace);
    let paths: Vec<_> = args.paths.iter().chain(&args.filenames).collect();
    let judged = Repository::read(&paths, &exclusions, namespace);
    let unread_files = given.problems.iter().chain(&judged.problems);

    let completeness = if args.known.all_clusters_known {
        Completeness::AllClusters
    } else {
        Completeness::Partial
    };
    let mut facts = Facts::new(namespace, completeness);
    args.version.apply(&mut facts);
    facts.add(&judged.manifests, Source::Judged);
    facts.add(&given.manifests, Source::Given);
    let mut inventory = facts
        .inventory()
        .inspect_err(|_| tell(&each_once(unread_files.clone())))?;
    let work_trees = Arc::new(WorkTrees::of(&paths, &args.repository).map_err(CommandError::new)?);
    inventory.checkouts = Arc::clone(&work_trees) as _;
    let secrets = judged.manifests.iter().chain(&given.manifests);
    inventory.cluster_places = Arc::new(cluster_places(secrets));
    let report = Report::of(&judged.manifests, &inventory);
    let mut told = judged.unknown_kinds.clone();
    told.extend(facts.repeated.iter().cloned());
    told.extend(repeated(&judged.manifests, namespace, &inventory));
    for text in &told {
        output::warning(text);
    }
    work_trees.warn_of_unknown_remotes();
    let problems = each_once(unread_files.chain(facts.problems()).chain(&report.problems));
    Ok(Checked {
        problems,
        is_complete: true,
        what: what(&judged, &report),
        production: production(&inventory),
        files: Some(Files {
            count: judged.files,
            overlays: overlays(&judged),
            warnings: told,
            skipped: judged.skipped,
        }),
        report,
    })
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

impl Scope {
    /// Where Argo CD runs, which for files has two names.
    fn namespace_of_files(&self) -> Result<&str, CommandError> {
        match (&self.argocd_namespace, &self.namespace) {
            (Some(_), Some(_)) => Err(CommandError::new(
                "--namespace is the same as --argocd-namespace where files are judged: give one of them",
            )),
            (Some(own), None) | (None, Some(own)) => Ok(own),
            (None, None) => Ok(ARGOCD_NAMESPACE),
        }
    }
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
