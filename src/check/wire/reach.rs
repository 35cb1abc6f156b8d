//! Whether a port is closed there, or on the way from here: when nothing
//! answers, a server far away tells the one from the other.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::{Reach, Talk};
use crate::check::outside::{FAR, Outside};
use crate::record::Name;

/// The far host's submission ports are at another name of the same provider.
const FAR_SUBMISSION: &str = "smtp.gmail.com";

/// A mail server far away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) struct Far {
    /// As it is given.
    pub(in crate::check) name: String,
    /// Where it is.
    pub(in crate::check) places: Vec<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(Name),
    Address(IpAddr),
}

/// What became of trying the far host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// It answers, so the way is open.
    Answers(String),
    /// It does not answer either, so the way seems to be closed.
    Closed(String),
    /// It could not be tried.
    Untried(String),
}

impl Outside {
    /// A connection to a port, or what that says of it.
    pub(in crate::check) async fn connect(
        &self,
        address: IpAddr,
        port: u16,
    ) -> Result<Talk, Reach> {
        match Talk::open(SocketAddr::new(address, port), self.settings.patience).await {
            Ok(talk) => Ok(talk),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && port != 25 => {
                Err(refused(address, port))
            }
            Err(error) => {
                let key = (address.is_ipv4(), port);
                let control = self.wire.controls.get(key, || self.control(address, port));
                let control = control.await;
                Err(judge(address, port, &error, &control))
            }
        }
    }

    async fn control(&self, asked: IpAddr, port: u16) -> Control {
        let far = match self.far_host(port).await {
            Ok(far) => far,
            Err(reason) => return Control::Untried(reason),
        };
        let same = |place: &&SocketAddr| place.is_ipv4() == asked.is_ipv4();
        let Some(place) = far.places.iter().find(same) else {
            let family = family(asked);
            return Control::Untried(format!("{} has no {family} address to try", far.name));
        };
        match Talk::open(*place, self.settings.patience).await {
            Ok(_) => Control::Answers(format!("{} does answer", far.name)),
            Err(_) => Control::Closed(format!("{} does not answer either", far.name)),
        }
    }

    /// The far host, where it is to be tried on `port` unless it has one of its own.
    ///
    /// # Errors
    /// When it is not found.
    pub(in crate::check) async fn far_host(&self, port: u16) -> Result<Far, String> {
        let name = match self.settings.far.as_str() {
            FAR if port != 25 => FAR_SUBMISSION,
            far => far,
        };
        let (host, own) = parse(name).ok_or_else(|| format!("`{name}` is no host and port"))?;
        let addresses = match host {
            Host::Address(address) => vec![address],
            Host::Name(host) => {
                let addresses = self.addresses(&host).await;
                addresses.map_err(|reason| format!("{name} is not found: {reason}"))?
            }
        };
        let place = |address| SocketAddr::new(address, own.unwrap_or(port));
        Ok(Far {
            name: name.to_owned(),
            places: addresses.into_iter().map(place).collect(),
        })
    }
}

fn refused(address: IpAddr, port: u16) -> Reach {
    Reach::Refused(format!("{} refuses connections", at(address, port)))
}

/// What a connection that did not come about says, given what became of the far host.
fn judge(address: IpAddr, port: u16, error: &io::Error, control: &Control) -> Reach {
    let place = at(address, port);
    let family = family(address);
    match (error.kind(), control) {
        // Where connections to port 25 are refused on the way, they are to all.
        (io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut, Control::Closed(reason)) => {
            Reach::Unknown(format!(
                "port {port} seems to be closed on the way from here over {family}: {reason}"
            ))
        }
        (io::ErrorKind::ConnectionRefused, _) => refused(address, port),
        (io::ErrorKind::TimedOut, Control::Answers(far)) => {
            Reach::Silent(format!("no answer from {place}, while {far}"))
        }
        (_, Control::Answers(far)) => Reach::Silent(format!("{place}: {error}, while {far}")),
        (io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable, _) => {
            Reach::Unknown(format!("there is no way out over {family} from here"))
        }
        (_, Control::Closed(reason) | Control::Untried(reason)) => Reach::Unknown(format!(
            "{place} cannot be reached from here: {error}; {reason}"
        )),
    }
}

fn at(address: IpAddr, port: u16) -> String {
    SocketAddr::new(address, port).to_string()
}

pub(in crate::check) fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// `host`, `host:port`, an address, or `[address]:port`.
fn parse(text: &str) -> Option<(Host, Option<u16>)> {
    if let Ok(address) = text.parse() {
        return Some((Host::Address(address), None));
    }
    if let Ok(place) = text.parse::<SocketAddr>() {
        return Some((Host::Address(place.ip()), Some(place.port())));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    Some((Host::Name(Name::parse(host).ok()?), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kind: io::ErrorKind, control: &Control) -> Reach {
        let address = IpAddr::from([203, 0, 113, 7]);
        judge(address, 25, &io::Error::from(kind), control)
    }

    #[test]
    fn silence_counts_only_where_the_far_host_answers() {
        let answers = Control::Answers("far.example does answer".into());
        let closed = Control::Closed("far.example does not answer either".into());
        assert_eq!(
            judged(io::ErrorKind::TimedOut, &answers),
            Reach::Silent("no answer from 203.0.113.7:25, while far.example does answer".into())
        );
        assert_eq!(
            judged(io::ErrorKind::TimedOut, &closed),
            Reach::Unknown(
                "port 25 seems to be closed on the way from here over IPv4: far.example does not answer either"
                    .into()
            )
        );
        assert_eq!(
            judged(io::ErrorKind::NetworkUnreachable, &closed),
            Reach::Unknown("there is no way out over IPv4 from here".into())
        );
        assert!(matches!(
            judged(io::ErrorKind::HostUnreachable, &answers),
            Reach::Silent(_)
        ));
    }

    #[test]
    fn a_refusal_counts_unless_everybody_refuses() {
        let refuses = Reach::Refused("203.0.113.7:25 refuses connections".into());
        let refused = |control| judged(io::ErrorKind::ConnectionRefused, &control);
        assert_eq!(refused(Control::Answers("x does answer".into())), refuses);
        assert_eq!(
            refused(Control::Untried("x is not found: NXDOMAIN".into())),
            refuses
        );
        assert!(matches!(
            refused(Control::Closed("x does not answer either".into())),
            Reach::Unknown(_)
        ));
    }

    #[test]
    fn far_hosts() {
        let named = |text| Name::parse(text).map(Host::Name).expect("a name");
        assert_eq!(parse("mx.example"), Some((named("mx.example"), None)));
        assert_eq!(
            parse("mx.example:26"),
            Some((named("mx.example"), Some(26)))
        );
        let six: IpAddr = "2001:db8::1".parse().expect("an address");
        assert_eq!(parse("2001:db8::1"), Some((Host::Address(six), None)));
        assert_eq!(
            parse("[2001:db8::1]:26"),
            Some((Host::Address(six), Some(26)))
        );
        assert_eq!(parse("mx.example:x"), None);
    }
}
