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
use crate::namespaces::{ArgoCds, Namespaces};
use crate::output::{self, counted};
use crate::repeated::repeated;
use crate::report::{Files, Report, Unread};
use crate::repository::Repository;
use crate::repository::manifest::Manifest;
use crate::repository::work_trees::WorkTrees;

/// Judges what is in them, by what is in them.
pub(super) fn check(args: &CheckArgs) -> Result<Checked, CommandError> {
    let namespaces = args.scope.namespaces.of_files();
    let exclusions = Arc::new(args.exclusions.exclusions());
    let mut given = args.facts.read(&exclusions, namespaces);
    let paths: Vec<_> = args.paths.iter().chain(&args.filenames).collect();
    let mut judged = Repository::read(&paths, &exclusions, namespaces);
    let argo_cds = namespaces.argo_cds(judged.with_projects().chain(given.with_projects()));
    tell_argo_cds(&argo_cds, namespaces);
    judged.keep_what_counts(|namespace| argo_cds.are_in(namespace));
    given.keep_what_counts(|namespace| argo_cds.are_in(namespace));
    let unread_files = given.problems.iter().chain(&judged.problems);

    let work_trees = Arc::new(WorkTrees::of(&paths, &args.repository).map_err(CommandError::new)?);
    let mut known = Vec::new();
    for namespace in argo_cds.all() {
        let mut facts = if args.facts.are_live() && namespace == argo_cds.main {
            of_cluster(args, namespace)?
        } else {
            Facts::new(namespace, Completeness::Partial)
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
        inventory.checkouts = Arc::clone(&work_trees) as _;
        let secrets = judged.manifests.iter().chain(&given.manifests);
        let own = secrets.filter(|secret| secret.namespace == namespace);
        inventory.cluster_places = Arc::new(cluster_places(own));
        known.push((facts, inventory));
    }
    let inventory_of = |manifest: &Manifest| {
        let mut own = argo_cds.all().zip(&known);
        let own = own.find(|(namespace, _)| *namespace == manifest.namespace);
        own.map_or(&known[0].1, |(_, (_, inventory))| inventory)
    };
    let report = Report::of(&judged.manifests, inventory_of);
    let mut told = judged.unknown_kinds.clone();
    told.extend(
        known
            .iter()
            .flat_map(|(facts, _)| facts.repeated.iter().cloned()),
    );
    told.extend(repeated(&judged.manifests, inventory_of));
    for text in &told {
        output::warning(text);
    }
    work_trees.warn_of_unknown_remotes();
    let unread_facts = known.iter().flat_map(|(facts, _)| facts.problems());
    let problems = Unread::each_once(unread_files.chain(unread_facts).chain(&report.problems));
    Ok(Checked {
        problems,
        is_complete: true,
        what: what(&judged, &report),
        clusters: ClustersByEnvironment::of_all(known.iter().map(|(_, inventory)| inventory)),
        files: Some(Files {
            count: judged.files,
            overlays: overlays(&judged),
            warnings: told,
            skipped: judged.skipped,
        }),
        report,
    })
}

/// Says where Argo CD is taken to run, if that is not where it is expected.
fn tell_argo_cds(argo_cds: &ArgoCds, namespaces: Namespaces<'_>) {
    let found: Vec<&str> = argo_cds
        .all()
        .filter(|own| *own != namespaces.argocd)
        .collect();
    if !found.is_empty() {
        output::note(&format!(
            "Argo CD is taken to run in {}, where AppProjects are; --argocd-namespace says where it runs",
            found.join(", ")
        ));
    }
}

/// What the cluster knows, as far as it may be read.
fn of_cluster(args: &CheckArgs, argocd_namespace: &str) -> Result<Facts, CommandError> {
    let (facts, lacking) = block_on(async {
        let server = args.cluster.connect().await?;
        let read = Facts::for_files(&server, argocd_namespace);
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
