//! The whole process: puts the parts together, and takes them apart in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use certs::Validity;
use certs::credentials::certified_key;
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::info;
use zeroize::Zeroizing;

use crate::admission::handler::{self, Limits};
use crate::args::Args;
use crate::health;
use crate::index::{self, PolicyOrigin, policy_file};
use crate::server::{self, tls};
use crate::state::{Caches, Webhook};
use crate::trust::Trust;

/// A webhook that listens, and does nothing yet.
pub struct Server {
    listener: TcpListener,
    metrics_listener: TcpListener,
    webhook: Arc<Webhook>,
    client: Client,
    policy: PolicyOrigin,
    args: Args,
}

impl Server {
    /// Does all that can fail without asking anybody: reads the policy, learns where the API server is,
    /// listens.
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
        Ok(Server {
            listener: listen(args.listen).await?,
            metrics_listener: listen(args.metrics_listen).await?,
            webhook: Arc::new(Webhook::new(
                Caches::Syncing(vec!["the first lists"]),
                Limits::default(),
            )),
            client,
            policy,
            args,
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
    /// The second port is served from the start, the first once there is a certificate.
    ///
    /// # Errors
    /// There is no certificate, or the second port cannot be served.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        info!(
            listen = self.address()?.to_string(),
            metrics_listen = self.metrics_address()?.to_string(),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
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
        let admission = Admission {
            listener: self.listener,
            webhook: self.webhook,
            client: self.client,
            policy: self.policy,
            args: self.args,
        };
        let admission = async {
            let ended = admission.run(shutdown).await;
            drop(drained);
            ended
        };
        let (health, admission) = tokio::join!(health.into_future(), admission);
        admission?;
        info!("ended");
        health.context("cannot serve the second port")
    }
}

/// The first port, and what is done for it.
struct Admission {
    listener: TcpListener,
    webhook: Arc<Webhook>,
    client: Client,
    policy: PolicyOrigin,
    args: Args,
}

impl Admission {
    async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut shutdown = std::pin::pin!(shutdown);
        // Tasks of their own, so that putting an inventory together delays no request. They end when
        // this is dropped.
        let mut kept = JoinSet::new();
        kept.spawn(index::run(
            self.client.clone(),
            self.args.argocd_namespace.clone(),
            self.policy,
            Arc::clone(&self.webhook),
        ));
        let certificate = tokio::select! {
            () = &mut shutdown => return Ok(()),
            certificate = certificate(&self.args, &self.client, &self.webhook) => certificate?,
        };
        if let Some(options) = own_certificate(&self.args, &self.client) {
            self.webhook.set_distrusted(true);
            let trust = Trust {
                client: self.client,
                options,
                certificate: Arc::clone(&certificate),
                webhook: Arc::clone(&self.webhook),
            };
            kept.spawn(trust.keep());
        }
        let tls = tls::config(certificate).context("cannot set up TLS")?;
        let router = handler::router(Arc::clone(&self.webhook));
        tokio::select! {
            () = server::serve(self.listener, tls, router, self.webhook, shutdown) => Ok(()),
            // They never end by themselves, and without them every verdict would be one of the past.
            ended = kept.join_next() => Err(anyhow!("the watches ended")).context(match ended {
                Some(Err(_)) => "the caches are not kept up to date, because of a defect",
                _ => "the caches are not kept up to date",
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

async fn certificate(
    args: &Args,
    client: &Client,
    webhook: &Webhook,
) -> anyhow::Result<Arc<tls::Certificate>> {
    let (certified_key, validity) = match own_certificate(args, client) {
        Some(options) => {
            let certificate = certs::certificate(client.clone(), &options, Timestamp::now())
                .await
                .context("cannot get a certificate")?;
            (certificate.certified_key, certificate.validity)
        }
        None => given_certificate(args)?,
    };
    webhook.metrics.certificate_expires(validity.until);
    Ok(tls::Certificate::new(certified_key))
}

/// What the webhook's own certificate is about, unless it is given one.
fn own_certificate(args: &Args, client: &Client) -> Option<certs::Options> {
    let namespace = args.namespace.as_deref();
    args.tls_cert_file.is_none().then(|| certs::Options {
        namespace: namespace.unwrap_or(client.default_namespace()).to_owned(),
        secret_name: args.tls_secret_name.clone(),
        service_name: args.service_name.clone(),
        configuration_name: args.webhook_configuration_name.clone(),
    })
}

fn given_certificate(args: &Args) -> anyhow::Result<(Arc<CertifiedKey>, Validity)> {
    let (Some(chain), Some(key)) = (&args.tls_cert_file, &args.tls_private_key_file) else {
        return Err(anyhow!("a certificate and its key are given together"));
    };
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let key_pem = Zeroizing::new(read(key)?);
    let cannot = || format!("cannot serve {} with {}", chain.display(), key.display());
    let certified_key = certified_key(&read(chain)?, &key_pem).with_context(cannot)?;
    let validity = Validity::of(&certified_key).with_context(cannot)?;
    Ok((Arc::new(certified_key), validity))
}
