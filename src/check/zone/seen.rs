//! What the zone above and each of the zone's servers say, asked past the resolver.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use crate::check::view::{Exchanges, View};
use crate::dns::{Answer, Authority, Delegation, Dns, Server, mnemonic};
use crate::record::{Name, RType, RrsetKey};

/// Everything that was heard about a zone.
pub struct Seen {
    /// Its apex.
    pub apex: Name,
    /// What the zone above says, or why that could not be learnt.
    pub delegation: Result<Option<Delegation>, String>,
    /// Each server at each of its addresses.
    pub servers: Vec<Spoken>,
    /// Addresses that this machine has no route to.
    pub far: Vec<(Name, IpAddr)>,
    /// Name servers without address, with what the resolver says where it fails.
    pub homeless: Vec<(Name, String)>,
    /// Name servers whose name is an alias.
    pub aliases: Vec<Name>,
}

/// One server, asked.
#[derive(Debug)]
pub struct Spoken {
    /// Which one.
    pub authority: Authority,
    /// What it says.
    pub heard: Heard,
}

/// What one server says of the zone.
#[derive(Debug)]
pub enum Heard {
    /// It has it.
    Zone(Held),
    /// It answers, and has it not (RFC 1912 section 2.8).
    Lame(String),
    /// It does not answer.
    Silent(String),
}

/// The zone as one server has it, as far as mail goes.
#[derive(Debug)]
pub struct Held {
    /// Its SOA record.
    pub soa: Soa,
    /// The sets that were asked for; what could not be learnt is left out.
    pub sets: BTreeMap<RrsetKey, Answer>,
}

/// The numbers of an SOA record that matter here (RFC 1035 section 3.3.13), in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soa {
    /// Grows with each change (RFC 1982).
    pub serial: u32,
    /// How often secondary servers look for a change.
    pub refresh: i64,
    /// After how long without contact they give the zone up.
    pub expire: i64,
    /// How long absence may be remembered (RFC 2308 section 4).
    pub minimum: u32,
    /// The record's own TTL, which bounds that.
    pub ttl: u32,
}

/// Why nothing was heard.
pub enum Trouble {
    /// The domain does not exist: this is the closest zone.
    Absent(Name),
    /// It could not be asked.
    Unknown(String),
}

impl Seen {
    /// The servers that have the zone.
    pub fn holders(&self) -> Vec<(&Authority, &Held)> {
        let held = |spoken: &'_ Spoken| matches!(spoken.heard, Heard::Zone(_));
        self.servers
            .iter()
            .filter(|spoken| held(spoken))
            .filter_map(|spoken| match &spoken.heard {
                Heard::Zone(held) => Some((&spoken.authority, held)),
                _ => None,
            })
            .collect()
    }

    /// The names in the NS set of the zone itself; none where nobody has it.
    pub fn own_names(&self) -> BTreeSet<Name> {
        let key = RrsetKey::new(self.apex.clone(), RType::Ns);
        let holders = self.holders();
        let sets = holders.iter().filter_map(|(_, held)| held.sets.get(&key));
        let values = sets.flat_map(|answer| &answer.set.values);
        values.filter_map(|value| Name::parse(value).ok()).collect()
    }

    /// Whether silence over an address family is a server's: somebody answers over it.
    pub fn family_works(&self, six: bool) -> bool {
        let zone = self.servers.iter().any(|spoken| {
            spoken.authority.addr.is_ipv6() == six && !matches!(spoken.heard, Heard::Silent(_))
        });
        let above = self.delegation.as_ref().ok().and_then(Option::as_ref);
        zone || above.is_some_and(|above| above.said_by.addr.is_ipv6() == six)
    }
}

