//! The real Argo CD, as tests use it: [`Fleet::start`] is a devops cluster on which it runs, two
//! workload clusters that it deploys to, a Git repository that it deploys from, and, where a test
//! wants it, our webhook in front of all that.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use harness::argo_cd::{Fleet, Guard};
//!
//! let fleet = Fleet::start(Guard::Webhook).await?;
//! fleet.deployed().await?;
//! fleet.repository().write("charts/shop/values.yaml", "greeting: hello")?;
//! fleet.repository().commit("Greet people")?;
//! fleet.argocd(["app", "get", "shop-staging", "--refresh"]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What is real: etcd, kube-apiserver and kube-controller-manager of each cluster, and Argo CD's
//! repo server, controllers, API server and CLI, of the [`Release`] that is chosen. Each logs in
//! with a token of its own `ServiceAccount`, and has the rights that Argo CD's install manifests
//! give it. Helm and kustomize are of the same minor version as those that Argo CD was released
//! with.
//!
//! What is not:
//!
//! - Redis. Argo CD's cache is served by miniredis, which Argo CD itself runs in its place for
//!   `argocd --core` and in its tests: it keeps, lets expire, renames, lists and publishes as Redis
//!   does, in memory and without a password.
//! - Nothing runs in Pods. A stand-in for kubelet says of every Pod of a workload cluster that it
//!   is ready.
//! - AWS. Clusters are declared with `awsAuthConfig`, and a stand-in for `argocd-k8s-auth` gives
//!   tokens of a workload cluster where AWS would give its own. [`ArgoCd::start_on_eks`] has the
//!   real one, with what stands for AWS.
//! - Neither dex nor the notifications controller is there, connections within Argo CD are not
//!   encrypted, and no commit signatures are checked.

mod command_line;
mod component;
mod controller_manager;
mod fleet;
mod kubelet;
mod manifests;
mod programs;
mod releases;
mod repository;
mod rest;
mod workload_cluster;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::control_plane::ControlPlane;
use crate::http::http_get;
use crate::wait::eventually;
use command_line::CommandLine;

use crate::port::ReservedPort;
pub use command_line::CommandOutput;
pub use component::Component;
pub use controller_manager::ControllerManager;
pub use fleet::{Devops, Fleet, Guard};
pub use manifests::install;
pub use programs::{Programs, redis};
pub use releases::{GITOPS_TEST_ARGO_CD, RELEASES, Release};
pub use repository::Repository;
pub use rest::Rest;
pub use workload_cluster::WorkloadCluster;

/// The namespace of Argo CD and all its objects.
pub(crate) const NAMESPACE: &str = "argocd";
/// Each of them starts in one to three seconds; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_mins(1);
const INITIAL_PASSWORD: &str = "argocd-initial-admin-secret";

/// Argo CD on a control plane that has its manifests. It ends when this is dropped.
#[derive(Debug)]
pub struct ArgoCd {
    components: Vec<Component>,
    command_line: CommandLine,
    rest: Rest,
    server: SocketAddr,
    _port: ReservedPort,
}

impl ArgoCd {
    /// Starts the cache, the repo server, the two controllers and argocd-server, and logs in.
    ///
    /// `credentials` are the answers of the credential plugin, by the names of the clusters.
    pub async fn start(
        control_plane: &ControlPlane,
        programs: &Programs,
        credentials: &[(&str, Value)],
    ) -> Result<Self> {
        let starting = Starting::new(control_plane, programs, &|_| Vec::new())?;
        let written = write_credential_plugin(&starting.stand_ins(), credentials);
        written.context("cannot write the credential plugin")?;
        Self::of(starting).await
    }

