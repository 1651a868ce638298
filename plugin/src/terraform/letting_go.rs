//! How Terraform lets go of a release without touching it, and how it takes it back.

use semver::Version;

use super::address::shell_word;
use super::document::State;
use super::release::HelmRelease;
use super::tool::{Program, Tool};

/// `removed` with `lifecycle { destroy = false }`. `OpenTofu` has had `removed` since 1.7, but does
/// not take `lifecycle` in it before 1.10.
const REMOVED: [(Program, Version); 2] = [
    (Program::Terraform, Version::new(1, 7, 0)),
    (Program::OpenTofu, Version::new(1, 10, 0)),
];

/// `import` blocks.
const IMPORT: [(Program, Version); 2] = [
    (Program::Terraform, Version::new(1, 5, 0)),
    (Program::OpenTofu, Version::new(1, 6, 0)),
];

/// How to let go of releases.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum LettingGo {
    /// A block for the configuration, in the place of the resource's: it can be reviewed, and a plan
    /// shows that it only forgets. It takes all instances of the resource.
    Removed {
        block: String,
        /// The resource, whose own block is to go.
        resource: String,
    },
    /// Commands that change the state, in this order.
    Commands { steps: Vec<Step>, why: WhyCommands },
}

/// Why no block does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum WhyCommands {
    /// The program is older than this version.
    Older { since: Version },
    /// Program or version are not known.
    UnknownTool,
    /// A block has no keys, and there are instances that are to stay.
    OtherInstances(Vec<String>),
    /// An object is left over from a replacement that failed, which a plan would delete.
    Deposed,
}

/// A step, as what it is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    pub(crate) what: String,
    /// None for what is done by hand.
    pub(crate) command: Option<String>,
}

impl LettingGo {
    /// How to let go of instances of one resource, given which instances of it a state has.
    pub(crate) fn of(state: &State, releases: &[&HelmRelease], tool: &Tool) -> Self {
        let commands = |why| LettingGo::Commands {
            steps: commands(releases, tool),
            why,
        };
        let Some(first) = releases.first() else {
            return commands(WhyCommands::UnknownTool);
        };
        let resource = first.resource();
        let is_let_go = |address: &String| releases.iter().any(|one| one.address == *address);
        let of_resource = state
            .releases
            .iter()
            .filter(|one| one.resource() == resource);
        let others = of_resource.map(|one| one.address.clone());
        let others: Vec<String> = others.filter(|address| !is_let_go(address)).collect();
        if releases.iter().any(|one| one.is_deposed) {
            return commands(WhyCommands::Deposed);
        }
        let is_one = releases.iter().all(|one| one.resource() == resource);
        if !others.is_empty() || !is_one {
            return commands(WhyCommands::OtherInstances(others));
        }
        match (tool.since(&REMOVED), &tool.version) {
            _ if tool.has(&REMOVED) => LettingGo::Removed {
                block: format!(
                    "removed {{\n  from = {resource}\n\n  lifecycle {{\n    destroy = false\n  }}\n}}\n"
                ),
                resource,
            },
            (Some(since), Some(_)) => commands(WhyCommands::Older { since }),
            _ => commands(WhyCommands::UnknownTool),
        }
    }
}

/// The state first, as a plan without the resource's block would destroy it.
fn commands(releases: &[&HelmRelease], tool: &Tool) -> Vec<Step> {
    let program = tool.command();
    let name = releases.first().map_or("release", |one| one.name.as_str());
    let backup = shell_word(&format!("before-{name}.tfstate"));
    let mut steps = vec![Step {
        what: "keep the state as it is; let nobody plan or apply until the last step".to_owned(),
        command: Some(format!("{program} state pull > {backup}")),
    }];
    steps.extend(releases.iter().map(|release| Step {
        what: format!("forget {}", release.address),
        command: Some(format!(
            "{program} state rm {}",
            shell_word(&release.address)
        )),
    }));
    steps.push(Step {
        what:
            "take the block of the resource, or the key of the instance, out of the configuration"
                .to_owned(),
        command: None,
    });
    steps.push(Step {
        what: "prove by a plan that nothing would be destroyed or created".to_owned(),
        command: Some(format!(
            "{program} plan -out=after.tfplan && {program} show -json after.tfplan > after.json"
        )),
    });
    steps
}

/// How Terraform takes a release back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Restoring {
    /// A block for the configuration, beside that of the resource.
    Import { block: String },
    /// A command, once the block of the resource is back.
    Command(String),
}

