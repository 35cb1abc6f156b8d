//! Whether the zone above leads to the zone's servers, and whether these answer.

use super::seen::{Heard, Seen};
use super::some;
use crate::check::{Aspect, Finding};
use crate::record::Name;

/// What the zone above says.
pub const DELEGATION: Aspect = Aspect {
    id: "zone.delegation",
    wanted: "a delegation to at least two name servers, all of which answer for the zone, the same as in the zone itself",
    why: "Every look-up begins there. A name server that does not answer delays mail or makes receivers defer it (451 4.4.3, 450 4.1.8); with one alone nothing is found whenever it is down (RFC 2182).",
};

/// The domain does not exist.
pub fn absent(domain: &Name, closest: &Name) -> Finding {
    DELEGATION.of(domain).fail(
        format!("it does not exist: the closest zone above it is {closest}"),
        "register the domain and delegate it to the name servers that hold its zone, or publish its records in the zone above",
    )
}

/// The delegation and its servers.
pub fn judge(domain: &Name, seen: &Seen) -> Finding {
    let about = DELEGATION.of(domain);
    let (mut wrong, mut fixes) = (Vec::new(), Vec::new());
    let own = seen.own_names();
    let delegated = match &seen.delegation {
        Ok(Some(delegation)) => Some(&delegation.servers),
        Ok(None) => {
            return about.fail(
                format!("the zone above does not delegate {}", seen.apex),
                "have the registrar delegate it: only resolvers that are told of it find it now",
            );
        }
        Err(_) => None,
    };
    for (name, why) in &seen.homeless {
        wrong.push(format!("{name}: {why}"));
        fixes.push("publish the addresses of each name server");
    }
    for name in &seen.aliases {
        wrong.push(format!("{name} is an alias"));
        fixes.push("name servers by names with addresses of their own (RFC 2181 section 10.3)");
    }
    let mut silent = 0;
    for spoken in &seen.servers {
        let (server, why) = match &spoken.heard {
            Heard::Zone(_) => continue,
            Heard::Lame(why) => (&spoken.authority, why),
            Heard::Silent(_) if !seen.family_works(spoken.authority.addr.is_ipv6()) => {
                silent += 1;
                continue;
            }
            Heard::Silent(why) => (&spoken.authority, why),
        };
        wrong.push(format!("{server}: {why}"));
        fixes.push("set the zone up at that name server, or take it out of the delegation");
    }
    if seen.holders().is_empty() {
        // Only silence, and nobody else was heard either: it may be the way from here.
        if wrong.is_empty() || (silent > 0 && silent == seen.servers.len()) {
            return about
                .skip("no name server could be asked from here: port 53 may be closed on the way");
        }
        return about.fail(
            format!(
                "no name server answers for {}: {}",
                seen.apex,
                some(&wrong, 4)
            ),
            told(fixes),
        );
    }
    if let Some(delegated) = delegated {
        let names = |set: Vec<&Name>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
        let only_above = names(delegated.difference(&own).collect());
        let only_here = names(own.difference(delegated).collect());
        if !only_above.is_empty() && !own.is_empty() {
            wrong.push(format!(
                "only the zone above names {}",
                some(&only_above, 4)
            ));
        }
        if !only_here.is_empty() {
            wrong.push(format!(
                "only the zone itself names {}",
                some(&only_here, 4)
            ));
        }
        if !(only_above.is_empty() && only_here.is_empty()) {
            fixes
                .push("give the registrar the same name servers as stand in the zone's NS records");
        }
    }
    let all: std::collections::BTreeSet<&Name> =
        delegated.into_iter().flatten().chain(&own).collect();
    let mut places: Vec<_> = seen.servers.iter().map(|s| s.authority.addr.ip()).collect();
    places.sort();
    places.dedup();
    if all.len() == 1 {
        wrong.push("one name server only".into());
        fixes.push("add a second name server in another network");
    } else if places.len() == 1 && seen.far.is_empty() {
        wrong.push(format!("all name servers are at {}", places[0]));
        fixes.push("add a second name server in another network");
    }
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    if !wrong.is_empty() {
        return about.warn(some(&wrong, 4), told(fixes));
    }
    match &seen.delegation {
        Err(why) => about.skip(format!("{}; {why}", some(&names, 8))),
        Ok(_) => about.pass(some(&names, 8)),
    }
}

