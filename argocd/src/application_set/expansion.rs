//! From an ApplicationSet to the Applications that it generates.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use golang::work::Work;
use golang::yaml;
use serde_json::Value;

use super::error::ExpansionError;
use super::generators::git::Checkouts;
use super::generators::{GeneratorEntry, Known, Level, Parameters};
use super::lack::Lack;
use super::limits::{ALIASES, Limits};
use super::parameters::ParameterSet;
use super::patch;
use super::template::{Bindings, Language, TextTemplate, Tree, memory, size, size_of_members};
use super::{ApplicationSet, PATCH, Template};
use crate::application::Application;
use crate::cluster::Clusters;
use crate::names::RESOURCES_FINALIZER;

/// What is charged for a generated Application beside its text, which is read back and judged by
/// all rules.
const APPLICATION_WORK: u64 = 4 * 1024;

/// An entry of `generators` whose Applications are not known here.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Undecided {
    /// The place of the entry in `spec.generators`.
    pub entry: usize,
    /// The generator, as its field is named, or the function that a template calls.
    pub generator: String,
    /// What would be needed.
    pub lacks: Lack,
    /// Whether no generator of this name is known: it may be a later Argo CD's, or misspelt.
    pub perhaps_misspelt: bool,
    /// The template as an Application, with placeholders where it has them.
    template: Arc<str>,
    /// Whether `templatePatch` may change any of it, which depends on placeholders.
    pub may_be_patched: bool,
    /// Labels that a cluster must have for which it is generated.
    pub cluster_labels: BTreeMap<String, String>,
}

impl Undecided {
    /// The template as an Application, with placeholders where it has them.
    ///
    /// # Errors
    /// It is not an Application.
    pub fn template(&self) -> Result<Application<'_>, serde_json::Error> {
        Application::from_json(&self.template)
    }

    /// The same as JSON.
    pub fn template_json(&self) -> &str {
        &self.template
    }
}

/// What an ApplicationSet generates: its parameter sets with their templates, not rendered yet.
pub struct Expansion<'s> {
    set: &'s ApplicationSet<'s>,
    language: Language,
    patch: Option<TextTemplate>,
    entries: Vec<Entry>,
    /// The entries whose Applications are not known here.
    pub undecided: Vec<Undecided>,
    /// The entries that find none of the clusters, which matters where not all clusters are known.
    pub without_clusters: Vec<Undecided>,
}

struct Entry {
    index: usize,
    template: Rc<CompiledTemplate>,
    sets: Vec<ParameterSet>,
}

/// A template that all entries share that have none of their own.
struct CompiledTemplate {
    /// As it is written, for sets without parameters.
    written: Value,
    tree: Tree,
    /// As an Application, for sets whose rendering is not known here.
    undecided: OnceCell<Undecided>,
}

impl fmt::Debug for Expansion<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Expansion")
            .field("applications", &self.len())
            .field("undecided", &self.undecided)
            .finish_non_exhaustive()
    }
}

/// An Application that an ApplicationSet generates.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedApplication {
    /// The place in `spec.generators` of the entry that it comes from.
    pub entry: usize,
    json: String,
    /// What it was before `templatePatch`, if there is one.
    unpatched: Option<Value>,
}

/// What becomes of one parameter set.
#[derive(Clone, Debug, PartialEq)]
pub enum Generated {
    /// An Application.
    Application(GeneratedApplication),
    /// A template calls a function whose result is not known here.
    Undecided(Undecided),
}

