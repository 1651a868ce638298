//! Keeps the certificate in a Secret of type `kubernetes.io/tls`, which all replicas share.
//!
//! | key | holds |
//! |---|---|
//! | `tls.crt` | the serving certificate |
//! | `tls.key` | its private key |
//! | `ca.crt` | the certificate authority, which goes into the webhook configuration |
//! | `ca.key` | the authority's key, with which a successor of `tls.crt` can be signed that every caller trusts already |
//!
//! What is found there decides:
//!
//! | found | done |
//! |---|---|
//! | no Secret | issue, create; if another replica was faster, take what it wrote |
//! | a certificate that a caller would accept, whoever issued it, with `ca.key` or without | serve it |
//! | such a one with `ca.key`, of whose lifetime less than a third is left | issue a successor, and replace these four keys; `ca.crt` keeps the authority of the predecessor too, as other replicas still serve that. If it cannot be stored, serve what is there |
//! | anything else: expired, for other names, another authority's, unreadable, empty | issue, and replace these four keys; nobody could have been served by them. Other keys, labels and annotations stay. If somebody else was faster, look again |
//! | a certificate that is not valid yet | an error: a replica whose clock is behind must not take a good certificate from the others |
//! | a Secret of another type | an error: it was made for something else, and its type cannot be changed |

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::PostParams};
use zeroize::Zeroize;

use crate::{
    ATTEMPTS, FIELD_MANAGER, ServiceNames, ServingCertificate,
    credentials::{Unusable, serving_certificate},
    issue::{self, Issued, Lifetimes, issue},
};

const TLS: &str = "kubernetes.io/tls";

/// The four keys of the Secret.
mod key {
    pub(super) const CERTIFICATE: &str = "tls.crt";
    pub(super) const KEY: &str = "tls.key";
    pub(super) const AUTHORITY: &str = "ca.crt";
    pub(super) const AUTHORITY_KEY: &str = "ca.key";
}

/// Why no certificate came out of the Secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not let us read it.
    #[error("cannot read secret {name}")]
    Read {
        /// The Secret.
        name: String,
        /// What the API server said.
        #[source]
        source: kube::Error,
    },
    /// The API server did not let us create or replace it.
    #[error("cannot write secret {name}")]
    Write {
        /// The Secret.
        name: String,
        /// What the API server said.
        #[source]
        source: kube::Error,
    },
    /// It was made for something else.
    #[error(
        "secret {name} is of type {found}, not {TLS}: delete it, or keep the certificate in another secret"
    )]
    ForeignType {
        /// The Secret.
        name: String,
        /// Its type.
        found: String,
    },
    /// It can be neither served nor replaced.
    #[error("the certificate in secret {name} cannot be served")]
    Unusable {
        /// The Secret.
        name: String,
        /// What is wrong.
        #[source]
        source: Unusable,
    },
    /// Nothing could be issued.
    #[error("cannot issue a certificate")]
    Issue(#[from] issue::Error),
}

/// A Secret whose values are wiped when it is dropped. It has no `Debug`, as the Secret's own shows
/// them.
struct Wiped(Secret);

impl Drop for Wiped {
    fn drop(&mut self) {
        for value in self.0.data.iter_mut().flat_map(BTreeMap::values_mut) {
            value.0.zeroize();
        }
    }
}

/// Returns the certificate in the Secret `name`, having put one there if there was none that serves
/// `names` at `now`.
pub async fn load_or_issue(
    secrets: &Api<Secret>,
    name: &str,
    names: &ServiceNames,
    now: Timestamp,
) -> Result<ServingCertificate, Error> {
    let mut retries = 1..ATTEMPTS;
    loop {
        let found = secrets.get_opt(name).await.map_err(|source| Error::Read {
            name: name.into(),
            source,
        })?;
        let found = match found.map(Wiped) {
            None => None,
            Some(found) => match usable(&found.0, names, now) {
                Ok(certificate) if is_due(&found.0, &certificate, now) => {
                    return Ok(renew(secrets, name, found, certificate, names, now).await);
                }
                Ok(certificate) => return Ok(certificate),
                Err(reason) => {
                    refuse_to_replace(name, &found.0, reason)?;
                    Some(found)
                }
            },
        };
        let issued = issue(names, Lifetimes::default(), now)?;
        match write(secrets, name, found, &issued).await {
            Ok(()) => {
                tracing::info!(secret = name, "issued a certificate");
                return certificate_of(&issued, names, now).map_err(|source| Error::Unusable {
                    name: name.into(),
                    source,
                });
            }
            Err(source) if lost_to_another_writer(&source) && retries.next().is_some() => {}
            Err(source) => {
                return Err(Error::Write {
                    name: name.into(),
                    source,
                });
            }
        }
    }
}

