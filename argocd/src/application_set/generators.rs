//! Generators: from what an ApplicationSet asks for to parameter sets.
//!
//! Follows Argo CD 3.5, `Transform` in `applicationset/generators/generator_spec_processor.go`.

mod clusters;
pub(super) mod git;
mod list;
mod matrix;
mod merge;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use golang::json::{Text, null_as_default, optional_object};
use golang::work::Work;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use self::clusters::ClusterGenerator;
use self::git::{Checkouts, GitGenerator};
use self::list::ListGenerator;
use self::matrix::{Child, MatrixGenerator};
use self::merge::MergeGenerator;
use super::dialect::Visited;
use super::error::ExpansionError;
use super::lack::Lack;
use super::parameters::ParameterSet;
use super::template::{Bindings, Language, memory_of_members, size_of_members};
use super::written::Written;
use super::{Template, item_without_empty};
use crate::cluster::Clusters;
use crate::kubernetes::{LabelSelector, Selector};

/// An entry of `generators`. It should have one generator; each that it has contributes. Two are
/// equal if both ask for the same, whatever empty values Argo CD has written into one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GeneratorEntry {
    list: Option<Box<ListGenerator>>,
    clusters: Option<Box<ClusterGenerator>>,
    git: Option<Box<GitGenerator>>,
    scm_provider: Option<Box<OutsideGenerator>>,
    cluster_decision_resource: Option<Box<OutsideGenerator>>,
    pull_request: Option<Box<OutsideGenerator>>,
    matrix: Option<Box<MatrixGenerator>>,
    merge: Option<Box<MergeGenerator>>,
    plugin: Option<Box<OutsideGenerator>>,
    selector: Option<Box<LabelSelector>>,
    /// By their names: generators of a later Argo CD, or whatever is misspelt.
    unknown: Vec<(String, OutsideGenerator)>,
}

impl<'de> Deserialize<'de> for GeneratorEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FIELDS: &[&str] = &[
            "list",
            "clusters",
            "git",
            "scmProvider",
            "clusterDecisionResource",
            "pullRequest",
            "matrix",
            "merge",
            "plugin",
            "selector",
            // Stands for any other.
            "",
        ];
        deserializer.deserialize_struct("GeneratorEntry", FIELDS, EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = GeneratorEntry;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut entry = GeneratorEntry::default();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match name.as_str() {
                "list" => read(&mut entry.list, &mut map)?,
                "clusters" => read(&mut entry.clusters, &mut map)?,
                "git" => read(&mut entry.git, &mut map)?,
                "scmProvider" => read(&mut entry.scm_provider, &mut map)?,
                "clusterDecisionResource" => read(&mut entry.cluster_decision_resource, &mut map)?,
                "pullRequest" => read(&mut entry.pull_request, &mut map)?,
                "matrix" => read(&mut entry.matrix, &mut map)?,
                "merge" => read(&mut entry.merge, &mut map)?,
                "plugin" => read(&mut entry.plugin, &mut map)?,
                "selector" => read(&mut entry.selector, &mut map)?,
                _ => {
                    // What is `null` is not there.
                    if let Some(written) = map.next_value::<Option<Unknown>>()? {
                        entry.unknown.push((name.to_string(), written.0));
                    }
                }
            }
        }
        entry.unknown.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(entry)
    }
}

/// Reads a field that is a pointer to a Go struct.
fn read<'de, T, M>(field: &mut Option<Box<T>>, map: &mut M) -> Result<(), M::Error>
where
    T: Deserialize<'de> + Default,
    M: MapAccess<'de>,
{
    if field.is_some() {
        return Err(M::Error::custom("a field is there twice"));
    }
    *field = map
        .next_value_seed(OptionalObject(PhantomData))?
        .map(Box::new);
    Ok(())
}

struct OptionalObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> DeserializeSeed<'de> for OptionalObject<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        optional_object(deserializer)
    }
}

