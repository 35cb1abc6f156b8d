//! The hosts of the domain's mail and their addresses, as a receiver sees
//! them when a connection comes in: reverse name, forward confirmation, EHLO name.

mod generic;

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures_util::future::join_all;

use super::view::{Host, View};
use super::{Aspect, Expected, Finding, Question};
use crate::record::{Name, RType};
use generic::{Trait, generic};

/// The question.
pub const QUESTION: Question = Question {
    id: "host",
    aspects: &[&ADDRESS, &PTR, &CONFIRMED, &EHLO, &GENERIC],
    ask: |view| Box::pin(ask(view)),
};

const ADDRESS: Aspect = Aspect {
    id: "host.address",
    wanted: "the addresses of the server, and no others",
    why: "Mail comes to these addresses, and the forward confirmation of each sending address ends at them (Gmail 550-5.7.25).",
};

const PTR: Aspect = Aspect {
    id: "host.ptr",
    wanted: "exactly one reverse name for a sending address",
    why: "Gmail refuses mail from an address without reverse name (421-4.7.23, 550-5.7.25; over IPv6 always), and so do many others.",
};

const CONFIRMED: Aspect = Aspect {
    id: "host.confirmed",
    wanted: "a reverse name that leads back to the address",
    why: "A reverse name counts only where its A or AAAA record is the address again: else Gmail answers 550-5.7.25, and others take the name for forged.",
};

const EHLO: Aspect = Aspect {
    id: "host.ehlo",
    wanted: "a greeting with the host's name, which is the reverse name and leads to the address",
    why: "Receivers compare the name that a server calls itself with its reverse name (RFC 5321 section 4.1.4). Gmail and Outlook distrust a name that does not lead to the address, filters score it as forged.",
};

