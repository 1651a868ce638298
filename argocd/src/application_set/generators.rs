//! Generators: from what an ApplicationSet asks for to parameter sets.
//!
//! Follows Argo CD 3.5, `Transform` in `applicationset/generators/generator_spec_processor.go`.

mod clusters;
pub(super) mod git;
mod list;
mod matrix;
mod merge;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use self::clusters::ClusterGenerator;
use self::git::{Checkouts, GitGenerator};
use self::list::ListGenerator;
use self::matrix::{Child, MatrixGenerator};
use self::merge::MergeGenerator;
use super::expansion::ExpansionError;
use super::parameters::ParameterSet;
use super::template::{Bindings, Language};
use super::{Template, item_without_empty, without_empty};
use crate::destination::Clusters;
use crate::go_template::Work;
use crate::kubernetes::{LabelSelector, Selector};
use crate::text::{null_as_default, optional_object};

/// An entry of `generators`. It should have one generator; each that it has contributes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GeneratorEntry {
    #[serde(deserialize_with = "optional_object")]
    list: Option<ListGenerator>,
    #[serde(deserialize_with = "optional_object")]
    clusters: Option<ClusterGenerator>,
    #[serde(deserialize_with = "optional_object")]
    git: Option<GitGenerator>,
    #[serde(deserialize_with = "optional_object")]
    scm_provider: Option<OutsideGenerator>,
    #[serde(deserialize_with = "optional_object")]
    cluster_decision_resource: Option<OutsideGenerator>,
    #[serde(deserialize_with = "optional_object")]
    pull_request: Option<OutsideGenerator>,
    #[serde(deserialize_with = "optional_object")]
    matrix: Option<MatrixGenerator>,
    #[serde(deserialize_with = "optional_object")]
    merge: Option<MergeGenerator>,
    #[serde(deserialize_with = "optional_object")]
    plugin: Option<OutsideGenerator>,
    #[serde(deserialize_with = "optional_object")]
    selector: Option<LabelSelector>,
    /// By their names: generators of a later Argo CD, or whatever is misspelt.
    #[serde(flatten, deserialize_with = "unknown_generators")]
    unknown: BTreeMap<String, OutsideGenerator>,
}

