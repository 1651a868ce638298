//! How far an addon has come on its way to Argo CD, by what is there.

use super::Installed;
use super::gate::{Class, OnCluster};
pub(crate) use super::state::State;
use super::terraform_gate::{Known, Subject};
use crate::releases::Status;

/// A step of the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gate {
    Chart,
    ApplicationSet,
    ZeroDiff,
    Terraform,
    Automation,
    Bump,
}

impl Gate {
    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Gate::Chart => "chart",
            Gate::ApplicationSet => "application-set",
            Gate::ZeroDiff => "zero-diff",
            Gate::Terraform => "terraform",
            Gate::Automation => "automation",
            Gate::Bump => "bump",
        }
    }
}

/// What was found of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    pub(crate) gate: Gate,
    pub(crate) state: State,
    pub(crate) evidence: Vec<String>,
    /// The command that goes on; empty where there is nothing to do.
    pub(crate) next: String,
}

/// What is known of an addon on a cluster.
pub(crate) struct Facts<'f> {
    /// The name of the addon.
    pub(crate) name: &'f str,
    /// The release that the ApplicationSet is for.
    pub(crate) release: &'f str,
    pub(crate) namespace: &'f str,
    /// The version of the chart in the checkout; None where there is none.
    pub(crate) chart_version: Option<&'f str>,
    /// The release, where Helm knows it.
    pub(crate) installed: Option<&'f Installed>,
    /// Whether the ApplicationSet is in the cluster of Argo CD; None where that cannot be read.
    pub(crate) is_set_live: Option<bool>,
    pub(crate) takeover: &'f OnCluster,
    pub(crate) application: Option<&'f LiveApplication>,
    /// The states and plans of Terraform that were read.
    pub(crate) terraform: &'f Known,
}

/// What an Application says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LiveApplication {
    /// Whether it syncs by itself.
    pub(crate) is_automated: bool,
    /// Whether it was synced: from then on a release that Helm still keeps is of the past.
    pub(crate) was_synced: bool,
    pub(crate) sync: String,
    pub(crate) health: String,
}

/// The steps, in their order.
pub(crate) fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let zero_diff = zero_diff(facts);
    vec![
        chart(facts),
        application_set(facts),
        zero_diff.clone(),
        terraform(facts, zero_diff.state),
        automation(facts, zero_diff.state),
        bump(facts),
    ]
}

fn chart(facts: &Facts<'_>) -> Finding {
    let name = facts.name;
    let onboard = format!(
        "kubectl gitops addon onboard {name} --release {} -n {} --vendor",
        facts.release, facts.namespace
    );
    let mut evidence = Vec::new();
    let state = match (facts.chart_version, facts.installed) {
        (None, _) => {
            evidence.push(format!("charts/{name}/Chart.yaml is not in the checkout"));
            State::Shut
        }
        (Some(version), None) => {
            evidence.push(format!("charts/{name} has version {version}"));
            evidence.push(format!(
                "Helm knows no release {} in namespace {}",
                facts.release, facts.namespace
            ));
            State::Done
        }
        (Some(version), Some(installed)) => {
            evidence.push(format!("charts/{name} has version {version}"));
            let newest = &installed.stored.newest;
            let chart = installed.content.as_ref().map(|content| &content.chart);
            let installed_version = chart.map(|chart| &*chart.version);
            evidence.push(format!(
                "revision {} is {}, with version {}",
                newest.revision,
                newest.status.as_str(),
                installed_version.unwrap_or("that cannot be read")
            ));
            let was_synced = facts.application.is_some_and(|one| one.was_synced);
            chart_state(version, installed_version, newest.status, was_synced)
        }
    };
    let is_done = state == State::Done;
    Finding {
        gate: Gate::Chart,
        state,
        evidence,
        next: if is_done { String::new() } else { onboard },
    }
}

