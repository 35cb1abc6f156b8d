//! Where authorities report what they refused.

use super::{IODEF, Relevant};
use crate::check::Finding;
use crate::record::Name;

pub(super) fn judge(relevant: &Relevant) -> Option<Finding> {
    let about = IODEF.of(&relevant.at);
    let values = relevant.properties.iter().filter(|p| p.tag == "iodef");
    let values: Vec<&str> = values.map(|p| p.value.as_str()).collect();
    let bad: Vec<&str> = values
        .iter()
        .copied()
        .filter(|v| !is_report_uri(v))
        .collect();
    if !bad.is_empty() {
        let fix = "write it as `mailto:` and an address, or as an https: URL";
        return Some(about.warn(format!("`{}`", bad.join("`, `")), fix));
    }
    (!values.is_empty()).then(|| about.pass(values.join(", ")))
}

fn is_report_uri(text: &str) -> bool {
    match text.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto") => {
            rest.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty() && Name::parse(domain).is_ok_and(|d| d != Name::root())
            })
        }
        Some(_) => reqwest::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::check::caa::testing::at;

    #[test]
    fn reports_go_to_uris() {
        let of = |values: &[&str]| judge(&at(values)).map(|finding| finding.verdict);
        assert_eq!(of(&["0 issue \"pki.goog\""]), None);
        assert_eq!(
            of(&[
                "0 iodef \"mailto:a@example.com\"",
                "0 iodef \"https://a.example/x\""
            ]),
            Some(Verdict::Pass)
        );
        for bad in ["a@example.com", "mailto:example.com", "ftp://a.example/"] {
            assert_eq!(
                of(&[&format!("0 iodef \"{bad}\"")]),
                Some(Verdict::Warn),
                "{bad}"
            );
        }
    }
}
