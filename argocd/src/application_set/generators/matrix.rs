//! `matrix`: every combination of two generators.

use std::borrow::Cow;

use golang::json::null_as_default;
use golang::work::Work;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{GeneratorEntry, Known, Level, Parameters, Template};
use crate::application_set::error::ExpansionError;
use crate::application_set::limits::Limits;
use crate::application_set::parameters::ParameterSet;
use crate::application_set::template::{Bindings, Tree};
use crate::application_set::written::Written;

/// Where the first generator stands.
const FIRST: &str = "/matrix/generators/0";

/// Where the second generator stands.
const SECOND: &str = "/matrix/generators/1";

/// The `matrix` generator. Its children are kept as they are written, because the second one is a
/// template for the parameters of the first.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(in crate::application_set) struct MatrixGenerator {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) generators: Vec<Child>,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) template: Template,
}

impl MatrixGenerator {
    /// Follows Argo CD 3.5, `MatrixGenerator.GenerateParams`.
    pub(super) fn parameters(
        &self,
        known: &Known<'_>,
        level: Level,
    ) -> Result<Parameters, ExpansionError> {
        let [first, second] = self.generators.as_slice() else {
            return Err(ExpansionError::fails(
                "/matrix/generators",
                format!("expected two generators, found {}", self.generators.len()),
            ));
        };
        let level = level.below();
        let first = first
            .entry(known)
            .and_then(|entry| entry.child_parameters(known, level))
            .map_err(|error| error.below(FIRST))?;
        let first = match first {
            Parameters::Sets(sets) => sets,
            undecided @ Parameters::Undecided(_) => return Ok(undecided),
        };
        // The second one is asked only about what the first one yields.
        if first.is_empty() {
            return Ok(Parameters::Sets(first));
        }
        let second = Second::new(second, known, level)?;
        let mut sets = Vec::new();
        for own in &first {
            let others = match second.parameters(own, known, level)? {
                Cow::Borrowed(Parameters::Sets(others)) => Cow::Borrowed(others),
                Cow::Owned(Parameters::Sets(others)) => Cow::Owned(others),
                undecided => return Ok(undecided.into_owned()),
            };
            for other in others.iter() {
                let set = combine(own, other, known)?;
                known.admit(sets.len(), &set)?;
                sets.push(set);
            }
        }
        Ok(Parameters::Sets(sets))
    }
}

/// The second generator, a template for what the first one yields.
enum Second {
    /// It refers to nothing, so that it always yields the same.
    Constant(Parameters),
    Template(Tree),
}

impl Second {
    fn new(child: &Child, known: &Known<'_>, level: Level) -> Result<Self, ExpansionError> {
        if !child.0.text().contains("{{") && !child.0.text().contains('\\') {
            let parameters = second_parameters(child.entry(known), known, level)?;
            return Ok(Second::Constant(parameters));
        }
        let written: Value = child.read(known)?;
        let tree = known
            .language
            .generator_tree(&written)
            .map_err(|error| ExpansionError::render(SECOND, error))?;
        Ok(if tree.is_constant() {
            Second::Constant(second_parameters(child.entry(known), known, level)?)
        } else {
            Second::Template(tree)
        })
    }

    fn parameters(
        &self,
        first: &ParameterSet,
        known: &Known<'_>,
        level: Level,
    ) -> Result<Cow<'_, Parameters>, ExpansionError> {
        match self {
            Second::Constant(parameters) => Ok(Cow::Borrowed(parameters)),
            Second::Template(tree) => {
                let rendered = known
                    .language
                    .render(tree, &Bindings::new(first))
                    .map_err(|error| ExpansionError::render(SECOND, error))?;
                let entry = GeneratorEntry::deserialize(&rendered).map_err(invalid);
                let parameters = second_parameters(entry, known, level)?;
                Ok(Cow::Owned(parameters))
            }
        }
    }
}

fn second_parameters(
    second: Result<GeneratorEntry, ExpansionError>,
    known: &Known<'_>,
    level: Level,
) -> Result<Parameters, ExpansionError> {
    second
        .and_then(|entry| entry.child_parameters(known, level))
        .map_err(|error| error.below(SECOND))
}

fn combine(
    first: &ParameterSet,
    second: &ParameterSet,
    known: &Known<'_>,
) -> Result<ParameterSet, ExpansionError> {
    let combined = if known.language.is_go() {
        // The first one's values count.
        second.merged(first)
    } else {
        first.combined(second)
    };
    combined.map_err(|error| ExpansionError::fails("/matrix", error))
}

/// A child of a matrix or merge as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(in crate::application_set) struct Child(Written);

impl PartialEq for Child {
    /// Equal in meaning.
    fn eq(&self, other: &Self) -> bool {
        let entries = || Some((self.readable_entry()?, other.readable_entry()?));
        self.0.text() == other.0.text() || entries().is_some_and(|(own, other)| own == other)
    }
}

impl Child {
    /// The generators in it.
    pub(super) fn entry(&self, known: &Known<'_>) -> Result<GeneratorEntry, ExpansionError> {
        self.read(known)
    }

    /// The child as it is written.
    pub(super) fn text(&self) -> &str {
        self.0.text()
    }

    /// The generators in it, if they can be read, by themselves.
    pub(super) fn readable_entry(&self) -> Option<GeneratorEntry> {
        self.0.read(&Work::new(Limits::MEMORY)).ok()
    }

    fn read<T: DeserializeOwned>(&self, known: &Known<'_>) -> Result<T, ExpansionError> {
        if !self.0.text().starts_with('{') {
            return Err(ExpansionError::fails("", "expected an object"));
        }
        known.spend(self.0.text().len())?;
        self.0.read(&known.left_memory()).map_err(invalid)
    }
}

fn invalid(error: serde_json::Error) -> ExpansionError {
    ExpansionError::fails("", error)
}
