//! Certificates for the names of AWS.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A certificate authority's certificate, and what it has issued: all as PEM.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// For the servers of AWS in these regions.
pub(crate) fn issue(regions: &[&str]) -> Result<Certificates> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority
        .distinguished_name
        .push(DnType::CommonName, "AWS for tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let names = ["iam.amazonaws.com", "sts.amazonaws.com"].map(str::to_owned);
    let regional = regions
        .iter()
        .map(|region| format!("*.{region}.amazonaws.com"));
    let params = CertificateParams::new(names.into_iter().chain(regional).collect::<Vec<_>>())?;
    let key = KeyPair::generate()?;
    Ok(Certificates {
        authority: authority_certificate.pem(),
        certificate: params.signed_by(&key, &issuer)?.pem(),
        key: key.serialize_pem(),
    })
}
