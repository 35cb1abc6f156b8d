//! DANE for SMTP (RFC 7672): TLSA records at the MX hosts, and whether what is
//! served on port 25 is as they say. They count only where the DNS is signed.

mod served;
mod signed;
mod syntax;
mod tlsa;

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::view::{Exchanges, Host};
use super::{Aspect, Finding, Question, View};
use crate::record::{Name, RType};
use signed::Signed;

const SIGNED: Aspect = Aspect {
    id: "dane.signed",
    wanted: "TLSA records in a signed zone, whose signatures validate",
    why: "Senders go by TLSA records only where DNSSEC vouches for them and for the MX host's addresses (RFC 7672 \
          section 2.2); where the question for them is answered with an error, they keep the mail (section 2.1.1).",
};

const SYNTAX: Aspect = Aspect {
    id: "dane.syntax",
    wanted: "records of usage 3 or 2, such as `3 1 1` and the SHA2-256 of the key",
    why: "Senders leave out what is not sound, and the usages 0 and 1 too (RFC 7672 section 3.1.3).",
};

const MATCH: Aspect = Aspect {
    id: "dane.match",
    wanted: "on port 25 of every address a certificate that one of the TLSA records is about",
    why: "Senders that check DANE deliver nothing to a host whose certificate no TLSA record is about: the mail \
          waits, and comes back after some days (RFC 7672 section 2.2).",
};

const ALL: Aspect = Aspect {
    id: "dane.all",
    wanted: "TLSA records at every MX host, and a signed zone that names the hosts",
    why: "An attacker only has to keep senders away from the hosts that have TLSA records (RFC 7672 section 2.2.1).",
};

/// DANE.
pub const QUESTION: Question = Question {
    id: "dane",
    aspects: &[&SIGNED, &SYNTAX, &MATCH, &ALL],
    ask: |view| Box::pin(ask(view)),
};

/// Where a host's TLSA records for SMTP stand (RFC 7672 section 2.2.3).
fn owner(host: &Name) -> Name {
    host.child("_25._tcp")
}

/// Whether senders find TLSA records of the domain's MX hosts, and go by them.
pub(super) async fn in_use(view: &View) -> bool {
    if !vouched(view).await {
        return false;
    }
    for host in receiving(view).await.unwrap_or_default() {
        let set = view.lookup(&owner(&host.name), RType::Tlsa).await;
        if set.is_ok_and(|set| set.exists() && set.authentic) {
            return true;
        }
    }
    false
}

/// Whether DNSSEC vouches for the names of the MX hosts.
async fn vouched(view: &View) -> bool {
    let mx = view.lookup(view.domain(), RType::Mx).await;
    mx.is_ok_and(|mx| mx.authentic)
}

async fn receiving(view: &View) -> Result<Vec<Host>, String> {
    if matches!(view.exchanges().await?, Exchanges::Null | Exchanges::None) {
        return Ok(Vec::new());
    }
    let hosts = view.hosts().await?.into_iter();
    Ok(hosts.filter(|host| host.receives).collect())
}

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let hosts = match receiving(view).await {
        Ok(hosts) => hosts,
        Err(reason) => return vec![SIGNED.of(domain).skip(reason)],
    };
    let mut findings = Vec::new();
    let mut having = Vec::new();
    let mut lacking = Vec::new();
    for host in &hosts {
        let set = match view.lookup(&owner(&host.name), RType::Tlsa).await {
            Ok(set) => set,
            Err(reason) => {
                let lost = signed::error_counts(view, host).await;
                findings.push(judge_error(&host.name, &reason, lost));
                continue;
            }
        };
        if !set.exists() {
            lacking.push(&host.name);
            continue;
        }
        let signed = match set.authentic {
            true => Signed::Yes,
            false => signed::zone(view, &host.name).await,
        };
        findings.push(judge_signed(&host.name, &set.values, signed));
        if signed == Signed::Yes {
            having.push(&host.name);
            let (syntax, usable) = syntax::judge(&host.name, &set.values);
            findings.push(syntax);
            if !usable.is_empty() {
                let names = [&host.name, domain];
                let seen = join_all(host.addresses.iter().map(|address| async {
                    let port = view.outside.port(&host.name, *address, 25).await;
                    let met = served::met(&usable, &port, &names, view.outside.settings.now);
                    (address.to_string(), met)
                }));
                let seen = seen.await;
                findings.push(served::judge(&host.name, &seen));
            }
        }
    }
    if !having.is_empty() {
        let ours = |host: &Name| {
            let own = view.expected().and_then(|e| e.host.as_ref()) == Some(host);
            own || host.is_in(domain)
        };
        let ours = having.iter().any(|host| ours(host));
        let vouched = vouched(view).await;
        findings.push(judge_all(domain, &having, &lacking, vouched, ours));
    }
    findings
}