/// Whether a good certificate is one of ours and needs a successor. Without the authority's key
/// somebody else issued it, and sees to that.
fn is_due(secret: &Secret, certificate: &ServingCertificate, now: Timestamp) -> bool {
    let ours = (secret.data.iter()).any(|data| data.contains_key(key::AUTHORITY_KEY));
    ours && certificate.validity.ends_soon(now)
}

/// Replaces a certificate that is still good, and returns its successor, or the certificate itself
/// where that fails: the next start is early enough, and so is what another replica has stored
/// meanwhile.
async fn renew(
    secrets: &Api<Secret>,
    name: &str,
    found: Wiped,
    certificate: ServingCertificate,
    names: &ServiceNames,
    now: Timestamp,
) -> ServingCertificate {
    match succeed(secrets, name, found, &certificate, names, now).await {
        Ok(successor) => {
            tracing::info!(secret = name, "renewed the certificate");
            successor
        }
        Err(error) => {
            tracing::warn!(
                secret = name,
                reason = &error as &dyn std::error::Error,
                expires = %certificate.validity.until,
                "the certificate ends soon, and cannot be renewed"
            );
            certificate
        }
    }
}

async fn succeed(
    secrets: &Api<Secret>,
    name: &str,
    found: Wiped,
    predecessor: &ServingCertificate,
    names: &ServiceNames,
    now: Timestamp,
) -> Result<ServingCertificate, Error> {
    let mut issued = issue(names, Lifetimes::default(), now)?;
    // The newest of the authorities comes first, so that this keeps the last two.
    let end = "-----END CERTIFICATE-----";
    let old = predecessor.authority_pem.split_inclusive(end).next();
    issued
        .authority_pem
        .push_str(old.unwrap_or_default().trim());
    issued.authority_pem.push('\n');
    let successor = certificate_of(&issued, names, now).map_err(|source| Error::Unusable {
        name: name.into(),
        source,
    })?;
    write(secrets, name, Some(found), &issued)
        .await
        .map_err(|source| Error::Write {
            name: name.into(),
            source,
        })?;
    Ok(successor)
}

fn usable(
    secret: &Secret,
    names: &ServiceNames,
    now: Timestamp,
) -> Result<ServingCertificate, Unusable> {
    let value = |key| {
        let value = secret.data.as_ref().and_then(|data| data.get(key));
        value
            .map(|value| value.0.as_slice())
            .ok_or(Unusable::Missing(key))
    };
    serving_certificate(
        value(key::CERTIFICATE)?,
        value(key::KEY)?,
        value(key::AUTHORITY)?,
        names,
        now,
    )
}

fn certificate_of(
    issued: &Issued,
    names: &ServiceNames,
    now: Timestamp,
) -> Result<ServingCertificate, Unusable> {
    serving_certificate(
        issued.serving_pem.as_bytes(),
        issued.serving_key.as_pem().as_bytes(),
        issued.authority_pem.as_bytes(),
        names,
        now,
    )
}

/// Turns the reason why a Secret cannot be served into an error where replacing its content is not
/// the answer.
fn refuse_to_replace(name: &str, secret: &Secret, reason: Unusable) -> Result<(), Error> {
    let found = secret.type_.as_deref().unwrap_or("Opaque");
    if found != TLS {
        return Err(Error::ForeignType {
            name: name.into(),
            found: found.into(),
        });
    }
    if matches!(reason, Unusable::NotYetValid) {
        return Err(Error::Unusable {
            name: name.into(),
            source: reason,
        });
    }
    tracing::warn!(
        secret = name,
        reason = &reason as &dyn std::error::Error,
        "replacing the certificate"
    );
    Ok(())
}

