//! TLSA records, and which certificates they are about (RFC 6698, RFC 7671).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256, Sha512};
use time::OffsetDateTime;

use crate::check::pki;
use crate::record::Name;

/// One TLSA record (RFC 6698 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tlsa {
    usage: u8,
    selector: u8,
    matching: u8,
    data: Vec<u8>,
}

/// The server's own certificate or key.
const DANE_EE: u8 = 3;
/// An authority's.
const DANE_TA: u8 = 2;

/// Why mail servers leave a record out of account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is sound, and means nothing for SMTP.
    NotForSmtp(String),
    /// It is not sound.
    Unsound(String),
}

impl Tlsa {
    /// Reads a canonical value: `usage selector matching hex`.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split_whitespace();
        let mut number = || fields.next()?.parse().ok();
        let (usage, selector, matching) = (number()?, number()?, number()?);
        let digits = fields.next().unwrap_or_default().as_bytes();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let data: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
        Some(Self {
            usage,
            selector,
            matching,
            data: data?,
        })
    }

    /// Why it does not count, where it does not.
    pub(super) fn fault(&self) -> Option<Fault> {
        let length = self.data.len();
        let unsound = |why: String| Some(Fault::Unsound(format!("`{self}`: {why}")));
        match (self.usage, self.selector, self.matching) {
            (4.., ..) => unsound(format!("there is no usage {}", self.usage)),
            (_, 2.., _) => unsound(format!("there is no selector {}", self.selector)),
            (_, _, 3..) => unsound(format!("there is no matching type {}", self.matching)),
            (_, _, 1) if length != 32 => unsound(format!("{length} octets are no SHA2-256")),
            (_, _, 2) if length != 64 => unsound(format!("{length} octets are no SHA2-512")),
            (_, _, 0) if length == 0 => unsound("there is no data".into()),
            (0 | 1, ..) => Some(Fault::NotForSmtp(format!(
                "`{self}`: usage {} is not for SMTP",
                self.usage
            ))),
            _ => None,
        }
    }

    fn selects(&self, certificate: &[u8]) -> bool {
        let selected = match self.selector {
            0 => certificate.to_vec(),
            _ => match x509_parser::parse_x509_certificate(certificate) {
                Ok((_, parsed)) => parsed.public_key().raw.to_vec(),
                Err(_) => return false,
            },
        };
        match self.matching {
            0 => selected == self.data,
            1 => Sha256::digest(&selected)[..] == self.data[..],
            _ => Sha512::digest(&selected)[..] == self.data[..],
        }
    }
}

impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        for octet in self.data.iter().take(4) {
            write!(f, "{octet:02x}")?;
        }
        f.write_str(if self.data.len() > 4 { "…" } else { "" })
    }
}

/// The records that a client goes by: where a digest is there in two lengths
/// for the same usage and selector, only the longer one (RFC 7671 section 9).
pub(super) fn strongest(usable: &[Tlsa]) -> Vec<&Tlsa> {
    let longer: BTreeSet<(u8, u8)> = usable
        .iter()
        .filter(|record| record.matching == 2)
        .map(|record| (record.usage, record.selector))
        .collect();
    let beaten =
        |record: &&Tlsa| record.matching == 1 && longer.contains(&(record.usage, record.selector));
    usable.iter().filter(|record| !beaten(record)).collect()
}

/// The first of the records that the chain is as, for a host under any of these `names`.
///
/// # Errors
/// Why none is: no record is about the chain, or the one that is about an
/// authority of it does not lead from the host to there.
pub(super) fn matching<'a>(
    records: &[&'a Tlsa],
    chain: &[CertificateDer<'static>],
    names: &[&Name],
    now: OffsetDateTime,
) -> Result<&'a Tlsa, String> {
    let mut why = "the certificate that is served is another".to_owned();
    let Some(own) = chain.first() else {
        return Err("no certificate was sent".into());
    };
    for record in records {
        match record.usage {
            // Neither name nor time count here (RFC 7672 section 3.1.1).
            DANE_EE if record.selects(own) => return Ok(record),
            DANE_TA => {
                let given = (record.selector == 0 && record.matching == 0)
                    .then(|| CertificateDer::from(record.data.clone()));
                let sent = chain.iter().skip(1).find(|issuer| record.selects(issuer));
                let Some(anchor) = sent.cloned().or(given) else {
                    continue;
                };
                match below(&anchor, chain, names, now) {
                    Ok(()) => return Ok(record),
                    Err(bad) => why = format!("`{record}` is about its issuer, but {bad}"),
                }
            }
            _ => {}
        }
    }
    Err(why)
}

