//! The ways to name sender and recipient that have opened servers which were
//! thought to be closed, and what the replies say.

use crate::check::wire::Reply;
use crate::record::Name;

/// The recipient that nobody may relay to: example.com is reserved (RFC 2606)
/// and has a null MX, so that nothing could ever be delivered.
const STRANGER: &str = "mailctl-relay-test@example.com";
/// A sender whose domain cannot exist (RFC 6761).
const SENDER: &str = "mailctl-relay-test@stranger.invalid";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// RCPT TO was accepted.
    Accepted(Reply),
    /// It was refused for good.
    Refused(Reply),
    /// It did not get that far, or the answer says nothing, for this reason.
    Unclear(String),
}

/// A sender, and a recipient who is a stranger however it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) sender: String,
    pub(super) recipient: String,
    /// A recipient that tells whether the answer is about relaying at all.
    pub(super) control: Option<Control>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// Must get another refusal: where the domain's own postmaster gets the
    /// same, it is this client that is refused.
    Own(String),
    /// Must be refused: where anything at the host is taken, the odd form is
    /// a mailbox of its own, and not relayed.
    Anything(String),
}

/// The forms that have opened servers which were thought to be closed. To
/// hosts of others the plainest is said only.
pub(super) fn forms(host: &Name, domain: &Name, ours: bool) -> Vec<Form> {
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

/// What the reply to RCPT TO says, given the reply to the control recipient.
pub(super) fn weigh(form: &Form, reply: Reply, control: Option<Reply>) -> Outcome {
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
}
