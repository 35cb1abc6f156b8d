//! An HTTPS server on loopback that gives every request the same answer.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A running server; it ends with this value.
pub struct Refuser {
    /// Its URL.
    pub url: String,
    /// The root its certificate is of, PEM.
    pub root_pem: Vec<u8>,
    task: JoinHandle<()>,
}

impl Drop for Refuser {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts one that answers with `status` (`429 Too Many Requests`), header lines and a body.
pub async fn start(status: &str, headers: &str, body: &str) -> Refuser {
    let files = tempfile::tempdir().expect("a directory");
    let at = |name: &str| files.path().join(name);
    super::pebble::make_ca(&at("ca.pem"), &at("server.pem"), &at("server.key"));
    let certificate = CertificateDer::from_pem_file(at("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(at("server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("https://{}/dir", listener.local_addr().expect("an address"));
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    );
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    Refuser {
        url,
        root_pem: std::fs::read(at("ca.pem")).expect("the root"),
        task,
    }
}
