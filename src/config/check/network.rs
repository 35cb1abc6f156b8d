//! The host's addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Findings, at};
use crate::config::Ipv6Wish;

pub(super) fn check(f: &mut Findings<'_>) {
    if let Some(ip) = f.config.host.ipv4 {
        ipv4(f, ip);
    }
    if let Some(Ipv6Wish::Address(ip, _)) = f.config.host.ipv6 {
        ipv6(f, ip);
    }
    if let Some(gateway) = f.config.host.gateway6 {
        gateway6(f, gateway);
    }
    if let Some(path) = f.config.host.identity.clone()
        && let Err(error) = f.around.read(&path)
    {
        f.error(
            &at(["host", "identity"]),
            format!("the key file {} cannot be read: {error}", path.display()),
            "leave `identity` out to use ssh-agent, ~/.ssh/config and the usual keys",
        );
    }
}

fn ipv4(f: &mut Findings<'_>, ip: Ipv4Addr) {
    let path = at(["host", "ipv4"]);
    if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() {
        f.error(
            &path,
            format!("`{ip}` cannot be the address of a host"),
            "give the server's public address",
        );
        return;
    }
    let sort = match ip {
        _ if ip.is_loopback() => "a loopback",
        _ if ip.is_private() => "a private",
        _ if ip.is_link_local() => "a link-local",
        _ if ip.is_documentation() => "a documentation",
        // RFC 6598: what carrier-grade NAT uses.
        _ if ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64 => "a carrier-grade NAT",
        _ => return,
    };
    f.warning(
        &path,
        format!("`{ip}` is {sort} address: the world cannot reach it"),
        "right in a laboratory; else give the address that the hoster assigned",
    );
}

fn ipv6(f: &mut Findings<'_>, ip: Ipv6Addr) {
    let path = at(["host", "ipv6"]);
    let sort = match ip {
        _ if ip.is_loopback() => "the loopback address",
        _ if ip.is_unspecified() => "the unspecified address",
        _ if ip.is_multicast() => "a multicast address",
        _ if ip.is_unicast_link_local() => "a link-local address",
        _ if ip.to_ipv4_mapped().is_some() => "an IPv4 address in disguise",
        _ => "",
    };
    if !sort.is_empty() {
        let help = "give the server's global address, or `none` when it has no IPv6";
        f.error(
            &path,
            format!("`{ip}` is {sort}: it cannot be published"),
            help,
        );
        return;
    }
    let documentation = ip.segments()[0] == 0x2001 && ip.segments()[1] == 0xdb8;
    if ip.is_unique_local() || documentation {
        let sort = if documentation {
            "documentation"
        } else {
            "unique local"
        };
        f.warning(
            &path,
            format!("`{ip}` is a {sort} address: the world cannot reach it"),
            "right in a laboratory; else give the address that the hoster assigned",
        );
    }
}

fn gateway6(f: &mut Findings<'_>, gateway: Ipv6Addr) {
    let path = at(["host", "gateway6"]);
    if !f.places.whole(&at(["host", "ipv6"])) {
        return;
    }
    let (ip, prefix) = match f.config.host.ipv6 {
        Some(Ipv6Wish::Address(ip, prefix)) => (ip, prefix),
        Some(Ipv6Wish::None) => {
            f.error(
                &path,
                "`gateway6` is given, but `ipv6` is `none`",
                "remove one of them",
            );
            return;
        }
        None => {
            let help =
                "add `ipv6: address/prefix`, or remove `gateway6`: what the host has is kept then";
            f.error(&path, "`gateway6` is given without `ipv6`", help);
            return;
        }
    };
    if gateway == ip {
        f.error(
            &path,
            format!("the gateway `{gateway}` is the host itself"),
            "most hosters use `fe80::1`",
        );
    } else if gateway.is_multicast() || gateway.is_loopback() || gateway.is_unspecified() {
        f.error(
            &path,
            format!("`{gateway}` cannot be a gateway"),
            "most hosters use `fe80::1`",
        );
    } else if !gateway.is_unicast_link_local() && !same_network(ip, gateway, prefix) {
        f.error(
            &path,
            format!("the gateway `{gateway}` is not on the link: it is neither link-local nor in {ip}/{prefix}"),
            "most hosters use `fe80::1`; else the prefix length of `ipv6` may be wrong",
        );
    }
}

fn same_network(a: Ipv6Addr, b: Ipv6Addr, prefix: u8) -> bool {
    let shift = 128 - u32::from(prefix);
    let differ = a.to_bits() ^ b.to_bits();
    differ.checked_shr(shift).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_the_prefix_says() {
        let ip = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
        assert!(same_network(ip("2001:db8::7"), ip("2001:db8::1"), 64));
        assert!(!same_network(ip("2001:db8::7"), ip("2001:db8:0:1::1"), 64));
        assert!(!same_network(ip("2001:db8::7"), ip("2001:db8::1"), 128));
    }
}
