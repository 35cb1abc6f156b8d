//! What a receiver makes of an account's messages: DKIM, SPF for each address
//! that they may leave from, and DMARC, by the DNS as it is now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Account;
use super::doors::Door;
use super::post::Posted;
use super::submitted::and;
use crate::check::{Aspect, Finding, Outside};
use crate::config::{Config, Ipv6Wish};
use crate::failure::{Context, Result};
use crate::message::{self, Envelope, Outcome, Verdict, Verdicts};

/// The signatures.
pub const DKIM: Aspect = Aspect {
    id: "test.dkim",
    wanted: "signatures, each of which verifies with the key in the DNS",
    why: "A signature that does not verify counts as none (RFC 6376 section 6.1). Gmail answers 550-5.7.30 or 5.7.26, Outlook 550 5.7.515.",
};

/// The addresses that the messages leave from.
pub const SPF: Aspect = Aspect {
    id: "test.spf",
    wanted: "an SPF record that permits every address that the mail leaves from",
    why: "Receivers look up the connecting address in it (RFC 7208). Gmail answers 550-5.7.27, Outlook 550 5.7.515.",
};

/// The author's domain.
pub const DMARC: Aspect = Aspect {
    id: "test.dmarc",
    wanted: "DKIM and SPF that pass for the domain in From",
    why: "Only what passes for the author's own domain counts (RFC 9989). Gmail answers 421-4.7.32 or 550-5.7.26, Outlook 550 5.7.515. Where mail is forwarded only DKIM is left.",
};

/// One message as it would be judged on coming from each of the host's addresses.
pub type Judged = BTreeMap<IpAddr, Verdicts>;

/// Judges each of an account's messages that came back as if it left from each
/// address of the host, which is where the server sends from.
///
/// # Errors
/// When what came back is no message.
pub async fn ask(
    config: &Config,
    outside: &Outside,
    doors: &[Door],
    account: &Account,
    posted: &[Posted],
) -> Result<Vec<Judged>> {
    let only_four = config.host.ipv6 == Some(Ipv6Wish::None);
    let own = doors.iter().map(|door| door.address);
    let own: BTreeSet<IpAddr> = own.filter(|ip| ip.is_ipv4() || !only_four).collect();
    let mut judged = Vec::new();
    for message in posted.iter().filter_map(|posted| posted.message.as_ref()) {
        let mut by_address = Judged::new();
        for ip in &own {
            let envelope = Envelope {
                ip: *ip,
                helo: config.host_name().as_str(),
                mail_from: &account.address,
            };
            let resolver = outside.dns.resolver()?;
            let verdicts = message::judge(message, envelope, resolver).await;
            by_address.insert(*ip, verdicts.context("a test message cannot be judged")?);
        }
        judged.push(by_address);
    }
    Ok(judged)
}

/// The three findings of an account; none where none of its messages came back.
pub fn judge(account: &Account, messages: &[Judged]) -> Vec<Finding> {
    let seen: Vec<(&IpAddr, &Verdicts)> = messages.iter().flatten().collect();
    if seen.is_empty() {
        return Vec::new();
    }
    vec![
        dkim(account, &seen),
        spf(account, &seen),
        dmarc(account, &seen),
    ]
}

fn dkim(account: &Account, seen: &[(&IpAddr, &Verdicts)]) -> Finding {
    let about = DKIM.of(&account.address);
    if seen.iter().any(|(_, verdicts)| verdicts.dkim.is_empty()) {
        return about.fail(
            "the message is not signed",
            "run `mailctl apply`: chasquid signs once its key's record is visible everywhere",
        );
    }
    let signatures = || seen.iter().flat_map(|(_, verdicts)| &verdicts.dkim);
    let named = |outcome| -> BTreeSet<String> {
        signatures()
            .filter(|signature| signature.verdict.outcome == outcome)
            .map(|s| format!("{} of {}", s.selector, s.domain))
            .collect()
    };
    let reason = |outcome| {
        let mut of = signatures().filter(|signature| signature.verdict.outcome == outcome);
        of.next().map(|s| s.verdict.why.clone()).unwrap_or_default()
    };
    let (bad, unknown) = (named(Outcome::Fail), named(Outcome::Unknown));
    if !bad.is_empty() {
        let bad: Vec<String> = bad.into_iter().collect();
        let found = format!("{}: {}", and(&bad), reason(Outcome::Fail));
        return about.fail(
            found,
            "the record must have the key that the server signs with: run `mailctl apply`",
        );
    }
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.into_iter().collect();
        return about.skip(format!("{}: {}", and(&unknown), reason(Outcome::Unknown)));
    }
    let good: Vec<String> = named(Outcome::Pass).into_iter().collect();
    let verb = if good.len() == 1 {
        "verifies"
    } else {
        "verify"
    };
    about.pass(format!("{} {verb}", and(&good)))
}

