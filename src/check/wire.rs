//! One port of one mail server, as a client finds it: the greeting, what EHLO
//! says before and after TLS, and how TLS is done. Asked once for all questions.

mod hello;
mod reach;
mod secure;
mod station;
mod talk;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

pub use self::hello::{Newest, Said};
use self::reach::Control;
pub(super) use self::reach::family;
pub use self::station::Station;
pub use self::talk::{Reply, Talk};
use super::memo::Memo;
use super::outside::Outside;
use crate::record::Name;

/// The port of TLS from the start (RFC 8314 section 3.3).
pub const SUBMISSIONS: u16 = 465;

/// The port of submission with STARTTLS (RFC 6409).
pub const SUBMISSION: u16 = 587;

/// What was found out about ports already.
#[derive(Default)]
pub(super) struct Wire {
    ports: Memo<(Name, IpAddr, u16), Arc<Port>>,
    hellos: Memo<(Name, IpAddr, u16, Newest), Result<Said, String>>,
    pub(super) relays: Memo<(Name, IpAddr), super::relay::Tried>,
    pub(super) egress: Memo<Name, super::outbound::Egress>,
    /// By whether it is IPv4, and port.
    controls: Memo<(bool, u16), Control>,
    roots: OnceLock<Arc<RootCertStore>>,
}

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
    /// Where the conversation broke off, and why; not of a greeting or TLS that failed.
    pub trouble: Option<String>,
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
        Self::closed(Reach::Unknown(reason.into()))
    }

    /// A port at which nothing was said.
    pub fn closed(reach: Reach) -> Self {
        let greeting = match &reach {
            Reach::Open => "nothing was said".into(),
            Reach::Refused(reason) | Reach::Silent(reason) | Reach::Unknown(reason) => {
                reason.clone()
            }
        };
        Self {
            reach,
            greeting: Err(greeting),
            clear: Vec::new(),
            tls: None,
            secured: Vec::new(),
            trouble: None,
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
        let find = || async {
            match self.connect(address, port).await {
                Ok(talk) => Arc::new(self.converse(talk, host, port).await),
                Err(reach) => Arc::new(Port::closed(reach)),
            }
        };
        self.wire
            .ports
            .get((host.clone(), address, port), find)
            .await
    }

    /// The anchors that certificates must lead to: the platform's and
    /// [`Settings::roots`](super::Settings). Empty where the platform has none,
    /// which says nothing about any certificate.
    pub fn roots(&self) -> Arc<RootCertStore> {
        let read = || Arc::new(secure::roots(&self.settings.roots));
        self.wire.roots.get_or_init(read).clone()
    }

    async fn converse(&self, mut talk: Talk, host: &Name, port: u16) -> Port {
        let mut seen = Port::closed(Reach::Open);
        if port == SUBMISSIONS {
            match talk.secure(host).await {
                Ok((secured, tls)) => {
                    talk = secured;
                    seen.tls = Some(Ok(tls));
                }
                Err(reason) => {
                    seen.greeting = Err(reason.clone());
                    seen.tls = Some(Err(reason));
                    return seen;
                }
            }
        }
        seen.greeting = match talk.reply().await {
            Ok(reply) => Ok((reply.code, reply.text())),
            Err(reason) => Err(reason),
        };
        if !matches!(seen.greeting, Ok((220, _))) {
            return seen;
        }
        if let Err(reason) = self.introduced(talk, host, &mut seen).await {
            seen.trouble = Some(reason);
        }
        seen
    }

    /// From the first EHLO on.
    async fn introduced(&self, mut talk: Talk, host: &Name, seen: &mut Port) -> Result<(), String> {
        if seen.tls.is_some() {
            seen.secured = self.ehlo(&mut talk).await?;
            talk.quit().await;
            return Ok(());
        }
        seen.clear = self.ehlo(&mut talk).await?;
        if !offers(&seen.clear, "STARTTLS") {
            talk.quit().await;
            return Ok(());
        }
        let reply = talk.say("STARTTLS").await;
        let begun = match reply {
            Ok(reply) if reply.code == 220 => talk.secure(host).await,
            Ok(reply) => Err(format!(
                "STARTTLS is offered, and answered with {}",
                reply.told()
            )),
            Err(reason) => Err(format!(
                "STARTTLS is offered, and answered with nothing: {reason}"
            )),
        };
        match begun {
            Ok((mut secured, tls)) => {
                seen.tls = Some(Ok(tls));
                seen.secured = self.ehlo(&mut secured).await?;
                secured.quit().await;
            }
            Err(reason) => seen.tls = Some(Err(reason)),
        }
        Ok(())
    }

    /// The capabilities after EHLO (RFC 5321 section 4.1.1.1).
    pub(super) async fn ehlo(&self, talk: &mut Talk) -> Result<Vec<String>, String> {
        let reply = talk.say(&format!("EHLO {}", self.settings.ehlo)).await;
        let mut reply = reply.map_err(|reason| format!("EHLO: {reason}"))?;
        if !reply.positive() {
            return Err(format!("EHLO is answered with {}", reply.told()));
        }
        // The first line is the server's name.
        Ok(reply.lines.split_off(1))
    }
}

/// Whether a capability is among those that EHLO listed.
pub fn offers(capabilities: &[String], keyword: &str) -> bool {
    capabilities.iter().any(|line| {
        let word = line.split([' ', '=']).next();
        word.is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_words() {
        let said = ["SIZE 100", "auth=PLAIN", "XSTARTTLS"].map(str::to_owned);
        assert!(offers(&said, "SIZE") && offers(&said, "AUTH"));
        assert!(!offers(&said, "STARTTLS"));
    }

    #[test]
    fn the_name_in_the_greeting() {
        let greeted = |text: &str| Port {
            greeting: Ok((220, text.into())),
            ..Port::closed(Reach::Open)
        };
        let name = greeted("mail.example ESMTP ready").greeted_name();
        assert_eq!(name, Name::parse("mail.example").ok());
        assert_eq!(greeted("").greeted_name(), None);
    }
}
