//! The certificate that the webhook serves, and how the API server comes to trust it.
//!
//! The webhook needs no certificate from anyone: it is its own certificate authority (CA).
//! [`certificate`] and [`trust`] make three things agree:
//!
//! ```text
//! issue ──► Secret gitops-webhook-tls ──► ValidatingWebhookConfiguration gitops-webhook
//!           tls.crt tls.key ca.crt ca.key   webhooks[*].clientConfig.caBundle = ca.crt
//!                    │
//!                    └──► ServingCertificate, what every replica serves
//! ```
//!
//! The Secret is the only source of truth. Replicas that start at the same time agree on it by the
//! API server's own preconditions (a create that another one won, a replacement of an older
//! resourceVersion), without a leader.
//!
//! - [`issue`] makes certificates; no I/O, the clock is passed in.
//! - [`credentials`] judges them: does this certificate serve these names, now.
//! - [`secret`] keeps them.
//! - [`inject`] tells the API server.
//!
//! Somebody else's certificates are welcome too: what another issuer left in the Secret is served
//! as long as it is good ([`secret`]), and [`credentials::certified_key`] reads a certificate and
//! its key from files.

pub mod credentials;
pub mod inject;
pub mod issue;
mod names;
pub mod secret;
#[cfg(test)]
mod testing;

use jiff::Timestamp;
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret,
};
use kube::{Api, Client};

pub use credentials::{ServingCertificate, Validity};
pub use names::{InvalidServiceName, ServiceNames};

/// The field manager under which this crate writes, as it stands in `managedFields`.
const FIELD_MANAGER: &str = "gitops-webhook";

/// How often a write is tried that keeps losing to other writers. Each loss means that somebody
/// else made progress, so more than a handful in a row is a fight with another controller, which
/// waiting does not settle.
const ATTEMPTS: usize = 5;

/// What [`certificate`] and [`trust`] work on, by name.
#[derive(Clone, Debug)]
pub struct Options {
    /// The webhook's own namespace, which holds its Service and its Secret.
    pub namespace: String,
    /// The Secret that keeps the certificate.
    pub secret_name: String,
    /// The Service by which the API server calls the webhook.
    pub service_name: String,
    /// The `ValidatingWebhookConfiguration` that must trust the certificate.
    pub configuration_name: String,
}

/// Why the webhook has no certificate that the API server trusts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Service's DNS names cannot be formed.
    #[error(transparent)]
    Names(#[from] InvalidServiceName),
    /// The Secret cannot be read, written or used.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// The webhook configuration cannot be told.
    #[error(transparent)]
    Inject(#[from] inject::Error),
}

/// Returns the certificate to serve, having issued and stored it if there was none that will do.
///
/// # Errors
///
/// The Secret can be neither used nor written.
pub async fn certificate(
    client: Client,
    options: &Options,
    now: Timestamp,
) -> Result<ServingCertificate, Error> {
    let names = ServiceNames::new(&options.service_name, &options.namespace)?;
    let secrets: Api<Secret> = Api::namespaced(client, &options.namespace);
    Ok(secret::load_or_issue(&secrets, &options.secret_name, &names, now).await?)
}

/// Makes every webhook of the configuration trust what is stored, and returns that, which is what
/// to serve from now on. Where all is in place already, it only reads.
///
/// It goes by the Secret, not by what this process happens to serve: replicas that each insisted on
/// a certificate of their own would undo each other's work for ever.
///
/// # Errors
///
/// The Secret can be neither used nor written, or the configuration is not there or cannot be
/// changed.
pub async fn trust(
    client: Client,
    options: &Options,
    now: Timestamp,
) -> Result<ServingCertificate, Error> {
    let certificate = certificate(client.clone(), options, now).await?;
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client);
    inject::inject(
        &configurations,
        &options.configuration_name,
        &certificate.authority_pem,
    )
    .await?;
    Ok(certificate)
}