async fn write(
    secrets: &Api<Secret>,
    name: &str,
    found: Option<Wiped>,
    issued: &Issued,
) -> Result<(), kube::Error> {
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    };
    let written = match found {
        None => {
            secrets
                .create(&params, &with_content(new_secret(name), issued).0)
                .await
        }
        // It still has the resourceVersion that was read, which makes the API server refuse what is
        // out of date.
        Some(found) => {
            secrets
                .replace(name, &params, &with_content(found, issued).0)
                .await
        }
    };
    written.map(Wiped).map(drop)
}

fn new_secret(name: &str) -> Wiped {
    Wiped(Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(BTreeMap::from([
                ("app.kubernetes.io/name".into(), "gitops-webhook".into()),
                (
                    "app.kubernetes.io/managed-by".into(),
                    "gitops-webhook".into(),
                ),
            ])),
            ..ObjectMeta::default()
        },
        type_: Some(TLS.into()),
        ..Secret::default()
    })
}

fn with_content(mut secret: Wiped, issued: &Issued) -> Wiped {
    let data = secret.0.data.get_or_insert_default();
    for (key, pem) in [
        (key::CERTIFICATE, issued.serving_pem.as_str()),
        (key::KEY, issued.serving_key.as_pem()),
        (key::AUTHORITY, &issued.authority_pem),
        (key::AUTHORITY_KEY, issued.authority_key.as_pem()),
    ] {
        if let Some(mut replaced) = data.insert(key.into(), ByteString(pem.into())) {
            replaced.0.zeroize();
        }
    }
    secret
}

