//! What mail.yaml says of a domain, as far as receivers can see it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::dkim::signing_keys;
use crate::caa;
use crate::config::{Config, Dmarc, Ipv6Wish, Mx};
use crate::failure::Result;
use crate::record::Name;
use crate::remote::Remote;

/// What is known of a domain beforehand: from mail.yaml, and from a login.
#[derive(Clone, Default)]
pub struct Expected {
    /// The host that receives and sends.
    pub host: Option<Name>,
    /// The addresses that the host shall have, where they are known.
    pub addresses: Vec<IpAddr>,
    /// Whether the host is the domain's MX (`mx: own`).
    pub receives: bool,
    /// Whether mail never leaves over IPv6 (`ipv6: none`).
    pub no_ipv6: bool,
    /// The name of the certificate authority in CAA records, such as `letsencrypt.org`.
    pub authority: Option<String>,
    /// The names of the certificate, wildcards among them.
    pub certified: Vec<Name>,
    /// Whether SRV records for mail programs are wished for.
    pub autoconfig: bool,
    /// The DMARC record that is wished for.
    pub dmarc: Option<Dmarc>,
    /// The keys that the server signs with, selector and record; `None`: not looked at.
    pub signing: Option<Vec<(String, String)>>,
    /// The server itself, where there is a login.
    pub server: Option<Arc<dyn Remote>>,
}

impl Expected {
    /// What mail.yaml says of a domain; `None` where it is not in it.
    pub fn from_config(config: &Config, domain: &Name) -> Option<Self> {
        let (_, wish) = config.domains.iter().find(|(name, _)| name.0 == *domain)?;
        let four = config.named_ipv4().map(IpAddr::from);
        let six = match config.host.ipv6 {
            Some(Ipv6Wish::Address(address, _)) => Some(IpAddr::from(address)),
            _ => None,
        };
        let authority = caa::name_of(&config.certificates.authority);
        let certified = config.certificate_names();
        let certified = certified.iter();
        Some(Self {
            host: Some(config.host_name().clone()),
            addresses: four.into_iter().chain(six).collect(),
            receives: wish.mx == Mx::Own,
            no_ipv6: config.host.ipv6 == Some(Ipv6Wish::None),
            authority: authority.map(str::to_owned),
            certified: certified
                .filter_map(|name| Name::parse(name).ok())
                .collect(),
            autoconfig: wish.autoconfig.0,
            dmarc: Some(wish.dmarc.clone()),
            signing: None,
            server: None,
        })
    }
    /// What mail.yaml says of each of `domains` that is in it and, where there
    /// is a login, what the server says: the keys that it signs with.
    ///
    /// # Errors
    /// When the server cannot be asked, or has a file that is no key.
    pub fn of_each(
        config: &Config,
        domains: &[Name],
        server: Option<&Arc<dyn Remote>>,
    ) -> Result<BTreeMap<Name, Self>> {
        let of = |domain: &Name| Some((domain.clone(), Self::from_config(config, domain)?));
        let mut known: BTreeMap<Name, Self> = domains.iter().filter_map(of).collect();
        if let Some(server) = server {
            let names: Vec<Name> = known.keys().cloned().collect();
            let mut keys = signing_keys(server.as_ref(), &names)?;
            for (domain, expected) in &mut known {
                expected.signing = keys.remove(domain);
                expected.server = Some(server.clone());
            }
        }
        Ok(known)
    }
}