/// Asks everybody.
pub async fn gather(view: &View) -> Result<Seen, Trouble> {
    let (dns, domain) = (&view.outside.dns, view.domain());
    let known = match dns.closest_zone(domain).await {
        Ok(closest) if !closest.as_str().contains('.') => return Err(Trouble::Absent(closest)),
        Ok(apex) => Some(apex),
        // A zone that nobody can resolve is looked at all the more.
        Err(_) => None,
    };
    if let (Some(apex), Ok(reply)) = (&known, view.lookup(domain, RType::Mx).await)
        && reply.nxdomain
    {
        return Err(Trouble::Absent(apex.clone()));
    }
    let delegation = delegation(dns, known.as_ref().unwrap_or(domain)).await;
    let apex = match (&known, &delegation) {
        (Some(apex), _) => apex.clone(),
        (None, Ok(Some(delegation))) => delegation.zone.clone(),
        (None, Ok(None)) => {
            return Err(Trouble::Unknown(format!(
                "the zone of {domain} is not known"
            )));
        }
        (None, Err(why)) => return Err(Trouble::Unknown(why.clone())),
    };
    let mut seen = Seen {
        apex,
        delegation,
        servers: Vec::new(),
        far: Vec::new(),
        homeless: Vec::new(),
        aliases: Vec::new(),
    };
    let keys = keys(view, &seen.apex, known.is_some()).await;
    let mut names: BTreeSet<Name> = BTreeSet::new();
    if let Ok(Some(delegation)) = &seen.delegation {
        names.extend(delegation.servers.iter().cloned());
    }
    if known.is_some()
        && let Ok(set) = dns
            .resolve(&RrsetKey::new(seen.apex.clone(), RType::Ns))
            .await
    {
        names.extend(
            set.values
                .iter()
                .filter_map(|value| Name::parse(value).ok()),
        );
    }
    add(view, &mut seen, &names, &keys).await;
    // Those that only the zone itself names.
    let more: BTreeSet<Name> = seen.own_names().difference(&names).cloned().collect();
    add(view, &mut seen, &more, &keys).await;
    if seen.servers.is_empty()
        && let Ok(private) = dns.authorities(&seen.apex).await
    {
        // A private world, whose resolver is the server.
        let heard = private
            .into_iter()
            .map(|server| hear(dns, server, &seen.apex, &keys));
        seen.servers = join_all(heard).await;
    }
    Ok(seen)
}

/// What the zone above the one of `name` says of it.
async fn delegation(dns: &Dns, name: &Name) -> Result<Option<Delegation>, String> {
    let mut why = format!("{name} has no zone above it");
    let mut at = name.parent();
    while let Some(parent) = at {
        match dns.closest_zone(&parent).await {
            Ok(above) => {
                return dns.delegation(name, &above).await.map_err(|e| {
                    format!("the name servers of {above} cannot be asked: {}", e.chain())
                });
            }
            Err(e) => why = e.chain(),
        }
        at = parent.parent();
    }
    Err(why)
}

