//! From a real mail.yaml to the same one in a world of its own: hosts, zones,
//! authority and resolver are exchanged, nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use super::World;
use super::names::far_name;
use crate::config::{
    Config, Dns, Fields, Given, HostName, Ipv6Wish, Ptr, SecretRef, Spf, SshTarget,
};
use crate::record::Name;
use crate::secret::Secret;
use crate::spf::term::Term;

/// A receiver that can only be reached over IPv4, and one only over IPv6.
pub const ONLY: [&str; 2] = ["v4-only.example", "v6-only.example"];

/// The zones that the file's names are in: as it says itself, else each
/// domain that is not below another one, and the host name's parent.
pub fn zones(config: &Config) -> Vec<Name> {
    let mut zones: BTreeSet<Name> = BTreeSet::new();
    let named =
        std::iter::once(&config.dns).chain(config.domains.values().filter_map(|d| d.dns.as_ref()));
    zones.extend(
        named
            .filter_map(|dns| dns.zone.as_ref())
            .map(|zone| zone.0.clone()),
    );
    let mut domains: Vec<&Name> = config.domains.keys().map(|d| &d.0).collect();
    domains.sort_by_key(|name| name.as_str().len());
    for name in domains {
        if !zones.iter().any(|zone| name.is_in(zone)) {
            zones.insert(name.clone());
        }
    }
    let host = config.host_name();
    if !zones.iter().any(|zone| host.is_in(zone)) {
        zones.extend(host.parent());
    }
    zones.into_iter().collect()
}

/// Domains of other people that the file forwards to or reports to.
pub fn far_domains(config: &Config) -> Vec<Name> {
    let forwards = config
        .domains
        .values()
        .flat_map(|d| d.forward.values())
        .flat_map(|to| &to.0);
    let parts = forwards.filter_map(|address| Name::parse(address.rsplit_once('@')?.1).ok());
    let own = |name: &Name| config.domains.keys().any(|d| d.0 == *name);
    parts
        .filter(|name| !own(name))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Domains of other people whose SPF records the file's domains include.
pub fn included(config: &Config) -> Vec<Name> {
    let zones = zones(config);
    let extra = |spf: &Spf| -> Vec<String> {
        let terms = spf.extra.iter().filter_map(|text| Term::parse(text).ok());
        terms
            .filter(|term| matches!(term.name(), "include" | "redirect"))
            .filter_map(|term| term.target().map(str::to_owned))
            .collect()
    };
    let named = config.domains.values().flat_map(|domain| {
        let included = domain.spf.include.iter().cloned();
        included.chain(extra(&domain.spf)).collect::<Vec<_>>()
    });
    let names: BTreeSet<Name> = named.filter_map(|name| Name::parse(&name).ok()).collect();
    let own = |name: &Name| zones.iter().any(|zone| name.is_in(zone));
    names.into_iter().filter(|name| !own(name)).collect()
}

/// The same wishes, for the throw-away server of `world`. Passwords are made
/// anew and kept in `secrets`; reload commands are left out, because the
/// programs that they are for are not there.
pub fn mapped(config: &Config, world: &World, secrets: &Path) -> Config {
    let mut mapped = config.clone();
    let host = &mut mapped.host;
    host.ssh = SshTarget {
        user: Some("root".into()),
        host: world.ipv4().to_string(),
        port: Some(22),
    };
    host.identity = Some(world.private_key());
    host.host_key = Some(world.server().host_key_fingerprint());
    host.password = None;
    host.interface = None;
    host.ipv4 = Some(world.ipv4());
    if host.ipv6 != Some(Ipv6Wish::None) {
        host.ipv6 = Some(Ipv6Wish::Address(world.ipv6(), 64));
        host.gateway6 = Some(world.gateway6());
    }
    let token = SecretRef::Literal(Secret::new(world.names().token().expose()));
    let fields = Fields::default()
        .with("endpoint", Given::Text(world.names().endpoint()))
        .with("token", Given::Secret(token));
    let dns = |zone: Option<&HostName>, ttl: u32| Dns {
        provider: "powerdns".into(),
        zone: zone.cloned(),
        ttl,
        fields: fields.clone(),
    };
    mapped.dns = dns(config.dns.zone.as_ref(), config.dns.ttl);
    mapped.ptr = Ptr {
        provider: "powerdns".into(),
        zone: None,
        fields: fields.clone(),
    };
    for domain in mapped.domains.values_mut() {
        domain.dns = domain
            .dns
            .as_ref()
            .map(|own| dns(own.zone.as_ref(), own.ttl));
        for user in domain.users.values_mut() {
            user.password = None;
        }
    }
    mapped.certificates.authority = world.authority().directory();
    mapped.certificates.root = Some(world.authority().root().to_owned());
    mapped.certificates.reload.clear();
    // Nobody outside is asked: not for blocklists, not for registrations.
    mapped.check.far = Some(far_name().to_string());
    let left_out = ["registration", "blocklist", "resolver.blocklists"];
    mapped.check.skip.extend(left_out.map(String::from));
    // A world has one name server, whoever holds the real zone.
    mapped.check.skip.push("zone.delegation".into());
    mapped.resolver = Some(world.resolver().address());
    mapped.secrets = secrets.to_owned();
    mapped
}
