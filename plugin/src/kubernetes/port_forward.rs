//! A way through the API server to a port of a Pod, as `kubectl port-forward` opens one.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::{Client, Error};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::api_server::{AccessError, ApiServer, Objects};
use super::resource::resource;

/// A way to a Pod of a Service. It is closed when this is dropped.
pub(crate) struct Tunnel {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Where it begins, on this machine.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// There is no way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("there is no Service {service} in namespace {namespace}")]
    NoService { namespace: String, service: String },
    #[error("Service {service} in namespace {namespace} has no Pod that is ready")]
    NoPod { namespace: String, service: String },
    #[error("you may not `create` pods/portforward in namespace {0}")]
    Forbidden(String),
    #[error("no way to Pod {pod} in namespace {namespace}")]
    Refused {
        namespace: String,
        pod: String,
        #[source]
        source: Box<Error>,
    },
    #[error("no port of this machine can be had")]
    Port(#[source] io::Error),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Service {
    spec: ServiceSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ServiceSpec {
    selector: Option<BTreeMap<String, String>>,
    ports: Option<Vec<ServicePort>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServicePort {
    port: u16,
    target_port: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Candidate {
    metadata: Named,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    ports: Vec<ContainerPort>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerPort {
    name: String,
    container_port: u16,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
}

impl Candidate {
    fn is_ready(&self) -> bool {
        let mut conditions = self.status.conditions.iter();
        conditions.any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }

    /// The port that a Service means by a name or a number.
    fn port(&self, service: &ServicePort) -> Option<u16> {
        match &service.target_port {
            Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
            Value::String(name) => {
                let containers = self.spec.containers.iter();
                let mut ports = containers.flat_map(|container| &container.ports);
                let port = ports.find(|port| port.name == *name)?;
                Some(port.container_port)
            }
            _ => Some(service.port),
        }
    }
}

impl ApiServer {
    /// Opens a way to the first port of a Service, through one of its Pods that are ready.
    ///
    /// # Errors
    /// There is none, or the user may not.
    pub(crate) async fn tunnel(
        &self,
        namespace: &str,
        service: &str,
    ) -> Result<Tunnel, TunnelError> {
        let no_service = || TunnelError::NoService {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
        };
        let no_pod = || TunnelError::NoPod {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
        };
        let of = |kind, plural| Objects {
            resource: resource("", "v1", kind, plural),
            namespace: Some(namespace.to_owned()),
        };
        let read = |json: &str| serde_json::from_str::<Service>(json).unwrap_or_default();
        let found = self.get(&of("Service", "services"), service, read).await?;
        let ServiceSpec { selector, ports } = found.ok_or_else(no_service)?.spec;
        let selector = selector.unwrap_or_default();
        let labels: Vec<String> = selector
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let ports = ports.unwrap_or_default();
        let (Some(wanted), false) = (ports.first(), labels.is_empty()) else {
            return Err(no_pod());
        };
        let read = |json: &str| serde_json::from_str::<Candidate>(json).unwrap_or_default();
        let (kind, labels) = (of("Pod", "pods"), labels.join(","));
        let pods = self.list(&kind, Some(&labels), read).await?;
        let (pod, port) = pods
            .into_iter()
            .filter(Candidate::is_ready)
            .find_map(|pod| Some((pod.port(wanted)?, pod.metadata.name)))
            .map(|(port, name)| (name, port))
            .ok_or_else(no_pod)?;
        open(self.client(), namespace, pod, port).await
    }
}

/// Each connection to the beginning has a way of its own, as for kubectl.
async fn open(
    client: Client,
    namespace: &str,
    pod: String,
    port: u16,
) -> Result<Tunnel, TunnelError> {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    // Whether there is a way at all is told before anything is sent through it.
    let mut first = Some(
        pods.portforward(&pod, &[port])
            .await
            .map_err(|error| refusal(error, namespace, &pod))?,
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(TunnelError::Port)?;
    let address = listener.local_addr().map_err(TunnelError::Port)?;
    let task = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (pods, pod, first) = (pods.clone(), pod.clone(), first.take());
            tokio::spawn(async move {
                let way = match first {
                    Some(way) => Ok(way),
                    None => pods.portforward(&pod, &[port]).await,
                };
                // Whoever is at the near end sees that it is closed.
                if let Ok(mut way) = way
                    && let Some(mut far) = way.take_stream(port)
                {
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                    way.abort();
                }
            });
        }
    });
    Ok(Tunnel { address, task })
}

fn refusal(error: Error, namespace: &str, pod: &str) -> TunnelError {
    match &error {
        Error::Api(status) if status.code == 403 => TunnelError::Forbidden(namespace.to_owned()),
        _ => TunnelError::Refused {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            source: Box::new(error),
        },
    }
}
