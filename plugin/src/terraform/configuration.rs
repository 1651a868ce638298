//! The configuration in a plan: what refers to what.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::address::without_keys;

/// The configuration that a plan was made of.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Configuration {
    pub(super) root_module: ModuleConfiguration,
    pub(super) provider_config: BTreeMap<String, ProviderConfiguration>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProviderConfiguration {
    pub(super) name: Option<String>,
    pub(super) module_address: Option<String>,
    pub(super) expressions: References,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModuleConfiguration {
    pub(super) outputs: BTreeMap<String, OutputConfiguration>,
    pub(super) resources: Vec<ResourceConfiguration>,
    pub(super) module_calls: BTreeMap<String, ModuleCall>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputConfiguration {
    pub(super) expression: References,
    pub(super) depends_on: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResourceConfiguration {
    pub(super) address: String,
    pub(super) expressions: References,
    pub(super) count_expression: References,
    pub(super) for_each_expression: References,
    pub(super) provisioners: References,
    pub(super) depends_on: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModuleCall {
    pub(super) expressions: BTreeMap<String, References>,
    pub(super) count_expression: References,
    pub(super) for_each_expression: References,
    pub(super) depends_on: Vec<String>,
    pub(super) module: ModuleConfiguration,
}

/// What expressions refer to: one list for each of them, without keys. Their constants, which may be
/// secret, are not kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Value")]
pub(super) struct References(pub(super) Vec<Vec<String>>);

impl From<Value> for References {
    fn from(expressions: Value) -> Self {
        let mut all = Vec::new();
        collect(&expressions, &mut all);
        References(all)
    }
}

fn collect(value: &Value, into: &mut Vec<Vec<String>>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_array().filter(|_| name == "references") {
                    // An argument may have that name, too.
                    Some(texts) if texts.iter().all(Value::is_string) => {
                        let texts = texts.iter().filter_map(Value::as_str);
                        into.push(texts.map(without_keys).collect());
                    }
                    _ if name == "constant_value" => {}
                    _ => collect(value, into),
                }
            }
        }
        _ => {}
    }
}
