//! The certificate authority of one control plane.

use std::time::Duration;

use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate;
use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_cert::TbsCertificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder, CertificateBuilder};
use x509_cert::der::asn1::{Any, Ia5String, ObjectIdentifier, OctetString};
use x509_cert::der::oid::db::{rfc4519, rfc5280};
use x509_cert::der::{self, Decode, Encode, EncodePem, Tag};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{self, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;

/// Longer than any demo is left running; the keys are gone with the control plane anyway.
const VALIDITY: Duration = Duration::from_hours(7 * 24);

/// A certificate or key cannot be made.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The certificate cannot be put together or signed.
    #[error("cannot issue a certificate")]
    Build(#[from] builder::Error),
    /// A name or a time does not fit into a certificate.
    #[error("cannot write a certificate")]
    Encode(#[from] der::Error),
    /// A public key cannot be written.
    #[error("cannot write a public key")]
    PublicKey(#[from] spki::Error),
    /// A private key cannot be written.
    #[error("cannot write a private key")]
    PrivateKey(#[from] p256::pkcs8::Error),
}

/// A key and what vouches for it, both as PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A pair of PEM files for signing and verifying `ServiceAccount` tokens.
pub(crate) struct TokenKeys {
    pub(crate) private: String,
    pub(crate) public: String,
}

impl TokenKeys {
    pub(crate) fn generate() -> Result<Self, CertificateError> {
        let key = SigningKey::generate();
        Ok(Self {
            private: private_pem(&key)?,
            public: key.verifying_key().to_public_key_pem(LineEnding::LF)?,
        })
    }
}

/// Signs the API server's certificate and those of its users.
pub(crate) struct Authority {
    name: Name,
    key: SigningKey,
    certificate: String,
}

impl Authority {
    pub(crate) fn generate() -> Result<Self, CertificateError> {
        let key = SigningKey::generate();
        let name = name([(rfc4519::COMMON_NAME, "test control plane")])?;
        let certificate = issue(Role::Authority, name.clone(), &key, name.clone(), &key)?;
        Ok(Self {
            name,
            key,
            certificate,
        })
    }

    /// The authority's own certificate, as PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// For a server on loopback.
    pub(crate) fn server(&self) -> Result<Identity, CertificateError> {
        self.identity(
            Role::Server,
            name([(rfc4519::COMMON_NAME, "kube-apiserver")])?,
        )
    }

    /// For a user, in the form that Kubernetes reads: the common name is the user's, each
    /// organisation is a group.
    pub(crate) fn client(&self, user: &str, groups: &[&str]) -> Result<Identity, CertificateError> {
        let groups = groups
            .iter()
            .map(|group| (rfc4519::ORGANIZATION_NAME, *group));
        self.identity(
            Role::Client,
            name(groups.chain([(rfc4519::COMMON_NAME, user)]))?,
        )
    }

    fn identity(&self, role: Role, subject: Name) -> Result<Identity, CertificateError> {
        let key = SigningKey::generate();
        Ok(Identity {
            certificate: issue(role, subject, &key, self.name.clone(), &self.key)?,
            key: private_pem(&key)?,
        })
    }
}

/// What a certificate is good for.
#[derive(Clone, Copy)]
enum Role {
    Authority,
    Server,
    Client,
}

struct Profile {
    role: Role,
    subject: Name,
    issuer: Name,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        _certificate: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let usage = match self.role {
            Role::Authority => KeyUsages::KeyCertSign,
            Role::Server | Role::Client => KeyUsages::DigitalSignature,
        };
        let mut extensions = vec![KeyUsage(usage.into()).to_extension(&self.subject, &[])?];
        match self.role {
            Role::Authority => {
                let constraints = BasicConstraints {
                    ca: true,
                    path_len_constraint: Some(0),
                };
                extensions.push(constraints.to_extension(&self.subject, &[])?);
            }
            Role::Server => {
                let loopback = SubjectAltName(vec![
                    GeneralName::IpAddress(OctetString::new([127, 0, 0, 1])?),
                    GeneralName::DnsName(Ia5String::new("localhost")?),
                ]);
                extensions.push((&loopback).to_extension(&self.subject, &[])?);
                extensions
                    .push(purpose(rfc5280::ID_KP_SERVER_AUTH).to_extension(&self.subject, &[])?);
            }
            Role::Client => {
                extensions
                    .push(purpose(rfc5280::ID_KP_CLIENT_AUTH).to_extension(&self.subject, &[])?);
            }
        }
        Ok(extensions)
    }
}

fn purpose(oid: ObjectIdentifier) -> ExtendedKeyUsage {
    ExtendedKeyUsage(vec![oid])
}

/// A certificate for `key`, as PEM.
fn issue(
    role: Role,
    subject: Name,
    key: &SigningKey,
    issuer: Name,
    issuer_key: &SigningKey,
) -> Result<String, CertificateError> {
    let public_key = SubjectPublicKeyInfoOwned::from_key(key.verifying_key())?;
    // Every certificate has a key of its own, so the key's hash is a serial number that no other
    // one has.
    let hash = Sha256::digest(public_key.to_der()?);
    let serial_number = SerialNumber::new(hash.get(..16).unwrap_or_default())?;
    let profile = Profile {
        role,
        subject,
        issuer,
    };
    let validity = Validity::from_now(VALIDITY)?;
    let builder = CertificateBuilder::new(profile, serial_number, validity, public_key)?;
    Ok(builder
        .build::<_, DerSignature>(issuer_key)?
        .to_pem(LineEnding::LF)?)
}

/// Names are put together from parts, not parsed from text: a user's name may hold what would need
/// an escape there.
fn name<'a>(
    parts: impl IntoIterator<Item = (ObjectIdentifier, &'a str)>,
) -> Result<Name, der::Error> {
    let parts = parts.into_iter().map(|(oid, value)| {
        let value = Any::new(Tag::Utf8String, value.as_bytes())?;
        RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid, value }])
    });
    let sequence = RdnSequence::from(parts.collect::<Result<Vec<_>, _>>()?);
    Name::from_der(&sequence.to_der()?)
}

fn private_pem(key: &SigningKey) -> Result<String, p256::pkcs8::Error> {
    Ok(key.to_pkcs8_pem(LineEnding::LF)?.to_string())
}
