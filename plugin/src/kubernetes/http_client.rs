//! How requests reach an API server: over one connection, where it speaks HTTP/2.
//!
//! kube's own client speaks HTTP/1.1 only, so that each request which is made at the same time has a
//! connection, and logs in by TLS, of its own. client-go speaks HTTP/2 as this does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::UPGRADE;
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ConfigExt as _, RustlsTlsError};
use kube::{Client, Config, Error};
use tokio::sync::Mutex;
use tower::retry::RetryLayer;
use tower::{BoxError, ServiceBuilder, service_fn};

/// How much of an answer may be on its way before it is asked for more. The 64 KiB of the protocol
/// would have a page of objects wait for the other side many times.
const WINDOW: u32 = 4 << 20;

/// How long nothing may come before the other side is asked whether it is there, and how long it has
/// to say so (as client-go): a watch may be silent for long, and must not wait for a dead connection.
const SILENCE: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(15);

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Versions {
    /// HTTP/2 where the other side offers it.
    All,
    /// HTTP/1.1, the only one in which a connection can be taken over, as for a port.
    Http1,
}

type HttpClient = legacy::Client<HttpsConnector<HttpConnector>, Body>;
type Answer = Result<http::Response<Incoming>, legacy::Error>;

/// A connection that all requests share. Which version of HTTP is spoken is known once there is one,
/// so the first request goes alone: others would each open another connection meanwhile.
struct Shared {
    client: HttpClient,
    is_open: AtomicBool,
    turn: Mutex<()>,
}

impl Shared {
    fn of(client: HttpClient) -> Self {
        Shared {
            client,
            is_open: AtomicBool::new(false),
            turn: Mutex::new(()),
        }
    }

    async fn request(&self, request: http::Request<Body>) -> Answer {
        if !self.is_open.load(Ordering::Relaxed) {
            let _turn = self.turn.lock().await;
            if !self.is_open.load(Ordering::Relaxed) {
                let answer = self.client.request(request).await;
                self.is_open.store(answer.is_ok(), Ordering::Relaxed);
                return answer;
            }
        }
        self.client.request(request).await
    }
}

/// A client for an API server. Behind a proxy it is kube's own.
///
/// # Errors
/// Certificates or credentials cannot be used.
pub(super) fn client(config: Config) -> Result<Client, Error> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    // A credential plugin may be asked for the certificate, so this happens once.
    let tls = config.rustls_client_config()?;
    let namespace = config.default_namespace.clone();
    let of_version = |versions| {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(WINDOW)
            .http2_keep_alive_interval(SILENCE)
            .http2_keep_alive_timeout(ANSWER)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new());
        let connector = connector(&config, tls.clone(), versions)?;
        Ok::<_, Error>(builder.build::<_, Body>(connector))
    };
    let (shared, taken_over) = (of_version(Versions::All)?, of_version(Versions::Http1)?);
    let shared = Arc::new(Shared::of(shared));
    let by_version = service_fn(move |request: http::Request<Body>| {
        let (shared, taken_over) = (Arc::clone(&shared), taken_over.clone());
        async move {
            if request.headers().contains_key(UPGRADE) {
                return taken_over.request(request).await;
            }
            shared.request(request).await
        }
    });
    let retry = config.default_retry;
    let retry = retry.then(|| RetryLayer::new(RetryPolicy::server_retry()));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(retry)
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(by_version);
    Ok(Client::new(service, namespace))
}

fn connector(
    config: &Config,
    tls: rustls::ClientConfig,
    versions: Versions,
) -> Result<HttpsConnector<HttpConnector>, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(config.connect_timeout);
    let mut builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into();
        let name = name.map_err(RustlsTlsError::InvalidServerName);
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(
            name.map_err(Error::RustlsTls)?,
        ));
    }
    Ok(match versions {
        Versions::All => builder.enable_all_versions().wrap_connector(tcp),
        Versions::Http1 => builder.enable_http1().wrap_connector(tcp),
    })
}
