//! The records of host and domains, in the order in which they become true:
//! addresses, then PTR; SPF, DKIM, DMARC; MX last, when somebody answers.

use std::net::IpAddr;

use super::{Wish, dkim};
use crate::config::{self, Domain, Ipv6Wish, Mx, SpfAll};
use crate::dmarc;
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
    let literal = host
        .ssh
        .host
        .parse::<std::net::Ipv4Addr>()
        .ok()
        .filter(is_public);
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
        v4: host.ipv4.or(literal).or(wish.facts.ipv4),
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

fn is_public(ip: &std::net::Ipv4Addr) -> bool {
    let carrier_grade = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || carrier_grade)
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

/// All sets that mail.yaml asks for.
pub fn sets(wish: &Wish) -> Vec<RrsetWish> {
    let mut sets = host(wish);
    for (name, domain) in &wish.config.domains {
        sets.extend(of_domain(wish, &name.0, domain));
    }
    sets
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
        let ttl = own.unwrap_or(&wish.config.dns).ttl;
        Self { wish, holder, ttl }
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
        let forward = maker.whole(name.clone(), rtype, "address", &[ip.to_string()]);
        let key = RrsetKey::new(Name::reverse(ip), RType::Ptr);
        let mut reverse = RrsetWish::whole(
            Holder::Ptr,
            key,
            maker.ttl,
            "PTR",
            &[name.fqdn()],
            &wish.ledger,
        );
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
        set.confirm = !key.signing;
        set.from_key = key.from_key(name);
        set.needs.extend(set.from_key.clone());
        sets.push(set);
    }
    sets.push(maker.whole(
        name.child("_dmarc"),
        RType::Txt,
        "DMARC",
        &[dmarc::record(&domain.dmarc)],
    ));
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
                set.ttl = record.ttl.unwrap_or(maker.ttl);
                sets.push(set);
            }
        }
    }
}
