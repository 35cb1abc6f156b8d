//! What evaluating an SPF record costs a receiver (RFC 7208 section 4.6.4):
//! every record that it leads to, and every question that is asked on the way.
//!
//! The walk itself asks nothing. It says which sets it misses; whoever has
//! them walks again, until nothing is missing.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use crate::check::View;
use crate::check::outside::Looked;
use crate::dns::Reply;
use crate::record::{Name, RType, RrsetKey};
use crate::spf::only_spf;
use crate::spf::term::{Kind, Term};

/// What was looked up so far.
pub type Known = BTreeMap<RrsetKey, Looked>;

/// A walk ends here: no receiver goes nearly as far, and a record may be made to never end.
const FARTHEST: usize = 60;

/// How many hosts one `mx` may have.
const MOST_EXCHANGES: usize = 10;

/// One term that asks the DNS, with what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// As it was written.
    pub term: String,
    /// The terms of the record that it includes or redirects to.
    pub below: Vec<Cost>,
}

impl Cost {
    /// How many look-ups count against the limit: its own and those below.
    pub fn lookups(&self) -> usize {
        1 + self.below.iter().map(Self::lookups).sum::<usize>()
    }
}

/// A term whose question is answered with nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    /// The term and, where it is not in the domain's own record, whose it is.
    pub term: String,
    /// For a sender with an IPv4 address.
    pub four: bool,
    /// For a sender with an IPv6 address.
    pub six: bool,
}

/// Everything that a receiver comes across when no term before `all` matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// What must be looked up before more can be said.
    pub missing: BTreeSet<RrsetKey>,
    /// The record's own terms that ask the DNS.
    pub costs: Vec<Cost>,
    /// Why receivers answer `permerror`, besides syntax and the limits.
    pub faults: Vec<String>,
    /// Terms that no receiver understands, with whose they are.
    pub syntax: Vec<String>,
    /// Void look-ups.
    pub voids: Vec<Void>,
    /// Terms whose target depends on the message, which cannot be followed.
    pub macros: Vec<String>,
    /// What could not be looked up, and why.
    pub unknown: Vec<String>,
    farther: usize,
}

impl Walk {
    /// Walks from a domain as far as what is known reaches.
    pub fn of(domain: &Name, known: &Known) -> Self {
        let mut walker = Walker {
            known,
            root: domain,
            walk: Self::default(),
        };
        let costs = walker.record(domain, &mut vec![domain.clone()]);
        Self {
            costs,
            ..walker.walk
        }
    }

    /// Walks to the end, looking up what is missing.
    pub async fn whole(view: &View, domain: &Name) -> Self {
        let mut known = Known::new();
        loop {
            let walk = Self::of(domain, &known);
            if walk.missing.is_empty() {
                return walk;
            }
            let asked = walk.missing.iter().map(|key| async {
                let looked = view.lookup(&key.name, key.rtype).await;
                (key.clone(), looked)
            });
            known.extend(join_all(asked).await);
        }
    }

    /// How many look-ups count against the limit of ten.
    pub fn lookups(&self) -> usize {
        self.costs.iter().map(Cost::lookups).sum()
    }
}

struct Walker<'a> {
    known: &'a Known,
    root: &'a Name,
    walk: Walk,
}

impl<'a> Walker<'a> {
    /// The costly terms of the record of the last domain on the path.
    fn record(&mut self, domain: &Name, path: &mut Vec<Name>) -> Vec<Cost> {
        let Some(reply) = self.ask(domain, RType::Txt) else {
            return Vec::new();
        };
        let text = match only_spf(reply.values.iter().map(String::as_str)) {
            Ok(Some(text)) => text,
            // The domain's own record is judged by itself.
            _ if path.len() == 1 => return Vec::new(),
            Ok(None) => {
                self.fault(format!("{domain} has no SPF record"), path);
                return Vec::new();
            }
            Err(several) => {
                self.fault(format!("of {domain}: {several}"), path);
                return Vec::new();
            }
        };
        let mut terms = Vec::new();
        for word in text.split_ascii_whitespace().skip(1) {
            match Term::parse(word) {
                Ok(term) => terms.push(term),
                Err(why) => self.walk.syntax.push(self.of(domain, &why)),
            }
        }
        let ends = terms.iter().position(|term| term.kind == Kind::All);
        let reached = &terms[..ends.unwrap_or(terms.len())];
        let mechanisms = reached.iter().filter(|term| term.kind == Kind::Lookup);
        // `all` anywhere switches a redirect off (RFC 7208 section 6.1).
        let redirect = terms
            .iter()
            .find(|term| ends.is_none() && term.kind == Kind::Redirect);
        let costly: Vec<&Term> = mechanisms.chain(redirect).collect();
        let mut costs = Vec::new();
        for term in costly {
            costs.push(Cost {
                term: term.text.clone(),
                below: self.term(term, domain, path),
            });
        }
        costs
    }

