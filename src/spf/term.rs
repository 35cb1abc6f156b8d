//! The grammar of one SPF term (RFC 7208 section 12), stricter than most
//! parsers: a receiver may answer `permerror` to what it does not understand.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What a term is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `all`, with any qualifier.
    All,
    /// A mechanism that needs no look-up: `ip4`, `ip6`.
    Literal,
    /// A mechanism that counts as a look-up: `include`, `a`, `mx`, `ptr`, `exists`.
    Lookup,
    /// `redirect=`.
    Redirect,
    /// `exp=` and modifiers that nobody knows, which receivers ignore.
    Modifier,
}

/// One term, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// As it was written.
    pub text: String,
    /// What it is.
    pub kind: Kind,
    /// `+`, `-`, `~` or `?`; `+` for modifiers too.
    pub qualifier: char,
    /// The mechanism with its arguments in canonical form, without qualifier:
    /// two terms with the same `subject` speak of the same senders.
    pub subject: String,
}

impl Term {
    /// Reads one term.
    ///
    /// # Errors
    /// A sentence that names the term and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("SPF term `{text}`: {why}");
        if let Some((name, value)) = modifier(text) {
            let kind = match name.as_str() {
                "redirect" => Kind::Redirect,
                _ => Kind::Modifier,
            };
            if matches!(name.as_str(), "redirect" | "exp") {
                domain_spec(value).map_err(|why| bad(&why))?;
            } else {
                macro_string(value).map_err(|why| bad(&why))?;
            }
            let subject = format!("{name}={}", folded(value));
            return Ok(Self {
                text: text.to_owned(),
                kind,
                qualifier: '+',
                subject,
            });
        }
        let qualifier = text.chars().next().filter(|c| "+-~?".contains(*c));
        let body = &text[usize::from(qualifier.is_some())..];
        let (kind, subject) = mechanism(body).map_err(|why| bad(&why))?;
        Ok(Self {
            text: text.to_owned(),
            kind,
            qualifier: qualifier.unwrap_or('+'),
            subject,
        })
    }

    /// The name of the mechanism or modifier, lower case.
    pub fn name(&self) -> &str {
        let end = self.subject.find([':', '/', '=']);
        &self.subject[..end.unwrap_or(self.subject.len())]
    }

    /// The domain-spec that a mechanism or `redirect=` asks the DNS about,
    /// macros and all; `None` where it is the domain that is being evaluated.
    pub fn target(&self) -> Option<&str> {
        let rest = &self.subject[self.name().len()..];
        match (self.kind, self.name()) {
            (Kind::Lookup, "a" | "mx") => {
                let (head, _) = split_cidr(rest).ok()?;
                head.strip_prefix(':')
            }
            (Kind::Lookup, _) => rest.strip_prefix(':'),
            (Kind::Redirect, _) => rest.strip_prefix('='),
            _ => None,
        }
    }

    /// Whether both say the same of the same senders.
    pub fn equals(&self, other: &Self) -> bool {
        self.subject == other.subject && self.qualifier == other.qualifier
    }
}

/// `name=value`, where the text is a modifier and no mechanism with a `=` in its argument.
fn modifier(text: &str) -> Option<(String, &str)> {
    let (name, value) = text.split_once('=')?;
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    good.then(|| (name.to_ascii_lowercase(), value))
}

fn mechanism(body: &str) -> Result<(Kind, String), String> {
    let end = body.find([':', '/']).unwrap_or(body.len());
    let (name, rest) = (body[..end].to_ascii_lowercase(), &body[end..]);
    let argument = rest.strip_prefix(':');
    match name.as_str() {
        "all" if rest.is_empty() => Ok((Kind::All, name)),
        "all" => Err("`all` takes no argument".into()),
        "ip4" | "ip6" => {
            let network = argument.ok_or_else(|| format!("`{name}:` and an address are wanted"))?;
            let canonical = if name == "ip4" {
                ip4(network)?
            } else {
                ip6(network)?
            };
            Ok((Kind::Literal, format!("{name}:{canonical}")))
        }
        "include" | "exists" => {
            let domain = argument.ok_or_else(|| format!("`{name}:` and a domain are wanted"))?;
            domain_spec(domain)?;
            Ok((Kind::Lookup, format!("{name}:{}", folded(domain))))
        }
        "ptr" if rest.is_empty() => Ok((Kind::Lookup, name)),
        "ptr" => {
            let domain = argument.ok_or("`ptr` takes a domain and no prefix length")?;
            domain_spec(domain)?;
            Ok((Kind::Lookup, format!("ptr:{}", folded(domain))))
        }
        "a" | "mx" => {
            let (domain, cidr) = split_cidr(rest)?;
            let domain = match domain.strip_prefix(':') {
                Some(domain) => {
                    domain_spec(domain)?;
                    format!(":{}", folded(domain))
                }
                None if domain.is_empty() => String::new(),
                None => return Err(format!("`{domain}` is no prefix length")),
            };
            Ok((Kind::Lookup, format!("{name}{domain}{cidr}")))
        }
        _ => Err("no mechanism of this name exists".into()),
    }
}

