//! What is told of a trust policy.

use crate::onboarding::arn::RoleArn;
use crate::onboarding::assumption::{Permission, Trusted};
use crate::onboarding::change::{Change, RoleChange};
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::policy_document::condition::RequestContext;
use crate::onboarding::policy_document::{Document, Request};

/// Whom a role is to trust with what.
pub(super) struct Trust<'t> {
    pub(super) link: LinkName,
    pub(super) trusted: Trusted<'t>,
    /// Who that is, in words.
    pub(super) who: String,
    pub(super) actions: Vec<&'static str>,
    /// One for each way in which the role is assumed.
    pub(super) contexts: Vec<RequestContext>,
}

impl Trust<'_> {
    pub(super) fn expected(&self) -> String {
        format!("{} may {}", self.who, self.actions.join(" and "))
    }

    /// Judges a role's trust policy; the second value is the one that would do.
    pub(super) fn judge(&self, document: &str) -> (Link, Option<String>) {
        let document = match Document::read(document) {
            Ok(document) => document,
            Err(error) => {
                let link = Link::wrong(self.link, "a trust policy that cannot be read")
                    .expecting(self.expected())
                    .because(error.to_string());
                return (link, Some(self.trusted.new_policy().to_string()));
            }
        };
        let requests = self
            .actions
            .iter()
            .flat_map(|action| self.contexts.iter().map(move |context| (*action, context)));
        let permission = Permission::of(requests.map(|(action, context)| {
            let request = Request {
                caller: Some(self.trusted.caller()),
                action,
                resource: None,
                context,
            };
            (action, Document::judge([("", &document)], &request))
        }));
        let mended = || Some(self.trusted.mended(&document, &self.contexts).to_string());
        let (link, mended) = match permission {
            Permission::Allowed(grant) if grant.is_open() => (
                Link::wrong(self.link, format!("{} lets everybody in", grant.statement)).because(
                    "any principal of any account may assume the role, with nothing but its ARN",
                ),
                mended(),
            ),
            Permission::Allowed(grant) => {
                let link = Link::ok(
                    self.link,
                    format!("{}, by {}", self.expected(), grant.statement),
                );
                (link, None)
            }
            Permission::Not {
                reasons,
                is_any_allowed,
            } => {
                let observed = if is_any_allowed {
                    format!("{} may not do all that it takes", self.who)
                } else {
                    format!("{} is not let in", self.who)
                };
                (
                    Link::wrong(self.link, observed).because(reasons.join("; ")),
                    mended(),
                )
            }
            Permission::Unknown(reason) => (Link::unknown(self.link, reason), None),
        };
        (link.expecting(self.expected()), mended)
    }
}

/// The change that gives a role another trust policy.
pub(super) fn update(role: &RoleArn, trust_policy: String) -> Change {
    RoleChange::UpdateTrustPolicy { trust_policy }.of(role)
}