fn spf(account: &Account, seen: &[(&IpAddr, &Verdicts)]) -> Finding {
    let about = SPF.of(&account.address);
    // Every message is judged alike.
    let by_address: BTreeMap<&IpAddr, &Verdict> = seen
        .iter()
        .map(|(ip, verdicts)| (*ip, &verdicts.spf))
        .collect();
    let told = |outcome| -> Vec<String> {
        let of = by_address
            .values()
            .filter(|verdict| verdict.outcome == outcome);
        of.map(|verdict| verdict.why.clone()).collect()
    };
    let (bad, unknown) = (told(Outcome::Fail), told(Outcome::Unknown));
    if !bad.is_empty() {
        let addresses: Vec<&IpAddr> = by_address
            .iter()
            .filter(|(_, verdict)| verdict.outcome == Outcome::Fail)
            .map(|(ip, _)| *ip)
            .collect();
        let fix = format!(
            "put {} into the SPF record of {}: `mailctl plan` shows the record",
            and(&addresses),
            account.domain
        );
        return about.fail(bad.join("; "), fix);
    }
    if !unknown.is_empty() {
        return about.skip(unknown.join("; "));
    }
    let addresses: Vec<&IpAddr> = by_address.into_keys().collect();
    about.pass(format!(
        "{} may send for {}",
        and(&addresses),
        account.domain
    ))
}

