//! Which servers answer for a zone, and where they are asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tokio::task::JoinSet;

use super::{Dns, answer, exchange};
use crate::failure::{Context, Failure, Result};
use crate::record::{Name, RType, RrsetKey};

/// One server that answers for a zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// Its name in the zone's NS set, or `resolver`.
    pub name: Name,
    /// Where it is asked.
    pub addr: SocketAddr,
    /// Whether it is a resolver standing in front of the real server: it is
    /// asked recursively, and may be as old as its cache.
    pub recursive: bool,
}

/// What a resolver is called that is authoritative for a zone itself: a private world's.
pub const PRIVATE_SERVER: &str = "resolver";

impl Authority {
    /// An authoritative server, asked without recursion.
    pub fn new(name: Name, addr: SocketAddr) -> Self {
        Self {
            name,
            addr,
            recursive: false,
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.addr)
    }
}

impl Dns {
    /// The servers that answer for the zone with apex `zone`: each of its NS
    /// set at port 53, by IPv4 where it has that, else by IPv6.
    ///
    /// Two rules make private worlds work, where a `resolver` was given with
    /// its own port: a name server at the resolver's address is the resolver,
    /// and a resolver that is authoritative for the zone is one of its servers.
    ///
    /// # Errors
    /// When no name server is left; the message says why for each.
    pub async fn authorities(&self, zone: &Name) -> Result<Vec<Authority>> {
        let find = || self.find_authorities(zone);
        self.0.authorities.get(zone, find).await
    }

    async fn find_authorities(&self, zone: &Name) -> Result<Vec<Authority>> {
        let names = self
            .resolve(&RrsetKey::new(zone.clone(), RType::Ns))
            .await?
            .values;
        let mut found = Vec::new();
        if let Some(resolver) = self.given_resolver()
            && self.is_authoritative(resolver, zone).await
        {
            found.push(Authority::new(Name::root().child(PRIVATE_SERVER), resolver));
        }
        let mut lookups = JoinSet::new();
        for name in names.iter().filter_map(|name| Name::parse(name).ok()) {
            let (dns, zone) = (self.clone(), zone.clone());
            lookups.spawn(async move { (dns.servers_named(&name, &zone).await, name) });
        }
        let (mut servers, mut refused) = (Vec::new(), Vec::new());
        while let Some(done) = lookups.join_next().await {
            match done.context("a look-up of a name server was lost")? {
                (Ok(addressed), _) => servers.extend(addressed),
                (Err(why), name) => refused.push(format!("{name}: {}", why.chain())),
            }
        }
        servers.sort_by(|a, b| (&a.name, a.addr).cmp(&(&b.name, b.addr)));
        refused.sort();
        found.extend(servers);
        let found = once_each(found);
        if found.is_empty() {
            let why = if refused.is_empty() {
                "it has no NS records".to_owned()
            } else {
                refused.join("; ")
            };
            return Err(Failure::new(format!("no name server of {zone} can be asked: {why}"))
                .hint("is the zone delegated, and do its name servers have addresses that this machine can reach?"));
        }
        Ok(found)
    }

    async fn servers_named(&self, name: &Name, zone: &Name) -> Result<Vec<Authority>> {
        let mut servers = Vec::new();
        for address in self.addresses(name).await? {
            servers.push(self.asked_at(name, address, zone).await);
        }
        Ok(servers)
    }

    /// The addresses of one family: both lead to the same server, and a machine
    /// whose IPv6 leads nowhere would otherwise wait for each of them.
    async fn addresses(&self, server: &Name) -> Result<Vec<IpAddr>> {
        let find = || self.find_addresses(server);
        self.0.servers.get(server, find).await
    }

    async fn find_addresses(&self, server: &Name) -> Result<Vec<IpAddr>> {
        let mut unreachable = Vec::new();
        for rtype in [RType::A, RType::Aaaa] {
            let set = self.resolve(&RrsetKey::new(server.clone(), rtype)).await?;
            let all = set
                .values
                .iter()
                .filter_map(|value| value.parse::<IpAddr>().ok());
            let (near, far): (Vec<_>, Vec<_>) =
                all.partition(|ip| exchange::has_route(SocketAddr::new(*ip, 53)));
            if !near.is_empty() {
                return Ok(near);
            }
            unreachable.extend(far);
        }
        match unreachable.first() {
            Some(ip) => Err(Failure::new(format!("this machine has no route to {ip}"))),
            None => Err(Failure::new("it has no address")),
        }
    }

    /// How the server at an address is asked; see [`Dns::authorities`].
    pub(super) async fn asked_at(&self, name: &Name, ip: IpAddr, zone: &Name) -> Authority {
        let usual = SocketAddr::new(ip, 53);
        let Some(resolver) = self
            .given_resolver()
            .filter(|r| r.ip() == ip && r.port() != 53)
        else {
            return Authority::new(name.clone(), usual);
        };
        if self.is_authoritative(resolver, zone).await {
            return Authority::new(name.clone(), resolver);
        }
        if self.is_authoritative(usual, zone).await {
            return Authority::new(name.clone(), usual);
        }
        Authority {
            recursive: true,
            ..Authority::new(name.clone(), resolver)
        }
    }

    /// Whether `server` answers for the zone with authority (the AA bit, RFC 1035 section 4.1.1).
    async fn is_authoritative(&self, server: SocketAddr, zone: &Name) -> bool {
        let key = RrsetKey::new(zone.clone(), RType::Soa);
        let asked = match exchange::question(&key, false) {
            Ok(question) => self.exchange(server, &question).await,
            Err(e) => Err(e),
        };
        asked.is_ok_and(|message| {
            message.metadata.authoritative && !answer::direct(&message, &key).set.values.is_empty()
        })
    }
}

/// One authority an address, the last: a name from the NS set says more than `resolver`.
fn once_each(all: Vec<Authority>) -> Vec<Authority> {
    let mut kept: Vec<Authority> = Vec::new();
    for authority in all {
        kept.retain(|known| known.addr != authority.addr);
        kept.push(authority);
    }
    kept
}
