//! What stands in a server's own certificate, and how the chain above it is signed.

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

/// Signatures that can be forged, by object identifier.
const FORGEABLE: [(&str, &str); 6] = [
    ("1.2.840.113549.1.1.2", "MD2"),
    ("1.2.840.113549.1.1.4", "MD5"),
    ("1.2.840.113549.1.1.5", "SHA-1"),
    ("1.2.840.10040.4.3", "SHA-1"),
    ("1.2.840.10045.4.1", "SHA-1"),
    ("1.3.14.3.2.29", "SHA-1"),
];

/// A key, as far as its strength goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA with so many bits.
    Rsa(usize),
    /// An elliptic curve of so many bits.
    Curve(usize),
    /// Another kind, which rustls and OpenSSL judge in the handshake.
    Other,
}

/// The first certificate of a chain, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its DNS names (RFC 6125: the subject's common name is none).
    pub names: Vec<String>,
    /// Begin of its life.
    pub from: OffsetDateTime,
    /// End of its life.
    pub until: OffsetDateTime,
    /// Its key.
    pub key: Key,
    /// The forgeable hash that it or one above it is signed with, and whose
    /// certificate that is; a root's own signature does not count.
    pub forgeable: Option<(&'static str, String)>,
}

impl Leaf {
    /// Reads it.
    ///
    /// # Errors
    /// When there is no certificate, or it is damaged.
    pub fn read(chain: &[CertificateDer<'_>]) -> Result<Self, String> {
        let first = chain.first().ok_or("the server sends no certificate")?;
        let leaf = parse(first)?;
        let time = |seconds: i64| {
            OffsetDateTime::from_unix_timestamp(seconds)
                .map_err(|_| "the certificate's life cannot be read".to_owned())
        };
        let names = leaf
            .subject_alternative_name()
            .map_err(|error| format!("the certificate's names cannot be read: {error}"))?;
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let key = match leaf.public_key().parsed() {
            Ok(PublicKey::RSA(rsa)) => Key::Rsa(rsa.key_size()),
            Ok(PublicKey::EC(point)) => Key::Curve(point.key_size()),
            _ => Key::Other,
        };
        Ok(Self {
            names: names
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                    _ => None,
                })
                .collect(),
            from: time(leaf.validity().not_before.timestamp())?,
            until: time(leaf.validity().not_after.timestamp())?,
            key,
            forgeable: chain.iter().find_map(|der| forgeable(&parse(der).ok()?)),
        })
    }
}

/// One certificate.
pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    let parsed = X509Certificate::from_der(der);
    let (_, certificate) =
        parsed.map_err(|error| format!("the certificate cannot be read: {error}"))?;
    Ok(certificate)
}

/// What people call a subject or issuer.
pub(super) fn called(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().chain(name.iter_organization());
    let text = common.filter_map(|part| part.as_str().ok()).next();
    let text = text.map_or_else(|| name.to_string(), str::to_owned);
    text.chars().filter(|c| !c.is_control()).collect()
}

fn forgeable(certificate: &X509Certificate<'_>) -> Option<(&'static str, String)> {
    if certificate.subject().as_raw() == certificate.issuer().as_raw() {
        return None;
    }
    let used = certificate.signature_algorithm.algorithm.to_id_string();
    let (_, hash) = FORGEABLE.iter().find(|(id, _)| *id == used)?;
    Some((hash, called(certificate.subject())))
}
