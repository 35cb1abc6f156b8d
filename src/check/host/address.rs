//! Whether the host has the addresses that it shall have.

use std::net::IpAddr;

use super::{is_own, joined};
use crate::check::view::Host;
use crate::check::{Aspect, Expected, Finding};

/// The host's addresses.
pub const ADDRESS: Aspect = Aspect {
    id: "host.address",
    wanted: "the addresses of the server, and no others",
    why: "Mail comes to these addresses, and the forward confirmation of each sending address ends at them (Gmail 550-5.7.25).",
};

/// Judges the addresses; `None` where another question has done so.
pub fn judge(host: &Host, expected: Option<&Expected>) -> Option<Finding> {
    let own = expected.filter(|_| is_own(&host.name, expected));
    let about = ADDRESS.of(&host.name);
    if host.addresses.is_empty() {
        // Of a host that only receives, `mx.address` has said it.
        return own.map(|_| {
            about.fail(
                "no A or AAAA record",
                format!(
                    "publish the addresses of {}; `mailctl apply` does",
                    host.name
                ),
            )
        });
    }
    let found = joined(&host.addresses);
    if let Some(expected) = own {
        // What mail.yaml leaves open is not judged, and so is a family of which it says nothing.
        let known = |six: bool| expected.addresses.iter().any(|a| a.is_ipv6() == six);
        let missing: Vec<String> = expected
            .addresses
            .iter()
            .filter(|address| !host.addresses.contains(address))
            .map(|address| format!("{address} is missing"))
            .collect();
        let foreign: Vec<String> = host
            .addresses
            .iter()
            .filter(|a| known(a.is_ipv6()) && !expected.addresses.contains(a))
            .map(|address| format!("{address} is not the server's"))
            .collect();
        let wrong = [missing, foreign].concat();
        let about = about.clone();
        if !wrong.is_empty() {
            return Some(about.wanting(joined(&expected.addresses)).fail(
                wrong.join(", "),
                "`mailctl apply` publishes what mail.yaml says; correct `host.ipv4` and `host.ipv6` where that is wrong",
            ));
        }
        if expected.no_ipv6 && host.addresses.iter().any(IpAddr::is_ipv6) {
            return Some(about.wanting("no AAAA record").warn(
                format!("{found}, though mail.yaml says `ipv6: none`"),
                "remove the AAAA record: senders try it first, and wait",
            ));
        }
    }
    if host.addresses.iter().all(IpAddr::is_ipv6) {
        return Some(about.warn(
            format!("{found}: IPv6 only"),
            "add an IPv4 address: most senders cannot reach a host without one",
        ));
    }
    Some(about.pass(found))
}

#[cfg(test)]
mod tests {
    use super::super::scene::{ip, name};
    use super::*;
    use crate::check::Verdict::{Fail, Pass, Warn};

    #[test]
    fn the_own_host_has_the_addresses_of_mail_yaml() {
        let expected = Expected {
            host: Some(name("smtp.wac.tax")),
            addresses: vec![ip("203.0.113.7"), ip("2a02:c207::7")],
            ..Expected::default()
        };
        let verdict = |addresses: &[&str], expected: Option<&Expected>| {
            let host = Host {
                name: name("smtp.wac.tax"),
                addresses: addresses.iter().map(|a| ip(a)).collect(),
                receives: true,
            };
            judge(&host, expected).map(|finding| finding.verdict)
        };
        let both = ["203.0.113.7", "2a02:c207::7"];
        assert_eq!(verdict(&both, Some(&expected)), Some(Pass));
        assert_eq!(verdict(&both[..1], Some(&expected)), Some(Fail));
        assert_eq!(
            verdict(&[both[0], both[1], "192.0.2.1"], Some(&expected)),
            Some(Fail)
        );
        assert_eq!(verdict(&[], Some(&expected)), Some(Fail));
        assert_eq!(verdict(&[], None), None);
        assert_eq!(verdict(&both[..1], None), Some(Pass));
        assert_eq!(verdict(&both[1..], None), Some(Warn));
        let none = Expected {
            addresses: vec![ip("203.0.113.7")],
            no_ipv6: true,
            ..expected
        };
        assert_eq!(verdict(&both, Some(&none)), Some(Warn));
    }
}
