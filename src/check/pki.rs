//! Whether a chain of certificates leads from a host to somebody who is trusted
//! (RFC 5280 section 6), for questions that are about nothing else.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use time::OffsetDateTime;

use super::fetch;
use crate::record::Name;

/// Whether the chain is good for `host` at `now`, and ends at one of `roots`.
///
/// # Errors
/// A sentence that says what is wrong, without the name.
pub fn trusted(
    chain: &[CertificateDer<'_>],
    host: &Name,
    roots: Arc<RootCertStore>,
    now: OffsetDateTime,
) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
    let verifier = verifier.map_err(|e| format!("there is nobody to trust: {e}"))?;
    let name = ServerName::try_from(host.as_str().to_owned());
    let name = name.map_err(|e| format!("`{host}` is in no certificate: {e}"))?;
    let [own, others @ ..] = chain else {
        return Err("no certificate was sent".into());
    };
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    match verifier.verify_server_cert(own, others, &name, &[], now) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InvalidCertificate(bad)) => Err(fetch::certificate(&bad)),
        Err(other) => Err(format!("the certificate is not accepted: {other}")),
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    /// An authority and what it issues.
    pub(in crate::check) struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        pub(in crate::check) fn new(name: &str) -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().expect("a key");
            Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
        }

        pub(in crate::check) fn der(&self) -> CertificateDer<'static> {
            self.0.der().clone()
        }

        pub(in crate::check) fn roots(&self) -> Arc<RootCertStore> {
            let mut roots = RootCertStore::empty();
            roots.add(self.der()).expect("an anchor");
            Arc::new(roots)
        }

        /// A chain for these names, the authority's own certificate last.
        pub(in crate::check) fn chain(&self, names: &[&str]) -> Vec<CertificateDer<'static>> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).expect("names");
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            params.not_after = rcgen::date_time_ymd(2027, 1, 1);
            let key = KeyPair::generate().expect("a key");
            let own = params.signed_by(&key, &self.0).expect("a certificate");
            vec![own.der().clone(), self.der()]
        }
    }

    pub(in crate::check) fn now() -> OffsetDateTime {
        time::macros::datetime!(2026-06-01 00:00 UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Authority, now};
    use super::*;

    #[test]
    fn name_time_and_authority_count() {
        let authority = Authority::new("one");
        let chain = authority.chain(&["smtp.example.com", "*.example.net"]);
        let verdict = |host: &str, roots, days| {
            let host = Name::parse(host).expect("a name");
            trusted(&chain, &host, roots, now() + time::Duration::days(days))
        };
        let roots = || authority.roots();
        assert_eq!(verdict("smtp.example.com", roots(), 0), Ok(()));
        assert_eq!(verdict("mx.example.net", roots(), 0), Ok(()));
        for (host, roots, days, part) in [
            (
                "a.b.example.net",
                roots(),
                0,
                "is for smtp.example.com, *.example.net only",
            ),
            ("smtp.example.com", roots(), 300, "has expired"),
            ("smtp.example.com", roots(), -300, "not valid yet"),
            (
                "smtp.example.com",
                Authority::new("two").roots(),
                0,
                "no trusted authority",
            ),
            (
                "smtp.example.com",
                Arc::new(RootCertStore::empty()),
                0,
                "nobody to trust",
            ),
        ] {
            let said = verdict(host, roots, days).expect_err(part);
            assert!(said.contains(part), "{said}");
        }
        let none = trusted(&[], &Name::root().child("a.b"), roots(), now());
        assert_eq!(none, Err("no certificate was sent".into()));
    }
}
