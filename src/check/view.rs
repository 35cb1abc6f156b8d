//! One domain, as all questions about it see it.

use std::net::IpAddr;
use std::sync::Arc;

use mail_auth::SpfResult;
use tokio::sync::OnceCell;

use super::expected::Expected;
use super::outside::{Looked, Outside};
use super::permitted::Identity;
use crate::record::{Name, RType};

/// One mail exchanger (RFC 5321 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange {
    /// The lowest is tried first.
    pub preference: u16,
    /// The host.
    pub host: Name,
}

/// Where a domain's mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchanges {
    /// To these, in order.
    Hosts(Vec<Exchange>),
    /// To the domain's own address, since it has no MX.
    Implicit,
    /// Nowhere: a null MX (RFC 7505).
    Null,
    /// Nowhere: neither MX nor address.
    None,
}

/// A host of the domain's mail, with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: Name,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// Whether it is an MX of the domain.
    pub receives: bool,
}

/// One domain, and what was found out about it.
pub struct View {
    /// The world.
    pub outside: Arc<Outside>,
    domain: Name,
    expected: Option<Arc<Expected>>,
    exchanges: OnceCell<Result<Exchanges, String>>,
    hosts: OnceCell<Result<Vec<Host>, String>>,
}

impl View {
    /// Nothing looked at yet.
    pub fn new(outside: Arc<Outside>, domain: Name, expected: Option<Arc<Expected>>) -> Self {
        Self {
            outside,
            domain,
            expected,
            exchanges: OnceCell::new(),
            hosts: OnceCell::new(),
        }
    }

    /// The domain.
    pub fn domain(&self) -> &Name {
        &self.domain
    }

    /// What mail.yaml says of it; `None` where it is somebody else's.
    pub fn expected(&self) -> Option<&Expected> {
        self.expected.as_deref()
    }

    /// What the resolver says of a set; asked once for all domains.
    ///
    /// # Errors
    /// Why it could not be learnt.
    pub async fn lookup(&self, name: &Name, rtype: RType) -> Looked {
        self.outside.lookup(name, rtype).await
    }

    /// Where the domain's mail goes.
    ///
    /// # Errors
    /// Why it could not be learnt.
    pub async fn exchanges(&self) -> Result<Exchanges, String> {
        let find = || async {
            let set = self.lookup(&self.domain, RType::Mx).await?;
            if !set.exists() {
                let own = self.outside.addresses(&self.domain).await?;
                return Ok(if own.is_empty() {
                    Exchanges::None
                } else {
                    Exchanges::Implicit
                });
            }
            let mut hosts: Vec<Exchange> = set.values.iter().filter_map(|v| exchange(v)).collect();
            hosts.sort();
            let null = |e: &Exchange| e.host == Name::root();
            Ok(if hosts.iter().all(null) {
                Exchanges::Null
            } else {
                Exchanges::Hosts(hosts)
            })
        };
        self.exchanges.get_or_init(find).await.clone()
    }

    /// The hosts that the domain's mail goes to and, where mail.yaml names it,
    /// the one that it comes from. A host without address is among them.
    ///
    /// # Errors
    /// Why they could not be learnt.
    pub async fn hosts(&self) -> Result<Vec<Host>, String> {
        let find = || async {
            let mut names: Vec<(Name, bool)> = match self.exchanges().await? {
                Exchanges::Hosts(hosts) => hosts
                    .into_iter()
                    .filter(|e| e.host != Name::root())
                    .map(|e| (e.host, true))
                    .collect(),
                Exchanges::Implicit => vec![(self.domain.clone(), true)],
                Exchanges::Null | Exchanges::None => Vec::new(),
            };
            if let Some(host) = self.expected().and_then(|e| e.host.clone())
                && !names.iter().any(|(name, _)| *name == host)
            {
                names.push((host, false));
            }
            let mut hosts: Vec<Host> = Vec::new();
            for (name, receives) in names {
                if !hosts.iter().any(|known| known.name == name) {
                    let addresses = self.outside.addresses(&name).await?;
                    hosts.push(Host {
                        name,
                        addresses,
                        receives,
                    });
                }
            }
            Ok(hosts)
        };
        self.hosts.get_or_init(find).await.clone()
    }

    /// Whether mail of the domain is sent from this address of this host: it
    /// is mailctl's own, or the domain's SPF record says so. A large provider's
    /// MX hosts only receive, and need no reverse name for that.
    pub async fn sends(&self, host: &Host, address: IpAddr) -> bool {
        if self
            .expected()
            .is_some_and(|e| e.host.as_ref() == Some(&host.name))
        {
            return true;
        }
        !matches!(
            self.spf(address, "postmaster").await,
            Some(SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral)
        )
    }

    /// What SPF says of mail of the domain from an address (RFC 7208), by
    /// mail-auth; `None` where it could not be evaluated now.
    pub async fn spf(&self, address: IpAddr, local: &str) -> Option<SpfResult> {
        let identity = Identity::MailFrom(local.to_owned(), self.domain.clone());
        self.outside.spf(identity, address).await
    }
}

/// `preference host`.
fn exchange(value: &str) -> Option<Exchange> {
    let (preference, host) = value.split_once(' ')?;
    Some(Exchange {
        preference: preference.parse().ok()?,
        host: Name::parse(host).ok()?,
    })
}
