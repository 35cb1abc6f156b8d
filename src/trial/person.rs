//! A message to a person, and what to look for where it arrives.

use super::fate::{Fate, Sent};
use super::{Outcome, answer};
use crate::check::{Aspect, Finding};

/// A message to a person.
pub const TO: Aspect = Aspect {
    id: "test.to",
    wanted: "a message that the person's server takes; there, SPF, DKIM and DMARC pass, and it is not among the spam",
    why: "Only the receiver knows what it makes of a message. The large ones write it into the message.",
};

/// A message that was sent to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToPerson {
    /// The account that it is from.
    pub from: String,
    /// The person.
    pub to: String,
    /// Whether our own server took it.
    pub outcome: Outcome,
    /// What became of it.
    pub fate: Fate,
}

impl ToPerson {
    /// How the log calls it.
    pub fn sent(&self) -> Sent {
        Sent {
            from: self.from.clone(),
            to: self.to.clone(),
        }
    }
}

/// What became of it.
pub fn judge(sent: &ToPerson, limit: u64) -> Finding {
    let subject = format!("{} to {}", sent.from, sent.to);
    let domain = domain(&sent.from);
    let wanted = format!(
        "a message that the person's server takes; there, SPF passes for {domain}, DKIM passes with d={domain}, DMARC passes, and it is not among the spam"
    );
    let about = || TO.of(&subject).wanting(&wanted);
    match &sent.outcome {
        Outcome::Taken(_) => {}
        Outcome::Refused(refusal) => {
            return about().fail(
                format!("our own server did not take it: {refusal}"),
                "`mailctl logs` shows the server's side of it",
            );
        }
        Outcome::Untried(why) => return about().skip(why),
    }
    let to = std::slice::from_ref(&sent.to);
    answer::judge(about, to, &sent.fate, limit, "")
}

/// What to look for, as text for a person.
pub fn guide(sent: &ToPerson) -> String {
    let domain = domain(&sent.from);
    let host = sent
        .to
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let steps = match host.as_str() {
        "gmail.com" | "googlemail.com" => format!(
            "Open it, then ⋮ and \"Show original\". The table at the top must say\n\
             \x20 SPF:   PASS with the address of your server\n\
             \x20 DKIM:  'PASS' with domain {domain}\n\
             \x20 DMARC: 'PASS'\n\
             The small arrow under the sender's name must show \"mailed-by: {domain}\" and \"signed-by: {domain}\"."
        ),
        "outlook.com" | "hotmail.com" | "live.com" | "msn.com" => format!(
            "Open it, then … and View, \"View message source\". The field Authentication-Results must say\n\
             \x20 spf=pass … smtp.mailfrom={domain}\n\
             \x20 dkim=pass … header.d={domain}\n\
             \x20 dmarc=pass … header.from={domain}\n\
             and X-MS-Exchange-Organization-SCL must not be 5 or more, which is spam."
        ),
        _ => format!(
            "Open the message's source. The field Authentication-Results of that server must say\n\
             \x20 spf=pass … smtp.mailfrom={domain}\n\
             \x20 dkim=pass … header.d={domain}\n\
             \x20 dmarc=pass … header.from={domain}\n\
             (At Gmail: ⋮ and \"Show original\".)"
        ),
    };
    format!(
        "At {}, look for the message \"{}\" from {}.\n\
         It must be in the inbox. In the spam folder? Say \"not spam\", and see `mailctl check`.\n{steps}\n",
        sent.to, SUBJECT, sent.from
    )
}

/// The subject of messages to people.
pub const SUBJECT: &str = "A test of my mail server";

fn domain(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::maillog::story::State;
    use crate::submission::Secured;

    fn sent(to: &str, state: State) -> ToPerson {
        ToPerson {
            from: "i@wac.tax".into(),
            to: to.into(),
            outcome: Outcome::Taken(Secured {
                version: "TLSv1_3".into(),
            }),
            fate: Fate {
                id: Some("t9Y-1nez-Vw".into()),
                states: [(to.to_owned(), state)].into(),
                settled: true,
            },
        }
    }

    #[test]
    fn the_far_answer_is_the_verdict() {
        let good = judge(&sent("you@gmail.com", State::Sent), 60);
        assert_eq!(
            (good.verdict, good.found.as_str()),
            (Verdict::Pass, "taken for you@gmail.com")
        );
        assert_eq!(good.subject, "i@wac.tax to you@gmail.com");
        assert!(good.wanted.contains("d=wac.tax"));
        let said = "gmail-smtp-in.l.google.com: 550 5.7.25 no PTR";
        let bad = judge(&sent("you@gmail.com", State::Failed(said.into())), 60);
        assert!(bad.verdict == Verdict::Fail && bad.fix.contains("reverse name"));
    }

    #[test]
    fn the_guide_is_for_the_receiver() {
        let gmail = guide(&sent("you@gmail.com", State::Sent));
        assert!(gmail.contains("Show original") && gmail.contains("'PASS' with domain wac.tax"));
        assert!(guide(&sent("you@Outlook.com", State::Sent)).contains("header.from=wac.tax"));
        assert!(guide(&sent("you@far.example", State::Sent)).contains("Authentication-Results"));
    }
}
