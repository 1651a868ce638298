//! etcd and kube-apiserver as processes.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use kube::Client;
use kube::config::Cluster;
use serde_json::json;
use tokio::net::TcpSocket;

use crate::control_plane::authority::{Authority, TokenKeys};
use crate::control_plane::binaries::Binaries;
use crate::control_plane::error::{Error, context};
use crate::control_plane::network::ClusterNetwork;
use crate::control_plane::supervisor::{ServerEnd, Supervisor};

const AUDIT_POLICY: &str = include_str!("audit-policy.yaml");
/// A start takes 3 seconds, and 6 when four start at once on two cores.
const READY_WITHIN: Duration = Duration::from_mins(1);
const BETWEEN_PROBES: Duration = Duration::from_millis(50);
const SHOWN_LOG_LINES: usize = 20;

/// The servers of one control plane, which end and take their folder with them when this is
/// dropped.
pub(crate) struct Servers {
    supervisor: Supervisor,
    address: SocketAddr,
    network: ClusterNetwork,
}

/// Servers that were just started.
pub(crate) struct Start {
    end: ServerEnd,
    _port: TcpSocket,
}

impl Servers {
    /// Starts both without waiting for them.
    pub(crate) fn spawn(
        binaries: &Binaries,
        authority: &Authority,
        token_webhook: Option<&Path>,
    ) -> Result<(Self, Start), Error> {
        let (port, address) =
            reserve_port().map_err(context("cannot find a free port on loopback"))?;
        let (supervisor, end) = Supervisor::spawn(|folder| {
            write_files(folder, authority)?;
            let programs = [binaries.etcd(), binaries.kube_apiserver()].map(OsString::from);
            Ok(programs
                .into_iter()
                .chain(kube_apiserver_flags(folder, address))
                .chain(token_webhook.map(token_webhook_flag))
                .collect())
        })?;
        let network = ClusterNetwork::serve(&network_socket(supervisor.folder()))
            .map_err(context("cannot serve the cluster's network"))?;
        Ok((
            Self {
                supervisor,
                address,
                network,
            },
            Start { end, _port: port },
        ))
    }

