//! The real kube-controller-manager.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::argo_cd::component::Component;
use crate::argo_cd::programs::Programs;
use crate::control_plane::{ControlPlane, kube_controller_manager};

/// The API server lets this user do what the controller manager does, and make tokens for its
/// controllers.
const USER: &str = "system:kube-controller-manager";

/// A kube-controller-manager whose controllers each log in as a `ServiceAccount` of their own, as
/// where kubeadm or a cloud set it up. It ends when this is dropped.
#[derive(Debug)]
pub struct ControllerManager(Component);

impl ControllerManager {
    /// Starts it with these controllers, such as `garbage-collector-controller`, without waiting
    /// for them.
    pub fn start(
        control_plane: &ControlPlane,
        programs: &Programs,
        controllers: &[&str],
    ) -> Result<Self> {
        let user = control_plane.user(USER, &[])?;
        let folder = control_plane.folder();
        let command = command(
            programs.controller_manager(),
            user.kubeconfig(),
            controllers,
        );
        let component = Component::start("kube-controller-manager", &command, folder)?;
        Ok(Self(component))
    }

    /// The same with the program that is built for it where there is none yet, which takes minutes,
    /// and blocks. `serviceaccount-token-controller` can sign tokens as the API server does.
    pub fn start_built(control_plane: &ControlPlane, controllers: &[&str]) -> Result<Self> {
        let program = kube_controller_manager()?;
        let user = control_plane.user(USER, &[])?;
        let folder = control_plane.folder();
        let mut command = command(&program, user.kubeconfig(), controllers);
        command
            .arg("--service-account-private-key-file")
            .arg(folder.join("service-account.key"));
        let component = Component::start("kube-controller-manager", &command, folder)?;
        Ok(Self(component))
    }

    /// The process.
    pub fn component(&self) -> &Component {
        &self.0
    }
}

fn command(program: &Path, kubeconfig: &Path, controllers: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.arg("--kubeconfig").arg(kubeconfig).args([
        &format!("--controllers={}", controllers.join(",")),
        "--use-service-account-credentials=true",
        // There is one, and nobody asks it anything.
        "--leader-elect=false",
        "--secure-port=0",
        // Instead of 15 s, which a test would wait for.
        "--horizontal-pod-autoscaler-sync-period=1s",
    ]);
    command
}
