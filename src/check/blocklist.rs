//! Whether blocklists list the hosts' addresses and the domain (RFC 5782).
//! A list that refuses the resolver, or fails its own test, says nothing.

pub mod asking;
pub mod lists;

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures_util::future::join_all;

use super::view::View;
use super::{Aspect, Finding, Question};
use crate::record::Name;
use asking::{Answer, Subject, ask as ask_list, reason};
use lists::{List, lists};

/// The question.
pub const QUESTION: Question = Question {
    id: "blocklist",
    aspects: &[&ADDRESS, &DOMAIN],
    ask: |view| Box::pin(ask(view)),
};

const ADDRESS: Aspect = Aspect {
    id: "blocklist.address",
    wanted: "an address that no blocklist lists",
    why: "Receivers refuse mail from listed addresses: Outlook with 550 5.7.1 and S3140, many others with 554 5.7.1 and the list's name.",
};

const DOMAIN: Aspect = Aspect {
    id: "blocklist.domain",
    wanted: "a domain that no blocklist lists",
    why: "Receivers look for listed domains in sender, links and host names, and refuse the mail (550 5.7.1) or take it for spam.",
};

/// What one list says.
struct Said {
    list: List,
    answer: Answer,
    reason: Option<String>,
}

async fn ask(view: &View) -> Vec<Finding> {
    let hosts = match view.hosts().await {
        Ok(hosts) => hosts,
        Err(why) => {
            let mut findings = vec![ADDRESS.of(view.domain()).skip(why)];
            findings.extend(of_domain(view, view.domain().clone()).await);
            return findings;
        }
    };
    let addresses: BTreeSet<IpAddr> = hosts
        .iter()
        .flat_map(|host| host.addresses.iter().copied())
        .collect();
    let of_address = |address: IpAddr| {
        let hosts = &hosts;
        async move {
            let at = hosts
                .iter()
                .find(|host| host.addresses.contains(&address))?;
            let (sends, said) = tokio::join!(
                view.sends(at, address),
                all(view, Subject::Address(address))
            );
            judge(ADDRESS.of(address), sends, &said)
        }
    };
    // Most lists list a domain with all names in it.
    let domain = view.domain();
    let mut names = vec![domain.clone()];
    for host in &hosts {
        if !host.name.is_in(domain) && !names.contains(&host.name) {
            names.push(host.name.clone());
        }
    }
    let addresses = join_all(addresses.into_iter().map(of_address));
    let names = join_all(names.into_iter().map(|name| of_domain(view, name)));
    let (addresses, names) = tokio::join!(addresses, names);
    addresses.into_iter().chain(names).flatten().collect()
}

async fn of_domain(view: &View, name: Name) -> Option<Finding> {
    let said = all(view, Subject::Domain(name.clone())).await;
    judge(DOMAIN.of(name), true, &said)
}

/// What all lists say, in their order.
async fn all(view: &View, subject: Subject) -> Vec<Said> {
    let outside = &view.outside;
    let one = |list: List| {
        let subject = &subject;
        async move {
            let answer = ask_list(outside, &list, subject).await;
            let reason = match answer {
                Answer::Listed(_) => reason(outside, &list, subject).await,
                _ => None,
            };
            Said {
                list,
                answer,
                reason,
            }
        }
    };
    join_all(lists(&outside.settings).into_iter().map(one)).await
}

