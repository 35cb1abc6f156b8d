//! What SPF says of the addresses that the domain's mail comes from, and of
//! the name that its hosts give in EHLO.

use std::net::IpAddr;

use futures_util::future::join_all;
use mail_auth::SpfResult;

use super::limits::Families;
use super::{ADDRESS, HOST};
use crate::check::permitted::Identity;
use crate::check::view::Host;
use crate::check::{Expected, Finding, View};
use crate::record::{Name, RType};
use crate::spf::only_spf;
use crate::spf::term::Term;

/// Judges each address for the domain, whose only record is `text`.
pub(super) async fn addresses(view: &View, text: &str) -> Vec<Finding> {
    let domain = view.domain();
    let broken = text
        .split_ascii_whitespace()
        .skip(1)
        .any(|word| Term::parse(word).is_err());
    if broken {
        // The answer is permerror for all of them, which `spf.syntax` says.
        return Vec::new();
    }
    let hosts = match view.hosts().await {
        Ok(hosts) => hosts,
        Err(why) => return vec![ADDRESS.of(domain).skip(why)],
    };
    let asked = sources(view.expected(), &hosts)
        .into_iter()
        .map(|address| async move { (address, view.spf(address, "postmaster").await) });
    let answers = join_all(asked).await;
    let ours = view.expected().is_some();
    answers
        .into_iter()
        .filter_map(|(address, result)| judge(domain, address, result, ours))
        .collect()
}

/// Which families the hosts' addresses are of.
pub(super) async fn families(view: &View) -> Families {
    let hosts = view.hosts().await.unwrap_or_default();
    let sources = sources(view.expected(), &hosts);
    Families {
        four: sources.iter().any(IpAddr::is_ipv4),
        six: sources.iter().any(IpAddr::is_ipv6),
    }
}

/// Where mail comes from: the addresses of the host of mail.yaml, else those of the MX.
fn sources(expected: Option<&Expected>, hosts: &[Host]) -> Vec<IpAddr> {
    let mut sources: Vec<IpAddr> = match expected {
        Some(expected) => {
            let own = hosts
                .iter()
                .filter(|host| expected.host.as_ref() == Some(&host.name));
            let seen = own.flat_map(|host| host.addresses.iter().copied());
            let all = seen.chain(expected.addresses.iter().copied());
            all.filter(|address| address.is_ipv4() || !expected.no_ipv6)
                .collect()
        }
        None => hosts
            .iter()
            .flat_map(|host| host.addresses.iter().copied())
            .collect(),
    };
    sources.sort();
    sources.dedup();
    sources
}

/// `ours`: mail comes from this address. A foreign MX that may not send just does not.
fn judge(domain: &Name, address: IpAddr, result: Option<SpfResult>, ours: bool) -> Option<Finding> {
    let about = ADDRESS.of(address);
    let fix = || {
        let term = if address.is_ipv4() { "ip4" } else { "ip6" };
        format!("add `{term}:{address}` to the SPF record of {domain}, before its `all`")
    };
    let finding = match result {
        Some(SpfResult::Pass) => about.pass(format!("pass for {domain}")),
        None => about.skip(format!(
            "SPF of {domain} could not be evaluated: the DNS did not answer all of it"
        )),
        Some(_) if !ours => return None,
        Some(SpfResult::PermError) => about.fail(
            format!("permerror for {domain}: receivers cannot evaluate its record"),
            format!("mend the SPF record of {domain}: the other findings on spf say where"),
        ),
        Some(result) => about.fail(format!("{} for {domain}", word(result)), fix()),
    };
    Some(finding)
}

/// The result as RFC 7208 section 2.6 names it.
fn word(result: SpfResult) -> &'static str {
    match result {
        SpfResult::Pass => "pass",
        SpfResult::Fail => "fail",
        SpfResult::SoftFail => "softfail",
        SpfResult::Neutral => "neutral",
        SpfResult::None => "none",
        SpfResult::PermError => "permerror",
        SpfResult::TempError => "temperror",
    }
}

/// Judges the hosts' own names.
pub(super) async fn hosts(view: &View) -> Vec<Finding> {
    // That the hosts cannot be found is said where it matters more.
    let Ok(hosts) = view.hosts().await else {
        return Vec::new();
    };
    let own = view.expected().and_then(|expected| expected.host.as_ref());
    let mut findings = Vec::new();
    for host in &hosts {
        let ours = own == Some(&host.name);
        // A host that only receives is asked by nobody, and the domain's own record is judged as such.
        if host.name == *view.domain() || (own.is_some() && !ours) {
            continue;
        }
        let addresses = if ours {
            sources(view.expected(), std::slice::from_ref(host))
        } else {
            host.addresses.clone()
        };
        let seen = of_host(view, &host.name, &addresses).await;
        findings.extend(judge_host(&host.name, seen, ours));
    }
    findings
}

/// What was seen of a host name's SPF.
enum Seen {
    /// No record.
    None,
    /// More than one; says which.
    Several(String),
    /// The record, and its result for each address.
    Results(Vec<(IpAddr, Option<SpfResult>)>),
    /// It could not be learnt.
    Unknown(String),
}