    /// Returns once the API server says that it is ready.
    pub(crate) async fn ready(&self, client: Client, start: Start) -> Result<(), Error> {
        let mut last_answer = None;
        let reason = tokio::select! {
            () = answered_ready(client, &mut last_answer) => return Ok(()),
            () = start.end.reached() => "kube-apiserver ended before it was ready".to_owned(),
            () = tokio::time::sleep(READY_WITHIN) => {
                let seconds = READY_WITHIN.as_secs();
                format!("kube-apiserver was not ready within {seconds} s; /readyz: {}", last_answer.unwrap_or_default())
            }
        };
        Err(Error::NotReady {
            reason,
            etcd_log: last_lines(&self.folder().join("etcd.log")),
            kube_apiserver_log: last_lines(&self.folder().join("kube-apiserver.log")),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.supervisor.folder()
    }

    pub(crate) fn network(&self) -> &ClusterNetwork {
        &self.network
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder().join("audit.log")
    }

    /// How a kubeconfig names this API server.
    pub(crate) fn cluster(&self, authority: &Authority) -> Cluster {
        Cluster {
            server: Some(format!("https://{}", self.address)),
            certificate_authority_data: Some(crate::control_plane::user::base64(
                authority.certificate(),
            )),
            ..Cluster::default()
        }
    }
}

/// Another process may be given the same free port before kube-apiserver has it. It cannot while a
/// socket is bound to it, and kube-apiserver can because both allow sharing. The socket does not
/// listen, so it takes no connections.
fn reserve_port() -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

fn write_files(folder: &Path, authority: &Authority) -> Result<(), Error> {
    let server = authority.server()?;
    let tokens = TokenKeys::generate()?;
    let etcd = etcd_configuration(folder).to_string();
    let egress = egress_configuration(folder).to_string();
    let files = [
        ("etcd.json", etcd.as_str()),
        ("ca.crt", authority.certificate()),
        ("tls.crt", &server.certificate),
        ("tls.key", &server.key),
        ("service-account.pub", &tokens.public),
        ("service-account.key", &tokens.private),
        ("audit-policy.yaml", AUDIT_POLICY),
        ("egress.json", &egress),
    ];
    for (name, content) in files {
        fs::write(folder.join(name), content)
            .map_err(context("cannot write the control plane's files"))?;
    }
    Ok(())
}

/// On Unix sockets in a folder that only its owner may enter: etcd asks nobody who they are, and
/// there is no port that could be taken. The advertised addresses are for other members, of which
/// there are none.
fn etcd_configuration(folder: &Path) -> serde_json::Value {
    let socket = |name: &str| format!("unix://{}", folder.join(name).display());
    json!({
        "name": "control-plane",
        "data-dir": folder.join("etcd"),
        "listen-client-urls": socket("etcd.sock"),
        "advertise-client-urls": "http://127.0.0.1:2379",
        "listen-peer-urls": socket("peer.sock"),
        "initial-advertise-peer-urls": "http://127.0.0.1:2380",
        "initial-cluster": "control-plane=http://127.0.0.1:2380",
        "unsafe-no-fsync": true,
    })
}

fn network_socket(folder: &Path) -> PathBuf {
    folder.join("cluster-network.sock")
}

/// What goes to the cluster, such as a call to a webhook's Service, takes the cluster's network.
fn egress_configuration(folder: &Path) -> serde_json::Value {
    json!({
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{
            "name": "cluster",
            "connection": {
                "proxyProtocol": "HTTPConnect",
                "transport": {"uds": {"udsName": network_socket(folder)}},
            },
        }],
    })
}

fn kube_apiserver_flags(folder: &Path, address: SocketAddr) -> Vec<OsString> {
    let file = |flag: &str, name: &str| {
        let mut argument = OsString::from(format!("--{flag}="));
        argument.push(folder.join(name));
        argument
    };
    let etcd = format!(
        "--etcd-servers=unix://{}",
        folder.join("etcd.sock").display()
    );
    let mut flags = vec![
        OsString::from(etcd),
        OsString::from(format!("--bind-address={}", address.ip())),
        OsString::from(format!("--secure-port={}", address.port())),
        file("client-ca-file", "ca.crt"),
        file("tls-cert-file", "tls.crt"),
        file("tls-private-key-file", "tls.key"),
        file("service-account-key-file", "service-account.pub"),
        file("service-account-signing-key-file", "service-account.key"),
        file("audit-policy-file", "audit-policy.yaml"),
        file("audit-log-path", "audit.log"),
        file("egress-selector-config-file", "egress.json"),
    ];
    flags.extend(FIXED_FLAGS.map(OsString::from));
    flags
}

fn token_webhook_flag(configuration: &Path) -> OsString {
    let mut flag = OsString::from("--authentication-token-webhook-config-file=");
    flag.push(configuration);
    flag
}

const FIXED_FLAGS: [&str; 8] = [
    "--permit-port-sharing=true",
    "--authorization-mode=RBAC",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    "--service-cluster-ip-range=10.0.0.0/24",
    "--allow-privileged=true",
    "--advertise-address=127.0.0.1",
    // An Endpoints object may not hold a loopback address, and nothing here looks for one.
    "--endpoint-reconciler-type=none",
    // It refuses Pods until a controller has made the namespace's default ServiceAccount; no
    // controller runs.
    "--disable-admission-plugins=ServiceAccount",
];

async fn answered_ready(client: Client, last_answer: &mut Option<String>) {
    loop {
        let request = http::Request::get("/readyz").body(Vec::new());
        match request.map_err(kube::Error::HttpError) {
            Ok(request) => match client.request_text(request).await {
                Ok(_) => return,
                Err(error) => *last_answer = Some(error.to_string()),
            },
            Err(error) => *last_answer = Some(error.to_string()),
        }
        tokio::time::sleep(BETWEEN_PROBES).await;
    }
}

fn last_lines(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_server_that_ends_early_is_reported_with_its_log() {
        let programs = tempfile::tempdir().unwrap();
        write_program(programs.path(), "etcd", "echo etcd is up; exec sleep 600");
        write_program(programs.path(), "kubectl", "exit 1");
        write_program(
            programs.path(),
            "kube-apiserver",
            "echo unknown flag >&2; exit 1",
        );
        let binaries = Binaries::in_assets(programs.path().to_owned()).unwrap();
        let authority = Authority::generate().unwrap();
        let (servers, start) = Servers::spawn(&binaries, &authority, None).unwrap();
        let folder = servers.folder().to_owned();
        let config = kube::Config::new(format!("https://{}", servers.address).parse().unwrap());

        let error = servers
            .ready(Client::try_from(config).unwrap(), start)
            .await
            .unwrap_err();
        drop(servers);

        let text = error.to_string();
        assert!(
            text.starts_with("kube-apiserver ended before it was ready\n"),
            "{text}"
        );
        assert!(
            text.contains("\nend of the log of kube-apiserver:\nunknown flag"),
            "{text}"
        );
        assert!(!folder.exists());
    }

    fn write_program(folder: &Path, name: &str, script: &str) {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
