//! Whether a wildcard answers where receivers look for keys and policies.

use crate::check::outside::Looked;
use crate::check::view::View;
use crate::check::{Aspect, Finding};
use crate::record::{Name, RType};

/// Wildcards among the policy names.
pub const WILDCARD: Aspect = Aspect {
    id: "zone.wildcard",
    wanted: "no wildcard that answers for DKIM keys and policies",
    why: "A wildcard answers for every selector and every policy name that is not there: receivers then find a record that is none, and take that for an error instead of for absence.",
};

/// A selector that nobody has.
const ABSENT: &str = "mailctl-absent._domainkey";

/// What stands at a selector that is not there.
pub async fn look(view: &View) -> Looked {
    let name = view.domain().child(ABSENT);
    view.lookup(&name, RType::Txt).await
}

/// `None` where it could not be asked: then the other questions say why.
pub fn judge(domain: &Name, found: &Looked) -> Option<Finding> {
    let reply = found.as_ref().ok()?;
    let about = WILDCARD.of(domain);
    let Some(first) = reply.values.first() else {
        return Some(about.pass("none"));
    };
    let short: String = first.chars().take(60).collect();
    // `* TXT "v=spf1 -all"` is a known measure, and DKIM verifiers ignore what has no key.
    if reply.values.iter().all(|value| value.starts_with("v=spf1")) {
        return Some(about.pass(format!("only with `{short}`")));
    }
    let by = match &reply.alias {
        Some(target) => format!(", by a CNAME to {target}"),
        None => String::new(),
    };
    Some(about.warn(
        format!("TXT `{short}` at {ABSENT}.{domain}, which nobody made{by}"),
        "remove the wildcard, or give `_domainkey`, `_dmarc` and `_mta-sts` records of their own, below which it does not hold",
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::check::Verdict::{Pass, Warn};
    use crate::dns::Reply;

    #[test]
    fn a_record_that_nobody_made_is_seen() {
        let judge = |values: &[&str]| {
            let looked: Looked = Ok(Arc::new(Reply {
                values: values.iter().map(|v| (*v).to_owned()).collect(),
                ttl: None,
                nxdomain: values.is_empty(),
                alias: None,
                authentic: false,
            }));
            super::judge(&Name::root().child("example.test"), &looked).map(|f| f.verdict)
        };
        assert_eq!(judge(&[]), Some(Pass));
        assert_eq!(judge(&["v=spf1 -all"]), Some(Pass));
        assert_eq!(judge(&["v=spf1 -all", "hello"]), Some(Warn));
        assert_eq!(judge(&["google-site-verification=x"]), Some(Warn));
    }
}