/// A generator whose parameters come from outside: an SCM provider, pull requests, a plugin, another
/// resource.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct OutsideGenerator {
    #[serde(deserialize_with = "null_as_default")]
    template: Template,
    /// Whatever it asks for, so that a change of it is seen.
    #[serde(flatten)]
    rest: Value,
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
pub(super) struct Yield {
    /// The template of its own.
    pub(super) template: Template,
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
    pub(super) lacks: String,
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
    /// The generators of the entry, in the order in which Argo CD goes through them. What is not known
    /// counts only where nothing else is there.
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
            self.list.as_ref().map(Generator::List),
            self.clusters.as_ref().map(Generator::Clusters),
            self.git.as_ref().map(Generator::Git),
            self.scm_provider
                .as_ref()
                .map(|generator| Generator::Outside("scmProvider", generator)),
            self.cluster_decision_resource
                .as_ref()
                .map(|generator| Generator::Outside("clusterDecisionResource", generator)),
            self.pull_request
                .as_ref()
                .map(|generator| Generator::Outside("pullRequest", generator)),
            self.matrix
                .as_ref()
                .filter(|_| nests)
                .map(Generator::Matrix),
            self.merge.as_ref().filter(|_| nests).map(Generator::Merge),
            self.plugin
                .as_ref()
                .map(|generator| Generator::Outside("plugin", generator)),
        ]
        .into_iter()
        .flatten()
        .collect()
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
    ) -> Result<Vec<Yield>, ExpansionError> {
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
                template: template.clone(),
                parameters,
            }));
        }
        Ok(yields)
    }

    /// Whether a `clusters` generator is among them, at any depth.
    pub(super) fn reads_clusters(&self) -> bool {
        let matrix = self.matrix.iter().flat_map(|matrix| &matrix.generators);
        let merge = self.merge.iter().flat_map(|merge| &merge.generators);
        let nested = |child: &Child| child.entry().is_ok_and(|entry| entry.reads_clusters());
        self.clusters.is_some() || matrix.chain(merge).any(nested)
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
        let nested = matrix.chain(merge).filter_map(|child| child.entry().ok());
        let mut labels: BTreeMap<String, String> =
            nested.flat_map(|entry| entry.selected_labels()).collect();
        let own = self.clusters.iter();
        labels.extend(own.flat_map(ClusterGenerator::selected_labels));
        labels.retain(|_, value| !value.contains("{{"));
        labels
    }

    /// What a child of a matrix or merge yields: exactly one generator's parameters. Its template does
    /// not count.
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

    /// Whether both ask for the same, whatever empty values Argo CD has written into one of them.
    pub(super) fn same_meaning(&self, other: &Self) -> bool {
        let (own, own_children) = self.clone().normalized();
        let (other, other_children) = other.clone().normalized();
        let same = |(one, other): (&Child, &Child)| match (one.entry(), other.entry()) {
            (Ok(one), Ok(other)) => one.same_meaning(&other),
            _ => one == other,
        };
        own == other
            && own_children.len() == other_children.len()
            && own_children.iter().zip(&other_children).all(same)
    }

    /// The same without what is empty in it, and its children by themselves.
    fn normalized(mut self) -> (Self, Vec<Child>) {
        for template in self.templates() {
            template.0 = without_empty(&template.0);
        }
        let outside = [
            &mut self.scm_provider,
            &mut self.cluster_decision_resource,
            &mut self.pull_request,
            &mut self.plugin,
        ];
        let outside = outside.into_iter().flatten();
        for generator in outside.chain(self.unknown.values_mut()) {
            generator.rest = item_without_empty(&generator.rest);
        }
        let mut children = Vec::new();
        if let Some(matrix) = &mut self.matrix {
            children.append(&mut matrix.generators);
        }
        if let Some(merge) = &mut self.merge {
            children.append(&mut merge.generators);
        }
        (self, children)
    }

    fn templates(&mut self) -> impl Iterator<Item = &mut Template> {
        [
            self.list.as_mut().map(|generator| &mut generator.template),
            self.clusters
                .as_mut()
                .map(|generator| &mut generator.template),
            self.git.as_mut().map(|generator| &mut generator.template),
            self.scm_provider
                .as_mut()
                .map(|generator| &mut generator.template),
            self.cluster_decision_resource
                .as_mut()
                .map(|generator| &mut generator.template),
            self.pull_request
                .as_mut()
                .map(|generator| &mut generator.template),
            self.matrix
                .as_mut()
                .map(|generator| &mut generator.template),
            self.merge.as_mut().map(|generator| &mut generator.template),
            self.plugin
                .as_mut()
                .map(|generator| &mut generator.template),
        ]
        .into_iter()
        .flatten()
        .chain(
            self.unknown
                .values_mut()
                .map(|generator| &mut generator.template),
        )
    }
}

impl OutsideGenerator {
    /// One of which nothing but the name is known. That a generator may have a template of its own is
    /// taken to hold for all.
    fn unknown(written: Value) -> Self {
        let template = written.get("template").cloned();
        OutsideGenerator {
            template: template
                .and_then(|template| Template::new(template).ok())
                .unwrap_or_default(),
            rest: written,
        }
    }
}

/// What an entry has beside the fields that are known; what is `null` is not there.
fn unknown_generators<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, OutsideGenerator>, D::Error> {
    let written = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let present = written.into_iter().filter(|(_, value)| !value.is_null());
    Ok(present
        .map(|(name, value)| (name, OutsideGenerator::unknown(value)))
        .collect())
}

impl<'g> Generator<'g> {
    /// The name of its field.
    fn name(self) -> &'g str {
        match self {
            Generator::List(_) => "list",
            Generator::Clusters(_) => "clusters",
            Generator::Git(_) => "git",
            Generator::Outside(name, _) => name,
            Generator::Unknown(name, _) => name,
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
                lacks: format!("what {name} yields"),
                perhaps_misspelt: false,
            })),
            Generator::Unknown(name, _) => Ok(Parameters::Undecided(Outside {
                generator: name.to_owned(),
                lacks: format!("what {name} yields, if it is spelt right"),
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
    /// Puts a generator's `values` into its parameters, each rendered with the other parameters (Argo CD
    /// 3.5, `appendTemplatedValues`).
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
            return Err(ExpansionError::TooMuch {
                what: "generated Applications",
                limit: self.applications_limit,
            });
        }
        let size: usize = set
            .values
            .iter()
            .map(|(key, value)| 64 + key.len() + super::template::size(value))
            .sum();
        self.spend(size)?;
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        Ok(self.memory.spend(size)?)
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
