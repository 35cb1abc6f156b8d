//! MTA-STS (RFC 8461): a record, a policy over HTTPS, and MX hosts that are as
//! the policy says. In the mode `enforce` senders keep mail back from any that is not.

mod hosts;
mod policy;
mod record;

use sha2::{Digest, Sha256};

use super::fetch::{Page, Trouble};
use super::{Aspect, Finding, Question, View};
use crate::record::{Name, RType};
use policy::{Mode, Policy};

const RECORD: Aspect = Aspect {
    id: "mta_sts.record",
    wanted: "one TXT record `v=STSv1; id=…`, with an id of 1 to 32 letters and digits",
    why: "Senders fetch the policy when they see the record, and again when its id changes (RFC 8461 section 3.1). \
          Several records or one that is not sound count as none.",
};

const POLICY: Aspect = Aspect {
    id: "mta_sts.policy",
    wanted: "a policy that senders can fetch: status 200, text/plain, up to 64 KB, a certificate for the name",
    why: "A policy that cannot be fetched or read protects nothing, and senders that know an older one go on with \
          that (RFC 8461 sections 3.2, 3.3 and 5.1).",
};

const MODE: Aspect = Aspect {
    id: "mta_sts.mode",
    wanted: "`enforce`, after some weeks of `testing` without bad reports",
    why: "Only `enforce` keeps mail from being read on the way; `testing` only has senders report (RFC 8461 section 5).",
};

const MX: Aspect = Aspect {
    id: "mta_sts.mx",
    wanted: "every MX host stands in the policy",
    why: "In the mode `enforce` senders deliver to no MX host that the policy does not name (RFC 8461 section 4.1): \
          with no other host the mail comes back.",
};

const CERTIFICATE: Aspect = Aspect {
    id: "mta_sts.certificate",
    wanted: "on port 25 of every MX host STARTTLS, and a certificate for its name from an authority that senders trust",
    why: "In the mode `enforce` senders deliver to no MX host whose certificate they cannot verify \
          (RFC 8461 section 4.2).",
};

/// MTA-STS.
pub const QUESTION: Question = Question {
    id: "mta_sts",
    aspects: &[&RECORD, &POLICY, &MODE, &MX, &CERTIFICATE],
    ask: |view| Box::pin(ask(view)),
};

/// Where a domain's policy stands (RFC 8461 section 3.3).
fn url(domain: &Name) -> String {
    format!("https://mta-sts.{domain}/.well-known/mta-sts.txt")
}

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let set = match view.lookup(&domain.child("_mta-sts"), RType::Txt).await {
        Ok(set) => set,
        Err(reason) => return vec![RECORD.of(domain).skip(reason)],
    };
    let id = record::id(&set.values);
    if id == Ok(None) {
        let host = view.outside.addresses(&domain.child("mta-sts")).await;
        if host.is_ok_and(|addresses| addresses.is_empty()) {
            return vec![absent(domain, None)];
        }
    }
    let fetched = view.outside.fetch(&url(domain)).await;
    let (seen, policy) = judge_policy(domain, &fetched);
    if id == Ok(None) {
        return vec![absent(domain, policy.as_ref())];
    }
    let mut findings = vec![judge_record(domain, &id), seen];
    if let Some(policy) = policy {
        findings.push(judge_mode(domain, &policy));
        findings.extend(hosts::ask(view, &policy).await);
    }
    findings
}

/// A domain without record, whose policy nobody looks for.
fn absent(domain: &Name, policy: Option<&Policy>) -> Finding {
    match policy {
        None => RECORD
            .of(domain)
            .wanting("a record, where the domain uses MTA-STS")
            .pass("none: senders use TLS where it is offered"),
        Some(policy) => RECORD.of(domain).warn(
            format!("none, though there is a policy at {}", url(domain)),
            format!(
                "publish `v=STSv1; id=1` at _mta-sts.{domain}, or senders never see the policy ({})",
                policy.mode
            ),
        ),
    }
}

fn judge_record(domain: &Name, id: &Result<Option<String>, String>) -> Finding {
    let about = RECORD.of(domain);
    match id {
        Ok(id) => about.pass(format!("id {}", id.as_deref().unwrap_or_default())),
        Err(found) => about.fail(
            found,
            format!("have one TXT record at _mta-sts.{domain}: `v=STSv1; id=` and letters and digits, new for each policy"),
        ),
    }
}

/// What became of fetching the policy, and the policy.
fn judge_policy(domain: &Name, fetched: &Result<Page, Trouble>) -> (Finding, Option<Policy>) {
    let about = POLICY.of(domain);
    let page = match fetched {
        Ok(page) => page,
        Err(trouble) => return (unfetched(domain, trouble), None),
    };
    let serve = format!("serve the policy itself at {}", url(domain));
    let bad = match (page.status, &page.location) {
        (200, _) if !page.whole => Some(("the file is longer than 64 KB".to_owned(), &serve)),
        (200, _) => None,
        (status @ 300..400, Some(to)) => Some((
            format!("a redirection ({status}) to {to}, which senders must not follow"),
            &serve,
        )),
        (status, _) => Some((format!("the web server answers {status}"), &serve)),
    };
    if let Some((found, fix)) = bad {
        return (about.fail(found, fix), None);
    }
    if page.media_type != "text/plain" {
        let found = match page.media_type.as_str() {
            "" => "the file has no media type".to_owned(),
            other => format!("the file's media type is {other}"),
        };
        return (about.fail(found, "serve it as text/plain"), None);
    }
    let policy = match Policy::parse(&page.body) {
        Ok(policy) => policy,
        Err(found) => {
            let fix = "write it as RFC 8461 section 3.2 has it, then change the record's id";
            return (about.fail(found, fix), None);
        }
    };
    let found = summary(&policy, &page.body);
    let finding = if policy.max_age < DAY && policy.mode != Mode::None {
        about.warn(
            found,
            "let max_age be a week (604800) or more: an attacker only has to wait for it to pass",
        )
    } else {
        about.pass(found)
    };
    (finding, Some(policy))
}

