//! The cluster that a command talks to: the flags that kubectl has for it, the connection, and reading.
//!
//! Nothing here writes to a cluster.

mod api_server;
mod args;
mod connect;

pub(crate) use self::api_server::{AccessError, ApiServer, Objects};
pub(crate) use self::args::ClusterArgs;