    /// What a term leads to.
    fn term(&mut self, term: &Term, domain: &Name, path: &mut Vec<Name>) -> Vec<Cost> {
        self.walk.farther += 1;
        if self.walk.farther > FARTHEST || term.name() == "ptr" {
            return Vec::new();
        }
        let target = match term.target() {
            None => domain.clone(),
            Some(spec) if spec.contains('%') => {
                self.walk.macros.push(self.of(domain, &term.text));
                return Vec::new();
            }
            Some(spec) => match Name::parse(spec) {
                Ok(name) => name,
                Err(why) => {
                    self.walk
                        .syntax
                        .push(self.of(domain, &format!("`{}`: {why}", term.text)));
                    return Vec::new();
                }
            },
        };
        let label = self.of(domain, &term.text);
        match term.name() {
            "include" | "redirect" if path.contains(&target) => {
                let turn = format!("`{label}` leads back to {target}, so it has no end");
                self.walk.faults.push(turn);
            }
            "include" | "redirect" => {
                path.push(target.clone());
                let below = self.record(&target, path);
                path.pop();
                return below;
            }
            "mx" => self.exchanges(label, &target),
            "exists" => {
                let found = self.ask(&target, RType::A).map(Reply::exists);
                let void = found == Some(false);
                self.void(label, void, void);
            }
            _ => self.addresses(label, &target),
        }
        Vec::new()
    }

    fn exchanges(&mut self, label: String, target: &Name) {
        let Some(reply) = self.ask(target, RType::Mx) else {
            return;
        };
        if !reply.exists() {
            self.void(label, true, true);
            return;
        }
        let hosts = reply.values.iter();
        let hosts: BTreeSet<&str> = hosts.filter_map(|mx| mx.split(' ').next_back()).collect();
        if hosts.len() > MOST_EXCHANGES {
            let many = hosts.len();
            self.walk.faults.push(format!(
                "`{label}` stands for {many} hosts, and {MOST_EXCHANGES} are the most"
            ));
            return;
        }
        for host in hosts.into_iter().filter_map(|host| Name::parse(host).ok()) {
            // A null MX (RFC 7505) is no host.
            if host != Name::root() {
                self.addresses(format!("{label} ({host})"), &host);
            }
        }
    }

    fn addresses(&mut self, label: String, host: &Name) {
        let four = self.ask(host, RType::A).map(Reply::exists);
        let six = self.ask(host, RType::Aaaa).map(Reply::exists);
        self.void(label, four == Some(false), six == Some(false));
    }

    fn void(&mut self, term: String, four: bool, six: bool) {
        if four || six {
            self.walk.voids.push(Void { term, four, six });
        }
    }

    fn fault(&mut self, what: String, path: &[Name]) {
        let way: Vec<&str> = path.iter().map(Name::as_str).collect();
        self.walk
            .faults
            .push(format!("{what}, and {} leads there", way.join(" → ")));
    }

    /// What is said of a term, with whose it is where it is not the domain's own.
    fn of(&self, domain: &Name, what: &str) -> String {
        if domain == self.root {
            what.to_owned()
        } else {
            format!("{what} of {domain}")
        }
    }

