//! Certificates with a fault, made by an authority that the check trusts.

use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SignatureAlgorithm,
};
use time::{Duration, OffsetDateTime};

/// An authority with an intermediate one below it.
pub struct Ca {
    /// Its trust anchor.
    pub root: String,
    intermediate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Who the authorities say that they are: CAA is judged by the issuer's name,
/// so this is one that has records.
const ORGANISATION: &str = "Let's Encrypt";

/// A chain and its key, in PEM.
pub struct Made {
    pub chain: String,
    pub key: String,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let key = || KeyPair::generate().expect("a key");
        let root = authority(&format!("{name} root"));
        let root_key = key();
        let root_pem = root.self_signed(&root_key).expect("a root").pem();
        let root = Issuer::new(root, root_key);
        let (below, below_key) = (authority(&format!("{name} intermediate")), key());
        let intermediate = below.signed_by(&below_key, &root).expect("one below");
        Self {
            root: root_pem,
            intermediate: intermediate.pem(),
            issuer: Issuer::new(below, below_key),
        }
    }

    /// A certificate as the lines of a `certificate` block say, in `directory` for the moment.
    pub fn make(&self, directory: &Path, usual: &[&str], lines: &str) -> Made {
        let mut names: Vec<String> = usual.iter().map(|name| (*name).to_owned()).collect();
        let (mut from, mut until) = (-30, 60);
        let (mut issuer, mut key) = ("known", "p256");
        for line in lines.lines() {
            let (word, rest) = line.split_once(' ').expect("a word and its value");
            match word {
                "names" => names = rest.split(' ').map(str::to_owned).collect(),
                "from" => from = rest.parse().expect("days"),
                "until" => until = rest.parse().expect("days"),
                "issuer" => issuer = rest,
                "key" => key = rest,
                other => panic!("a certificate has no `{other}`"),
            }
        }
        let mut params = CertificateParams::new(names).expect("names");
        let now = OffsetDateTime::now_utc();
        params.not_before = now + Duration::days(from);
        params.not_after = now + Duration::days(until);
        let key = Key::new(key, directory);
        let stranger;
        let (leaf, chain) = match issuer {
            "known" => (
                params.signed_by(&key, &self.issuer),
                Some(&self.intermediate),
            ),
            "hidden" => (params.signed_by(&key, &self.issuer), None),
            "self" => {
                let own = KeyPair::from_pem(&key.pem).expect("a key that signs");
                (params.self_signed(&own), None)
            }
            "stranger" => {
                stranger = Ca::new("a stranger's");
                (
                    params.signed_by(&key, &stranger.issuer),
                    Some(&stranger.intermediate),
                )
            }
            other => panic!("no issuer `{other}`"),
        };
        let mut chain_pem = leaf.expect("a certificate").pem();
        chain_pem.extend(chain.map(String::as_str));
        Made {
            chain: chain_pem,
            key: key.pem,
        }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, ORGANISATION);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A server's key: by openssl where it is one that nobody should have.
struct Key {
    pem: String,
    public: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl Key {
    fn new(kind: &str, directory: &Path) -> Self {
        if kind == "p256" {
            let pair = KeyPair::generate().expect("a key");
            return Self {
                pem: pair.serialize_pem(),
                public: pair.der_bytes().to_vec(),
                algorithm: pair.algorithm(),
            };
        }
        let bits = kind.strip_prefix("rsa").expect("p256 or rsaBITS");
        let path: PathBuf = directory.join("made.key");
        openssl(&[&"genrsa", &"-out", &path, &bits]);
        let public = openssl(&[
            &"rsa",
            &"-in",
            &path,
            &"-RSAPublicKey_out",
            &"-outform",
            &"DER",
        ]);
        let pem = std::fs::read_to_string(&path).expect("a key");
        std::fs::remove_file(&path).expect("removed");
        Self {
            pem,
            public,
            algorithm: &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

fn openssl(args: &[&dyn AsRef<std::ffi::OsStr>]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(args.iter().map(|a| a.as_ref()))
        .output();
    let output = output.expect("openssl");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}
