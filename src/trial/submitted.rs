//! What is found of the submissions themselves: TLS, the login, and how the
//! server notes that it got the message.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::doors::{Door, Worth};
use super::letters::SUBMISSION;
use super::post::Posted;
use super::received::Received;
use super::{Account, Outcome};
use crate::check::wire::Reach;
use crate::check::{Aspect, Finding};
use crate::maillog::story::State;
use crate::record::Name;
use crate::submission::Refusal;

/// TLS on a port of submission.
pub const TLS: Aspect = Aspect {
    id: "test.tls",
    wanted: "TLS 1.2 or newer, with a certificate for the host's name",
    why: "Mail programs give their password only over TLS, and refuse a certificate that is not for the name (RFC 8314 section 4).",
};

/// A message that was handed in.
pub const SUBMITTED: Aspect = Aspect {
    id: "test.submission",
    wanted: "a login that is accepted, and a message that is taken and delivered",
    why: "This is how a mail program sends (RFC 6409).",
};

/// The trace that the server leaves.
pub const RECEIVED: Aspect = Aspect {
    id: "test.received",
    wanted: "a Received field that notes login and TLS, and not the address of whoever logged in",
    why: "Receivers read in it that the message did not travel in the clear (RFC 3848). The address of somebody's home is nobody's business.",
};

/// TLS at each address and port.
pub fn tls(host: &Name, doors: &[Door], posted: &[Posted]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for door in doors.iter().filter(|door| SUBMISSION.contains(&door.port)) {
        let about = TLS.of(door.address).at(door.port);
        match &door.reach {
            Reach::Refused(why) | Reach::Silent(why) => {
                findings.push(about.fail(why, "see with `mailctl status` whether chasquid runs, and whether a firewall of the hoster's closes the port"));
                continue;
            }
            Reach::Unknown(why) => {
                findings.push(about.skip(why));
                continue;
            }
            Reach::Open => {}
        }
        match &door.worth {
            Some(Worth::Refused(why)) => {
                findings.push(about.fail(
                    why,
                    "`mailctl plan` says what is wrong with the certificate on the server",
                ));
                continue;
            }
            Some(Worth::Private) => {
                findings.push(about.warn(
                    "a certificate of a private authority whose root is not known here",
                    "give its root to mailctl with --roots, and to the mail programs: they refuse to log in otherwise",
                ));
                continue;
            }
            Some(Worth::Trusted) | None => {}
        }
        let mut here = posted.iter().filter(|posted| {
            (posted.letter.address, posted.letter.port) == (door.address, door.port)
        });
        findings.extend(here.find_map(|posted| match &posted.outcome {
            Outcome::Taken(secured) => Some(about.clone().pass(format!(
                "{}, with a certificate for {host}",
                secured.version.replace('_', ".")
            ))),
            Outcome::Refused(Refusal::Tls(why)) => Some(about.clone().fail(
                why,
                "`mailctl plan` says what is wrong with the certificate on the server",
            )),
            _ => None,
        }));
    }
    findings
}

/// What became of an account's messages, by port.
pub fn submissions(
    account: &Account,
    doors: &[Door],
    posted: &[Posted],
    limit: u64,
) -> Vec<Finding> {
    let judge = |port: u16| {
        let about = || SUBMITTED.of(&account.address).at(port);
        if account.password.is_none() {
            return about().skip(
                "its password is not known here: `secrets` in mail.yaml does not have it, so another machine made it",
            );
        }
        let here: Vec<&Posted> = posted.iter().filter(|p| p.letter.port == port).collect();
        if let Some((posted, refusal)) = here.iter().find_map(|p| match &p.outcome {
            Outcome::Refused(refusal) => Some((p, refusal)),
            _ => None,
        }) {
            let found = format!("{} at {}", refusal, posted.letter.address);
            return about().fail(found, refused(refusal));
        }
        let taken: Vec<&&Posted> = here.iter().filter(|p| p.outcome.is_taken()).collect();
        if let Some(lost) = taken.iter().find(|p| p.message.is_none()) {
            let found = format!(
                "accepted at {}, and not delivered: {}",
                lost.letter.address,
                fate(lost, limit)
            );
            return about().fail(found, "`mailctl logs` shows what became of it");
        }
        if taken.is_empty() {
            let why = here.iter().find_map(|p| match &p.outcome {
                Outcome::Untried(why) => Some(why.clone()),
                _ => None,
            });
            let mut here = doors.iter().filter(|door| door.port == port);
            let closed = here.find_map(Door::closed).map(str::to_owned);
            return about().skip(
                why.or(closed)
                    .unwrap_or_else(|| "the host has no address".into()),
            );
        }
        let addresses: Vec<IpAddr> = taken.iter().map(|p| p.letter.address).collect();
        about().pass(format!("accepted over {}, and delivered", and(&addresses)))
    };
    SUBMISSION.into_iter().map(judge).collect()
}