    fn ask(&mut self, name: &Name, rtype: RType) -> Option<&'a Reply> {
        let key = RrsetKey::new(name.clone(), rtype);
        match self.known.get(&key) {
            Some(Ok(reply)) => Some(reply),
            Some(Err(why)) => {
                if !self.walk.unknown.contains(why) {
                    self.walk.unknown.push(why.clone());
                }
                None
            }
            None => {
                self.walk.missing.insert(key);
                None
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    /// A world in lines: `name TYPE value`; the rest of it does not exist.
    pub(crate) fn walk(world: &str) -> Walk {
        let domain = Name::parse("a.test").expect("a name");
        let mut known = Known::new();
        loop {
            let walk = Walk::of(&domain, &known);
            if walk.missing.is_empty() {
                return walk;
            }
            for key in walk.missing {
                let looked = look(world, &key);
                known.insert(key, looked);
            }
        }
    }

    fn look(world: &str, key: &RrsetKey) -> Looked {
        let start = format!("{key} ");
        let lines = world.lines().map(str::trim);
        let values: BTreeSet<String> = lines
            .filter_map(|line| line.strip_prefix(&start))
            .map(str::to_owned)
            .collect();
        if values.contains("SERVFAIL") {
            return Err(format!("no answer for {key}"));
        }
        Ok(Arc::new(Reply {
            nxdomain: values.is_empty(),
            values,
            ttl: Some(300),
            alias: None,
            authentic: false,
        }))
    }

    #[test]
    fn every_term_on_the_way_counts_once() {
        let walk = walk(
            "a.test TXT v=spf1 ip4:192.0.2.1 a mx include:b.test exists:%{i}.c.test ptr ~all mx:never.test
             a.test A 192.0.2.1
             a.test AAAA 2001:db8::1
             a.test MX 10 mx1.test.
             a.test MX 20 mx2.test.
             mx1.test A 192.0.2.2
             mx1.test AAAA 2001:db8::2
             mx2.test A 192.0.2.3
             b.test TXT v=spf1 include:d.test -all
             d.test TXT v=spf1 a:mx1.test redirect=e.test
             e.test TXT v=spf1 ip4:192.0.2.9 ?all",
        );
        let counts: Vec<(&str, usize)> = walk
            .costs
            .iter()
            .map(|c| (c.term.as_str(), c.lookups()))
            .collect();
        let wanted = [
            ("a", 1),
            ("mx", 1),
            ("include:b.test", 4),
            ("exists:%{i}.c.test", 1),
            ("ptr", 1),
        ];
        assert_eq!(counts, wanted);
        assert_eq!(walk.lookups(), 8);
        assert_eq!(walk.macros, ["exists:%{i}.c.test"]);
        assert_eq!(
            walk.voids,
            [Void {
                term: "mx (mx2.test)".into(),
                four: false,
                six: true
            }]
        );
        assert!(walk.faults.is_empty() && walk.syntax.is_empty() && walk.unknown.is_empty());
    }

    #[test]
    fn what_receivers_refuse_is_named_with_the_way_there() {
        for (world, fault) in [
            (
                "a.test TXT v=spf1 include:b.test -all",
                "b.test has no SPF record, and a.test → b.test leads there",
            ),
            (
                "a.test TXT v=spf1 redirect=b.test\nb.test TXT v=spf1 -all\nb.test TXT v=spf1 mx",
                "of b.test: 2 SPF records",
            ),
            (
                "a.test TXT v=spf1 include:b.test -all\nb.test TXT v=spf1 include:a.test -all",
                "`include:a.test of b.test` leads back to a.test",
            ),
            (
                "a.test TXT v=spf1 include:a.test -all",
                "`include:a.test` leads back to a.test",
            ),
        ] {
            let walk = walk(world);
            assert_eq!(walk.faults.len(), 1, "{world}: {walk:?}");
            assert!(walk.faults[0].starts_with(fault), "{:?}", walk.faults);
        }
    }

    #[test]
    fn a_single_mx_has_ten_hosts_at_most() {
        let mut world = String::from("a.test TXT v=spf1 mx -all\n");
        for nth in 0..11 {
            world.push_str(&format!("a.test MX 10 mx{nth}.test.\n"));
        }
        assert!(walk(&world).faults[0].contains("11 hosts"));
    }

    #[test]
    fn questions_without_answer_are_void() {
        let walk = walk(
            "a.test TXT v=spf1 a:x.test mx:y.test exists:z.test a:w.test -all\nw.test AAAA 2001:db8::1",
        );
        let voids: Vec<(&str, bool, bool)> = walk
            .voids
            .iter()
            .map(|v| (v.term.as_str(), v.four, v.six))
            .collect();
        let wanted = [
            ("a:x.test", true, true),
            ("mx:y.test", true, true),
            ("exists:z.test", true, true),
            ("a:w.test", true, false),
        ];
        assert_eq!(voids, wanted);
    }

    #[test]
    fn bad_terms_below_are_named_with_their_domain() {
        let walk =
            walk("a.test TXT v=spf1 include:b.test -all\nb.test TXT v=spf1 ipv4:192.0.2.1 -all");
        assert_eq!(walk.syntax.len(), 1);
        assert!(
            walk.syntax[0].contains("`ipv4:192.0.2.1`") && walk.syntax[0].ends_with("of b.test")
        );
    }

    #[test]
    fn a_silent_server_is_not_an_absent_record() {
        let walk =
            walk("a.test TXT v=spf1 include:b.test a -all\nb.test TXT SERVFAIL\na.test A SERVFAIL");
        assert!(walk.faults.is_empty(), "{walk:?}");
        assert_eq!(
            walk.unknown,
            ["no answer for b.test TXT", "no answer for a.test A"]
        );
        assert_eq!(walk.lookups(), 2);
    }

    #[test]
    fn a_tree_that_grows_without_end_is_left() {
        let mut world = String::from("a.test TXT v=spf1 include:b0.test include:b0.test -all\n");
        for nth in 0..30 {
            let next = nth + 1;
            world.push_str(&format!(
                "b{nth}.test TXT v=spf1 include:b{next}.test include:b{next}.test -all\n"
            ));
        }
        let lookups = walk(&world).lookups();
        assert!((FARTHEST..FARTHEST * 2).contains(&lookups), "{lookups}");
    }
}
