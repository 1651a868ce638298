//! Keeps the API server's trust in the certificate that the webhook issued for itself.
//!
//! Whoever applies the manifests again after deleting the ValidatingWebhookConfiguration, or replaces it, takes
//! the certificate authority out of it. With `failurePolicy: Fail` everything would be refused from then
//! on, so the configuration is watched, and told again.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::index;
use crate::labels::WatchedKind;
use crate::server::tls;
use crate::state::Webhook;

/// How long it takes until a failed attempt is repeated.
const PAUSE: Duration = Duration::from_secs(5);

/// What makes the API server trust the webhook.
pub struct Trust {
    /// For the Secret and the configuration.
    pub client: Client,
    /// What these are called.
    pub options: certs::Options,
    /// What is shown to the API server. It follows the Secret.
    pub certificate: Arc<tls::Certificate>,
    /// What is not ready before it is trusted.
    pub webhook: Arc<Webhook>,
}

impl Trust {
    /// Makes the configuration trust the certificate whenever it is created or changed, until the
    /// returned future is dropped. It never ends by itself.
    pub async fn keep(self) {
        let name = &self.options.configuration_name;
        let configurations = Api::<ValidatingWebhookConfiguration>::all(self.client.clone());
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut changes = std::pin::pin!(watcher(configurations, config).default_backoff());
        let mut due: Option<Instant> = None;
        loop {
            tokio::select! {
                Some(change) = changes.next() => {
                    if let Some(change) = self.noted(change) {
                        due = change.then(Instant::now);
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = self.establish().await;
                }
            }
        }
    }

    /// Whether there is a configuration to tell, if the watch says anything about that.
    fn noted(
        &self,
        change: watcher::Result<Event<ValidatingWebhookConfiguration>>,
    ) -> Option<bool> {
        let kind = WatchedKind::WebhookConfiguration;
        match change {
            // It comes before anything is asked.
            Ok(Event::Init) => None,
            Ok(event) => {
                self.webhook.metrics.watches.told(kind);
                match event {
                    Event::InitApply(_) | Event::Apply(_) => Some(true),
                    Event::Delete(_) => Some(false),
                    Event::Init | Event::InitDone => None,
                }
            }
            Err(error) => {
                self.webhook.metrics.watches.failed(kind);
                let error = index::describe(&error);
                warn!(kind = kind.as_str(), error, "cannot watch");
                None
            }
        }
    }

    /// When to try again, if it did not succeed.
    async fn establish(&self) -> Option<Instant> {
        let now = Timestamp::now();
        match certs::trust(self.client.clone(), &self.options, now).await {
            Ok(certificate) => {
                self.webhook
                    .metrics
                    .ports
                    .certificate_expires(certificate.validity.until);
                self.certificate.replace(certificate.certified_key);
                self.webhook.set_trusted();
                info!("the webhook configuration trusts the certificate");
                None
            }
            Err(error) => {
                let error = crate::chain(&error);
                warn!(
                    error,
                    "the webhook configuration cannot be told to trust the certificate"
                );
                Some(Instant::now() + PAUSE)
            }
        }
    }
}
