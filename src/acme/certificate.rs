//! A certificate as it stands on a server: when it ends, and for whom it is.

use std::collections::BTreeSet;

use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::config::CertificateKey;
use crate::failure::{Context, Failure, Result};

/// What mailctl needs to know of the first certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its DNS names, lower case.
    pub names: BTreeSet<String>,
    /// Begin of its life, in seconds since 1970.
    pub not_before: i64,
    /// End of its life, in seconds since 1970.
    pub not_after: i64,
    /// Who issued it, as a distinguished name.
    pub issuer: String,
    /// Its public key, as `openssl pkey -pubout -outform DER` prints it.
    pub spki_der: Vec<u8>,
    /// What kind of key that is; `None`: one that mailctl never orders.
    pub key: Option<CertificateKey>,
    /// Whether it names itself as issuer.
    pub self_signed: bool,
}

impl Certificate {
    /// Reads the first certificate of a PEM chain.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn parse(chain_pem: &[u8]) -> Result<Self> {
        let first = Pem::iter_from_buffer(chain_pem)
            .filter_map(std::result::Result::ok)
            .find(|block| block.label == "CERTIFICATE")
            .ok_or_else(|| Failure::new("the chain holds no certificate in PEM"))?;
        let parsed = first
            .parse_x509()
            .context("the chain's first certificate is damaged")?;
        let alternative = parsed
            .subject_alternative_name()
            .context("the certificate's alternative names are damaged")?;
        let names = alternative
            .iter()
            .flat_map(|extension| &extension.value.general_names);
        Ok(Self {
            names: names
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                    _ => None,
                })
                .collect(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            issuer: parsed.issuer().to_string(),
            spki_der: parsed.public_key().raw.to_vec(),
            key: kind(parsed.public_key()),
            self_signed: parsed.issuer().as_raw() == parsed.subject().as_raw(),
        })
    }

    /// Whether it is time for the next one: a third of its life or less is left at `now`.
    pub fn due(&self, now: i64) -> bool {
        let life = self.not_after.saturating_sub(self.not_before);
        self.not_after.saturating_sub(now).saturating_mul(3) <= life
    }

    /// Whether each name stands in it. A wildcard does not stand for the names
    /// below it: a name that was asked for shall be there itself.
    pub fn covers<S: AsRef<str>>(&self, names: impl IntoIterator<Item = S>) -> bool {
        names
            .into_iter()
            .all(|name| self.names.contains(&name.as_ref().to_ascii_lowercase()))
    }
}

fn kind(key: &SubjectPublicKeyInfo<'_>) -> Option<CertificateKey> {
    match key.parsed().ok()? {
        PublicKey::EC(point) if point.key_size() == 256 => Some(CertificateKey::P256),
        PublicKey::RSA(rsa) if rsa.key_size() == 2048 => Some(CertificateKey::Rsa2048),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    const DAY: i64 = 86_400;

    fn chain() -> (String, Vec<u8>) {
        let names = ["example.test", "*.example.test"].map(String::from);
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 4, 1);
        let key = KeyPair::generate().expect("a key");
        let leaf = params.self_signed(&key).expect("a certificate");
        let other = rcgen::generate_simple_self_signed(["other.test".to_owned()]).expect("another");
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        (
            format!("text before\n{}{}", leaf.pem(), other.cert.pem()),
            spki,
        )
    }

    #[test]
    fn the_first_of_the_chain_counts() {
        let (pem, spki) = chain();
        let seen = Certificate::parse(pem.as_bytes()).expect("a chain");
        assert_eq!(
            seen.names,
            ["*.example.test", "example.test"].map(String::from).into()
        );
        assert_eq!((seen.not_after - seen.not_before) / DAY, 90);
        assert!(seen.self_signed);
        assert_eq!(seen.spki_der, spki);
        assert_eq!(seen.key, Some(CertificateKey::P256));
        assert!(seen.covers(["Example.test"]) && seen.covers(Vec::<String>::new()));
        assert!(!seen.covers(["example.test", "smtp.example.test"]));
    }

    #[test]
    fn it_is_due_in_its_last_third() {
        let seen = Certificate::parse(chain().0.as_bytes()).expect("a chain");
        for (left, due) in [(90, false), (31, false), (30, true), (1, true), (-10, true)] {
            assert_eq!(
                seen.due(seen.not_after - left * DAY),
                due,
                "{left} days left"
            );
        }
    }

    #[test]
    fn what_is_no_certificate_is_told() {
        for text in [
            "",
            "nonsense",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(Certificate::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
