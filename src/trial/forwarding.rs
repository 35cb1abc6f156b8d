//! Forwarding: a stranger's message to the catch-all, followed to the answer
//! of the server that it is forwarded to.

use super::Outcome;
use super::addresses::Addresses;
use super::fate::Fate;
use crate::check::{Aspect, Finding};
use crate::config::{Config, HostName, Mx};
use crate::maillog::story::State;
use crate::record::Name;

/// What is forwarded.
pub const CATCHALL: Aspect = Aspect {
    id: "test.catchall",
    wanted: "the far server takes what is forwarded",
    why: "What it refuses never reaches you, and its sender is told so. The answer of the far server says what it minds.",
};

/// An address of ours whose mail goes to somebody else's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// As mail.yaml writes it: `*@wac.tax` is the catch-all.
    pub shown: String,
    /// An address that it is the one for.
    pub address: String,
    /// The addresses elsewhere that it goes to.
    pub far: Vec<String>,
}

/// How the message got to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inward {
    /// From here, by the port for everyone.
    Outside,
    /// On the server itself, for this reason.
    Inside(String),
}

/// What of a domain is forwarded: the catch-all, or else the first address
/// that goes elsewhere. `None` where nothing goes elsewhere.
pub fn forwarded(config: &Config, domain: &HostName, addresses: &Addresses) -> Option<Forwarded> {
    let wish = config
        .domains
        .get(domain)
        .filter(|wish| wish.mx == Mx::Own)?;
    let far = |to: &[String]| -> Vec<String> {
        to.iter().filter(|to| !own(config, to)).cloned().collect()
    };
    let of = |(local, to): (&String, &crate::config::ForwardTo)| {
        let far = far(&to.0);
        let address = if local == "*" {
            addresses.unknown(&domain.0)
        } else {
            format!("{local}@{domain}")
        };
        (!far.is_empty()).then(|| Forwarded {
            shown: format!("{local}@{domain}"),
            address,
            far,
        })
    };
    let catch_all = wish.forward.get_key_value("*").and_then(of);
    catch_all.or_else(|| wish.forward.iter().find_map(of))
}

fn own(config: &Config, address: &str) -> bool {
    let domain = address
        .rsplit_once('@')
        .and_then(|(_, d)| Name::parse(d).ok());
    domain.is_some_and(|domain| config.domains.keys().any(|own| own.0 == domain))
}

/// What became of a forwarded message.
pub fn judge(
    forwarded: &Forwarded,
    outcome: &Outcome,
    inward: &Inward,
    fate: &Fate,
    limit: u64,
) -> Finding {
    let about = CATCHALL.of(&forwarded.shown);
    match outcome {
        Outcome::Taken(_) => {}
        Outcome::Refused(refusal) => {
            return about.fail(
                format!("our own server did not take it: {refusal}"),
                "`mailctl plan` shows whether the forwarding is there; `mailctl logs` shows the server's side",
            );
        }
        Outcome::Untried(why) => return about.skip(why),
    }
    let aside = match inward {
        Inward::Outside => String::new(),
        Inward::Inside(why) => format!(" (handed over on the server itself: {why})"),
    };
    let about = || CATCHALL.of(&forwarded.shown);
    far(about, &forwarded.far, fate, limit, &aside)
}

/// The answer of the far servers, the worst of them first.
pub fn far<'a>(
    about: impl Fn() -> crate::check::finding::About<'a>,
    to: &[String],
    fate: &Fate,
    limit: u64,
    aside: &str,
) -> Finding {
    if fate.id.is_none() {
        return about().skip(format!(
            "the log of the server does not show the message{aside}"
        ));
    }
    let state = |to: &String| {
        let mut states = fate.states.iter();
        states
            .find(|(at, _)| at.eq_ignore_ascii_case(to))
            .map(|(_, state)| state)
    };
    let (mut taken, mut waits, mut refused, mut absent) = (vec![], vec![], vec![], vec![]);
    for to in to {
        match state(to) {
            Some(State::Sent) => taken.push(to.clone()),
            Some(State::Waits(why)) => waits.push(format!("{to}: {why}")),
            Some(State::Failed(why)) => refused.push(format!("{to}: {why}")),
            Some(State::Untried) => {
                waits.push(format!("{to}: no answer within {limit} s"));
            }
            None if !fate.settled => waits.push(format!("{to}: no answer within {limit} s")),
            None => absent.push(to.clone()),
        }
    }
    if !refused.is_empty() {
        let found = format!("refused for {}{aside}", refused.join("; "));
        let fix = advice(&found);
        return about().fail(found, fix);
    }
    if !absent.is_empty() {
        let to: Vec<&str> = fate.states.keys().map(String::as_str).collect();
        return about().fail(
            format!(
                "it did not go to {}, but to {}{aside}",
                absent.join(", "),
                to.join(", ")
            ),
            "the server forwards otherwise than mail.yaml says: run `mailctl plan`",
        );
    }
    if !waits.is_empty() {
        let found = format!(
            "not taken yet for {}{aside}; it stays in the queue and is tried again",
            waits.join("; ")
        );
        let fix = advice(&found);
        return about().warn(found, fix);
    }
    about().pass(format!("taken for {}{aside}", taken.join(", ")))
}