fn judge_error(host: &Name, reason: &str, lost: bool) -> Finding {
    if !lost {
        return SIGNED.of(host).skip(reason);
    }
    SIGNED.of(host).fail(
        format!(
            "the addresses are signed, and the question for TLSA records ends in SERVFAIL: {reason}"
        ),
        format!(
            "have the name servers of {host} prove that there is no {}, or sign the zone anew",
            owner(host)
        ),
    )
}

fn judge_signed(host: &Name, values: &BTreeSet<String>, signed: Signed) -> Finding {
    let about = SIGNED.of(host);
    let count = match values.len() {
        1 => "1 TLSA record".to_owned(),
        many => format!("{many} TLSA records"),
    };
    match signed {
        Signed::Yes => about.pass(format!("{count}, validated")),
        Signed::No => about.warn(
            format!("{count}, ignored: the zone is not signed"),
            format!("sign the zone of {host} and have its DS records set, or remove {}", owner(host)),
        ),
        Signed::Unknown => about.skip(format!(
            "{count} in a zone with DS records, and the resolver does not validate: ask one that does, with `--resolver`"
        )),
    }
}

fn judge_all(
    domain: &Name,
    having: &[&Name],
    lacking: &[&Name],
    vouched: bool,
    ours: bool,
) -> Finding {
    let about = ALL.of(domain);
    let listed = |hosts: &[&Name]| {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        hosts.join(", ")
    };
    if !lacking.is_empty() {
        let missing = listed(lacking);
        return about.warn(
            format!("{missing} without TLSA records, beside {}", listed(having)),
            format!("publish TLSA records for {missing} too"),
        );
    }
    if vouched {
        return about.pass(listed(having));
    }
    let found = format!(
        "{}; but DNSSEC does not vouch for the MX records of {domain}",
        listed(having)
    );
    match ours {
        true => about.warn(found, format!("sign the zone of {domain}")),
        // It is the host's provider who does more than was asked for.
        false => about.pass(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn host() -> Name {
        name("smtp.example.com")
    }

    #[test]
    fn unsigned_records_are_ignored() {
        let set = ["3 1 1 07".to_owned()].into();
        for (signed, verdict) in [
            (Signed::Yes, Verdict::Pass),
            (Signed::No, Verdict::Warn),
            (Signed::Unknown, Verdict::Skip),
        ] {
            assert_eq!(judge_signed(&host(), &set, signed).verdict, verdict);
        }
    }

    #[test]
    fn an_error_keeps_mail_back_only_in_a_signed_zone() {
        assert_eq!(
            judge_error(&host(), "SERVFAIL", true).verdict,
            Verdict::Fail
        );
        assert_eq!(
            judge_error(&host(), "silence", false).verdict,
            Verdict::Skip
        );
    }

    #[test]
    fn all_hosts_or_none() {
        let (one, two, domain) = (host(), name("mx2.example.com"), name("example.com"));
        let judge = |lacking: &[&Name], vouched, ours| {
            judge_all(&domain, &[&one], lacking, vouched, ours).verdict
        };
        assert_eq!(judge(&[], true, true), Verdict::Pass);
        assert_eq!(judge(&[&two], true, true), Verdict::Warn);
        assert_eq!(judge(&[], false, true), Verdict::Warn);
        assert_eq!(judge(&[], false, false), Verdict::Pass);
    }
}
