//! The whole process: puts the parts together, and takes them apart in order.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use certs::Validity;
use certs::credentials::certified_key;
use futures::FutureExt as _;
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::events::Reporter;
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::info;
use zeroize::Zeroizing;

use crate::admission::handler;
use crate::args::Args;
use crate::authorisation::Authoriser;
use crate::clock::Clock;
use crate::events::{self, Publisher};
use crate::index::{self, PolicyOrigin, policy_file};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::server::{self, tls};
use crate::state::{BreakGlass, Caches, Webhook, WebhookParts};
use crate::trust::Trust;
use crate::{expiry, health, lease};

/// Who Events are from.
const NAME: &str = "gitops-webhook";

/// A webhook that listens, and does nothing yet.
pub struct Server {
    listener: TcpListener,
    metrics_listener: TcpListener,
    webhook: Arc<Webhook>,
    client: Client,
    policy: PolicyOrigin,
    publisher: Publisher,
    identity: String,
    args: Args,
}

impl Server {
    /// Does all that can fail without asking anybody: reads the policy, learns where the API server
    /// is, listens. Overrides expire by this clock.
    ///
    /// # Errors
    /// One of these failed.
    pub async fn bind(args: Args, clock: Clock) -> anyhow::Result<Self> {
        let policy = match &args.policy_file {
            Some(path) => PolicyOrigin::File(policy_file::read(path)?),
            None => PolicyOrigin::Cluster,
        };
        let config = api_server(args.kubeconfig.as_deref()).await?;
        let client = Client::try_from(config).context("cannot make a client for the API server")?;
        let identity = identity();
        let reporter = Reporter {
            controller: NAME.to_owned(),
            instance: Some(identity.clone()),
        };
        let metrics = Metrics::new();
        let (events, publisher) = events::queue(client.clone(), reporter, &metrics.events);
        let webhook = Webhook::new(WebhookParts {
            caches: Caches::Syncing(vec!["the first lists"]),
            limits: Limits::default(),
            metrics,
            clock,
            break_glass: Some(BreakGlass {
                authoriser: Authoriser::new(client.clone()),
                events,
            }),
            is_trusted: !has_own_certificate(&args),
        });
        Ok(Server {
            listener: listen(args.listen).await?,
            metrics_listener: listen(args.metrics_listen).await?,
            webhook: Arc::new(webhook),
            client,
            policy,
            publisher,
            identity,
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
        let health = health::Serving::start(self.metrics_listener, Arc::clone(&self.webhook))
            .context("cannot serve the second port")?;
        let admission = Admission {
            listener: self.listener,
            webhook: self.webhook,
            client: self.client,
            policy: self.policy,
            publisher: self.publisher,
            identity: self.identity,
            args: self.args,
        };
        let ended = admission.run(shutdown).await;
        health.stop().await;
        ended?;
        info!("ended");
        Ok(())
    }
}

/// The first port, and what is done for it.
struct Admission {
    listener: TcpListener,
    webhook: Arc<Webhook>,
    client: Client,
    policy: PolicyOrigin,
    publisher: Publisher,
    identity: String,
    args: Args,
}

impl Admission {
    async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut shutdown = std::pin::pin!(shutdown);
        // Tasks of their own, so that putting an inventory together delays no request. They end
        // when this is dropped.
        let mut kept = JoinSet::new();
        kept.spawn(index::run(
            self.client.clone(),
            self.args.argocd_namespace.clone(),
            self.policy,
            Arc::clone(&self.webhook),
        ));
        kept.spawn(self.publisher.run());
        let (stop_leading, until_stopped) = oneshot::channel::<()>();
        let leading = Leading {
            client: self.client.clone(),
            namespace: own_namespace(&self.args, &self.client),
            argocd_namespace: self.args.argocd_namespace.clone(),
            identity: self.identity,
            webhook: Arc::clone(&self.webhook),
        };
        let mut leading = tokio::spawn(leading.run(until_stopped));
        let certificate = tokio::select! {
            () = &mut shutdown => return Ok(()),
            certificate = certificate(&self.args, &self.client, &self.webhook) => certificate?,
        };
        if let Some(options) = own_certificate(&self.args, &self.client) {
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
        let ended = tokio::select! {
            () = server::serve(self.listener, tls, router, self.webhook, shutdown) => Ok(()),
            // They never end by themselves, and without them every verdict would be one of the
            // past.
            ended = kept.join_next() => Err(anyhow!("the watches ended")).context(match ended {
                Some(Err(_)) => "the caches are not kept up to date, because of a defect",
                _ => "the caches are not kept up to date",
            }),
            // It does not end by itself either.
            ended = &mut leading => {
                return ended
                    .context("a defect in what the leader does")
                    .and(Err(anyhow!("nobody leads any more")));
            }
        };
        drop(stop_leading);
        // The Lease is let go of, so that another replica need not wait for it to last out.
        leading.await.context("a defect in what the leader does")?;
        ended
    }
}

/// What one replica does for all.
struct Leading {
    client: Client,
    namespace: String,
    argocd_namespace: String,
    identity: String,
    webhook: Arc<Webhook>,
}

impl Leading {
    async fn run(self, until_stopped: oneshot::Receiver<()>) {
        let Leading {
            client,
            namespace,
            argocd_namespace,
            identity,
            webhook,
        } = self;
        let leases = client.clone();
        let work = move || {
            let (client, webhook) = (client.clone(), Arc::clone(&webhook));
            expiry::run(client, argocd_namespace.clone(), webhook).boxed()
        };
        // Either way it is over.
        let stopped = async { drop(until_stopped.await) };
        lease::lead(leases, &namespace, identity, work, stopped).await;
    }
}

/// What tells this replica from the others: the Pod's name, and a number, as there need be no Pod.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| NAME.to_owned());
    let number = RandomState::new().build_hasher().finish();
    format!("{host}_{number:016x}")
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
    webhook.metrics.ports.certificate_expires(validity.until);
    Ok(tls::Certificate::new(certified_key))
}

fn own_namespace(args: &Args, client: &Client) -> String {
    let namespace = args.namespace.as_deref();
    namespace.unwrap_or(client.default_namespace()).to_owned()
}

/// Whether the webhook issues its certificate itself, and has the API server trust it.
fn has_own_certificate(args: &Args) -> bool {
    args.tls_cert_file.is_none()
}

/// What the webhook's own certificate is about, unless it is given one.
fn own_certificate(args: &Args, client: &Client) -> Option<certs::Options> {
    has_own_certificate(args).then(|| certs::Options {
        namespace: own_namespace(args, client),
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