/// `None` where no list is asked about such a thing.
fn judge(about: super::finding::About<'_>, sends: bool, said: &[Said]) -> Option<Finding> {
    let mut asked = 0;
    let mut listed = Vec::new();
    let mut unknown: Vec<(&str, Vec<&str>)> = Vec::new();
    let (mut major, mut sites) = (false, Vec::new());
    for Said {
        list,
        answer,
        reason,
    } in said
    {
        match answer {
            Answer::Apart => continue,
            Answer::Absent => {}
            Answer::Unknown(why) => match unknown.iter_mut().find(|(known, _)| known == why) {
                Some((_, zones)) => zones.push(&list.zone),
                None => unknown.push((why, vec![&list.zone])),
            },
            Answer::Listed(what) => {
                major |= list.major;
                let reason = reason.iter().map(|words| format!(": {words}"));
                let reason: String = reason.collect();
                listed.push(format!("{} ({what}){reason}", list.zone));
                if !list.site.is_empty() && !sites.contains(&list.site) {
                    sites.push(list.site);
                }
            }
        }
        asked += 1;
    }
    if asked == 0 {
        return None;
    }
    let unanswered: usize = unknown.iter().map(|(_, zones)| zones.len()).sum();
    let reasons: Vec<String> = unknown
        .iter()
        .map(|(why, zones)| format!("{}: {why}", zones.join(", ")))
        .collect();
    let reasons = reasons.join("; ");
    let unsaid = if reasons.is_empty() {
        String::new()
    } else {
        format!("; unknown: {reasons}")
    };
    if !listed.is_empty() {
        let found = format!("listed by {}{unsaid}", listed.join("; "));
        let mut fix =
            "find out what was sent from there, and end it; then ask for removal".to_owned();
        if !sites.is_empty() {
            fix.push_str(&format!(": {}", sites.join(", ")));
        }
        return Some(if major && sends {
            about.fail(found, fix)
        } else {
            about.warn(found, fix)
        });
    }
    if unanswered == asked {
        return Some(about.skip(format!("no blocklist could be asked: {reasons}")));
    }
    let answered = asked - unanswered;
    Some(about.pass(format!("on none of {answered} lists{unsaid}")))
}

#[cfg(test)]
mod tests {
    use super::lists::BUILT_IN;
    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};

    /// The verdict where the lists at these places of the table say so.
    fn verdict(sends: bool, answers: &[(usize, Answer)]) -> Option<(Verdict, String)> {
        let said: Vec<Said> = answers
            .iter()
            .map(|(place, answer)| Said {
                list: BUILT_IN[*place].clone(),
                answer: answer.clone(),
                reason: None,
            })
            .collect();
        let finding = judge(ADDRESS.of("203.0.113.7"), sends, &said)?;
        Some((finding.verdict, finding.found))
    }

    fn listed() -> Answer {
        Answer::Listed("127.0.0.2".into())
    }

    fn refused() -> Answer {
        Answer::Unknown("it does not answer public resolvers (127.255.255.254)".into())
    }

    #[test]
    fn a_major_list_is_a_failure_where_mail_comes_from() {
        let (found, text) = verdict(true, &[(0, listed()), (3, Answer::Absent)]).expect("one");
        assert_eq!(found, Fail);
        assert!(text.contains("zen.spamhaus.org (127.0.0.2)"), "{text}");
        let found = |sends, answers: &[_]| verdict(sends, answers).map(|(verdict, _)| verdict);
        assert_eq!(
            found(true, &[(0, Answer::Absent), (3, listed())]),
            Some(Warn)
        );
        assert_eq!(found(false, &[(0, listed())]), Some(Warn));
        assert_eq!(found(true, &[(0, Answer::Absent)]), Some(Pass));
        assert_eq!(found(true, &[(6, Answer::Apart)]), None);
    }

    #[test]
    fn what_is_unknown_is_named_and_never_listed() {
        let (found, text) = verdict(true, &[(0, refused()), (3, Answer::Absent)]).expect("one");
        assert_eq!(found, Pass);
        assert!(
            text.contains("none of 1 lists") && text.contains("unknown: zen.spamhaus.org"),
            "{text}"
        );
        let (found, text) = verdict(true, &[(0, refused()), (1, refused())]).expect("one");
        assert_eq!(found, Skip);
        assert!(text.contains("public resolvers"), "{text}");
        let (found, text) = verdict(true, &[(0, refused()), (3, listed())]).expect("one");
        assert_eq!(found, Warn);
        assert!(text.contains("unknown: zen.spamhaus.org"), "{text}");
    }
}
