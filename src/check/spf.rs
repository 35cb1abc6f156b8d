//! SPF (RFC 7208): whether receivers can evaluate the domain's record, what
//! that costs them, and what they conclude for each address that mail comes from.

mod limits;
mod record;
mod sender;
mod tree;

use super::view::Exchanges;
use super::{Aspect, Finding, Question, View};
use crate::record::RType;
use crate::spf::only_spf;

/// The record itself.
pub const RECORD: Aspect = Aspect {
    id: "spf.record",
    wanted: "exactly one TXT record that begins with v=spf1",
    why: "Without SPF or DKIM receivers take the mail for forged, and senders of many messages need both. \
          Gmail answers 550-5.7.26 or 550-5.7.27, Outlook 550 5.7.515. With two records the answer is permerror for every \
          sender (RFC 7208 section 4.5).",
};

/// The words of the record.
pub const SYNTAX: Aspect = Aspect {
    id: "spf.syntax",
    wanted: "terms that every receiver understands, and an `all` that says something of everybody else",
    why: "One term that is not understood makes the whole record a permerror, as if there were none (RFC 7208 section 4.6). \
          A record that permits or excuses everybody is no evidence to a receiver.",
};

/// How many look-ups evaluating it takes.
pub const LOOKUPS: Aspect = Aspect {
    id: "spf.lookups",
    wanted: "at most 10 terms that ask the DNS, with those of included records, and each finds a record",
    why: "With the eleventh receivers stop and answer permerror, also for senders that come later in the record \
          (RFC 7208 section 4.6.4). Gmail then answers 550-5.7.27.",
};

/// How many of them find nothing.
pub const VOID: Aspect = Aspect {
    id: "spf.void",
    wanted: "at most 2 terms that ask for what is not in the DNS",
    why: "At the third void look-up receivers may stop and answer permerror (RFC 7208 section 4.6.4).",
};

/// What SPF says of an address that mail of the domain comes from.
pub const ADDRESS: Aspect = Aspect {
    id: "spf.address",
    wanted: "pass",
    why: "Receivers look whether the record permits the address that a message comes from. Gmail answers 550-5.7.27, or \
          550-5.7.26 where DKIM fails too, Outlook 550 5.7.515.",
};

/// What SPF says of the host's name.
pub const HOST: Aspect = Aspect {
    id: "spf.host",
    wanted: "an SPF record at the host's name that permits its own addresses, such as v=spf1 a -all",
    why: "Delivery reports have an empty MAIL FROM, and receivers then look at the name given in EHLO instead \
          (RFC 7208 section 2.4). Without a record there is nothing that authenticates them; Gmail answers 550-5.7.26.",
};

/// See the module.
pub const QUESTION: Question = Question {
    id: "spf",
    aspects: &[&RECORD, &SYNTAX, &LOOKUPS, &VOID, &ADDRESS, &HOST],
    ask: |view| Box::pin(ask(view)),
};

async fn ask(view: &View) -> Vec<Finding> {
    let (mut findings, hosts) = tokio::join!(of_domain(view), sender::hosts(view));
    findings.extend(hosts);
    findings
}

async fn of_domain(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let values = match view.lookup(domain, RType::Txt).await {
        Ok(reply) => reply.values.clone(),
        Err(why) => return vec![RECORD.of(domain).skip(why)],
    };
    let mailless = match view.exchanges().await {
        Ok(exchanges) => view.expected().is_none() && goes_nowhere(&exchanges),
        Err(_) => false,
    };
    let mut findings = vec![record::exists(domain, &values, mailless)];
    if let Ok(Some(text)) = only_spf(values.iter().map(String::as_str)) {
        let (walk, addresses, families) = tokio::join!(
            tree::Walk::whole(view, domain),
            sender::addresses(view, text),
            sender::families(view)
        );
        findings.push(record::syntax(domain, text, &walk));
        findings.push(limits::lookups(domain, &walk));
        findings.push(limits::void(domain, &walk, families));
        findings.extend(addresses);
    }
    findings
}

fn goes_nowhere(exchanges: &Exchanges) -> bool {
    matches!(exchanges, Exchanges::None | Exchanges::Null)
}

/// Whether a domain says that it neither sends nor receives: then nothing else
/// that authenticates its mail is to be expected.
pub(super) async fn is_silent(view: &View) -> bool {
    if view.expected().is_some() {
        return false;
    }
    let (values, exchanges) =
        tokio::join!(view.lookup(view.domain(), RType::Txt), view.exchanges());
    let forbids = values.is_ok_and(|reply| {
        let record = only_spf(reply.values.iter().map(String::as_str));
        record.is_ok_and(|text| text.is_some_and(record::forbids_all))
    });
    forbids && exchanges.is_ok_and(|exchanges| goes_nowhere(&exchanges))
}
