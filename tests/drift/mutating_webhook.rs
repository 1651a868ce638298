//! A mutating webhook that the API server really asks, over TLS.

use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::{ControlPlane, eventually, succeed};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const WITHIN: Duration = Duration::from_secs(30);
/// Objects with this label are changed.
pub(crate) const LABEL: &str = "mesh";

/// It gives the first container of labelled Deployments another image, until it is dropped.
pub(crate) struct MutatingWebhook(JoinHandle<()>);

impl MutatingWebhook {
    /// Starts it, and returns when the API server asks it.
    pub(crate) async fn start(control_plane: &ControlPlane, image: &'static str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = acceptor(control_plane)?;
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { serve(stream, acceptor, image).await });
            }
        });
        let webhook = MutatingWebhook(serving);
        let configuration = configuration(control_plane, address)?.to_string();
        let create = control_plane.admin().kubectl(["create", "-f", "-"]);
        succeed(create.input(configuration)).await?;
        eventually(WITHIN, "the API server asks the webhook", async || {
            is_asked(control_plane, image)
                .await
                .map_err(|error| format!("{error:#}"))
        })
        .await?;
        Ok(webhook)
    }
}

impl Drop for MutatingWebhook {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The API server's own certificate will do for another server on loopback.
fn acceptor(control_plane: &ControlPlane) -> Result<TlsAcceptor> {
    let file = |name: &str| control_plane.folder().join(name);
    let key = PrivateKeyDer::from_pem_file(file("tls.key"))?;
    let certificates = CertificateDer::pem_file_iter(file("tls.crt"))?;
    let certificates: Result<Vec<_>, _> = certificates.collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates?, key)?;
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

fn configuration(control_plane: &ControlPlane, address: SocketAddr) -> Result<Value> {
    let authority = fs::read(control_plane.folder().join("ca.crt"))?;
    Ok(json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "mesh"},
        "webhooks": [{
            "name": "mirror.mesh.example.com",
            "clientConfig": {
                "url": format!("https://{address}/"),
                "caBundle": BASE64_STANDARD.encode(authority),
            },
            "rules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
                "operations": ["CREATE", "UPDATE"],
            }],
            "objectSelector": {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    }))
}

async fn is_asked(control_plane: &ControlPlane, image: &str) -> Result<()> {
    let probe = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "probe", "namespace": "default", "labels": {LABEL: ""}},
        "spec": {
            "selector": {"matchLabels": {"app": "probe"}},
            "template": {
                "metadata": {"labels": {"app": "probe"}},
                "spec": {"containers": [{"name": "web", "image": "web"}]},
            },
        },
    });
    let create = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
    let create = control_plane.admin().kubectl(create);
    let created = create.input(probe.to_string()).run().await?;
    let object: Value = serde_json::from_str(&created.stdout).context(created.stderr)?;
    let given = &object["spec"]["template"]["spec"]["containers"][0]["image"];
    anyhow::ensure!(given == image, "the image is {given}");
    Ok(())
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, image: &'static str) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| async move {
        Ok::<_, Infallible>(Response::new(Full::new(answer(request, image).await)))
    });
    let connection = hyper::server::conn::http1::Builder::new();
    // A connection that breaks concerns the API server, which tells.
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What is no `AdmissionReview` gets no answer that the API server takes.
async fn answer(request: Request<Incoming>, image: &str) -> Bytes {
    let Ok(body) = request.into_body().collect().await else {
        return Bytes::new();
    };
    let Ok(mut review) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return Bytes::new();
    };
    let pointer = "/spec/template/spec/containers/0/image";
    let patch = json!([{"op": "replace", "path": pointer, "value": image}]).to_string();
    let response = json!({
        "uid": review["request"]["uid"].take(),
        "allowed": true,
        "patchType": "JSONPatch",
        "patch": BASE64_STANDARD.encode(patch),
    });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": response,
    });
    review.to_string().into()
}
