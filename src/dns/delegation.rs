//! What the zone above says of a zone, and every server that is named there
//! (RFC 1034 section 4.2): what a resolver finds before it asks the zone itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use futures_util::future::select_ok;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use super::{Authority, Dns, answer, exchange};
use crate::failure::{Failure, Result};
use crate::record::{Name, RType, RrsetKey, wire};

/// How many servers of the zone above are asked at once; the first answer counts.
const ASKED: usize = 4;

/// The NS set of a zone as the zone above has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The zone that is delegated.
    pub zone: Name,
    /// The zone above.
    pub above: Name,
    /// The server of the zone above that said so.
    pub said_by: Authority,
    /// The names of the zone's servers.
    pub servers: BTreeSet<Name>,
    /// Their addresses as they stand beside the delegation (RFC 9471).
    pub glue: BTreeMap<Name, BTreeSet<IpAddr>>,
}

/// One address of a name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// It can be asked.
    Near(Authority),
    /// This machine has no route to it: that says nothing about the server.
    Far(Name, IpAddr),
}

impl Dns {
    /// Whom the zone `above` delegates `name`, or a zone between the two, to;
    /// `None` where it says that there is no such zone.
    ///
    /// # Errors
    /// When no server of the zone above answers.
    pub async fn delegation(&self, name: &Name, above: &Name) -> Result<Option<Delegation>> {
        let servers = self.authorities(above).await?;
        let asked = servers.into_iter().take(ASKED).map(|server| {
            Box::pin(async move {
                let message = self.raw_at(&server, name, RecordType::NS).await?;
                answer::about_data(&message, &server.to_string(), &format!("{name} NS"))?;
                let nonsense = || Failure::new(format!("{server} answers nothing about {name}"));
                let said = said(&message, name, above).ok_or_else(nonsense)?;
                Ok::<_, Failure>(said.map(|(zone, servers, glue)| Delegation {
                    zone,
                    above: above.clone(),
                    said_by: server,
                    servers,
                    glue,
                }))
            })
        });
        let (said, _) = select_ok(asked).await?;
        Ok(said)
    }

    /// Every address of a name server, of both families, as the resolver knows
    /// them, else those of `glue`. None: it has no address.
    ///
    /// # Errors
    /// When the resolver fails, and there is no glue.
    pub async fn servers_at(
        &self,
        name: &Name,
        zone: &Name,
        glue: &BTreeSet<IpAddr>,
    ) -> Result<Vec<Server>> {
        let key = |rtype| RrsetKey::new(name.clone(), rtype);
        let (four, six) = (key(RType::A), key(RType::Aaaa));
        let (four, six) = tokio::join!(self.resolve(&four), self.resolve(&six));
        let found: Result<BTreeSet<IpAddr>> = four.and_then(|four| {
            let values = four.values.into_iter().chain(six?.values);
            Ok(values.filter_map(|value| value.parse().ok()).collect())
        });
        let addresses = match found {
            Ok(found) if !found.is_empty() => found,
            _ if !glue.is_empty() => glue.clone(),
            other => other?,
        };
        let mut servers = Vec::new();
        for address in addresses {
            servers.push(if exchange::has_route(SocketAddr::new(address, 53)) {
                Server::Near(self.asked_at(name, address, zone).await)
            } else {
                Server::Far(name.clone(), address)
            });
        }
        Ok(servers)
    }
}

type Said = (Name, BTreeSet<Name>, BTreeMap<Name, BTreeSet<IpAddr>>);

/// The NS set in an answer or a referral; `Some(None)`: there is none, and
/// `None`: the message says nothing about it.
fn said(message: &Message, name: &Name, above: &Name) -> Option<Option<Said>> {
    let below = |record: &&Record| {
        wire::from_name(&record.name)
            .is_some_and(|owner| name.is_in(&owner) && owner != *above && owner.is_in(above))
    };
    let records = message.answers.iter().chain(&message.authorities);
    let sets: Vec<&Record> = records
        .filter(|record| matches!(record.data, RData::NS(_)))
        .filter(below)
        .collect();
    let Some(zone) = sets.first().and_then(|first| wire::from_name(&first.name)) else {
        // A referral upward or sideways is no answer.
        let absent = message.metadata.response_code == ResponseCode::NXDomain
            || message
                .authorities
                .iter()
                .any(|record| matches!(record.data, RData::SOA(_)));
        return absent.then_some(None);
    };
    let servers: BTreeSet<Name> = sets
        .iter()
        .filter_map(|record| match &record.data {
            RData::NS(ns) => wire::from_name(&ns.0),
            _ => None,
        })
        .collect();
    let mut glue: BTreeMap<Name, BTreeSet<IpAddr>> = BTreeMap::new();
    for record in &message.additionals {
        let address = match &record.data {
            RData::A(four) => IpAddr::from(four.0),
            RData::AAAA(six) => IpAddr::from(six.0),
            _ => continue,
        };
        if let Some(owner) = wire::from_name(&record.name).filter(|owner| servers.contains(owner)) {
            glue.entry(owner).or_default().insert(address);
        }
    }
    Some(Some((zone, servers, glue)))
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{MessageType, OpCode};

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn record(owner: &str, rtype: RType, value: &str) -> Record {
        let owner = wire::name(&name(owner)).expect("a name");
        Record::from_rdata(owner, 300, wire::to_rdata(rtype, value).expect("data"))
    }

    fn message() -> Message {
        Message::new(1, MessageType::Response, OpCode::Query)
    }

    #[test]
    fn a_referral_names_the_zone_its_servers_and_their_addresses() {
        let mut referral = message();
        referral.authorities = vec![
            record("example.test", RType::Ns, "ns1.example.test."),
            record("example.test", RType::Ns, "ns.elsewhere.test."),
        ];
        referral.additionals = vec![
            record("ns1.example.test", RType::A, "192.0.2.1"),
            record("ns1.example.test", RType::Aaaa, "2001:db8::1"),
            record("other.test", RType::A, "192.0.2.9"),
        ];
        let (zone, servers, glue) = said(&referral, &name("mail.example.test"), &name("test"))
            .flatten()
            .expect("a delegation");
        assert_eq!(zone, name("example.test"));
        let named = [name("ns.elsewhere.test"), name("ns1.example.test")];
        assert_eq!(servers, BTreeSet::from(named));
        assert_eq!(glue.len(), 1);
        assert_eq!(glue[&name("ns1.example.test")].len(), 2);
    }

    #[test]
    fn absent_and_nonsense_are_told_apart() {
        let mut absent = message();
        absent.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(
            said(&absent, &name("example.test"), &name("test")),
            Some(None)
        );
        // A server that knows nothing of the zone above refers to the root.
        let mut upward = message();
        upward.authorities = vec![record(".", RType::Ns, "a.root.test.")];
        assert_eq!(said(&upward, &name("example.test"), &name("test")), None);
        // So does the zone above name itself.
        upward.authorities = vec![record("test", RType::Ns, "ns.test.")];
        assert_eq!(said(&upward, &name("example.test"), &name("test")), None);
    }
}
