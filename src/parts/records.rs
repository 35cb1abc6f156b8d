//! The records of host and domains, in the order in which they become true:
//! addresses, then PTR; SPF, DKIM, DMARC; MX last, when somebody answers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Wish, caa, dkim};
use crate::catalogue;
use crate::config::{self, Domain, Ipv6Wish, Mx, SpfAll};
use crate::dmarc;
use crate::kinds::netplan;
use crate::kinds::rrset::{self, RrsetWish};
use crate::ledger::Made;
use crate::record::{Name, RType, RrsetKey};
use crate::resource::{Holder, Resource};
use crate::spf;

/// The addresses that mail leaves from and arrives at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// A and its PTR.
    pub v4: Option<std::net::Ipv4Addr>,
    /// AAAA and its PTR.
    pub v6: Option<std::net::Ipv6Addr>,
}

impl Addresses {
    fn all(self) -> impl Iterator<Item = IpAddr> {
        self.v4
            .map(IpAddr::V4)
            .into_iter()
            .chain(self.v6.map(IpAddr::V6))
    }
}

/// mail.yaml's addresses, else the literal one of `ssh` where it is public, else the host's own.
pub fn addresses(wish: &Wish) -> Addresses {
    let host = &wish.config.host;
    let v6 = match host.ipv6 {
        Some(Ipv6Wish::None) => None,
        Some(Ipv6Wish::Address(address, _)) => Some(address),
        // An address that is lost for a moment is no reason to delete its records: `none` says so.
        None => wish
            .facts
            .ipv6
            .first()
            .map(|(address, _)| *address)
            .or_else(|| published_v6(wish)),
    };
    Addresses {
        v4: wish.config.named_ipv4().or(wish.facts.ipv4),
        v6,
    }
}

fn published_v6(wish: &Wish) -> Option<std::net::Ipv6Addr> {
    let key = RrsetKey::new(wish.config.host_name().clone(), RType::Aaaa);
    wish.ledger.made.iter().find_map(|made| match made {
        Made::Value { key: of, value } if *of == key => value.parse().ok(),
        _ => None,
    })
}

/// Who holds a name: the domain above it that has a provider of its own, else the default one.
pub fn holder(config: &config::Config, name: &Name) -> Holder {
    let own = config
        .domains
        .iter()
        .filter(|(domain, d)| d.dns.is_some() && name.is_in(&domain.0));
    let longest = own.max_by_key(|(domain, _)| domain.0.as_str().len());
    longest.map_or(Holder::Default, |(domain, _)| {
        Holder::Domain(domain.0.clone())
    })
}

/// The id of the provider that a holder is.
pub fn provider<'c>(config: &'c config::Config, holder: &Holder) -> &'c str {
    match holder {
        Holder::Default => &config.dns.provider,
        Holder::Ptr => &config.ptr.provider,
        Holder::Domain(domain) => {
            let own = config.domains.iter().find(|(name, _)| name.0 == *domain);
            let dns = own.map_or(&config.dns, |(_, domain)| config.dns_of(domain));
            &dns.provider
        }
    }
}

/// All sets that mail.yaml asks for.
pub fn sets(wish: &Wish) -> Vec<RrsetWish> {
    let mut sets = host(wish);
    for (name, domain) in &wish.config.domains {
        sets.extend(of_domain(wish, &name.0, domain));
    }
    caa::wish(wish, &mut sets);
    mark_mail(wish, &mut sets);
    sets
}

/// Marks what mail flows through: each MX, and the addresses of the host and
/// of every name that an MX leads to.
fn mark_mail(wish: &Wish, sets: &mut [RrsetWish]) {
    let of_mx = sets.iter().filter(|set| set.key.rtype == RType::Mx);
    let targets = of_mx.flat_map(|set| &set.values);
    let targets = targets.filter_map(|value| Name::parse(value.rsplit(' ').next()?).ok());
    let mut names: BTreeSet<Name> = targets.collect();
    names.insert(wish.config.host_name().clone());
    for set in sets {
        set.mail = match set.key.rtype {
            RType::Mx => true,
            RType::A | RType::Aaaa => names.contains(&set.key.name),
            _ => false,
        };
    }
}

/// Adds them to what is wished for.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    wanted.extend(
        sets(wish)
            .into_iter()
            .map(|set| Box::new(set) as Box<dyn Resource>),
    );
}

/// Makes sets in the words of this file.
struct Maker<'a> {
    wish: &'a Wish<'a>,
    holder: Holder,
    dns: &'a config::Dns,
    ttl: u32,
}

impl<'a> Maker<'a> {
    fn new(wish: &'a Wish<'a>, name: &Name) -> Self {
        let holder = holder(wish.config, name);
        let own = match &holder {
            Holder::Domain(domain) => {
                let found = wish.config.domains.iter().find(|(n, _)| n.0 == *domain);
                found.and_then(|(_, d)| d.dns.as_ref())
            }
            _ => None,
        };
        let dns = own.unwrap_or(&wish.config.dns);
        Self {
            wish,
            holder,
            dns,
            ttl: dns.stored_ttl(dns.ttl),
        }
    }

