//! What a failed request says, in words for people.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::Trouble;

pub(super) fn of(error: &reqwest::Error) -> Trouble {
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(bad)) => Trouble::Certificate(certificate(bad)),
        Some(other) => Trouble::Broken(format!("TLS does not come about: {other}")),
        None if error.is_timeout() => Trouble::Broken("the answer does not come in time".into()),
        None => Trouble::Broken(chain(error)),
    }
}

/// What is wrong with a certificate, in a sentence without its name.
pub(crate) fn certificate(bad: &CertificateError) -> String {
    match bad {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet".into()
        }
        CertificateError::UnknownIssuer => {
            "the certificate leads to no trusted authority: it is self-signed, or the chain is not sent whole".into()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            // rustls writes each as `DnsName("…")`.
            let names = presented.iter().map(|name| {
                let inner = name.split('"').nth(1);
                inner.unwrap_or(name).to_owned()
            });
            let names: Vec<String> = names.collect();
            format!("the certificate is for {} only", names.join(", "))
        }
        CertificateError::NotValidForName => "the certificate is for another name".into(),
        other => format!("the certificate is not accepted: {other}"),
    }
}

/// The TLS error among the causes. An I/O error hides what it was made from.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    if let Some(inner) = inner
        && let Some(found) = tls_error(inner)
    {
        return Some(found);
    }
    error.source().and_then(tls_error)
}

/// The causes after the first, which only repeats the URL.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut at = error.source();
    while let Some(cause) = at {
        let text = cause.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        at = cause.source();
    }
    if texts.is_empty() {
        return error.to_string();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_error_is_found_below_others() {
        let bad = || rustls::Error::InvalidCertificate(CertificateError::Expired);
        let once = io::Error::new(io::ErrorKind::InvalidData, bad());
        let twice = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, bad()));
        assert_eq!(tls_error(&once), Some(&bad()));
        assert_eq!(tls_error(&twice), Some(&bad()));
        assert_eq!(tls_error(&io::Error::other("no TLS")), None);
    }

    #[test]
    fn a_certificate_for_others_says_for_whom() {
        let bad = CertificateError::NotValidForNameContext {
            expected: "mta-sts.example.com".try_into().expect("a name"),
            presented: vec!["DnsName(\"www.example.com\")".into(), "odd".into()],
        };
        let told = certificate(&bad);
        assert_eq!(told, "the certificate is for www.example.com, odd only");
    }
}