/// Each advice once.
fn told(mut fixes: Vec<&str>) -> String {
    let mut known = Vec::new();
    fixes.retain(|fix| {
        let new = !known.contains(fix);
        known.push(*fix);
        new
    });
    fixes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::scene::{held, name, seen, server};
    use super::*;
    use crate::check::Verdict::{Fail, Pass, Skip, Warn};

    fn good() -> Heard {
        held(1, "10 smtp.example.test.")
    }

    fn lame() -> Heard {
        Heard::Lame("it answers REFUSED".into())
    }

    fn found(seen: &Seen) -> (crate::check::Verdict, String) {
        let finding = judge(&name("example.test"), seen);
        (finding.verdict, finding.found)
    }

    #[test]
    fn two_servers_that_answer_are_enough() {
        let (verdict, text) = found(&seen(good(), good()));
        assert_eq!(verdict, Pass);
        assert_eq!(text, "ns1.example.test, ns2.example.test");
    }

    #[test]
    fn a_lame_server_is_a_warning_while_another_answers() {
        let (verdict, text) = found(&seen(good(), lame()));
        assert_eq!(verdict, Warn);
        assert!(
            text.contains("ns2.example.test (127.0.0.2:53): it answers REFUSED"),
            "{text}"
        );
        let silent = Heard::Silent("silence".into());
        assert_eq!(found(&seen(good(), silent)).0, Warn);
        assert_eq!(found(&seen(lame(), lame())).0, Fail);
        let mut homeless = seen(good(), good());
        homeless.servers.pop();
        homeless
            .homeless
            .push((name("ns2.example.test"), "it has no address".into()));
        assert_eq!(found(&homeless).0, Warn);
        homeless.servers.clear();
        assert_eq!(found(&homeless).0, Fail);
    }

    #[test]
    fn silence_of_everybody_may_be_the_way_from_here() {
        let silent = || Heard::Silent("silence".into());
        // The zone above has answered: so port 53 is open on the way.
        assert_eq!(found(&seen(silent(), silent())).0, Fail);
        let mut unheard = seen(silent(), silent());
        unheard.delegation = Err("silence".into());
        assert_eq!(found(&unheard).0, Skip);
        let mut good = seen(good(), good());
        good.delegation = Err("silence".into());
        assert_eq!(found(&good).0, Skip);
    }

    #[test]
    fn the_zone_above_and_the_zone_name_the_same_servers() {
        let mut differing = seen(good(), good());
        if let Ok(Some(delegation)) = &mut differing.delegation {
            delegation.servers.remove(&name("ns2.example.test"));
            delegation.servers.insert(name("ns3.example.test"));
        }
        let (verdict, text) = found(&differing);
        assert_eq!(verdict, Warn);
        assert!(
            text.contains("above names ns3.example.test")
                && text.contains("itself names ns2.example.test"),
            "{text}"
        );
        differing.delegation = Ok(None);
        assert_eq!(found(&differing).0, Fail);
        assert_eq!(absent(&name("a.test"), &name("test")).verdict, Fail);
    }

    #[test]
    fn one_server_or_one_address_is_few() {
        let mut one = seen(good(), good());
        one.servers[1] = server("ns2.example.test", 1, good());
        let (verdict, text) = found(&one);
        assert_eq!(
            (verdict, text.contains("all name servers are at 127.0.0.1")),
            (Warn, true)
        );
        let ns1 = std::collections::BTreeSet::from([name("ns1.example.test")]);
        for spoken in &mut one.servers {
            if let Heard::Zone(held) = &mut spoken.heard {
                held.sets
                    .retain(|key, _| key.rtype != crate::record::RType::Ns);
            }
        }
        if let Ok(Some(delegation)) = &mut one.delegation {
            delegation.servers = ns1;
        }
        let (verdict, text) = found(&one);
        assert_eq!((verdict, text.as_str()), (Warn, "one name server only"));
        one.aliases.push(name("ns1.example.test"));
        assert!(found(&one).1.contains("ns1.example.test is an alias"));
    }
}
