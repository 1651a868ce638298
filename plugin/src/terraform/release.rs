//! A `helm_release`.

use serde_json::Value;

use super::address::without_keys;
use super::error::ReadError;
use super::resource::Resource;

/// A release of Helm that Terraform manages. No value of the chart is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something of its own"
)]
pub(crate) struct HelmRelease {
    /// Of the instance, such as `module.addons["eu"].helm_release.karpenter[0]`.
    pub(crate) address: String,
    /// Name of the release.
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// As it is written: a name, a URL, or a path on the machine that ran Terraform.
    pub(crate) chart: Option<String>,
    pub(crate) repository: Option<String>,
    /// The version of the chart that is installed.
    pub(crate) version: Option<String>,
    /// Helm's status of it, such as `deployed` or `failed`.
    pub(crate) status: Option<String>,
    /// Helm's number of it.
    pub(crate) revision: Option<u64>,
    /// Whether a program changes what is rendered, which Argo CD does not do.
    pub(crate) has_post_renderer: bool,
    /// Whether it has values that are not in the state (`set_wo`).
    pub(crate) has_write_only_values: bool,
    /// Whether Terraform is to replace it.
    pub(crate) is_tainted: bool,
    /// Whether it is left over from a replacement that failed.
    pub(crate) is_deposed: bool,
}

impl HelmRelease {
    /// Its address without keys, which all instances share.
    pub(crate) fn resource(&self) -> String {
        without_keys(&self.address)
    }

    /// Reads it as the helm provider v1 to v3 writes it: what was a list of one block is one object
    /// since v3 (schema version 2), which is told by what it is.
    pub(super) fn of(resource: &Resource) -> Result<Self, ReadError> {
        let Resource {
            values, address, ..
        } = resource;
        let shown = |name: &str| shown(values, &resource.sensitive_values, name);
        let (name, namespace) = HelmRelease::identity(values, &resource.sensitive_values)
            .ok_or_else(|| ReadError::Shape(format!("{address}: name")))?;
        let metadata = block(values.get("metadata"));
        let revision = metadata.and_then(|metadata| metadata.get("revision"));
        let write_only = values.get("set_wo_revision");
        Ok(HelmRelease {
            address: address.clone(),
            name,
            namespace,
            chart: shown("chart"),
            repository: shown("repository"),
            version: shown("version"),
            status: shown("status"),
            revision: revision.and_then(Value::as_u64),
            has_post_renderer: block(values.get("postrender")).is_some(),
            has_write_only_values: write_only.is_some_and(|value| !value.is_null()),
            is_tainted: resource.tainted == Some(true),
            is_deposed: resource.deposed_key.is_some(),
        })
    }

    /// Name and namespace; None where there is no name that may be shown.
    pub(super) fn identity(values: &Value, sensitive: &Value) -> Option<(String, String)> {
        let name = shown(values, sensitive, "name")?;
        let namespace = shown(values, sensitive, "namespace");
        // The provider's default.
        Some((name, namespace.unwrap_or_else(|| "default".to_owned())))
    }
}

/// A text that is not marked as sensitive.
fn shown(values: &Value, sensitive: &Value, name: &str) -> Option<String> {
    let is_sensitive = |mark: &Value| *mark == Value::Bool(true);
    if is_sensitive(sensitive) || sensitive.get(name).is_some_and(is_sensitive) {
        return None;
    }
    let text = values.get(name)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// A block that there may be one of: a list of one, or an object.
fn block(value: Option<&Value>) -> Option<&Value> {
    match value? {
        Value::Array(blocks) => blocks.first(),
        object @ Value::Object(_) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::State;
    use super::super::testing::{helm_release, state};
    use super::*;

    fn read(resources: &[Value]) -> State {
        State::read(&state(&json!({"resources": resources}))).unwrap()
    }

    #[test]
    fn it_is_read_as_each_version_of_the_provider_writes_it() {
        for schema in [0, 1, 2] {
            let state = read(&[helm_release("helm_release.x", "cart", "shop", schema)]);
            let release = &state.releases[0];
            assert_eq!(release.revision, Some(7), "{schema}");
            assert_eq!(release.version.as_deref(), Some("1.2.3"));
            assert_eq!(release.status.as_deref(), Some("deployed"));
            assert!(!release.has_post_renderer);
            assert!(!release.has_write_only_values);
        }
    }

    #[test]
    fn what_argo_cd_does_not_do_is_told() {
        let post_renderer = |schema, value: Value| {
            let mut resource = helm_release("helm_release.x", "cart", "shop", schema);
            resource["values"]["postrender"] = value;
            read(&[resource]).releases[0].has_post_renderer
        };
        assert!(post_renderer(1, json!([{"binary_path": "/bin/cat"}])));
        assert!(post_renderer(2, json!({"binary_path": "/bin/cat"})));
        assert!(!post_renderer(1, json!([])));
        assert!(!post_renderer(2, Value::Null));
        let mut resource = helm_release("helm_release.x", "cart", "shop", 2);
        resource["values"]["set_wo_revision"] = json!(1);
        assert!(read(&[resource]).releases[0].has_write_only_values);
    }

    #[test]
    fn what_is_sensitive_is_not_kept() {
        let mut resource = helm_release("helm_release.x", "cart", "shop", 1);
        resource["values"]["repository"] = json!("https://me:hunter2@example.com");
        resource["sensitive_values"] = json!({"repository": true, "set_sensitive": true});
        let state = read(&[resource]);
        assert_eq!(state.releases[0].repository, None);
        let all = format!("{state:?}");
        assert!(
            !all.contains("hunter2") && !all.contains("letmein"),
            "{all}"
        );
    }

    #[test]
    fn one_without_a_name_is_told() {
        let mut resource = helm_release("helm_release.x", "cart", "shop", 1);
        resource["values"]["name"] = json!(7);
        let text = state(&json!({"resources": [resource]}));
        let error = State::read(&text).unwrap_err().to_string();
        assert_eq!(
            error,
            "helm_release.x: name: it is not what `show -json` prints there"
        );
    }
}
