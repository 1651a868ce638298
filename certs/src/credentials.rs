//! Reads certificates and keys, and judges whether they serve.
//!
//! The judgement is what a caller would find: rustls' own verification of a server's certificate,
//! and besides what Go's does and rustls' does not, which is to look at the authority itself: is it
//! one, and is it valid.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{
    CertificateError, InconsistentKeys, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring,
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, DnsName, PrivateKeyDer, ServerName, UnixTime, pem::PemObject,
};
use x509_parser::{prelude::parse_x509_certificate, time::ASN1Time};
use zeroize::Zeroizing;

use crate::ServiceNames;

const SERVING: &str = "the serving certificate";
const AUTHORITY: &str = "the certificate authority";

/// A certificate to serve, and the authority that a caller must trust for it.
#[derive(Clone, Debug)]
pub struct ServingCertificate {
    /// The chain, serving certificate first, with its key: what rustls resolves to. Its `Debug`
    /// does not show the key.
    pub certified_key: Arc<CertifiedKey>,
    /// The authority's certificates, PEM: what belongs in a `caBundle`, before base64.
    pub authority_pem: String,
    /// When it is valid.
    pub validity: Validity,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// Its first moment.
    pub from: Timestamp,
    /// Its last moment.
    pub until: Timestamp,
}

impl Validity {
    /// The validity of the serving certificate in a chain.
    ///
    /// # Errors
    ///
    /// It is not a certificate, or has dates that cannot be told.
    pub fn of(certified_key: &CertifiedKey) -> Result<Self, Unusable> {
        let unreadable = || Unusable::NotACertificate(SERVING);
        let serving = certified_key.cert.first().ok_or_else(unreadable)?;
        let (_, certificate) = parse_x509_certificate(serving).map_err(|_| unreadable())?;
        let validity = certificate.validity();
        let timestamp =
            |time: ASN1Time| Timestamp::from_second(time.timestamp()).map_err(|_| unreadable());
        Ok(Self {
            from: timestamp(validity.not_before)?,
            until: timestamp(validity.not_after)?,
        })
    }

    /// Whether less than a third is left of the whole, so that it is time for a successor. A
    /// process that starts then may well outlive what is left.
    pub fn ends_soon(self, now: Timestamp) -> bool {
        let whole = self.until.duration_since(self.from).as_secs();
        let left = self.until.duration_since(now).as_secs();
        left.saturating_mul(3) < whole
    }
}

/// Why certificates or keys cannot be served.
///
/// What could not be read is not quoted, because a key pasted into the wrong place would be quoted
/// with it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A part is not there at all.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// No certificate, or something that is not one.
    #[error("{0} is not a PEM certificate")]
    NotACertificate(&'static str),
    /// No private key, or one of a kind that cannot sign here.
    #[error("the private key is not a PEM key of a supported kind")]
    NotAKey,
    /// The private key is not the certificate's.
    #[error("the private key belongs to another certificate")]
    KeyMismatch,
    /// An authority that is none: its certificate may not sign others.
    #[error("{AUTHORITY} may not sign certificates")]
    NotAnAuthority,
    /// An authority that is over.
    #[error("{AUTHORITY} has expired")]
    AuthorityExpired,
    /// A certificate from the future. Unlike all the others this one may be good: it is this clock
    /// that is in doubt.
    #[error("the certificate is not valid yet, or this machine's clock is behind")]
    NotYetValid,
    /// A caller would not accept it for this name.
    #[error("a caller of {name} would not accept the certificate")]
    Rejected {
        /// The name by which the caller calls.
        name: String,
        /// What the caller would say.
        #[source]
        source: rustls::Error,
    },
}

/// Reads a certificate chain (the serving certificate first) and its private key (PKCS#8, PKCS#1 or
/// SEC1) from PEM.
///
/// # Errors
///
/// Either does not parse, or they do not belong together. Names, dates and trust are not looked at.
pub fn certified_key(chain_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedKey, Unusable> {
    let chain = certificates(SERVING, chain_pem)?;
    let key =
        Zeroizing::new(PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| Unusable::NotAKey)?);
    let key = ring::sign::any_supported_type(&key).map_err(|_| Unusable::NotAKey)?;
    let certified_key = CertifiedKey::new(chain, key);
    match certified_key.keys_match() {
        Ok(()) => Ok(certified_key),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(Unusable::KeyMismatch)
        }
        Err(_) => Err(Unusable::NotACertificate(SERVING)),
    }
}

