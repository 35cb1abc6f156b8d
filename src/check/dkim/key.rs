//! One published key (RFC 6376 section 3.6.1): whether verifiers can use it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::check::remarks::Remarks;
use crate::dkim::{refusals, tags};

/// What a key is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// Ed25519 (RFC 8463).
    Ed25519,
}

/// What a record publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A key.
    Key(Algorithm),
    /// An empty `p=`: the key is revoked.
    Revoked,
    /// Nothing that verifiers can use; the remarks say why.
    Nothing,
}

/// A record, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What it holds.
    pub holds: Holds,
    /// What is wrong with it.
    pub remarks: Remarks,
}

/// Whether a TXT value is meant to be a key at all: other records answer at
/// every name below a wildcard.
pub fn is_key(record: &str) -> bool {
    tags(record).map_or_else(
        |_| record.contains("v=DKIM1"),
        |tags| tags.contains_key("p"),
    )
}

/// Reads a record.
pub fn read(record: &str) -> Published {
    let mut remarks = Remarks::default();
    let holds = parse(record, &mut remarks).unwrap_or_else(|why| {
        remarks.fail(
            why,
            "publish the record again as the server that signs prints it",
        );
        Holds::Nothing
    });
    Published { holds, remarks }
}

fn parse(record: &str, remarks: &mut Remarks) -> Result<Holds, String> {
    let tags = tags(record)?;
    let get = |tag: &str| tags.get(tag).map(String::as_str);
    match get("v") {
        Some("DKIM1") if record.trim_start().starts_with('v') => {}
        Some("DKIM1") => remarks.warn(
            "`v=DKIM1` is not the first tag, where RFC 6376 section 3.6.1 wants it",
            "move `v=DKIM1` to the front",
        ),
        Some(other) => {
            return Err(format!(
                "`v={other}` is no version that verifiers know: DKIM1 is wanted"
            ));
        }
        None => {}
    }
    for (tag, why) in refusals(&tags) {
        remarks.fail(why, format!("take the tag {tag} out"));
    }
    if get("t").is_some_and(|flags| flags.split(':').any(|flag| flag.trim() == "y")) {
        remarks.warn(
            "`t=y` says that the domain only tests DKIM, and receivers may treat its mail as unsigned",
            "take the flag y out of the tag t",
        );
    }
    let p: String = get("p")
        .ok_or("the tag p, the key, is missing")?
        .split_whitespace()
        .collect();
    if p.is_empty() {
        return Ok(Holds::Revoked);
    }
    let key = STANDARD
        .decode(&p)
        .map_err(|e| format!("the key in p is no base64: {e}"))?;
    match get("k").unwrap_or("rsa") {
        "rsa" => rsa(&key, remarks),
        "ed25519" if key.len() == 32 => Ok(Holds::Key(Algorithm::Ed25519)),
        "ed25519" => Err(format!(
            "an Ed25519 key has 32 octets (RFC 8463 section 4), and p holds {}",
            key.len()
        )),
        other => Err(format!(
            "`k={other}` is no algorithm that verifiers know: rsa or ed25519 is wanted"
        )),
    }
}

fn rsa(der: &[u8], remarks: &mut Remarks) -> Result<Holds, String> {
    if let Ok((_, spki)) = SubjectPublicKeyInfo::from_der(der) {
        return match spki.parsed() {
            Ok(PublicKey::RSA(key)) => Ok(Holds::Key(Algorithm::Rsa(bits(&key)))),
            _ => Err("p holds a key that is not RSA".into()),
        };
    }
    let (_, key) =
        RSAPublicKey::from_der(der).map_err(|_| "p holds no RSA key, or only a part of one")?;
    remarks.warn(
        "p holds a bare RSAPublicKey, and some verifiers read only a SubjectPublicKeyInfo",
        "publish what `openssl rsa -in KEY -pubout -outform DER | base64 -w0` prints",
    );
    Ok(Holds::Key(Algorithm::Rsa(bits(&key))))
}

