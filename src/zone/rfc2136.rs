//! Dynamic updates (RFC 2136), signed with TSIG (RFC 8945), sent over TCP to the
//! zone's primary; what it holds is read over the same signed connection.

mod reading;
mod refusal;
mod session;
mod tsig;
mod update;

pub use tsig::Tsig;

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Record;

use self::session::Session;
use super::{Zone, alike, changed_since, inside, writers};
use crate::dns::Dns;
use crate::failure::{Exit, Failure, Result};
use crate::record::{Name, RType, Rrset, RrsetKey};

/// Its id in the catalogue.
pub const ID: &str = "rfc2136";

/// How often an update is sent: Knot answers SERVFAIL to some of a burst.
const TRIES: u32 = 6;

/// How often questions are put whose connection ends.
const READS: u32 = 3;

/// One primary that takes updates.
pub struct Rfc2136 {
    host: String,
    port: u16,
    tsig: Tsig,
    dns: Dns,
}

impl Rfc2136 {
    /// The primary at `server`: `host`, `host:port` or `[IPv6]:port`, port 53 by
    /// default. A name is looked up through `dns`.
    ///
    /// # Errors
    /// When `server` is neither.
    pub fn new(server: &str, tsig: Tsig, dns: Dns) -> Result<Self> {
        let (host, port) = host_and_port(server).ok_or_else(|| {
            Failure::new(format!("`server` of RFC 2136 is no `host:port`: {server}"))
                .exit(Exit::Unsound)
        })?;
        Ok(Self {
            host,
            port,
            tsig,
            dns,
        })
    }

    async fn session(&self) -> Result<Session> {
        let addresses = self.addresses().await?;
        let mut last = Err(Failure::new(format!(
            "the primary {} has no address",
            self.host
        )));
        for ip in addresses {
            last = Session::open(SocketAddr::new(ip, self.port), self.tsig.clone()).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// The records of each set, and the connection they came over.
    async fn read(&self, zone: &Name, keys: &[RrsetKey]) -> Result<(Session, Vec<Vec<Record>>)> {
        let mut tried = 1;
        loop {
            let mut session = self.session().await?;
            match reading::records(&mut session, zone, keys).await {
                Ok(found) => return Ok((session, found)),
                Err(_) if session.broken() && tried < READS => session::pause(tried).await,
                Err(why) => return Err(why),
            }
            tried += 1;
        }
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>> {
        if let Ok(ip) = self.host.parse() {
            return Ok(vec![ip]);
        }
        let name = Name::parse(&self.host).map_err(Failure::new)?;
        let mut found: Vec<IpAddr> = Vec::new();
        for rtype in [RType::A, RType::Aaaa] {
            let set = self
                .dns
                .resolve(&RrsetKey::new(name.clone(), rtype))
                .await?;
            found.extend(
                set.values
                    .iter()
                    .filter_map(|value| value.parse::<IpAddr>().ok()),
            );
        }
        Ok(found)
    }
}

fn host_and_port(server: &str) -> Option<(String, u16)> {
    if let Ok(addr) = server.parse::<SocketAddr>() {
        return Some((addr.ip().to_string(), addr.port()));
    }
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Some((ip.to_string(), 53));
    }
    let (host, port) = match server.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (server, 53),
    };
    Name::parse(host)
        .ok()
        .filter(|name| *name != Name::root())
        .map(|name| (name.to_string(), port))
}

#[async_trait]
impl Zone for Rfc2136 {
    fn provider(&self) -> &str {
        ID
    }

    fn guarded(&self) -> bool {
        true
    }

    /// One connection, all questions sent before the first answer is awaited.
    async fn list(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        inside(zone, keys)?;
        let (_, found) = self.read(zone, keys).await?;
        Ok(keys
            .iter()
            .zip(&found)
            .map(|(key, records)| reading::set(key, records))
            .collect())
    }

    /// One message that the server applies whole or not at all: the set is what
    /// it was (RFC 2136 section 2.4), it goes, the new one comes.
    async fn set(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
        let key = &want.key;
        inside(zone, [key])?;
        let _writer = writers::lock(zone).await;
        let mut last = Failure::new(format!(
            "{} accepts the change of {key} but does not show it",
            self.host
        ));
        for tried in 0..=TRIES {
            if tried > 1 {
                session::pause(tried).await;
            }
            // A new connection a try: the last one may be what failed.
            let (mut session, mut found) = self.read(zone, std::slice::from_ref(key)).await?;
            let found = found.remove(0);
            let seen = reading::set(key, &found);
            if alike(want, &seen) {
                return Ok(());
            }
            if !alike(before, &seen) {
                return Err(changed_since(key));
            }
            if tried == TRIES {
                break;
            }
            let message = update::replacing(zone, &found, before, want)?;
            match session.ask(message).await {
                Ok(answer) => match answer.metadata.response_code {
                    ResponseCode::NoError => {}
                    ResponseCode::ServFail => {
                        last = refusal::of_update(&session, zone, key, ResponseCode::ServFail)
                    }
                    code => return Err(refusal::of_update(&session, zone, key, code)),
                },
                Err(why) => last = why,
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_may_come_in_any_usual_form() {
        for (text, host, port) in [
            ("127.0.0.1:5353", "127.0.0.1", 5353),
            ("127.0.0.1", "127.0.0.1", 53),
            ("[2001:db8::1]:5353", "2001:db8::1", 5353),
            ("2001:db8::1", "2001:db8::1", 53),
            ("ns1.example.com", "ns1.example.com", 53),
            ("NS1.example.com.:5353", "ns1.example.com", 5353),
        ] {
            assert_eq!(host_and_port(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in ["", ":53", "ns1:0", "ns1:port", "a b"] {
            assert_eq!(host_and_port(text), None, "{text}");
        }
    }
}
