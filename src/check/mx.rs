//! Where the domain's mail goes: the MX records and the hosts that they name
//! (RFC 5321 section 5.1).

use std::net::IpAddr;

use super::special;
use super::view::{Exchange, Exchanges, Host, View};
use super::{Aspect, Expected, Finding, Question};
use crate::record::{Name, RType};

/// The question.
pub const QUESTION: Question = Question {
    id: "mx",
    aspects: &[&RECORD, &ALIAS, &ADDRESS, &OWN],
    ask: |view| Box::pin(ask(view)),
};

const RECORD: Aspect = Aspect {
    id: "mx.record",
    wanted: "MX records that name the hosts which take the domain's mail",
    why: "Senders deliver to the hosts of the MX records (RFC 5321 section 5.1). Many receivers also refuse mail from a domain that could not get the answer: 550 5.1.8.",
};

const ALIAS: Aspect = Aspect {
    id: "mx.alias",
    wanted: "an MX host with addresses of its own, no CNAME",
    why: "An MX record must not name an alias (RFC 2181 section 10.3). Some senders do not follow it, others bounce the mail as a loop.",
};

const ADDRESS: Aspect = Aspect {
    id: "mx.address",
    wanted: "an MX host whose name leads to public addresses",
    why: "Without an address that the Internet leads to nobody can deliver: the mail waits at the sender for days and then bounces.",
};

const OWN: Aspect = Aspect {
    id: "mx.own",
    wanted: "the host of mail.yaml as the first MX",
    why: "mail.yaml says `mx: own`: mail that other hosts take does not arrive at this server.",
};

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let exchanges = match view.exchanges().await {
        Ok(exchanges) => exchanges,
        Err(why) => return vec![RECORD.of(domain).skip(why)],
    };
    let mut findings = vec![record(domain, view.expected(), &exchanges)];
    findings.extend(
        view.expected()
            .and_then(|expected| own(domain, expected, &exchanges)),
    );
    if !matches!(exchanges, Exchanges::Hosts(_)) {
        return findings;
    }
    let hosts = match view.hosts().await {
        Ok(hosts) => hosts,
        Err(why) => {
            findings.push(ADDRESS.of(domain).skip(why));
            return findings;
        }
    };
    for host in hosts.iter().filter(|host| host.receives) {
        // The answer is there already: the addresses have been looked up.
        findings.push(match view.lookup(&host.name, RType::A).await {
            Ok(reply) => alias(&host.name, reply.alias.as_ref()),
            Err(why) => ALIAS.of(&host.name).skip(why),
        });
        findings.push(address(domain, view.expected(), host));
    }
    findings
}

fn record(domain: &Name, expected: Option<&Expected>, exchanges: &Exchanges) -> Finding {
    let about = RECORD.of(domain);
    let is_null = |exchange: &Exchange| exchange.host == Name::root();
    match exchanges {
        Exchanges::Hosts(hosts) if hosts.iter().any(is_null) => about.fail(
            format!("a null MX beside others: {}", listed(hosts)),
            "remove `0 .`: it says that the domain takes no mail, and must stand alone (RFC 7505 section 3)",
        ),
        Exchanges::Hosts(hosts) => about.pass(listed(hosts)),
        Exchanges::Implicit => about.warn(
            "no MX record; mail goes to the domain's own address",
            format!("publish one: `{domain}. MX 10 <host>.`"),
        ),
        Exchanges::Null => match expected {
            Some(expected) if expected.receives => about.fail(
                "a null MX: it says that the domain takes no mail (RFC 7505)",
                format!("publish `{}` instead; `mailctl apply` does", wished(domain, expected)),
            ),
            Some(_) => about.warn(
                "a null MX: the domain takes no mail, and sends some",
                "let some host take its mail: receivers may refuse a sender that nobody can answer, with 550 5.7.27 (RFC 7505 section 4.2)",
            ),
            None => about.pass("a null MX: the domain takes no mail, on purpose (RFC 7505)"),
        },
        Exchanges::None => about.fail(
            "neither MX nor address: the domain cannot receive mail",
            match expected {
                Some(expected) if expected.receives => {
                    format!("publish `{}`; `mailctl apply` does", wished(domain, expected))
                }
                _ => format!(
                    "publish `{domain}. MX 10 <host>.`, or the null MX `{domain}. MX 0 .` where no mail is wanted"
                ),
            },
        ),
    }
}

