//! What the real OpenTofu 1.12.6 and the real helm provider 1.3.2 show of a `helm_release`, before
//! and after it is no longer wanted. `tests/commands/helm_release.rs` records it, and keeps it
//! current.

use super::tool::Program;
use super::{Action, Plan, State};

const STATE: &str = include_str!("recorded/state.json");
const NO_LONGER_CONFIGURED: &str = include_str!("recorded/plan-delete.json");
const REMOVED: &str = include_str!("recorded/plan-forget.json");

#[test]
fn a_state_has_the_release() {
    let state = State::read(STATE).unwrap();

    assert_eq!(state.tool.program, Some(Program::OpenTofu));
    assert_eq!(state.tool.version, Some("1.12.6".parse().unwrap()));
    let release = state.release("issuer", "issuer").unwrap();
    assert_eq!(release.address, "helm_release.issuer");
    assert_eq!(release.chart.as_deref(), Some("./../chart"));
    assert_eq!(release.repository, None);
    assert_eq!(release.version.as_deref(), Some("1.4.0"));
    assert_eq!(release.status.as_deref(), Some("deployed"));
    assert_eq!(release.revision, Some(1));
    assert!(!release.has_post_renderer && !release.has_write_only_values);
    assert!(!release.is_tainted && !release.is_deposed);
}

#[test]
fn a_plan_says_whether_it_is_destroyed_or_forgotten() {
    let state = State::read(STATE).unwrap();
    let release = state.release("issuer", "issuer").unwrap();
    for (plan, action, objections) in [
        (
            NO_LONGER_CONFIGURED,
            Action::Delete,
            "helm_release.issuer would be destroyed, which uninstalls the release",
        ),
        (REMOVED, Action::Forget, ""),
    ] {
        let plan = Plan::read(plan).unwrap();

        assert_eq!(plan.tool, state.tool);
        assert_eq!(plan.prior.releases, state.releases);
        let actions: Vec<_> = plan.changes.iter().map(|change| &change.action).collect();
        assert_eq!(actions, [&action]);
        let told = plan.objections(&[release]);
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(told.join("\n"), objections);
    }
}