fn below(
    anchor: &CertificateDer<'static>,
    chain: &[CertificateDer<'static>],
    names: &[&Name],
    now: OffsetDateTime,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    let added = roots.add(anchor.clone());
    added.map_err(|e| format!("that is no certificate: {e}"))?;
    let roots = Arc::new(roots);
    let mut last = Err("there is no name to look for".to_owned());
    for name in names {
        last = pki::trusted(chain, name, roots.clone(), now);
        if last.is_ok() {
            return Ok(());
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::pki::testing::{Authority, now};

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn tlsa(head: &str, octets: &[u8]) -> Tlsa {
        Tlsa::parse(&format!("{head} {}", hex(octets))).expect("a record")
    }

    fn spki(certificate: &[u8]) -> Vec<u8> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).expect("one");
        parsed.public_key().raw.to_vec()
    }

    fn about(
        record: &Tlsa,
        chain: &[CertificateDer<'static>],
        names: &[&str],
    ) -> Result<(), String> {
        let names: Vec<Name> = names
            .iter()
            .map(|n| Name::parse(n).expect("a name"))
            .collect();
        let names: Vec<&Name> = names.iter().collect();
        matching(&[record], chain, &names, now()).map(|_| ())
    }

    #[test]
    fn what_does_not_count_is_said() {
        let digest = [7; 32];
        for (head, octets, part) in [
            ("0 0 1", &digest[..], "usage 0 is not for SMTP"),
            ("1 1 1", &digest, "usage 1 is not for SMTP"),
            ("4 1 1", &digest, "there is no usage 4"),
            ("3 2 1", &digest, "there is no selector 2"),
            ("3 1 3", &digest, "there is no matching type 3"),
            ("3 1 1", &digest[..31], "31 octets are no SHA2-256"),
            ("3 1 2", &digest, "32 octets are no SHA2-512"),
            ("3 0 0", &[], "there is no data"),
        ] {
            let fault = tlsa(head, octets).fault().expect(part);
            let (Fault::NotForSmtp(said) | Fault::Unsound(said)) = fault;
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(tlsa("3 1 1", &digest).fault(), None);
        assert_eq!(tlsa("2 0 1", &digest).fault(), None);
        assert_eq!(tlsa("3 1 1", &digest).to_string(), "3 1 1 07070707…");
        assert_eq!(Tlsa::parse("3 1 x ab"), None);
    }

    #[test]
    fn the_longer_digest_wins() {
        let (short, long) = (tlsa("3 1 1", &[1; 32]), tlsa("3 1 2", &[2; 64]));
        let other = tlsa("2 1 1", &[3; 32]);
        let all = [short.clone(), long.clone(), other.clone()];
        assert_eq!(strongest(&all), [&long, &other]);
        assert_eq!(strongest(&all[..1]), [&short]);
    }

    #[test]
    fn the_own_certificate_needs_no_name() {
        let chain = Authority::new("one").chain(&["smtp.example.com"]);
        let own = &chain[0];
        for record in [
            tlsa("3 0 0", own),
            tlsa("3 0 1", &Sha256::digest(own)),
            tlsa("3 1 0", &spki(own)),
            tlsa("3 1 1", &Sha256::digest(spki(own))),
            tlsa("3 1 2", &Sha512::digest(spki(own))),
        ] {
            assert_eq!(
                about(&record, &chain, &["mx.other.net"]),
                Ok(()),
                "{record}"
            );
        }
        let issuer = tlsa("3 1 1", &Sha256::digest(spki(&chain[1])));
        let said = about(&issuer, &chain, &["smtp.example.com"]).expect_err("another");
        assert!(said.contains("is another"), "{said}");
        assert!(about(&issuer, &[], &["smtp.example.com"]).is_err());
    }

    #[test]
    fn an_issuer_must_be_sent_and_the_name_be_right() {
        let chain = Authority::new("one").chain(&["smtp.example.com"]);
        let record = tlsa("2 1 1", &Sha256::digest(spki(&chain[1])));
        assert_eq!(about(&record, &chain, &["smtp.example.com"]), Ok(()));
        let either = about(&record, &chain, &["mx.other.net", "smtp.example.com"]);
        assert_eq!(either, Ok(()));
        let said = about(&record, &chain, &["mx.other.net"]).expect_err("the name");
        assert!(said.contains("is for smtp.example.com only"), "{said}");
        assert!(
            about(&record, &chain[..1], &["smtp.example.com"]).is_err(),
            "not sent"
        );
        let whole = tlsa("2 0 0", &chain[1]);
        assert_eq!(about(&whole, &chain[..1], &["smtp.example.com"]), Ok(()));
        let own = tlsa("2 1 1", &Sha256::digest(spki(&chain[0])));
        assert!(
            about(&own, &chain, &["smtp.example.com"]).is_err(),
            "no issuer"
        );
    }
}