impl GeneratedApplication {
    /// Its JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The Application.
    ///
    /// # Errors
    /// It is not an Application.
    pub fn application(&self) -> Result<Application<'_>, serde_json::Error> {
        Application::from_json(&self.json)
    }

    /// Which of these fields, given as JSON Pointers, `templatePatch` has added, replaced or taken
    /// away. What is only added to is written elsewhere, but for the destination, which is judged
    /// as a whole.
    pub fn patched<'f>(&self, fields: impl Iterator<Item = &'f str>) -> Vec<bool> {
        let patched = self.unpatched.as_ref().map(|unpatched| {
            let patched: Value = serde_json::from_str(&self.json).unwrap_or_default();
            (unpatched, patched)
        });
        fields
            .map(|field| {
                let Some((before, after)) = &patched else {
                    return false;
                };
                match (before.pointer(field), after.pointer(field)) {
                    (Some(Value::Object(_)), Some(Value::Object(_)))
                        if field != "/spec/destination" =>
                    {
                        false
                    }
                    (before, after) => before != after && field != "/metadata/namespace",
                }
            })
            .collect()
    }

    /// Whether `templatePatch` leaves nothing of the spec but the project, which it cannot take
    /// away.
    pub fn loses_its_spec(&self, application: &Application<'_>) -> bool {
        let has_more = |spec: &Value| {
            let mut members = spec.as_object().into_iter().flatten();
            members.any(|(name, _)| name != "project")
        };
        let spec = &application.spec;
        let unpatched = self.unpatched.as_ref();
        spec.destination.name.is_empty()
            && spec.destination.server.is_empty()
            && spec.sync_source().is_none()
            && unpatched.is_some_and(|unpatched| has_more(&unpatched["spec"]))
    }
}

impl ApplicationSet<'_> {
    /// Works out what the ApplicationSet generates with these clusters and repositories.
    ///
    /// # Errors
    /// Argo CD fails on it as well, or it is beyond the limits.
    pub fn expand(
        &self,
        clusters: &Clusters,
        checkouts: &dyn Checkouts,
        limits: &Limits,
    ) -> Result<Expansion<'_>, ExpansionError> {
        let spec = &self.spec;
        let language = Language::new(
            spec.go_template,
            &spec.go_template_options,
            limits.work.clone(),
        )?;
        let known = Known {
            language: &language,
            clusters,
            checkouts,
            applications_limit: limits.applications,
            memory: &Work::new(Limits::MEMORY),
        };
        let patch = match &spec.template_patch {
            Some(patch) => Some(
                language
                    .text(patch)
                    .map_err(|error| ExpansionError::render(PATCH, error))?,
            ),
            None => None,
        };
        let mut templates = Templates {
            set: self,
            patch: patch.as_ref(),
            known: &known,
            shared: None,
            shared_undecided: None,
        };
        let mut entries = Vec::new();
        let mut undecided = Vec::new();
        let mut without_clusters = Vec::new();
        let mut count = 0;
        for (index, entry) in spec.generators.iter().enumerate() {
            let yields = match entry.yields(&known, Level::Top) {
                Ok(yields) => yields,
                // The other entries can be known all the same.
                Err(ExpansionError::Undecided { field: at, lacks }) => {
                    undecided.push(Undecided {
                        entry: index,
                        generator: format!("/spec/generators/{index}{at}"),
                        lacks: Lack::Other(lacks),
                        ..templates.undecided(&Template::default())?
                    });
                    continue;
                }
                Err(error) => return Err(error.below(&format!("/spec/generators/{index}"))),
            };
            for produced in yields {
                match produced.parameters {
                    Parameters::Undecided(outside) => {
                        undecided.push(Undecided {
                            entry: index,
                            generator: outside.generator,
                            lacks: outside.lacks,
                            perhaps_misspelt: outside.perhaps_misspelt,
                            ..templates.undecided(produced.template)?
                        });
                    }
                    Parameters::Sets(sets) if sets.is_empty() => {
                        // What is wrong with a template that is not rendered is not noticed by Argo
                        // CD either.
                        if entry.reads_clusters(Level::Top)
                            && let Ok(template) = templates.undecided(produced.template)
                        {
                            without_clusters.push(Undecided {
                                entry: index,
                                generator: "clusters".to_owned(),
                                lacks: Lack::OtherClusters,
                                ..template
                            });
                        }
                    }
                    Parameters::Sets(sets) => {
                        count += sets.len();
                        if count > limits.applications {
                            return Err(known.too_many());
                        }
                        known.hold(
                            size_of::<Entry>() + sets.capacity() * size_of::<ParameterSet>(),
                        )?;
                        entries.push(Entry {
                            index,
                            template: templates.compiled(produced.template)?,
                            sets,
                        });
                    }
                }
            }
        }
        Ok(Expansion {
            set: self,
            language,
            patch,
            entries,
            undecided,
            without_clusters,
        })
    }
}

