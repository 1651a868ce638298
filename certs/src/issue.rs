//! Makes a certificate authority and a serving certificate under it.
//!
//! Both keys are ECDSA on P-256: what the API server, rustls and every TLS library verify, at a
//! tenth of RSA's cost for the handshake.

use std::{ops::RangeInclusive, time::Duration};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::crypto::ring;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::ServiceNames;

/// How far back a certificate's validity begins, so that an API server whose clock is behind ours
/// accepts a certificate that was issued a moment ago. The same five minutes that Kubernetes' own
/// signers allow.
const BACKDATE: Duration = Duration::from_mins(5);

const DAY: Duration = Duration::from_hours(24);

/// How long certificates are valid, from the moment of issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of the certificate authority.
    pub authority: Duration,
    /// Of the serving certificate; cut to the authority's where it would be longer, as it ends with
    /// its issuer anyway.
    pub serving: Duration,
}

impl Default for Lifetimes {
    /// Ten years and one year.
    fn default() -> Self {
        Self {
            authority: 3650 * DAY,
            serving: 365 * DAY,
        }
    }
}

/// A private key as PEM. It cannot be printed, copied or serialised, and is wiped from memory when
/// dropped.
///
/// # Caveats
///
/// Only this copy is wiped. What libraries make of it on the way to the API server and back (a
/// request body, a TLS record) is out of reach.
///
/// ```compile_fail,E0277
/// fn print(key: certs::issue::PrivateKey) -> String {
///     format!("{key:?}")
/// }
/// ```
/// ```compile_fail,E0277
/// fn serialise(key: &certs::issue::PrivateKey) -> serde_json::Value {
///     serde_json::json!(key)
/// }
/// ```
/// ```compile_fail,E0599
/// fn copy(key: certs::issue::PrivateKey) -> [certs::issue::PrivateKey; 2] {
///     [key.clone(), key]
/// }
/// ```
pub struct PrivateKey(Zeroizing<String>);

impl PrivateKey {
    /// The key, PKCS#8 in PEM.
    pub fn as_pem(&self) -> &str {
        &self.0
    }
}