const DAY: u64 = 86_400;

/// The policy in a line. Its digest tells that a file has changed whose id has not.
fn summary(policy: &Policy, body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let digest: String = digest[..4]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let mx = policy.mx.join(", ");
    let age = policy.max_age;
    format!(
        "mode {}, max_age {age}, mx {mx}; sha256 {digest}…",
        policy.mode
    )
}

fn unfetched(domain: &Name, trouble: &Trouble) -> Finding {
    let about = POLICY.of(domain);
    let host = format!("mta-sts.{domain}");
    let fix = match trouble {
        Trouble::Unknown(reason) => return about.skip(reason),
        Trouble::Nowhere(_) => format!("give {host} an address, or remove the record"),
        Trouble::Closed(_) => format!("let a web server listen on port 443 of {host}"),
        Trouble::Certificate(_) => {
            format!("have a publicly trusted certificate for {host} there")
        }
        Trouble::Broken(_) => format!("look at the web server of {host}"),
    };
    about.fail(format!("{host}: {}", trouble.text()), fix)
}

fn judge_mode(domain: &Name, policy: &Policy) -> Finding {
    let about = MODE.of(domain);
    match policy.mode {
        Mode::Enforce => about.pass("enforce"),
        Mode::Testing => about.pass("testing: senders report what fails, and deliver all the same"),
        Mode::None => about
            .wanting(
                "`none` until the last policy's max_age is over; then neither record nor policy",
            )
            .pass("none: the domain takes its policy back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn domain() -> Name {
        Name::parse("example.com").expect("a name")
    }

    fn page(body: &str) -> Page {
        Page {
            status: 200,
            media_type: "text/plain".into(),
            location: None,
            body: body.into(),
            whole: true,
        }
    }

    const SOUND: &str = "version: STSv1\nmode: enforce\nmx: smtp.example.com\nmax_age: 604800\n";

    #[test]
    fn the_record_and_its_absence() {
        let id = judge_record(&domain(), &Ok(Some("a1".into())));
        assert_eq!((id.verdict, id.found.as_str()), (Verdict::Pass, "id a1"));
        let bad = judge_record(&domain(), &Err("2 records".into()));
        assert_eq!(bad.verdict, Verdict::Fail);
        assert_eq!(absent(&domain(), None).verdict, Verdict::Pass);
        let policy = Policy::parse(SOUND.as_bytes()).expect("a policy");
        assert_eq!(absent(&domain(), Some(&policy)).verdict, Verdict::Warn);
    }

    #[test]
    fn a_policy_that_senders_take() {
        let (seen, policy) = judge_policy(&domain(), &Ok(page(SOUND)));
        assert_eq!(seen.verdict, Verdict::Pass);
        let beginning = "mode enforce, max_age 604800, mx smtp.example.com; sha256 ";
        assert!(seen.found.starts_with(beginning), "{}", seen.found);
        assert!(policy.is_some());
        let short = page(&SOUND.replace("604800", "3600"));
        let (seen, policy) = judge_policy(&domain(), &Ok(short));
        assert_eq!((seen.verdict, policy.is_some()), (Verdict::Warn, true));
        let none = page("version: STSv1\nmode: none\nmax_age: 0\n");
        let (seen, policy) = judge_policy(&domain(), &Ok(none));
        assert_eq!(seen.verdict, Verdict::Pass);
        let mode = judge_mode(&domain(), &policy.expect("a policy"));
        assert_eq!(mode.verdict, Verdict::Pass);
    }

    #[test]
    fn a_policy_that_senders_do_not_take() {
        let sound = || page(SOUND);
        let moved = Page {
            status: 301,
            location: Some("https://www.example.com/".into()),
            ..sound()
        };
        let html = Page {
            media_type: "text/html".into(),
            ..sound()
        };
        let untyped = Page {
            media_type: String::new(),
            ..sound()
        };
        let missing = Page {
            status: 404,
            ..sound()
        };
        let long = Page {
            whole: false,
            ..sound()
        };
        for (fetched, part) in [
            (Ok(moved), "a redirection (301) to https://www.example.com/"),
            (Ok(html), "media type is text/html"),
            (Ok(untyped), "no media type"),
            (Ok(missing), "answers 404"),
            (Ok(long), "longer than 64 KB"),
            (Ok(page("mode: enforce\n")), "no `version`"),
            (Err(Trouble::Nowhere("no address".into())), "no address"),
            (
                Err(Trouble::Closed("refused".into())),
                "mta-sts.example.com: refused",
            ),
            (Err(Trouble::Certificate("expired".into())), "expired"),
            (Err(Trouble::Broken("HTTP".into())), "HTTP"),
        ] {
            let (seen, policy) = judge_policy(&domain(), &fetched);
            assert_eq!(seen.verdict, Verdict::Fail, "{}", seen.found);
            assert!(seen.found.contains(part), "{}", seen.found);
            assert!(policy.is_none() && !seen.fix.is_empty());
        }
        let unknown = Err(Trouble::Unknown("no way out".into()));
        assert_eq!(judge_policy(&domain(), &unknown).0.verdict, Verdict::Skip);
    }
}
