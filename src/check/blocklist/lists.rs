//! The blocklists that receivers ask, and what their answers mean.

use std::borrow::Cow;

use super::super::Settings;

/// What a list lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// IPv4 addresses only.
    Four,
    /// IPv4 and IPv6 addresses.
    Both,
    /// Domains.
    Domains,
    /// Not known: its test points tell (RFC 5782 section 5).
    Unsaid,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its zone.
    pub zone: Cow<'static, str>,
    /// What it lists.
    pub listed: Listed,
    /// Whether large receivers refuse what it lists.
    pub major: bool,
    /// A name that it lists at any time; for lists of domains only.
    pub test: &'static str,
    /// What the last octet of an answer means; others are only "listed".
    pub codes: &'static [(u8, &'static str)],
    /// Whether answers with other codes are no listings, such as good reputation.
    pub only_codes: bool,
    /// Whether the last octet is a sum of codes.
    pub sum: bool,
    /// Where a listing is explained and removed.
    pub site: &'static str,
}

/// The name that every list of domains lists (RFC 5782 section 5).
pub const TEST: &str = "test";

/// The name that none lists.
pub const INVALID: &str = "invalid";

const PLAIN: List = List {
    zone: Cow::Borrowed(""),
    listed: Listed::Four,
    major: false,
    test: TEST,
    codes: &[],
    only_codes: false,
    sum: false,
    site: "",
};

/// The well-known lists.
pub const BUILT_IN: [List; 9] = [
    List {
        zone: Cow::Borrowed("zen.spamhaus.org"),
        listed: Listed::Both,
        major: true,
        codes: &[
            (2, "SBL: a source of spam"),
            (3, "CSS: a source of spam"),
            (4, "XBL: an infected machine or an open proxy"),
            (5, "XBL: an infected machine or an open proxy"),
            (6, "XBL: an infected machine or an open proxy"),
            (7, "XBL: an infected machine or an open proxy"),
            (9, "DROP: a hijacked network"),
            (10, "PBL: by its provider's word no mail server is there"),
            (11, "PBL: no mail server is expected there"),
        ],
        site: "https://check.spamhaus.org/",
        ..PLAIN
    },
    List {
        zone: Cow::Borrowed("b.barracudacentral.org"),
        major: true,
        site: "https://www.barracudacentral.org/lookups",
        ..PLAIN
    },
    List {
        zone: Cow::Borrowed("bl.spamcop.net"),
        major: true,
        site: "https://www.spamcop.net/bl.shtml",
        ..PLAIN
    },
    List {
        zone: Cow::Borrowed("psbl.surriel.com"),
        site: "https://psbl.org/",
        ..PLAIN
    },
    List {
        zone: Cow::Borrowed("dnsbl.dronebl.org"),
        listed: Listed::Both,
        codes: &[
            (3, "an IRC drone"),
            (5, "a bottler"),
            (6, "an unknown worm or spambot"),
            (7, "a drone of a denial of service"),
            (8, "an open SOCKS proxy"),
            (9, "an open HTTP proxy"),
            (10, "a chain of proxies"),
            (11, "an open page proxy"),
            (12, "an open DNS resolver"),
            (13, "it guesses passwords"),
            (14, "an open Wingate proxy"),
            (15, "a compromised router"),
            (16, "a botnet that guesses passwords"),
            (17, "a botnet's machine"),
            (18, "a DNS server with poisoned answers"),
            (19, "an abused VPN"),
        ],
        site: "https://dronebl.org/lookup",
        ..PLAIN
    },
    List {
        zone: Cow::Borrowed("bl.mailspike.net"),
        codes: &[
            (2, "a source of spam"),
            (10, "the worst reputation"),
            (11, "a very bad reputation"),
            (12, "a bad reputation"),
        ],
        only_codes: true,
        site: "https://mailspike.io/ip_verify",
        ..PLAIN
    },
    List {
        zone: Cow::Borrowed("dbl.spamhaus.org"),
        listed: Listed::Domains,
        major: true,
        test: "dbltest.com",
        codes: &[
            (2, "a domain of spam"),
            (4, "a domain of phishing"),
            (5, "a domain of malware"),
            (6, "a domain that commands a botnet"),
            (102, "an abused domain of spam"),
            (103, "an abused redirector"),
            (104, "an abused domain of phishing"),
            (105, "an abused domain of malware"),
            (106, "an abused domain that commands a botnet"),
        ],
        site: "https://check.spamhaus.org/",
        ..PLAIN
    },
    List {
        zone: Cow::Borrowed("multi.surbl.org"),
        listed: Listed::Domains,
        major: true,
        test: "surbl-org-permanent-test-point.com",
        codes: &[
            (8, "PH: phishing"),
            (16, "MW: malware"),
            (64, "ABUSE: in spam"),
            (128, "CR: a cracked site"),
        ],
        sum: true,
        site: "https://surbl.org/surbl-analysis",
        ..PLAIN
    },
    List {
        zone: Cow::Borrowed("multi.uribl.com"),
        listed: Listed::Domains,
        test: "test.uribl.com",
        codes: &[
            (2, "black: in spam"),
            (4, "grey: in unwanted newsletters"),
            (8, "red: young or under suspicion"),
        ],
        sum: true,
        site: "https://lookup.uribl.com/",
        ..PLAIN
    },
];

/// The lists to ask: those that the settings name, else the well-known ones.
/// Whoever names a list means it: its word is taken as a major one's.
pub fn lists(settings: &Settings) -> Vec<List> {
    let Some(zones) = &settings.blocklists else {
        return BUILT_IN.to_vec();
    };
    let known = |zone: &str| BUILT_IN.iter().find(|list| list.zone == zone).cloned();
    zones
        .iter()
        .map(|zone| zone.trim_end_matches('.').to_ascii_lowercase())
        .map(|zone| {
            known(&zone).unwrap_or(List {
                zone: Cow::Owned(zone),
                listed: Listed::Unsaid,
                major: true,
                ..PLAIN
            })
        })
        .collect()
}

impl List {
    /// What an answer's last octet says; `None` where it is no listing.
    pub fn meaning(&self, octet: u8) -> Option<String> {
        let known: Vec<&str> = self
            .codes
            .iter()
            .filter(|(code, _)| {
                if self.sum {
                    octet & code != 0
                } else {
                    octet == *code
                }
            })
            .map(|(_, meaning)| *meaning)
            .collect();
        if known.is_empty() {
            return (!self.only_codes).then(String::new);
        }
        Some(known.join(", "))
    }
}
