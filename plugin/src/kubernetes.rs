//! The cluster that a command talks to: the connection, and reading and changing objects.

mod api_server;
mod connect;
mod contexts;
mod http_client;
mod permissions;
mod port_forward;
mod resource;
mod selection;
mod warnings;
mod watch;
mod workload;

use std::future::Future;

use crate::error::CommandError;

pub(crate) use self::api_server::{AccessError, ApiServer, DiscoveryError, FieldManager, Objects};
pub(crate) use self::connect::ConnectError;
pub(crate) use self::contexts::{ContextError, Contexts, Wanted};
pub(crate) use self::permissions::{Permission, User, may_i, who_am_i, whoami};
pub(crate) use self::port_forward::{Tunnel, TunnelError};
pub(crate) use self::resource::{
    objects_of, of_all_namespaces, reference_of, resource, resource_of,
};
pub(crate) use self::selection::{LeftOut, Listed, Selection};
pub(crate) use self::workload::{WorkloadError, client_by_token, connect_by_token};

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
    let done = runtime.block_on(work);
    // What blocks still, such as a credential plugin that nobody waits for, is not waited for.
    runtime.shutdown_background();
    done
}
