//! Whether a reverse name looks as if a provider had made it for every
//! customer alike: receivers take such hosts for infected home computers.

use std::net::IpAddr;

use crate::record::Name;

/// What gives a name away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trait {
    /// A word for lines whose address changes: no mail server is expected there.
    Dynamic(String),
    /// The address itself.
    Address,
    /// A word for one of many alike, beside a number.
    Numbered(String),
}

/// Words of dial-up and consumer lines.
const DYNAMIC: [&str; 18] = [
    "adsl",
    "broadband",
    "cable",
    "dhcp",
    "dial",
    "dialin",
    "dialup",
    "dip",
    "dsl",
    "dyn",
    "dynamic",
    "dynip",
    "fttx",
    "gprs",
    "ppp",
    "pppoe",
    "vdsl",
    "xdsl",
];

/// Words that hosters number their customers' machines with.
const NUMBERED: [&str; 19] = [
    "client",
    "clients",
    "compute",
    "cust",
    "customer",
    "customers",
    "host",
    "hosted",
    "ip",
    "node",
    "pool",
    "ptr",
    "rev",
    "reverse",
    "static",
    "unassigned",
    "vm",
    "vmi",
    "vps",
];

/// What is generic about the reverse name of an address, if anything.
///
/// The two last labels are the provider's own name and are left out. A word
/// alone, such as in `vps.example.com`, is somebody's choice; with a number
/// beside it, it is one of many.
pub fn generic(name: &Name, address: IpAddr) -> Option<Trait> {
    let labels: Vec<&str> = name.as_str().split('.').collect();
    let head = &labels[..labels.len().saturating_sub(2)];
    // Letters that follow each other are a word, and so are digits.
    let words: Vec<String> = head.iter().flat_map(|label| words(label)).collect();
    let found = |list: &[&str]| words.iter().find(|word| list.contains(&word.as_str()));
    if let Some(word) = found(&DYNAMIC) {
        return Some(Trait::Dynamic(word.clone()));
    }
    if holds(&head.join("."), address) {
        return Some(Trait::Address);
    }
    let numbered = words
        .iter()
        .any(|word| word.len() >= 3 && word.chars().all(|c| c.is_ascii_digit()));
    found(&NUMBERED)
        .filter(|_| numbered)
        .map(|word| Trait::Numbered(word.clone()))
}

fn words(label: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = None;
    for c in label.chars() {
        let sort = (c.is_ascii_digit(), c.is_ascii_alphabetic());
        match words.last_mut() {
            Some(word) if last == Some(sort) => word.push(c),
            _ => words.push(c.to_string()),
        }
        last = Some(sort);
    }
    words
}

/// Whether the address stands in the text, in any order and form that providers use.
fn holds(text: &str, address: IpAddr) -> bool {
    // One separator instead of many, so that one form of the address is enough.
    let dashed: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    match address {
        IpAddr::V4(four) => {
            let mut octets = four.octets();
            let hex: String = octets.iter().map(|o| format!("{o:02x}")).collect();
            let mut forms = vec![hex];
            for _ in 0..2 {
                let plain = octets.map(|o| o.to_string());
                let padded = octets.map(|o| format!("{o:03}"));
                forms.extend([plain.join("-"), padded.join("-"), padded.concat()]);
                // Some leave out the octet that all their addresses share.
                forms.extend([plain[1..].join("-"), plain[..3].join("-")]);
                octets.reverse();
            }
            forms.iter().any(|form| stands_in(form, &dashed))
        }
        IpAddr::V6(six) => {
            let groups = six.segments();
            let hex: String = groups.iter().map(|g| format!("{g:04x}")).collect();
            let bare: String = dashed.chars().filter(|c| *c != '-').collect();
            let backwards: String = hex.chars().rev().collect();
            let plain = groups.map(|g| format!("{g:x}")).join("-");
            let short = six.to_string().replace(':', "-");
            // The interface's half alone is enough to be one of many, where it is a long one.
            let tail = &hex[16..];
            let long_tail = tail.trim_start_matches('0').len() >= 8 && bare.contains(tail);
            bare.contains(&hex)
                || bare.contains(&backwards)
                || stands_in(&plain, &dashed)
                || stands_in(short.trim_matches('-'), &dashed)
                || long_tail
        }
    }
}

/// Whether a form stands in a text, not as a part of a longer number.
fn stands_in(form: &str, text: &str) -> bool {
    text.match_indices(form).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + form.len()..].chars().next();
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        !digit(before) && !digit(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, address: &str) -> Option<Trait> {
        let address = address.parse().expect("an address");
        generic(&Name::parse(name).expect("a name"), address)
    }

    #[test]
    fn names_that_somebody_chose_are_not_generic() {
        for (name, address) in [
            ("smtp.wac.tax", "203.0.113.7"),
            ("mx2.example.com", "203.0.113.7"),
            ("vps.example.com", "203.0.113.7"),
            ("static.example.com", "203.0.113.7"),
            ("mail-wr1-f51.google.com", "209.85.221.51"),
            ("mout.kundenserver.de", "212.227.126.131"),
            ("mx01.mail.icloud.com", "17.57.156.30"),
            ("mail.host7.example.com", "203.0.113.7"),
            ("a1-113-7.smtp-out.eu-west-1.amazonses.com", "54.240.1.113"),
            ("example.com", "203.0.113.7"),
            ("ns3.example.com", "2a02:c207::3"),
            ("mail.example.com", "2a02:c207::7"),
        ] {
            assert_eq!(of(name, address), None, "{name}");
        }
    }

    #[test]
    fn the_address_is_found_in_every_form() {
        for name in [
            "ec2-203-0-113-7.compute-1.amazonaws.com",
            "static.7.113.0.203.clients.your-server.de",
            "203.0.113.7.hoster.example.net",
            "7.113.0.203.in-addr.hoster.net",
            "h203000113007.isp.net",
            "cb007107.virtua.com.br",
            "host-0-113-7.isp.net",
            "ip_203_0_113_7.isp.net",
        ] {
            assert_eq!(of(name, "203.0.113.7"), Some(Trait::Address), "{name}");
        }
        for name in [
            "2a02-c207-0-0-0-0-0-1a.isp.net",
            "2a02-c207--1a.isp.net",
            "2a02c20700000000000000000000001a.isp.net",
            "a.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.2.c.2.0.a.2.ip6.isp.net",
        ] {
            assert_eq!(of(name, "2a02:c207::1a"), Some(Trait::Address), "{name}");
        }
        let long = of("v6-021132fffe12ab34.isp.net", "2a02::211:32ff:fe12:ab34");
        assert_eq!(long, Some(Trait::Address));
    }

    #[test]
    fn words_give_a_name_away() {
        for (name, word) in [
            ("p5b0c1f2e.dip0.t-ipconnect.de", "dip"),
            ("77.dynamic.isp.net", "dynamic"),
            ("adsl-12.isp.net", "adsl"),
        ] {
            let found = of(name, "91.12.31.46");
            assert_eq!(found, Some(Trait::Dynamic(word.into())), "{name}");
        }
        for (name, word) in [
            ("vmi1234567.contaboserver.net", "vmi"),
            ("vps-12345.hoster.net", "vps"),
            ("static-ip-1001.hoster.net", "static"),
        ] {
            let found = of(name, "203.0.113.7");
            assert_eq!(found, Some(Trait::Numbered(word.into())), "{name}");
        }
    }
}
