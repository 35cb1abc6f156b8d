//! What is found of a message that a stranger delivers to each address of the host.

use super::Outcome;
use super::doors::Door;
use super::post::Posted;
use super::received::Received;
use super::submitted::fate;
use crate::check::wire::Reach;
use crate::check::{Aspect, Finding};

/// A message from outside.
pub const INBOUND: Aspect = Aspect {
    id: "test.inbound",
    wanted: "a stranger's message that is taken over TLS on port 25 and delivered, with a note of where it came from",
    why: "Other servers deliver here (RFC 5321). Where a proxy hides their address, SPF and the bans of guessers judge the wrong one.",
};

/// What became of the stranger's messages, by address of the host.
pub fn judge(doors: &[Door], posted: &[Posted], limit: u64) -> Vec<Finding> {
    let at = |door: &Door| {
        let about = INBOUND.of(door.address);
        match &door.reach {
            Reach::Refused(why) | Reach::Silent(why) => {
                return about.fail(
                    why,
                    "see with `mailctl status` whether chasquid runs, and whether a firewall of the hoster's closes port 25",
                );
            }
            Reach::Unknown(why) => return about.skip(why),
            Reach::Open => {}
        }
        let here = posted
            .iter()
            .find(|p| (p.letter.address, p.letter.port) == (door.address, 25));
        match here.map(|posted| (posted, &posted.outcome)) {
            Some((posted, Outcome::Taken(_))) => match &posted.message {
                Some(message) => delivered(door, message),
                None => about.fail(
                    format!("taken, and not delivered: {}", fate(posted, limit)),
                    "`mailctl logs` shows what became of it",
                ),
            },
            Some((_, Outcome::Refused(refusal))) => about.fail(
                refusal.to_string(),
                "`mailctl logs` shows the server's side of it",
            ),
            Some((_, Outcome::Untried(why))) => about.skip(why),
            None => about.skip("nothing was sent there"),
        }
    };
    doors
        .iter()
        .filter(|door| door.port == 25)
        .map(at)
        .collect()
}

fn delivered(door: &Door, message: &[u8]) -> Finding {
    let about = INBOUND.of(door.address);
    let Some(top) = Received::top(message) else {
        return about.fail("no Received field", "RFC 5321 section 4.4 asks for one");
    };
    if !top.secured() {
        let found = format!("received with {}", top.told());
        return about.fail(
            found,
            "see what `mailctl check --only tls` finds at port 25",
        );
    }
    let family = if door.address.is_ipv4() {
        "IPv4"
    } else {
        "IPv6"
    };
    match top.from {
        Some(from) if from.to_canonical().is_ipv4() == door.address.is_ipv4() => about.pass(format!(
            "delivered; received over {family} from {from} with {}",
            top.told()
        )),
        Some(from) => about.warn(
            format!("delivered over {family}, and received from {from}"),
            "something between here and there hides the senders' addresses: take it away, or have it speak the PROXY protocol",
        ),
        None => about.warn(
            "delivered, and received from an address that is not noted",
            "chasquid notes it: see `mailctl plan`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::check::Verdict;
    use crate::record::Name;
    use crate::submission::{Refusal, Secured};
    use crate::trial::letters::Letter;

    fn six() -> IpAddr {
        "2001:db8::7".parse().expect("an address")
    }

    fn judged(reach: Reach, outcome: Outcome, message: Option<String>) -> (Verdict, String) {
        let door = Door {
            address: six(),
            port: 25,
            reach,
            worth: None,
        };
        let letter = Letter {
            number: 1,
            account: None,
            from: "test@mailctl.invalid".into(),
            to: "test@wac.tax".into(),
            domain: Name::parse("wac.tax").expect("a name"),
            address: six(),
            port: 25,
        };
        let posted = Posted {
            message: message.map(String::into_bytes),
            ..Posted::new(letter, outcome)
        };
        let found = judge(&[door], &[posted], 60);
        assert_eq!(found.len(), 1);
        (found[0].verdict, found[0].found.clone())
    }

    fn taken() -> Outcome {
        Outcome::Taken(Secured {
            version: "TLSv1_3".into(),
        })
    }

    fn message(from: &str, with: &str) -> Option<String> {
        Some(format!(
            "Received: from x ({from})\r\n\tby y (chasquid) with {with}\r\n\t(over SMTP, TLS 1.3, envelope from \"<>\")\r\n\r\n"
        ))
    }

    #[test]
    fn each_verdict() {
        let good = judged(
            Reach::Open,
            taken(),
            message("[IPv6:2001:db8::9]", "ESMTPS"),
        );
        assert_eq!(
            good,
            (
                Verdict::Pass,
                "delivered; received over IPv6 from 2001:db8::9 with ESMTPS, TLS 1.3".into()
            )
        );
        let proxy = judged(Reach::Open, taken(), message("[127.0.0.1]", "ESMTPS"));
        assert_eq!(proxy.0, Verdict::Warn);
        let clear = judged(Reach::Open, taken(), message("[IPv6:2001:db8::9]", "ESMTP"));
        assert_eq!(clear.0, Verdict::Fail);
        assert_eq!(judged(Reach::Open, taken(), None).0, Verdict::Fail);
        let said = Refusal::Said(550, "5.1.1 unknown".into());
        let refused = judged(Reach::Open, Outcome::Refused(said), None);
        assert_eq!(refused, (Verdict::Fail, "550 5.1.1 unknown".into()));
        let closed = judged(Reach::Silent("no answer".into()), taken(), None);
        assert_eq!(closed, (Verdict::Fail, "no answer".into()));
        let blocked = judged(Reach::Unknown("closed on the way".into()), taken(), None);
        assert_eq!(blocked, (Verdict::Skip, "closed on the way".into()));
    }
}
