//! CAA (RFC 8659): whether the certificate authority may issue again what is served.

mod authority;
mod iodef;
mod issue;

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;

use super::{Aspect, Finding, Question, View};
use crate::caa::Property;
use crate::record::{Name, RType, wire};
use authority::Authority;

const ISSUE: Aspect = Aspect {
    id: "caa.issue",
    wanted: "no CAA records, or records that let the authority in use issue",
    why: "The authority looks at the records before each certificate, and must refuse what they do not allow \
          (RFC 8659 section 3): the next renewal fails, and the certificate expires.",
};

const IODEF: Aspect = Aspect {
    id: "caa.iodef",
    wanted: "mailto: or https: URIs",
    why: "An authority that refuses a request tells it to these (RFC 8659 section 4.4).",
};

/// CAA.
pub const QUESTION: Question = Question {
    id: "caa",
    aspects: &[&ISSUE, &IODEF],
    ask: |view| Box::pin(ask(view)),
};

/// The records that count for a name: the set that stands closest above it (RFC 8659 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Relevant {
    at: Name,
    properties: Vec<Property>,
    /// Values that cannot be read.
    unsound: Vec<String>,
}

async fn ask(view: &View) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for (name, authority) in subjects(view).await {
        let relevant = match relevant(view, &name).await {
            Ok(relevant) => relevant,
            Err(trouble) => {
                findings.push(judge_trouble(&name, &trouble));
                continue;
            }
        };
        findings.push(issue::judge(&name, relevant.as_ref(), &authority));
        if let Some(relevant) = relevant
            && told.insert(relevant.at.clone())
        {
            findings.extend(iodef::judge(&relevant));
        }
    }
    findings
}

/// The names that are in certificates, with who issues those: of a domain of
/// mail.yaml those of its certificate, of another one its MX hosts.
async fn subjects(view: &View) -> Vec<(Name, Authority)> {
    let hosts = view.hosts().await.unwrap_or_default();
    if let Some(expected) = view.expected() {
        let served = hosts
            .iter()
            .find(|h| Some(&h.name) == expected.host.as_ref());
        let authority = match &expected.authority {
            Some(name) => Authority::Named(name.clone()),
            None => match served {
                Some(host) => issuer(view, host).await,
                None => Authority::Unknown,
            },
        };
        let names = expected.certified.iter();
        let ours = |name: &&Name| name.is_in(view.domain()) || expected.host.as_ref() == Some(name);
        return names
            .filter(ours)
            .map(|name| (name.clone(), authority.clone()))
            .collect();
    }
    let mut subjects = Vec::new();
    for host in hosts {
        let authority = issuer(view, &host).await;
        subjects.push((host.name, authority));
    }
    subjects
}

/// Whoever issued the certificate that a host serves on port 25.
async fn issuer(view: &View, host: &super::view::Host) -> Authority {
    for address in &host.addresses {
        let port = view.outside.port(&host.name, *address, 25).await;
        if let Some(Ok(tls)) = &port.tls
            && let Some(own) = tls.chain.first()
        {
            return Authority::of(own);
        }
    }
    Authority::Unknown
}

/// Why the records are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    at: Name,
    reason: String,
    /// Whether authorities come to the same: the resolver answers, with SERVFAIL.
    lasting: bool,
}

/// The set that counts for a name; `None` where there is none up to the root.
async fn relevant(view: &View, name: &Name) -> Result<Option<Relevant>, Trouble> {
    let plain = name.as_str().strip_prefix("*.").unwrap_or(name.as_str());
    let mut at = Name::parse(plain).ok();
    while let Some(name) = at.filter(|name| *name != Name::root()) {
        let set = match view.lookup(&name, RType::Caa).await {
            Ok(set) => set,
            Err(reason) => {
                let lasting = servfail(view, &name).await;
                return Err(Trouble {
                    at: name,
                    reason,
                    lasting,
                });
            }
        };
        if set.exists() {
            return Ok(Some(read(name, &set.values)));
        }
        at = name.parent();
    }
    Ok(None)
}

fn read(at: Name, values: &BTreeSet<String>) -> Relevant {
    let mut relevant = Relevant {
        at,
        properties: Vec::new(),
        unsound: Vec::new(),
    };
    for value in values {
        match Property::parse(value) {
            Some(property) => relevant.properties.push(property),
            None => relevant.unsound.push(value.clone()),
        }
    }
    relevant
}

/// Whether the question for CAA records ends in SERVFAIL, and another one about the name does not.
async fn servfail(view: &View, name: &Name) -> bool {
    if view.lookup(name, RType::A).await.is_err() {
        return false;
    }
    let caa = wire::record_type(RType::Caa);
    let answer = view.outside.dns.raw(name, caa, |_| {}).await;
    answer.is_ok_and(|answer| answer.metadata.response_code == ResponseCode::ServFail)
}

fn judge_trouble(name: &Name, trouble: &Trouble) -> Finding {
    let about = ISSUE.of(name);
    if !trouble.lasting {
        return about.skip(&trouble.reason);
    }
    about.fail(
        format!(
            "the question for CAA records of {} ends in SERVFAIL, while its addresses are known",
            trouble.at
        ),
        format!(
            "have the name servers of {} answer it: authorities do not issue without an answer",
            trouble.at
        ),
    )
}

#[cfg(test)]
mod testing {
    use super::*;

    pub(super) fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    /// The set at example.com.
    pub(super) fn at(values: &[&str]) -> Relevant {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        read(name("example.com"), &values)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::name;
    use super::*;
    use crate::check::Verdict;

    #[test]
    fn no_answer_is_refused_only_where_it_lasts() {
        let trouble = |lasting| Trouble {
            at: name("example.com"),
            reason: "SERVFAIL".into(),
            lasting,
        };
        let of = |lasting| judge_trouble(&name("smtp.example.com"), &trouble(lasting)).verdict;
        assert_eq!((of(true), of(false)), (Verdict::Fail, Verdict::Skip));
    }
}