/// What to do where a message was not taken.
fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Login(_) => {
            "run `mailctl apply`: it gives the server the password that is known here"
        }
        Refusal::Tls(_) => "see what is found of TLS at that address",
        Refusal::Said(..) | Refusal::Broken(_) => "`mailctl logs` shows the server's side of it",
    }
}

/// Why a message that was taken did not come.
pub fn fate(posted: &Posted, limit: u64) -> String {
    let said = posted.fate.states.values();
    let said = said.filter_map(|state| match state {
        State::Waits(why) | State::Failed(why) => Some(why.clone()),
        _ => None,
    });
    said.into_iter()
        .next()
        .unwrap_or_else(|| format!("it did not come within {limit} s"))
}

/// How the server notes the way of an account's messages.
pub fn received(account: &Account, posted: &[Posted]) -> Option<Finding> {
    let about = RECEIVED.of(&account.address);
    let messages: Vec<&Vec<u8>> = posted.iter().filter_map(|p| p.message.as_ref()).collect();
    if messages.is_empty() {
        return None;
    }
    let mut told = BTreeSet::new();
    for message in messages {
        let Some(top) = Received::top(message) else {
            return Some(about.fail("no Received field", "RFC 5321 section 4.4 asks for one"));
        };
        if !top.secured() || !top.logged_in() {
            let found = format!("received with {}", top.told());
            return Some(about.fail(
                found,
                "submission must be closed but for TLS: run `mailctl plan`",
            ));
        }
        if let Some(address) = top.from {
            let found = format!("{address}, from where it was submitted, is in the message");
            return Some(about.warn(found, "chasquid from 1.15 on leaves it out"));
        }
        told.insert(format!("by {} with {}", top.by, top.told()));
    }
    let told: Vec<String> = told.into_iter().collect();
    Some(about.pass(told.join("; ")))
}

