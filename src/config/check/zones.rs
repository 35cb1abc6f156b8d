//! Every name must be in a zone that a provider is given for.

use super::{Findings, at, listed};
use crate::config::Domain;
use crate::record::Name;

pub(super) fn check(f: &mut Findings<'_>) {
    host(f);
    domains(f);
    certificate(f);
    if let Some(zone) = &f.config.ptr.zone
        && !zone.0.as_str().ends_with(".in-addr.arpa")
        && !zone.0.as_str().ends_with(".ip6.arpa")
    {
        let help = "a reverse zone is named after its network, such as `113.0.203.in-addr.arpa`";
        f.error(
            &at(["ptr", "zone"]),
            format!("`{zone}` is no reverse zone"),
            help,
        );
    }
}

/// Whether somebody is given who can write records at `name`.
fn held(f: &Findings<'_>, name: &Name) -> bool {
    let default_zone = f.config.dns.zone.as_ref();
    if default_zone.is_some_and(|zone| name.is_in(&zone.0)) {
        return true;
    }
    let own_zone = |domain: &Domain| domain.dns.as_ref().and_then(|dns| dns.zone.clone());
    f.config.domains.iter().any(|(base, domain)| {
        name.is_in(&base.0) || own_zone(domain).is_some_and(|zone| name.is_in(&zone.0))
    })
}

fn host(f: &mut Findings<'_>) {
    let name = f.config.host_name().clone();
    let path = at(["host", "name"]);
    if !f.places.whole(&at(["domains"])) || !f.places.whole(&at(["dns", "zone"])) {
        return;
    }
    if !held(f, &name) {
        let parent = name.parent().map_or_else(String::new, |p| p.to_string());
        let outside = match &f.config.dns.zone {
            Some(zone) => format!("neither in the zone {zone} nor in a domain of this file"),
            None => format!(
                "in none of the domains of this file ({})",
                listed(f.config.domains.keys())
            ),
        };
        f.error(
            &path,
            format!("the host name `{name}` is outside any zone: it is {outside}"),
            format!("take a name in one of them, or say `dns.zone: {parent}` if that zone is at the same provider"),
        );
    }
    if f.config.domains.keys().any(|domain| domain.0 == name) {
        f.warning(
            &path,
            format!("the host has the bare name of the domain `{name}`"),
            format!(
                "some receivers take such reverse DNS for a generic one; `smtp.{name}` is safer"
            ),
        );
    }
}

/// A domain's records go to its own `dns`, or to the default one: the zone
/// named there must hold the domain.
fn domains(f: &mut Findings<'_>) {
    for (name, domain) in &f.config.domains {
        let (zone, path) = match &domain.dns {
            Some(dns) => (
                &dns.zone,
                at(["domains"]).then(name).then("dns").then("zone"),
            ),
            None => (&f.config.dns.zone, at(["domains"]).then(name)),
        };
        if let Some(zone) = zone
            && !name.0.is_in(&zone.0)
        {
            let help = if domain.dns.is_some() {
                format!(
                    "name the zone that holds {name}, or leave `zone` out: it is found by asking"
                )
            } else {
                format!(
                    "give {name} a `dns` of its own, or leave `dns.zone` out: zones are found by asking"
                )
            };
            f.error(
                &path,
                format!("the domain `{name}` is not in the zone `{zone}`"),
                help,
            );
        }
    }
}

fn certificate(f: &mut Findings<'_>) {
    let Some(names) = f.config.certificates.names.clone() else {
        return;
    };
    let path = at(["certificates", "names"]);
    if f.places.whole(&at(["host", "name"])) {
        let host = f.config.host_name().to_string();
        let wildcard = f
            .config
            .host_name()
            .parent()
            .map(|parent| format!("*.{parent}"));
        let covers = |name: &String| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == host || Some(&name) == wildcard.as_ref()
        };
        if !names.iter().any(covers) {
            let help = format!("add `{host}`: mail servers and programs connect to that name");
            f.error(
                &path,
                format!("the certificate does not cover the host name `{host}`"),
                help,
            );
        }
    }
    let whole = f.places.whole(&at(["domains"]));
    for (nth, text) in names.iter().enumerate() {
        let path = path.then(nth);
        if names[..nth]
            .iter()
            .any(|other| other.eq_ignore_ascii_case(text))
        {
            f.warning(&path, format!("`{text}` is named twice"), "");
        }
        let Ok(name) = Name::parse(text.strip_prefix("*.").unwrap_or(text)) else {
            continue;
        };
        if whole && !held(f, &name) && name != *f.config.host_name() {
            f.error(
                &path,
                format!("the certificate name `{text}` is in no domain of this file, and not in `dns.zone`"),
                "the authority wants a record in its zone as proof: nobody is given who could write it",
            );
        }
    }
}
