//! Changing AWS, one thing at a time.
//!
//! What is there already and as it should be is left alone, so that the same may be asked again;
//! and after a change it is looked until AWS says that it is so.

mod cluster;
mod role;

use super::account::Account;
use super::error::{AwsError, Reason};
use super::patience::Patience;
use crate::onboarding::change::Change;

/// What became of a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Done,
    /// It was so before.
    AlreadySo,
}

/// How it is with what a change wants.
enum State {
    AsWanted,
    /// Not begun, or AWS does not say.
    Otherwise,
    /// AWS is about to, and says this of it.
    OnItsWay(String),
    /// It will not come to be.
    Impossible(String),
}

impl State {
    fn wanted(is_so: bool) -> State {
        if is_so {
            State::AsWanted
        } else {
            State::Otherwise
        }
    }
}

impl Account {
    /// Makes it so, and returns when AWS says that it is.
    ///
    /// # Errors
    /// A call fails, or it is not so in time.
    pub(crate) async fn apply(
        &self,
        change: &Change,
        patience: Patience,
    ) -> Result<Outcome, AwsError> {
        let outcome = match self.state(change).await? {
            State::AsWanted => return Ok(Outcome::AlreadySo),
            State::Impossible(reason) => return Err(self.not_settled(change, reason)),
            State::OnItsWay(_) => Outcome::AlreadySo,
            State::Otherwise => {
                self.begin_patiently(change, patience).await?;
                Outcome::Done
            }
        };
        self.settle(change, patience).await?;
        Ok(outcome)
    }

    async fn begin_patiently(&self, change: &Change, patience: Patience) -> Result<(), AwsError> {
        let mut wait = patience.to_begin();
        while let Err(error) = self.begin(change).await {
            // The answer may be lost, and the change made.
            if error.may_be_done()
                && let Ok(State::AsWanted | State::OnItsWay(_)) = self.state(change).await
            {
                break;
            }
            if !may_pass(error.reason()) || !wait.goes_on().await {
                return Err(error);
            }
            // What stood in the way may be that somebody else has made it so.
            if let State::AsWanted = self.state(change).await? {
                break;
            }
        }
        Ok(())
    }

    async fn settle(&self, change: &Change, patience: Patience) -> Result<(), AwsError> {
        let mut wait = patience.to_finish();
        loop {
            let last = match self.state(change).await? {
                State::AsWanted => return Ok(()),
                State::Impossible(reason) => return Err(self.not_settled(change, reason)),
                State::OnItsWay(seen) => format!(": {seen}"),
                State::Otherwise => String::new(),
            };
            if !wait.goes_on().await {
                let seconds = patience.to_finish.as_secs();
                let reason = format!("AWS took it on, and after {seconds} s it is not so{last}");
                return Err(self.not_settled(change, reason));
            }
        }
    }

    fn not_settled(&self, change: &Change, reason: String) -> AwsError {
        self.refused(
            change.to_string(),
            change.call(),
            Reason::NotSettled(reason),
        )
    }

    async fn state(&self, change: &Change) -> Result<State, AwsError> {
        match change {
            Change::Cluster { cluster, change } => self.state_in_cluster(cluster, change).await,
            Change::Role { role, change } => self.state_of_role(role, change).await,
        }
    }

    async fn begin(&self, change: &Change) -> Result<(), AwsError> {
        let step = change.to_string();
        match change {
            Change::Cluster { cluster, change } => {
                self.begin_in_cluster(cluster, change, step).await
            }
            Change::Role { role, change } => self.begin_with_role(role, change, step).await,
        }
    }
}

/// Whether a change may be taken on a little later: another one is under way, or IAM has not told
/// everybody of a role that was just created.
fn may_pass(reason: &Reason) -> bool {
    match reason {
        Reason::Conflict(_) => true,
        Reason::Invalid(message) => message.to_lowercase().contains("invalid principal"),
        _ => false,
    }
}

/// None where there is no such thing.
fn found<T>(read: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match read {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