    /// Starts it as on a cluster of EKS, where it logs in to others by the real `argocd-k8s-auth`.
    /// The pods of each service account have the environment that is named for it.
    pub async fn start_on_eks(
        control_plane: &ControlPlane,
        programs: &Programs,
        environment: &dyn Fn(&str) -> Vec<(&'static str, String)>,
    ) -> Result<Self> {
        Self::of(Starting::new(control_plane, programs, environment)?).await
    }

    async fn of(mut starting: Starting<'_>) -> Result<Self> {
        match starting.all().await {
            Ok((command_line, rest, port)) => Ok(Self {
                components: starting.components,
                command_line,
                rest,
                server: port.address(),
                _port: port,
            }),
            Err(error) => {
                let states: Vec<_> = starting.components.iter().map(Component::state).collect();
                Err(error.context(states.join("\n\n")))
            }
        }
    }

    /// Where argocd-server takes requests, of HTTP and gRPC, without TLS.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Its processes.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Its REST API, as its administrator.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// The home folder in which `argocd` is logged in as its administrator.
    pub fn home(&self) -> &Path {
        self.command_line.home()
    }

    pub(crate) fn command_line(&self) -> &CommandLine {
        &self.command_line
    }

    /// Runs `argocd` as Argo CD's administrator to its end. That it failed is not an error, but in
    /// [`CommandOutput::status`].
    pub async fn run<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<CommandOutput> {
        self.command_line.run(arguments).await
    }
}

/// What the pods of a service account find in their environment besides.
type Environment<'a> = &'a dyn Fn(&str) -> Vec<(&'static str, String)>;

/// What is started so far.
struct Starting<'a> {
    control_plane: &'a ControlPlane,
    programs: &'a Programs,
    environment: Environment<'a>,
    folder: PathBuf,
    components: Vec<Component>,
}

impl<'a> Starting<'a> {
    fn new(
        control_plane: &'a ControlPlane,
        programs: &'a Programs,
        environment: Environment<'a>,
    ) -> Result<Self> {
        let starting = Self {
            control_plane,
            programs,
            environment,
            folder: control_plane.folder().join("argo-cd"),
            components: Vec::new(),
        };
        let folders = [
            starting.home(),
            starting.temporary(),
            starting.stand_ins(),
            starting.built(),
        ];
        for folder in folders {
            fs::create_dir_all(folder).context("cannot make a folder for Argo CD")?;
        }
        let linked = programs.link_into(&starting.built());
        linked.context("cannot put Argo CD's programs into a folder")?;
        Ok(starting)
    }

    async fn all(&mut self) -> Result<(CommandLine, Rest, ReservedPort)> {
        self.redis().await?;
        let repo_server = self.repo_server().await?.to_string();
        self.application_controller(&repo_server).await?;
        self.application_set_controller(&repo_server).await?;
        let port = self.server(&repo_server).await?;
        let password = initial_password(self.control_plane).await?;
        let command_line =
            CommandLine::log_in(self.argocd(), &self.home(), port.address(), &password).await?;
        let rest = Rest::log_in(port.address(), &password).await?;
        Ok((command_line, rest, port))
    }

    /// On a Unix socket, where it needs neither a port nor a password.
    async fn redis(&mut self) -> Result<()> {
        let mut redis = Command::new(self.programs.redis());
        redis.arg(self.redis_socket());
        self.spawn("redis", &redis)?;
        let socket = self.redis_socket();
        self.ready(async |_| {
            let connected = UnixStream::connect(&socket).await;
            connected.map(drop).map_err(|error| anyhow!("{error}"))
        })
        .await
    }

    async fn repo_server(&mut self) -> Result<SocketAddr> {
        let mut repo_server = self.argo_cd("argocd-repo-server");
        repo_server
            .args(["--address=127.0.0.1", "--port=0", "--disable-tls"])
            .args(["--metrics-address=127.0.0.1", "--metrics-port=0"])
            .args(self.programs.release().repo_server_flags())
            .env("ARGOCD_ASK_PASS_SOCK", self.folder.join("ask-pass.sock"));
        self.redis_flag(&mut repo_server);
        self.spawn("argocd-repo-server", &repo_server)?;
        self.ready(async |component| {
            listening(&component.log()?).context("it has not said where it listens")
        })
        .await
    }

    async fn application_controller(&mut self, repo_server: &str) -> Result<()> {
        let mut controller = self.logged_in("argocd-application-controller").await?;
        controller.arg("--metrics-port=0");
        controller.args(["--repo-server", repo_server, "--repo-server-plaintext"]);
        self.redis_flag(&mut controller);
        self.spawn("argocd-application-controller", &controller)
    }

    async fn application_set_controller(&mut self, repo_server: &str) -> Result<()> {
        let mut controller = self.logged_in("argocd-applicationset-controller").await?;
        controller
            .args(["--metrics-addr=127.0.0.1:0", "--probe-addr=127.0.0.1:0"])
            .args(["--webhook-addr=127.0.0.1:0", "--enable-progressive-syncs"])
            .args([
                "--argocd-repo-server",
                repo_server,
                "--repo-server-plaintext",
            ]);
        self.spawn("argocd-applicationset-controller", &controller)
    }