/// `a`, `a and b`, `a, b and c`.
pub fn and<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    match items.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::secret::Secret;
    use crate::submission::Secured;
    use crate::trial::letters::Letter;

    const SIGNED: &str = "Received: from x\r\n\tby smtp.wac.tax (chasquid) with ESMTPSA\r\n\t(over submission, TLS 1.3, envelope from \"i@wac.tax\")\r\n\r\nhi\r\n";

    fn account(password: Option<&str>) -> Account {
        Account {
            address: "i@wac.tax".into(),
            domain: Name::parse("wac.tax").expect("a name"),
            password: password.map(Secret::new),
        }
    }

    fn four() -> IpAddr {
        IpAddr::from([203, 0, 113, 7])
    }

    fn posted(port: u16, outcome: Outcome, message: Option<&str>) -> Posted {
        let letter = Letter {
            number: 1,
            account: Some(0),
            from: "i@wac.tax".into(),
            to: "test@wac.tax".into(),
            domain: Name::parse("wac.tax").expect("a name"),
            address: four(),
            port,
        };
        Posted {
            message: message.map(|m| m.as_bytes().to_vec()),
            ..Posted::new(letter, outcome)
        }
    }

    fn taken() -> Outcome {
        Outcome::Taken(Secured {
            version: "TLSv1_3".into(),
        })
    }

    fn door(port: u16, reach: Reach) -> Door {
        Door {
            address: four(),
            port,
            reach,
            worth: None,
        }
    }

    #[test]
    fn each_port_is_judged_by_itself() {
        let doors = [door(465, Reach::Open), door(587, Reach::Open)];
        let known = account(Some("x"));
        let wrong = Refusal::Login("535 5.7.8 no".into());
        let posts = [
            posted(465, taken(), Some(SIGNED)),
            posted(587, Outcome::Refused(wrong), None),
        ];
        let found = submissions(&known, &doors, &posts, 60);
        let told: Vec<_> = found.iter().map(|f| (f.id.as_str(), f.verdict)).collect();
        assert_eq!(
            told,
            [
                ("test.submission.465", Verdict::Pass),
                ("test.submission.587", Verdict::Fail)
            ]
        );
        assert_eq!(found[0].found, "accepted over 203.0.113.7, and delivered");
        assert!(found[1].found.contains("535 5.7.8") && found[1].fix.contains("apply"));
    }

    #[test]
    fn what_was_not_delivered_says_why() {
        let doors = [door(465, Reach::Open)];
        let mut lost = posted(465, taken(), None);
        let said = |lost: &Posted| {
            let found = submissions(&account(Some("x")), &doors, std::slice::from_ref(lost), 60);
            (found[0].verdict, found[0].found.clone())
        };
        let (verdict, late) = said(&lost);
        assert!(
            verdict == Verdict::Fail && late.ends_with("it did not come within 60 s"),
            "{late}"
        );
        lost.fate.states = [("x".to_owned(), State::Failed("exit status 1".into()))].into();
        assert!(said(&lost).1.ends_with("not delivered: exit status 1"));
    }

    #[test]
    fn what_could_not_be_tried_is_skipped_with_the_reason() {
        let doors = [
            door(465, Reach::Unknown("no way out from here".into())),
            door(587, Reach::Open),
        ];
        let unknown = submissions(&account(None), &doors, &[], 60);
        assert!(
            unknown
                .iter()
                .all(|f| f.verdict == Verdict::Skip && f.found.contains("secrets"))
        );
        let untried = posted(
            587,
            Outcome::Untried("the password was refused".into()),
            None,
        );
        let found = submissions(&account(Some("x")), &doors, &[untried], 60);
        let reasons: Vec<_> = found
            .iter()
            .map(|f| (f.verdict, f.found.as_str()))
            .collect();
        assert_eq!(
            reasons,
            [
                (Verdict::Skip, "no way out from here"),
                (Verdict::Skip, "the password was refused")
            ]
        );
    }

    #[test]
    fn tls_is_found_at_each_address_and_port() {
        let host = Name::parse("smtp.wac.tax").expect("a name");
        let doors = [
            door(25, Reach::Open),
            door(465, Reach::Refused("nobody listens".into())),
            door(587, Reach::Open),
        ];
        let verdicts = |posted: &[Posted]| -> Vec<(String, Verdict)> {
            let found = tls(&host, &doors, posted);
            found.into_iter().map(|f| (f.id, f.verdict)).collect()
        };
        let closed = ("test.tls.465".to_owned(), Verdict::Fail);
        assert_eq!(verdicts(&[]), std::slice::from_ref(&closed));
        let good = posted(587, taken(), None);
        assert_eq!(verdicts(&[good])[1], ("test.tls.587".into(), Verdict::Pass));
        let bad = posted(587, Outcome::Refused(Refusal::Tls("expired".into())), None);
        assert_eq!(verdicts(&[bad])[1], ("test.tls.587".into(), Verdict::Fail));
    }

    #[test]
    fn the_trace_is_read() {
        let of = |message: &str| {
            let posted = posted(465, taken(), Some(message));
            received(&account(Some("x")), &[posted]).expect("a finding")
        };
        let good = of(SIGNED);
        assert_eq!(good.verdict, Verdict::Pass);
        assert_eq!(good.found, "by smtp.wac.tax with ESMTPSA, TLS 1.3");
        assert_eq!(
            of(&SIGNED.replace("ESMTPSA", "ESMTPA")).verdict,
            Verdict::Fail
        );
        assert_eq!(of("Subject: x\r\n\r\n").verdict, Verdict::Fail);
        let told = SIGNED.replace("from x", "from x ([192.0.2.1])");
        assert_eq!(of(&told).verdict, Verdict::Warn);
        assert_eq!(received(&account(Some("x")), &[]), None);
    }
}