/// Reads a serving certificate with its authority, and returns it if a caller that trusts that
/// authority accepts it under each of `names` at `now`.
pub(crate) fn serving_certificate(
    chain_pem: &[u8],
    key_pem: &[u8],
    authority_pem: &[u8],
    names: &ServiceNames,
    now: Timestamp,
) -> Result<ServingCertificate, Unusable> {
    let certified_key = certified_key(chain_pem, key_pem)?;
    let authorities = certificates(AUTHORITY, authority_pem)?;
    let authority_pem = str::from_utf8(authority_pem)
        .map_err(|_| Unusable::NotACertificate(AUTHORITY))?
        .to_owned();
    let caller = caller(&authorities, now)?;
    for name in names.iter() {
        accepts(&caller, &certified_key.cert, name, now)?;
    }
    Ok(ServingCertificate {
        validity: Validity::of(&certified_key)?,
        certified_key: Arc::new(certified_key),
        authority_pem,
    })
}

fn certificates(part: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| Unusable::NotACertificate(part))?;
    if certificates.is_empty() {
        Err(Unusable::NotACertificate(part))
    } else {
        Ok(certificates)
    }
}

fn check_authority(authority: &CertificateDer<'_>, now: Timestamp) -> Result<(), Unusable> {
    let unreadable = || Unusable::NotACertificate(AUTHORITY);
    let (_, certificate) = parse_x509_certificate(authority).map_err(|_| unreadable())?;
    let now = ASN1Time::from_timestamp(now.as_second()).map_err(|_| unreadable())?;
    if !certificate.is_ca() {
        Err(Unusable::NotAnAuthority)
    } else if now < certificate.validity().not_before {
        Err(Unusable::NotYetValid)
    } else if now > certificate.validity().not_after {
        Err(Unusable::AuthorityExpired)
    } else {
        Ok(())
    }
}

/// A caller that trusts those of the authorities which are good: in a bundle that has seen a
/// rotation, one that has expired may still stand beside its successor.
fn caller(
    authorities: &[CertificateDer<'static>],
    now: Timestamp,
) -> Result<Arc<WebPkiServerVerifier>, Unusable> {
    let unreadable = || Unusable::NotACertificate(AUTHORITY);
    let mut roots = RootCertStore::empty();
    let mut refused = Ok(());
    for authority in authorities {
        match check_authority(authority, now) {
            Ok(()) => roots.add(authority.clone()).map_err(|_| unreadable())?,
            Err(reason) => refused = Err(reason),
        }
    }
    if roots.is_empty() {
        refused?;
    }
    WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()))
        .build()
        .map_err(|_| unreadable())
}

