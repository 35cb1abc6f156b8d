//! What the servers of other people answer, and what it means.

use super::fate::Fate;
use crate::check::Finding;
use crate::check::finding::About;
use crate::maillog::story::State;

/// The answer of the far servers, the worst of them first.
pub fn judge<'a>(
    about: impl Fn() -> About<'a>,
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

/// Codes (RFC 3463) and words of answers, and what to do; the first that fits counts.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &["greylist"],
        "nothing: the far server takes it at the next attempt",
    ),
    (
        &["connection failed", "dial tcp", "i/o timeout"],
        "the server does not get through to the far one: `mailctl check --login --only outbound` tells whether the hoster closes port 25",
    ),
    (
        &["5.7.25", "4.7.25", "4.7.23", "5.7.23"],
        "the reverse name of the sending address is missing or does not lead back: see `mailctl check --only host`",
    ),
    (
        &["5.7.27", "4.7.27"],
        "the sending address is not in the SPF record: see `mailctl check --only spf`",
    ),
    (
        &["5.7.29", "4.7.29"],
        "the far server wants TLS: see `mailctl check --only tls`",
    ),
    (
        &[
            "5.7.26", "4.7.26", "5.7.30", "4.7.30", "4.7.31", "4.7.32", "5.7.515",
        ],
        "the far server cannot tell who the message is from: see what is found of DKIM, SPF and DMARC",
    ),
    (
        &["4.7.28", "5.7.28", "4.7.650", "4.7.0"],
        "the far server takes little at once from an address that it does not know yet: send little, and more from week to week",
    ),
    (
        &["5.1.1", "5.1.0", "5.1.2", "5.2.1"],
        "the far server does not know the address: correct it",
    ),
    (&["4.2.2", "5.2.2"], "the mailbox there is full"),
    (
        &["5.7.1", "5.7.606", "block", "listed"],
        "the far server does not trust the sending address, or takes the message for spam: see `mailctl check --only blocklist,host`",
    ),
];

/// What to do about a far server's answer.
fn advice(said: &str) -> &'static str {
    let said = said.to_lowercase();
    // A code is not looked for inside an address, which has digits and dots too.
    let codes: Vec<&str> = said
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|code| code.trim_matches('.'))
        .collect();
    let fits = |word: &&str| {
        if word.contains('.') {
            codes.contains(word)
        } else {
            said.contains(*word)
        }
    };
    let known = ADVICE.iter().find(|(words, _)| words.iter().any(fits));
    known.map_or("`mailctl logs` follows the message", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Aspect, Verdict};

    const ASPECT: Aspect = Aspect {
        id: "test.x",
        wanted: "",
        why: "",
    };

    fn judged(states: &[(&str, State)], settled: bool) -> Finding {
        let fate = Fate {
            id: Some("t9Y-1nez-Vw".into()),
            states: states
                .iter()
                .map(|(to, state)| ((*to).into(), state.clone()))
                .collect(),
            settled,
        };
        let to = ["a@far.example".to_owned(), "b@far.example".to_owned()];
        judge(|| ASPECT.of("*@wac.tax"), &to, &fate, 60, "")
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
    fn codes_of_the_large_receivers_are_known() {
        for (said, word) in [
            ("550 5.7.25 no PTR", "reverse name"),
            ("421 4.7.32 not aligned", "who the message is from"),
            ("550 5.7.515 Access denied", "who the message is from"),
            ("421 4.7.28 unusual rate", "send little"),
            ("550 5.7.1 blocked using Spamhaus", "trust"),
            (
                "mx: connection failed: dial tcp 192.0.2.1:25: i/o timeout",
                "port 25",
            ),
            ("451 4.7.1 greylisted, try again", "nothing"),
            ("550-5.7.25 [203.0.113.7]", "reverse name"),
            ("554 no mail from 5.7.25.1", "mailctl logs"),
        ] {
            assert!(advice(said).contains(word), "{said}: {}", advice(said));
        }
    }
}