fn own(domain: &Name, expected: &Expected, exchanges: &Exchanges) -> Option<Finding> {
    let host = expected.host.as_ref().filter(|_| expected.receives)?;
    let about = || OWN.of(domain).wanting(format!("{host} as the first MX"));
    let publish = || {
        format!(
            "publish `{}`; `mailctl apply` does, `mx: keep` leaves the mail where it is",
            wished(domain, expected)
        )
    };
    let hosts = match exchanges {
        Exchanges::Hosts(hosts) => hosts,
        Exchanges::Implicit => return Some(about().fail("no MX record", publish())),
        // `mx.record` has said it.
        Exchanges::Null | Exchanges::None => return None,
    };
    let Some(place) = hosts.iter().find(|exchange| exchange.host == *host) else {
        return Some(about().fail(
            format!("{host} is not among them: {}", listed(hosts)),
            publish(),
        ));
    };
    let others: Vec<Exchange> = hosts
        .iter()
        .filter(|exchange| exchange.host != *host)
        .cloned()
        .collect();
    let before = |exchange: &Exchange| exchange.preference < place.preference;
    Some(if others.iter().any(before) {
        about().fail(
            format!("others come before {host}: {}", listed(hosts)),
            format!("give {host} the lowest preference, or say `mx: keep` in mail.yaml"),
        )
    } else if others.is_empty() {
        about().pass(listed(hosts))
    } else {
        about().warn(
            format!("others beside {host}: {}", listed(&others)),
            "remove them where they do not pass the mail on to this server: a sender may choose them whenever it is busy",
        )
    })
}

fn alias(host: &Name, target: Option<&Name>) -> Finding {
    match target {
        Some(target) => ALIAS.of(host).fail(
            format!("a CNAME to {target}"),
            format!("name {target} in the MX record, or give {host} addresses of its own"),
        ),
        None => ALIAS.of(host).pass("no alias"),
    }
}

fn address(domain: &Name, expected: Option<&Expected>, host: &Host) -> Finding {
    let about = ADDRESS.of(&host.name);
    if host.name.as_str().parse::<IpAddr>().is_ok() {
        return about.fail(
            "an address where a host name belongs",
            "give the address a name, and name that in the MX record (RFC 5321 section 5.1)",
        );
    }
    let local = ["localhost", "localhost.localdomain"];
    if local.contains(&host.name.as_str()) {
        return about.fail(
            "every sender takes this for itself",
            "name the host that takes the mail, or publish the null MX `0 .` where none does",
        );
    }
    if host.addresses.is_empty() {
        return about.fail(
            "no A or AAAA record",
            format!(
                "publish the addresses of {}, or remove it from the MX records",
                host.name
            ),
        );
    }
    // In a private world private addresses are what was wished for.
    let wished = |address: &&IpAddr| {
        special::is_reserved(domain)
            || expected.is_some_and(|expected| expected.addresses.contains(address))
    };
    let strange: Vec<String> = host
        .addresses
        .iter()
        .filter(|address| !wished(address))
        .filter_map(|address| Some(format!("{address} is {}", special::kind(*address)?)))
        .collect();
    if strange.is_empty() {
        return about.pass(joined(&host.addresses));
    }
    about.fail(
        strange.join(", "),
        format!(
            "publish the addresses at which the Internet reaches {}",
            host.name
        ),
    )
}

/// The record that mail.yaml asks for.
fn wished(domain: &Name, expected: &Expected) -> String {
    let host = expected
        .host
        .as_ref()
        .map_or_else(|| "<host>.".to_owned(), Name::fqdn);
    format!("{domain}. MX 10 {host}")
}

fn listed(hosts: &[Exchange]) -> String {
    let each: Vec<String> = hosts
        .iter()
        .map(|exchange| format!("{} {}", exchange.preference, exchange.host))
        .collect();
    each.join(", ")
}