    fn whole(
        &self,
        name: Name,
        rtype: RType,
        purpose: &'static str,
        values: &[String],
    ) -> RrsetWish {
        RrsetWish::whole(
            self.holder.clone(),
            RrsetKey::new(name, rtype),
            self.ttl,
            purpose,
            values,
            &self.wish.ledger,
        )
    }

    fn among(
        &self,
        name: Name,
        rtype: RType,
        purpose: &'static str,
        values: &[String],
    ) -> RrsetWish {
        RrsetWish {
            whole: false,
            ..self.whole(name, rtype, purpose, values)
        }
    }
}

fn host(wish: &Wish) -> Vec<RrsetWish> {
    let name = wish.config.host_name();
    let maker = Maker::new(wish, name);
    let mut sets = Vec::new();
    for ip in addresses(wish).all() {
        let rtype = if ip.is_ipv4() { RType::A } else { RType::Aaaa };
        let mut forward = maker.whole(name.clone(), rtype, "address", &[ip.to_string()]);
        if ip.is_ipv6() {
            // One that does not come up is not published.
            forward.needs.push(netplan::id());
        }
        let zone = wish.config.ptr.zone.as_ref().map(|zone| &zone.0);
        let key = RrsetKey::new(Name::reverse_in(ip, zone), RType::Ptr);
        let mut reverse = RrsetWish::whole(
            Holder::Ptr,
            key,
            maker.ttl,
            "PTR",
            &[name.fqdn()],
            &wish.ledger,
        );
        reverse.renames = catalogue::ptr(&wish.config.ptr.provider).is_some_and(|p| p.renames());
        // Several hosters refuse a PTR whose name does not point back yet.
        reverse.needs.push(rrset::id(&forward.key));
        sets.extend([forward, reverse]);
    }
    if !wish.config.domains.keys().any(|d| d.0 == *name) {
        // Bounces have no MAIL FROM: receivers check the EHLO name instead (RFC 7208 section 2.3).
        let mut set = maker.among(name.clone(), RType::Txt, "SPF of the host name", &[]);
        set.spf = Some(spf::Wanted {
            extra: vec!["a".into()],
            all: Some(SpfAll::Fail),
            ..spf::Wanted::default()
        });
        sets.push(set);
    }
    sets
}

fn of_domain(wish: &Wish, name: &Name, domain: &Domain) -> Vec<RrsetWish> {
    let maker = Maker::new(wish, name);
    let host = wish.config.host_name();
    let mut sets = vec![own_spf(wish, &maker, name, domain)];
    for key in dkim::of_domain(wish, name) {
        let values: Vec<String> = key.record.iter().cloned().collect();
        let mut set = maker.whole(key.owner(name), RType::Txt, "DKIM", &values);
        set.alike = crate::dkim::same_key;
        set.confirm = !key.signing;
        set.from_key = key.from_key(name);
        set.needs.extend(set.from_key.clone());
        sets.push(set);
    }
    let policy = dmarc::record(&domain.dmarc);
    let mut set = maker.whole(name.child("_dmarc"), RType::Txt, "DMARC", &[policy]);
    set.alike = dmarc::same;
    sets.push(set);
    if domain.autoconfig.0 {
        for (service, port) in [("_submissions._tcp", 465), ("_submission._tcp", 587)] {
            let value = format!("0 1 {port} {}", host.fqdn());
            sets.push(maker.whole(
                name.child(service),
                RType::Srv,
                "SRV for submission",
                &[value],
            ));
        }
    }
    if domain.mx == Mx::Own {
        let mut mx = maker.whole(
            name.clone(),
            RType::Mx,
            "MX",
            &[format!("10 {}", host.fqdn())],
        );
        let address = |ip| {
            let rtype = if IpAddr::is_ipv4(&ip) {
                RType::A
            } else {
                RType::Aaaa
            };
            rrset::id(&RrsetKey::new(host.clone(), rtype))
        };
        mx.needs.push("service chasquid".into());
        mx.needs.extend(addresses(wish).all().map(address));
        sets.push(mx);
    }
    further(&maker, name, domain, &mut sets);
    sets
}

fn own_spf(wish: &Wish, maker: &Maker, name: &Name, domain: &Domain) -> RrsetWish {
    let addresses = addresses(wish);
    let mut set = maker.among(name.clone(), RType::Txt, "SPF", &[]);
    set.spf = Some(spf::Wanted {
        ip4: addresses.v4.into_iter().collect(),
        ip6: addresses.v6.into_iter().collect(),
        mx: domain.mx == Mx::Own,
        includes: domain.spf.include.clone(),
        extra: domain.spf.extra.clone(),
        all: domain.spf.all,
    });
    set
}

