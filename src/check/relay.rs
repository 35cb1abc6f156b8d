//! Whether strangers can send through the server, or find out who has a
//! mailbox there. No message is ever sent: the conversation ends before DATA.

use std::net::IpAddr;

use futures_util::future::join_all;

use super::wire::{Reach, Reply, Station, Talk, offers};
use super::{Aspect, Finding, Outside, Question, View};
use crate::record::Name;

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

/// The recipient that nobody may relay to: example.com is reserved (RFC 2606)
/// and has a null MX, so that nothing could ever be delivered.
const STRANGER: &str = "mailctl-relay-test@example.com";
/// A sender whose domain cannot exist (RFC 6761).
const SENDER: &str = "mailctl-relay-test@stranger.invalid";

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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// RCPT TO was accepted.
    Accepted(Reply),
    /// It was refused for good.
    Refused(Reply),
    /// It did not get that far, or the answer says nothing, for this reason.
    Unclear(String),
}

/// A sender, and a recipient who is a stranger however it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Form {
    sender: String,
    recipient: String,
    /// A recipient that tells whether the answer is about relaying at all.
    control: Option<Control>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Control {
    /// Must get another refusal: where the domain's own postmaster gets the
    /// same, it is this client that is refused.
    Own(String),
    /// Must be refused: where anything at the host is taken, the odd form is
    /// a mailbox of its own, and not relayed.
    Anything(String),
}