/// Whether the chart of the checkout is the one that Helm has installed. Once Argo CD has synced, it
/// may be a later one.
fn chart_state(version: &str, installed: Option<&str>, status: Status, was_synced: bool) -> State {
    match installed {
        _ if was_synced => State::Done,
        _ if status != Status::Deployed => State::Shut,
        None => State::Unknown,
        Some(own) if own == version => State::Done,
        Some(_) => State::Shut,
    }
}

fn application_set(facts: &Facts<'_>) -> Finding {
    let name = facts.name;
    let mut evidence = vec![format!("applicationsets/{name}.yaml is in the checkout")];
    let (state, text) = match facts.is_set_live {
        Some(true) => (State::Done, "Argo CD has it"),
        Some(false) => (State::Open, "Argo CD does not have it yet"),
        None => (State::Unknown, "whether Argo CD has it cannot be read"),
    };
    evidence.push(text.to_owned());
    Finding {
        gate: Gate::ApplicationSet,
        state,
        evidence,
        next: match state {
            State::Open => "git push, and sync what deploys applicationsets/".to_owned(),
            _ => String::new(),
        },
    }
}

fn zero_diff(facts: &Facts<'_>) -> Finding {
    let takeover = facts.takeover;
    let count = |is_meant: &dyn Fn(Class) -> bool| {
        let objects = takeover.objects.iter();
        objects.filter(|one| is_meant(one.class)).count()
    };
    let all = takeover.objects.len();
    let is_taken_over =
        facts.application.is_some() && all > 0 && count(&|class| class == Class::Nothing) == all;
    let state = match State::of_takeover(takeover) {
        State::Open if is_taken_over => State::Done,
        other => other,
    };
    let mut evidence = vec![format!(
        "{} of {all} objects would change in nothing but Argo CD's marks",
        count(&Class::is_open)
    )];
    let shut = takeover.objects.iter().filter(|one| !one.class.is_open());
    evidence.extend(shut.map(|one| {
        let kind = one.key.kind.to_lowercase();
        format!("{kind}/{}: {}", one.key.name, one.class.as_str())
    }));
    let told = [
        &takeover.obstacles,
        &takeover.disagreements,
        &takeover.problems,
    ];
    evidence.extend(told.into_iter().flatten().cloned());
    let diff = format!(
        "kubectl gitops addon diff {} --clusters {}",
        facts.name, takeover.name
    );
    Finding {
        gate: Gate::ZeroDiff,
        state,
        evidence,
        next: match state {
            State::Shut | State::Unknown => diff,
            State::Open | State::Done => String::new(),
        },
    }
}

/// Nobody can tell where neither a state nor a plan was read.
fn terraform(facts: &Facts<'_>, zero_diff: State) -> Finding {
    let name = facts.name;
    let judgement = facts.terraform.judge(&Subject {
        cluster: &facts.takeover.name,
        release: facts.release,
        namespace: facts.namespace,
        addresses: &[],
        zero_diff,
    });
    let mut evidence = judgement.evidence();
    if evidence.is_empty() {
        evidence.push("no state or plan of Terraform was read".to_owned());
    }
    let owners = facts.installed.map(|installed| installed.owners.evidence());
    let owners = owners.into_iter().flatten();
    for (_, told) in owners.filter(|(owner, _)| *owner == "Terraform") {
        evidence.extend_from_slice(told);
    }
    Finding {
        gate: Gate::Terraform,
        state: judgement.state,
        evidence,
        next: match judgement.state {
            State::Done => String::new(),
            State::Open | State::Shut => {
                format!("kubectl gitops addon terraform {name} --state STATE.json")
            }
            State::Unknown => format!(
                "terraform show -json > state.json; kubectl gitops addon status {name} --state state.json"
            ),
        },
    }
}

fn automation(facts: &Facts<'_>, zero_diff: State) -> Finding {
    let (state, evidence) = match facts.application {
        Some(application) if application.is_automated => {
            (State::Done, "the Application syncs by itself")
        }
        Some(_) => (zero_diff, "the Application does not sync by itself"),
        None => (zero_diff, "there is no Application yet"),
    };
    // That nothing would change does not switch it on.
    let state = match state {
        State::Done if facts.application.is_none_or(|one| !one.is_automated) => State::Open,
        state => state,
    };
    Finding {
        gate: Gate::Automation,
        state,
        evidence: vec![evidence.to_owned()],
        next: match (state, facts.application) {
            (State::Open, Some(_)) => format!(
                "kubectl gitops addon enable {} --clusters {}",
                facts.name, facts.takeover.name
            ),
            _ => String::new(),
        },
    }
}

