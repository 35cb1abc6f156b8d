//! DKIM keys (RFC 6376, RFC 8301, RFC 8463): made, named, and as TXT records.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pkcs8::{LineEnding, SecretDocument};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};
use rsa::rand_core::CryptoRngCore;
use time::Date;
use zeroize::Zeroizing;

use crate::config::DkimAlgorithm;
use crate::failure::{Context, Failure, Result};
use crate::secret::Secret;

/// A fresh key: the private half for the server, the public one for the zone.
#[derive(Clone, Debug)]
pub struct DkimKey {
    /// `-----BEGIN PRIVATE KEY-----`, the only form that chasquid reads.
    pub pkcs8_pem: Secret,
    /// The TXT value at `<selector>._domainkey.<domain>`.
    pub record: String,
}

/// Makes a key; all its randomness comes from `rng`.
///
/// # Errors
/// When the generator fails, which no valid source of randomness brings about.
pub fn generate(algorithm: DkimAlgorithm, rng: &mut impl CryptoRngCore) -> Result<DkimKey> {
    match algorithm {
        DkimAlgorithm::Rsa2048 => generate_rsa(rng),
        DkimAlgorithm::Ed25519 => generate_ed25519(rng),
    }
    .context("cannot make a DKIM key")
}

fn generate_rsa(rng: &mut impl CryptoRngCore) -> Result<DkimKey> {
    let key = RsaPrivateKey::new(rng, 2048).context("RSA, 2048 bits")?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).context("PKCS#8")?;
    let spki = key.to_public_key().to_public_key_der().context("SPKI")?;
    Ok(DkimKey {
        pkcs8_pem: Secret::new(pem.as_str()),
        record: record_of_spki(spki.as_bytes())?,
    })
}

fn generate_ed25519(rng: &mut impl CryptoRngCore) -> Result<DkimKey> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    rng.fill_bytes(seed.as_mut());
    let key = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).context("Ed25519")?;
    // PKCS#8 version 1: OpenSSL 3.0 cannot read version 2, which has the public half too.
    let der = key.to_pkcs8v1().context("PKCS#8")?;
    let document = SecretDocument::try_from(der.as_ref()).context("PKCS#8")?;
    let pem = document
        .to_pem("PRIVATE KEY", LineEnding::LF)
        .context("PEM")?;
    let public = STANDARD.encode(key.public_key());
    Ok(DkimKey {
        pkcs8_pem: Secret::new(pem.as_str()),
        record: format!("v=DKIM1; k=ed25519; p={public}"),
    })
}

/// `AlgorithmIdentifier` and bit string header of an Ed25519 SPKI (RFC 8410 section 4).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017 appendix C), as DER.
const RSA_OID: [u8; 11] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
];

/// The TXT value for a public key as `openssl pkey -pubout -outform DER` prints it.
///
/// # Errors
/// When the key is neither RSA nor Ed25519.
pub fn record_of_spki(spki_der: &[u8]) -> Result<String> {
    // RFC 8463 section 4: the bare key, where RSA has its whole SPKI.
    if let Some(key) = spki_der.strip_prefix(&ED25519_SPKI)
        && key.len() == 32
    {
        return Ok(format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key)));
    }
    let is_rsa = spki_der.first() == Some(&0x30)
        && spki_der
            .windows(RSA_OID.len())
            .take(16)
            .any(|window| window == RSA_OID);
    if is_rsa {
        return Ok(format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(spki_der)));
    }
    Err(Failure::new(
        "a public key is neither RSA nor Ed25519, and DKIM knows no other",
    ))
}

/// A tag list (RFC 6376 section 3.2), which DMARC records are too: `a=b; c=d`.
/// White space around tags and values is dropped.
///
/// # Errors
/// A sentence that names the part which is no `tag=value`, or the tag that comes twice.
pub fn tags(record: &str) -> std::result::Result<BTreeMap<String, String>, String> {
    let mut tags = BTreeMap::new();
    for part in record
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (tag, value) = part
            .split_once('=')
            .ok_or_else(|| format!("`{part}` is no `tag=value`"))?;
        let (tag, value) = (tag.trim(), value.trim());
        if tags.insert(tag.to_owned(), value.to_owned()).is_some() {
            return Err(format!("the tag `{tag}` comes twice"));
        }
    }
    Ok(tags)
}

/// Why verifiers must not use a key for mail signed with SHA-256, which its
/// record may say by `h` and `s` (RFC 6376 section 6.1.2), with the tag.
pub fn refusals(tags: &BTreeMap<String, String>) -> Vec<(&'static str, String)> {
    let excludes = |tag: &str, wanted: &[&str]| {
        let list = tags.get(tag).filter(|list| {
            let mut words = list.split(':').map(str::trim);
            !words.any(|word| wanted.contains(&word))
        });
        list.cloned()
    };
    let hash = excludes("h", &["sha256"]).map(|list| {
        let why = "does not allow sha256, the only hash that verifiers accept (RFC 8301)";
        ("h", format!("`h={list}` {why}"))
    });
    let service = excludes("s", &["*", "email"])
        .map(|list| ("s", format!("`s={list}` does not allow the key for mail")));
    hash.into_iter().chain(service).collect()
}