/// A generator whose parameters come from outside: an SCM provider, pull requests, a plugin,
/// another resource.
#[derive(Clone, Debug, Default)]
pub(super) struct OutsideGenerator {
    template: Template,
    /// Whatever it asks for, so that a change of it is seen.
    written: Written,
}

/// Of a generator the part that all have.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Common {
    #[serde(deserialize_with = "null_as_default")]
    template: Template,
}

impl<'de> Deserialize<'de> for OutsideGenerator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        if written.is_null() {
            return Ok(OutsideGenerator::default());
        }
        if !written.text().starts_with('{') {
            return Err(D::Error::custom("invalid type: expected an object"));
        }
        let common: Common = written
            .read(&Work::new(TEMPLATE_MEMORY))
            .map_err(D::Error::custom)?;
        Ok(OutsideGenerator {
            template: common.template,
            written,
        })
    }
}

/// Memory for the template of a generator that comes as text, in bytes.
const TEMPLATE_MEMORY: u64 = 1 << 20;

impl PartialEq for OutsideGenerator {
    /// Equal in meaning.
    fn eq(&self, other: &Self) -> bool {
        let values = || Some((self.written.compared()?, other.written.compared()?));
        self.written.text() == other.written.text()
            || values()
                .is_some_and(|(own, other)| item_without_empty(&own) == item_without_empty(&other))
    }
}

/// A generator of which nothing but the name is known. That a generator may have a template of its
/// own is taken to hold for all.
struct Unknown(OutsideGenerator);

impl<'de> Deserialize<'de> for Unknown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let common: Common = if written.text().starts_with('{') {
            written
                .read(&Work::new(TEMPLATE_MEMORY))
                .unwrap_or_default()
        } else {
            Common::default()
        };
        Ok(Unknown(OutsideGenerator {
            template: common.template,
            written,
        }))
    }
}

/// One of the generators of an entry.
#[derive(Clone, Copy)]
enum Generator<'g> {
    List(&'g ListGenerator),
    Clusters(&'g ClusterGenerator),
    Git(&'g GitGenerator),
    Outside(&'static str, &'g OutsideGenerator),
    Matrix(&'g MatrixGenerator),
    Merge(&'g MergeGenerator),
    Unknown(&'g str, &'g OutsideGenerator),
}

/// What generators may know.
pub(super) struct Known<'k> {
    pub(super) language: &'k Language,
    pub(super) clusters: &'k Clusters,
    pub(super) checkouts: &'k dyn Checkouts,
    pub(super) applications_limit: usize,
    /// What is left of the memory for parameter sets, in bytes.
    pub(super) memory: &'k Work,
}

/// What one generator yields.
pub(super) struct Yield<'g> {
    /// The template of its own.
    pub(super) template: &'g Template,
    pub(super) parameters: Parameters,
}

/// Parameter sets, or why there are none.
#[derive(Clone)]
pub(super) enum Parameters {
    Sets(Vec<ParameterSet>),
    /// They come from outside.
    Undecided(Outside),
}

impl Parameters {
    /// Whether there are some, which do not change with others of the same generator.
    fn are_apart(&self, generator: Generator<'_>) -> bool {
        let is_flat_list = match generator {
            Generator::Clusters(clusters) => clusters.is_flat_list(),
            _ => false,
        };
        !is_flat_list && !matches!(self, Parameters::Sets(sets) if sets.is_empty())
    }
}

/// What parameters depend on that is not known here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Outside {
    /// The generator, as its field is named.
    pub(super) generator: String,
    /// What would be needed.
    pub(super) lacks: Lack,
    /// Whether no generator of this name is known.
    pub(super) perhaps_misspelt: bool,
}

/// How deep matrix and merge are nested.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    /// An entry of the ApplicationSet.
    Top,
    /// A child of a matrix or merge, which may be one again.
    Child,
    /// A child of that: no field of its type is a matrix or merge.
    Grandchild,
}