const GENERIC: Aspect = Aspect {
    id: "host.generic",
    wanted: "a reverse name that somebody chose",
    why: "Names as providers make them for all customers look like home computers: blocklists of policy and many receivers refuse them (550 5.7.1).",
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
        Err(why) => return vec![ADDRESS.of(view.domain()).skip(why)],
    };
    let of_host = |host: Host| async move {
        let mut findings: Vec<Finding> = address(&host, view.expected()).into_iter().collect();
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

fn address(host: &Host, expected: Option<&Expected>) -> Option<Finding> {
    let own = expected.filter(|_| is_own(&host.name, expected));
    let about = ADDRESS.of(&host.name);
    if host.addresses.is_empty() {
        // Of a host that only receives, `mx.address` has said it.
        return own.map(|_| {
            about.fail(
                "no A or AAAA record",
                format!(
                    "publish the addresses of {}; `mailctl apply` does",
                    host.name
                ),
            )
        });
    }
    let found = joined(&host.addresses);
    if let Some(expected) = own {
        // What mail.yaml leaves open is not judged, and so is a family of which it says nothing.
        let known = |six: bool| expected.addresses.iter().any(|a| a.is_ipv6() == six);
        let missing: Vec<String> = expected
            .addresses
            .iter()
            .filter(|address| !host.addresses.contains(address))
            .map(|address| format!("{address} is missing"))
            .collect();
        let foreign: Vec<String> = host
            .addresses
            .iter()
            .filter(|a| known(a.is_ipv6()) && !expected.addresses.contains(a))
            .map(|address| format!("{address} is not the server's"))
            .collect();
        let wrong = [missing, foreign].concat();
        let about = about.clone();
        if !wrong.is_empty() {
            return Some(about.wanting(joined(&expected.addresses)).fail(
                wrong.join(", "),
                "`mailctl apply` publishes what mail.yaml says; correct `host.ipv4` and `host.ipv6` where that is wrong",
            ));
        }
        if expected.no_ipv6 && host.addresses.iter().any(IpAddr::is_ipv6) {
            return Some(about.wanting("no AAAA record").warn(
                format!("{found}, though mail.yaml says `ipv6: none`"),
                "remove the AAAA record: senders try it first, and wait",
            ));
        }
    }
    if host.addresses.iter().all(IpAddr::is_ipv6) {
        return Some(about.warn(
            format!("{found}: IPv6 only"),
            "add an IPv4 address: most senders cannot reach a host without one",
        ));
    }
    Some(about.pass(found))
}

/// Everything about one address of `host`.
fn judge(host: &Name, seen: &Seen) -> Vec<Finding> {
    let mut findings = vec![ptr(host, seen)];
    if seen.names.as_ref().is_ok_and(|names| !names.is_empty()) {
        findings.push(confirmed(host, seen));
        findings.push(looks(seen));
    }
    findings.push(ehlo(host, seen));
    findings
}

fn ptr(host: &Name, seen: &Seen) -> Finding {
    let about = PTR.of(seen.address);
    let names = match &seen.names {
        Ok(names) => names,
        Err(why) => return about.skip(why),
    };
    match &names[..] {
        [] if seen.sends => about.fail(
            format!("no reverse name for {}, an address of {host}", seen.address),
            format!(
                "set the PTR record of {} to {host} at the provider of the server{}",
                seen.address,
                if seen.address.is_ipv6() {
                    "; where it cannot, say `ipv6: none` in mail.yaml"
                } else {
                    ""
                }
            ),
        ),
        [] => about.pass("none, and none is needed: it only receives"),
        [only] => about.pass(only.to_string()),
        several => about.warn(
            format!("{} reverse names: {}", several.len(), names_joined(several)),
            format!("leave only {host}: receivers take one of them, and not always the same"),
        ),
    }
}

fn confirmed(host: &Name, seen: &Seen) -> Finding {
    let about = CONFIRMED.of(seen.address);
    let names = seen.names.as_deref().unwrap_or_default();
    let back = |name: &&Name| leads_to(seen, name) == Ok(true);
    if let Some(name) = names.iter().find(back) {
        return about.pass(format!("{name} is {} again", seen.address));
    }
    if let Some(why) = names.iter().find_map(|name| leads_to(seen, name).err()) {
        return about.skip(why);
    }
    let found: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| match seen.leads.get(name) {
            Some(Ok(at)) if !at.is_empty() => format!("{name} leads to {}", joined(at)),
            _ => format!("{name} has no address"),
        })
        .collect();
    let found = found.join(", ");
    if seen.sends {
        let fix = format!(
            "set the PTR record of {} to {host}, or publish {} for the name that it has",
            seen.address, seen.address
        );
        about.fail(found, fix)
    } else {
        about.warn(found, "let the reverse name lead back to the address")
    }
}

fn ehlo(host: &Name, seen: &Seen) -> Finding {
    let about = EHLO.of(seen.address);
    let greeted = match &seen.greeted {
        Ok(Some(name)) if name.as_str().contains('.') => name,
        Ok(other) => {
            let word = other.as_ref().map_or("no name", Name::as_str);
            let found = format!("the greeting begins with {word}, which is no host name");
            let fix = format!("let the server greet as {host}, and say EHLO so");
            return match (seen.managed, seen.sends) {
                (true, _) => about.fail(found, fix),
                (_, true) => about.warn(found, fix),
                _ => about.pass(format!("{found}; it only receives")),
            };
        }
        Err(why) => return about.skip(format!("no greeting was seen: {why}")),
    };
    let here = match leads_to(seen, greeted) {
        Ok(here) => here,
        Err(why) => return about.skip(why),
    };
    // Where there is no reverse name, or none could be learnt, `host.ptr` has said so.
    let reversed = match &seen.names {
        Ok(names) if !names.is_empty() => names.contains(greeted),
        _ => true,
    };
    if here && (reversed || !seen.sends) && (greeted == host || !seen.managed) {
        return about.pass(greeted.to_string());
    }
    let mut found = format!("it greets as {greeted}");
    if !here {
        found.push_str(&format!(", which does not lead to {}", seen.address));
    } else if !reversed {
        found.push_str(", which is not the reverse name");
    } else {
        found.push_str(&format!(", not as {host}"));
    }
    if !seen.sends {
        // What large providers call the machine behind the name is their own affair.
        return about.pass(format!("{found}; it only receives"));
    }
    if !seen.managed && akin(greeted, host) {
        // They greet with one name for all their machines, and may send with others.
        return about.pass(format!("{found}; a name of the same provider"));
    }
    let fix = format!(
        "let greeting, EHLO name, PTR record and A or AAAA record all say {host}, as `hostname` in the server's configuration does"
    );
    if seen.managed && !here {
        about.fail(found, fix)
    } else {
        about.warn(found, fix)
    }
}