/// The templates of the entries: each that has one of its own fills it from that of the
/// ApplicationSet, and all others share that.
struct Templates<'t> {
    set: &'t ApplicationSet<'t>,
    patch: Option<&'t TextTemplate>,
    known: &'t Known<'t>,
    shared: Option<Rc<CompiledTemplate>>,
    shared_undecided: Option<Undecided>,
}

impl Templates<'_> {
    /// Compiles what an entry is rendered from.
    fn compiled(&mut self, own: &Template) -> Result<Rc<CompiledTemplate>, ExpansionError> {
        if let (true, Some(shared)) = (own.0.is_empty(), &self.shared) {
            return Ok(Rc::clone(shared));
        }
        let written = self.filled(own)?;
        // What is compiled takes about as much as what it is compiled from.
        self.known.hold(memory(&written).saturating_mul(2))?;
        let language = self.known.language;
        let compiled = Rc::new(CompiledTemplate::new(written, language)?);
        if own.0.is_empty() {
            self.shared = Some(Rc::clone(&compiled));
        }
        Ok(compiled)
    }

    /// What an entry whose Applications are not known is judged by.
    fn undecided(&mut self, own: &Template) -> Result<Undecided, ExpansionError> {
        self.known.hold(size_of::<Undecided>())?;
        if let (true, Some(shared)) = (own.0.is_empty(), &self.shared_undecided) {
            return shared.again(self.known.language);
        }
        let template = self.filled(own)?;
        let undecided = Undecided::of(template, self.patch, self.set, self.known.language)?;
        self.known.hold(undecided.template.len())?;
        if own.0.is_empty() {
            self.shared_undecided = Some(undecided.clone());
        }
        Ok(undecided)
    }

    fn filled(&self, own: &Template) -> Result<Value, ExpansionError> {
        let base = &self.set.spec.template;
        self.known
            .spend(size_of_members(&own.0).saturating_add(size_of_members(&base.0)))?;
        Ok(Value::Object(own.clone().filled_from(base).0))
    }
}

impl Undecided {
    /// The same once more. It shares the template, but is judged by itself, and that is charged
    /// for.
    fn again(&self, language: &Language) -> Result<Self, ExpansionError> {
        let work = u64::try_from(self.template.len()).unwrap_or(u64::MAX);
        language
            .work()
            .spend(work.saturating_add(APPLICATION_WORK))?;
        Ok(self.clone())
    }

    /// A template without what is not known of it. A patch without placeholders is known.
    fn of(
        template: Value,
        patch: Option<&TextTemplate>,
        set: &ApplicationSet<'_>,
        language: &Language,
    ) -> Result<Self, ExpansionError> {
        let template = match patch {
            Some(TextTemplate::Literal(text)) => apply_patch(&template, text, language)?,
            _ => template,
        };
        let work = u64::try_from(size(&template)).unwrap_or(u64::MAX);
        language
            .work()
            .spend(work.saturating_add(APPLICATION_WORK))?;
        Ok(Undecided {
            entry: 0,
            generator: String::new(),
            lacks: Lack::OtherClusters,
            perhaps_misspelt: false,
            template: in_namespace(template, set).to_string().into(),
            may_be_patched: !matches!(patch, None | Some(TextTemplate::Literal(_))),
            cluster_labels: BTreeMap::new(),
        })
    }
}

fn apply_patch(
    application: &Value,
    text: &str,
    language: &Language,
) -> Result<Value, ExpansionError> {
    let value =
        yaml::value_within(text, ALIASES).map_err(|error| ExpansionError::fails(PATCH, error))?;
    let work = u64::try_from(size(&value)).unwrap_or(u64::MAX);
    language.work().spend(work)?;
    patch::apply(application, value).map_err(|error| ExpansionError::fails(PATCH, error))
}

/// An Application is always generated into the namespace of its ApplicationSet.
fn in_namespace(mut application: Value, set: &ApplicationSet<'_>) -> Value {
    application["apiVersion"] = "argoproj.io/v1alpha1".into();
    application["kind"] = "Application".into();
    application["metadata"]["namespace"] = set.metadata.namespace.as_str().into();
    application
}

impl CompiledTemplate {
    fn new(written: Value, language: &Language) -> Result<Self, ExpansionError> {
        let tree = language
            .tree(&written)
            .map_err(|error| ExpansionError::render("/spec/template", error))?;
        Ok(CompiledTemplate {
            written,
            tree,
            undecided: OnceCell::new(),
        })
    }
}