impl Restoring {
    /// How to take back a release, which an import finds by namespace and name.
    pub(crate) fn of(release: &HelmRelease, tool: &Tool) -> Self {
        let HelmRelease {
            address,
            name,
            namespace,
            ..
        } = release;
        let id = format!("{namespace}/{name}");
        if tool.has(&IMPORT) {
            return Restoring::Import {
                block: format!("import {{\n  to = {address}\n  id = \"{id}\"\n}}\n"),
            };
        }
        let (address, id) = (shell_word(address), shell_word(&id));
        Restoring::Command(format!("{} import {address} {id}", tool.command()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{helm_release, state};
    use super::*;

    fn read(resources: &[Value]) -> State {
        State::read(&state(&json!({"resources": resources}))).unwrap()
    }

    fn tool(program: Program, version: &str) -> Tool {
        Tool {
            program: Some(program),
            version: Some(version.parse().unwrap()),
        }
    }

    fn text(letting_go: &LettingGo) -> String {
        match letting_go {
            LettingGo::Removed { block, .. } => block.clone(),
            LettingGo::Commands { steps, .. } => {
                let commands = steps.iter().filter_map(|step| step.command.clone());
                commands.collect::<Vec<_>>().join("\n")
            }
        }
    }

    #[test]
    fn a_block_is_for_versions_that_have_it() {
        let state = read(&[helm_release("module.a[0].helm_release.x", "x", "shop", 2)]);
        let releases = [&state.releases[0]];
        let of = |tool| LettingGo::of(&state, &releases, &tool);
        let block = "\
removed {
  from = module.a.helm_release.x

  lifecycle {
    destroy = false
  }
}
";
        assert_eq!(text(&of(tool(Program::Terraform, "1.7.0"))), block);
        assert_eq!(text(&of(tool(Program::OpenTofu, "1.10.0"))), block);
        hcl::parse(block).unwrap();
        for (program, version, since) in [
            (Program::Terraform, "1.6.6", Version::new(1, 7, 0)),
            (Program::Terraform, "1.7.0-rc1", Version::new(1, 7, 0)),
            (Program::OpenTofu, "1.9.4", Version::new(1, 10, 0)),
        ] {
            let LettingGo::Commands { why, .. } = of(tool(program, version)) else {
                panic!("{version}");
            };
            assert_eq!(why, WhyCommands::Older { since });
        }
        for unknown in [
            Tool::default(),
            Tool {
                program: Some(Program::Terraform),
                version: None,
            },
        ] {
            let letting_go = of(unknown);
            let is_unknown = |why: &WhyCommands| *why == WhyCommands::UnknownTool;
            assert!(matches!(&letting_go, LettingGo::Commands { why, .. } if is_unknown(why)));
        }
    }

    #[test]
    fn commands_keep_the_state_first_and_are_quoted() {
        let state = read(&[helm_release(r#"helm_release.x["it's"]"#, "x", "shop", 1)]);
        let releases = [&state.releases[0]];
        let letting_go = LettingGo::of(&state, &releases, &tool(Program::OpenTofu, "1.6.0"));
        assert_eq!(
            text(&letting_go),
            r#"tofu state pull > before-x.tfstate
tofu state rm 'helm_release.x["it'\''s"]'
tofu plan -out=after.tfplan && tofu show -json after.tfplan > after.json"#
        );
    }

    /// A block would take them all.
    #[test]
    fn instances_that_stay_are_not_let_go() {
        let state = read(&[
            helm_release(r#"helm_release.x["a"]"#, "a", "shop", 1),
            helm_release(r#"helm_release.x["b"]"#, "b", "shop", 1),
            helm_release("helm_release.y", "y", "shop", 1),
        ]);
        let new = tool(Program::Terraform, "1.9.0");
        let of = |places: &[usize]| {
            let releases: Vec<_> = places.iter().map(|at| &state.releases[*at]).collect();
            LettingGo::of(&state, &releases, &new)
        };
        let LettingGo::Commands { why, steps } = of(&[0]) else {
            panic!("a block takes all instances");
        };
        let other = r#"helm_release.x["b"]"#.to_owned();
        assert_eq!(why, WhyCommands::OtherInstances(vec![other]));
        assert_eq!(steps.len(), 4);
        assert!(
            matches!(of(&[0, 1]), LettingGo::Removed { resource, .. } if resource == "helm_release.x")
        );
        assert!(matches!(of(&[0, 1, 2]), LettingGo::Commands { .. }));
    }

    #[test]
    fn what_is_deposed_takes_commands() {
        let mut left_over = helm_release("helm_release.x", "x", "shop", 1);
        left_over["deposed_key"] = json!("abc");
        let state = read(&[left_over]);
        let releases = [&state.releases[0]];
        let letting_go = LettingGo::of(&state, &releases, &tool(Program::Terraform, "1.9.0"));
        assert!(matches!(
            letting_go,
            LettingGo::Commands {
                why: WhyCommands::Deposed,
                ..
            }
        ));
    }

    #[test]
    fn a_release_is_taken_back_by_namespace_and_name() {
        let state = read(&[helm_release(r#"helm_release.x["a"]"#, "cart", "shop", 1)]);
        let release = &state.releases[0];
        let block = Restoring::of(release, &tool(Program::Terraform, "1.5.0"));
        let Restoring::Import { block } = block else {
            panic!("it has import blocks");
        };
        assert_eq!(
            block,
            "import {\n  to = helm_release.x[\"a\"]\n  id = \"shop/cart\"\n}\n"
        );
        hcl::parse(&block).unwrap();
        let command = Restoring::of(release, &tool(Program::Terraform, "1.4.9"));
        let expected = r#"terraform import 'helm_release.x["a"]' shop/cart"#.to_owned();
        assert_eq!(command, Restoring::Command(expected));
    }
}
