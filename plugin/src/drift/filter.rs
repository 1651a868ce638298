//! Which drift is asked for.

use jiff::Timestamp;

use super::autoscaler::ScaledBy;
use super::cause::Cause;
use super::{ApplicationDrift, Drift, FieldDrift, Overview, ResourceDrift, Verdict};
use crate::text::counted;

/// Which Applications are asked for. What is empty asks for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) project: Option<String>,
    /// Name or server.
    pub(crate) cluster: Option<String>,
    pub(crate) environment: Option<String>,
}

/// What `--environment` calls whatever counts as production, whatever the policy calls that.
const PRODUCTION: &str = "production";

impl Wanted {
    /// Whether an Application is one of them.
    pub(crate) fn includes(&self, overview: &Overview) -> bool {
        self.parts()
            .all(|(_, wanted, is)| wanted.is_none_or(|wanted| is(overview, wanted)))
    }

    /// What is asked for of which there is nothing, as the flag and its value.
    pub(crate) fn unmet(&self, overviews: &[&Overview]) -> impl Iterator<Item = String> {
        self.parts().filter_map(|(flag, wanted, is)| {
            let wanted = wanted?;
            let is_met = overviews.iter().any(|overview| is(overview, wanted));
            (!is_met).then(|| format!("{flag} {wanted}"))
        })
    }

    fn parts(&self) -> impl Iterator<Item = (&'static str, Option<&str>, Is)> {
        let parts: [(_, &Option<String>, Is); 3] = [
            ("--project", &self.project, |overview, wanted| {
                overview.project == wanted
            }),
            ("--cluster", &self.cluster, |overview, wanted| {
                let cluster = &overview.cluster;
                let known = [cluster.name.as_deref(), cluster.server.as_deref()];
                known.contains(&Some(wanted))
            }),
            ("--environment", &self.environment, |overview, wanted| {
                overview.environments.iter().any(|name| name == wanted)
                    || wanted == PRODUCTION && overview.is_production
            }),
        ];
        let parts = parts.into_iter();
        parts.map(|(flag, wanted, is)| (flag, wanted.as_deref(), is))
    }
}

/// Whether an Application is in what is named.
type Is = fn(&Overview, &str) -> bool;

/// Which differences are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Kinds, in any case; all if it is empty.
    pub(crate) kinds: Vec<String>,
    /// Those that are no older.
    pub(crate) since: Option<Timestamp>,
    /// Those that a manager or a person made.
    pub(crate) by: Option<String>,
    /// Without those that are as they should be.
    pub(crate) hides_expected: bool,
}

impl Filter {
    /// Leaves the differences that are asked for. An Application of which none are left is clean,
    /// and says how many are left out.
    pub(crate) fn apply(&self, drift: &mut Drift) {
        let autoscalers = std::mem::take(&mut drift.autoscalers);
        for application in &mut drift.applications {
            let before = application.resources.len();
            let cluster = application.cluster_key().to_owned();
            application.resources.retain_mut(|resource| {
                let scaled_by = autoscalers.of(&cluster, resource);
                self.keeps(resource, scaled_by)
            });
            let left_out = before - application.resources.len();
            if left_out > 0 && application.resources.is_empty() {
                none_left(application, left_out);
            }
        }
        drift.autoscalers = autoscalers;
    }

    fn keeps(&self, resource: &mut ResourceDrift, scaled_by: ScaledBy<'_>) -> bool {
        let is_kind = |kind: &String| kind.eq_ignore_ascii_case(&resource.kind);
        if !(self.kinds.is_empty() || self.kinds.iter().any(is_kind)) {
            return false;
        }
        if self.hides_expected && resource.cause == Cause::Autoscaled {
            return false;
        }
        // Of what has no time nobody can say that it is older.
        if let Some(since) = self.since
            && !resource.fields.is_empty()
            && resource
                .fields
                .iter()
                .all(|field| field.since().is_some_and(|time| time < since))
        {
            return false;
        }
        if let Some(by) = &self.by {
            let (kept, left_out) = resource.fields.drain(..).partition(|field: &FieldDrift| {
                let is = |text: &str| text.eq_ignore_ascii_case(by);
                let autoscaler = scaled_by.of_field(&field.pointer);
                let is_manager = field.managers.iter().any(|manager| {
                    is(&manager.name) || is(&manager.words(&field.pointer, autoscaler))
                });
                is_manager || field.person.as_ref().is_some_and(|person| is(&person.name))
            });
            resource.fields = kept;
            if let Some(sides) = &mut resource.sides {
                let left_out: Vec<FieldDrift> = left_out;
                sides.leave_out(left_out.iter());
            }
            return !resource.fields.is_empty();
        }
        true
    }
}

fn none_left(application: &mut ApplicationDrift, left_out: usize) {
    if application.verdict == Verdict::Drifted {
        application.verdict = Verdict::Clean;
        application.reason = Some(format!(
            "left out: {} that differ",
            counted(left_out, "resource")
        ));
    }
}