/// The forms that have opened servers which were thought to be closed. To
/// hosts of others the plainest is said only.
fn forms(host: &Name, domain: &Name, ours: bool) -> Vec<Form> {
    let (local, far) = STRANGER.split_once('@').unwrap_or_default();
    let own = || Some(Control::Own(format!("postmaster@{domain}")));
    let anything = || Some(Control::Anything(format!("mailctl-nobody-9f3c@{host}")));
    let form = |sender: &str, recipient: String, control| Form {
        sender: sender.to_owned(),
        recipient,
        control,
    };
    // The null sender must be heard by everybody (RFC 5321 section 4.5.5).
    let plain = form("", STRANGER.into(), own());
    if !ours {
        return vec![plain];
    }
    vec![
        plain,
        form(SENDER, STRANGER.into(), own()),
        form(&format!("postmaster@{domain}"), STRANGER.into(), own()),
        // A source route (RFC 5321 appendix C).
        form("", format!("@{host}:{STRANGER}"), None),
        // RFC 1123 section 5.2.16.
        form("", format!("{local}%{far}@{host}"), anything()),
        form("", format!("\"{STRANGER}\"@{host}"), anything()),
        form("", format!("{far}!{local}@{host}"), anything()),
    ]
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

impl Outside {
    /// Tries to relay through an address; once, whatever domains are there.
    async fn relay(&self, station: &Station, domain: &Name) -> Tried {
        let key = (station.host.clone(), station.address);
        let find = || async {
            let forms = forms(&station.host, domain, station.ours);
            // One conversation each: many servers hang up after a few refusals.
            let relays = forms.into_iter().map(|form| async {
                let outcome = self.attempt(station, &form).await;
                let outcome = outcome.unwrap_or_else(Outcome::Unclear);
                Attempt { form, outcome }
            });
            let (relays, vrfy, expn) = tokio::join!(
                join_all(relays),
                self.list(station, "VRFY", domain),
                self.list(station, "EXPN", domain)
            );
            Tried { relays, vrfy, expn }
        };
        self.wire.relays.get(key, find).await
    }

    async fn attempt(&self, station: &Station, form: &Form) -> Result<Outcome, String> {
        let mut talk = self.introduced_to(station).await?;
        let sender = talk.say(&format!("MAIL FROM:<{}>", form.sender)).await?;
        if !sender.positive() {
            return Ok(Outcome::Unclear(format!(
                "MAIL FROM:<{}> is answered with {}",
                form.sender,
                sender.told()
            )));
        }
        let reply = talk.say(&format!("RCPT TO:<{}>", form.recipient)).await?;
        let control = match &form.control {
            Some(Control::Own(to)) if !reply.positive() => {
                talk.say(&format!("RCPT TO:<{to}>")).await.ok()
            }
            Some(Control::Anything(to)) if reply.positive() => {
                talk.say(&format!("RCPT TO:<{to}>")).await.ok()
            }
            _ => None,
        };
        talk.quit().await;
        Ok(weigh(form, reply, control))
    }

    async fn list(
        &self,
        station: &Station,
        verb: &str,
        domain: &Name,
    ) -> Result<Vec<Reply>, String> {
        let mut talk = self.introduced_to(station).await?;
        let known = talk.say(&format!("{verb} postmaster@{domain}")).await?;
        let mut replies = vec![known];
        if replies[0].positive() {
            let unknown = format!("{verb} mailctl-nobody-9f3c@{domain}");
            replies.push(talk.say(&unknown).await?);
        }
        talk.quit().await;
        Ok(replies)
    }

    /// A conversation after EHLO, under TLS where it is offered, as of a server that delivers.
    async fn introduced_to(&self, station: &Station) -> Result<Talk, String> {
        let talk = self.connect(station.address, station.port).await;
        let mut talk = talk.map_err(|_| "the port does not answer again".to_owned())?;
        let greeting = talk.reply().await?;
        if greeting.code != 220 {
            return Err(format!("it does not talk to us: {}", greeting.told()));
        }
        let capabilities = self.ehlo(&mut talk).await?;
        if matches!(station.seen.tls, Some(Ok(_))) && offers(&capabilities, "STARTTLS") {
            let reply = talk.say("STARTTLS").await?;
            if reply.code != 220 {
                return Err(format!("STARTTLS is answered with {}", reply.told()));
            }
            let (mut secured, _) = talk.secure(&station.host).await?;
            self.ehlo(&mut secured).await?;
            return Ok(secured);
        }
        Ok(talk)
    }
}

/// What the reply to RCPT TO says, given the reply to the control recipient.
fn weigh(form: &Form, reply: Reply, control: Option<Reply>) -> Outcome {
    let told = reply.told();
    match (&form.control, control) {
        (Some(Control::Anything(_)), Some(other)) if other.positive() => {
            Outcome::Unclear("it accepts whatever is addressed to its own name".into())
        }
        _ if reply.positive() => Outcome::Accepted(reply),
        (Some(Control::Own(own)), Some(other))
            if said(&other, own) == said(&reply, &form.recipient) =>
        {
            Outcome::Unclear(format!("it refuses us whoever it is for: {told}"))
        }
        // Greylisting and the like; a server that defers relaying says so.
        _ if (400..500).contains(&reply.code) && !told.to_ascii_lowercase().contains("relay") => {
            Outcome::Unclear(format!("it answers only later: {told}"))
        }
        _ => Outcome::Refused(reply),
    }
}

/// A refusal without the address that it is about.
fn said(reply: &Reply, about: &str) -> (u16, String) {
    (reply.code, reply.text().replace(about, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    fn reply(code: u16, text: &str) -> Reply {
        Reply {
            code,
            lines: vec![text.into()],
        }
    }

    fn names() -> (Name, Name) {
        let name = |text| Name::parse(text).expect("a name");
        (name("smtp.wac.example"), name("wac.example"))
    }

    fn all() -> Vec<Form> {
        let (host, domain) = names();
        forms(&host, &domain, true)
    }

    fn plain(to_stranger: Reply, to_own: Reply) -> Outcome {
        weigh(&all()[0], to_stranger, Some(to_own))
    }

    fn verdict(outcomes: Vec<Outcome>) -> Verdict {
        let attempts = outcomes.into_iter().zip(all());
        let attempts: Vec<Attempt> = attempts
            .map(|(outcome, form)| Attempt { form, outcome })
            .collect();
        open(ADDRESS, &attempts).verdict
    }

    #[test]
    fn the_forms_are_all_for_the_stranger() {
        let (host, domain) = names();
        let recipients: Vec<String> = all().into_iter().map(|form| form.recipient).collect();
        assert_eq!(
            recipients[2..],
            [
                "mailctl-relay-test@example.com",
                "@smtp.wac.example:mailctl-relay-test@example.com",
                "mailctl-relay-test%example.com@smtp.wac.example",
                "\"mailctl-relay-test@example.com\"@smtp.wac.example",
                "example.com!mailctl-relay-test@smtp.wac.example",
            ]
        );
        assert_eq!(forms(&host, &domain, false).len(), 1);
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
    fn a_refusal_counts_when_it_is_about_relaying() {
        let own = || reply(250, "OK");
        let refused = reply(
            554,
            "5.7.1 <mailctl-relay-test@example.com>: Relay access denied",
        );
        assert_eq!(plain(refused.clone(), own()), Outcome::Refused(refused));
        let blocked = |address: &str| {
            reply(
                554,
                &format!("5.7.1 <{address}>: your network is blocked here"),
            )
        };
        let all = plain(
            blocked("mailctl-relay-test@example.com"),
            blocked("postmaster@wac.example"),
        );
        assert!(matches!(all, Outcome::Unclear(_)), "{all:?}");
        let later = plain(reply(450, "4.7.1 try later"), own());
        assert!(matches!(later, Outcome::Unclear(_)), "{later:?}");
        let deferred = plain(reply(454, "4.7.1 Relay access denied"), own());
        assert!(matches!(deferred, Outcome::Refused(_)), "{deferred:?}");
        assert_eq!(
            plain(reply(250, "OK"), own()),
            Outcome::Accepted(reply(250, "OK"))
        );
    }

    #[test]
    fn odd_forms_say_nothing_where_anything_is_taken() {
        let percent = &all()[4];
        let ok = || reply(250, "OK");
        assert!(matches!(
            weigh(percent, ok(), Some(ok())),
            Outcome::Unclear(_)
        ));
        assert!(matches!(
            weigh(percent, ok(), Some(reply(550, "no such user"))),
            Outcome::Accepted(_)
        ));
        assert!(matches!(
            weigh(percent, reply(550, "no such user"), None),
            Outcome::Refused(_)
        ));
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
