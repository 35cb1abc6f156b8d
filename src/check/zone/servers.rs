//! Whether all servers of the zone say the same, and the resolver too.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::seen::{Heard, Held, Seen};
use super::some;
use crate::check::outside::Looked;
use crate::check::view::View;
use crate::check::{Aspect, Finding};
use crate::dns::{Answer, Authority};
use crate::record::{Name, RType, RrsetKey};

/// The servers among each other.
pub const SERVERS: Aspect = Aspect {
    id: "zone.servers",
    wanted: "the same records at every name server of the zone, over IPv4 and IPv6",
    why: "Each receiver asks whichever server it likes: where one of them is behind, SPF, DKIM and MX hold for some receivers and not for others.",
};

/// The resolver, and what it remembers.
pub const RESOLVER: Aspect = Aspect {
    id: "zone.resolver",
    wanted: "a resolver that says what the name servers say",
    why: "Resolvers remember a record until its TTL has passed: receivers may see the old one for as long, and so does this check.",
};

/// Judges all servers that have the zone.
pub fn judge(domain: &Name, managed: bool, seen: &Seen) -> Finding {
    let about = SERVERS.of(domain);
    let holders = seen.holders();
    let Some((newest, reference)) = newest(&holders) else {
        return about.skip("no name server answers for the zone");
    };
    let (mut differing, mut behind) = (Vec::new(), Vec::new());
    for (server, held) in &holders {
        let mut differences = differences(held, reference, managed);
        if held.soa.serial != reference.soa.serial {
            let serials = format!("serial {}, not {}", held.soa.serial, reference.soa.serial);
            if differences.is_empty() {
                behind.push(format!("{server} has {serials}"));
                continue;
            }
            differences.insert(0, serials);
        }
        if !differences.is_empty() {
            differing.push(format!("{server} has {}", some(&differences, 3)));
        }
    }
    let fix = "see why the zone does not arrive there: NOTIFY, the transfer's permission and key, and the serial, which has to grow with each change";
    let unlike = format!("unlike {newest}");
    if !differing.is_empty() {
        return about.fail(format!("{unlike}: {}", some(&differing, 3)), fix);
    }
    if !behind.is_empty() {
        let found = format!(
            "{unlike}: {}; what is asked for here is the same",
            some(&behind, 3)
        );
        return about.warn(found, fix);
    }
    let mut found = match holders.len() {
        1 => format!("{newest} has serial {}", reference.soa.serial),
        several => format!(
            "{several} addresses asked, all with serial {}",
            reference.soa.serial
        ),
    };
    let unheard: Vec<String> = seen
        .servers
        .iter()
        .filter(|spoken| !matches!(spoken.heard, Heard::Zone(_)))
        .map(|spoken| spoken.authority.to_string())
        .collect();
    if !unheard.is_empty() {
        found.push_str(&format!("; no answer from {}", some(&unheard, 3)));
    }
    if !seen.far.is_empty() {
        let far: Vec<String> = seen
            .far
            .iter()
            .map(|(_, address)| address.to_string())
            .collect();
        found.push_str(&format!("; no route from here to {}", some(&far, 3)));
    }
    about.pass(found)
}

/// The server with the latest serial (RFC 1982 section 3.2), of several the first.
fn newest<'a>(holders: &[(&'a Authority, &'a Held)]) -> Option<(&'a Authority, &'a Held)> {
    let mut holders = holders.iter().copied();
    let first = holders.next()?;
    Some(holders.fold(first, |best, other| {
        let ahead = other.1.soa.serial.wrapping_sub(best.1.soa.serial);
        if (1..0x8000_0000).contains(&ahead) {
            other
        } else {
            best
        }
    }))
}

/// What a server says otherwise, in words.
fn differences(held: &Held, reference: &Held, managed: bool) -> Vec<String> {
    let mut all = Vec::new();
    for (key, right) in &reference.sets {
        let Some(other) = held.sets.get(key) else {
            continue;
        };
        if !same(key, other, right, managed) {
            let (other, right) = (values(other), values(right));
            all.push(format!("{key} {other}, not {right}"));
        }
    }
    all
}

/// Addresses of other people's hosts may differ from answer to answer: that is how load is spread.
fn same(key: &RrsetKey, one: &Answer, other: &Answer, managed: bool) -> bool {
    let spread = matches!(key.rtype, RType::A | RType::Aaaa) && !managed;
    let both = !one.set.values.is_empty() && !other.set.values.is_empty();
    (spread && both) || (one.set.values == other.set.values && one.cname == other.cname)
}

fn values(answer: &Answer) -> String {
    if let Some(target) = &answer.cname {
        return format!("a CNAME to {target}");
    }
    let each: Vec<String> = answer
        .set
        .values
        .iter()
        .map(|value| {
            let short: String = value.chars().take(60).collect();
            let cut = if short.len() < value.len() { "…" } else { "" };
            format!("`{short}{cut}`")
        })
        .collect();
    if each.is_empty() {
        "nothing".into()
    } else {
        some(&each, 3)
    }
}

/// What the resolver says of the same sets.
pub async fn remembered(view: &View, seen: &Seen) -> BTreeMap<RrsetKey, Looked> {
    let holders = seen.holders();
    let Some((_, reference)) = newest(&holders) else {
        return BTreeMap::new();
    };
    let asked = reference.sets.keys().filter(|key| key.rtype != RType::Ns);
    let asked = asked.map(|key| async move {
        let reply = view.lookup(&key.name, key.rtype).await;
        (key.clone(), reply)
    });
    join_all(asked).await.into_iter().collect()
}

