//! The domain's zone: who answers for it, whether all of them say the same,
//! and whether receivers can trust what they hear.

mod delegation;
mod dnssec;
mod seen;
mod servers;
mod soa;
mod wildcard;

use super::view::View;
use super::{Finding, Question};
use seen::Trouble;

/// The question.
pub const QUESTION: Question = Question {
    id: "zone",
    aspects: &[
        &delegation::DELEGATION,
        &servers::SERVERS,
        &servers::RESOLVER,
        &soa::SOA,
        &dnssec::DNSSEC,
        &wildcard::WILDCARD,
    ],
    ask: |view| Box::pin(ask(view)),
};

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let seen = match seen::gather(view).await {
        Ok(seen) => seen,
        Err(Trouble::Absent(closest)) => return vec![delegation::absent(domain, &closest)],
        Err(Trouble::Unknown(why)) => return vec![delegation::DELEGATION.of(domain).skip(why)],
    };
    let (signing, wildcard, remembered) = tokio::join!(
        dnssec::look(view, &seen.apex),
        wildcard::look(view),
        servers::remembered(view, &seen),
    );
    let mut findings = vec![delegation::judge(domain, &seen)];
    findings.push(servers::judge(domain, view.expected().is_some(), &seen));
    findings.extend(servers::judge_resolver(
        domain,
        view.expected().is_some(),
        &seen,
        &remembered,
    ));
    findings.extend(soa::judge(domain, &seen));
    findings.push(dnssec::judge(
        domain,
        &seen.apex,
        &signing,
        view.outside.settings.now,
    ));
    findings.extend(wildcard::judge(domain, &wildcard));
    findings
}

/// `a, b, c and 2 more`: what is long is cut for people.
fn some(all: &[String], most: usize) -> String {
    match all.len().checked_sub(most) {
        Some(more) if more > 0 => format!("{} and {more} more", all[..most].join(", ")),
        _ => all.join(", "),
    }
}

/// Used by the tests of the parts.
#[cfg(test)]
mod scene {
    use std::collections::{BTreeMap, BTreeSet};

    use super::seen::{Heard, Held, Seen, Soa, Spoken};
    use crate::dns::{Answer, Authority, Delegation};
    use crate::record::{Name, RType, Rrset, RrsetKey};

    pub fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    /// A server at `127.0.0.<last>` that says something.
    pub fn server(host: &str, last: u8, heard: Heard) -> Spoken {
        let addr = std::net::SocketAddr::from(([127, 0, 0, last], 53));
        let authority = Authority::new(name(host), addr);
        Spoken { authority, heard }
    }

    /// The zone `example.test` with two servers, this serial and this MX.
    pub fn held(serial: u32, mx: &str) -> Heard {
        let apex = name("example.test");
        let mut sets = BTreeMap::new();
        for (rtype, values) in [
            (RType::Mx, vec![mx]),
            (RType::Ns, vec!["ns1.example.test.", "ns2.example.test."]),
        ] {
            let key = RrsetKey::new(apex.clone(), rtype);
            let set = Rrset::new(key.clone(), Some(300), values);
            sets.insert(key, Answer { set, cname: None });
        }
        let soa = Soa {
            serial,
            refresh: 3600,
            expire: 86400,
            minimum: 60,
            ttl: 300,
        };
        Heard::Zone(Held { soa, sets })
    }

    /// Two servers that say these things, both delegated.
    pub fn seen(first: Heard, second: Heard) -> Seen {
        let (ns1, ns2) = (name("ns1.example.test"), name("ns2.example.test"));
        Seen {
            apex: name("example.test"),
            delegation: Ok(Some(Delegation {
                zone: name("example.test"),
                above: name("test"),
                said_by: Authority::new(name("ns.test"), ([127, 0, 0, 9], 53).into()),
                servers: BTreeSet::from([ns1, ns2]),
                glue: BTreeMap::new(),
            })),
            servers: vec![
                server("ns1.example.test", 1, first),
                server("ns2.example.test", 2, second),
            ],
            far: Vec::new(),
            homeless: Vec::new(),
            aliases: Vec::new(),
        }
    }
}
