//! Whether strangers can send through the server, or find out who has a
//! mailbox there. No message is ever sent: the conversation ends before DATA.

mod asking;
mod forms;

use std::net::IpAddr;

use futures_util::future::join_all;

use self::forms::{Form, Outcome};
use super::wire::{Reach, Reply, Station};
use super::{Aspect, Finding, Question, View};

/// The question.
pub const QUESTION: Question = Question {
    id: "relay",
    aspects: &[&OPEN, &VRFY, &EXPN],
    ask: |view| Box::pin(ask(view)),
};

/// Mail of strangers to strangers.
const OPEN: Aspect = Aspect {
    id: "relay.open",
    wanted: "a stranger's RCPT TO for another stranger is refused",
    why: "An open relay is found within hours, sends spam for everybody, and stands on every blocklist soon after (RFC 5321 section 7.9, RFC 2505 section 2.1): then the domain's own mail is refused, too.",
};

/// Asking who has a mailbox.
const VRFY: Aspect = Aspect {
    id: "relay.vrfy",
    wanted: "VRFY tells nothing: 252, or refused",
    why: "VRFY that answers lets spammers and guessers of passwords collect addresses (RFC 5321 sections 3.5.3 and 7.3).",
};

/// Asking who is on a list.
const EXPN: Aspect = Aspect {
    id: "relay.expn",
    wanted: "EXPN tells nothing: it is refused",
    why: "EXPN that answers gives away the addresses behind an alias or a list (RFC 5321 sections 3.5.3 and 7.3).",
};

/// What was tried at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    /// In the order of [`forms`].
    relays: Vec<Attempt>,
    vrfy: Result<Vec<Reply>, String>,
    expn: Result<Vec<Reply>, String>,
}

/// One way to name sender and recipient, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attempt {
    form: Form,
    outcome: Outcome,
}

async fn ask(view: &View) -> Vec<Finding> {
    let stations = match view.stations().await {
        Ok(stations) => stations,
        Err(reason) => return vec![OPEN.of(view.domain()).skip(reason)],
    };
    let receiving = stations.into_iter().filter(|station| station.port == 25);
    let asked = receiving.map(|station| async move {
        if station.seen.reach != Reach::Open || !matches!(station.seen.greeting, Ok((220, _))) {
            return vec![OPEN.of(station.address).skip(mute(&station))];
        }
        let tried = view.outside.relay(&station, view.domain()).await;
        judge(station.address, &tried)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn mute(station: &Station) -> String {
    match &station.seen.greeting {
        Ok((code, text)) => format!("it does not talk to us: {code} {text}"),
        Err(reason) => reason.clone(),
    }
}

fn judge(address: IpAddr, tried: &Tried) -> Vec<Finding> {
    vec![
        open(address, &tried.relays),
        list(&VRFY, address, &tried.vrfy),
        list(&EXPN, address, &tried.expn),
    ]
}

fn open(address: IpAddr, relays: &[Attempt]) -> Finding {
    let about = OPEN.of(address);
    let mut unclear = None;
    let mut refused = None;
    for Attempt { form, outcome } in relays {
        match outcome {
            Outcome::Accepted(reply) => {
                let found = format!(
                    "accepts RCPT TO:<{}> after MAIL FROM:<{}>: {}",
                    form.recipient,
                    form.sender,
                    reply.told()
                );
                return about.fail(
                    found,
                    "relay only for those who have logged in; take the network that is trusted without login off the list",
                );
            }
            Outcome::Refused(reply) if refused.is_none() => refused = Some(reply.told()),
            Outcome::Unclear(reason) if unclear.is_none() => unclear = Some(reason),
            Outcome::Refused(_) | Outcome::Unclear(_) => {}
        }
    }
    match (refused, unclear) {
        (Some(reply), _) => about.pass(format!("refused: {reply}")),
        (None, Some(reason)) => about.skip(reason),
        (None, None) => about.skip("nothing was tried"),
    }
}

/// VRFY and EXPN. The replies are those for postmaster and, where that was
/// found, for somebody who does not exist.
fn list(aspect: &Aspect, address: IpAddr, replies: &Result<Vec<Reply>, String>) -> Finding {
    let about = aspect.of(address);
    let replies = match replies {
        Ok(replies) => replies,
        Err(reason) => return about.skip(reason),
    };
    let tells = |reply: &Reply| matches!(reply.code, 250 | 251);
    match replies.as_slice() {
        [] => about.skip("no reply"),
        [known, unknown, ..] if tells(known) && tells(unknown) => {
            about.pass(format!("the same for everybody: {}", known.told()))
        }
        [known, ..] if tells(known) => about.warn(
            format!("answered: {}", known.told()),
            "turn it off in the server's configuration",
        ),
        [known, ..] => about.pass(known.told()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};
    use crate::record::Name;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    fn reply(code: u16, text: &str) -> Reply {
        Reply {
            code,
            lines: vec![text.into()],
        }
    }

    fn verdict(outcomes: Vec<Outcome>) -> Verdict {
        let name = |text| Name::parse(text).expect("a name");
        let forms = forms::forms(&name("smtp.wac.example"), &name("wac.example"), true);
        let attempts = outcomes.into_iter().zip(forms);
        let attempts: Vec<Attempt> = attempts
            .map(|(outcome, form)| Attempt { form, outcome })
            .collect();
        open(ADDRESS, &attempts).verdict
    }

    #[test]
    fn one_form_that_is_accepted_opens_the_relay() {
        let refused = || Outcome::Refused(reply(503, "Relay not allowed"));
        let accepted = Outcome::Accepted(reply(250, "OK"));
        assert_eq!(verdict(vec![refused(), refused()]), Pass);
        assert_eq!(verdict(vec![refused(), accepted]), Fail);
        let unclear = || Outcome::Unclear("greylisted".into());
        assert_eq!(verdict(vec![unclear(), refused()]), Pass);
        assert_eq!(verdict(vec![unclear(), unclear()]), Skip);
        assert_eq!(verdict(Vec::new()), Skip);
    }

    #[test]
    fn lists_of_addresses() {
        let of = |replies: Vec<Reply>| list(&VRFY, ADDRESS, &Ok(replies)).verdict;
        assert_eq!(of(vec![reply(252, "send some mail, I'll try")]), Pass);
        assert_eq!(of(vec![reply(502, "not implemented")]), Pass);
        let real = reply(250, "Post Master <postmaster@wac.example>");
        assert_eq!(of(vec![real.clone(), reply(550, "unknown")]), Warn);
        assert_eq!(of(vec![real.clone(), real]), Pass);
        assert_eq!(list(&EXPN, ADDRESS, &Err("gone".into())).verdict, Skip);
    }
}