/// Cuts a dual-cidr-length (`/24`, `//64`, `/24//64`) off the end, and drops
/// the lengths that are the default.
fn split_cidr(text: &str) -> Result<(&str, String), String> {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (mut head, mut cidr) = (text, String::new());
    if let Some((before, length)) = head.rsplit_once("//").filter(|(_, l)| digits(l)) {
        head = before;
        if prefix(length, 128)? != 128 {
            cidr = format!("//{length}");
        }
    }
    if let Some((before, length)) = head.rsplit_once('/').filter(|(_, l)| digits(l)) {
        head = before;
        if prefix(length, 32)? != 32 {
            cidr = format!("/{length}{cidr}");
        }
    }
    Ok((head, cidr))
}

fn prefix(text: &str, most: u8) -> Result<u8, String> {
    let plain = text == "0" || !text.starts_with('0');
    text.parse()
        .ok()
        .filter(|n| plain && *n <= most)
        .ok_or_else(|| format!("`/{text}` is no prefix length: 0 to {most} is wanted"))
}

fn ip4(text: &str) -> Result<String, String> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let parsed: Ipv4Addr = address
        .parse()
        .map_err(|_| format!("`{address}` is no IPv4 address"))?;
    Ok(match prefix(length, 32)? {
        32 => parsed.to_string(),
        length => format!("{parsed}/{length}"),
    })
}

fn ip6(text: &str) -> Result<String, String> {
    let (address, length) = text.split_once('/').unwrap_or((text, "128"));
    let parsed: Ipv6Addr = address
        .parse()
        .map_err(|_| format!("`{address}` is no IPv6 address"))?;
    Ok(match prefix(length, 128)? {
        128 => parsed.to_string(),
        length => format!("{parsed}/{length}"),
    })
}

/// Names compare without case and final dot, but the case of a macro letter
/// has a meaning (RFC 7208 section 7.3).
fn folded(domain: &str) -> String {
    if domain.contains('%') {
        return domain.to_owned();
    }
    domain.trim_end_matches('.').to_ascii_lowercase()
}

