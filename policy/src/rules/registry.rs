//! All rules, in the order in which they are asked and reported.

use argocd::Fleet;
use argocd::application::EnabledField;

use super::rule::{Rule, RuleId, RuleMetadata};
use crate::request::inventory::{Completeness, Inventory};
use crate::rule_list::with_all_rules;
use crate::terms::gitops_policy::{GitOpsPolicySpec, InvalidPolicy};

macro_rules! registry {
    ($($(#[$doc:meta])* $id:literal, $field:ident: $settings:ident => $rule:ident;)+) => {
        /// All rules.
        pub static RULES: [&Rule; [$($id),+].len()] = [$(&super::$rule::RULE),+];
    };
}
with_all_rules!(registry);

impl Inventory {
    /// Puts an inventory together.
    ///
    /// # Errors
    /// The policy contradicts itself in a way that its schema cannot express.
    pub fn new(
        fleet: Fleet,
        completeness: Completeness,
        enabled_field: EnabledField,
        policy: GitOpsPolicySpec,
    ) -> Result<Self, InvalidPolicy> {
        let rules: Vec<&'static RuleMetadata> = all().collect();
        Inventory::with_rules(&rules, fleet, completeness, enabled_field, policy)
    }
}

/// The rule of a name.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES
        .into_iter()
        .find(|rule| rule.metadata().id.as_str() == id)
}

/// The rule whose name is most like a text, if one is like it at all: by the measure by which clap
/// suggests what may have been meant on a command line.
pub fn nearest(text: &str) -> Option<RuleId> {
    RuleId::nearest(text)
}

/// What is known of every rule.
pub fn all() -> impl Iterator<Item = &'static RuleMetadata> {
    RULES.into_iter().map(Rule::metadata)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use argocd::fleet::Parts;
    use argocd::settings::Settings;
    use base64::Engine as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::finding::{Finding, Level};
    use crate::kind::Kind;
    use crate::request::object::Object;
    use crate::request::subject::{Propagation, Subject};
    use crate::verdict::evaluate::evaluate;

    const HEADINGS: [&str; 5] = ["What it does", "Why", "How to fix", "Denied", "Admitted"];

    /// The first line of an example whose objects are deleted.
    const DELETED: &str = "# kubectl delete -f -\n";

    /// The sections of a page by their headings, in their order.
    fn sections(page: &str) -> Vec<(&str, &str)> {
        page.split("\n## ")
            .skip(1)
            .filter_map(|section| section.split_once('\n'))
            .collect()
    }

    fn yaml_blocks(section: &str) -> Vec<&str> {
        section
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split_once("```"))
            .map(|(block, _)| block)
            .collect()
    }

    /// What a rule finds in the objects of an example, which are all there is. A GitOpsPolicy among
    /// them is the policy that counts. Of two with one name, the second replaces the first.
    fn findings(rule: &Rule, example: &str) -> Vec<Finding> {
        let objects: Vec<Value> = golang::yaml::documents(example)
            .map(|document| as_stored(document.unwrap().value))
            .collect();
        let of_kind = |kind: &str| -> Vec<&Value> {
            objects
                .iter()
                .filter(|object| object["kind"] == kind)
                .collect()
        };
        let parts = Parts {
            control_plane_namespace: "argocd".to_owned(),
            projects: of_kind("AppProject")
                .into_iter()
                .map(|project| serde_json::from_value(project.clone()).unwrap())
                .collect(),
            clusters: ["staging-eu", "prod-eu"].map(cluster).to_vec(),
            settings: of_kind("ConfigMap")
                .first()
                .map_or_else(Settings::default, |settings| {
                    let data = serde_json::from_value(settings["data"].clone()).unwrap();
                    Settings::from_config_map(&data)
                }),
            ..Parts::default()
        };
        let policy = of_kind("GitOpsPolicy")
            .first()
            .map_or_else(GitOpsPolicySpec::default, |policy| {
                serde_json::from_value(policy["spec"].clone()).unwrap()
            });
        let inventory = Inventory::new(
            Fleet::new(parts),
            Completeness::Complete,
            EnabledField::Supported,
            policy,
        )
        .unwrap();
        let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
        let judged = |index: usize| {
            let identity =
                |object: &Value| (object["kind"].clone(), object["metadata"]["name"].clone());
            let before = objects[..index]
                .iter()
                .rposition(|earlier| identity(earlier) == identity(&objects[index]));
            let Some(object) = decode(&objects[index], &texts[index]) else {
                return Vec::new();
            };
            let old = before.and_then(|before| decode(&objects[before], &texts[before]));
            let subject = match old {
                _ if example.starts_with(DELETED) => {
                    Subject::delete(object, Propagation::Background)
                }
                Some(old) => Subject::update(object, old),
                None => Subject::new(object),
            };
            let mut found = evaluate(&subject, &inventory).findings;
            found.retain(|finding| finding.rule == rule.metadata().id);
            found
        };
        (0..objects.len()).flat_map(judged).collect()
    }

    fn decode<'a>(object: &Value, json: &'a str) -> Option<Object<'a>> {
        let api_version = object["apiVersion"].as_str().unwrap();
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let kind = Kind::judged(group, object["kind"].as_str().unwrap())?;
        Some(Object::from_json(kind, json).unwrap())
    }

    fn cluster(name: &str) -> argocd::Cluster {
        argocd::Cluster {
            name: name.to_owned(),
            server: format!("https://{name}.example.com"),
            ..argocd::Cluster::default()
        }
    }

    /// What the API server makes of `stringData`.
    fn as_stored(mut object: Value) -> Value {
        let plain: BTreeMap<String, String> =
            serde_json::from_value(object["stringData"].take()).unwrap_or_default();
        for (key, value) in plain {
            object["data"][key] = json!(base64::prelude::BASE64_STANDARD.encode(value));
        }
        object
    }

    #[test]
    fn every_page_has_its_headings_in_order() {
        for rule in all() {
            let page = rule.page();
            let headings: Vec<&str> = sections(&page).iter().map(|(name, _)| *name).collect();
            assert_eq!(headings, HEADINGS, "{}", rule.id);
        }
    }

    #[test]
    fn every_denied_example_is_denied_and_every_admitted_one_is_not() {
        for rule in RULES {
            let metadata = rule.metadata();
            let page = metadata.page();
            for (heading, section) in sections(&page) {
                let expected = match heading {
                    "Denied" => true,
                    "Admitted" => false,
                    _ => continue,
                };
                let examples = yaml_blocks(section);
                assert!(
                    !examples.is_empty(),
                    "{}: no {heading} example",
                    metadata.id
                );
                for example in examples {
                    let found = findings(rule, example);
                    let denied = found.iter().any(|finding| finding.level() == Level::Deny);
                    assert_eq!(denied, expected, "{}:\n{example}\n{found:#?}", metadata.id);
                    for finding in &found {
                        let line = finding.line();
                        assert!(!line.contains('…'), "a line of an example is cut: {line}");
                    }
                }
            }
        }
    }

    #[test]
    fn ids_are_unique_and_kebab_case() {
        let ids: BTreeSet<&str> = all().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids.len(), RULES.len());
        for id in ids {
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{id}"
            );
            assert_eq!(RuleId::find(id).map(RuleId::as_str), Some(id));
            assert!(find(id).is_some());
        }
    }

    #[test]
    fn every_rule_is_listed_under_its_own_name() {
        for (place, rule) in all().enumerate() {
            assert_eq!(rule.id.order(), place, "{}", rule.id);
        }
    }

    #[test]
    fn every_rule_is_a_field_of_the_policy() {
        let rules = serde_json::to_value(GitOpsPolicySpec::default().rules).unwrap();
        let fields: BTreeSet<&str> = rules
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let ids: BTreeSet<&str> = all().map(|rule| rule.id.as_str()).collect();
        assert_eq!(fields, ids);
    }
}
