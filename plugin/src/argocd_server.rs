//! argocd-server: where it is, who one is to it, and what it answers over REST.

mod client;
mod command_line;
mod error;
mod session;

pub(crate) use self::client::{ArgoCdServer, ServerError};
pub(crate) use self::error::SessionError;
pub(crate) use self::session::Session;
