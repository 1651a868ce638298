//! ApplicationSets: judged by the Applications that they generate now.
//!
//! Every rule on Applications is asked about each generated Application. What it finds is gathered,
//! so that a mistake in the template is one finding and not one for each cluster. Where a generator
//! cannot be worked out here, the template is judged as far as it says anything by itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use argocd::Application;
use argocd::application_set::{
    ApplicationSet, ExpansionError, Generated, GeneratedApplication, Limits, Undecided,
};
use argocd::comparison::IgnoreRules;
use golang::work::Work;
use serde_json::Value;

use crate::finding::missing::MissingFacts;
use crate::finding::ratchet::{
    Denial, Ratchet, is_denied_state, let_pass_as_before, limit_findings, mark_new,
};
use crate::finding::{Finding, Level, shorten, without_user_info};
use crate::request::environment::environments_of_application;
use crate::request::fan_out::AffectedEnvironment;
use crate::request::inventory::Inventory;
use crate::request::object::ObjectRef;
use crate::request::subject::{Request, Requester, SubjectRef};
use crate::rules::inherited_override::inherited;
use crate::rules::run::{JudgedRequest, ask_all};
use crate::terms::environment::has_placeholder;

/// How many findings of each rule and field are kept of one generated Application.
const FINDINGS_LIMIT: usize = 4;

/// The most of a name that a finding repeats, in characters.
const NAME_LIMIT: usize = 40;

/// A generated Application, as much of it as is compared and told.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) project: String,
    pub(crate) environments: Vec<AffectedEnvironment>,
    /// Of everything in it, so that two of them can be compared.
    pub(crate) fingerprint: u64,
    /// Whether its deletion takes along what it deploys.
    pub(crate) cascades: bool,
    /// What rules find in it, if they were asked.
    pub(crate) findings: Vec<Finding>,
    /// Where in the ApplicationSet the field of each finding is written.
    fields: Vec<String>,
    /// What denies it, if it was asked about to be compared with.
    denials: Vec<Denial>,
    /// Whether `templatePatch` takes away its spec, so that Argo CD leaves it alone.
    pub(crate) lacks_spec: bool,
}

/// All that an ApplicationSet generates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Children {
    pub(crate) known: Vec<Child>,
    /// What is not known here.
    pub(crate) undecided: Vec<Undecided>,
    /// What more there would be if there were more clusters.
    open: Vec<Undecided>,
}

/// Which generated Applications rules are asked about.
#[derive(Clone, Copy, Debug)]
enum Ask<'c> {
    All,
    None,
    /// Those that are not the same among these.
    Unlike(&'c Fingerprints),
    /// Those of these names.
    Named(&'c HashSet<&'c str>),
}

impl Ask<'_> {
    fn includes(self, name: &str, fingerprint: u64) -> bool {
        match self {
            Ask::All => true,
            Ask::None => false,
            Ask::Unlike(fingerprints) => fingerprints.get(name) != Some(&fingerprint),
            Ask::Named(names) => names.contains(name),
        }
    }
}

/// Fingerprints of Applications by their names.
type Fingerprints = HashMap<String, u64>;

/// Which Applications are judged that are generated after a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Judged {
    All,
    /// Those that were not generated in the same way before.
    Changed,
}

/// An ApplicationSet before a change or after it, and what is known then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'s> {
    pub(crate) set: &'s ApplicationSet<'s>,
    pub(crate) inventory: &'s Inventory,
}

impl Side<'_> {
    fn generate(self, ask: Ask<'_>, limits: &Limits) -> Result<Children, ExpansionError> {
        Children::of(self.set, ask, self.inventory, limits)
    }
}

/// What an ApplicationSet generates before a change and after it; nothing where it is not there.
#[derive(Debug)]
pub(crate) struct Generations {
    pub(crate) before: Option<Result<Children, ExpansionError>>,
    pub(crate) after: Option<Result<Children, ExpansionError>>,
}

