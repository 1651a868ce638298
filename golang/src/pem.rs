//! PEM as Go reads it (Go 1.26, `encoding/pem`), and what `crypto/tls` and `crypto/x509` take of
//! it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use x509_parser::prelude::parse_x509_certificate;
use zeroize::Zeroizing;

/// A block. What it holds may be a key, and is wiped when dropped.
struct Block<'p> {
    label: &'p str,
    has_headers: bool,
    der: Zeroizing<Vec<u8>>,
}

/// Whether there is a certificate authority in it that can be used (Go's
/// `CertPool.AppendCertsFromPEM`).
pub fn has_certificate_authority(pem: &[u8]) -> bool {
    blocks(pem).any(|block| {
        block.label == "CERTIFICATE" && !block.has_headers && is_certificate(&block.der)
    })
}

/// Whether there is a certificate to show (Go's `tls.X509KeyPair`): the first one must be whole.
pub fn has_certificate(pem: &[u8]) -> bool {
    let mut certificates = blocks(pem).filter(|block| block.label == "CERTIFICATE");
    certificates
        .next()
        .is_some_and(|block| is_certificate(&block.der))
}

/// From when to when the certificate to show is valid, in seconds of Unix time; None where there is
/// none.
pub fn validity(pem: &[u8]) -> Option<(i64, i64)> {
    let mut certificates = blocks(pem).filter(|block| block.label == "CERTIFICATE");
    let block = certificates.next()?;
    let (_, certificate) = parse_x509_certificate(&block.der).ok()?;
    let validity = certificate.validity();
    Some((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// Whether there is a private key in it (Go's `tls.X509KeyPair`). It is not tried whether it is
/// that of the certificate.
pub fn has_private_key(pem: &[u8]) -> bool {
    let is_key = |label: &str| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY");
    let mut keys = blocks(pem).filter(|block| is_key(block.label));
    keys.next().is_some_and(|block| is_sequence(&block.der))
}

fn is_certificate(der: &[u8]) -> bool {
    parse_x509_certificate(der).is_ok_and(|(rest, _)| rest.is_empty())
}

/// Whether it is one DER sequence, as every kind of key is.
fn is_sequence(der: &[u8]) -> bool {
    let Some((&[0x30, first], rest)) = der.split_first_chunk() else {
        return false;
    };
    if first < 0x80 {
        return rest.len() == usize::from(first);
    }
    let count = usize::from(first & 0x7f);
    let Some((length, content)) = rest.split_at_checked(count).filter(|_| count <= 4) else {
        return false;
    };
    let length = length
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    content.len() == length
}

/// The blocks that are whole. What is none is passed over.
fn blocks(pem: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let mut lines = pem
        .split(|byte| *byte == b'\n')
        .map(|line| std::str::from_utf8(line).unwrap_or("?"))
        .map(|line| line.trim_end_matches('\r').trim_end_matches([' ', '\t']));
    std::iter::from_fn(move || next_block(&mut lines))
}

fn next_block<'p>(lines: &mut impl Iterator<Item = &'p str>) -> Option<Block<'p>> {
    let mut open: Option<(Block<'p>, Zeroizing<String>)> = None;
    for line in lines {
        if let Some(label) = between(line, "-----BEGIN ") {
            let block = Block {
                label,
                has_headers: false,
                der: Zeroizing::default(),
            };
            // Nothing is moved as it grows.
            open = Some((block, Zeroizing::new(String::with_capacity(64))));
        } else if line.starts_with("-----END ") {
            if let Some((block, text)) = open.take()
                && between(line, "-----END ") == Some(block.label)
                && let Ok(der) = BASE64_STANDARD.decode(text.as_bytes())
            {
                return Some(Block {
                    der: Zeroizing::new(der),
                    ..block
                });
            }
        } else if let Some((block, text)) = &mut open {
            if text.is_empty() && line.contains(':') {
                block.has_headers = true;
            } else {
                append(text, line);
            }
        }
    }
    None
}

/// Adds a line to a text that is wiped, also where it has to be moved.
fn append(text: &mut Zeroizing<String>, line: &str) {
    if text.capacity() - text.len() < line.len() {
        let mut longer = Zeroizing::new(String::with_capacity(2 * (text.len() + line.len())));
        longer.push_str(text);
        *text = longer;
    }
    text.extend(line.chars().filter(|c| !matches!(c, ' ' | '\t')));
}

fn between<'l>(line: &'l str, start: &str) -> Option<&'l str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBgTCCASegAwIBAgIUDLLRfYmo6MV46O3rktVY+dAw/5EwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLb3JhY2xlLXRlc3QwHhcNMjYxMTIxMDYzMjUxWhcNNDYxMTE3
MDYzMjUxWjAWMRQwEgYDVQQDDAtvcmFjbGUtdGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABME71+lJcs7i5tgahEYEv4cgQjjbgoGrXkna+soGf+xnp+ZyqkWH
m3teUdYXMzAA2mA3uLnZXYODzssmAUVYMvOjUzBRMB0GA1UdDgQWBBSfBnf9CeXn
q4qGOYftavuC6V9abzAfBgNVHSMEGDAWgBSfBnf9CeXnq4qGOYftavuC6V9abzAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIDqMIvlvhef3f1qCEN8Z
nOudgvzMdt/2sP9l789BfhRXAiEAnNDUH01EvKeF9R6cxXACt3NiNCWEunYhB15F
QGMCBw8=
-----END CERTIFICATE-----
";

    #[test]
    fn a_certificate_is_one_however_its_lines_end() {
        let with_text = format!("the authority\n{CERTIFICATE}");
        let windows = CERTIFICATE.replace('\n', "\r\n");
        let after_another = format!("-----BEGIN X-----\nAA==\n-----END X-----\n{CERTIFICATE}");
        let unfinished = format!("-----BEGIN CERTIFICATE-----\nAA\n{CERTIFICATE}");
        for pem in [
            CERTIFICATE,
            &with_text,
            &windows,
            &after_another,
            &unfinished,
        ] {
            assert!(has_certificate_authority(pem.as_bytes()), "{pem}");
            assert!(has_certificate(pem.as_bytes()), "{pem}");
            assert!(!has_private_key(pem.as_bytes()), "{pem}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        let one_line = CERTIFICATE.replace('\n', "");
        let cut = CERTIFICATE.replace("QGMCBw8=\n", "");
        let other = CERTIFICATE.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        let headers = CERTIFICATE.replacen("-----\n", "-----\nKey: value\n\n", 1);
        for pem in [
            "",
            "ca",
            "-----BEGIN CERTIFICATE-----",
            &one_line,
            &cut,
            &other,
            &headers,
        ] {
            assert!(!has_certificate_authority(pem.as_bytes()), "{pem}");
        }
        assert!(!has_certificate_authority(b"\xff\xfe"));
        // The authorities that are whole are used, but the first certificate to be shown must be.
        let second = format!("{cut}{CERTIFICATE}");
        assert!(has_certificate_authority(second.as_bytes()));
        assert!(!has_certificate(second.as_bytes()));
    }

    #[test]
    fn a_key_is_a_block_of_its_kind_with_a_sequence() {
        let pem = |label: &str, base64: &str| {
            format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
        };
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            assert!(
                has_private_key(pem(label, "MAMCAQE=").as_bytes()),
                "{label}"
            );
        }
        assert!(has_private_key(pem("PRIVATE KEY", "MIEDAgEB").as_bytes()));
        for (label, base64) in [
            ("PUBLIC KEY", "MAMCAQE="),
            ("PRIVATE KEY", "AgEB"),
            ("PRIVATE KEY", "MAQCAQE="),
            ("PRIVATE KEY", "MIQCAQE="),
            ("PRIVATE KEY", "!"),
            ("PRIVATE KEY", ""),
        ] {
            assert!(
                !has_private_key(pem(label, base64).as_bytes()),
                "{label} {base64}"
            );
        }
    }
}
