//! The mail server of the rest of the world: takes mail for the domains that
//! are given to it, over real SMTP (RFC 5321) with STARTTLS, and keeps it to be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::background::Background;
use super::names::far_name;
use super::network::{Network, Party};
use super::smtp::{self, Outcome, Session};
use crate::failure::{Context, Result};
use crate::record::Name;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Where the connection came from.
    pub peer: SocketAddr,
    /// The name that the client gave in EHLO or HELO.
    pub ehlo: String,
    /// The reverse-path without brackets; empty for a bounce.
    pub mail_from: String,
    /// The forward-paths without brackets.
    pub rcpt_to: Vec<String>,
    /// The TLS version, such as `TLSv1_3`; `None`: it came in the clear.
    pub tls: Option<String>,
    /// The octets between DATA and the closing dot, dot-stuffing undone.
    pub data: Vec<u8>,
    /// When it was accepted.
    pub at: SystemTime,
}

impl Received {
    /// The message as text, for looking at headers.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// The running mail server; it ends with the process that started it.
pub struct Far {
    network: Network,
    mailbox: Arc<Mailbox>,
}

impl Far {
    /// Listens on port 25 of its addresses.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(network: Network, background: &Background) -> Result<Self> {
        let mailbox = Arc::new(Mailbox::default());
        let acceptor = acceptor()?;
        let addresses: [IpAddr; 2] = [
            network.ipv4(Party::Far).into(),
            network.ipv6(Party::Far).into(),
        ];
        for ip in addresses {
            let address = SocketAddr::new(ip, 25);
            let listener = background.wait(async move {
                TcpListener::bind(address)
                    .await
                    .with_context(|| format!("cannot listen on {address}"))
            })?;
            background.spawn(listen(listener, acceptor.clone(), mailbox.clone()));
        }
        Ok(Self { network, mailbox })
    }

    /// Its address of each family.
    pub fn addresses(&self) -> [IpAddr; 2] {
        [
            self.network.ipv4(Party::Far).into(),
            self.network.ipv6(Party::Far).into(),
        ]
    }

    /// Takes mail for every address of `domain` from now on.
    pub fn accept(&self, domain: &Name) {
        self.mailbox.accept(domain);
    }

    /// Answers RCPT for `address` with `reply`, such as `452 4.2.2 mailbox full`; `None`: takes it again.
    pub fn answer(&self, address: &str, reply: Option<&str>) {
        let mut rules = self.mailbox.rules();
        let address = address.to_lowercase();
        match reply {
            Some(reply) => rules.answers.insert(address, reply.to_owned()),
            None => rules.answers.remove(&address),
        };
    }

    /// What has arrived so far, in that order.
    pub fn received(&self) -> Vec<Received> {
        self.mailbox.received()
    }

    /// Waits for the first message, also an earlier one, that `wanted` is true for.
    pub fn wait_for(
        &self,
        wanted: impl Fn(&Received) -> bool,
        limit: Duration,
    ) -> Option<Received> {
        let end = Instant::now() + limit;
        let mut messages = self.mailbox.messages();
        loop {
            if let Some(message) = messages.iter().find(|message| wanted(message)) {
                return Some(message.clone());
            }
            let left = end.checked_duration_since(Instant::now())?;
            let waited = self.mailbox.arrived.wait_timeout(messages, left);
            messages = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What the sessions share.
#[derive(Default)]
pub(super) struct Mailbox {
    rules: Mutex<Rules>,
    messages: Mutex<Vec<Received>>,
    arrived: Condvar,
}

#[derive(Default)]
struct Rules {
    domains: BTreeSet<Name>,
    answers: BTreeMap<String, String>,
}

impl Mailbox {
    /// The reply to RCPT for an address.
    pub(super) fn verdict(&self, address: &str) -> String {
        let rules = self.rules();
        if let Some(reply) = rules.answers.get(&address.to_lowercase()) {
            return reply.clone();
        }
        let domain = address
            .rsplit_once('@')
            .and_then(|(_, domain)| Name::parse(domain).ok());
        match domain {
            Some(domain) if rules.domains.contains(&domain) => "250 2.1.5 OK".into(),
            Some(_) => "550 5.7.1 no mail is relayed here".into(),
            None => "501 5.1.3 this is no address".into(),
        }
    }

    pub(super) fn accept(&self, domain: &Name) {
        self.rules().domains.insert(domain.clone());
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.messages().clone()
    }

    pub(super) fn store(&self, message: Received) {
        self.messages().push(message);
        self.arrived.notify_all();
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Received>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// STARTTLS with a certificate that nobody can verify, as on many mail servers.
fn acceptor() -> Result<TlsAcceptor> {
    let names = vec![far_name().to_string()];
    let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
        })
        .context("cannot set up TLS")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn listen(listener: TcpListener, acceptor: TlsAcceptor, mailbox: Arc<Mailbox>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(serve(stream, peer, acceptor.clone(), mailbox.clone()));
            }
            // Out of descriptors, or the peer is gone already.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// One connection. Errors end it, as the client sees for itself.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    mailbox: Arc<Mailbox>,
) -> Option<()> {
    let mut session = Session::new(peer, &mailbox);
    if let Outcome::StartTls(stream) = smtp::converse(stream, &mut session).await.ok()? {
        let stream = acceptor.accept(stream).await.ok()?;
        let version = stream.get_ref().1.protocol_version();
        let mut session = Session::new(peer, &mailbox).secured(format!("{:?}", version?));
        smtp::converse(stream, &mut session).await.ok()?;
    }
    Some(())
}
