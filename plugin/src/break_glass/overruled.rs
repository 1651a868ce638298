//! What the rules say of an object of a cluster as it stands, when the overrides that there are
//! count.
//!
//! What stands on a live object was granted when it was written, by somebody who might: nobody is
//! asked again, as the writer of a file would have to be. What the policy does not allow now
//! overrules nothing.

use std::sync::Arc;

use jiff::Timestamp;
use policy::break_glass::terms::Unacceptable;
use policy::break_glass::{BREAK_GLASS, Override, Permission};
use policy::{AnyRequest, Finding, Inventory, Level, Object, Requester, Waiver};

use super::live::{ANYBODY, judge, object};
use crate::error::CommandError;
use crate::fleet::Facts;
use crate::repository::manifest::Kind;

/// What objects of a cluster are judged by.
pub(crate) struct Judge {
    inventory: Inventory,
    /// What clusters are judged by. It has no ApplicationSets: which Applications come with a
    /// cluster plays no part where it is there already.
    of_clusters: Inventory,
    /// The user name of Argo CD's ApplicationSet controller.
    generator: String,
    now: Timestamp,
}

impl Judge {
    /// Judges by what is known of a cluster.
    ///
    /// # Errors
    /// Its policy makes no sense.
    pub(crate) fn new(facts: &Facts, now: Timestamp) -> Result<Self, CommandError> {
        let inventory = facts.inventory()?;
        let mut of_clusters = facts.inventory()?;
        of_clusters.application_sets = Arc::default();
        let accounts = &inventory.policy().argocd.service_accounts;
        let generator = format!(
            "system:serviceaccount:{}:{}",
            inventory.fleet.control_plane_namespace, accounts.application_set_controller
        );
        Ok(Judge {
            inventory,
            of_clusters,
            generator,
            now,
        })
    }

    /// What is known of the cluster.
    pub(crate) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Judges an object by its JSON.
    ///
    /// # Errors
    /// It cannot be read as what it is.
    pub(crate) fn findings(&self, kind: Kind, json: &str) -> Result<Vec<Finding>, String> {
        let object = object(kind, json)?;
        let inventory = match kind {
            Kind::ClusterSecret => &self.of_clusters,
            _ => &self.inventory,
        };
        let written = Override::on(object.as_ref());
        let is_going = object.as_ref().is_being_deleted();
        let writer = self.writer(&object);
        let mut verdict = judge(AnyRequest::create(object), writer, self.now, inventory);
        verdict.settle(|_| Permission::Given);
        let mut findings = verdict.findings;
        findings.retain(|finding| !finding.is_about_action());
        keep_what_matters(&mut findings);
        if let Some(written) = written
            && let Err(error) = inventory.terms().accept(&written, self.now)
        {
            tell_of_refusal(&mut findings, &written, &error);
        }
        if is_going {
            // If it were written now it would be refused; but the object goes.
            findings.retain(|finding| finding.rule != BREAK_GLASS);
        }
        Ok(findings)
    }

    /// Who wrote an object as it stands: for what is generated the override of its ApplicationSet
    /// counts.
    fn writer(&self, object: &Object<'_>) -> Requester<'_> {
        match object {
            Object::Application(application)
                if application.metadata.application_set().is_some() =>
            {
                Requester {
                    username: &self.generator,
                }
            }
            _ => ANYBODY,
        }
    }
}

/// That there is an override is told where it lets something pass.
fn keep_what_matters(findings: &mut Vec<Finding>) {
    let overruled = |finding: &Finding| finding.waiver == Some(Waiver::BreakGlass);
    if !findings.iter().any(overruled) {
        findings.retain(|finding| finding.rule != BREAK_GLASS || finding.level == Level::Deny);
    }
}

/// Why an override overrules nothing is told beside what it names. Where nothing of that is denied
/// it does no harm.
fn tell_of_refusal(findings: &mut Vec<Finding>, written: &Override, error: &Unacceptable) {
    let is_named = |finding: &Finding| finding.level == Level::Deny && written.names(finding.rule);
    let is_needed = findings.iter().any(is_named);
    let annotation = error.annotation().replace('/', "~1");
    let field = format!("/metadata/annotations/{annotation}");
    findings.retain_mut(|finding| {
        if finding.rule != BREAK_GLASS || finding.field != field {
            return true;
        }
        // If it were new it would be refused; but it is there.
        finding.level = Level::Warn;
        finding.fix = "put right what it overruled, or grant it anew".into();
        is_needed
    });
}
