//! Who a mail server's certificate is taken from: anybody, as other servers do
//! on port 25; or the server that is known by its very certificate.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Takes a certificate that leads to a trusted root, and one that is known.
#[derive(Debug)]
pub(super) struct Known {
    /// `None`: there is nobody to trust.
    rooted: Option<Arc<WebPkiServerVerifier>>,
    known: Vec<CertificateDer<'static>>,
    anyone: bool,
    provider: Arc<CryptoProvider>,
}

impl Known {
    /// What leads to `roots`, and these certificates themselves.
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        roots: Arc<RootCertStore>,
        known: Vec<CertificateDer<'static>>,
    ) -> Self {
        let rooted = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        Self {
            rooted: rooted.ok(),
            known,
            anyone: false,
            provider,
        }
    }

    /// Every certificate: for what is no secret.
    pub(super) fn anyone(provider: Arc<CryptoProvider>) -> Self {
        Self {
            rooted: None,
            known: Vec::new(),
            anyone: true,
            provider,
        }
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The handshake proves that the other side has its key.
        if self.anyone || self.known.iter().any(|known| known == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.rooted {
            Some(rooted) => rooted.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_certificate_is_taken_and_another_is_not() {
        let certificate = |name: &str| {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]);
            made.expect("a certificate").cert.der().clone()
        };
        let (own, other) = (certificate("smtp.wac.tax"), certificate("smtp.wac.tax"));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let name = ServerName::try_from("smtp.wac.tax").expect("a name");
        let takes = |verifier: &Known, certificate: &CertificateDer<'_>| {
            let now = UnixTime::now();
            let taken = verifier.verify_server_cert(certificate, &[], &name, &[], now);
            taken.is_ok()
        };
        let mut anchors = RootCertStore::empty();
        anchors
            .add(certificate("elsewhere.example"))
            .expect("an anchor");
        for roots in [RootCertStore::empty(), anchors] {
            let known = Known::new(provider.clone(), Arc::new(roots), vec![own.clone()]);
            assert!(takes(&known, &own));
            assert!(!takes(&known, &other), "the name alone is not enough");
        }
        let anyone = Known::anyone(provider);
        assert!(takes(&anyone, &other));
    }
}