/// A certificate authority and a serving certificate that it signed, as they were made.
pub struct Issued {
    /// The authority's certificate, PEM.
    pub authority_pem: String,
    /// The authority's key: whoever has it can be any webhook in the eyes of the API server.
    pub authority_key: PrivateKey,
    /// The serving certificate, PEM.
    pub serving_pem: String,
    /// The serving certificate's key.
    pub serving_key: PrivateKey,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system gave no random numbers.
    #[error("the system has no random numbers to offer")]
    Random,
    /// A date that a certificate cannot hold.
    #[error("a validity of {lifetime:?} from {now} is not a date that a certificate can hold")]
    Validity {
        /// When it was to be issued.
        now: Timestamp,
        /// How long it was to be valid.
        lifetime: Duration,
    },
    /// A key could not be generated.
    #[error("cannot generate a private key")]
    Generate(#[source] rcgen::Error),
    /// A certificate could not be signed.
    #[error("cannot sign a certificate")]
    Sign(#[source] rcgen::Error),
}

/// Issues a new authority and, under it, a certificate for `names`.
pub fn issue(names: &ServiceNames, lifetimes: Lifetimes, now: Timestamp) -> Result<Issued, Error> {
    let authority_key = generate_key()?;
    let authority = authority_params(lifetimes.authority, now)?;
    let authority_certificate = authority
        .self_signed(&*authority_key)
        .map_err(Error::Sign)?;

    let serving_key = generate_key()?;
    let serving = serving_params(names, lifetimes.serving.min(lifetimes.authority), now)?;
    let issuer = Issuer::from_params(&authority, &*authority_key);
    let serving_certificate = serving
        .signed_by(&*serving_key, &issuer)
        .map_err(Error::Sign)?;

    Ok(Issued {
        authority_pem: authority_certificate.pem(),
        authority_key: private_key(&authority_key),
        serving_pem: serving_certificate.pem(),
        serving_key: private_key(&serving_key),
    })
}

fn generate_key() -> Result<Zeroizing<KeyPair>, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .map(Zeroizing::new)
        .map_err(Error::Generate)
}

fn private_key(pair: &KeyPair) -> PrivateKey {
    PrivateKey(Zeroizing::new(pair.serialize_pem()))
}

fn authority_params(lifetime: Duration, now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = params("gitops-webhook CA", lifetime, now)?;
    // No CA below this one: it signs serving certificates and nothing else.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn serving_params(
    names: &ServiceNames,
    lifetime: Duration,
    now: Timestamp,
) -> Result<CertificateParams, Error> {
    // The Service's name without its namespace, because a common name holds 64 characters at most.
    // Nobody verifies it.
    let mut params = params(names.service(), lifetime, now)?;
    let dns_names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
    params.subject_alt_names = CertificateParams::new(dns_names)
        .map_err(Error::Sign)?
        .subject_alt_names;
    // Said explicitly, as otherwise rcgen leaves out the subject key identifier too.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn params(
    common_name: &str,
    lifetime: Duration,
    now: Timestamp,
) -> Result<CertificateParams, Error> {
    let out_of_range = || Error::Validity { now, lifetime };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "kubectl-gitops.io");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.serial_number = Some(random_serial()?);
    params.not_before = now
        .checked_sub(BACKDATE)
        .ok()
        .and_then(date)
        .ok_or_else(out_of_range)?;
    params.not_after = now
        .checked_add(lifetime)
        .ok()
        .and_then(date)
        .ok_or_else(out_of_range)?;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A positive number of 127 bits, of which 126 are random: RFC 5280 (4.1.2.2) wants it positive,
/// unique for the issuer and at most 20 bytes long.
fn random_serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Error::Random)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// The years that RFC 5280 (4.1.2.5) has dates for; others make rcgen's writer panic.
const YEARS: RangeInclusive<i32> = 1950..=9999;