impl Generations {
    /// Generates both within what is left of one budget. What rules find afterwards is compared
    /// with what they find before, where it would be denied.
    pub(crate) fn of(
        before: Option<Side<'_>>,
        after: Option<Side<'_>>,
        judged: Judged,
        ratchet: &Ratchet<'_>,
        limits: &Limits,
    ) -> Self {
        let generate_before = || before.map(|side| side.generate(Ask::None, limits));
        let (children_before, mut children_after) = match judged {
            // What is to come is judged first, so that nothing that there was can use up its
            // budget.
            Judged::All => {
                let after = after.map(|side| side.generate(Ask::All, limits));
                (generate_before(), after)
            }
            Judged::Changed => {
                let before = generate_before();
                let fingerprints = match &before {
                    Some(Ok(children)) => children.fingerprints(),
                    _ => Fingerprints::new(),
                };
                let after = after.map(|side| side.generate(Ask::Unlike(&fingerprints), limits));
                (before, after)
            }
        };
        if let (Some(before), Some(Ok(after))) = (before, &mut children_after) {
            after.compare_with_before(before, ratchet, limits);
        }
        Generations {
            before: children_before,
            after: children_after,
        }
    }

    /// Whether something is generated afterwards that is not known here.
    pub(crate) fn has_unknown(&self) -> bool {
        match &self.after {
            Some(Ok(after)) => !after.undecided.is_empty(),
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// What rules find in what is generated afterwards.
    pub(crate) fn findings(
        &self,
        set: &ApplicationSet<'_>,
        ratchet: &Ratchet<'_>,
        inventory: &Inventory,
    ) -> Vec<Finding> {
        let before = match &self.before {
            Some(Ok(before)) => before.undecided.as_slice(),
            _ => &[],
        };
        match &self.after {
            Some(Ok(after)) => after.findings(set, before, ratchet, inventory),
            _ => Vec::new(),
        }
    }
}

/// The names of the Applications that an ApplicationSet generates as far as they are known here;
/// none where Argo CD fails on it.
pub fn generated_names(set: &ApplicationSet<'_>, inventory: &Inventory) -> Vec<String> {
    let children = Children::of(set, Ask::None, inventory, &Limits::default());
    let known = children.map_or_else(|_| Vec::new(), |children| children.known);
    known.into_iter().map(|child| child.name).collect()
}

impl Children {
    /// Generates them all.
    ///
    /// # Errors
    /// Argo CD fails on the ApplicationSet, or it is beyond the limits.
    fn of(
        set: &ApplicationSet<'_>,
        ask: Ask<'_>,
        inventory: &Inventory,
        limits: &Limits,
    ) -> Result<Self, ExpansionError> {
        let clusters = &inventory.fleet.clusters;
        let expansion = set.expand(clusters, &*inventory.checkouts, limits)?;
        let mut children = Children {
            known: Vec::with_capacity(expansion.len()),
            undecided: expansion.undecided.clone(),
            open: Vec::new(),
        };
        // In files there may be clusters that are declared elsewhere.
        if !inventory.completeness.has_all_clusters() {
            children
                .undecided
                .extend_from_slice(&expansion.without_clusters);
            children.open = expansion.for_other_clusters()?;
            let environments = &inventory.environments;
            let open = |one: &Undecided| !environments.rule_out_production(&one.cluster_labels);
            children.open.retain(open);
        }
        let mut told: HashSet<Undecided> = children.undecided.iter().cloned().collect();
        for generated in expansion.applications() {
            match generated? {
                // One of a kind says all that the others would.
                Generated::Undecided(undecided) => {
                    if told.insert(undecided.clone()) {
                        children.undecided.push(undecided);
                    }
                }
                Generated::Application(generated) => {
                    let application =
                        generated
                            .application()
                            .map_err(|error| ExpansionError::Fails {
                                field: "/spec/template".to_owned(),
                                message: error.to_string(),
                            })?;
                    let child =
                        Child::new(&application, &generated, set, ask, inventory, &limits.work);
                    children.known.push(child);
                }
            }
        }
        children.check_names()?;
        Ok(children)
    }

    /// Argo CD gives up on an ApplicationSet that generates one name twice.
    fn check_names(&self) -> Result<(), ExpansionError> {
        let mut names: Vec<&str> = self.known.iter().map(|child| child.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        match twice {
            Some(pair) => Err(ExpansionError::DuplicateName(pair[0].to_owned())),
            None => Ok(()),
        }
    }

    /// Whether a generator is not worked out here that was not there before.
    pub(crate) fn has_more_undecided_than(&self, before: &Self) -> bool {
        let known_before: HashSet<&str> = before.undecided_generators().collect();
        let mut now = self.undecided_generators();
        now.any(|generator| !known_before.contains(generator))
    }

    fn undecided_generators(&self) -> impl Iterator<Item = &str> {
        let undecided = self.undecided.iter();
        undecided.map(|undecided| undecided.generator.as_str())
    }

    fn fingerprints(&self) -> Fingerprints {
        let known = self.known.iter();
        known
            .map(|child| (child.name.clone(), child.fingerprint))
            .collect()
    }

    /// Lets pass what each Application would be denied for before the change as well.
    fn compare_with_before(&mut self, before: Side<'_>, ratchet: &Ratchet<'_>, limits: &Limits) {
        let is_denied = |child: &&Child| child.findings.iter().any(is_denied_state);
        let denied = self.known.iter().filter(is_denied);
        let denied: HashSet<&str> = denied.map(|child| child.name.as_str()).collect();
        if denied.is_empty() {
            return;
        }
        let Ok(before) = before.generate(Ask::Named(&denied), limits) else {
            return;
        };
        let known = before.known.into_iter();
        let mut before: HashMap<String, Vec<Denial>> =
            known.map(|child| (child.name, child.denials)).collect();
        for child in &mut self.known {
            if let Some(before) = before.remove(&child.name) {
                let_pass_as_before(&mut child.findings, &before, ratchet);
            }
        }
    }

    /// What rules find in them, gathered by rule, level and field, in the order of the registry.
    /// `before` is what was not known either.
    fn findings(
        &self,
        set: &ApplicationSet<'_>,
        before: &[Undecided],
        ratchet: &Ratchet<'_>,
        inventory: &Inventory,
    ) -> Vec<Finding> {
        let mut groups: Groups<'_> = Groups::new();
        for child in &self.known {
            for (finding, field) in child.findings.iter().zip(&child.fields) {
                let key = (
                    finding.rule.order(),
                    finding.level(),
                    field.as_str(),
                    &*finding.field,
                );
                groups.entry(key).or_default().push((child, finding));
            }
        }
        let mut findings: Vec<(usize, Finding)> = groups
            .into_iter()
            .map(|((order, _, field, _), group)| (order, self.gather(&group, field)))
            .collect();
        let of_templates = judge_templates(&self.undecided, before, set, ratchet, inventory);
        // What depends on the cluster, and was not found for those that are known.
        let is_new = |new: &Finding| {
            let mut found = findings.iter().map(|(_, finding)| finding);
            new.level() == Level::Undecided
                && !found.any(|found| (found.rule, &found.field) == (new.rule, &new.field))
        };
        let mut of_others = judge_templates(&self.open, &[], set, ratchet, inventory);
        of_others.retain(is_new);
        let of_templates = of_templates.into_iter().chain(of_others);
        findings.extend(of_templates.map(|finding| (finding.rule.order(), finding)));
        findings.sort_by_key(|(order, _)| *order);
        findings.into_iter().map(|(_, finding)| finding).collect()
    }

    fn gather(&self, group: &[(&Child, &Finding)], field: &str) -> Finding {
        let (child, first) = group[0];
        let cluster = shorten(&without_user_info(&child.cluster), NAME_LIMIT);
        let place = match cluster.as_str() {
            "" => String::new(),
            cluster => format!(" on {cluster}"),
        };
        let children: HashSet<&str> = group.iter().map(|(child, _)| &*child.name).collect();
        let mut gathered = first.clone();
        gathered.field = field.to_owned().into();
        gathered.message = format!(
            "{} of {} generated Applications, {}{place}: {}",
            children.len(),
            self.known.len(),
            shorten(&child.name, NAME_LIMIT),
            first.message
        );
        // It would have to be made in the template, where the value may be a placeholder.
        gathered.patch = None;
        gathered.missing = MissingFacts::of_all(group.iter().map(|(_, finding)| &finding.missing));
        gathered
    }
}

/// Findings that differ only in the Application: by rule, level, and where they are written in the
/// ApplicationSet and in the Application, as all that a patch says is written in one place.
type Groups<'c> = BTreeMap<(usize, Level, &'c str, &'c str), Vec<(&'c Child, &'c Finding)>>;

impl Child {
    fn new(
        application: &Application<'_>,
        generated: &GeneratedApplication,
        set: &ApplicationSet<'_>,
        ask: Ask<'_>,
        inventory: &Inventory,
        work: &Work,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        generated.json().hash(&mut hasher);
        let fingerprint = hasher.finish();
        let found_in = environments_of_application(application, inventory);
        let environments = found_in
            .environments
            .iter()
            .map(|found| AffectedEnvironment {
                environment: found.environment.to_owned(),
                production: found.production,
            });
        let mut child = Child {
            name: application.metadata.name.to_string(),
            cluster: shown_cluster(application, inventory),
            project: application.spec.project().to_owned(),
            environments: environments.collect(),
            fingerprint,
            cascades: application.cascades_deletion(),
            findings: Vec::new(),
            fields: Vec::new(),
            denials: Vec::new(),
            lacks_spec: generated.loses_its_spec(application),
        };
        if ask.includes(&child.name, fingerprint) && !child.lacks_spec {
            let Found {
                in_object,
                in_generation,
                inherited,
            } = judge_application(application, set, inventory, work);
            let mut found = limited(in_object);
            let mut in_generation = limited(in_generation);
            for finding in &mut in_generation {
                let _ = write!(finding.message, " (spec.generators[{}])", generated.entry);
            }
            found.append(&mut in_generation);
            found.extend(limited(inherited));
            match ask {
                Ask::Named(_) => child.denials = Denial::all(&found),
                Ask::All | Ask::Unlike(_) | Ask::None => {
                    child.fields = fields_of(&found, generated, set);
                    child.findings = found;
                }
            }
        }
        child
    }
}

/// The cluster's name, or what the destination says where it means none.
fn shown_cluster(application: &Application<'_>, inventory: &Inventory) -> String {
    let destination = &application.spec.destination;
    let written = if destination.name.is_empty() {
        &destination.server
    } else {
        &destination.name
    };
    match inventory.fleet.clusters.resolve(destination) {
        Ok(cluster) if !cluster.name.is_empty() => cluster.name.clone(),
        _ => written.to_string(),
    }
}

/// Where in the ApplicationSet the fields of findings on one of its Applications are written.
fn fields_of(
    findings: &[Finding],
    generated: &GeneratedApplication,
    set: &ApplicationSet<'_>,
) -> Vec<String> {
    if findings.is_empty() {
        return Vec::new();
    }
    let patched = generated.patched(findings.iter().map(|finding| &*finding.field));
    let field = |(finding, is_patched): (&Finding, bool)| {
        if is_patched {
            "/spec/templatePatch".to_owned()
        } else {
            field_in_set(finding, generated.entry, set)
        }
    };
    findings.iter().zip(patched).map(field).collect()
}

/// Where a field of what an entry generates is written.
fn field_in_set(finding: &Finding, entry: usize, set: &ApplicationSet<'_>) -> String {
    if finding.is_of_set {
        finding.field.to_string()
    } else {
        set.template_field(entry, &finding.field)
    }
}

/// What rules find in a generated Application.
struct Found {
    /// As in any other.
    in_object: Vec<Finding>,
    /// As it is generated: what Argo CD finds out when it writes it.
    in_generation: Vec<Finding>,
    /// That an override stands in the template.
    inherited: Vec<Finding>,
}

fn judge_application(
    application: &Application<'_>,
    set: &ApplicationSet<'_>,
    inventory: &Inventory,
    work: &Work,
) -> Found {
    let request = Request::Create(application);
    let generated = SubjectRef {
        request: JudgedRequest::Application(request),
        requester: Requester::default(),
        generated_by: Some(set),
        unknown_fields: &[],
    };
    let as_generated = generated.with(JudgedRequest::GeneratedApplication(request));
    Found {
        in_object: ask_all(generated, inventory, work),
        in_generation: ask_all(as_generated, inventory, work),
        inherited: inherited(ObjectRef::Application(application)),
    }
}

/// What is kept of what is found in one of thousands of Applications.
fn limited(findings: Vec<Finding>) -> Vec<Finding> {
    let mut findings = limit_findings(findings, FINDINGS_LIMIT);
    for finding in &mut findings {
        // It would have to be made in the template, where the value may be a placeholder.
        finding.patch = None;
    }
    findings
}

/// Judges the templates of what is not known here, and tells once what several of them have in
/// common. What those before would be denied for as well passes.
fn judge_templates(
    undecided: &[Undecided],
    before: &[Undecided],
    set: &ApplicationSet<'_>,
    ratchet: &Ratchet<'_>,
    inventory: &Inventory,
) -> Vec<Finding> {
    let judge = |undecided: &[Undecided]| -> Vec<Finding> {
        let judge = |undecided| judge_template(undecided, set, inventory);
        undecided.iter().flat_map(judge).collect()
    };
    let mut findings = judge(undecided);
    if findings.iter().any(is_denied_state) {
        let_pass_as_before(&mut findings, &Denial::all(&judge(before)), ratchet);
    }
    if findings
        .iter()
        .any(|finding| finding.level() == Level::Undecided)
    {
        mark_new(&mut findings, &judge(before));
    }
    let mut told = HashSet::new();
    findings.retain(|finding| {
        let text = (finding.field.clone(), finding.message.clone());
        told.insert((finding.rule, finding.level(), text))
    });
    findings
}

/// Judges the template of what is not known here. A finding that rests on a placeholder is
/// undecided.
fn judge_template(
    undecided: &Undecided,
    set: &ApplicationSet<'_>,
    inventory: &Inventory,
) -> Vec<Finding> {
    let Ok(application) = undecided.template() else {
        return Vec::new();
    };
    let json: Value = serde_json::from_str(undecided.template_json()).unwrap_or_default();
    let is_open = |field: &str| {
        let value = json.pointer(field);
        value.is_some_and(|value| has_placeholder(&value.to_string()))
    };
    let is_name_open = |finding: &Finding| match &*finding.field {
        // It has more in it than what names the cluster.
        "/spec/destination" => {
            is_open("/spec/destination/name") || is_open("/spec/destination/server")
        }
        field => is_open(field),
    };
    let work = Work::new(IgnoreRules::WORK);
    let Found {
        in_object,
        mut in_generation,
        mut inherited,
    } = judge_application(&application, set, inventory, &work);
    // A project or cluster whose name is not known yet cannot be missed, and what the API server
    // refuses in a placeholder says nothing.
    let is_missed = |finding: &Finding| {
        let mut facts = finding.missing.iter();
        !is_name_open(finding) || !facts.any(|fact| has_placeholder(fact.name()))
    };
    in_generation.retain(|finding| !is_open(&finding.field));
    let mut findings = in_object;
    findings.append(&mut in_generation);
    findings.append(&mut inherited);
    findings.retain(is_missed);
    for finding in &mut findings {
        if undecided.may_be_patched || is_open(&finding.field) {
            finding.leave_undecided();
        }
        if finding.level() == Level::Undecided && finding.missing.is_empty() {
            finding.missing = MissingFacts::of(&undecided.lacks);
        }
        finding.message = format!(
            "the template of {}: {}",
            shorten(&undecided.generator, NAME_LIMIT),
            finding.message
        );
        finding.field = field_in_set(finding, undecided.entry, set).into();
        finding.patch = None;
    }
    findings
}

#[cfg(test)]
mod tests {
    use argocd::application::EnabledField;
    use argocd::fleet::Parts;
    use argocd::{Cluster, Fleet};
    use serde_json::json;

    use super::*;
    use crate::request::inventory::Completeness;
    use crate::terms::gitops_policy::GitOpsPolicySpec;

    /// As many Applications on production as asked for, each with these jq paths of its own.
    fn set(applications: usize, jq_paths: &[String]) -> ApplicationSet<'static> {
        let elements: Vec<Value> = (0..applications)
            .map(|number| json!({"name": format!("shop-{number}")}))
            .collect();
        let set = json!({
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {
                "goTemplate": true,
                "generators": [{"list": {"elements": elements}}],
                "template": {
                    "metadata": {"name": "{{ .name }}"},
                    "spec": {
                        "project": "shop",
                        "source": {"repoURL": "https://git.example.com/shop", "path": "shop", "targetRevision": "v1"},
                        "destination": {"name": "omega", "namespace": "shop"},
                        "ignoreDifferences": [
                            {"group": "apps", "kind": "Deployment", "jqPathExpressions": jq_paths},
                        ],
                    },
                },
            },
        });
        ApplicationSet::from_json(&set.to_string())
            .expect("an ApplicationSet")
            .into_owned()
    }

    fn inventory() -> Inventory {
        let cluster = Cluster {
            name: "omega".to_owned(),
            server: "https://omega.example.com".to_owned(),
            labels: [("environment".to_owned(), "prod".to_owned())]
                .into_iter()
                .collect(),
            ..Cluster::default()
        };
        let fleet = Fleet::new(Parts {
            control_plane_namespace: "argocd".to_owned(),
            clusters: vec![cluster],
            ..Parts::default()
        });
        let policy = GitOpsPolicySpec::default();
        Inventory::new(
            fleet,
            Completeness::Complete,
            EnabledField::Supported,
            policy,
        )
        .expect("an inventory")
    }

    /// What generating and judging them takes off the work, and whether it can be done with it.
    fn spent(set: &ApplicationSet<'_>, work: u64) -> (u64, Result<Children, ExpansionError>) {
        let limits = Limits {
            work: Work::new(work),
            ..Limits::default()
        };
        let children = Children::of(set, Ask::All, &inventory(), &limits);
        (work - limits.work.left(), children)
    }

    /// They had been charged to no budget.
    #[test]
    fn jq_paths_of_generated_applications_are_charged() {
        let applications = 100;
        let plain = vec![".metadata.labels".to_owned()];
        let programs: Vec<String> = (0..10)
            .map(|number| format!(".. | select(.name? == \"web-{number}\") | .replicas?"))
            .collect();
        let [few, many] = [plain, programs]
            .map(|jq_paths| spent(&set(applications, &jq_paths), Limits::WORK))
            .map(|(spent, children)| {
                assert_eq!(children.expect("it is done").known.len(), applications);
                spent
            });
        assert!(
            many - few > 100 * 10 * 1_000,
            "{few} without programs, {many} with them"
        );
    }

    #[test]
    fn jq_paths_of_all_generated_applications_share_one_budget() {
        let work = 2 * IgnoreRules::WORK;
        let runs_away = vec!["last(range(1e12)) | .spec.replicas".to_owned()];
        let (spent, children) = spent(&set(1_000, &runs_away), work);
        assert_eq!(spent, work);
        assert!(
            matches!(children, Err(ExpansionError::TooMuchWork)),
            "{children:?}"
        );
    }
}
