//! Names and addresses that the public Internet does not have (RFC 6761, RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::record::Name;

/// Top-level names that nobody can register.
const RESERVED: [&str; 9] = [
    "alt",
    "arpa",
    "example",
    "internal",
    "invalid",
    "local",
    "localhost",
    "onion",
    "test",
];

/// Whether a name is below a top-level name that is set aside, and so exists in a private world at most.
pub fn is_reserved(name: &Name) -> bool {
    let top = name.as_str().rsplit('.').next().unwrap_or_default();
    RESERVED.contains(&top)
}

/// What an address is, where it is none that the Internet leads to.
pub fn kind(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(four) => kind_of_four(four),
        IpAddr::V6(six) => kind_of_six(six),
    }
}

fn kind_of_four(four: Ipv4Addr) -> Option<&'static str> {
    let [a, b, ..] = four.octets();
    Some(match () {
        () if a == 0 => "an address of this network (RFC 791)",
        () if four.is_loopback() => "a loopback address",
        () if four.is_private() => "a private address (RFC 1918)",
        () if a == 100 && b & 0xc0 == 64 => "an address behind a provider's NAT (RFC 6598)",
        () if four.is_link_local() => "a link-local address",
        () if four.is_documentation() => "an address of documentation (RFC 5737)",
        () if four.is_multicast() => "a multicast address",
        () if a >= 240 => "a reserved address",
        () => return None,
    })
}

fn kind_of_six(six: Ipv6Addr) -> Option<&'static str> {
    let head = six.segments();
    Some(match () {
        () if six.is_unspecified() => "the unspecified address",
        () if six.is_loopback() => "a loopback address",
        () if six.is_unique_local() => "a private address (RFC 4193)",
        () if six.is_unicast_link_local() => "a link-local address",
        () if six.is_multicast() => "a multicast address",
        () if head[0] == 0x2001 && head[1] == 0xdb8 => "an address of documentation (RFC 3849)",
        () if head[0] & 0xe000 != 0x2000 => "no global unicast address",
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_told_from_others() {
        for public in ["5.9.1.1", "100.128.0.1", "172.32.0.1", "2a01:4f8::1"] {
            assert_eq!(kind(public.parse().expect("an address")), None, "{public}");
        }
        for (other, what) in [
            ("10.0.0.1", "private"),
            ("172.31.0.1", "private"),
            ("100.64.0.1", "NAT"),
            ("127.0.0.1", "loopback"),
            ("169.254.1.1", "link-local"),
            ("203.0.113.7", "documentation"),
            ("0.0.0.0", "this network"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("fd00::1", "private"),
            ("fe80::1", "link-local"),
            ("::1", "loopback"),
            ("::ffff:10.0.0.1", "private"),
            ("2001:db8::1", "documentation"),
            ("::", "unspecified"),
        ] {
            let kind = kind(other.parse().expect("an address")).expect(other);
            assert!(kind.contains(what), "{other}: {kind}");
        }
    }

    #[test]
    fn reserved_names_are_known_by_their_last_label() {
        let reserved = |text| is_reserved(&Name::parse(text).expect("a name"));
        assert!(reserved("mail.example.test") && reserved("home.arpa"));
        assert!(!reserved("test.example.com") && !reserved("latest"));
    }
}