impl Expansion<'_> {
    /// How many parameter sets there are.
    pub fn len(&self) -> usize {
        self.entries.iter().map(|entry| entry.sets.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Renders the Applications one after the other. The first error ends what Argo CD does with
    /// the ApplicationSet, so that nothing counts that came before it.
    pub fn applications(
        &self,
    ) -> impl Iterator<Item = Result<Generated, ExpansionError>> + use<'_> {
        self.entries.iter().flat_map(move |entry| {
            entry
                .sets
                .iter()
                .map(move |set| match self.application(entry, set) {
                    Ok((application, unpatched)) => {
                        Ok(Generated::Application(GeneratedApplication {
                            entry: entry.index,
                            json: in_namespace(application, self.set).to_string(),
                            unpatched,
                        }))
                    }
                    Err(ExpansionError::Undecided { field, lacks }) => {
                        self.undecided_template(entry).map(|undecided| {
                            Generated::Undecided(Undecided {
                                entry: entry.index,
                                generator: field,
                                lacks: Lack::Other(lacks),
                                ..undecided
                            })
                        })
                    }
                    Err(error) => Err(error),
                })
        })
    }

    /// The template of an entry, worked out once.
    fn undecided_template(&self, entry: &Entry) -> Result<Undecided, ExpansionError> {
        if let Some(undecided) = entry.template.undecided.get() {
            return undecided.again(&self.language);
        }
        let template = entry.template.written.clone();
        let undecided = Undecided::of(template, self.patch.as_ref(), self.set, &self.language)?;
        Ok(entry.template.undecided.get_or_init(|| undecided).clone())
    }

    /// Follows Argo CD 3.5, `RenderTemplateParams` and `renderTemplatePatch`. The second is what it
    /// was before the patch, if there is one.
    fn application(
        &self,
        entry: &Entry,
        set: &ParameterSet,
    ) -> Result<(Value, Option<Value>), ExpansionError> {
        let bindings = Bindings::new(set);
        let application = if set.values.is_empty() {
            // Without parameters the template is taken as it is, and gets no finalizer either.
            entry.template.written.clone()
        } else {
            let rendered = self
                .language
                .render(&entry.template.tree, &bindings)
                .map_err(|error| ExpansionError::render("/spec/template", error))?;
            self.with_finalizer(rendered)
        };
        match &self.patch {
            Some(patch) => {
                let patched = self.patched(&application, patch, &bindings)?;
                Ok((patched, Some(application)))
            }
            None => Ok((application, None)),
        }
    }

    /// The entries whose generators would yield more if there were more clusters, where they yield
    /// something: what they would generate for one that is not known.
    ///
    /// # Errors
    /// They take more than is left of the work.
    pub fn for_other_clusters(&self) -> Result<Vec<Undecided>, ExpansionError> {
        let generators = &self.set.spec.generators;
        let reads_clusters = |entry: &&Entry| {
            let entry = generators.get(entry.index);
            entry.is_some_and(|entry| entry.reads_clusters(Level::Top))
        };
        let entries = self.entries.iter().filter(reads_clusters);
        entries
            .map(|entry| {
                let undecided = self.undecided_template(entry)?;
                Ok(Undecided {
                    entry: entry.index,
                    generator: "clusters".to_owned(),
                    lacks: Lack::OtherClusters,
                    cluster_labels: generators
                        .get(entry.index)
                        .map(GeneratorEntry::selected_labels)
                        .unwrap_or_default(),
                    ..undecided
                })
            })
            .collect()
    }

    fn with_finalizer(&self, mut application: Value) -> Value {
        let has_own = application
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array)
            .is_some_and(|finalizers| !finalizers.is_empty());
        if !has_own && !self.set.spec.preserves_resources_on_deletion() {
            application["metadata"]["finalizers"] = vec![RESOURCES_FINALIZER].into();
        }
        application
    }

    fn patched(
        &self,
        application: &Value,
        patch: &TextTemplate,
        bindings: &Bindings<'_>,
    ) -> Result<Value, ExpansionError> {
        let text = self
            .language
            .render_text(patch, bindings)
            .map_err(|error| ExpansionError::render(PATCH, error))?;
        apply_patch(application, &text, &self.language)
    }
}
