//! `list`: parameters as they are written.

use golang::json::null_as_default;
use golang::yaml;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Known, Template};
use crate::application_set::error::ExpansionError;
use crate::application_set::limits::ALIASES;
use crate::application_set::parameters::ParameterSet;
use crate::application_set::template::size;
use crate::application_set::written::WrittenList;
use crate::limited;

/// The `list` generator.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::application_set) struct ListGenerator {
    elements: WrittenList,
    #[serde(deserialize_with = "null_as_default")]
    elements_yaml: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) template: Template,
}

impl ListGenerator {
    /// One set an element (Argo CD 3.5, `ListGenerator.GenerateParams`).
    pub(super) fn sets(&self, known: &Known<'_>) -> Result<Vec<ParameterSet>, ExpansionError> {
        let mut sets = Vec::new();
        let elements = self.elements.items(known.applications_limit);
        let elements = elements.ok_or_else(|| known.too_many())?;
        for (index, element) in elements.into_iter().enumerate() {
            let field = || format!("/list/elements/{index}");
            let element: Value = limited::from_json(element.get(), &known.left_memory())
                .map_err(|error| ExpansionError::fails(&field(), error))?;
            let Value::Object(element) = element else {
                return Err(ExpansionError::fails(&field(), "expected an object"));
            };
            let values = if known.language.is_go() {
                element
            } else {
                flat(&element, &field())?
            };
            push(&mut sets, values, known)?;
        }
        for values in self.yaml_elements(known)? {
            push(&mut sets, values, known)?;
        }
        Ok(sets)
    }

    fn yaml_elements(&self, known: &Known<'_>) -> Result<Vec<Map<String, Value>>, ExpansionError> {
        const FIELD: &str = "/list/elementsYaml";
        if self.elements_yaml.is_empty() {
            return Ok(Vec::new());
        }
        let value = yaml::value_within(&self.elements_yaml, ALIASES)
            .map_err(|error| ExpansionError::fails(FIELD, error))?;
        let work = u64::try_from(size(&value)).unwrap_or(u64::MAX);
        known.language.work().spend(work)?;
        let items = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            _ => return Err(ExpansionError::fails(FIELD, "expected a list of objects")),
        };
        items
            .into_iter()
            .map(|item| match item {
                Value::Object(members) => Ok(members),
                Value::Null => Ok(Map::new()),
                _ => Err(ExpansionError::fails(FIELD, "expected a list of objects")),
            })
            .collect()
    }
}

fn push(
    sets: &mut Vec<ParameterSet>,
    values: Map<String, Value>,
    known: &Known<'_>,
) -> Result<(), ExpansionError> {
    let set = ParameterSet::new(values);
    known.admit(sets.len(), &set)?;
    sets.push(set);
    Ok(())
}

/// An element without `goTemplate`: strings, and under `values` strings.
fn flat(element: &Map<String, Value>, field: &str) -> Result<Map<String, Value>, ExpansionError> {
    let text = |key: &str, value: &Value| match value {
        Value::String(_) => Ok((key.to_owned(), value.clone())),
        _ => Err(ExpansionError::fails(
            &format!("{field}/{}", key.replace('.', "/")),
            "expected a string, as goTemplate is not set",
        )),
    };
    let mut flat = Map::new();
    for (key, value) in element {
        if key != "values" {
            let (key, value) = text(key, value)?;
            flat.insert(key, value);
            continue;
        }
        let Value::Object(values) = value else {
            return Err(ExpansionError::fails(
                &format!("{field}/values"),
                "expected an object of strings, as goTemplate is not set",
            ));
        };
        for (name, value) in values {
            let (key, value) = text(&format!("values.{name}"), value)?;
            flat.insert(key, value);
        }
    }
    Ok(flat)
}
