//! AWS, by its official SDK: reading what is known of a cluster and of the roles that lead to it,
//! and changing it.
//!
//! Retries are the SDK's own. What AWS takes its time for, as everything here is eventually
//! consistent, is waited for with an end ([`Patience`]). Credentials are in the SDK's own types,
//! which do not print them, and in no error: messages of AWS that quote a signed request are not
//! repeated.

mod account;
mod change;
mod connection;
mod error;
mod patience;
mod place;
mod read;
#[cfg(test)]
mod tests;

pub(crate) use self::account::{Account, Login};
pub(crate) use self::error::AwsError;
pub(crate) use self::{
    patience::Patience,
    read::{Engine, Wanted, read, read_leaving},
};
pub(crate) use crate::onboarding::change::Side;