async fn of_host(view: &View, host: &Name, addresses: &[IpAddr]) -> Seen {
    let reply = match view.lookup(host, RType::Txt).await {
        Ok(reply) => reply,
        Err(why) => return Seen::Unknown(why),
    };
    match only_spf(reply.values.iter().map(String::as_str)) {
        Ok(None) => return Seen::None,
        Err(several) => return Seen::Several(several),
        Ok(Some(_)) => {}
    }
    let asked = addresses.iter().map(|address| async move {
        let identity = Identity::Ehlo(host.clone());
        (*address, view.outside.spf(identity, *address).await)
    });
    Seen::Results(join_all(asked).await)
}

fn judge_host(host: &Name, seen: Seen, ours: bool) -> Option<Finding> {
    let about = HOST.of(host);
    let fix = format!("publish `{host} TXT \"v=spf1 a -all\"`");
    let results = match seen {
        Seen::Unknown(why) => return Some(about.skip(why)),
        // Whether a foreign host sends at all is not known.
        Seen::None => return ours.then(|| about.warn("no SPF record", fix)),
        Seen::Several(several) => {
            let merge =
                "merge them into one record: all terms before one `all`, and delete the others";
            return Some(about.fail(format!("permerror: {several}"), merge));
        }
        Seen::Results(results) => results,
    };
    let told: Vec<String> = results
        .iter()
        .map(|(address, result)| format!("{} for {address}", result.map_or("no answer", word)))
        .collect();
    let told = told.join(", ");
    let any = |of: &[SpfResult]| {
        results
            .iter()
            .any(|(_, result)| result.is_some_and(|result| of.contains(&result)))
    };
    if results.is_empty() {
        return None;
    }
    if any(&[SpfResult::Fail, SpfResult::PermError, SpfResult::None]) {
        return ours.then(|| about.fail(told, fix));
    }
    if any(&[SpfResult::SoftFail, SpfResult::Neutral]) {
        return ours.then(|| about.warn(told, fix));
    }
    if results.iter().any(|(_, result)| result.is_none()) {
        return Some(about.skip(told));
    }
    Some(about.pass(told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};

    const FOUR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn six() -> IpAddr {
        "2001:db8::7".parse().expect("an address")
    }

    #[test]
    fn mail_comes_from_our_host_or_may_come_from_their_mx() {
        let hosts = [
            Host {
                name: name("mx.other.test"),
                addresses: vec!["192.0.2.1".parse().expect("ip")],
                receives: true,
            },
            Host {
                name: name("smtp.a.test"),
                addresses: vec![six()],
                receives: false,
            },
        ];
        let mut expected = Expected {
            host: Some(name("smtp.a.test")),
            addresses: vec![FOUR, six()],
            ..Expected::default()
        };
        assert_eq!(sources(Some(&expected), &hosts), [FOUR, six()]);
        expected.no_ipv6 = true;
        assert_eq!(sources(Some(&expected), &hosts), [FOUR]);
        assert_eq!(sources(None, &hosts).len(), 2);
    }

    #[test]
    fn addresses_of_ours_must_pass() {
        for (result, ours, theirs) in [
            (Some(SpfResult::Pass), Some(Pass), Some(Pass)),
            (Some(SpfResult::Fail), Some(Fail), None),
            (Some(SpfResult::SoftFail), Some(Fail), None),
            (Some(SpfResult::Neutral), Some(Fail), None),
            (Some(SpfResult::PermError), Some(Fail), None),
            (None, Some(Skip), Some(Skip)),
        ] {
            let verdict =
                |ours| judge(&name("a.test"), FOUR, result, ours).map(|finding| finding.verdict);
            assert_eq!(
                (verdict(true), verdict(false)),
                (ours, theirs),
                "{result:?}"
            );
        }
        let finding =
            judge(&name("a.test"), six(), Some(SpfResult::SoftFail), true).expect("a finding");
        assert_eq!(finding.found, "softfail for a.test");
        assert!(
            finding.fix.starts_with("add `ip6:2001:db8::7`"),
            "{finding:?}"
        );
    }

    #[test]
    fn the_host_has_a_record_of_its_own() {
        let results = |four, six_| Seen::Results(vec![(FOUR, four), (six(), six_)]);
        let pass = Some(SpfResult::Pass);
        let cases: [(Seen, Option<Verdict>, Option<Verdict>); 7] = [
            (Seen::None, Some(Warn), None),
            (Seen::Several("two".into()), Some(Fail), Some(Fail)),
            (Seen::Unknown("SERVFAIL".into()), Some(Skip), Some(Skip)),
            (results(pass, pass), Some(Pass), Some(Pass)),
            (results(pass, Some(SpfResult::Fail)), Some(Fail), None),
            (results(pass, Some(SpfResult::SoftFail)), Some(Warn), None),
            (results(pass, None), Some(Skip), Some(Skip)),
        ];
        for (seen, ours, theirs) in cases {
            let again = match &seen {
                Seen::None => Seen::None,
                Seen::Several(text) => Seen::Several(text.clone()),
                Seen::Unknown(text) => Seen::Unknown(text.clone()),
                Seen::Results(results) => Seen::Results(results.clone()),
            };
            let verdict = |seen, ours| {
                judge_host(&name("smtp.a.test"), seen, ours).map(|finding| finding.verdict)
            };
            assert_eq!((verdict(seen, true), verdict(again, false)), (ours, theirs));
        }
    }
}
