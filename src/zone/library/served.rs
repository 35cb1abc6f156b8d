//! What the API says beside what the zone's own servers say: the library shows
//! no TTL, and some of its adapters show nothing where there is no such zone.

use crate::dns::Authority;
use crate::failure::{Failure, Result};
use crate::record::{Name, RType, Rrset};

/// What all servers of a zone say, each in the order of the keys.
pub(super) type Served = [(Authority, Result<Vec<Rrset>>)];

/// The challenges of ACME (RFC 8555 section 8.4): they come and go faster than servers follow.
pub(super) const CHALLENGE: &str = "_acme-challenge";

/// Fails where no server answers at all: then the API would have to be believed alone.
///
/// # Errors
/// With what the last server's silence looks like.
pub(super) fn heard(title: &str, zone: &Name, served: &Served) -> Result<()> {
    if served.iter().any(|(_, answer)| answer.is_ok()) {
        return Ok(());
    }
    let silent = served.iter().find_map(|(_, answer)| answer.as_ref().err());
    let why = silent.map_or_else(|| "it has none".to_owned(), Failure::chain);
    Err(
        Failure::new(format!("no name server of {zone} answers: {why}")).hint(format!(
            "what {title} says is not believed alone: delegate {zone} to its name servers first"
        )),
    )
}

/// What each server that answers says at one place.
pub(super) fn at(served: &Served, place: usize) -> impl Iterator<Item = (&Authority, &Rrset)> {
    served.iter().filter_map(move |(authority, answer)| {
        let set = answer.as_ref().ok()?.get(place)?;
        Some((authority, set))
    })
}

/// The TTL that every server with these very values gives them.
pub(super) fn ttl(set: &Rrset, served: &Served, place: usize) -> Option<u32> {
    let mut ttls = at(served, place)
        .filter(|(_, served)| served.values == set.values)
        .map(|(_, served)| served.ttl);
    let first = ttls.next()??;
    ttls.all(|ttl| ttl == Some(first)).then_some(first)
}

/// A server that has values where the API has none. A resolver in front of
/// the real server may be as old as its cache, and counts for nothing here.
pub(super) fn against<'s>(
    absent: &Rrset,
    served: &'s Served,
    place: usize,
) -> Option<(&'s Authority, &'s Rrset)> {
    if absent.key.name.as_str().starts_with(CHALLENGE) {
        return None;
    }
    at(served, place).find(|(authority, set)| !authority.recursive && !set.values.is_empty())
}

/// Whether some server shows the very values that the API has.
pub(super) fn agree(set: &Rrset, served: &Served, place: usize) -> bool {
    let mut shown = at(served, place).filter(|(authority, _)| !authority.recursive);
    !set.values.is_empty() && shown.any(|(_, shown)| shown.values == set.values)
}

/// A text of more than ASCII that servers have and the API shows otherwise: the
/// library does not read the escapes (RFC 1035 section 5.1) that some APIs write it with.
pub(super) fn unread(set: &Rrset, served: &Served, place: usize) -> Option<String> {
    let texts = at(served, place).flat_map(|(_, shown)| &shown.values);
    let mut unread = texts.filter(|text| !text.is_ascii() && !set.values.contains(*text));
    unread
        .next()
        .filter(|_| set.key.rtype == RType::Txt)
        .cloned()
}

/// The wildcards that may answer for a name (RFC 4592), the nearest first.
pub(super) fn wildcards(name: &Name, zone: &Name) -> Vec<Name> {
    let above = std::iter::successors(name.parent(), Name::parent);
    above
        .take_while(|above| above.is_in(zone))
        .map(|above| above.child("*"))
        .collect()
}

