//! One port of one mail server, as a client finds it: the greeting, what EHLO
//! says before and after TLS, and how TLS is done. Asked once for all questions.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::outside::Outside;
use crate::record::Name;

/// Whether a connection comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It does.
    Open,
    /// It is refused: the host is there, and nobody listens. Says what was seen.
    Refused(String),
    /// No answer, though a server far away answers on this port over this
    /// family: so it is closed there, not here.
    Silent(String),
    /// It could not be tried from here: no route, or this port is closed to
    /// everything on the way. Says nothing about the server.
    Unknown(String),
}

/// What was found at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Whether a connection comes about.
    pub reach: Reach,
    /// The greeting's code and text, or why there is none; with TLS from the start it is the one inside.
    pub greeting: Result<(u16, String), String>,
    /// What EHLO says in the clear, a line a capability; empty where TLS comes first.
    pub clear: Vec<String>,
    /// TLS, or why it did not come about; `None`: not offered.
    pub tls: Option<Result<Tls, String>>,
    /// What EHLO says under TLS.
    pub secured: Vec<String>,
}

/// A TLS session that came about, whatever the certificate is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// The certificates as they were sent, the server's own first.
    pub chain: Vec<CertificateDer<'static>>,
}

impl Port {
    /// A port that nothing is known of, for this reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            reach: Reach::Unknown(reason.clone()),
            greeting: Err(reason),
            clear: Vec::new(),
            tls: None,
            secured: Vec::new(),
        }
    }

    /// The name that the server calls itself in its greeting (RFC 5321 section 4.2).
    pub fn greeted_name(&self) -> Option<Name> {
        let (_, text) = self.greeting.as_ref().ok()?;
        Name::parse(text.split_whitespace().next()?).ok()
    }
}

impl Outside {
    /// What is found at a port of an address, greeted as a client of `host` would.
    pub async fn port(&self, host: &Name, address: IpAddr, port: u16) -> Arc<Port> {
        let _ = (host, address, port);
        Arc::new(Port::unknown("not looked at"))
    }
}
