//! SPF terms that are added by hand (RFC 7208).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Findings, at};
use crate::config::guess::guess;
use crate::record::Name;

/// Terms that cost the receiver a DNS query (RFC 7208 section 4.6.4).
const QUERYING: [&str; 5] = ["include", "a", "mx", "ptr", "exists"];

/// What RFC 7208 section 4.6.4 allows.
const MOST_QUERIES: usize = 10;

pub(super) fn check(f: &mut Findings<'_>) {
    let config = f.config;
    for (name, domain) in &config.domains {
        let path = at(["domains"]).then(name).then("spf");
        let mut queries = domain.spf.include.len();
        for (nth, include) in domain.spf.include.iter().enumerate() {
            let same = |other: &String| other.eq_ignore_ascii_case(include);
            if domain.spf.include[..nth].iter().any(same) {
                f.warning(
                    &path.then("include").then(nth),
                    format!("`{include}` is included twice"),
                    "",
                );
            }
        }
        for (nth, text) in domain.spf.extra.iter().enumerate() {
            let path = path.then("extra").then(nth);
            match term(text) {
                Ok(mechanism) => queries += usize::from(QUERYING.contains(&mechanism.as_str())),
                Err((message, help)) => f.error(&path, message, help),
            }
            if bare(text) == "ptr" {
                f.warning(
                    &path,
                    "`ptr` should not be used (RFC 7208 section 5.5)",
                    "name the addresses by `ip4:` and `ip6:`",
                );
            }
        }
        if queries > MOST_QUERIES {
            f.error(
                &path,
                format!("the SPF record of {name} needs {queries} DNS queries or more: receivers stop at {MOST_QUERIES}"),
                "name addresses by `ip4:` and `ip6:` in `extra` instead of including others",
            );
        }
    }
}

/// The mechanism's or modifier's name, without qualifier and argument.
fn bare(text: &str) -> String {
    let unqualified = text.strip_prefix(['+', '-', '~', '?']).unwrap_or(text);
    unqualified
        .split([':', '/', '='])
        .next()
        .unwrap_or("")
        .to_ascii_lowercase()
}

/// The name of a sound term; else what is wrong and what to do.
fn term(text: &str) -> Result<String, (String, String)> {
    let name = bare(text);
    let unqualified = text.strip_prefix(['+', '-', '~', '?']).unwrap_or(text);
    let argument = &unqualified[name.len()..];
    let wrong = |why: &str| Err((format!("`{text}` is no SPF term: {why}"), String::new()));
    if text.contains(char::is_whitespace) {
        return wrong("it has a blank, each term is an entry of its own");
    }
    match name.as_str() {
        "all" => Err((
            "`all` is not written into `extra`".into(),
            "say `all: fail`, `softfail` or `neutral` beside it".into(),
        )),
        "redirect" => Err((
            "`redirect=` has no effect in a record that ends with `all`".into(),
            "include the other domain's record instead: `include: [name]`".into(),
        )),
        "v" => Err((
            "the record's version is not written into `extra`".into(),
            "name only further terms".into(),
        )),
        "ip4" => match network(argument, 32, |ip| ip.parse::<Ipv4Addr>().is_ok()) {
            true => Ok(name),
            false => wrong("`ip4:` wants an IPv4 address or network, such as `ip4:192.0.2.0/24`"),
        },
        "ip6" => match network(argument, 128, |ip| ip.parse::<Ipv6Addr>().is_ok()) {
            true => Ok(name),
            false => wrong("`ip6:` wants an IPv6 address or network, such as `ip6:2001:db8::/32`"),
        },
        "include" | "exists" => match argument.strip_prefix(':').is_some_and(domain_spec) {
            true => Ok(name),
            false => wrong("a domain name is wanted after the colon"),
        },
        "a" | "mx" => match hosts(argument) {
            true => Ok(name),
            false => wrong("`a` and `mx` take a domain after `:` and a prefix length after `/`"),
        },
        "ptr" => match argument.is_empty() || argument.strip_prefix(':').is_some_and(domain_spec) {
            true => Ok(name),
            false => wrong("a domain name is wanted after the colon"),
        },
        "exp" => match argument.strip_prefix('=').is_some_and(domain_spec) {
            true => Ok(name),
            false => wrong("`exp=` wants a domain name"),
        },
        _ => {
            let known = ["ip4", "ip6", "include", "a", "mx", "exists", "ptr", "exp"];
            match guess(&name, known) {
                Some(meant) if !name.is_empty() => Err((
                    format!("unknown SPF term `{text}`, did you mean `{meant}`?"),
                    String::new(),
                )),
                _ => Err((
                    format!("unknown SPF term `{text}`"),
                    "known are `ip4:`, `ip6:`, `include:`, `a`, `mx` and `exists:`".into(),
                )),
            }
        }
    }
}

/// `:address` or `:address/prefix`.
fn network(argument: &str, longest: u8, is_address: impl Fn(&str) -> bool) -> bool {
    let Some(text) = argument.strip_prefix(':') else {
        return false;
    };
    let (ip, prefix) = text
        .split_once('/')
        .map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
    is_address(ip) && prefix.is_none_or(|p| prefix_length(p, longest))
}

fn prefix_length(text: &str, longest: u8) -> bool {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    digits && text.parse::<u8>().is_ok_and(|p| p <= longest)
}

/// `[:domain][/prefix4][//prefix6]`
fn hosts(argument: &str) -> bool {
    let (domain, lengths) = argument
        .find('/')
        .map_or((argument, ""), |slash| argument.split_at(slash));
    let (four, six) = lengths
        .split_once("//")
        .map_or((lengths, None), |(four, six)| (four, Some(six)));
    let good_domain = domain.is_empty() || domain.strip_prefix(':').is_some_and(domain_spec);
    let good_four = four.is_empty() || four.strip_prefix('/').is_some_and(|p| prefix_length(p, 32));
    good_domain && good_four && six.is_none_or(|p| prefix_length(p, 128))
}

/// A domain name; one with macros (RFC 7208 section 7) is taken as it is.
fn domain_spec(text: &str) -> bool {
    text.contains("%{") || Name::parse(text).is_ok_and(|name| name.as_str().contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_by_the_grammar() {
        for good in [
            "ip4:192.0.2.0/24",
            "+ip6:2001:db8::/32",
            "a",
            "a:mail.example.com/24//64",
            "mx/24",
            "mx//64",
            "~include:_spf.example.com",
            "exists:%{i}.spf.example.com",
            "exp=why.example.com",
            "IP4:192.0.2.1",
        ] {
            assert!(term(good).is_ok(), "{good}: {:?}", term(good));
        }
        for bad in [
            "all",
            "-all",
            "redirect=example.com",
            "ip4:192.0.2.300",
            "ip4:192.0.2.0/33",
            "ip4",
            "ip6:192.0.2.1",
            "include:",
            "include",
            "a:",
            "mx/33",
            "ipv4:192.0.2.1",
            "v=spf1",
            "a b",
            "",
            "foo=bar",
        ] {
            assert!(term(bad).is_err(), "{bad}");
        }
    }
}
