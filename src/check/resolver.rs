//! The resolver that everything is asked through: what it answers wrongly,
//! every other question would find wrong about the domain.

use futures_util::future::join_all;
use hickory_proto::op::{Metadata, ResponseCode};
use hickory_proto::rr::RecordType;

use super::blocklist::asking::{Answer, Subject, fitness};
use super::blocklist::lists::{Listed, lists};
use super::outside::Looked;
use super::view::View;
use super::{Aspect, Finding, Question};
use crate::dns::mnemonic;
use crate::record::{Name, RType};

/// The question.
pub const QUESTION: Question = Question {
    id: "resolver",
    aspects: &[&ANSWERS, &NXDOMAIN, &DNSSEC, &BLOCKLISTS],
    ask: |view| Box::pin(ask(view)),
};

const ANSWERS: Aspect = Aspect {
    id: "resolver.answers",
    wanted: "a resolver that answers",
    why: "Everything here is asked through it.",
};

const NXDOMAIN: Aspect = Aspect {
    id: "resolver.nxdomain",
    wanted: "NXDOMAIN for a name that does not exist",
    why: "A resolver that answers with an address instead makes every blocklist list everything, and absent records look present.",
};

const DNSSEC: Aspect = Aspect {
    id: "resolver.dnssec",
    wanted: "a resolver that validates signatures (RFC 4035)",
    why: "Senders follow TLSA records only where they are validated: without that DNSSEC and DANE cannot be judged from here.",
};

const BLOCKLISTS: Aspect = Aspect {
    id: "resolver.blocklists",
    wanted: "a resolver that blocklists answer",
    why: "Many lists refuse public and busy resolvers with 127.255.255.x: what they say through those is unknown, not good.",
};

/// A name that nobody has (RFC 6761 section 6.4).
const ABSENT: &str = "mailctl-absent.invalid";

async fn ask(view: &View) -> Vec<Finding> {
    let dns = &view.outside.dns;
    let subject = subject(dns.resolvers().iter().map(ToString::to_string));
    let (absent, top) = (Name::root().child(ABSENT), Name::root());
    let domain = view.domain();
    let (answers, invented, root, lists) = tokio::join!(
        dns.raw(domain, RecordType::SOA, |_| {}),
        view.lookup(&absent, RType::A),
        dns.raw(&top, RecordType::SOA, |question| {
            // Asks for the AD bit (RFC 6840 section 5.7).
            question.metadata.authentic_data = true;
        }),
        fit_lists(view),
    );
    let answers = answers.map(|message| message.metadata.response_code);
    let answering = answers.is_ok();
    let mut findings = vec![answers_at_all(
        &subject,
        domain,
        answers.map_err(|e| e.chain()),
    )];
    if answering {
        let validated = root
            .map_err(|e| e.chain())
            .and_then(|root| authentic(&root.metadata));
        findings.push(invents(&subject, invented));
        findings.push(validates(&subject, validated));
        findings.push(asks_lists(&subject, &lists));
    }
    findings
}

/// What the test points of each list of addresses say, by its zone.
async fn fit_lists(view: &View) -> Vec<(String, Answer)> {
    let outside = &view.outside;
    let test = Subject::Address([127, 0, 0, 2].into());
    let wanted = lists(&outside.settings).into_iter();
    let wanted = wanted.filter(|list| list.listed != Listed::Domains);
    let asked = wanted.map(|list| {
        let test = &test;
        async move {
            let answer = fitness(outside, &list, test).await;
            (list.zone.into_owned(), answer)
        }
    });
    join_all(asked).await
}

fn subject(resolvers: impl Iterator<Item = String>) -> String {
    let each: Vec<String> = resolvers
        .map(|addr| addr.strip_suffix(":53").map_or(addr.clone(), str::to_owned))
        .map(|addr| addr.trim_matches(['[', ']']).to_owned())
        .collect();
    each.join(", ")
}

fn answers_at_all(subject: &str, domain: &Name, answer: Result<ResponseCode, String>) -> Finding {
    let about = ANSWERS.of(subject);
    match answer {
        Ok(ResponseCode::Refused) => about.warn(
            format!("it refuses to look for {domain}"),
            "name a resolver that answers this machine, with --resolver or `resolver` in mail.yaml",
        ),
        // SERVFAIL may be the zone's fault: `zone` finds out.
        Ok(_) => about.pass("it answers"),
        Err(why) => about.warn(
            why,
            "name a resolver that answers, with --resolver or `resolver` in mail.yaml: nothing could be asked",
        ),
    }
}

fn invents(subject: &str, answer: Looked) -> Finding {
    let about = NXDOMAIN.of(subject);
    match answer {
        Ok(reply) if reply.exists() => about.warn(
            format!(
                "{ABSENT} has the address {}",
                reply.values.iter().next().map_or("", String::as_str)
            ),
            "use another resolver, with --resolver or `resolver` in mail.yaml: this one invents addresses",
        ),
        Ok(reply) if reply.nxdomain => about.pass(format!("NXDOMAIN for {ABSENT}")),
        Ok(_) => about.pass(format!("no address for {ABSENT}")),
        Err(why) => about.skip(why),
    }
}

