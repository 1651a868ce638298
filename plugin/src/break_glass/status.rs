//! An override as it stands on an object.

use jiff::Timestamp;
use policy::{Finding, RuleId, break_glass};

use super::live::{Judgement, Live, Override, Writer};
use crate::repository::manifest::ObjectReference;

/// An override, and what it is good for.
#[derive(Debug)]
pub(crate) struct OverrideStatus {
    pub(crate) object: ObjectReference,
    pub(crate) written: Override,
    pub(crate) state: State,
    /// What the rules that it names deny of the object as it is.
    pub(crate) violations: Vec<Finding>,
    /// What they cannot tell.
    pub(crate) undecided: Vec<Finding>,
    /// Who wrote it last, if it is written and the API server keeps that.
    pub(crate) writer: Option<Writer>,
    /// Who granted it, as far as the webhook's Events still tell.
    pub(crate) granted_by: Option<String>,
}

/// Whether an override overrules anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// There is none.
    None,
    Active,
    Expired,
    /// It counts for nothing, as the object is being deleted.
    Terminating,
    /// The annotations are not an override.
    Invalid,
}

impl State {
    /// In lower case.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::None => "none",
            State::Active => "active",
            State::Expired => "expired",
            State::Terminating => "terminating",
            State::Invalid => "invalid",
        }
    }
}

impl Override {
    /// The rules that it names.
    pub(crate) fn rules(&self) -> &[RuleId] {
        match self {
            Override::Valid(written) => &written.rules,
            Override::None | Override::Invalid(_) => &[],
        }
    }

    /// What overrules something at a time.
    pub(crate) fn in_force(&self, now: Timestamp) -> Option<&break_glass::Override> {
        match self {
            Override::Valid(written) if !written.is_expired(now) => Some(written),
            Override::Valid(_) | Override::None | Override::Invalid(_) => None,
        }
    }

    /// What it is at a time.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        match self {
            Override::None => State::None,
            Override::Invalid(_) => State::Invalid,
            Override::Valid(written) if written.is_expired(now) => State::Expired,
            Override::Valid(_) => State::Active,
        }
    }
}

impl OverrideStatus {
    /// What stands on an object, with what the rules in question say of it.
    pub(crate) fn of(live: &Live, written: Override, judgement: Judgement, now: Timestamp) -> Self {
        OverrideStatus {
            object: live.reference.clone(),
            state: match written.state(now) {
                State::Active if live.is_being_deleted => State::Terminating,
                state => state,
            },
            written,
            violations: judgement.of_state,
            undecided: judgement.undecided,
            writer: live.writer.clone(),
            granted_by: None,
        }
    }
}