fn joined(addresses: &[IpAddr]) -> String {
    let each: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn hosts(all: &[(u16, &str)]) -> Exchanges {
        let each = all.iter().map(|(preference, host)| Exchange {
            preference: *preference,
            host: name(host),
        });
        Exchanges::Hosts(each.collect())
    }

    fn ours(receives: bool) -> Expected {
        Expected {
            host: Some(name("smtp.wac.tax")),
            addresses: vec!["10.0.0.2".parse().expect("an address")],
            receives,
            ..Expected::default()
        }
    }

    #[test]
    fn each_way_of_receiving_has_its_verdict() {
        use Verdict::{Fail, Pass, Warn};
        let (receiving, sending) = (ours(true), ours(false));
        for (exchanges, expected, verdict) in [
            (hosts(&[(10, "mx.wac.tax")]), None, Pass),
            (hosts(&[(0, "."), (10, "mx.wac.tax")]), None, Fail),
            (Exchanges::Implicit, None, Warn),
            (Exchanges::Null, None, Pass),
            (Exchanges::Null, Some(&sending), Warn),
            (Exchanges::Null, Some(&receiving), Fail),
            (Exchanges::None, None, Fail),
            (Exchanges::None, Some(&receiving), Fail),
        ] {
            let found = record(&name("wac.tax"), expected, &exchanges);
            assert_eq!(found.verdict, verdict, "{exchanges:?}: {found:?}");
        }
    }

    #[test]
    fn the_own_host_comes_first_and_alone() {
        use Verdict::{Fail, Pass, Warn};
        let domain = name("wac.tax");
        let own = |expected: &Expected, all: &[(u16, &str)]| {
            own(&domain, expected, &hosts(all)).map(|finding| finding.verdict)
        };
        let smtp = "smtp.wac.tax";
        assert_eq!(own(&ours(true), &[(10, smtp)]), Some(Pass));
        assert_eq!(own(&ours(true), &[(10, smtp), (20, "b.test")]), Some(Warn));
        assert_eq!(own(&ours(true), &[(10, "b.test"), (10, smtp)]), Some(Warn));
        assert_eq!(own(&ours(true), &[(5, "b.test"), (10, smtp)]), Some(Fail));
        assert_eq!(own(&ours(true), &[(10, "b.test")]), Some(Fail));
        assert_eq!(own(&ours(false), &[(10, "b.test")]), None);
        let implicit = super::own(&domain, &ours(true), &Exchanges::Implicit);
        assert_eq!(implicit.map(|finding| finding.verdict), Some(Fail));
    }

    #[test]
    fn a_host_needs_a_name_of_its_own_and_an_address_that_leads_there() {
        use Verdict::{Fail, Pass};
        let target = name("elsewhere.test");
        assert_eq!(alias(&name("mx.wac.tax"), Some(&target)).verdict, Fail);
        assert_eq!(alias(&name("mx.wac.tax"), None).verdict, Pass);
        let expected = ours(true);
        for (host, addresses, expected, verdict) in [
            ("mx.wac.tax", &["5.9.1.1", "2a01:4f8::1"][..], None, Pass),
            ("mx.wac.tax", &[], None, Fail),
            ("192.0.2.1", &[], None, Fail),
            ("localhost", &["127.0.0.1"], None, Fail),
            ("mx.wac.tax", &["10.0.0.2"], None, Fail),
            ("mx.wac.tax", &["10.0.0.2"], Some(&expected), Pass),
            ("mx.wac.tax", &["10.0.0.3"], Some(&expected), Fail),
        ] {
            let host = Host {
                name: name(host),
                addresses: addresses.iter().map(|a| a.parse().expect("one")).collect(),
                receives: true,
            };
            let found = address(&name("wac.tax"), expected, &host);
            assert_eq!(found.verdict, verdict, "{found:?}");
        }
        let private = Host {
            name: name("mx.example.test"),
            addresses: vec!["10.0.0.3".parse().expect("an address")],
            receives: true,
        };
        let found = address(&name("example.test"), None, &private);
        assert_eq!(found.verdict, Pass, "{found:?}");
    }
}
