//! Argo CD's own manifests.

use std::fs;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::argo_cd::NAMESPACE;
use crate::argo_cd::programs::Programs;
use crate::control_plane::ControlPlane;
use crate::installation::succeed;

/// What would run in Pods, or concerns them.
const OF_PODS: [&str; 3] = ["Deployment", "StatefulSet", "NetworkPolicy"];

/// Applies Argo CD's install manifests, but for its Pods: `CustomResourceDefinition`s,
/// `ServiceAccount`s and what they may do, settings. Returns when Applications can be written.
pub async fn install(control_plane: &ControlPlane, programs: &Programs) -> Result<()> {
    let path = programs.install_manifests();
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)
        .with_context(|| format!("cannot understand {}", path.display()))?;
    let (crds, mut others): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .partition(|object| object["kind"] == "CustomResourceDefinition");
    others.retain(|object| !OF_PODS.iter().any(|kind| object["kind"] == *kind));
    let crds = crds.into_iter().map(serde_json::from_value);
    let crds = crds.collect::<Result<Vec<CustomResourceDefinition>, _>>()?;
    control_plane.install_crds(&crds).await?;
    let admin = control_plane.admin();
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    others.insert(0, namespace);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": others});
    let apply = admin.kubectl(["apply", "--namespace", NAMESPACE, "--filename", "-"]);
    succeed(apply.input(list.to_string())).await
}
