//! Talking to the mail server as others do: submitting with a login over TLS
//! (RFC 6409, RFC 8314), and delivering from outside without one (RFC 5321).

mod refusal;
mod trust;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail_send::smtp::message::Parameters;
use mail_send::{Credentials, SmtpClient, SmtpClientBuilder};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

pub use self::refusal::Refusal;
use self::trust::Known;
use crate::failure::{Context, Failure, Result};
use crate::secret::Secret;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One server at one address, and who is trusted to certify it.
#[derive(Clone)]
pub struct Service {
    /// The address that is asked.
    pub address: IpAddr,
    /// The name that its certificate must have.
    pub name: String,
    /// How we call ourselves.
    pub ehlo: String,
    connector: TlsConnector,
}

/// How the session was secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// Such as `TLSv1_3`.
    pub version: String,
}

impl Service {
    /// Trusts `roots` (PEM) only.
    ///
    /// # Errors
    /// When a root cannot be read.
    pub fn new(address: IpAddr, name: &str, ehlo: &str, roots: &[u8]) -> Result<Self> {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots) {
            let root =
                root.map_err(|e| Failure::new(format!("a trust anchor cannot be read: {e:?}")))?;
            store.add(root).context("a trust anchor cannot be used")?;
        }
        Self::trusting(address, name, ehlo, Arc::new(store))
    }

    /// Trusts what `roots` lead to.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn trusting(
        address: IpAddr,
        name: &str,
        ehlo: &str,
        roots: Arc<RootCertStore>,
    ) -> Result<Self> {
        Self::knowing(address, name, ehlo, roots, Vec::new())
    }

    /// Trusts what `roots` lead to, and the server that has one of these very
    /// certificates, whoever issued it and whatever name it is for.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn knowing(
        address: IpAddr,
        name: &str,
        ehlo: &str,
        roots: Arc<RootCertStore>,
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Known::new(provider.clone(), roots, certificates);
        Self::verified_by(address, name, ehlo, provider, verifier)
    }

    /// Takes any certificate, as servers do that deliver mail (RFC 7435): only
    /// for what is no secret.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn opportunistic(address: IpAddr, name: &str, ehlo: &str) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Known::anyone(provider.clone());
        Self::verified_by(address, name, ehlo, provider, verifier)
    }

    fn verified_by(
        address: IpAddr,
        name: &str,
        ehlo: &str,
        provider: Arc<CryptoProvider>,
        verifier: Known,
    ) -> Result<Self> {
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self {
            address,
            name: name.to_owned(),
            ehlo: ehlo.to_owned(),
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    fn place(&self, port: u16) -> String {
        SocketAddr::new(self.address, port).to_string()
    }

    /// Submits a message on 465 (TLS from the start) or 587 (STARTTLS).
    ///
    /// # Errors
    /// What the server refused, at which step.
    pub async fn submit(
        &self,
        port: u16,
        login: (&str, &Secret),
        mail_from: &str,
        to: &[&str],
        message: &[u8],
    ) -> Result<Secured> {
        self.try_submit(port, login, mail_from, to, message)
            .await
            .with_context(|| format!("submitting to {} as {}", self.place(port), login.0))
    }

    /// The same, for those who judge the refusal themselves.
    ///
    /// # Errors
    /// As for [`Service::submit`].
    pub async fn try_submit(
        &self,
        port: u16,
        login: (&str, &Secret),
        mail_from: &str,
        to: &[&str],
        message: &[u8],
    ) -> Result<Secured, Refusal> {
        let place = self.place(port);
        let credentials = Credentials::Plain {
            username: login.0.to_owned(),
            secret: login.1.expose().to_owned(),
        };
        let mut builder = SmtpClientBuilder::new_with_tls_connector(
            self.name.clone(),
            port,
            self.connector.clone(),
        )
        .implicit_tls(port == 465)
        .helo_host(self.ehlo.clone())
        .credentials(credentials)
        .timeout(PATIENCE);
        builder.addr.clone_from(&place);
        let sent = hand_over(builder.connect().await?, mail_from, to, message).await;
        Ok(sent?)
    }

    /// Delivers a message as another server would, over STARTTLS.
    ///
    /// # Errors
    /// What the server refused, at which step.
    pub async fn deliver(&self, mail_from: &str, to: &[&str], message: &[u8]) -> Result<Secured> {
        self.try_deliver(mail_from, to, message)
            .await
            .with_context(|| format!("delivering to {}", self.place(25)))
    }

    /// The same, for those who judge the refusal themselves.
    ///
    /// # Errors
    /// As for [`Service::deliver`].
    pub async fn try_deliver(
        &self,
        mail_from: &str,
        to: &[&str],
        message: &[u8],
    ) -> Result<Secured, Refusal> {
        let sent = hand_over(self.open().await?, mail_from, to, message).await;
        Ok(sent?)
    }

    /// What the server answers to a stranger's RCPT TO: the reply's code and text.
    ///
    /// # Errors
    /// When the conversation does not get that far.
    pub async fn try_recipient(&self, mail_from: &str, to: &str) -> Result<(u16, String)> {
        let mut client = self
            .open()
            .await
            .with_context(|| format!("asking {} to relay", self.place(25)))?;
        client
            .mail_from(mail_from, &Parameters::default())
            .await
            .context("MAIL FROM was refused")?;
        let reply = client
            .cmd(format!("RCPT TO:<{to}>\r\n"))
            .await
            .context("no answer to RCPT TO")?;
        let _closed = client.quit().await;
        Ok((reply.code, reply.message))
    }

    async fn open(
        &self,
    ) -> mail_send::Result<SmtpClient<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>> {
        let mut builder = SmtpClientBuilder::new_with_tls_connector(
            self.name.clone(),
            25,
            self.connector.clone(),
        )
        .implicit_tls(false)
        .helo_host(self.ehlo.clone())
        .timeout(PATIENCE);
        builder.addr = self.place(25);
        builder.connect().await
    }

    /// The greeting on a port, as text.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn greeting(&self, port: u16) -> Result<String> {
        let place = SocketAddr::new(self.address, port);
        let what = || format!("connecting to {place}");
        if port == 465 {
            let name =
                rustls::pki_types::ServerName::try_from(self.name.clone()).with_context(what)?;
            let stream = tokio::net::TcpStream::connect(place)
                .await
                .with_context(what)?;
            let stream = self
                .connector
                .connect(name, stream)
                .await
                .with_context(what)?;
            return first_line(SmtpClient {
                stream,
                timeout: PATIENCE,
            })
            .await
            .with_context(what);
        }
        let client = SmtpClient::connect(place, PATIENCE)
            .await
            .with_context(what)?;
        first_line(client).await.with_context(what)
    }
}

async fn first_line<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: SmtpClient<S>,
) -> mail_send::Result<String> {
    let reply = tokio::time::timeout(PATIENCE, client.read())
        .await
        .map_err(|_| mail_send::Error::Timeout)??;
    Ok(format!("{} {}", reply.code, reply.message))
}

/// Sends one message over an open session, and closes it.
async fn hand_over(
    mut client: SmtpClient<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>,
    mail_from: &str,
    to: &[&str],
    message: &[u8],
) -> mail_send::Result<Secured> {
    let version = client.tls_connection().protocol_version();
    client.mail_from(mail_from, &Parameters::default()).await?;
    for to in to {
        client.rcpt_to(to, &Parameters::default()).await?;
    }
    client.data(message).await?;
    let _closed = client.quit().await;
    let version = version.map(|v| format!("{v:?}")).unwrap_or_default();
    Ok(Secured { version })
}