fn date(timestamp: Timestamp) -> Option<OffsetDateTime> {
    let date = OffsetDateTime::from_unix_timestamp(timestamp.as_second()).ok()?;
    YEARS.contains(&date.year()).then_some(date)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::ToSpan;
    use proptest::prelude::*;
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    use x509_parser::prelude::*;

    use super::*;
    use crate::testing::{names, now};

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    fn issue_now() -> Issued {
        issue(&names(), Lifetimes::default(), now()).unwrap()
    }

    #[test]
    fn the_serving_certificate_names_the_service_and_serves_only() {
        let der = der(&issue_now().serving_pem);
        let (_, certificate) = parse_x509_certificate(&der).unwrap();

        let alternative_names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(
            alternative_names.value.general_names,
            names()
                .iter()
                .map(|name| GeneralName::DNSName(name.as_ref()))
                .collect::<Vec<_>>()
        );
        assert!(!certificate.is_ca());
        let extended = certificate.extended_key_usage().unwrap().unwrap().value;
        assert_eq!(
            *extended,
            ExtendedKeyUsage {
                server_auth: true,
                ..no_extended_usage()
            }
        );
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.digital_signature() && !usage.value.key_cert_sign());
    }

    fn no_extended_usage() -> ExtendedKeyUsage<'static> {
        ExtendedKeyUsage {
            any: false,
            server_auth: false,
            client_auth: false,
            code_signing: false,
            email_protection: false,
            time_stamping: false,
            ocsp_signing: false,
            other: Vec::new(),
        }
    }

    #[test]
    fn the_authority_signs_and_allows_no_authority_below_it() {
        let der = der(&issue_now().authority_pem);
        let (_, certificate) = parse_x509_certificate(&der).unwrap();

        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = certificate.key_usage().unwrap().unwrap().value;
        assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
    }

    #[test]
    fn the_key_identifiers_link_certificate_and_authority() {
        let issued = issue_now();
        let (authority, serving) = (der(&issued.authority_pem), der(&issued.serving_pem));
        let (_, authority) = parse_x509_certificate(&authority).unwrap();
        let (_, serving) = parse_x509_certificate(&serving).unwrap();

        let subject = |certificate: &X509Certificate<'_>| {
            certificate
                .iter_extensions()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                    _ => None,
                })
        };
        let signer =
            serving
                .iter_extensions()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::AuthorityKeyIdentifier(id) => {
                        id.key_identifier.as_ref().map(|id| id.0.to_vec())
                    }
                    _ => None,
                });
        assert!(subject(&authority).is_some());
        assert_eq!(signer, subject(&authority));
        assert!(subject(&serving).is_some_and(|id| Some(id) != subject(&authority)));
        assert_eq!(serving.issuer(), authority.subject());
    }

    #[test]
    fn validity_runs_from_five_minutes_ago_for_the_lifetime() {
        let lifetimes = Lifetimes {
            authority: Duration::from_hours(48),
            serving: Duration::from_hours(1),
        };
        let issued = issue(&names(), lifetimes, now()).unwrap();
        for (pem, lifetime) in [
            (issued.authority_pem, 48.hours()),
            (issued.serving_pem, 1.hour()),
        ] {
            let der = der(&pem);
            let (_, certificate) = parse_x509_certificate(&der).unwrap();
            let validity = certificate.validity();
            assert_eq!(
                validity.not_before.timestamp(),
                (now() - 5.minutes()).as_second()
            );
            assert_eq!(
                validity.not_after.timestamp(),
                (now() + lifetime).as_second()
            );
        }
    }

    #[test]
    fn the_serving_certificate_does_not_outlive_its_authority() {
        let lifetimes = Lifetimes {
            authority: Duration::from_hours(1),
            serving: Duration::from_hours(2),
        };
        let issued = issue(&names(), lifetimes, now()).unwrap();
        let (authority, serving) = (der(&issued.authority_pem), der(&issued.serving_pem));
        assert_eq!(
            parse_x509_certificate(&serving)
                .unwrap()
                .1
                .validity()
                .not_after,
            parse_x509_certificate(&authority)
                .unwrap()
                .1
                .validity()
                .not_after
        );
    }

    #[test]
    fn no_serial_number_or_key_is_used_twice() {
        let mut serials = HashSet::new();
        let mut keys = HashSet::new();
        for _ in 0..20 {
            let issued = issue_now();
            for pem in [&issued.authority_pem, &issued.serving_pem] {
                let der = der(pem);
                let (_, certificate) = parse_x509_certificate(&der).unwrap();
                let serial = certificate.raw_serial().to_vec();
                assert!(
                    serial.len() == 16 && serial[0] & 0x80 == 0,
                    "{serial:x?} must be positive, 16 bytes"
                );
                assert!(serials.insert(serial));
                assert!(keys.insert(certificate.public_key().raw.to_vec()));
            }
        }
    }

    #[test]
    fn a_date_that_no_certificate_can_hold_is_an_error() {
        let lifetimes = Lifetimes::default();
        for at in [
            "-000001-01-01T00:00:00Z",
            "1949-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert!(
                matches!(issue(&names(), lifetimes, at), Err(Error::Validity { .. })),
                "{at}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_clock_and_lifetime_end_in_certificates_or_an_error(
            second in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
            authority in prop_oneof![0_u64..4_000_000_000, any::<u64>()],
            serving in prop_oneof![0_u64..4_000_000_000, any::<u64>()],
        ) {
            let lifetimes = Lifetimes { authority: Duration::from_secs(authority), serving: Duration::from_secs(serving) };
            let now = Timestamp::from_second(second).unwrap();
            if let Ok(issued) = issue(&names(), lifetimes, now) {
                parse_x509_certificate(&der(&issued.serving_pem)).unwrap();
            }
        }
    }
}
