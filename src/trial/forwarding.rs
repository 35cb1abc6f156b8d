//! Forwarding: a stranger's message to the catch-all, followed to the answer
//! of the server that it is forwarded to.

use super::addresses::Addresses;
use super::fate::{Fate, Sent};
use super::{Outcome, STRANGER, answer};
use crate::check::{Aspect, Finding};
use crate::config::{Config, HostName, Mx};
use crate::record::Name;

/// What is forwarded.
pub const CATCHALL: Aspect = Aspect {
    id: "test.catchall",
    wanted: "a far server that takes what is forwarded",
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

/// A stranger's message to what is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// To which address.
    pub forwarded: Forwarded,
    /// Whether our own server took it.
    pub outcome: Outcome,
    /// How it got there.
    pub inward: Inward,
    /// What became of it.
    pub fate: Fate,
}

impl Forward {
    /// How the log calls it.
    pub fn sent(&self) -> Sent {
        Sent {
            from: STRANGER.into(),
            to: self.forwarded.address.clone(),
        }
    }
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
pub fn judge(forward: &Forward, limit: u64) -> Finding {
    let Forward {
        forwarded,
        outcome,
        inward,
        fate,
    } = forward;
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
    answer::judge(about, &forwarded.far, fate, limit, &aside)
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

    #[test]
    fn the_way_in_counts_too() {
        let mut forward = Forward {
            forwarded: Forwarded {
                shown: "*@wac.tax".into(),
                address: "x@wac.tax".into(),
                far: vec!["a@far.example".into()],
            },
            outcome: Outcome::Refused(Refusal::Said(550, "5.1.1 unknown".into())),
            inward: Inward::Outside,
            fate: Fate::default(),
        };
        let refused = judge(&forward, 60);
        assert!(refused.verdict == Verdict::Fail && refused.found.contains("550 5.1.1 unknown"));
        forward.inward = Inward::Inside("port 25 is closed on the way".into());
        forward.outcome = Outcome::Taken(Secured {
            version: String::new(),
        });
        let lost = judge(&forward, 60);
        assert_eq!(lost.verdict, Verdict::Skip);
        assert!(
            lost.found
                .contains("on the server itself: port 25 is closed"),
            "{lost:?}"
        );
        forward.outcome = Outcome::Untried("no".into());
        assert_eq!(judge(&forward, 60).verdict, Verdict::Skip);
    }
}