    async fn server(&mut self, repo_server: &str) -> Result<ReservedPort> {
        let port = ReservedPort::reserve().context("cannot find a free port on loopback")?;
        let mut server = self.logged_in("argocd-server").await?;
        server
            .arg("--insecure")
            .args(["--address=127.0.0.1", "--metrics-port=0"])
            .arg(format!("--port={}", port.address().port()))
            .args(["--repo-server", repo_server, "--repo-server-plaintext"]);
        self.redis_flag(&mut server);
        self.spawn("argocd-server", &server)?;
        self.ready(
            async |_| match http_get(port.address(), "/healthz").await? {
                (200, _) => Ok(()),
                (status, text) => Err(anyhow!("{status} {text}")),
            },
        )
        .await?;
        Ok(port)
    }

    /// Argo CD's program under one of its names, which finds Helm, kustomize and the credential
    /// plugin. What it runs may be the same program under another name, so that no variable says
    /// which.
    fn argo_cd(&self, name: &str) -> Command {
        let mut path = self.stand_ins().into_os_string();
        path.push(":");
        path.push(self.built());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(self.built().join(name));
        command
            .env("ARGOCD_GPG_ENABLED", "false")
            .env("HOME", self.home())
            .env("TMPDIR", self.temporary())
            .env("PATH", path);
        command
    }

    /// The same for what talks to the API server, as its `ServiceAccount`. The cluster that it is
    /// in is the one of its kubeconfig, as in Argo CD's own tests.
    async fn logged_in(&self, name: &str) -> Result<Command> {
        let user = self.control_plane.service_account(NAMESPACE, name).await?;
        let mut command = self.argo_cd(name);
        command
            .args(["--namespace", NAMESPACE])
            .env("KUBECONFIG", user.kubeconfig())
            .env("ARGOCD_FAKE_IN_CLUSTER", "true")
            .envs((self.environment)(name));
        Ok(command)
    }

    fn redis_flag(&self, command: &mut Command) {
        command.arg("--redis").arg(self.redis_socket());
    }

    fn spawn(&mut self, name: &'static str, command: &Command) -> Result<()> {
        self.components
            .push(Component::start(name, command, &self.folder)?);
        Ok(())
    }

    /// Asks again and again until the last component is ready, unless it has ended.
    async fn ready<T>(&self, mut probe: impl AsyncFnMut(&Component) -> Result<T>) -> Result<T> {
        let component = self.components.last().context("nothing was started")?;
        let name = component.name();
        let what = format!("{name} is ready");
        let ready = eventually(WITHIN, &what, async || {
            if let Some(status) = component.ended().map_err(|error| format!("{error:#}"))? {
                return Ok(Err(anyhow!("{name} ended before it was ready ({status})")));
            }
            probe(component)
                .await
                .map(Ok)
                .map_err(|error| format!("{error:#}"))
        });
        ready.await?
    }

    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    fn temporary(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    fn stand_ins(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// The folder of the programs that were built.
    fn built(&self) -> PathBuf {
        self.folder.join("built")
    }

    fn argocd(&self) -> PathBuf {
        self.built().join("argocd")
    }

    fn redis_socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }
}

/// Stands in for `argocd-k8s-auth aws --cluster-name NAME …`.
fn write_credential_plugin(folder: &Path, credentials: &[(&str, Value)]) -> std::io::Result<()> {
    for (cluster, credential) in credentials {
        fs::write(
            folder.join(format!("{cluster}.json")),
            credential.to_string(),
        )?;
    }
    let plugin = folder.join("argocd-k8s-auth");
    fs::write(&plugin, "#!/bin/sh\nexec cat \"${0%/*}/$3.json\"\n")?;
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755))
}

/// The address in `argocd-repo-server is listening on 127.0.0.1:41234`.
fn listening(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("argocd-repo-server is listening on ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
    rest.get(..end)?.parse().ok()
}

async fn initial_password(control_plane: &ControlPlane) -> Result<String> {
    let secrets = Api::<Secret>::namespaced(control_plane.admin().client().await?, NAMESPACE);
    let secret = secrets.get(INITIAL_PASSWORD).await;
    let secret = secret.context("cannot get the administrator's password")?;
    let password = secret.data.and_then(|mut data| data.remove("password"));
    let password = password.context("the administrator has no password")?;
    Ok(String::from_utf8(password.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repo_server_is_where_it_says() {
        let log = r#"{"level":"info","msg":"argocd-repo-server is listening on 127.0.0.1:41234","time":"x"}"#;

        assert_eq!(listening(log), Some(([127, 0, 0, 1], 41234).into()));
        assert_eq!(
            listening("argocd-repo-server is listening on 127.0.0.1:4"),
            None
        );
    }
}
