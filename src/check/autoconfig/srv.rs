//! The SRV records (RFC 2782) of the services that mail programs use.

use std::sync::Arc;

use futures_util::future::join_all;

use super::SRV;
use crate::check::wire::{Port, Reach};
use crate::check::{Finding, View};
use crate::record::{Name, RType};

/// A service and the port that mailctl's server has it at; it has no mailboxes to be read.
struct Service {
    label: &'static str,
    own: Option<u16>,
}

const SUBMISSIONS: &str = "_submissions._tcp";
const SUBMISSION: &str = "_submission._tcp";

const SERVICES: &[Service] = &[
    Service {
        label: SUBMISSIONS,
        own: Some(465),
    },
    Service {
        label: SUBMISSION,
        own: Some(587),
    },
    Service {
        label: "_imaps._tcp",
        own: None,
    },
    Service {
        label: "_imap._tcp",
        own: None,
    },
    Service {
        label: "_pop3s._tcp",
        own: None,
    },
    Service {
        label: "_pop3._tcp",
        own: None,
    },
];

/// One record, and what its target is like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    port: u16,
    /// `None`: the service is not offered (RFC 6186 section 3.4).
    host: Option<Name>,
    alias: bool,
    addresses: Result<usize, String>,
    /// What its ports are like, where they were looked at.
    ports: Vec<Arc<Port>>,
}

pub(super) async fn ask(view: &View) -> Vec<Finding> {
    let found = join_all(SERVICES.iter().map(|service| one(view, service))).await;
    found.into_iter().flatten().collect()
}

async fn one(view: &View, service: &Service) -> Option<Finding> {
    let owner = view.domain().child(service.label);
    let expected = view.expected().filter(|expected| expected.autoconfig);
    let wanted = expected.and_then(|expected| Some((expected.host.as_ref()?, service.own?)));
    let set = match view.lookup(&owner, RType::Srv).await {
        Ok(set) => set,
        Err(reason) => return Some(SRV.of(&owner).skip(reason)),
    };
    if !set.exists() {
        return wanted.map(|wanted| missing(&owner, wanted));
    }
    let mut targets = Vec::new();
    for value in &set.values {
        match target(view, service, value).await {
            Some(target) => targets.push(target),
            None => return Some(unreadable(&owner, value)),
        }
    }
    Some(judge(&owner, service.label, wanted, &targets))
}

/// `priority weight port target`, and what the target is like.
async fn target(view: &View, service: &Service, value: &str) -> Option<Target> {
    let mut fields = value.split_whitespace().skip(2);
    let port = fields.next()?.parse().ok()?;
    let host = Name::parse(fields.next()?).ok()?;
    let mut target = Target {
        port,
        host: (host != Name::root()).then(|| host.clone()),
        alias: false,
        addresses: Ok(0),
        ports: Vec::new(),
    };
    if target.host.is_none() {
        return Some(target);
    }
    let set = view.lookup(&host, RType::A).await;
    target.alias = set.is_ok_and(|set| set.alias.is_some());
    let addresses = view.outside.addresses(&host).await;
    if let Ok(addresses) = &addresses
        && service.own.is_some()
        && matches!(port, 465 | 587)
    {
        let looks = addresses.iter();
        let looks = looks.map(|address| view.outside.port(&host, *address, port));
        target.ports = join_all(looks).await;
    }
    target.addresses = addresses.map(|addresses| addresses.len());
    Some(target)
}

fn wish(owner: &Name, (host, port): (&Name, u16)) -> String {
    format!("publish `0 1 {port} {}` at {owner}", host.fqdn())
}

fn missing(owner: &Name, wanted: (&Name, u16)) -> Finding {
    SRV.of(owner).warn(
        "none, so people type in the server's name",
        wish(owner, wanted),
    )
}

fn unreadable(owner: &Name, value: &str) -> Finding {
    let fix = "write it as priority, weight, port and host name";
    SRV.of(owner).fail(format!("`{value}`"), fix)
}

fn judge(owner: &Name, service: &str, wanted: Option<(&Name, u16)>, targets: &[Target]) -> Finding {
    let about = SRV.of(owner);
    let place = |target: &Target| match &target.host {
        Some(host) => format!("{host}:{}", target.port),
        None => "not offered".to_owned(),
    };
    let led: Vec<String> = targets.iter().map(place).collect();
    if let Some((host, port)) = wanted
        && !targets
            .iter()
            .any(|t| t.port == port && t.host.as_ref() == Some(host))
    {
        let found = format!("{}, which is not {host}:{port}", led.join(", "));
        return about.fail(found, wish(owner, (host, port)));
    }
    let faults = targets.iter().filter_map(|target| {
        let fault = fault(service, target)?;
        Some(format!("{}: {fault}", place(target)))
    });
    let faults: Vec<String> = faults.collect();
    if !faults.is_empty() {
        let fix = format!("have {owner} name a host that answers there, or remove the record");
        return about.fail(faults.join("; "), fix);
    }
    if let Some(alias) = targets.iter().find(|target| target.alias) {
        return about.warn(
            format!(
                "{}: the host is an alias, which RFC 2782 forbids",
                place(alias)
            ),
            format!("have {owner} name the host that the alias stands for"),
        );
    }
    let unknown = targets.iter().find_map(|t| t.addresses.as_ref().err());
    match unknown {
        Some(reason) => about.skip(reason),
        None => about.pass(led.join(", ")),
    }
}