/// Whether two TXT values publish the same key. Spacing, order and further
/// tags do not matter; a record without key is the same as none.
pub fn same_key(record_a: &str, record_b: &str) -> bool {
    match (published(record_a), published(record_b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// `k` and `p` of a record; `None` where it is no DKIM record or the key is revoked.
fn published(record: &str) -> Option<(String, String)> {
    let tags = tags(record).ok()?;
    if tags.get("v").is_some_and(|version| version != "DKIM1") {
        return None;
    }
    let key: String = tags.get("p")?.split_whitespace().collect();
    let kind = tags.get("k").map_or("rsa", String::as_str);
    (!key.is_empty()).then(|| (kind.to_owned(), key))
}

/// A selector that was never used: the algorithm's letter and the date, as
/// `s20261122` for RSA and `e20261122` for Ed25519, then with `a`, `b`, … after it.
/// A selector names one key for ever, so `taken` are all that were ever used.
pub fn selector(date: Date, algorithm: DkimAlgorithm, taken: &BTreeSet<String>) -> String {
    let letter = match algorithm {
        DkimAlgorithm::Rsa2048 => 's',
        DkimAlgorithm::Ed25519 => 'e',
    };
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let stem = format!("{letter}{year:04}{month:02}{day:02}");
    let mut name = stem.clone();
    let mut used = 0_usize;
    while taken.contains(&name) {
        name = format!("{stem}{}", letters(used));
        used += 1;
    }
    name
}

/// 0 → a, 25 → z, 26 → aa.
fn letters(mut number: usize) -> String {
    let mut text = Vec::new();
    loop {
        text.push(char::from(b"abcdefghijklmnopqrstuvwxyz"[number % 26]));
        match (number / 26).checked_sub(1) {
            Some(rest) => number = rest,
            None => return text.iter().rev().collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use rsa::rand_core::OsRng;
    use time::macros::date;

    use super::*;

    /// What the openssl program makes of a key given on its standard input.
    fn openssl(arguments: &[&str], pem: &Secret) -> Option<Vec<u8>> {
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(pem.expose().as_bytes())
            .expect("written");
        let output = child.wait_with_output().expect("openssl ends");
        assert!(
            output.status.success(),
            "openssl {arguments:?} refuses the key"
        );
        Some(output.stdout)
    }

    #[test]
    fn keys_are_read_by_openssl_and_its_public_half_is_the_record() {
        for algorithm in [DkimAlgorithm::Rsa2048, DkimAlgorithm::Ed25519] {
            let key = generate(algorithm, &mut OsRng).expect("a key");
            assert!(
                key.pkcs8_pem
                    .expose()
                    .starts_with("-----BEGIN PRIVATE KEY-----\n")
            );
            let Some(spki) = openssl(&["pkey", "-pubout", "-outform", "DER"], &key.pkcs8_pem)
            else {
                eprintln!("skipped: openssl is not installed");
                return;
            };
            openssl(&["pkey", "-check", "-noout"], &key.pkcs8_pem);
            assert_eq!(record_of_spki(&spki).expect("a record"), key.record);
            assert!(!format!("{key:?}").contains("PRIVATE"));
        }
    }

    #[test]
    fn other_public_keys_are_refused() {
        let p256 = rcgen::KeyPair::generate().expect("a key");
        assert!(record_of_spki(&rcgen::PublicKeyData::subject_public_key_info(&p256)).is_err());
        assert!(record_of_spki(b"").is_err());
    }

    #[test]
    fn equal_keys_are_written_in_many_ways() {
        for (a, b, same) in [
            ("v=DKIM1; k=rsa; p=QUJD", "v=DKIM1;k=rsa;p=QUJD", true),
            ("v=DKIM1; k=rsa; p=QUJD", "p=QU JD ; v=DKIM1", true),
            (
                "v=DKIM1; k=rsa; p=QUJD",
                "v=DKIM1; k=rsa; t=s; h=sha256; p=QUJD;",
                true,
            ),
            (
                "v=DKIM1; k=rsa; p=QUJD",
                "v=DKIM1; k=ed25519; p=QUJD",
                false,
            ),
            ("v=DKIM1; k=rsa; p=QUJD", "v=DKIM1; k=rsa; p=QUJE", false),
            ("v=DKIM1; k=rsa; p=QUJD", "v=DKIM2; k=rsa; p=QUJD", false),
            ("v=DKIM1; k=rsa; p=", "v=DKIM1; k=rsa; p=", false),
            ("v=DKIM1; p=QUJD; p=QUJD", "v=DKIM1; p=QUJD", false),
            ("nonsense", "nonsense", false),
        ] {
            assert_eq!(same_key(a, b), same, "{a} and {b}");
        }
    }

    #[test]
    fn selectors_are_dated_and_never_used_twice() {
        let day = date!(2026 - 11 - 22);
        let mut taken = BTreeSet::new();
        let mut made = Vec::new();
        for _ in 0..29 {
            let name = selector(day, DkimAlgorithm::Rsa2048, &taken);
            assert!(taken.insert(name.clone()), "{name} is new");
            made.push(name);
        }
        assert_eq!(made[..3], ["s20261122", "s20261122a", "s20261122b"]);
        assert_eq!(made[26..], ["s20261122z", "s20261122aa", "s20261122ab"]);
        assert_eq!(selector(day, DkimAlgorithm::Ed25519, &taken), "e20261122");
    }
}
