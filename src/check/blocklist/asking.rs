//! One question to one blocklist (RFC 5782), and whether its answer is to be believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::Outside;
use super::lists::{INVALID, List, Listed};
use crate::record::{Name, RType};

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It lists the name: the answers, and what they mean where that is known.
    Listed(String),
    /// It does not.
    Absent,
    /// It does not say: it refuses this resolver, or is out of order.
    Unknown(String),
    /// It is not asked: it does not list such things.
    Apart,
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A mail server's address.
    Address(IpAddr),
    /// A domain or a host name.
    Domain(Name),
}

/// The name of a subject within a list's zone: an address's octets or nibbles
/// backwards (RFC 5782 sections 2.1 and 2.4), a domain as it is.
pub fn query(subject: &Subject, zone: &str) -> Option<Name> {
    let zone = Name::parse(zone).ok()?;
    let label = match subject {
        Subject::Address(address) => {
            let reverse = Name::reverse(*address);
            let head = reverse.as_str();
            let head = head
                .strip_suffix(".in-addr.arpa")
                .or_else(|| head.strip_suffix(".ip6.arpa"))?;
            head.to_owned()
        }
        Subject::Domain(name) => name.as_str().to_owned(),
    };
    // A long domain may leave no room for the zone.
    Name::parse(zone.child(&label).as_str()).ok()
}

/// What the answer's addresses say.
pub fn meaning(list: &List, values: impl IntoIterator<Item = String>) -> Answer {
    let mut said = Vec::new();
    for value in values {
        let Ok(four) = value.parse::<Ipv4Addr>() else {
            continue;
        };
        match four.octets() {
            [127, 255, 255, code] => {
                let why = match code {
                    252 => "the zone's name is misspelt",
                    254 => "it does not answer public resolvers",
                    255 => "too many queries came from this resolver",
                    _ => "it refuses",
                };
                return Answer::Unknown(format!("{why} ({four})"));
            }
            // Some lists refuse so; none may list with it, since it is what proves a wildcard.
            [127, 0, 0, 1] => return Answer::Unknown(format!("it refuses this resolver ({four})")),
            // The domain list of Spamhaus, asked for an address.
            [127, 0, 1, 255] => return Answer::Unknown(format!("it refuses the query ({four})")),
            [127, _, _, code] => match list.meaning(code) {
                Some(meaning) if meaning.is_empty() => said.push(four.to_string()),
                Some(meaning) => said.push(format!("{four}, {meaning}")),
                None => {}
            },
            _ => {
                let why = format!(
                    "the answer {four} is none of a blocklist: the resolver rewrites it, or the list has ended"
                );
                return Answer::Unknown(why);
            }
        }
    }
    if said.is_empty() {
        Answer::Absent
    } else {
        Answer::Listed(said.join("; "))
    }
}

/// What a list says of a subject, after its test points have been found in order.
pub async fn ask(outside: &Outside, list: &List, subject: &Subject) -> Answer {
    match fitness(outside, list, subject).await {
        Answer::Absent => one(outside, list, subject).await,
        other => other,
    }
}

/// Whether a list is in order, for subjects of this sort (RFC 5782 section 5):
/// `Absent` where it is, since then it has nothing to say yet.
pub async fn fitness(outside: &Outside, list: &List, subject: &Subject) -> Answer {
    let four = |last| Subject::Address(Ipv4Addr::new(127, 0, 0, last).into());
    let six = |last| {
        let mapped: Ipv6Addr = Ipv4Addr::new(127, 0, 0, last).to_ipv6_mapped();
        Subject::Address(mapped.into())
    };
    let name = |text: &str| Subject::Domain(Name::parse(text).unwrap_or_else(|_| Name::root()));
    let addresses = matches!(subject, Subject::Address(_));
    match (list.listed, subject) {
        (Listed::Four | Listed::Both, Subject::Domain(_))
        | (Listed::Domains, Subject::Address(_))
        | (Listed::Four, Subject::Address(IpAddr::V6(_))) => Answer::Apart,
        (Listed::Unsaid, Subject::Address(IpAddr::V6(_))) => {
            // Only its test point says whether it lists IPv6 at all.
            let tested = tests(outside, list, &six(2), &six(1)).await;
            let lists_four = tests(outside, list, &four(2), &four(1)).await == Answer::Absent;
            let lists_names = tests(outside, list, &name(list.test), &name(INVALID)).await;
            if tested != Answer::Absent && (lists_four || lists_names == Answer::Absent) {
                return Answer::Apart;
            }
            tested
        }
        (Listed::Unsaid, _) => {
            let (asked, other) = if addresses {
                ((four(2), four(1)), (name(list.test), name(INVALID)))
            } else {
                ((name(list.test), name(INVALID)), (four(2), four(1)))
            };
            let tested = tests(outside, list, &asked.0, &asked.1).await;
            if tested != Answer::Absent
                && tests(outside, list, &other.0, &other.1).await == Answer::Absent
            {
                return Answer::Apart;
            }
            tested
        }
        (_, Subject::Address(_)) => tests(outside, list, &four(2), &four(1)).await,
        (_, Subject::Domain(_)) => tests(outside, list, &name(list.test), &name(INVALID)).await,
    }
}

