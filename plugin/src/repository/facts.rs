//! What manifests say about the fleet, put together into an inventory.

use std::collections::BTreeMap;

use argocd::application::EnabledField;
use argocd::fleet::{Fleet, Parts, ScopedRepository};
use argocd::settings::Settings;
use argocd::{AppProject, ClusterSecret};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use policy::gitops_policy::POLICY_NAME;
use policy::{Completeness, GitOpsPolicy, GitOpsPolicySpec, Inventory};
use serde::Deserialize;

use super::manifest::{Kind, Manifest, ObjectReference};
use super::problem::Problem;
use crate::error::{CommandError, chain};

/// Facts in the order in which they came; of two about one object the later one counts.
#[derive(Default)]
pub(crate) struct Facts<'m> {
    objects: BTreeMap<(Kind, ObjectReference), &'m Manifest>,
    /// Objects that were declared twice, as one sentence each.
    pub(crate) repeated: Vec<String>,
}

/// Where facts come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// The files that are judged.
    Judged,
    /// Files that were given for their facts, which override those of the others.
    Given,
}

impl<'m> Facts<'m> {
    /// Adds what manifests say.
    pub(crate) fn add(&mut self, manifests: &'m [Manifest], source: Source, namespace: &str) {
        let mut here: BTreeMap<(Kind, ObjectReference), &'m Manifest> = BTreeMap::new();
        for manifest in manifests
            .iter()
            .filter(|manifest| manifest.is_fact(namespace))
        {
            let key = (manifest.kind, manifest.admitted_reference(namespace));
            if let Some(first) = here.insert(key, manifest) {
                self.repeated.push(format!(
                    "{} is declared at {} and at {}: the latter counts{}",
                    manifest.reference.short(),
                    first.place(),
                    manifest.place(),
                    match source {
                        Source::Judged => ", unless --policy gives another",
                        Source::Given => "",
                    },
                ));
            }
        }
        self.objects.extend(here);
    }

    /// The inventory that the facts amount to, and the objects that could not be read.
    ///
    /// # Errors
    /// The policy cannot be read, or contradicts itself: no verdict would mean anything.
    pub(crate) fn inventory(
        &self,
        namespace: &str,
    ) -> Result<(Inventory, Vec<Problem>), CommandError> {
        let mut parts = Parts {
            control_plane_namespace: namespace.to_owned(),
            ..Parts::default()
        };
        let mut policy = None;
        let mut problems = Vec::new();
        for manifest in self.objects.values() {
            let read = match manifest.kind {
                Kind::Application | Kind::ApplicationSet => Ok(()),
                Kind::AppProject => {
                    read_project(manifest).map(|project| parts.projects.push(project))
                }
                Kind::ClusterSecret => read_cluster(manifest, &mut parts),
                Kind::RepositorySecret => read_repository(manifest)
                    .map(|repository| parts.repositories.extend(repository)),
                Kind::Settings => read_settings(manifest).map(|settings| parts.settings = settings),
                Kind::Policy => {
                    policy = Some((read_policy(manifest)?, *manifest));
                    Ok(())
                }
            };
            problems.extend(read.err());
        }
        let inventory = |spec| {
            Inventory::new(
                Fleet::new(parts),
                Completeness::Partial,
                EnabledField::Supported,
                spec,
            )
        };
        let inventory = match policy {
            None => inventory(GitOpsPolicySpec::default()).map_err(CommandError::new),
            Some((spec, manifest)) => {
                inventory(spec).map_err(|error| CommandError::new(manifest.problem(chain(&error))))
            }
        };
        Ok((inventory?, problems))
    }
}

impl Manifest {
    /// Whether Argo CD, or we, would read it as a fact where it is.
    fn is_fact(&self, namespace: &str) -> bool {
        match self.kind {
            Kind::Application | Kind::ApplicationSet => false,
            Kind::Policy => true,
            _ => self.reference.is_in(namespace),
        }
    }

    fn admitted_reference(&self, namespace: &str) -> ObjectReference {
        ObjectReference {
            namespace: Some(namespace.to_owned()),
            ..self.reference.clone()
        }
    }

    /// `FILE:LINE`.
    fn place(&self) -> String {
        format!("{}:{}", self.file, self.line())
    }
}

fn read_project(manifest: &Manifest) -> Result<AppProject, Problem> {
    manifest.decode()
}

fn read_cluster(manifest: &Manifest, parts: &mut Parts) -> Result<(), Problem> {
    let secret: ClusterSecret<'_> = manifest.decode()?;
    let cluster = secret
        .cluster()
        .map_err(|error| manifest.problem(chain(&error)))?;
    parts.clusters.push(cluster);
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    data: Option<RepositoryData>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RepositoryData {
    url: Option<String>,
    project: Option<String>,
}

/// A repository that belongs to a project; None for one that belongs to none.
fn read_repository(manifest: &Manifest) -> Result<Option<ScopedRepository>, Problem> {
    let repository: Repository = manifest.decode()?;
    let data = repository.data.unwrap_or_default();
    let text = |name, value: Option<String>| {
        BASE64_STANDARD
            .decode(value.unwrap_or_default())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| manifest.problem(format!("data.{name} is not base64 of a text")))
    };
    let project = text("project", data.project)?;
    let url = text("url", data.url)?;
    Ok((!project.is_empty()).then_some(ScopedRepository { url, project }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigMap {
    data: Option<BTreeMap<String, String>>,
}

fn read_settings(manifest: &Manifest) -> Result<Settings, Problem> {
    let config_map: ConfigMap = manifest.decode()?;
    Ok(Settings::from_config_map(
        &config_map.data.unwrap_or_default(),
    ))
}

fn read_policy(manifest: &Manifest) -> Result<GitOpsPolicySpec, CommandError> {
    let name = manifest.reference.name.as_deref().unwrap_or_default();
    if name != POLICY_NAME {
        let problem = manifest.problem(format!(
            "metadata.name: only the policy named `{POLICY_NAME}` counts"
        ));
        return Err(CommandError::new(problem)
            .hinted("rename it, or add its terms to the one that is there"));
    }
    let policy: GitOpsPolicy = manifest.decode().map_err(CommandError::new)?;
    Ok(policy.spec)
}