/// The length of the modulus.
fn bits(key: &RSAPublicKey<'_>) -> usize {
    let modulus = key.modulus;
    let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
    let first = modulus
        .get(zeros)
        .map_or(0, |octet| octet.leading_zeros() as usize);
    (modulus.len() - zeros) * 8 - first
}

#[cfg(test)]
pub(super) mod tests {
    use rsa::pkcs1::EncodeRsaPublicKey;
    use rsa::pkcs8::EncodePublicKey;

    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Warn};
    use crate::check::dkim::RECORD;

    /// A public key of so many bits; nobody knows the private one.
    fn public(bits: usize) -> rsa::RsaPublicKey {
        let mut modulus = vec![0xff; bits / 8];
        if let Some(last) = modulus.last_mut() {
            *last = 0xfd;
        }
        let modulus = rsa::BigUint::from_bytes_be(&modulus);
        rsa::RsaPublicKey::new_with_max_size(modulus, rsa::BigUint::from(65537_u32), bits)
            .expect("a key")
    }

    pub(crate) fn spki(bits: usize) -> String {
        let der = public(bits).to_public_key_der().expect("SPKI");
        STANDARD.encode(der.as_bytes())
    }

    fn judged(record: &str) -> (Holds, Verdict, String) {
        let Published { holds, remarks } = read(record);
        let finding = remarks.settle(RECORD.of("s._domainkey.a.test"), "good");
        (holds, finding.verdict, finding.found)
    }

    #[test]
    fn keys_are_read() {
        let bare = STANDARD.encode(public(2048).to_pkcs1_der().expect("PKCS#1").as_bytes());
        let ed25519 = STANDARD.encode([7; 32]);
        let rsa = |bits| Holds::Key(Algorithm::Rsa(bits));
        for (record, holds, verdict) in [
            (format!("v=DKIM1; k=rsa; p={}", spki(2048)), rsa(2048), Pass),
            (format!("p={}", spki(1024)), rsa(1024), Pass),
            (
                format!("v=DKIM1; h=sha1:sha256; s=*; t=s; n=x; p={}", spki(4096)),
                rsa(4096),
                Pass,
            ),
            (format!("v=DKIM1; k=rsa; p={bare}"), rsa(2048), Warn),
            (format!("k=rsa; p={}; v=DKIM1", spki(2048)), rsa(2048), Warn),
            (format!("v=DKIM1; t=y:s; p={}", spki(2048)), rsa(2048), Warn),
            (
                format!("v=DKIM1; h=sha1; p={}", spki(2048)),
                rsa(2048),
                Fail,
            ),
            (
                format!("v=DKIM1; s=tlsrpt; p={}", spki(2048)),
                rsa(2048),
                Fail,
            ),
            (
                format!("v=DKIM1; k=ed25519; p={ed25519}"),
                Holds::Key(Algorithm::Ed25519),
                Pass,
            ),
            ("v=DKIM1; p=".into(), Holds::Revoked, Pass),
        ] {
            let (found, judgement, text) = judged(&record);
            assert_eq!((found, judgement), (holds, verdict), "{record}: {text}");
        }
    }

    #[test]
    fn what_is_no_key_says_why() {
        let whole = spki(2048);
        for (record, part) in [
            ("v=DKIM1; k=rsa".into(), "the tag p"),
            ("v=DKIM2; p=QUJD".into(), "`v=DKIM2`"),
            ("v=DKIM1; k=dsa; p=QUJD".into(), "`k=dsa`"),
            ("v=DKIM1; k=ed25519; p=QUJD".into(), "32 octets"),
            ("v=DKIM1; p=QUJD; p=QUJD".into(), "comes twice"),
            ("v=DKIM1; p=no base64!".into(), "no base64"),
            ("v=DKIM1; p=QUJD".into(), "no RSA key"),
            // What a panel leaves that cuts values after 255 octets.
            (
                format!("v=DKIM1; k=rsa; p={}", &whole[..236]),
                "only a part",
            ),
        ] {
            let (holds, verdict, text) = judged(&record);
            assert_eq!((holds, verdict), (Holds::Nothing, Fail), "{record}");
            assert!(text.contains(part), "{text}");
        }
    }
}
