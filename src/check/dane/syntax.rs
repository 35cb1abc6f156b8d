//! How the TLSA records are written.

use std::collections::BTreeSet;

use super::tlsa::{Fault, Tlsa};
use super::{SYNTAX, owner};
use crate::check::Finding;
use crate::record::Name;

/// How the records are written, and those that count.
pub(super) fn judge(host: &Name, values: &BTreeSet<String>) -> (Finding, Vec<Tlsa>) {
    let about = SYNTAX.of(host);
    let mut usable = Vec::new();
    let mut odd = Vec::new();
    let mut unsound = Vec::new();
    for value in values {
        match Tlsa::parse(value).map(|record| (record.fault(), record)) {
            Some((None, record)) => usable.push(record),
            Some((Some(Fault::NotForSmtp(why)), _)) => odd.push(why),
            Some((Some(Fault::Unsound(why)), _)) => unsound.push(why),
            None => unsound.push(format!("`{value}` cannot be read")),
        }
    }
    let fix = format!(
        "publish `3 1 1` and the SHA2-256 of the host's key at {}",
        owner(host)
    );
    let finding = if !unsound.is_empty() {
        unsound.append(&mut odd);
        about.fail(unsound.join("; "), fix)
    } else if !odd.is_empty() {
        about.warn(odd.join("; "), fix)
    } else {
        let texts: Vec<String> = usable.iter().map(ToString::to_string).collect();
        about.pass(texts.join(", "))
    };
    (finding, usable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    #[test]
    fn records_that_do_not_count() {
        let host = Name::parse("smtp.example.com").expect("a name");
        let digest = "07".repeat(32);
        let of = |heads: &[&str]| {
            let set: BTreeSet<String> = heads.iter().map(|h| format!("{h} {}", digest)).collect();
            let (finding, usable) = judge(&host, &set);
            (finding.verdict, usable.len())
        };
        assert_eq!(of(&["3 1 1", "2 1 1"]), (Verdict::Pass, 2));
        assert_eq!(of(&["3 1 1", "1 1 1"]), (Verdict::Warn, 1));
        assert_eq!(of(&["3 1 2", "1 1 1"]), (Verdict::Fail, 0));
        let (finding, _) = judge(&host, &["3 1 1 abc".to_owned()].into());
        assert_eq!(finding.verdict, Verdict::Fail, "{}", finding.found);
    }
}