/// What keeps a mail program from using a target.
fn fault(service: &str, target: &Target) -> Option<String> {
    target.host.as_ref()?;
    if target.addresses == Ok(0) {
        return Some("the host has no address".into());
    }
    let ports = &target.ports;
    let closed = |port: &Arc<Port>| match &port.reach {
        Reach::Refused(why) | Reach::Silent(why) => Some(why.clone()),
        Reach::Open | Reach::Unknown(_) => None,
    };
    if !ports.is_empty() && ports.iter().all(|port| closed(port).is_some()) {
        return ports.iter().find_map(closed);
    }
    // Port 465 is looked at as one with TLS from the start, 587 as one without.
    let answers = |port: &Arc<Port>| port.reach == Reach::Open && port.greeting.is_ok();
    match (service, target.port) {
        (SUBMISSION, 465) if ports.iter().any(answers) => {
            Some("TLS comes first there: that is `_submissions`".into())
        }
        (SUBMISSIONS, 587) if ports.iter().any(answers) => {
            Some("TLS does not come first there: that is `_submission`".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::check::Verdict;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn to(host: &str, port: u16) -> Target {
        Target {
            port,
            host: Some(name(host)),
            alias: false,
            addresses: Ok(1),
            ports: Vec::new(),
        }
    }

    fn with(reach: Reach) -> Vec<Arc<Port>> {
        let mut port = Port::closed(reach);
        port.greeting = Ok((220, "smtp.example.com".into()));
        vec![Arc::new(port)]
    }

    fn judged(service: &str, wanted: Option<u16>, targets: &[Target]) -> (Verdict, String) {
        let host = name("smtp.example.com");
        let owner = name("example.com").child(service);
        let finding = judge(&owner, service, wanted.map(|port| (&host, port)), targets);
        (finding.verdict, finding.found)
    }

    #[test]
    fn they_lead_to_the_host_that_mail_yaml_names() {
        let wanted = |targets: &[Target]| judged(SUBMISSIONS, Some(465), targets).0;
        assert_eq!(wanted(&[to("smtp.example.com", 465)]), Verdict::Pass);
        assert_eq!(wanted(&[to("mx.other.net", 465)]), Verdict::Fail);
        assert_eq!(wanted(&[to("smtp.example.com", 2465)]), Verdict::Fail);
        let owner = name("_submissions._tcp.example.com");
        let none = missing(&owner, (&name("smtp.example.com"), 465));
        assert_eq!(none.verdict, Verdict::Warn);
        assert!(
            none.fix.contains("`0 1 465 smtp.example.com.`"),
            "{}",
            none.fix
        );
        assert_eq!(unreadable(&owner, "x").verdict, Verdict::Fail);
    }

    #[test]
    fn a_target_that_mail_programs_cannot_use() {
        let target = || to("smtp.example.com", 465);
        let alias = Target {
            alias: true,
            ..target()
        };
        let lost = Target {
            addresses: Ok(0),
            ..target()
        };
        let refused = Target {
            ports: with(Reach::Refused("192.0.2.1:465 refuses connections".into())),
            ..target()
        };
        let open = Target {
            ports: with(Reach::Open),
            ..target()
        };
        let plain = Target {
            port: 587,
            ..open.clone()
        };
        for (service, targets, verdict, part) in [
            (SUBMISSIONS, &[alias][..], Verdict::Warn, "an alias"),
            (SUBMISSIONS, &[lost], Verdict::Fail, "no address"),
            (
                SUBMISSIONS,
                &[refused],
                Verdict::Fail,
                "refuses connections",
            ),
            (SUBMISSION, from_ref(&open), Verdict::Fail, "`_submissions`"),
            (
                SUBMISSIONS,
                from_ref(&plain),
                Verdict::Fail,
                "`_submission`",
            ),
            (
                SUBMISSION,
                from_ref(&plain),
                Verdict::Pass,
                "smtp.example.com:587",
            ),
            (
                SUBMISSIONS,
                from_ref(&open),
                Verdict::Pass,
                "smtp.example.com:465",
            ),
        ] {
            let (seen, found) = judged(service, None, targets);
            assert_eq!(seen, verdict, "{found}");
            assert!(found.contains(part), "{found}");
        }
    }

    #[test]
    fn what_is_not_offered_or_not_known() {
        let not = Target {
            host: None,
            port: 0,
            ..to("a.example", 0)
        };
        let offered = judged("_imap._tcp", None, &[not]);
        assert_eq!(offered, (Verdict::Pass, "not offered".into()));
        let unknown = Target {
            addresses: Err("SERVFAIL".into()),
            ..to("a.example", 993)
        };
        assert_eq!(judged("_imaps._tcp", None, &[unknown]).0, Verdict::Skip);
        let closed = Target {
            ports: with(Reach::Unknown("no way".into())),
            ..to("a.example", 465)
        };
        assert_eq!(judged(SUBMISSIONS, None, &[closed]).0, Verdict::Pass);
    }
}
