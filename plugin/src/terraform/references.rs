//! Who refers to a `helm_release`: the reason why some releases come last.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{modules_of, without_keys};
use super::configuration::{ModuleConfiguration, References};
use super::document::{Plan, State};

/// Something that refers to a resource.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Referrer {
    /// Without keys of instances, such as `module.nodes.kubernetes_manifest.pool`; of an output or
    /// a provider its name.
    pub(crate) address: String,
    pub(crate) kind: ReferrerKind,
}

/// What refers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum ReferrerKind {
    Resource,
    /// How many of a module there are, or when it is made.
    ModuleCall,
    /// Of the configuration as a whole.
    Output,
    Provider,
}

impl State {
    /// Which resources depend on one, by the state of the last apply: also by way of locals, which
    /// no plan shows. The address may have keys.
    pub(crate) fn dependants(&self, address: &str) -> BTreeSet<Referrer> {
        let target = without_keys(address);
        let depend = self.dependencies.iter();
        let depend = depend.filter(|one| one.on.contains(&target));
        let others = depend.map(|one| without_keys(&one.address));
        let others = others.filter(|other| *other != target);
        others
            .map(|address| Referrer {
                address,
                kind: ReferrerKind::Resource,
            })
            .collect()
    }
}

impl Plan {
    /// Who refers to a resource: by the configuration, through variables and outputs of modules, and
    /// by the state before, which knows of locals. The address may have keys.
    pub(crate) fn referrers(&self, address: &str) -> BTreeSet<Referrer> {
        let mut found = self.prior.dependants(address);
        let target = without_keys(address);
        let (modules, local) = modules_of(&target);
        let mut search = Search {
            modules,
            local,
            target,
            found: BTreeSet::new(),
            seen: BTreeMap::new(),
        };
        let root = &self.configuration.root_module;
        search.visit(root, &mut Vec::new(), BTreeSet::new());
        let names = search.names_in_root(root);
        for provider in self.configuration.provider_config.values() {
            let is_of_root = provider.module_address.is_none();
            if is_of_root && names.are_in(&provider.expressions) {
                let name = provider.name.clone().unwrap_or_default();
                search.add(&[], &name, ReferrerKind::Provider);
            }
        }
        found.append(&mut search.found);
        found
    }
}

/// What stands for the resource in one module.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Names {
    /// The resource itself, variables and outputs that say something of it.
    values: BTreeSet<String>,
    /// The module that it is in, where that is referred to as a whole.
    module: Option<String>,
}

impl Names {
    fn are_in(&self, expressions: &References) -> bool {
        expressions.0.iter().any(|list| self.are_in_list(list))
    }

    /// Whether one expression refers to any. Each reference is listed with all that it is a part of:
    /// `module.m.name`, and `module.m` as well.
    fn are_in_list(&self, list: &[String]) -> bool {
        let is_value = |reference: &String| {
            let mut values = self.values.iter();
            values.any(|name| is_at_or_below(reference, name))
        };
        let is_whole = || {
            self.module.as_ref().is_some_and(|module| {
                let has_part =
                    |reference: &String| reference != module && is_at_or_below(reference, module);
                list.contains(module) && !list.iter().any(has_part)
            })
        };
        list.iter().any(is_value) || is_whole()
    }

    /// Whether what depends on these addresses depends on any.
    fn are_depended_on(&self, addresses: &[String]) -> bool {
        let mut addresses = addresses.iter().map(|address| without_keys(address));
        addresses.any(|address| self.values.contains(&address) || self.module == Some(address))
    }
}

