//! A report for tests: every verdict, ports, long and foreign texts, IPv6.

use crate::check::{Aspect, Finding, Report};

const RECORD: Aspect = Aspect {
    id: "spf.record",
    wanted: "one record that begins with v=spf1",
    why: "Receivers take two records for none that is valid (RFC 7208 section 4.5). \
          Gmail then answers 550-5.7.27.",
};
const POLICY: Aspect = Aspect {
    id: "dmarc.policy",
    wanted: "p=quarantine or p=reject",
    why: "With p=none, mail that anybody else sends in the domain's name is delivered (RFC 9989).",
};
const KEY: Aspect = Aspect {
    id: "dkim.key",
    wanted: "an RSA key of 2048 bits",
    why: "Shorter keys are not taken for safe (RFC 8301 section 3.2).",
};
const PTR: Aspect = Aspect {
    id: "host.ptr",
    wanted: "one PTR record, to the name that the server greets with",
    why: "Gmail answers 550-5.7.25 to senders without a reverse name that leads back.",
};
const GREETING: Aspect = Aspect {
    id: "mx.greeting",
    wanted: "220 and the host's name",
    why: "A server that does not greet takes no mail (RFC 5321 section 4.2).",
};
const DAYS: Aspect = Aspect {
    id: "tls.days",
    wanted: "a certificate that is valid for 14 days more",
    why: "Senders with MTA-STS or DANE do not deliver to an expired certificate.",
};
const CAA: Aspect = Aspect {
    id: "caa.authority",
    wanted: "no CAA record, or one that permits letsencrypt.org",
    why: "Another authority may not issue, so the next renewal fails (RFC 8659).",
};

/// What a key looks like: one word that no line is long enough for.
pub(super) const LONG: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwm3Xr5yY7mT0Qz1gk2hC6J8pV9nB4sD7fK3lN5xRtZuAeWqSvHjGoIcPiUyTbMdLkFwEaXsZrVhJgNfOqYxCmB";

/// What somebody makes a server say.
pub(super) const HOSTILE: &str =
    "220 <script>alert(1)</script> \u{1b}[2J & \"quoted\"\r\n::error::no, 100%";

pub(super) fn findings() -> Vec<Finding> {
    let (four, six) = ("203.0.113.7", "2a02:c207::7");
    let blocked = "port 25 is closed on the way from here: gmail-smtp-in.l.google.com \
                   does not answer over IPv6 either";
    vec![
        RECORD.of("wac.tax").fail(
            "2 records: v=spf1 mx ~all and v=spf1 include:_spf.google.com -all",
            "make them one: v=spf1 mx include:_spf.google.com ~all",
        ),
        KEY.of("wac.tax").pass(format!("s20261122: rsa, {LONG}")),
        CAA.of("smtp.wac.tax").pass("no CAA record"),
        PTR.of(four)
            .pass("smtp.wac.tax, which is 203.0.113.7 again"),
        PTR.of(six).fail(
            "no PTR record",
            "at the hoster, set 2a02:c207::7 to smtp.wac.tax",
        ),
        GREETING
            .of(four)
            .at(25)
            .warn(HOSTILE, "greet with the host's name"),
        DAYS.of(four).at(25).pass("71 days left"),
        DAYS.of(four).at(465).pass("71 days left"),
        DAYS.of(four)
            .at(587)
            .warn("9 days left", "renew it: `mailctl apply`"),
        GREETING.of(six).at(25).skip(blocked),
        DAYS.of(six).at(25).skip(blocked),
        DAYS.of(six).at(465).skip(blocked),
        DAYS.of(six).at(587).skip(blocked),
        POLICY.of("bücher.example").warn(
            "v=DMARC1; p=none; rua=mailto:berichte@bücher.example",
            "publish p=quarantine once the reports show nothing of your own",
        ),
    ]
}

pub(super) fn report() -> Report {
    let domains = ["wac.tax", "bücher.example"].map(str::to_owned);
    Report::new(domains.into(), findings())
}