/// Whether the resolver is as new as the servers, where these agree.
pub fn judge_resolver(
    domain: &Name,
    managed: bool,
    seen: &Seen,
    remembered: &BTreeMap<RrsetKey, Looked>,
) -> Option<Finding> {
    let about = RESOLVER.of(domain);
    let holders = seen.holders();
    let (_, reference) = newest(&holders)?;
    let unanimous = |key: &RrsetKey, right: &Answer| {
        let mut others = holders.iter().filter_map(|(_, held)| held.sets.get(key));
        others.all(|other| same(key, other, right, managed))
    };
    let (mut old, mut compared, mut failure) = (Vec::new(), false, None);
    for (key, right) in &reference.sets {
        let reply = match remembered.get(key) {
            Some(Ok(reply)) => reply,
            Some(Err(why)) => {
                failure = Some(why.clone());
                continue;
            }
            None => continue,
        };
        if !unanimous(key, right) {
            continue;
        }
        compared = true;
        // What an alias leads to is in another place.
        let known = Answer {
            set: crate::record::Rrset {
                values: reply.values.clone(),
                ..right.set.clone()
            },
            cname: reply.alias.clone(),
        };
        let right_alias = right.cname.is_some() && right.cname == known.cname;
        if !right_alias && !same(key, &known, right, managed) {
            // Absence is remembered for as long as the SOA says (RFC 2308 section 5).
            let absence = reference.soa.ttl.min(reference.soa.minimum);
            let seconds = reply.ttl.unwrap_or(absence);
            old.push(format!("{key}: {} for up to {seconds} s", values(&known)));
        }
    }
    if !old.is_empty() {
        return Some(about.warn(
            format!("the resolver still has {}", some(&old, 3)),
            "wait for that, then check again",
        ));
    }
    match failure {
        Some(why) if !compared => Some(about.skip(why)),
        _ if !compared => None,
        _ => Some(about.pass("the same")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::scene::{held, name, seen};
    use super::*;
    use crate::check::Verdict::{Fail, Pass, Skip, Warn};
    use crate::dns::Reply;

    const OLD: &str = "10 old.example.test.";
    const NEW: &str = "10 new.example.test.";

    #[test]
    fn a_server_that_says_otherwise_is_named() {
        let domain = name("example.test");
        let verdict = |first, second| {
            let finding = judge(&domain, true, &seen(first, second));
            (finding.verdict, finding.found)
        };
        let (found, text) = verdict(held(1, OLD), held(2, NEW));
        assert_eq!(found, Fail);
        assert_eq!(
            text,
            "unlike ns2.example.test (127.0.0.2:53): ns1.example.test (127.0.0.1:53) has serial 1, not 2, \
             example.test MX `10 old.example.test.`, not `10 new.example.test.`"
        );
        // The serial that went round its end is the newer one.
        let (found, text) = verdict(held(4_294_967_295, OLD), held(3, NEW));
        assert_eq!(found, Fail);
        assert!(text.starts_with("unlike ns2"), "{text}");
        assert_eq!(verdict(held(2, OLD), held(2, NEW)).0, Fail);
        assert_eq!(verdict(held(1, NEW), held(2, NEW)).0, Warn);
        assert_eq!(verdict(held(2, NEW), held(2, NEW)).0, Pass);
        let silent = || Heard::Silent("silence".into());
        let (found, text) = verdict(held(2, NEW), silent());
        assert_eq!(found, Pass);
        assert!(text.contains("no answer from ns2.example.test"), "{text}");
        assert_eq!(verdict(silent(), silent()).0, Skip);
    }

    #[test]
    fn addresses_of_others_may_differ() {
        let key = RrsetKey::new(name("mx.example.test"), RType::A);
        let answer = |values: &[&str]| Answer {
            set: crate::record::Rrset::new(key.clone(), None, values),
            cname: None,
        };
        let (one, other) = (answer(&["192.0.2.1"]), answer(&["192.0.2.2"]));
        assert!(same(&key, &one, &other, false) && !same(&key, &one, &other, true));
        assert!(!same(&key, &one, &answer(&[]), false));
    }

    #[test]
    fn what_the_resolver_remembers_is_told_with_its_time() {
        let domain = name("example.test");
        let key = RrsetKey::new(domain.clone(), RType::Mx);
        let reply = |values: &[&str], ttl| -> Looked {
            Ok(Arc::new(Reply {
                values: values.iter().map(|v| (*v).to_owned()).collect(),
                ttl,
                nxdomain: false,
                alias: None,
                authentic: false,
            }))
        };
        let found = |seen: &Seen, looked: Looked| {
            let remembered = BTreeMap::from([(key.clone(), looked)]);
            let finding = judge_resolver(&domain, true, seen, &remembered);
            finding.map(|finding| (finding.verdict, finding.found))
        };
        let agreeing = seen(held(2, NEW), held(2, NEW));
        let (verdict, text) = found(&agreeing, reply(&[OLD], Some(77))).expect("a finding");
        assert_eq!(verdict, Warn);
        assert!(text.contains("old.example.test.` for up to 77 s"), "{text}");
        let (verdict, text) = found(&agreeing, reply(&[], None)).expect("a finding");
        assert_eq!(verdict, Warn);
        assert!(text.contains("nothing for up to 60 s"), "{text}");
        let verdict = |seen: &Seen, looked| found(seen, looked).map(|(verdict, _)| verdict);
        assert_eq!(verdict(&agreeing, reply(&[NEW], Some(77))), Some(Pass));
        assert_eq!(verdict(&agreeing, Err("SERVFAIL".into())), Some(Skip));
        // Where the servers differ, `zone.servers` says so.
        let differing = seen(held(1, OLD), held(2, NEW));
        assert_eq!(verdict(&differing, reply(&[OLD], Some(77))), None);
    }
}
