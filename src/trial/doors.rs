//! The addresses of the host, and which of their ports can be reached from here.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::letters::SUBMISSION;
use crate::check::wire::Reach;
use crate::check::{Outside, pki};
use crate::config::{Config, Ipv6Wish};
use crate::failure::{Failure, Result};
use crate::record::Name;

/// One port of one address of the host, and whether a connection from here comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// What was seen.
    pub reach: Reach,
    /// What its certificate is worth; `None`: none was seen.
    pub worth: Option<Worth>,
}

/// What a certificate is worth to those who verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It is for the host, and leads to a trusted root.
    Trusted,
    /// It would be, if its private authority's root were known here.
    Private,
    /// It is refused, for this reason.
    Refused(String),
}

impl Door {
    /// Whether it can be used.
    pub fn open(&self) -> bool {
        self.reach == Reach::Open
    }

    /// Why it cannot.
    pub fn closed(&self) -> Option<&str> {
        match &self.reach {
            Reach::Open => None,
            Reach::Refused(why) | Reach::Silent(why) | Reach::Unknown(why) => Some(why),
        }
    }
}

/// Tries ports 25, 465 and 587 of every address of the host: those that the
/// DNS says of it, and those that mail.yaml does. IPv4 comes first.
///
/// # Errors
/// When no address is known.
pub async fn ask(config: &Config, outside: &Outside) -> Result<Vec<Door>> {
    let host = config.host_name();
    let known = outside.addresses(host).await.map_err(|why| {
        Failure::new(format!("the addresses of {host} cannot be looked up"))
            .because(why)
            .hint("is `resolver` in mail.yaml, or /etc/resolv.conf, right?")
    })?;
    let addresses = addresses(config, known);
    if addresses.is_empty() {
        return Err(Failure::new(format!("{host} has no address in the DNS"))
            .hint("run `mailctl apply`: it publishes them"));
    }
    let ports = [25, SUBMISSION[0], SUBMISSION[1]];
    let places = addresses
        .into_iter()
        .flat_map(|address| ports.map(|port| (address, port)));
    let doors = places.map(|(address, port)| async move {
        let seen = outside.port(host, address, port).await;
        let chain = seen.tls.as_ref().and_then(|tls| tls.as_ref().ok());
        Door {
            address,
            port,
            reach: seen.reach.clone(),
            worth: chain.map(|tls| worth(&tls.chain, host, outside)),
        }
    });
    Ok(future::join_all(doors).await)
}

fn worth(chain: &[CertificateDer<'static>], host: &Name, outside: &Outside) -> Worth {
    let now = outside.settings.now;
    let Err(why) = pki::trusted(chain, host, outside.roots(), now) else {
        return Worth::Trusted;
    };
    // Whether all but the anchor is right: the last that was sent stands for it.
    let mut above = RootCertStore::empty();
    above.add_parsable_certificates(chain.iter().skip(1).cloned());
    let but_for_the_root = pki::trusted(chain, host, Arc::new(above), now).is_ok();
    if outside.settings.private && but_for_the_root {
        Worth::Private
    } else {
        Worth::Refused(why)
    }
}

fn addresses(config: &Config, known: Vec<IpAddr>) -> Vec<IpAddr> {
    let six = match config.host.ipv6 {
        Some(Ipv6Wish::Address(address, _)) => Some(IpAddr::from(address)),
        _ => None,
    };
    let four = config.host.ipv4.map(IpAddr::from);
    let mut addresses = known;
    addresses.extend(four.into_iter().chain(six));
    addresses.sort_by_key(|address| (address.is_ipv6(), *address));
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_zone_and_of_the_file_count_once() {
        let text = "host: {name: smtp.wac.tax, ssh: vps, ipv4: 203.0.113.7, ipv6: '2001:db8::7/64'}\n\
            dns: {provider: manual}\ndomains: {wac.tax: {users: {i: {}}}}\n";
        let config = crate::config::load::read("mail.yaml", text)
            .expect("sound")
            .config;
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let known = vec![address("2001:db8::7"), address("203.0.113.9")];
        assert_eq!(
            addresses(&config, known),
            ["203.0.113.7", "203.0.113.9", "2001:db8::7"].map(address)
        );
    }
}