/// Whether the one test point is listed and the other is not.
async fn tests(outside: &Outside, list: &List, there: &Subject, absent: &Subject) -> Answer {
    let (there, absent) = tokio::join!(one(outside, list, there), one(outside, list, absent));
    match (there, absent) {
        (Answer::Unknown(why), _) | (_, Answer::Unknown(why)) => Answer::Unknown(why),
        (Answer::Listed(_), Answer::Absent) => Answer::Absent,
        (_, Answer::Listed(_)) => Answer::Unknown("it lists everything".into()),
        _ => Answer::Unknown("it does not list its own test entry".into()),
    }
}

async fn one(outside: &Outside, list: &List, subject: &Subject) -> Answer {
    let Some(name) = query(subject, &list.zone) else {
        return Answer::Unknown(format!("no query can be made for {}", list.zone));
    };
    match outside.lookup(&name, RType::A).await {
        Ok(reply) => meaning(list, reply.values.iter().cloned()),
        Err(why) => Answer::Unknown(why),
    }
}

/// Why the list lists it, in the list's own words (RFC 5782 section 2.1).
pub async fn reason(outside: &Outside, list: &List, subject: &Subject) -> Option<String> {
    let name = query(subject, &list.zone)?;
    let reply = outside.lookup(&name, RType::Txt).await.ok()?;
    let words: String = reply
        .values
        .first()?
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    Some(words.chars().take(160).collect::<String>()).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::lists::{BUILT_IN, lists};
    use super::*;
    use crate::check::Settings;

    fn list(zone: &str) -> List {
        let found = BUILT_IN.iter().find(|list| list.zone == zone);
        found.expect("a built-in list").clone()
    }

    fn said(zone: &str, values: &[&str]) -> Answer {
        meaning(&list(zone), values.iter().map(|value| (*value).to_owned()))
    }

    #[test]
    fn addresses_are_asked_for_backwards() {
        let query = |address: &str| {
            let subject = Subject::Address(address.parse().expect("an address"));
            query(&subject, "zen.example.").expect("a name").to_string()
        };
        assert_eq!(query("192.0.2.99"), "99.2.0.192.zen.example");
        // The example of RFC 5782 section 2.4.
        assert_eq!(
            query("2001:db8:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.zen.example"
        );
        let domain = Subject::Domain(Name::parse("wac.tax").expect("a name"));
        assert_eq!(
            super::query(&domain, "dbl.example").map(|name| name.to_string()),
            Some("wac.tax.dbl.example".into())
        );
    }

    #[test]
    fn refusals_are_no_listings() {
        for (zone, value) in [
            ("zen.spamhaus.org", "127.255.255.254"),
            ("zen.spamhaus.org", "127.255.255.255"),
            ("bl.spamcop.net", "127.255.255.1"),
            ("multi.uribl.com", "127.0.0.1"),
            ("dbl.spamhaus.org", "127.0.1.255"),
            ("zen.spamhaus.org", "203.0.113.80"),
        ] {
            let answer = said(zone, &[value]);
            assert!(
                matches!(&answer, Answer::Unknown(why) if why.contains(value)),
                "{zone} {value}: {answer:?}"
            );
        }
        // One refusal among answers is one.
        let mixed = said("zen.spamhaus.org", &["127.0.0.2", "127.255.255.254"]);
        assert!(matches!(mixed, Answer::Unknown(_)));
        assert_eq!(said("zen.spamhaus.org", &[]), Answer::Absent);
    }

    #[test]
    fn codes_have_their_lists_meaning() {
        for (zone, value, words) in [
            ("zen.spamhaus.org", "127.0.0.10", "PBL"),
            ("zen.spamhaus.org", "127.0.0.99", "127.0.0.99"),
            ("dbl.spamhaus.org", "127.0.1.4", "phishing"),
            ("multi.surbl.org", "127.0.0.80", "malware, ABUSE"),
            ("bl.mailspike.net", "127.0.0.11", "very bad"),
        ] {
            let answer = said(zone, &[value]);
            assert!(
                matches!(&answer, Answer::Listed(what) if what.contains(words)),
                "{zone} {value}: {answer:?}"
            );
        }
        // A good reputation is none.
        assert_eq!(said("bl.mailspike.net", &["127.0.0.18"]), Answer::Absent);
    }

    #[test]
    fn named_lists_replace_the_built_in_ones() {
        let mut settings = Settings::new(time::OffsetDateTime::UNIX_EPOCH);
        assert_eq!(lists(&settings).len(), BUILT_IN.len());
        settings.blocklists = Some(vec!["Zen.Spamhaus.org.".into(), "bl.example".into()]);
        let named = lists(&settings);
        assert_eq!(named.len(), 2);
        assert_eq!(named[0], list("zen.spamhaus.org"));
        assert_eq!((named[1].listed, named[1].major), (Listed::Unsaid, true));
    }
}