fn bump(facts: &Facts<'_>) -> Finding {
    let (state, evidence) = match facts.application {
        None => (State::Unknown, "there is no Application yet".to_owned()),
        Some(one) => {
            let is_well = one.sync == "Synced" && one.health == "Healthy";
            let state = if is_well { State::Open } else { State::Unknown };
            let said = format!("the Application is {} and {}", one.sync, one.health);
            (state, said)
        }
    };
    Finding {
        gate: Gate::Bump,
        state,
        evidence: vec![evidence],
        next: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::Takeover;
    use super::*;
    use crate::drift::local::Key;

    fn takeover(classes: &[Class]) -> OnCluster {
        let objects = classes.iter().map(|class| {
            let key = Key {
                group: String::new(),
                kind: "Service".to_owned(),
                namespace: "dns".to_owned(),
                name: "dns".to_owned(),
            };
            Takeover::of(key, *class, "")
        });
        OnCluster {
            name: "prod".to_owned(),
            application: "prod-dns".to_owned(),
            objects: objects.collect(),
            ..OnCluster::default()
        }
    }

    fn states(
        classes: &[Class],
        chart_version: Option<&str>,
        application: Option<&LiveApplication>,
    ) -> Vec<&'static str> {
        let takeover = takeover(classes);
        let facts = Facts {
            name: "dns",
            release: "dns",
            namespace: "dns",
            chart_version,
            installed: None,
            is_set_live: Some(application.is_some()),
            takeover: &takeover,
            application,
            terraform: &Known::default(),
        };
        let found = findings(&facts);
        found.iter().map(|one| one.state.as_str()).collect()
    }

    #[test]
    fn the_gates_follow_from_what_is_there() {
        let marked = [Class::TrackingOnly, Class::Nothing];
        assert_eq!(
            states(&marked, Some("1.2.3"), None),
            ["done", "open", "open", "unknown", "open", "unknown"]
        );
        let restart = [Class::TrackingOnly, Class::Restart];
        assert_eq!(
            states(&restart, Some("1.2.3"), None),
            ["done", "open", "shut", "unknown", "shut", "unknown"]
        );
        assert_eq!(states(&marked, None, None)[0], "shut");
    }

    #[test]
    fn another_version_than_helms_is_in_order_once_argo_cd_has_synced() {
        let deployed = Status::Deployed;
        let state =
            |installed, status, was_synced| chart_state("1.5.0", installed, status, was_synced);
        assert_eq!(state(Some("1.5.0"), deployed, false), State::Done);
        assert_eq!(state(Some("1.4.0"), deployed, false), State::Shut);
        assert_eq!(state(None, deployed, false), State::Unknown);
        assert_eq!(state(Some("1.5.0"), Status::Failed, false), State::Shut);
        // Onboarding it again would take the later version back.
        assert_eq!(state(Some("1.4.0"), deployed, true), State::Done);
    }

    #[test]
    fn what_argo_cd_has_taken_over_is_done() {
        let mut application = LiveApplication {
            is_automated: false,
            was_synced: true,
            sync: "Synced".to_owned(),
            health: "Healthy".to_owned(),
        };
        let nothing = [Class::Nothing];
        assert_eq!(
            states(&nothing, Some("1.2.3"), Some(&application)),
            ["done", "done", "done", "unknown", "open", "open"]
        );
        application.is_automated = true;
        assert_eq!(states(&nothing, Some("1"), Some(&application))[4], "done");
        application.sync = "OutOfSync".to_owned();
        assert_eq!(
            states(&nothing, Some("1"), Some(&application))[5],
            "unknown"
        );
    }
}