fn accepts(
    caller: &WebPkiServerVerifier,
    chain: &[CertificateDer<'_>],
    name: &DnsName<'static>,
    now: Timestamp,
) -> Result<(), Unusable> {
    let rejected = |source| match source {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Unusable::NotYetValid,
        source => Unusable::Rejected {
            name: name.as_ref().to_owned(),
            source,
        },
    };
    let (serving, intermediates) = chain
        .split_first()
        .ok_or(Unusable::NotACertificate(SERVING))?;
    // A clock before 1970 is before every certificate.
    let now = now
        .duration_since(Timestamp::UNIX_EPOCH)
        .try_into()
        .map_err(|_| Unusable::NotYetValid)?;
    let name = ServerName::DnsName(name.clone());
    caller
        .verify_server_cert(
            serving,
            intermediates,
            &name,
            &[],
            UnixTime::since_unix_epoch(now),
        )
        .map(drop)
        .map_err(rejected)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::ToSpan;
    use proptest::prelude::*;
    use rustls::{
        ClientConfig, ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion,
        version,
    };

    use super::*;
    use crate::{
        issue::{Issued, Lifetimes, issue},
        testing::{names, now},
    };

    const LIFETIMES: Lifetimes = Lifetimes {
        authority: Duration::from_hours(48),
        serving: Duration::from_hours(24),
    };

    fn issued() -> Issued {
        issue(&names(), LIFETIMES, now()).unwrap()
    }

    fn judge(
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

    #[test]
    fn what_was_issued_serves_for_its_lifetime() {
        let issued = issued();
        for at in [now() - 5.minutes(), now(), now() + 24.hours()] {
            let certificate = judge(&issued, &names(), at).unwrap();
            assert_eq!(certificate.authority_pem, issued.authority_pem);
        }
    }

    #[test]
    fn it_ends_soon_when_less_than_a_third_is_left() {
        let validity = judge(&issued(), &names(), now()).unwrap().validity;
        assert_eq!(validity.from, now() - 5.minutes());
        assert_eq!(validity.until, now() + 24.hours());
        let third = (8 * 3600 + 100).seconds();
        for (at, expected) in [
            (validity.from, false),
            (validity.until - third, false),
            (validity.until - third + 1.second(), true),
            (validity.until, true),
            (Timestamp::MIN, false),
            (Timestamp::MAX, true),
        ] {
            assert_eq!(validity.ends_soon(at), expected, "{at}");
        }
    }

    #[test]
    fn after_its_lifetime_it_is_rejected() {
        let error = judge(&issued(), &names(), now() + 24.hours() + 1.second()).unwrap_err();
        assert!(
            matches!(
                &error,
                Unusable::Rejected {
                    source: rustls::Error::InvalidCertificate(
                        CertificateError::ExpiredContext { .. }
                    ),
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn before_its_lifetime_the_clock_is_in_doubt() {
        for at in [
            now() - 5.minutes() - 1.second(),
            Timestamp::UNIX_EPOCH - 1.second(),
            Timestamp::MIN,
        ] {
            let error = judge(&issued(), &names(), at).unwrap_err();
            assert!(matches!(error, Unusable::NotYetValid), "{at}: {error:?}");
        }
    }

    #[test]
    fn an_expired_authority_is_seen_although_the_chain_is_intact() {
        let issued = issued();
        let authority = CertificateDer::from_pem_slice(issued.authority_pem.as_bytes()).unwrap();
        assert!(check_authority(&authority, now() + 48.hours()).is_ok());
        let error = check_authority(&authority, now() + 48.hours() + 1.second()).unwrap_err();
        assert!(matches!(error, Unusable::AuthorityExpired), "{error:?}");
    }

    #[test]
    fn the_name_of_another_service_is_rejected() {
        let issued = issued();
        for other in [("other", "gitops-webhook"), ("gitops-webhook", "other")] {
            let error = judge(
                &issued,
                &ServiceNames::new(other.0, other.1).unwrap(),
                now(),
            )
            .unwrap_err();
            assert!(
                matches!(
                    &error,
                    Unusable::Rejected {
                        source: rustls::Error::InvalidCertificate(
                            CertificateError::NotValidForNameContext { .. }
                        ),
                        ..
                    }
                ),
                "{error:?}"
            );
        }
    }

    #[test]
    fn the_signature_of_another_authority_is_rejected() {
        let issued = Issued {
            authority_pem: issued().authority_pem,
            ..issued()
        };
        let error = judge(&issued, &names(), now()).unwrap_err();
        assert!(matches!(error, Unusable::Rejected { .. }), "{error:?}");
    }

    #[test]
    fn another_certificates_key_is_refused() {
        let issued = Issued {
            serving_key: issued().serving_key,
            ..issued()
        };
        let error = judge(&issued, &names(), now()).unwrap_err();
        assert!(matches!(error, Unusable::KeyMismatch), "{error:?}");
    }

    #[test]
    fn a_serving_certificate_is_no_authority() {
        let issued = issued();
        let issued = Issued {
            authority_pem: issued.serving_pem.clone(),
            ..issued
        };
        let error = judge(&issued, &names(), now()).unwrap_err();
        assert!(matches!(error, Unusable::NotAnAuthority), "{error:?}");
    }

    #[test]
    fn old_and_new_authority_side_by_side_are_both_trusted() {
        let old = issued();
        let new = issued();
        let both = Issued {
            authority_pem: format!("{}{}", old.authority_pem, new.authority_pem),
            ..new
        };
        judge(&both, &names(), now()).unwrap();
        let both = Issued {
            authority_pem: both.authority_pem,
            ..old
        };
        judge(&both, &names(), now()).unwrap();
    }

    #[test]
    fn an_expired_authority_does_not_spoil_its_successor() {
        let old = issue(&names(), LIFETIMES, now() - 72.hours()).unwrap();
        let new = issued();
        let bundles = [
            format!("{}{}", old.authority_pem, new.authority_pem),
            format!("{}{}", new.authority_pem, old.authority_pem),
        ];
        let mut issued = new;
        for bundle in bundles {
            issued.authority_pem = bundle;
            judge(&issued, &names(), now()).unwrap();
        }
        let error = judge(&old, &names(), now()).unwrap_err();
        assert!(matches!(error, Unusable::AuthorityExpired), "{error:?}");
    }

    /// A key that lost its line breaks is the usual accident, and PEM parsers quote the line they
    /// choke on.
    #[test]
    fn a_key_that_cannot_be_read_is_not_quoted() {
        let issued = issued();
        let flat = issued.serving_key.as_pem().replace('\n', " ");
        let body = &flat[40..60];
        for (chain, key) in [
            (issued.serving_pem.as_str(), flat.as_str()),
            (flat.as_str(), flat.as_str()),
        ] {
            let error = certified_key(chain.as_bytes(), key.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(body));
        }
    }

    #[test]
    fn what_is_printed_shows_no_key() {
        let issued = issued();
        let certificate = judge(&issued, &names(), now()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(issued.serving_key.as_pem().as_bytes()).unwrap();
        let printed = format!("{certificate:?}");
        assert!(!printed.contains(&issued.serving_key.as_pem()[40..60]));
        assert!(!printed.contains(&format!("{:?}", &key.secret_der()[..16])));
    }

    /// The whole way, as the API server goes it: a TLS connection to the name of the Service.
    #[test]
    fn a_client_that_trusts_the_authority_shakes_hands() {
        // The connection's own clock is the machine's.
        let issued = issue(&names(), LIFETIMES, Timestamp::now()).unwrap();
        let certificate = judge(&issued, &names(), Timestamp::now()).unwrap();
        let other = issue(&names(), LIFETIMES, Timestamp::now()).unwrap();
        for version in [&version::TLS12, &version::TLS13] {
            for name in names().iter() {
                shake_hands(&certificate, &issued.authority_pem, name, version).unwrap();
            }
            let stranger = DnsName::try_from("kubernetes.default.svc").unwrap();
            shake_hands(&certificate, &issued.authority_pem, &stranger, version).unwrap_err();
            shake_hands(
                &certificate,
                &other.authority_pem,
                names().api_server(),
                version,
            )
            .unwrap_err();
        }
    }

    fn shake_hands(
        certificate: &ServingCertificate,
        trusted_pem: &str,
        name: &DnsName<'static>,
        version: &'static SupportedProtocolVersion,
    ) -> Result<(), rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(trusted_pem.as_bytes()).unwrap())
            .unwrap();
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                certificate.certified_key.clone(),
            )));
        let mut client =
            ClientConnection::new(Arc::new(client), ServerName::DnsName(name.clone())).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_input_is_served_by_accident_or_panics(
            chain: Vec<u8>,
            key: Vec<u8>,
            authority: Vec<u8>,
            seconds in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
        ) {
            let now = Timestamp::from_second(seconds).unwrap();
            prop_assert!(serving_certificate(&chain, &key, &authority, &names(), now).is_err());
        }

        #[test]
        fn a_damaged_certificate_is_an_error(at in 0_usize..2000, with: u8) {
            let issued = issued();
            let mut der = CertificateDer::from_pem_slice(issued.serving_pem.as_bytes()).unwrap().to_vec();
            let at = at % der.len();
            prop_assume!(der[at] != with);
            der[at] = with;
            let authority = CertificateDer::from_pem_slice(issued.authority_pem.as_bytes()).unwrap();
            let chain = [CertificateDer::from(der)];
            let caller = caller(&[authority], now()).unwrap();
            prop_assert!(accepts(&caller, &chain, names().api_server(), now()).is_err());
        }
    }
}
