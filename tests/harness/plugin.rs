//! The kubectl plugin, as a process.

use std::process::Stdio;

use anyhow::Result;
use tokio::process::Command;

use crate::control_plane::User;
use crate::programs::Programs;

/// `kubectl-gitops`, which finds nothing of our environment and reads nothing from standard input.
pub fn plugin() -> Result<Command> {
    let mut plugin = Command::new(Programs::locate()?.plugin());
    plugin.env_clear().stdin(Stdio::null());
    Ok(plugin)
}

/// The same, as a user.
pub fn plugin_as(user: &User) -> Result<Command> {
    let mut plugin = plugin()?;
    plugin.arg("--kubeconfig").arg(user.kubeconfig());
    Ok(plugin)
}
