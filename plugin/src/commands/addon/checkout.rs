//! What a checkout says of an addon.

use std::fs;
use std::path::Path;

use policy::Kind;
use serde_json::Value;

use crate::addons::author::Places;
use crate::context::Context;
use crate::repository::manifests_of;

/// Name and namespace of the release that an ApplicationSet of the checkout is for.
pub(super) fn release_of(repo: &Path, name: &str, context: &Context) -> (String, String) {
    let place = Places { name }.application_set();
    let text = fs::read_to_string(repo.join(&place)).unwrap_or_default();
    let manifests = manifests_of(&place, &text, context.namespaces.of_files());
    let set = manifests
        .iter()
        .find(|one| one.kind == Kind::ApplicationSet);
    let set = set.and_then(|one| serde_json::from_str::<Value>(one.json()).ok());
    let text = |pointer: &str| {
        let value = set.as_ref().and_then(|set| set.pointer(pointer));
        value.and_then(Value::as_str).map(str::to_owned)
    };
    let release = text("/spec/template/spec/source/helm/releaseName");
    let namespace = text("/spec/template/spec/destination/namespace");
    (
        release.unwrap_or_else(|| name.to_owned()),
        namespace.unwrap_or_default(),
    )
}

/// Name and version of a chart of the checkout, if there is one.
pub(super) fn chart_of(repo: &Path, name: &str) -> Option<(String, String)> {
    let path = repo.join(Places { name }.chart()).join("Chart.yaml");
    let chart = golang::yaml::value(&fs::read_to_string(path).ok()?).ok()?;
    let text = |field: &str| chart.get(field)?.as_str().map(str::to_owned);
    Some((text("name")?, text("version")?))
}