/// `domain-spec`: a macro-string that ends in a macro or in a top label.
fn domain_spec(text: &str) -> Result<(), String> {
    let ends_in_macro = macro_string(text)?;
    if ends_in_macro {
        return Ok(());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let (_, top) = name
        .rsplit_once('.')
        .ok_or_else(|| format!("`{text}` is no domain: it has no dot"))?;
    let inner = top.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let good = !top.is_empty()
        && inner
        && !top.starts_with('-')
        && !top.ends_with('-')
        && !top.bytes().all(|b| b.is_ascii_digit());
    if !good || name.contains("..") || name.starts_with('.') {
        return Err(format!("`{text}` is no domain"));
    }
    Ok(())
}

/// Checks a macro-string and tells whether it ends in a macro-expand.
fn macro_string(text: &str) -> Result<bool, String> {
    let mut rest = text;
    let mut ends_in_macro = false;
    while let Some(first) = rest.chars().next() {
        if first != '%' {
            if !('\u{21}'..='\u{7e}').contains(&first) {
                return Err(format!("the character {first:?} is not allowed"));
            }
            rest = &rest[1..];
            ends_in_macro = false;
            continue;
        }
        rest = match rest.as_bytes().get(1) {
            Some(b'%' | b'_' | b'-') => &rest[2..],
            Some(b'{') => {
                let (inner, after) = rest[2..]
                    .split_once('}')
                    .ok_or("a macro `%{` is not closed")?;
                macro_body(inner)?;
                after
            }
            _ => return Err("a `%` begins no macro; `%%` is a percent sign".into()),
        };
        ends_in_macro = true;
    }
    Ok(ends_in_macro)
}

/// macro-letter, transformers, delimiters (RFC 7208 section 7.1).
fn macro_body(inner: &str) -> Result<(), String> {
    let bad = || format!("`%{{{inner}}}` is no macro");
    let letter = inner.chars().next().ok_or_else(bad)?;
    if !"slodiphcrtv".contains(letter.to_ascii_lowercase()) {
        return Err(bad());
    }
    let tail = inner[1..].trim_start_matches(|c: char| c.is_ascii_digit());
    let tail = tail.strip_prefix(['r', 'R']).unwrap_or(tail);
    if tail.chars().all(|c| ".-+,/_=".contains(c)) {
        Ok(())
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_terms_are_written_in_many_ways() {
        for (a, b) in [
            ("mx", "+MX"),
            ("ip4:192.0.2.1", "ip4:192.0.2.1/32"),
            ("ip6:2001:db8::1", "IP6:2001:DB8:0:0::1/128"),
            ("include:_spf.Google.com", "+include:_spf.google.com."),
            ("a/32//128", "a"),
            ("a:mail.example.com/24//64", "+A:MAIL.example.com/24//64"),
            ("-all", "-ALL"),
            ("redirect=_spf.example.com", "REDIRECT=_spf.Example.com"),
        ] {
            let (left, right) = (Term::parse(a).expect(a), Term::parse(b).expect(b));
            assert!(left.equals(&right), "{a} and {b}: {left:?} {right:?}");
        }
    }

    #[test]
    fn different_terms_differ() {
        for (a, b) in [
            ("mx", "?mx"),
            ("mx", "mx:example.com"),
            ("ip4:192.0.2.0/24", "ip4:192.0.2.0"),
            ("exists:%{i}.example.com", "exists:%{I}.example.com"),
        ] {
            assert!(
                !Term::parse(a).expect(a).equals(&Term::parse(b).expect(b)),
                "{a} and {b}"
            );
        }
    }

    #[test]
    fn the_examples_of_the_rfc_are_understood() {
        for (text, kind) in [
            ("include:example.com", Kind::Lookup),
            ("exists:%{ir}.%{l1r+-}._spf.%{d}", Kind::Lookup),
            ("exists:%{ir}.%{v}._spf.%{d2}", Kind::Lookup),
            ("ptr", Kind::Lookup),
            ("ptr:example.org", Kind::Lookup),
            ("a:%{d/}.example.com/24", Kind::Lookup),
            ("ip6:2001:db8::/32", Kind::Literal),
            ("exp=explain._spf.%{d}", Kind::Modifier),
            ("redirect=_spf.%{d}", Kind::Redirect),
            ("ra=postmaster", Kind::Modifier),
            ("~all", Kind::All),
        ] {
            assert_eq!(Term::parse(text).map(|t| t.kind), Ok(kind), "{text}");
        }
    }

    #[test]
    fn terms_know_whom_they_ask_about() {
        for (text, name, target) in [
            ("+A", "a", None),
            ("a/24//64", "a", None),
            ("~a:Mail.example.com/24//64", "a", Some("mail.example.com")),
            ("mx:example.com//48", "mx", Some("example.com")),
            ("a:%{d/}.example.com/24", "a", Some("%{d/}.example.com")),
            (
                "include:_spf.example.com.",
                "include",
                Some("_spf.example.com"),
            ),
            (
                "exists:%{i}.example.com",
                "exists",
                Some("%{i}.example.com"),
            ),
            ("ptr", "ptr", None),
            (
                "redirect=_spf.example.com",
                "redirect",
                Some("_spf.example.com"),
            ),
            ("exp=why.example.com", "exp", None),
            ("ip4:192.0.2.0/24", "ip4", None),
            ("-all", "all", None),
        ] {
            let term = Term::parse(text).expect(text);
            assert_eq!((term.name(), term.target()), (name, target), "{text}");
        }
    }

    #[test]
    fn bad_terms_are_named() {
        for text in [
            "ip4:192.0.2.300",
            "ip4:192.0.2.1/33",
            "ip4:192.0.2.1/024",
            "ip4",
            "ip6:192.0.2.1",
            "ip6:2001:db8::1/129",
            "include",
            "include:",
            "include:localhost",
            "include:example..com",
            "include:example.123",
            "a:example.com/33",
            "a/24//129",
            "mx/x",
            "all:x",
            "ipv4:192.0.2.1",
            "exists:%{z}.example.com",
            "exists:%{i.example.com",
            "exists:%i.example.com",
            "redirect=",
            "redirect=nodot",
            "a:ex ample.com",
            "a:münchen.de",
            "-",
            "",
        ] {
            let said = Term::parse(text).expect_err(text);
            assert!(said.contains(&format!("`{text}`")), "{said}");
        }
    }
}
