//! What Argo CD knows the cluster's API server by.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;

use crate::onboarding::change::eks_command;
use crate::onboarding::facts::Lookup;
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::registration::Evidence;

use super::{NOT_NEEDED, OF_CAPABILITY};

const LINK: LinkName = LinkName::CertificateAuthority;
const EXPECTED: &str = "a certificate of the cluster's authority, base64 of PEM";

pub(super) fn judge(evidence: Evidence<'_>, now: Timestamp) -> Link {
    if evidence.registration.capability {
        return Link::ok(LINK, NOT_NEEDED).because(OF_CAPABILITY);
    }
    let cluster = match &evidence.aws.cluster {
        Lookup::Known(cluster) => cluster,
        Lookup::Absent => return Link::missing(LINK, "there is no cluster").expecting(EXPECTED),
        Lookup::Unknown(reason) => return Link::unknown(LINK, reason).expecting(EXPECTED),
    };
    let authority = cluster.certificate_authority.as_ref();
    let data = authority.and_then(|authority| authority.data.as_deref());
    let Some(data) = data.filter(|data| !data.is_empty()) else {
        return Link::missing(LINK, "the cluster tells none")
            .expecting(EXPECTED)
            .because("a cluster has one once it is created");
    };
    let flags = [
        ("--name", &*cluster.name),
        ("--query", "cluster.certificateAuthority.data"),
        ("--output", "text"),
    ];
    let login = &evidence.registration.login;
    let describe = eks_command("eks describe-cluster", &flags, login);
    let describe = format!("take it as it is: {describe}");
    match read(data, now) {
        Ok(told) => Link::ok(LINK, told).expecting(EXPECTED),
        Err(flaw) => Link::wrong(LINK, "it cannot be used")
            .expecting(EXPECTED)
            .because(flaw.to_string())
            .by_hand(describe),
    }
}

/// Why a certificate authority cannot be used. What it holds is not repeated.
#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("certificateAuthority.data is not base64")]
    NotBase64,
    #[error("certificateAuthority.data is in base64 twice: it goes into the Secret as EKS has it")]
    Twice,
    #[error("certificateAuthority.data is PEM: expected base64 of it")]
    Plain,
    #[error("certificateAuthority.data holds a private key, which belongs to nobody else")]
    PrivateKey,
    #[error("certificateAuthority.data holds no certificate in PEM")]
    NoCertificate,
    #[error("certificateAuthority.data holds a certificate that cannot be read")]
    Unreadable,
    #[error("the certificate ran out at {0}")]
    Expired(Timestamp),
    #[error("the certificate holds only from {0} on: is the clock right?")]
    NotYet(Timestamp),
}

fn read(data: &str, now: Timestamp) -> Result<String, Flaw> {
    if data.contains("-----BEGIN") {
        return Err(Flaw::Plain);
    }
    let plain: String = data.split_whitespace().collect();
    let bytes = BASE64_STANDARD.decode(plain).map_err(|_| Flaw::NotBase64)?;
    if has_private_key(&bytes) {
        return Err(Flaw::PrivateKey);
    }
    if !golang::pem::has_certificate(&bytes) {
        let is_twice = BASE64_STANDARD
            .decode(bytes.trim_ascii())
            .is_ok_and(|inner| golang::pem::has_certificate(&inner));
        return Err(if is_twice {
            Flaw::Twice
        } else {
            Flaw::NoCertificate
        });
    }
    let mut ends = Vec::new();
    let mut flaw = None;
    for block in Pem::iter_from_buffer(&bytes).flatten() {
        if block.label != "CERTIFICATE" {
            continue;
        }
        let certificate = block.parse_x509().map_err(|_| Flaw::Unreadable)?;
        match until(&certificate, now) {
            Ok(end) => ends.push(end),
            Err(found) => flaw = Some(found),
        }
    }
    // One that holds is enough, as while an authority is replaced.
    match (ends.into_iter().max(), flaw) {
        (Some(end), _) => Ok(format!("holds until {end}")),
        (None, Some(flaw)) => Err(flaw),
        (None, None) => Err(Flaw::Unreadable),
    }
}

/// Whether somebody has put a key beside it, whole or not.
fn has_private_key(pem: &[u8]) -> bool {
    let label = b"PRIVATE KEY-----";
    pem.windows(label.len()).any(|part| part == label)
}

fn until(certificate: &X509Certificate<'_>, now: Timestamp) -> Result<Timestamp, Flaw> {
    let validity = certificate.validity();
    let time = |second: i64| Timestamp::from_second(second).map_err(|_| Flaw::Unreadable);
    let from = time(validity.not_before.timestamp())?;
    let end = time(validity.not_after.timestamp())?;
    if now < from {
        Err(Flaw::NotYet(from))
    } else if now > end {
        Err(Flaw::Expired(end))
    } else {
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{CERTIFICATE, Case, NOW};

    fn at(data: Option<&str>, now: &str) -> Link {
        let now = now.parse().unwrap();
        Case::with(
            |case| match &mut case.cluster().certificate_authority {
                Some(authority) => authority.data = data.map(str::to_owned),
                None => unreachable!(),
            },
            |evidence| judge(evidence, now),
        )
    }

    #[test]
    fn a_certificate_that_holds_is_ok() {
        let link = at(Some(CERTIFICATE), NOW);
        assert_eq!(link.state, State::Ok, "{}", link.detail);
        assert!(link.observed.starts_with("holds until"));
    }

    #[test]
    fn each_way_of_being_broken_is_told() {
        let pem = String::from_utf8(BASE64_STANDARD.decode(CERTIFICATE).unwrap()).unwrap();
        let twice = BASE64_STANDARD.encode(CERTIFICATE);
        let with_key = BASE64_STANDARD.encode(format!(
            "{pem}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        ));
        let nothing = BASE64_STANDARD.encode("hello");
        let garbage = BASE64_STANDARD
            .encode("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        for (data, now, told) in [
            ("§", NOW, "not base64"),
            (&*pem, NOW, "is PEM"),
            (&*twice, NOW, "twice"),
            (&*with_key, NOW, "private key"),
            (&*nothing, NOW, "no certificate"),
            (&*garbage, NOW, "certificate"),
            (CERTIFICATE, "2090-01-01T00:00:00Z", "ran out"),
            (CERTIFICATE, "2000-01-01T00:00:00Z", "clock"),
        ] {
            let link = at(Some(data), now);
            assert_eq!(link.state, State::Wrong, "{told}");
            assert!(link.detail.contains(told), "{told}: {}", link.detail);
            assert!(!link.detail.contains("AAAA"));
        }
        assert_eq!(at(None, NOW).state, State::Missing);
        assert_eq!(at(Some(""), NOW).state, State::Missing);
    }
}
