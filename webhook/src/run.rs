//! The whole process: puts the parts together, and takes them apart in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use certs::credentials::certified_key;
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::info;
use zeroize::Zeroizing;

use crate::admission::handler::{self, Limits};
use crate::args::Args;
use crate::health;
use crate::index::{self, PolicyOrigin, policy_file};
use crate::server::{self, tls};
use crate::state::{Caches, Webhook};

/// A webhook that listens and has a certificate, and does nothing yet.
pub struct Server {
    listener: TcpListener,
    metrics_listener: TcpListener,
    tls: Arc<ServerConfig>,
    webhook: Arc<Webhook>,
    client: Client,
    argocd_namespace: String,
    policy: PolicyOrigin,
}

impl Server {
    /// Does all that can fail: reads the policy, finds the API server, listens, gets a certificate.
    ///
    /// # Errors
    /// One of these failed.
    pub async fn bind(args: Args) -> anyhow::Result<Self> {
        let policy = match &args.policy_file {
            Some(path) => PolicyOrigin::File(policy_file::read(path)?),
            None => PolicyOrigin::Cluster,
        };
        let config = api_server(args.kubeconfig.as_deref()).await?;
        let client = Client::try_from(config).context("cannot make a client for the API server")?;
        let listener = listen(args.listen).await?;
        let metrics_listener = listen(args.metrics_listen).await?;
        let certificate = certificate(&args, &client).await?;
        let tls = tls::config(tls::Certificate::new(certificate)).context("cannot set up TLS")?;
        Ok(Server {
            listener,
            metrics_listener,
            tls,
            webhook: Arc::new(Webhook::new(
                Caches::Syncing(vec!["the first lists"]),
                Limits::default(),
            )),
            client,
            argocd_namespace: args.argocd_namespace,
            policy,
        })
    }

    /// Where admission requests go.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn metrics_address(&self) -> std::io::Result<SocketAddr> {
        self.metrics_listener.local_addr()
    }

    /// Serves until `shutdown`, and then until the requests that are under way are answered.
    ///
    /// # Errors
    /// The second port cannot be served.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        info!(
            listen = self.address()?.to_string(),
            metrics_listen = self.metrics_address()?.to_string(),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        let index = index::run(
            self.client,
            self.argocd_namespace,
            self.policy,
            Arc::clone(&self.webhook),
        );
        // A task of its own, so that putting an inventory together delays no request.
        let mut index = tokio::spawn(index);
        // The second port goes last, so that it says until the end that the first is not ready.
        let (drained, until_drained) = oneshot::channel::<()>();
        let health = axum::serve(
            self.metrics_listener,
            health::router(Arc::clone(&self.webhook)),
        )
        .with_graceful_shutdown(async {
            // Either way the first port is done.
            let _ = until_drained.await;
        });
        let admission = async {
            let router = handler::router(Arc::clone(&self.webhook));
            server::serve(self.listener, self.tls, router, self.webhook, shutdown).await;
            drop(drained);
        };
        let served = async { tokio::join!(health.into_future(), admission) };
        tokio::select! {
            (health, ()) = served => {
                index.abort();
                info!("ended");
                health.context("cannot serve the second port")
            }
            // It never ends by itself, and without it every verdict would be one of the past.
            ended = &mut index => Err(anyhow!("the watches ended")).context(match ended {
                Ok(()) => "the caches are not kept up to date",
                Err(_) => "the caches are not kept up to date, because of a defect",
            }),
        }
    }
}

async fn api_server(kubeconfig: Option<&Path>) -> anyhow::Result<Config> {
    let Some(path) = kubeconfig else {
        return Config::infer().await.context("cannot find the API server");
    };
    let kubeconfig = Kubeconfig::read_from(path)
        .with_context(|| format!("cannot read kubeconfig {}", path.display()))?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("cannot use kubeconfig {}", path.display()))
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

async fn certificate(args: &Args, client: &Client) -> anyhow::Result<Arc<CertifiedKey>> {
    if let (Some(chain), Some(key)) = (&args.tls_cert_file, &args.tls_private_key_file) {
        let read = |path: &Path| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let key_pem = Zeroizing::new(read(key)?);
        let certified_key = certified_key(&read(chain)?, &key_pem)
            .with_context(|| format!("cannot serve {} with {}", chain.display(), key.display()))?;
        return Ok(Arc::new(certified_key));
    }
    let namespace = args.namespace.as_deref();
    let options = certs::Options {
        namespace: namespace.unwrap_or(client.default_namespace()).to_owned(),
        secret_name: args.tls_secret_name.clone(),
        service_name: args.service_name.clone(),
        configuration_name: args.webhook_configuration_name.clone(),
    };
    let certificate = certs::ensure(client.clone(), &options, Timestamp::now())
        .await
        .context("cannot get a certificate")?;
    Ok(certificate.certified_key)
}