/// `records`: beside others at the same name, never instead of them.
fn further(maker: &Maker, name: &Name, domain: &Domain, sets: &mut Vec<RrsetWish>) {
    // `config::check` has refused what cannot be read.
    for record in config::records::parse(name, &domain.records).unwrap_or_default() {
        let values: Vec<String> = record.values.iter().cloned().collect();
        match sets.iter_mut().find(|set| set.key == record.key) {
            Some(set) => set.values.extend(record.values),
            None => {
                let mut set =
                    maker.among(record.key.name.clone(), record.key.rtype, "record", &values);
                set.ttl = record
                    .ttl
                    .map_or(maker.ttl, |ttl| maker.dns.stored_ttl(ttl));
                sets.push(set);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::testing::{Stage, value};

    const LITERAL: &str = "ssh: root@203.0.113.7";

    #[test]
    fn addresses_come_from_mail_yaml_then_ssh_then_the_host() {
        let v4 = |host: &str, own: Option<[u8; 4]>| {
            let mut stage = Stage::new(host, "");
            stage.facts.ipv4 = own.map(Into::into);
            addresses(&stage.wish()).v4.map(|ip| ip.to_string())
        };
        assert_eq!(v4("ssh: vps", None), None);
        for (host, expected) in [
            ("ssh: vps", "198.51.100.9"),
            (LITERAL, "203.0.113.7"),
            ("ssh: root@10.0.0.7", "198.51.100.9"),
            ("ssh: root@100.64.0.7", "198.51.100.9"),
            ("ssh: root@203.0.113.7, ipv4: 192.0.2.7", "192.0.2.7"),
        ] {
            let found = v4(host, Some([198, 51, 100, 9]));
            assert_eq!(found.as_deref(), Some(expected), "{host}");
        }
    }

    #[test]
    fn an_ipv6_address_that_is_lost_for_a_moment_stays_published() {
        let v6 = |stage: &Stage| addresses(&stage.wish()).v6.map(|ip| ip.to_string());
        let made = [value("smtp.wac.tax", RType::Aaaa, "2001:db8::7")];
        let mut stage = Stage::new(LITERAL, "").made(made.clone());
        assert_eq!(v6(&stage).as_deref(), Some("2001:db8::7"));
        stage.facts.ipv6 = vec![("2001:db8::8".parse().expect("ip"), 64)];
        assert_eq!(v6(&stage).as_deref(), Some("2001:db8::8"));
        let none = Stage::new(&format!("{LITERAL}, ipv6: none"), "").made(made);
        assert_eq!(v6(&none), None, "mail.yaml says so");
    }

    #[test]
    fn each_ptr_waits_for_the_name_to_point_back_and_mx_for_the_server() {
        let stage = Stage::new(LITERAL, "");
        let sets = sets(&stage.wish());
        let needs = |id: &str| {
            let set = sets.iter().find(|set| rrset::id(&set.key) == id);
            set.expect(id).needs.clone()
        };
        assert_eq!(needs("ptr 203.0.113.7"), ["rrset smtp.wac.tax A"]);
        let mx = needs("rrset wac.tax MX");
        assert_eq!(mx, ["service chasquid", "rrset smtp.wac.tax A"]);
        let last = sets.last().expect("sets");
        assert_eq!(last.key.rtype, RType::Mx);
    }

    #[test]
    fn a_ptr_that_is_the_machines_name_is_dangerous() {
        let mut stage = Stage::new(LITERAL, "");
        let renames = |stage: &Stage| {
            let sets = sets(&stage.wish());
            let ptr = sets.iter().find(|set| set.key.rtype == RType::Ptr);
            ptr.expect("a PTR").renames
        };
        assert!(!renames(&stage));
        stage.config.ptr.provider = "digitalocean".into();
        assert!(renames(&stage));
    }

    #[test]
    fn keep_touches_no_mx_and_says_none_in_spf() {
        let stage = Stage::new(LITERAL, "mx: keep");
        let sets = sets(&stage.wish());
        assert!(sets.iter().all(|set| set.key.rtype != RType::Mx));
        let mut spf = sets.iter().filter_map(|set| set.spf.as_ref());
        let own = spf.find(|spf| !spf.ip4.is_empty()).expect("the domain's");
        assert!(!own.mx);
    }

    #[test]
    fn records_of_mail_yaml_join_the_set_that_is_there() {
        let stage = Stage::new(LITERAL, "records: ['@ TXT \"x\"', 'www 60 A 192.0.2.1']");
        let sets = sets(&stage.wish());
        let of = |name: &str, rtype| {
            let key = RrsetKey::new(Name::parse(name).expect("name"), rtype);
            let of: Vec<&RrsetWish> = sets.iter().filter(|set| set.key == key).collect();
            assert_eq!(of.len(), 1, "one set for one key");
            of[0]
        };
        let apex = of("wac.tax", RType::Txt);
        assert!(apex.spf.is_some() && apex.values.contains("x") && !apex.whole);
        assert_eq!(of("www.wac.tax", RType::A).ttl, 60);
    }
}