fn dmarc(account: &Account, seen: &[(&IpAddr, &Verdicts)]) -> Finding {
    let about = DMARC.of(&account.address);
    let results = || seen.iter().map(|(_, verdicts)| &verdicts.dmarc);
    let find = |outcome| results().find(|dmarc| dmarc.verdict.outcome == outcome);
    if let Some(unknown) = find(Outcome::Unknown) {
        return about.skip(unknown.verdict.why.clone());
    }
    if let Some(bad) = find(Outcome::Fail) {
        let why = bad.verdict.why.clone();
        if !bad.published {
            let fix = "run `mailctl apply`: it publishes one";
            return about.warn(why, fix);
        }
        return about.fail(why, "mend DKIM and SPF, as found above");
    }
    if let Some(bare) = results().find(|dmarc| dmarc.dkim != Outcome::Pass) {
        return about.warn(
            format!("{}, DKIM is not: forwarded mail fails", bare.verdict.why),
            "mend DKIM, as found above",
        );
    }
    let weakest = results().find(|dmarc| dmarc.spf != Outcome::Pass);
    let shown = weakest.or_else(|| results().next());
    about.pass(
        shown
            .map(|dmarc| dmarc.verdict.why.clone())
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict as Word;
    use crate::message::{Alignment, Signature};
    use crate::record::Name;

    fn account() -> Account {
        Account {
            address: "i@wac.tax".into(),
            domain: Name::parse("wac.tax").expect("a name"),
            password: None,
        }
    }

    fn verdict(outcome: Outcome, why: &str) -> Verdict {
        Verdict {
            outcome,
            why: why.into(),
        }
    }

    fn signature(selector: &str, outcome: Outcome) -> Signature {
        Signature {
            domain: "wac.tax".into(),
            selector: selector.into(),
            verdict: verdict(outcome, "because"),
        }
    }

    fn healthy() -> Verdicts {
        Verdicts {
            spf: verdict(Outcome::Pass, "it may"),
            helo: verdict(Outcome::Pass, "it may"),
            dkim: vec![signature("s1", Outcome::Pass)],
            dmarc: Alignment {
                verdict: verdict(Outcome::Pass, "DKIM and SPF are of wac.tax"),
                domain: "wac.tax".into(),
                published: true,
                dkim: Outcome::Pass,
                spf: Outcome::Pass,
            },
        }
    }

    fn addresses() -> [IpAddr; 2] {
        [
            IpAddr::from([203, 0, 113, 7]),
            "2001:db8::7".parse().expect("an address"),
        ]
    }

    /// Findings of a message that is healthy from IPv4 and as given from IPv6.
    fn judged(six: Verdicts) -> Vec<(Word, String)> {
        let [four, at] = addresses();
        let message = BTreeMap::from([(four, healthy()), (at, six)]);
        let findings = judge(&account(), &[message]);
        findings.into_iter().map(|f| (f.verdict, f.found)).collect()
    }

    #[test]
    fn a_healthy_message_passes() {
        let found = judged(healthy());
        let told: Vec<_> = found
            .iter()
            .map(|(word, found)| (*word, found.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (Word::Pass, "s1 of wac.tax verifies"),
                (
                    Word::Pass,
                    "203.0.113.7 and 2001:db8::7 may send for wac.tax"
                ),
                (Word::Pass, "DKIM and SPF are of wac.tax")
            ]
        );
        assert_eq!(judge(&account(), &[]), []);
    }

    #[test]
    fn an_address_that_spf_does_not_name_fails_and_is_named() {
        let mut six = healthy();
        six.spf = verdict(Outcome::Fail, "wac.tax does not name 2001:db8::7: softfail");
        six.dmarc.spf = Outcome::Fail;
        six.dmarc.verdict.why = "DKIM is of wac.tax".into();
        let found = judged(six);
        assert_eq!(
            found[1],
            (
                Word::Fail,
                "wac.tax does not name 2001:db8::7: softfail".into()
            )
        );
        assert_eq!(found[2], (Word::Pass, "DKIM is of wac.tax".into()));
        let [_, six] = addresses();
        let message = BTreeMap::from([(six, {
            let mut v = healthy();
            v.spf = verdict(Outcome::Fail, "no");
            v
        })]);
        assert!(
            judge(&account(), &[message])[1]
                .fix
                .contains("put 2001:db8::7 into")
        );
    }

    #[test]
    fn every_signature_must_verify() {
        let mut two = healthy();
        two.dkim.push(signature("s2", Outcome::Fail));
        assert_eq!(
            judged(two)[0],
            (Word::Fail, "s2 of wac.tax: because".into())
        );
        let mut unsigned = healthy();
        unsigned.dkim.clear();
        assert_eq!(
            judged(unsigned)[0],
            (Word::Fail, "the message is not signed".into())
        );
        let mut unknown = healthy();
        unknown.dkim = vec![signature("s1", Outcome::Unknown)];
        assert_eq!(judged(unknown)[0].0, Word::Skip);
    }

    #[test]
    fn alignment_by_spf_alone_is_a_warning() {
        let mut bare = healthy();
        bare.dmarc.dkim = Outcome::Fail;
        bare.dmarc.verdict.why = "SPF is of wac.tax".into();
        assert_eq!(judged(bare)[2].0, Word::Warn);
        let mut none = healthy();
        none.dmarc.verdict = verdict(Outcome::Fail, "wac.tax has no DMARC record");
        none.dmarc.published = false;
        assert_eq!(judged(none)[2].0, Word::Warn);
        let mut fails = healthy();
        fails.dmarc.verdict = verdict(Outcome::Fail, "neither");
        assert_eq!(judged(fails)[2].0, Word::Fail);
        let mut silent = healthy();
        silent.dmarc.verdict = verdict(Outcome::Unknown, "the DNS does not answer");
        assert_eq!(judged(silent)[2].0, Word::Skip);
    }
}
