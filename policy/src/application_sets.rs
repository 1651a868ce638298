//! ApplicationSets: judged by the Applications that they generate now.
//!
//! Every rule on Applications is asked about each generated Application. What it finds is gathered, so
//! that a mistake in the template is one finding and not one for each cluster. Where a generator cannot
//! be worked out here, the template is judged as far as it says anything by itself.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use argocd::Application;
use argocd::application_set::{ApplicationSet, ExpansionError, Generated, Limits, Undecided};
use serde_json::Value;

use crate::environment::{has_placeholder, place_of_application};
use crate::evaluate::apply;
use crate::finding::{Finding, Level, shorten, without_user_info};
use crate::inventory::{Completeness, Inventory};
use crate::registry::RULES;
use crate::rule::RuleId;
use crate::subject::{Object, Subject};

/// How many findings are kept of one generated Application.
const FINDINGS_LIMIT: usize = 16;

/// The most of a name that a finding repeats, in characters.
const NAME_LIMIT: usize = 40;

/// An environment that a generated Application belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Belongs {
    /// The environment's name.
    pub environment: String,
    /// Whether it is production.
    pub production: bool,
}

/// A generated Application, as much of it as is compared and told.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) project: String,
    pub(crate) environments: Vec<Belongs>,
    /// Of everything in it, so that two of them can be compared.
    pub(crate) fingerprint: u64,
    /// Whether its deletion takes along what it deploys.
    pub(crate) cascades: bool,
    /// What rules find in it, if they were asked.
    pub(crate) findings: Vec<Finding>,
}

/// All that an ApplicationSet generates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Children {
    pub(crate) known: Vec<Child>,
    /// What is not known here.
    pub(crate) undecided: Vec<Undecided>,
}

/// Whether rules are asked about generated Applications.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    Rules,
    Nothing,
}

impl Children {
    /// Generates them all.
    ///
    /// # Errors
    /// Argo CD fails on the ApplicationSet, or it is beyond the limits.
    pub(crate) fn of(
        set: &ApplicationSet<'_>,
        ask: Ask,
        inventory: &Inventory,
        limits: &Limits,
    ) -> Result<Self, ExpansionError> {
        let clusters = &inventory.fleet.clusters;
        let expansion = set.expand(clusters, &*inventory.checkouts, limits)?;
        let mut children = Children {
            known: Vec::with_capacity(expansion.len()),
            undecided: expansion.undecided.clone(),
        };
        // In files there may be clusters that are declared elsewhere.
        if inventory.completeness == Completeness::Partial {
            children
                .undecided
                .extend_from_slice(&expansion.without_clusters);
        }
        for generated in expansion.applications() {
            match generated? {
                // One of a kind says all that the others would.
                Generated::Undecided(undecided) => {
                    if !children.undecided.contains(&undecided) {
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
                    let child = Child::new(application, generated.json(), ask, inventory);
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
        let known_before = |undecided: &Undecided| {
            let mut others = before.undecided.iter();
            others.any(|other| other.generator == undecided.generator)
        };
        !self.undecided.iter().all(known_before)
    }

    /// What rules find in them, gathered by rule, level and field, in the order of the registry.
    pub(crate) fn findings(&self, set: &ApplicationSet<'_>, inventory: &Inventory) -> Vec<Finding> {
        let mut groups: Groups<'_> = Groups::new();
        for child in &self.known {
            for finding in &child.findings {
                let key = (
                    order_of(finding.rule),
                    finding.level,
                    finding.field.as_str(),
                );
                groups.entry(key).or_default().push((child, finding));
            }
        }
        let mut findings: Vec<(usize, Finding)> = groups
            .into_iter()
            .map(|((order, ..), group)| (order, self.gather(&group, set)))
            .collect();
        for undecided in &self.undecided {
            let found = judge_template(undecided, inventory);
            findings.extend(
                found
                    .into_iter()
                    .map(|finding| (order_of(finding.rule), finding)),
            );
        }
        findings.sort_by_key(|(order, _)| *order);
        findings.into_iter().map(|(_, finding)| finding).collect()
    }

    fn gather(&self, group: &[(&Child, &Finding)], set: &ApplicationSet<'_>) -> Finding {
        let (child, first) = group[0];
        Finding {
            field: set.template_field(&first.field),
            message: format!(
                "{} of {} generated Applications, {} on {}: {}",
                group.len(),
                self.known.len(),
                shorten(&child.name, NAME_LIMIT),
                shorten(&without_user_info(&child.cluster), NAME_LIMIT),
                first.message
            ),
            // It would have to be made in the template, where the value may be a placeholder.
            patch: None,
            rests_on_absence: group.iter().all(|(_, finding)| finding.rests_on_absence),
            ..first.clone()
        }
    }
}

/// Findings that differ only in the Application.
type Groups<'c> = BTreeMap<(usize, Level, &'c str), Vec<(&'c Child, &'c Finding)>>;

impl Child {
    fn new(application: Application<'_>, json: &str, ask: Ask, inventory: &Inventory) -> Self {
        let mut hasher = DefaultHasher::new();
        json.hash(&mut hasher);
        let place = place_of_application(&application, inventory);
        let environments = place.environments.iter().map(|belonging| Belongs {
            environment: belonging.environment.to_owned(),
            production: belonging.production,
        });
        Child {
            name: application.metadata.name.to_string(),
            cluster: cluster_of(&application, inventory),
            project: application.spec.project().to_owned(),
            environments: environments.collect(),
            fingerprint: hasher.finish(),
            cascades: application.cascades_deletion(),
            findings: match ask {
                Ask::Rules => worst(judge_application(application, inventory)),
                Ask::Nothing => Vec::new(),
            },
        }
    }
}

/// The cluster's name, or what the destination says where it means none.
fn cluster_of(application: &Application<'_>, inventory: &Inventory) -> String {
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

fn judge_application(application: Application<'_>, inventory: &Inventory) -> Vec<Finding> {
    let subject = Subject::new(Object::Application(Box::new(application)));
    RULES
        .iter()
        .flat_map(|rule| apply(*rule, &subject, None, inventory))
        .collect()
}

/// The findings that are kept of one of thousands of Applications: denials first.
fn worst(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() > FINDINGS_LIMIT {
        findings.sort_by_key(|finding| finding.level);
        findings.truncate(FINDINGS_LIMIT);
    }
    findings
}

/// Judges the template of what is not known here. A finding that rests on a placeholder is undecided.
fn judge_template(undecided: &Undecided, inventory: &Inventory) -> Vec<Finding> {
    let Ok(application) = undecided.template() else {
        return Vec::new();
    };
    let json: Value = serde_json::from_str(undecided.template_json()).unwrap_or_default();
    let mut findings = judge_application(application, inventory);
    for finding in &mut findings {
        let rests_on_placeholder = undecided.may_be_patched
            || json
                .pointer(&finding.field)
                .is_some_and(|value| has_placeholder(&value.to_string()));
        if rests_on_placeholder && finding.level == Level::Deny {
            finding.level = Level::Undecided;
        }
        finding.message = format!(
            "the template of {}: {}",
            shorten(&undecided.generator, NAME_LIMIT),
            finding.message
        );
        finding.field = format!("/spec/template{}", finding.field);
        finding.patch = None;
    }
    findings
}

fn order_of(rule: RuleId) -> usize {
    let place = RULES.iter().position(|own| own.metadata().id == rule);
    place.unwrap_or(RULES.len())
}