fn is_at_or_below(reference: &str, name: &str) -> bool {
    let rest = reference.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

struct Search {
    /// The modules that the resource is in.
    modules: Vec<String>,
    /// Its address in the last of them.
    local: String,
    /// Its whole address.
    target: String,
    found: BTreeSet<Referrer>,
    /// Which names of a module were followed, and which outputs say something of it.
    seen: BTreeMap<Vec<String>, (BTreeSet<String>, BTreeSet<String>)>,
}

impl Search {
    fn add(&mut self, path: &[String], address: &str, kind: ReferrerKind) {
        let modules = path.iter().map(|name| format!("module.{name}."));
        let address = modules.collect::<String>() + address;
        if address != self.target {
            self.found.insert(Referrer { address, kind });
        }
    }

    /// Follows names into a module, and returns those of its outputs that say something of the
    /// resource.
    fn visit(
        &mut self,
        module: &ModuleConfiguration,
        path: &mut Vec<String>,
        variables: BTreeSet<String>,
    ) -> BTreeSet<String> {
        if let Some((followed, outputs)) = self.seen.get(path)
            && variables.is_subset(followed)
        {
            return outputs.clone();
        }
        let names = self.names(module, path, &variables);
        for (call, configuration) in &module.module_calls {
            let expressions = [
                &configuration.count_expression,
                &configuration.for_each_expression,
            ];
            let counts = expressions.into_iter().any(|one| names.are_in(one));
            if counts || names.are_depended_on(&configuration.depends_on) {
                let address = format!("module.{call}");
                self.add(path, &address, ReferrerKind::ModuleCall);
            }
        }
        for resource in &module.resources {
            let expressions = [
                &resource.expressions,
                &resource.count_expression,
                &resource.for_each_expression,
                &resource.provisioners,
            ];
            let refers = expressions.into_iter().any(|one| names.are_in(one));
            if refers || names.are_depended_on(&resource.depends_on) {
                let address = without_keys(&resource.address);
                self.add(path, &address, ReferrerKind::Resource);
            }
        }
        let outputs = module.outputs.iter().filter(|(_, output)| {
            names.are_in(&output.expression) || names.are_depended_on(&output.depends_on)
        });
        let outputs: BTreeSet<String> = outputs.map(|(name, _)| name.clone()).collect();
        if path.is_empty() {
            for output in &outputs {
                self.add(path, output, ReferrerKind::Output);
            }
        }
        let seen = (variables, outputs.clone());
        self.seen.insert(path.clone(), seen);
        outputs
    }

    /// What stands for the resource in a module: until nothing new does, as modules hand it to each
    /// other.
    fn names(
        &mut self,
        module: &ModuleConfiguration,
        path: &mut Vec<String>,
        variables: &BTreeSet<String>,
    ) -> Names {
        let mut names = Names {
            values: variables.clone(),
            module: None,
        };
        let is_above = self.modules.starts_with(path);
        match self.modules.get(path.len()) {
            Some(below) if is_above => names.module = Some(format!("module.{below}")),
            None if is_above => {
                names.values.insert(self.local.clone());
            }
            _ => {}
        }
        loop {
            let before = names.values.len();
            for (call, configuration) in &module.module_calls {
                let given = configuration.expressions.iter();
                let given = given.filter(|(_, expression)| names.are_in(expression));
                let given: BTreeSet<String> =
                    given.map(|(name, _)| format!("var.{name}")).collect();
                path.push(call.clone());
                let leads_there = self.modules.starts_with(path);
                if leads_there || !given.is_empty() {
                    let outputs = self.visit(&configuration.module, path, given);
                    let outputs = outputs.iter();
                    let outputs = outputs.map(|output| format!("module.{call}.{output}"));
                    names.values.extend(outputs);
                }
                path.pop();
            }
            if names.values.len() == before {
                return names;
            }
        }
    }

    fn names_in_root(&mut self, root: &ModuleConfiguration) -> Names {
        self.names(root, &mut Vec::new(), &BTreeSet::new())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{helm_release, plan};
    use super::*;

    fn refers(to: &[&str]) -> Value {
        json!({"value": {"references": to}})
    }

    fn resource(address: &str, more: &Value) -> Value {
        let mut resource = json!({"address": address, "mode": "managed"});
        json_patch::merge(&mut resource, more);
        resource
    }

    fn referrers(configuration: &Value, address: &str) -> Vec<String> {
        let plan = plan(&json!({"configuration": configuration}));
        let found = Plan::read(&plan).unwrap().referrers(address);
        let words = found
            .into_iter()
            .map(|one| format!("{:?} {}", one.kind, one.address));
        words.collect()
    }

    #[test]
    fn expressions_counts_provisioners_and_depends_on_refer() {
        let name = refers(&["helm_release.x.name", "helm_release.x"]);
        let keyed = refers(&[
            r#"helm_release.x["a"].name"#,
            r#"helm_release.x["a"]"#,
            "helm_release.x",
        ]);
        let configuration = json!({
            "provider_config": {
                "kubernetes": {"name": "kubernetes", "expressions": {"host": refers(&["helm_release.x.metadata"])["value"]}},
                "other": {"name": "other", "expressions": {}},
            },
            "root_module": {
                "outputs": {"release": {"expression": name["value"]}, "other": {"expression": {}}},
                "resources": [
                    resource("helm_release.x", &json!({"expressions": name})),
                    resource("a.expression", &json!({"expressions": keyed})),
                    resource("a.block", &json!({"expressions": {"set": [name]}})),
                    resource("a.count", &json!({"count_expression": name["value"]})),
                    resource("a.for_each", &json!({"for_each_expression": name["value"]})),
                    resource("a.provisioner", &json!({"provisioners": [{"type": "local-exec", "expressions": name}]})),
                    resource("a.depends_on", &json!({"depends_on": ["helm_release.x"]})),
                    resource("a.other", &json!({"expressions": refers(&["helm_release.xy", "helm_release.xy.name"])})),
                    resource("a.constant", &json!({"expressions": {"value": {"constant_value": {"references": ["helm_release.x"]}}}})),
                ],
            },
        });
        assert_eq!(
            referrers(&configuration, "helm_release.x[0]"),
            [
                "Resource a.block",
                "Resource a.count",
                "Resource a.depends_on",
                "Resource a.expression",
                "Resource a.for_each",
                "Resource a.provisioner",
                "Provider kubernetes",
                "Output release",
            ]
        );
    }

    #[test]
    fn modules_hand_it_to_each_other() {
        let configuration = json!({"root_module": {
            "resources": [
                resource("a.by_output", &json!({"expressions": refers(&["module.addons.name", "module.addons"])})),
                resource("a.by_other_output", &json!({"expressions": refers(&["module.addons.other", "module.addons"])})),
                resource("a.by_module", &json!({"depends_on": ["module.addons"]})),
                resource("a.by_whole", &json!({"expressions": refers(&["module.addons"])})),
                resource("a.by_way_of_nodes", &json!({"expressions": refers(&["module.nodes.echo", "module.nodes"])})),
            ],
            "module_calls": {
                "addons": {"module": {
                    "outputs": {
                        "name": {"expression": {"references": ["helm_release.x.name", "helm_release.x"]}},
                        "other": {"expression": {"references": ["helm_release.y.name"]}},
                    },
                    "resources": [
                        resource("helm_release.x", &json!({})),
                        resource("b.inside", &json!({"depends_on": ["helm_release.x"]})),
                    ],
                }},
                "nodes": {
                    "expressions": {
                        "release": {"references": [r#"module.addons["eu"].name"#, r#"module.addons["eu"]"#, "module.addons"]},
                        "other": {"references": ["var.other"]},
                    },
                    "module": {
                        "outputs": {"echo": {"expression": {"references": ["var.release"]}}},
                        "resources": [
                            resource("c.user", &json!({"expressions": refers(&["var.release"])})),
                            resource("c.other", &json!({"expressions": refers(&["var.other"])})),
                        ],
                    },
                },
                "last": {"depends_on": ["module.addons"], "module": {}},
            },
        }});
        assert_eq!(
            referrers(&configuration, r#"module.addons["eu"].helm_release.x["a"]"#),
            [
                "Resource a.by_module",
                "Resource a.by_output",
                "Resource a.by_way_of_nodes",
                "Resource a.by_whole",
                "Resource module.addons.b.inside",
                "ModuleCall module.last",
                "Resource module.nodes.c.user",
            ]
        );
    }

    #[test]
    fn what_depends_on_it_by_way_of_locals_the_state_tells() {
        let mut user = json!({
            "address": "kubernetes_manifest.pool[0]", "mode": "managed",
            "type": "kubernetes_manifest", "name": "pool", "values": {},
            "depends_on": ["helm_release.x"],
        });
        let release = helm_release("helm_release.x[\"eu\"]", "x", "shop", 2);
        let prior = json!({"values": {"root_module": {"resources": [release, user]}}});
        let text = plan(&json!({"configuration": {}, "prior_state": prior}));
        let read = Plan::read(&text).unwrap();
        let found: Vec<_> = read
            .referrers(r#"helm_release.x["eu"]"#)
            .into_iter()
            .collect();
        let expected = Referrer {
            address: "kubernetes_manifest.pool".to_owned(),
            kind: ReferrerKind::Resource,
        };
        assert_eq!(found, [expected]);
        user["depends_on"] = json!([]);
        let prior = json!({"values": {"root_module": {"resources": [user]}}});
        let text = plan(&json!({"configuration": {}, "prior_state": prior}));
        assert!(
            Plan::read(&text)
                .unwrap()
                .referrers("helm_release.x")
                .is_empty()
        );
    }
}
