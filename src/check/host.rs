//! The hosts of the domain's mail and their addresses, as a receiver sees
//! them when a connection comes in: reverse name, forward confirmation, EHLO name.

mod address;
mod generic;
mod greeting;
mod reverse;

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures_util::future::join_all;

use super::view::{Host, View};
use super::{Expected, Finding, Question};
use crate::record::{Name, RType};

/// The question.
pub const QUESTION: Question = Question {
    id: "host",
    aspects: &[
        &address::ADDRESS,
        &reverse::PTR,
        &reverse::CONFIRMED,
        &greeting::EHLO,
        &reverse::GENERIC,
    ],
    ask: |view| Box::pin(ask(view)),
};

/// How many reverse names of one address are followed; RFC 7208 section 4.6.4 stops there too.
const MOST: usize = 10;

/// One address, with what a receiver finds out about it.
struct Seen {
    address: IpAddr,
    /// Whether mail of the domain comes from it.
    sends: bool,
    /// Whether mailctl looks after the host.
    managed: bool,
    /// The reverse names.
    names: Result<Vec<Name>, String>,
    /// Where each of these, and the greeted name, leads to.
    leads: BTreeMap<Name, Result<Vec<IpAddr>, String>>,
    /// The name in the greeting on port 25, `None` where its first word is none.
    greeted: Result<Option<Name>, String>,
}

async fn ask(view: &View) -> Vec<Finding> {
    let hosts = match view.hosts().await {
        Ok(hosts) => hosts,
        Err(why) => return vec![address::ADDRESS.of(view.domain()).skip(why)],
    };
    let of_host = |host: Host| async move {
        let mut findings: Vec<Finding> =
            address::judge(&host, view.expected()).into_iter().collect();
        let seen = join_all(host.addresses.iter().map(|at| look(view, &host, *at))).await;
        for seen in &seen {
            findings.extend(judge(&host.name, seen));
        }
        findings
    };
    join_all(hosts.into_iter().map(of_host)).await.concat()
}

async fn look(view: &View, host: &Host, address: IpAddr) -> Seen {
    let outside = &view.outside;
    let reverse = Name::reverse(address);
    let (sends, names, port) = tokio::join!(
        view.sends(host, address),
        outside.lookup(&reverse, RType::Ptr),
        outside.port(&host.name, address, 25),
    );
    let names: Result<Vec<Name>, String> = names.map(|reply| {
        let parsed = reply.values.iter().filter_map(|v| Name::parse(v).ok());
        parsed.collect()
    });
    let greeted = match &port.greeting {
        Ok((220, _)) => Ok(port.greeted_name()),
        // 421 and 554 turn this client away (RFC 5321 section 3.1).
        Ok((code, text)) => Err(format!("{code} {text}")),
        Err(why) => Err(why.clone()),
    };
    let mut leads = BTreeMap::new();
    let reversed = names.iter().flatten();
    for name in reversed.take(MOST).chain(greeted.iter().flatten()) {
        if !leads.contains_key(name) {
            leads.insert(name.clone(), outside.addresses(name).await);
        }
    }
    Seen {
        address,
        sends,
        managed: is_own(&host.name, view.expected()),
        names,
        leads,
        greeted,
    }
}

fn is_own(host: &Name, expected: Option<&Expected>) -> bool {
    expected.is_some_and(|expected| expected.host.as_ref() == Some(host))
}

/// Everything about one address of `host`.
fn judge(host: &Name, seen: &Seen) -> Vec<Finding> {
    let mut findings = reverse::judge(host, seen);
    findings.push(greeting::judge(host, seen));
    findings
}

/// Whether a name leads to the address that was looked at.
fn leads_to(seen: &Seen, name: &Name) -> Result<bool, String> {
    match seen.leads.get(name) {
        Some(Ok(addresses)) => Ok(addresses.contains(&seen.address)),
        Some(Err(why)) => Err(why.clone()),
        None => Ok(false),
    }
}

fn joined(addresses: &[IpAddr]) -> String {
    let each: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    each.join(", ")
}

fn names_joined(names: &[Name]) -> String {
    let each: Vec<&str> = names.iter().take(MOST).map(Name::as_str).collect();
    each.join(", ")
}

/// Used by the tests of the parts.
#[cfg(test)]
mod scene {
    use super::*;
    use crate::check::Verdict::{self, Pass};

    pub fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    pub fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// A healthy sending address of `smtp.wac.tax`.
    pub fn healthy() -> Seen {
        let host = name("smtp.wac.tax");
        Seen {
            address: ip("203.0.113.7"),
            sends: true,
            managed: true,
            names: Ok(vec![host.clone()]),
            leads: BTreeMap::from([(host.clone(), Ok(vec![ip("203.0.113.7")]))]),
            greeted: Ok(Some(host)),
        }
    }

    pub fn verdicts(seen: &Seen) -> Vec<(String, Verdict)> {
        let findings = judge(&name("smtp.wac.tax"), seen);
        findings
            .into_iter()
            .map(|finding| (finding.id.replace("host.", ""), finding.verdict))
            .collect()
    }

    pub fn verdict(seen: &Seen, id: &str) -> Option<Verdict> {
        let all = verdicts(seen);
        all.iter().find(|(of, _)| of == id).map(|(_, v)| *v)
    }

    #[test]
    fn a_healthy_address_passes() {
        let all = verdicts(&healthy());
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|(_, verdict)| *verdict == Pass), "{all:?}");
    }
}