/// The API has no such set, but a server has.
pub(super) fn contradiction(
    title: &str,
    zone: &Name,
    authority: &Authority,
    served: &Rrset,
) -> Failure {
    let values: Vec<&str> = served.values.iter().map(String::as_str).collect();
    Failure::new(format!(
        "{title} has no {}, but the name server {authority} has it: {}",
        served.key,
        values.join(", ")
    ))
    .hint(format!(
        "are the credentials those of the account that holds {zone}, and is the zone delegated to {title}? After a deletion, servers may need some minutes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RrsetKey;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn set(owner: &str, ttl: Option<u32>, values: &[&str]) -> Rrset {
        Rrset::new(RrsetKey::new(name(owner), RType::Txt), ttl, values)
    }

    fn server(number: u8, set: Result<Rrset>) -> (Authority, Result<Vec<Rrset>>) {
        let addr = ([192, 0, 2, number], 53).into();
        let authority = Authority::new(name(&format!("ns{number}.example.test")), addr);
        (authority, set.map(|set| vec![set]))
    }

    #[test]
    fn the_ttl_is_what_all_servers_with_these_values_say() {
        let there = set("a.example.test", None, &["x"]);
        let with = |ttl| set("a.example.test", Some(ttl), &["x"]);
        let silent = || Err(Failure::new("silent"));
        let old = set("a.example.test", Some(5), &["old"]);
        for (served, expected) in [
            (
                vec![server(1, Ok(with(60))), server(2, Ok(with(60)))],
                Some(60),
            ),
            (vec![server(1, Ok(with(60))), server(2, Ok(with(90)))], None),
            (vec![server(1, Ok(with(60))), server(2, silent())], Some(60)),
            (vec![server(1, Ok(old))], None),
        ] {
            assert_eq!(ttl(&there, &served, 0), expected);
        }
    }

    #[test]
    fn an_empty_answer_is_believed_only_where_no_server_has_values() {
        let absent = || set("a.example.test", None, &[]);
        let there = || set("a.example.test", Some(60), &["x"]);
        assert!(against(&absent(), &[server(1, Ok(absent()))], 0).is_none());
        let both = [server(1, Ok(absent())), server(2, Ok(there()))];
        let (authority, served) = against(&absent(), &both, 0).expect("a contradiction");
        let why = contradiction("Cloudflare", &name("example.test"), authority, served).told();
        assert!(
            why.contains("ns2.example.test") && why.contains("Cloudflare has no"),
            "{why}"
        );
        let challenge = set("_acme-challenge.example.test", Some(60), &["x"]);
        let none = Rrset::absent(challenge.key.clone());
        assert!(against(&none, &[server(1, Ok(challenge))], 0).is_none());
        let silent = [server(1, Err(Failure::new("silent")))];
        let why = heard("Cloudflare", &name("example.test"), &silent).expect_err("nobody");
        assert!(why.told().contains("silent"), "{}", why.told());
    }

    #[test]
    fn a_text_that_the_api_shows_otherwise_is_found() {
        let served = [server(
            1,
            Ok(set("a.example.test", Some(60), &["grün", "x"])),
        )];
        for (held, expected) in [
            (&["grün", "x"][..], None),
            (&["gr303274n", "x"], Some("grün".to_owned())),
            (&["y"], Some("grün".to_owned())),
        ] {
            let held = set("a.example.test", None, held);
            assert_eq!(unread(&held, &served, 0), expected);
        }
        let plain = [server(1, Ok(set("a.example.test", Some(60), &["old"])))];
        let held = set("a.example.test", None, &["x"]);
        assert_eq!(unread(&held, &plain, 0), None, "a server may be behind");
        assert!(
            !agree(&held, &plain, 0) && agree(&plain[0].1.as_ref().expect("a set")[0], &plain, 0)
        );
    }

    #[test]
    fn a_wildcard_may_stand_at_every_name_above() {
        let names = wildcards(&name("a.b.example.test"), &name("example.test"));
        assert_eq!(names, [name("*.b.example.test"), name("*.example.test")]);
        assert!(wildcards(&name("example.test"), &name("example.test")).is_empty());
    }
}
