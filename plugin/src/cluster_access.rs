//! The cluster that a command talks to: the flags that kubectl has for it, the connection, reading and
//! changing objects.

mod api_server;
mod args;
mod connect;
mod permissions;
mod position;
mod warnings;

use std::future::Future;

use crate::error::CommandError;

pub(crate) use self::api_server::{AccessError, ApiServer, Objects};
pub(crate) use self::args::ClusterArgs;
pub(crate) use self::permissions::{Permission, User, may_i, who_am_i};
pub(crate) use self::position::{behind_the_command, flags_among};

/// Does what waits for a cluster.
///
/// # Errors
/// It fails.
pub(crate) fn block_on<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::new)?;
    runtime.block_on(work)
}