/// What to do about a far server's answer, by its enhanced status code (RFC 3463)
/// where the large receivers give it a meaning.
pub fn advice(said: &str) -> &'static str {
    const ADVICE: &[(&[&str], &str)] = &[
        (
            &["7.25", "4.7.23"],
            "the reverse name of the sending address is missing or does not lead back: see `mailctl check --only host`",
        ),
        (
            &["7.27"],
            "the sending address is not in the SPF record: see `mailctl check --only spf`",
        ),
        (
            &["7.29"],
            "the far server wants TLS: see `mailctl check --only tls`",
        ),
        (
            &["7.26", "7.30", "7.31", "7.32", "5.7.515"],
            "the far server cannot tell who the message is from: see what is found of DKIM, SPF and DMARC",
        ),
        (
            &["4.7.28", "5.7.28", "4.7.650", "4.7.0"],
            "the far server takes less at once from an address that it does not know yet: send little, and more from week to week",
        ),
        (
            &["5.1.1", "5.1.0", "5.1.2", "5.2.1"],
            "the far server does not know the address: correct it",
        ),
        (&["4.2.2", "5.2.2"], "the mailbox there is full"),
        (
            &["block", "listed", "spamhaus", "5.7.1", "5.7.606"],
            "the far server does not trust the sending address: see `mailctl check --only blocklist`",
        ),
    ];
    let said = said.to_lowercase();
    let known = ADVICE
        .iter()
        .find(|(codes, _)| codes.iter().any(|code| said.contains(code)));
    known.map_or("`mailctl logs` follows the message", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::submission::{Refusal, Secured};

    fn config(domains: &str) -> Config {
        let text = format!(
            "host: {{name: smtp.wac.tax, ssh: vps}}\ndns: {{provider: manual}}\ndomains:\n{domains}"
        );
        crate::config::load::read("mail.yaml", &text)
            .expect("sound")
            .config
    }

    fn chosen(domains: &str) -> Option<Forwarded> {
        let config = config(domains);
        let domain = config.domains.keys().next().expect("a domain").clone();
        forwarded(&config, &domain, &Addresses::new([0; 4]))
    }

    #[test]
    fn the_catch_all_is_chosen_where_it_goes_elsewhere() {
        let all = chosen(
            "  wac.tax: {users: {i: {}}, forward: {a: x@far.example, '*': [i@wac.tax, y@far.example]}}\n",
        );
        let all = all.expect("forwarded");
        assert_eq!(all.shown, "*@wac.tax");
        assert!(all.address.ends_with("-x@wac.tax"));
        assert_eq!(all.far, ["y@far.example"], "its own users are not far");
        let other =
            chosen("  wac.tax: {users: {i: {}}, forward: {a: x@far.example, '*': i@wac.tax}}\n");
        assert_eq!(other.expect("forwarded").address, "a@wac.tax");
        assert_eq!(
            chosen("  wac.tax: {users: {i: {}}, forward: {'*': i@wac.tax}}\n"),
            None
        );
        assert_eq!(chosen("  wac.tax: {users: {i: {}}}\n"), None);
    }

    fn judged(states: &[(&str, State)], settled: bool) -> Finding {
        let forwarded = Forwarded {
            shown: "*@wac.tax".into(),
            address: "x@wac.tax".into(),
            far: vec!["a@far.example".into(), "b@far.example".into()],
        };
        let fate = Fate {
            id: Some("t9Y-1nez-Vw".into()),
            states: states
                .iter()
                .map(|(to, state)| ((*to).into(), state.clone()))
                .collect(),
            settled,
        };
        let taken = Outcome::Taken(Secured {
            version: "TLSv1_3".into(),
        });
        judge(&forwarded, &taken, &Inward::Outside, &fate, 60)
    }

    #[test]
    fn the_worst_answer_counts() {
        let (a, b) = ("a@far.example", "b@far.example");
        let full = State::Waits("mx: 452 4.2.2 mailbox full".into());
        let gone = State::Failed("mx: 550 5.1.1 no such user".into());
        let good = judged(&[(a, State::Sent), (b, State::Sent)], true);
        assert_eq!(
            (good.verdict, good.found.as_str()),
            (Verdict::Pass, "taken for a@far.example, b@far.example")
        );
        let waits = judged(&[(a, State::Sent), (b, full.clone())], true);
        assert_eq!(waits.verdict, Verdict::Warn);
        assert!(waits.found.contains("452 4.2.2 mailbox full") && waits.fix.contains("full"));
        let refused = judged(&[(a, full), (b, gone)], true);
        assert_eq!(refused.verdict, Verdict::Fail);
        assert!(refused.found.contains("550 5.1.1") && refused.fix.contains("does not know"));
        let slow = judged(&[("x@wac.tax", State::Untried)], false);
        assert!(slow.verdict == Verdict::Warn && slow.found.contains("within 60 s"));
        let elsewhere = judged(&[("old@far.example", State::Sent)], true);
        assert!(elsewhere.verdict == Verdict::Fail && elsewhere.found.contains("old@far.example"));
    }

    #[test]
    fn the_way_in_counts_too() {
        let forwarded = Forwarded {
            shown: "*@wac.tax".into(),
            address: "x@wac.tax".into(),
            far: vec!["a@far.example".into()],
        };
        let (none, blocked) = (Fate::default(), "port 25 is closed on the way".to_owned());
        let no = Outcome::Refused(Refusal::Said(550, "5.1.1 unknown".into()));
        let refused = judge(&forwarded, &no, &Inward::Outside, &none, 60);
        assert!(refused.verdict == Verdict::Fail && refused.found.contains("550 5.1.1 unknown"));
        let taken = Outcome::Taken(Secured {
            version: String::new(),
        });
        let inside = Inward::Inside(blocked.clone());
        let lost = judge(&forwarded, &taken, &inside, &none, 60);
        assert!(lost.verdict == Verdict::Skip && lost.found.contains(&blocked));
        let untried = Outcome::Untried("no".into());
        assert_eq!(
            judge(&forwarded, &untried, &inside, &none, 60).verdict,
            Verdict::Skip
        );
    }
}
