//! The TXT record that says that there is a policy (RFC 8461 section 3.1).

use std::collections::BTreeSet;

use crate::dkim::tags;

/// What every such record begins with.
const VERSION: &str = "v=STSv1;";

/// The policy's id among the TXT values of `_mta-sts.<domain>`; `None` where there is no record.
///
/// # Errors
/// What is wrong, so that senders take the domain for one without policy.
pub(super) fn id(values: &BTreeSet<String>) -> Result<Option<String>, String> {
    let (records, others): (Vec<&String>, Vec<&String>) =
        values.iter().partition(|value| value.starts_with(VERSION));
    let record = match records.as_slice() {
        [only] => *only,
        [] => {
            let meant = |value: &&&String| {
                let value = value.to_ascii_lowercase();
                value.starts_with("v=sts") || value.contains("stsv1")
            };
            return match others.iter().find(meant) {
                Some(near) => Err(format!("`{near}` does not begin with `{VERSION}`")),
                None => Ok(None),
            };
        }
        several => return Err(format!("{} records, which count as none", several.len())),
    };
    let tags = tags(record).map_err(|why| format!("`{record}`: {why}"))?;
    let id = tags
        .get("id")
        .ok_or_else(|| format!("`{record}` has no id"))?;
    if id.is_empty() || id.len() > 32 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(format!("the id `{id}` is not 1 to 32 letters and digits"));
    }
    Ok(Some(id.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, String> {
        id(&values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn one_record_with_an_id_counts() {
        let good = Ok(Some("20261122T000000".to_owned()));
        assert_eq!(read(&["v=STSv1; id=20261122T000000"]), good);
        assert_eq!(read(&["v=STSv1;id=20261122T000000; ", "hello"]), good);
        assert_eq!(read(&["v=STSv1; x=y; id=20261122T000000;"]), good);
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["google-site-verification=x"]), Ok(None));
    }

    #[test]
    fn what_senders_do_not_take_is_said() {
        let long = format!("v=STSv1; id={}", "1".repeat(33));
        for (values, part) in [
            (
                &["v=STSv1; id=1", "v=STSv1; id=2"][..],
                "2 records, which count as none",
            ),
            (&["v=STSv1;"], "has no id"),
            (&["v=STSv1; id="], "the id `` is not"),
            (&["v=STSv1; id=2026-11-22"], "the id `2026-11-22` is not"),
            (&[&long], "is not 1 to 32"),
            (&["v=stsv1; id=1"], "does not begin with `v=STSv1;`"),
            (&["id=1; v=STSv1"], "does not begin with `v=STSv1;`"),
            (&["v=STSv1; id=1; nonsense"], "`nonsense` is no"),
        ] {
            let said = read(values).expect_err(part);
            assert!(said.contains(part), "{said}");
        }
    }
}
