//! Keeps the API server's trust in the certificate that the webhook issued for itself.
//!
//! Whoever applies the manifests again after deleting the ValidatingWebhookConfiguration, or
//! replaces it, takes the certificate authority out of it. With `failurePolicy: Fail` everything
//! would be refused from then on, so the configuration is watched, and told again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client};
use tracing::{info, warn};

use crate::labels::WatchedKind;
use crate::server::tls;
use crate::state::Webhook;
use crate::watch::{self, Change, Keeper, Next, Watch};

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
        let configurations =
            Api::<PartialObjectMeta<ValidatingWebhookConfiguration>>::all(self.client.clone());
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let metrics = &self.webhook.metrics.watches;
        let watch = Watch::new(
            WatchedKind::WebhookConfiguration,
            metrics,
            |_: PartialObjectMeta<_>| Some(()),
        );
        let changes = watch::objects(configurations, config, watch);
        watch::keep(changes, self, None).await;
    }
}

impl Keeper for Trust {
    type Change = Change<()>;

    fn take_in(&mut self, change: Change<()>) -> Next {
        let is_there = match change {
            Change::Listed(configurations) => !configurations.is_empty(),
            Change::Applied(..) => true,
            Change::Deleted(_) => false,
            Change::KindMissing => return Next::AsBefore,
        };
        if is_there {
            Next::Within(Duration::ZERO)
        } else {
            Next::NotNow
        }
    }

    /// If it does not succeed, it is tried again.
    async fn act(&mut self) -> Option<Duration> {
        let now = Timestamp::now();
        match certs::trust(self.client.clone(), &self.options, now).await {
            Ok(certificate) => {
                let metrics = &self.webhook.metrics.ports;
                metrics.certificate_expires(certificate.validity.until);
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
                Some(PAUSE)
            }
        }
    }
}