impl GeneratorEntry {
    /// The generators of the entry, in the order in which Argo CD goes through them. What is not
    /// known counts only where nothing else is there.
    fn generators(&self, level: Level) -> Vec<Generator<'_>> {
        let known = self.known_generators(level);
        if !known.is_empty() {
            return known;
        }
        let unknown = self
            .unknown
            .iter()
            .map(|(name, generator)| Generator::Unknown(name, generator));
        match level {
            Level::Top => unknown.collect(),
            // More than one generator would be a mistake here, but not each of them need be one.
            Level::Child | Level::Grandchild => unknown.take(1).collect(),
        }
    }

    fn known_generators(&self, level: Level) -> Vec<Generator<'_>> {
        let nests = level != Level::Grandchild;
        [
            self.list.as_deref().map(Generator::List),
            self.clusters.as_deref().map(Generator::Clusters),
            self.git.as_deref().map(Generator::Git),
            self.scm_provider
                .as_deref()
                .map(|generator| Generator::Outside("scmProvider", generator)),
            self.cluster_decision_resource
                .as_deref()
                .map(|generator| Generator::Outside("clusterDecisionResource", generator)),
            self.pull_request
                .as_deref()
                .map(|generator| Generator::Outside("pullRequest", generator)),
            self.matrix
                .as_deref()
                .filter(|_| nests)
                .map(Generator::Matrix),
            self.merge
                .as_deref()
                .filter(|_| nests)
                .map(Generator::Merge),
            self.plugin
                .as_deref()
                .map(|generator| Generator::Outside("plugin", generator)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Shows all that may have placeholders, with the fields where it stands.
    pub(super) fn visit_texts(&self, at: &str, visit: &mut dyn FnMut(&str, Visited<'_>)) {
        for generator in self.generators(Level::Top) {
            let at = format!("{at}/{}", generator.name());
            match generator {
                Generator::List(_) => {}
                Generator::Clusters(clusters) => clusters.visit_texts(&at, visit),
                Generator::Git(git) => git.visit_texts(&at, visit),
                Generator::Outside(_, outside) | Generator::Unknown(_, outside) => {
                    // Its template is part of it.
                    visit(&at, Visited::Json(outside.written.text()));
                    continue;
                }
                Generator::Matrix(matrix) => visit_children(&matrix.generators, &at, visit),
                Generator::Merge(merge) => visit_children(&merge.generators, &at, visit),
            }
            for (name, value) in &generator.template().0 {
                visit(&format!("{at}/template/{name}"), Visited::Value(value));
            }
        }
    }

    /// Whether there is no generator in it.
    pub(super) fn is_empty(&self) -> bool {
        self.generators(Level::Top).is_empty()
    }

    /// What each generator of the entry yields, filtered by its selector.
    pub(super) fn yields(
        &self,
        known: &Known<'_>,
        level: Level,
    ) -> Result<Vec<Yield<'_>>, ExpansionError> {
        let selector = match &self.selector {
            Some(selector) => Some(
                selector
                    .compile_for_parameters()
                    .map_err(|error| ExpansionError::fails("/selector", error))?,
            ),
            None => None,
        };
        let mut yields = Vec::new();
        for generator in self.generators(level) {
            let mut parameters = generator.parameters(known, level)?;
            if let (Some(selector), Parameters::Sets(sets)) = (&selector, &mut parameters) {
                retain_selected(sets, selector, known)?;
            }
            let template = generator.template();
            let lacks = match generator {
                Generator::Clusters(clusters) => clusters.lacks(known)?,
                _ => None,
            };
            let all = match lacks {
                None => vec![parameters],
                // A child of others yields one thing, known or not.
                Some(outside) if level != Level::Top || !parameters.are_apart(generator) => {
                    vec![Parameters::Undecided(outside)]
                }
                Some(outside) => vec![parameters, Parameters::Undecided(outside)],
            };
            yields.extend(all.into_iter().map(|parameters| Yield {
                template,
                parameters,
            }));
        }
        Ok(yields)
    }

    /// Whether a `clusters` generator is among them, or among the children of one that counts.
    pub(super) fn reads_clusters(&self, level: Level) -> bool {
        if self.clusters.is_some() || level == Level::Grandchild {
            return self.clusters.is_some();
        }
        let matrix = self.matrix.iter().flat_map(|matrix| &matrix.generators);
        let merge = self.merge.iter().flat_map(|merge| &merge.generators);
        let mut entries = matrix.chain(merge).filter_map(Child::readable_entry);
        entries.any(|entry| entry.reads_clusters(level.below()))
    }

    /// The generator of the entry whose own template has a field, given as a JSON Pointer.
    pub(super) fn generator_with(&self, field: &str) -> Option<&str> {
        let mut generators = self.generators(Level::Top).into_iter();
        let generator = generators.find(|generator| generator.template().has(field))?;
        Some(generator.name())
    }

    /// Labels that each cluster has which a `clusters` generator of the entry selects.
    pub(super) fn selected_labels(&self) -> BTreeMap<String, String> {
        let matrix = self.matrix.iter().flat_map(|matrix| &matrix.generators);
        let merge = self
            .merge
            .iter()
            .filter_map(|merge| merge.generators.first());
        let nested = matrix.chain(merge).filter_map(Child::readable_entry);
        let mut labels: BTreeMap<String, String> =
            nested.flat_map(|entry| entry.selected_labels()).collect();
        let own = self.clusters.as_deref().into_iter();
        labels.extend(own.flat_map(ClusterGenerator::selected_labels));
        labels.retain(|_, value| !value.contains("{{"));
        labels
    }

    /// What a child of a matrix or merge yields: exactly one generator's parameters. Its template
    /// does not count.
    fn child_parameters(
        &self,
        known: &Known<'_>,
        level: Level,
    ) -> Result<Parameters, ExpansionError> {
        let mut yields = self.yields(known, level)?;
        // What is wrong with their number is about the child itself.
        match (yields.pop(), yields.is_empty()) {
            (Some(only), true) => Ok(only.parameters),
            (None, _) => Err(ExpansionError::fails(
                "",
                "child generator generated no parameters",
            )),
            (Some(_), false) => Err(ExpansionError::fails(
                "",
                "found more than one generator in a child of matrix or merge",
            )),
        }
    }
}

fn visit_children(children: &[Child], at: &str, visit: &mut dyn FnMut(&str, Visited<'_>)) {
    for (index, child) in children.iter().enumerate() {
        visit(
            &format!("{at}/generators/{index}"),
            Visited::Json(child.text()),
        );
    }
}

/// Shows the `values` of a generator.
fn visit_values(
    values: &BTreeMap<String, String>,
    at: &str,
    visit: &mut dyn FnMut(&str, Visited<'_>),
) {
    for (name, value) in values {
        let name = name.replace('~', "~0").replace('/', "~1");
        visit(&format!("{at}/values/{name}"), Visited::Text(value));
    }
}

impl<'g> Generator<'g> {
    /// The name of its field.
    fn name(self) -> &'g str {
        match self {
            Generator::List(_) => "list",
            Generator::Clusters(_) => "clusters",
            Generator::Git(_) => "git",
            Generator::Outside(name, _) | Generator::Unknown(name, _) => name,
            Generator::Matrix(_) => "matrix",
            Generator::Merge(_) => "merge",
        }
    }

    fn template(self) -> &'g Template {
        match self {
            Generator::List(generator) => &generator.template,
            Generator::Clusters(generator) => &generator.template,
            Generator::Git(generator) => &generator.template,
            Generator::Outside(_, generator) | Generator::Unknown(_, generator) => {
                &generator.template
            }
            Generator::Matrix(generator) => &generator.template,
            Generator::Merge(generator) => &generator.template,
        }
    }

    fn parameters(self, known: &Known<'_>, level: Level) -> Result<Parameters, ExpansionError> {
        match self {
            Generator::List(generator) => generator.sets(known).map(Parameters::Sets),
            Generator::Clusters(generator) => generator.sets(known).map(Parameters::Sets),
            Generator::Git(generator) => generator.parameters(known),
            Generator::Outside(name, _) => Ok(Parameters::Undecided(Outside {
                generator: name.to_owned(),
                lacks: Lack::Other(format!("what {name} yields")),
                perhaps_misspelt: false,
            })),
            Generator::Unknown(name, _) => Ok(Parameters::Undecided(Outside {
                generator: name.to_owned(),
                lacks: Lack::Other(format!("what {name} yields, if it is spelt right")),
                perhaps_misspelt: true,
            })),
            Generator::Matrix(generator) => generator.parameters(known, level),
            Generator::Merge(generator) => generator.parameters(known, level),
        }
    }
}

impl Level {
    fn below(self) -> Self {
        match self {
            Level::Top => Level::Child,
            Level::Child | Level::Grandchild => Level::Grandchild,
        }
    }
}

impl Known<'_> {
    /// Puts a generator's `values` into its parameters, each rendered with the other parameters
    /// (Argo CD 3.5, `appendTemplatedValues`).
    fn append_values(
        &self,
        generator: &str,
        values: &BTreeMap<String, String>,
        set: &mut ParameterSet,
    ) -> Result<(), ExpansionError> {
        let mut rendered = Vec::with_capacity(values.len());
        let bindings = Bindings::new(set);
        for (name, value) in values {
            let field = || format!("/{generator}/values/{name}");
            let template = self
                .language
                .text(value)
                .map_err(|error| ExpansionError::render(&field(), error))?;
            let text = self
                .language
                .render_text(&template, &bindings)
                .map_err(|error| ExpansionError::render(&field(), error))?;
            rendered.push((name.clone(), Value::String(text)));
        }
        if self.language.is_go() {
            if !rendered.is_empty() {
                let rendered = rendered.into_iter().collect();
                set.values
                    .insert("values".to_owned(), Value::Object(rendered));
                set.string_maps.values = true;
            }
        } else {
            let flat = rendered
                .into_iter()
                .map(|(name, value)| (format!("values.{name}"), value));
            set.values.extend(flat);
        }
        Ok(())
    }

    /// Charges for work: roughly bytes.
    pub(super) fn spend(&self, amount: usize) -> Result<(), ExpansionError> {
        let amount = u64::try_from(amount).unwrap_or(u64::MAX);
        Ok(self.language.work().spend(amount)?)
    }

    /// Charges for a parameter set, and refuses more of them than Applications may be generated, or
    /// than memory is given to them.
    fn admit(&self, count: usize, set: &ParameterSet) -> Result<(), ExpansionError> {
        if count >= self.applications_limit {
            return Err(self.too_many());
        }
        self.spend(size_of_members(&set.values))?;
        self.hold(memory_of_members(&set.values))
    }

    /// Charges for memory, in bytes.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), ExpansionError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(self.memory.spend(bytes)?)
    }

    /// What is left of the memory, for what is dropped again before the next is charged for.
    pub(super) fn left_memory(&self) -> Work {
        Work::new(self.memory.left())
    }

    /// More Applications than are worked out.
    pub(super) fn too_many(&self) -> ExpansionError {
        ExpansionError::TooMuch {
            what: "generated Applications",
            limit: self.applications_limit,
        }
    }
}

/// Keeps the sets that a selector selects. Only what it asks for is looked up.
fn retain_selected(
    sets: &mut Vec<ParameterSet>,
    selector: &Selector,
    known: &Known<'_>,
) -> Result<(), ExpansionError> {
    let length: usize = selector.keys().map(str::len).sum();
    known.spend((sets.len()).saturating_mul(16 * selector.cost() + length))?;
    sets.retain(|set| {
        let asked: BTreeMap<&str, String> = selector
            .keys()
            .filter_map(|key| Some((key, set.flattened(key)?)))
            .collect();
        selector.matches(|key| asked.get(key).map(String::as_str))
    });
    Ok(())
}