/// Whether an answer was validated; some set the bit in a refusal, too.
fn authentic(answer: &Metadata) -> Result<bool, String> {
    match answer.response_code {
        ResponseCode::NoError => Ok(answer.authentic_data),
        code => Err(format!("the resolver answers {}", mnemonic(code))),
    }
}

fn validates(subject: &str, root_is_authentic: Result<bool, String>) -> Finding {
    let about = DNSSEC.of(subject);
    match root_is_authentic {
        Ok(true) => about.pass("it validates"),
        Ok(false) => about.skip("it does not validate: a resolver that does, such as unbound on this machine, is given by --resolver"),
        Err(why) => about.skip(why),
    }
}

fn asks_lists(subject: &str, lists: &[(String, Answer)]) -> Finding {
    let about = BLOCKLISTS.of(subject);
    let (fit, unfit): (Vec<_>, Vec<_>) = lists
        .iter()
        .filter(|(_, answer)| *answer != Answer::Apart)
        .partition(|(_, answer)| *answer == Answer::Absent);
    let refused: Vec<String> = unfit
        .iter()
        .filter_map(|(zone, answer)| match answer {
            Answer::Unknown(why) => Some(format!("{zone}: {why}")),
            _ => None,
        })
        .collect();
    if fit.is_empty() && unfit.is_empty() {
        return about.skip("no list of addresses is asked");
    }
    if unfit.is_empty() {
        return about.pass(format!("all {} lists answer", fit.len()));
    }
    // A list that says why it does not answer would answer another resolver.
    let explained = refused.iter().any(|why| why.contains("(127."));
    if explained {
        return about.warn(
            refused.join("; "),
            "run a recursive resolver of your own, such as unbound, and name it with --resolver or `resolver` in mail.yaml",
        );
    }
    if fit.is_empty() {
        return about.skip("no blocklist could be asked through it");
    }
    about.pass(format!(
        "{} of {} lists answer; unknown: {}",
        fit.len(),
        fit.len() + unfit.len(),
        refused.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hickory_proto::op::{MessageType, OpCode};

    use super::*;
    use crate::check::Verdict::{Pass, Skip, Warn};
    use crate::dns::Reply;

    fn reply(values: &[&str], nxdomain: bool) -> Looked {
        Ok(Arc::new(Reply {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ttl: None,
            nxdomain,
            alias: None,
            authentic: false,
        }))
    }

    #[test]
    fn an_answer_is_one_whatever_it_says() {
        let domain = Name::root().child("wac.tax");
        let verdict = |answer| answers_at_all("192.0.2.53", &domain, answer).verdict;
        assert_eq!(verdict(Ok(ResponseCode::NoError)), Pass);
        assert_eq!(verdict(Ok(ResponseCode::ServFail)), Pass);
        assert_eq!(verdict(Ok(ResponseCode::Refused)), Warn);
        assert_eq!(verdict(Err("silence".into())), Warn);
    }

    #[test]
    fn an_invented_address_is_seen() {
        assert_eq!(invents("r", reply(&[], true)).verdict, Pass);
        assert_eq!(invents("r", reply(&[], false)).verdict, Pass);
        assert_eq!(invents("r", reply(&["192.0.2.80"], false)).verdict, Warn);
        assert_eq!(invents("r", Err("SERVFAIL".into())).verdict, Skip);
    }

    #[test]
    fn validation_is_told_by_the_root() {
        assert_eq!(validates("r", Ok(true)).verdict, Pass);
        assert_eq!(validates("r", Ok(false)).verdict, Skip);
        assert_eq!(validates("r", Err("SERVFAIL".into())).verdict, Skip);
        let mut refusal = Metadata::new(1, MessageType::Response, OpCode::Query);
        refusal.authentic_data = true;
        assert_eq!(authentic(&refusal), Ok(true));
        refusal.response_code = ResponseCode::Refused;
        assert_eq!(
            authentic(&refusal),
            Err("the resolver answers REFUSED".into())
        );
    }

    #[test]
    fn a_refusal_is_the_resolvers_and_silence_nobodys() {
        let verdict = |answers: &[Answer]| {
            let lists: Vec<(String, Answer)> = answers
                .iter()
                .map(|answer| ("bl.example".to_owned(), answer.clone()))
                .collect();
            asks_lists("r", &lists).verdict
        };
        let refused =
            Answer::Unknown("it does not answer public resolvers (127.255.255.254)".into());
        let silent = Answer::Unknown("it does not list its own test entry".into());
        assert_eq!(verdict(&[Answer::Absent, Answer::Apart]), Pass);
        assert_eq!(verdict(&[Answer::Absent, refused]), Warn);
        assert_eq!(verdict(&[Answer::Absent, silent.clone()]), Pass);
        assert_eq!(verdict(&[silent]), Skip);
        assert_eq!(verdict(&[]), Skip);
    }

    #[test]
    fn a_resolver_is_named_by_its_address() {
        let of = |all: &[&str]| subject(all.iter().map(|addr| (*addr).to_owned()));
        assert_eq!(
            of(&["192.0.2.53:53", "[2001:db8::53]:53"]),
            "192.0.2.53, 2001:db8::53"
        );
        assert_eq!(of(&["127.0.0.1:5300"]), "127.0.0.1:5300");
    }
}