fn looks(seen: &Seen) -> Finding {
    let about = GENERIC.of(seen.address);
    let names = seen.names.as_deref().unwrap_or_default();
    let given_away = names
        .iter()
        .find_map(|name| Some((name, generic(name, seen.address)?)));
    let Some((name, way)) = given_away else {
        return about.pass(names_joined(names));
    };
    let found = match &way {
        Trait::Dynamic(word) => format!("{name} says `{word}`: a line whose address changes"),
        Trait::Address => format!("{name} holds the address"),
        Trait::Numbered(word) => format!("{name} says `{word}` and a number: one of many"),
    };
    if !seen.sends {
        return about.pass(format!("{found}; it only receives"));
    }
    let fix = "set the PTR record to the host's own name at the provider of the server";
    match way {
        Trait::Dynamic(_) => about.fail(found, fix),
        Trait::Address | Trait::Numbered(_) => about.warn(found, fix),
    }
}

/// Whether two names have their last two labels in common.
fn akin(one: &Name, other: &Name) -> bool {
    let tail = |name: &Name| -> Vec<String> {
        let labels = name.as_str().rsplit('.').take(2);
        labels.map(str::to_owned).collect()
    };
    tail(one) == tail(other)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// A healthy sending address of `smtp.wac.tax`.
    fn healthy() -> Seen {
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

    fn verdicts(seen: &Seen) -> Vec<(String, Verdict)> {
        let findings = judge(&name("smtp.wac.tax"), seen);
        findings
            .into_iter()
            .map(|finding| (finding.id.replace("host.", ""), finding.verdict))
            .collect()
    }

    fn verdict(seen: &Seen, id: &str) -> Option<Verdict> {
        let all = verdicts(seen);
        all.iter().find(|(of, _)| of == id).map(|(_, v)| *v)
    }

    #[test]
    fn a_healthy_address_passes() {
        let all = verdicts(&healthy());
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|(_, verdict)| *verdict == Pass), "{all:?}");
    }

    #[test]
    fn a_reverse_name_is_wanted_where_mail_comes_from() {
        let mut seen = healthy();
        seen.names = Ok(Vec::new());
        assert_eq!(verdict(&seen, "ptr"), Some(Fail));
        assert_eq!(verdict(&seen, "confirmed"), None);
        seen.sends = false;
        assert_eq!(verdict(&seen, "ptr"), Some(Pass));
        seen.names = Ok(vec![name("smtp.wac.tax"), name("b.test")]);
        assert_eq!(verdict(&seen, "ptr"), Some(Warn));
        assert_eq!(verdict(&seen, "confirmed"), Some(Pass));
        seen.names = Err("SERVFAIL".into());
        assert_eq!(verdict(&seen, "ptr"), Some(Skip));
    }

    #[test]
    fn a_reverse_name_leads_back() {
        let mut seen = healthy();
        let other = name("other.test");
        seen.names = Ok(vec![other.clone()]);
        seen.leads.insert(other.clone(), Ok(vec![ip("192.0.2.9")]));
        assert_eq!(verdict(&seen, "confirmed"), Some(Fail));
        // The greeted name is right, but not the reverse name.
        assert_eq!(verdict(&seen, "ehlo"), Some(Warn));
        seen.leads.insert(other.clone(), Err("silence".into()));
        assert_eq!(verdict(&seen, "confirmed"), Some(Skip));
        seen.leads.insert(other, Ok(Vec::new()));
        seen.sends = false;
        assert_eq!(verdict(&seen, "confirmed"), Some(Warn));
        assert_eq!(verdict(&seen, "ehlo"), Some(Pass));
    }

    #[test]
    fn the_greeting_has_the_hosts_name() {
        let mut seen = healthy();
        let other = name("localhost.localdomain");
        seen.greeted = Ok(Some(other.clone()));
        seen.leads.insert(other, Ok(vec![ip("127.0.0.1")]));
        assert_eq!(verdict(&seen, "ehlo"), Some(Fail));
        seen.managed = false;
        assert_eq!(verdict(&seen, "ehlo"), Some(Warn));
        seen.sends = false;
        assert_eq!(verdict(&seen, "ehlo"), Some(Pass));

        // A large provider's greeting leads nowhere, and is its own.
        let mut seen = healthy();
        let front = name("mx.wac.tax");
        seen.greeted = Ok(Some(front.clone()));
        seen.leads.insert(front, Ok(Vec::new()));
        assert_eq!(verdict(&seen, "ehlo"), Some(Fail));
        seen.managed = false;
        assert_eq!(verdict(&seen, "ehlo"), Some(Pass));

        let mut seen = healthy();
        seen.greeted = Ok(Some(name("esmtp")));
        assert_eq!(verdict(&seen, "ehlo"), Some(Fail));
        seen.greeted = Ok(None);
        assert_eq!(verdict(&seen, "ehlo"), Some(Fail));
        seen.greeted = Err("port 25 is closed on the way".into());
        assert_eq!(verdict(&seen, "ehlo"), Some(Skip));
    }

    #[test]
    fn a_generic_name_matters_where_mail_comes_from() {
        for (reverse, worst) in [
            ("vmi1234567.contaboserver.net", Warn),
            ("static.7.113.0.203.clients.your-server.de", Warn),
            ("dyn-17.isp.net", Fail),
        ] {
            let mut seen = healthy();
            seen.names = Ok(vec![name(reverse)]);
            assert_eq!(verdict(&seen, "generic"), Some(worst), "{reverse}");
            seen.sends = false;
            assert_eq!(verdict(&seen, "generic"), Some(Pass), "{reverse}");
        }
    }

    #[test]
    fn the_own_host_has_the_addresses_of_mail_yaml() {
        let expected = Expected {
            host: Some(name("smtp.wac.tax")),
            addresses: vec![ip("203.0.113.7"), ip("2a02:c207::7")],
            ..Expected::default()
        };
        let verdict = |addresses: &[&str], expected: Option<&Expected>| {
            let host = Host {
                name: name("smtp.wac.tax"),
                addresses: addresses.iter().map(|a| ip(a)).collect(),
                receives: true,
            };
            address(&host, expected).map(|finding| finding.verdict)
        };
        let both = ["203.0.113.7", "2a02:c207::7"];
        assert_eq!(verdict(&both, Some(&expected)), Some(Pass));
        assert_eq!(verdict(&both[..1], Some(&expected)), Some(Fail));
        assert_eq!(
            verdict(&[both[0], both[1], "192.0.2.1"], Some(&expected)),
            Some(Fail)
        );
        assert_eq!(verdict(&[], Some(&expected)), Some(Fail));
        assert_eq!(verdict(&[], None), None);
        assert_eq!(verdict(&both[..1], None), Some(Pass));
        assert_eq!(verdict(&both[1..], None), Some(Warn));
        let none = Expected {
            addresses: vec![ip("203.0.113.7")],
            no_ipv6: true,
            ..expected
        };
        assert_eq!(verdict(&both, Some(&none)), Some(Warn));
    }
}
