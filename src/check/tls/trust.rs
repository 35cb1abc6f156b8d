//! Whether a chain of certificates leads to a trusted root, and where it ends otherwise.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use super::leaf::{called, parse};

/// Where a chain leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// To a trusted root; the last issuer's name.
    Rooted(String),
    /// Nowhere: the server's own certificate is signed with its own key.
    SelfSigned,
    /// Nowhere: the certificate of this issuer is not sent.
    Missing(String),
    /// To this issuer, which nobody trusts.
    Unknown(String),
    /// To an intermediate that is expired, or not valid yet.
    Outdated,
    /// It is not usable, for this reason.
    Unusable(String),
}

/// Follows a chain to `roots`, as it is at `now`. Revocation is not looked at.
pub fn follow(chain: &[CertificateDer<'_>], roots: &RootCertStore, now: OffsetDateTime) -> Trust {
    let Some((leaf, above)) = chain.split_first() else {
        return Trust::Unusable("the server sends no certificate".into());
    };
    let path = match path(chain) {
        Ok(path) => path,
        Err(reason) => return Trust::Unusable(reason),
    };
    let read = match ParsedCertificate::try_from(leaf) {
        Ok(read) => read,
        Err(error) => return Trust::Unusable(error.to_string()),
    };
    let algorithms =
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    match verify_server_cert_signed_by_trust_anchor(&read, roots, above, now, algorithms.all) {
        Ok(()) => Trust::Rooted(called(path[path.len() - 1].issuer())),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => ends(&path, roots),
        Err(Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => Trust::Outdated,
        Err(error) => Trust::Unusable(error.to_string()),
    }
}

/// The certificates from the server's own upwards, as far as they are sent.
fn path<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>, String> {
    let sent: Result<Vec<_>, _> = chain.iter().map(parse).collect();
    let mut rest = sent?;
    let mut path = vec![rest.remove(0)];
    while let Some(last) = path.last()
        && !own(last)
        && let Some(next) = rest
            .iter()
            .position(|one| one.subject().as_raw() == last.issuer().as_raw())
    {
        path.push(rest.remove(next));
    }
    Ok(path)
}

/// Why a path leads to no root.
fn ends(path: &[X509Certificate<'_>], roots: &RootCertStore) -> Trust {
    let last = &path[path.len() - 1];
    let issuer = called(last.issuer());
    if own(last) {
        return if path.len() == 1 {
            Trust::SelfSigned
        } else {
            Trust::Unknown(issuer)
        };
    }
    let known = roots.subjects().iter().any(|subject| {
        let subject: &[u8] = subject.as_ref();
        subject == last.issuer().as_raw()
    });
    if known {
        return Trust::Unusable(format!(
            "it is not signed by the {issuer} that is trusted here"
        ));
    }
    // Public authorities sign with intermediates, and say where those are found.
    if path.len() == 1 || issuer_is_public(last) {
        return Trust::Missing(issuer);
    }
    Trust::Unknown(issuer)
}

fn own(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

fn issuer_is_public(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::AuthorityInfoAccess(_)
        )
    })
}
