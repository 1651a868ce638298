//! What the policy says about overrides.

use jiff::{SignedDuration, Timestamp};
use regex::bytes::{Regex, RegexBuilder};

use super::annotations::{EXPIRES, Override, REASON};
use super::gitops_policy::{ArgoCd, BreakGlass, InvalidTerms};

/// The verb that whoever overrules a rule needs on the `gitopspolicies` of the rule's name.
pub const VERB: &str = "break-glass";

/// How far ahead of the webhook's clock a writer's may be when an override is measured against the
/// longest that the policy allows. There is none at its end: that is the webhook's clock alone.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// `spec.breakGlass` of a policy, compiled.
#[derive(Clone, Debug)]
pub struct Terms {
    max_duration: SignedDuration,
    ticket: Option<Regex>,
    from_git: bool,
    service_accounts: Vec<String>,
}

/// Why an override is not acceptable, whoever writes it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unacceptable {
    /// It is over already.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// It would last too long.
    #[error("it would last longer than {0:#}")]
    TooLong(SignedDuration),
    /// The reason names no ticket.
    #[error("its reason names no ticket like {0}")]
    NoTicket(String),
}

impl Unacceptable {
    /// The annotation that is not acceptable.
    pub fn annotation(&self) -> &'static str {
        match self {
            Unacceptable::Expired(_) | Unacceptable::TooLong(_) => EXPIRES,
            Unacceptable::NoTicket(_) => REASON,
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Unacceptable::Expired(_) => "take the three annotations off, or write a later end",
            Unacceptable::TooLong(_) => "write an earlier end",
            Unacceptable::NoTicket(_) => "write the ticket's number into it",
        }
    }
}

/// Who writes, as far as that decides whether they may overrule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Writer {
    /// Somebody whom the API server can be asked about.
    Asked,
    /// Nobody yet: the object lies in Git, and Argo CD will write it, which the policy allows.
    Git,
    /// The same, and the policy does not allow it.
    GitWithoutLeave,
    /// A service account that the policy does not name. It may act for anybody, and Argo CD's own
    /// may do everything, so that nobody is asked about it.
    ServiceAccountWithoutLeave,
}

impl Terms {
    pub(crate) fn new(policy: &BreakGlass) -> Result<Self, InvalidTerms> {
        let duration = &policy.max_duration;
        let max_duration: Option<SignedDuration> = duration.parse().ok();
        let ticket = policy.ticket_pattern.as_deref().map(|pattern| {
            // Without Unicode's tables `\d` means the ten digits, as everybody who writes it means.
            let compiled = RegexBuilder::new(pattern).unicode(false).build();
            compiled.map_err(|_| InvalidTerms::TicketPattern(pattern.to_owned()))
        });
        let is_account = |account: &&String| {
            let parts = account.split_once('/');
            parts.is_some_and(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
        };
        if let Some(account) = policy.service_accounts.iter().find(|one| !is_account(one)) {
            return Err(InvalidTerms::ServiceAccount(account.clone()));
        }
        Ok(Terms {
            max_duration: max_duration
                .filter(SignedDuration::is_positive)
                .ok_or_else(|| InvalidTerms::MaxDuration(duration.clone()))?,
            ticket: ticket.transpose()?,
            from_git: policy.from_git,
            service_accounts: policy.service_accounts.clone(),
        })
    }

    /// The longest that an override may last.
    pub fn max_duration(&self) -> SignedDuration {
        self.max_duration
    }

    /// Whether an override is one that the policy allows to be written now.
    ///
    /// # Errors
    /// It is not, and why.
    pub fn accept(&self, written: &Override, now: Timestamp) -> Result<(), Unacceptable> {
        if written.is_expired(now) {
            return Err(Unacceptable::Expired(written.expires));
        }
        let longest = self.max_duration.saturating_add(TOLERANCE);
        if written.expires.duration_since(now) > longest {
            return Err(Unacceptable::TooLong(self.max_duration));
        }
        match &self.ticket {
            Some(ticket) if !ticket.is_match(written.reason.as_bytes()) => {
                Err(Unacceptable::NoTicket(ticket.as_str().to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Who a user is, in the words of the policy; an empty name where the object lies in a file.
    pub(crate) fn writer(&self, username: &str, argocd: &ArgoCd, argocd_namespace: &str) -> Writer {
        if username.is_empty() {
            return if self.from_git {
                Writer::Git
            } else {
                Writer::GitWithoutLeave
            };
        }
        let Some(account) = username.strip_prefix("system:serviceaccount:") else {
            return Writer::Asked;
        };
        let named = |own: &String| {
            let parts = account.split_once(':');
            own.split_once('/') == parts
        };
        let accounts = &argocd.service_accounts;
        let from_git =
            self.from_git && accounts.is_application_controller(username, argocd_namespace);
        if from_git || self.service_accounts.iter().any(named) {
            Writer::Asked
        } else {
            Writer::ServiceAccountWithoutLeave
        }
    }
}