/// Whether the Secret has been created (409 `AlreadyExists`), changed (409 `Conflict`) or deleted
/// (404) since it was read.
fn lost_to_another_writer(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};
    use jiff::ToSpan;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{ApiServer, conflict, names, not_found, now, status};

    const PATH: &str = "/api/v1/namespaces/gitops-webhook/secrets/gitops-webhook-tls";
    const COLLECTION: &str = "/api/v1/namespaces/gitops-webhook/secrets";

    fn stored(issued: &Issued) -> Secret {
        let mut secret = with_content(new_secret("gitops-webhook-tls"), issued);
        secret.0.metadata.resource_version = Some("7".into());
        secret.0.clone()
    }

    fn issued() -> Issued {
        issue(&names(), Lifetimes::default(), now()).unwrap()
    }

    fn found(secret: &Secret) -> (StatusCode, Value) {
        (StatusCode::OK, serde_json::to_value(secret).unwrap())
    }

    async fn load(server: &ApiServer) -> Result<ServingCertificate, Error> {
        let secrets = Api::namespaced(server.client(), "gitops-webhook");
        load_or_issue(&secrets, "gitops-webhook-tls", &names(), now()).await
    }

    fn authority_in(body: &Value) -> String {
        let secret: Secret = serde_json::from_value(body.clone()).unwrap();
        String::from_utf8(secret.data.unwrap()["ca.crt"].0.clone()).unwrap()
    }

    #[tokio::test]
    async fn an_absent_secret_is_created_with_everything_in_it() {
        let server = ApiServer::new();
        server.expect(Method::GET, PATH, |_| not_found());
        server.expect(Method::POST, COLLECTION, |body| {
            (StatusCode::CREATED, body.clone())
        });
        let certificate = load(&server).await.unwrap();

        let created = server.finish().pop().unwrap();
        assert_eq!(created["type"], "kubernetes.io/tls");
        assert_eq!(authority_in(&created), certificate.authority_pem);
        let keys: Vec<_> = created["data"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["ca.crt", "ca.key", "tls.crt", "tls.key"]);
        let again = usable(&serde_json::from_value(created).unwrap(), &names(), now()).unwrap();
        assert_eq!(again.certified_key.cert, certificate.certified_key.cert);
    }

    #[tokio::test]
    async fn the_replica_that_loses_the_race_serves_the_winners_certificate() {
        let winner = issued();
        let server = ApiServer::new();
        server.expect(Method::GET, PATH, |_| not_found());
        server.expect(Method::POST, COLLECTION, |_| {
            status(StatusCode::CONFLICT, "AlreadyExists")
        });
        let response = found(&stored(&winner));
        server.expect(Method::GET, PATH, move |_| response.clone());
        assert_eq!(
            load(&server).await.unwrap().authority_pem,
            winner.authority_pem
        );
        server.finish();
    }

    #[tokio::test]
    async fn a_good_certificate_is_served_without_a_write() {
        let issued = issued();
        let mut secret = stored(&issued);
        // As another issuer leaves it.
        secret.data.as_mut().unwrap().remove("ca.key");
        let server = ApiServer::new();
        let response = found(&secret);
        server.expect(Method::GET, PATH, move |_| response.clone());
        assert_eq!(
            load(&server).await.unwrap().authority_pem,
            issued.authority_pem
        );
        server.finish();
    }

    #[tokio::test]
    async fn what_nobody_can_be_served_by_is_replaced_if_it_is_still_what_was_read() {
        let elsewhere = ServiceNames::new("gitops-webhook", "elsewhere").unwrap();
        let expired = issue(&names(), Lifetimes::default(), now() - a_leap_year()).unwrap();
        let renamed = issue(&elsewhere, Lifetimes::default(), now()).unwrap();
        let mixed = Issued {
            authority_pem: issued().authority_pem,
            ..issued()
        };
        let mut garbage = stored(&issued());
        garbage
            .data
            .as_mut()
            .unwrap()
            .insert("tls.crt".into(), ByteString(b"hello".to_vec()));
        let mut empty = stored(&issued());
        empty.data = None;
        for mut secret in [
            stored(&expired),
            stored(&renamed),
            stored(&mixed),
            garbage,
            empty,
        ] {
            secret.metadata.annotations = Some(BTreeMap::from([("kept".into(), "yes".into())]));
            secret
                .data
                .get_or_insert_default()
                .insert("other".into(), ByteString(b"kept".to_vec()));
            let server = ApiServer::new();
            let response = found(&secret);
            server.expect(Method::GET, PATH, move |_| response.clone());
            server.expect(Method::PUT, PATH, |body| (StatusCode::OK, body.clone()));
            let certificate = load(&server).await.unwrap();

            let replaced = server.finish().pop().unwrap();
            assert_eq!(authority_in(&replaced), certificate.authority_pem);
            assert_eq!(replaced["metadata"]["resourceVersion"], "7");
            assert_eq!(replaced["metadata"]["annotations"]["kept"], "yes");
            assert_eq!(replaced["data"]["other"], json!("a2VwdA=="));
        }
    }

    #[tokio::test]
    async fn whoever_replaces_it_first_wins() {
        let winner = issued();
        let expired = issue(&names(), Lifetimes::default(), now() - a_leap_year()).unwrap();
        let server = ApiServer::new();
        let response = found(&stored(&expired));
        server.expect(Method::GET, PATH, move |_| response.clone());
        server.expect(Method::PUT, PATH, |_| conflict());
        let response = found(&stored(&winner));
        server.expect(Method::GET, PATH, move |_| response.clone());
        assert_eq!(
            load(&server).await.unwrap().authority_pem,
            winner.authority_pem
        );
        server.finish();
    }

    #[tokio::test]
    async fn a_fight_over_the_secret_ends_in_an_error() {
        let server = ApiServer::new();
        for _ in 0..ATTEMPTS {
            server.expect(Method::GET, PATH, |_| not_found());
            server.expect(Method::POST, COLLECTION, |_| {
                status(StatusCode::CONFLICT, "AlreadyExists")
            });
        }
        assert!(matches!(
            load(&server).await.unwrap_err(),
            Error::Write { .. }
        ));
        server.finish();
    }

    #[tokio::test]
    async fn a_certificate_from_the_future_is_left_alone() {
        let server = ApiServer::new();
        let response = found(&stored(
            &issue(&names(), Lifetimes::default(), now() + 1.hour()).unwrap(),
        ));
        server.expect(Method::GET, PATH, move |_| response.clone());
        let error = load(&server).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Unusable {
                    source: Unusable::NotYetValid,
                    ..
                }
            ),
            "{error:?}"
        );
        server.finish();
    }

    #[tokio::test]
    async fn a_secret_of_another_type_is_left_alone() {
        let mut secret = stored(&issued());
        secret.type_ = Some("Opaque".into());
        secret.data = Some(BTreeMap::from([(
            "server".into(),
            ByteString(b"https://prod".to_vec()),
        )]));
        let server = ApiServer::new();
        let response = found(&secret);
        server.expect(Method::GET, PATH, move |_| response.clone());
        let error = load(&server).await.unwrap_err();
        assert!(error.to_string().contains("of type Opaque"), "{error}");
        server.finish();
    }

    #[tokio::test]
    async fn being_forbidden_is_an_error_at_once() {
        let server = ApiServer::new();
        server.expect(Method::GET, PATH, |_| {
            status(StatusCode::FORBIDDEN, "Forbidden")
        });
        let error = load(&server).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot read secret gitops-webhook-tls");
        server.finish();
    }

    #[tokio::test]
    async fn a_certificate_that_ends_soon_is_renewed_and_its_authority_stays_trusted() {
        let old = issue(&names(), Lifetimes::default(), now() - (250 * 24).hours()).unwrap();
        let server = ApiServer::new();
        let response = found(&stored(&old));
        server.expect(Method::GET, PATH, move |_| response.clone());
        server.expect(Method::PUT, PATH, |body| (StatusCode::OK, body.clone()));
        let certificate = load(&server).await.unwrap();

        let replaced = server.finish().pop().unwrap();
        assert_eq!(replaced["metadata"]["resourceVersion"], "7");
        assert_eq!(authority_in(&replaced), certificate.authority_pem);
        assert_eq!(certificate.validity.until, now() + (365 * 24).hours());
        let other_replica = Issued {
            authority_pem: certificate.authority_pem.clone(),
            ..old
        };
        certificate_of(&other_replica, &names(), now()).unwrap();

        // The authority before the last is let go.
        let server = ApiServer::new();
        let later: Secret = serde_json::from_value(replaced).unwrap();
        let response = found(&later);
        server.expect(Method::GET, PATH, move |_| response.clone());
        server.expect(Method::PUT, PATH, |body| (StatusCode::OK, body.clone()));
        let secrets = Api::namespaced(server.client(), "gitops-webhook");
        let at = now() + (250 * 24).hours();
        let next = load_or_issue(&secrets, "gitops-webhook-tls", &names(), at)
            .await
            .unwrap();
        assert_eq!(next.authority_pem.matches("BEGIN").count(), 2);
        server.finish();
    }

    #[tokio::test]
    async fn a_certificate_that_ends_soon_is_served_if_it_cannot_be_renewed() {
        let old = issue(&names(), Lifetimes::default(), now() - (250 * 24).hours()).unwrap();
        for code in [StatusCode::FORBIDDEN, StatusCode::CONFLICT] {
            let server = ApiServer::new();
            let response = found(&stored(&old));
            server.expect(Method::GET, PATH, move |_| response.clone());
            server.expect(Method::PUT, PATH, move |_| status(code, "Refused"));
            let certificate = load(&server).await.unwrap();
            assert_eq!(certificate.authority_pem, old.authority_pem);
            server.finish();
        }
    }

    #[tokio::test]
    async fn another_issuers_certificate_is_not_renewed() {
        let old = issue(&names(), Lifetimes::default(), now() - (250 * 24).hours()).unwrap();
        let mut secret = stored(&old);
        secret.data.as_mut().unwrap().remove("ca.key");
        let server = ApiServer::new();
        let response = found(&secret);
        server.expect(Method::GET, PATH, move |_| response.clone());
        load(&server).await.unwrap();
        server.finish();
    }

    /// In hours, as a timestamp without a time zone knows no days.
    fn a_leap_year() -> jiff::Span {
        (366 * 24).hours()
    }
}