/// The sets that matter for mail, as far as they are in this zone.
async fn keys(view: &View, apex: &Name, resolvable: bool) -> Vec<RrsetKey> {
    let domain = view.domain();
    let mut keys = vec![
        RrsetKey::new(apex.clone(), RType::Ns),
        RrsetKey::new(domain.clone(), RType::Mx),
        RrsetKey::new(domain.clone(), RType::Txt),
    ];
    if !resolvable {
        return keys;
    }
    let mut further = vec![(domain.child("_dmarc"), &[RType::Txt][..])];
    if let Ok(Exchanges::Hosts(hosts)) = view.exchanges().await {
        let hosts = hosts.into_iter().map(|exchange| exchange.host);
        further.extend(hosts.map(|host| (host, &[RType::A, RType::Aaaa][..])));
    }
    for (name, rtypes) in further {
        if name.is_in(apex) && view.outside.dns.zone_of(&name).await.ok().as_ref() == Some(apex) {
            keys.extend(
                rtypes
                    .iter()
                    .map(|rtype| RrsetKey::new(name.clone(), *rtype)),
            );
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

/// Asks the servers with these names.
async fn add(view: &View, seen: &mut Seen, names: &BTreeSet<Name>, keys: &[RrsetKey]) {
    let dns = &view.outside.dns;
    let glue = |name: &Name| {
        let delegation = seen.delegation.as_ref().ok().and_then(Option::as_ref);
        let glue = delegation.and_then(|delegation| delegation.glue.get(name));
        glue.cloned().unwrap_or_default()
    };
    let found = names.iter().map(|name| {
        let (glue, apex) = (glue(name), &seen.apex);
        async move {
            let (servers, alias) = tokio::join!(
                dns.servers_at(name, apex, &glue),
                view.lookup(name, RType::A)
            );
            (
                name,
                servers,
                alias.is_ok_and(|reply| reply.alias.is_some()),
            )
        }
    });
    let found = join_all(found).await;
    let mut near: Vec<Authority> = Vec::new();
    for (name, servers, alias) in found {
        if alias {
            seen.aliases.push(name.clone());
        }
        match servers {
            Ok(servers) if servers.is_empty() => {
                seen.homeless
                    .push((name.clone(), "it has no address".into()));
            }
            Ok(servers) => {
                for server in servers {
                    match server {
                        Server::Near(authority) => near.push(authority),
                        Server::Far(name, address) => seen.far.push((name, address)),
                    }
                }
            }
            Err(why) => seen.homeless.push((name.clone(), why.chain())),
        }
    }
    let heard = near
        .into_iter()
        .map(|server| hear(dns, server, &seen.apex, keys));
    let heard = join_all(heard).await;
    seen.servers.extend(heard);
}

/// Asks one server, first for the zone, then for all it holds of it.
async fn hear(dns: &Dns, authority: Authority, apex: &Name, keys: &[RrsetKey]) -> Spoken {
    let heard = match dns.raw_at(&authority, apex, RecordType::SOA).await {
        Err(why) => Heard::Silent(why.chain()),
        Ok(message) => match soa(&message, apex, authority.recursive) {
            Err(why) => Heard::Lame(why),
            Ok(soa) => {
                let asked = keys.iter().map(|key| dns.ask_whole(&authority, key));
                let answers = keys.iter().zip(join_all(asked).await);
                let answers = answers.filter_map(|(key, answer)| Some((key.clone(), answer.ok()?)));
                Heard::Zone(Held {
                    soa,
                    sets: answers.collect(),
                })
            }
        },
    };
    Spoken { authority, heard }
}

/// The SOA in an answer with authority, or why the server has not the zone.
fn soa(message: &Message, apex: &Name, recursive: bool) -> Result<Soa, String> {
    if message.metadata.response_code != ResponseCode::NoError {
        return Err(format!(
            "it answers {}",
            mnemonic(message.metadata.response_code)
        ));
    }
    if !message.metadata.authoritative && !recursive {
        return Err("it answers without authority".into());
    }
    let found = message
        .answers
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(Soa {
                serial: soa.serial,
                refresh: soa.refresh.into(),
                expire: soa.expire.into(),
                minimum: soa.minimum,
                ttl: record.ttl,
            }),
            _ => None,
        });
    found.ok_or_else(|| format!("it has no SOA record of {apex}"))
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{MessageType, OpCode};

    use super::super::scene::{held, name, seen};
    use super::*;

    #[test]
    fn a_server_without_the_zone_says_so_in_three_ways() {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        let apex = name("example.test");
        message.metadata.response_code = ResponseCode::Refused;
        assert_eq!(
            soa(&message, &apex, false),
            Err("it answers REFUSED".into())
        );
        message.metadata.response_code = ResponseCode::NoError;
        let why = soa(&message, &apex, false).expect_err("a referral");
        assert_eq!(why, "it answers without authority");
        message.metadata.authoritative = true;
        let why = soa(&message, &apex, false).expect_err("no data");
        assert!(why.contains("no SOA record"), "{why}");
    }

    #[test]
    fn a_family_works_where_somebody_answers_over_it() {
        let mut one = seen(held(1, "10 a."), Heard::Silent("silence".into()));
        assert!(one.family_works(false) && !one.family_works(true));
        one.servers.remove(0);
        // The zone above has answered over IPv4.
        assert!(one.family_works(false));
        one.delegation = Err("silence".into());
        assert!(!one.family_works(false));
    }
}
