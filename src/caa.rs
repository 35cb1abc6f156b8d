//! One CAA record, and what it lets an authority do (RFC 8659 section 4, RFC 8657).

use std::collections::BTreeSet;

use crate::record::txt_joined;

/// The name that an authority of mail.yaml has in CAA records; `None` where it is not known here.
pub fn name_of(authority: &str) -> Option<&'static str> {
    match authority {
        "letsencrypt" | "letsencrypt-staging" => Some("letsencrypt.org"),
        "zerossl" => Some("sectigo.com"),
        _ => None,
    }
}

/// The way of proof that mailctl uses, as RFC 8657 calls it.
const METHOD: &str = "dns-01";

/// What is certified of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Certified {
    /// The name itself.
    pub plain: bool,
    /// Its wildcard.
    pub wildcard: bool,
}

/// The records to put beside `standing`, so that `authority` may issue; none
/// where there is no record, because then everybody may, and none where one
/// binds the authority to an account, because whose that is, is its owner's word.
pub fn missing(standing: &BTreeSet<String>, authority: &str, of: Certified) -> BTreeSet<String> {
    let properties: Vec<Property> = standing.iter().filter_map(|v| Property::parse(v)).collect();
    if properties.iter().any(Property::forbids_all) {
        // No record of ours would help.
        return BTreeSet::new();
    }
    let tagged = |tag: &'static str| -> Vec<Issue> {
        let values = properties.iter().filter(|property| property.tag == tag);
        // What cannot be read lets nobody issue.
        values
            .map(|p| Issue::parse(&p.value).unwrap_or_default())
            .collect()
    };
    let (issue, wild) = (tagged("issue"), tagged("issuewild"));
    // Without `issuewild`, `issue` counts for wildcards too (RFC 8659 section 4.3).
    let pairs = [
        (
            "issue",
            &issue,
            of.plain || (of.wildcard && wild.is_empty()),
        ),
        ("issuewild", &wild, of.wildcard),
    ];
    let lacking = pairs
        .into_iter()
        .filter(|(_, issues, matters)| *matters && !issues.is_empty())
        .filter(|(_, issues, _)| !issues.iter().any(|issue| issue.lets(authority)));
    lacking
        .map(|(tag, issues, _)| {
            let named = issues.iter().any(|issue| issue.is_of(authority));
            // Whoever named the authority chose its ways of proof: one is added, not all.
            let ways = if named {
                format!("; validationmethods={METHOD}")
            } else {
                String::new()
            };
            format!("0 {tag} \"{authority}{ways}\"")
        })
        .collect()
}

/// A CAA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Whether an authority that does not know the tag must refuse.
    pub critical: bool,
    /// In lower case.
    pub tag: String,
    /// Without its quotes.
    pub value: String,
}

/// Tags that authorities know (the registry of RFC 8659 section 7, RFC 9495 and the BIMI group's).
const KNOWN: &[&str] = &[
    "issue",
    "issuewild",
    "issuemail",
    "issuevmc",
    "iodef",
    "contactemail",
    "contactphone",
];

impl Property {
    /// Reads a canonical value: `flags tag "value"`.
    pub fn parse(value: &str) -> Option<Self> {
        let (flags, rest) = value.split_once(' ')?;
        let (tag, text) = rest.split_once(' ')?;
        let flags: u8 = flags.parse().ok()?;
        Some(Self {
            critical: flags & 0x80 != 0,
            tag: tag.to_ascii_lowercase(),
            value: txt_joined(text),
        })
    }

    /// Whether every authority must refuse because of it.
    pub fn forbids_all(&self) -> bool {
        self.critical && !KNOWN.contains(&self.tag.as_str())
    }
}

/// What an `issue` or `issuewild` property says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issue {
    /// The authority's name; `None`: nobody may.
    pub authority: Option<String>,
    /// Only this account there (RFC 8657 section 3).
    pub account: Option<String>,
    /// Only these ways of proof (RFC 8657 section 4).
    pub methods: Option<Vec<String>>,
}

impl Issue {
    fn is_of(&self, authority: &str) -> bool {
        self.authority.as_deref() == Some(authority)
    }

    /// Whether the authority may issue for what is proven as mailctl does.
    fn lets(&self, authority: &str) -> bool {
        let methods = self.methods.as_ref();
        self.is_of(authority) && methods.is_none_or(|all| all.iter().any(|m| m == METHOD))
    }

    /// Reads a value by the grammar of RFC 8659 section 4.2.
    ///
    /// # Errors
    /// Why authorities take it for one that lets nobody issue.
    pub fn parse(value: &str) -> Result<Self, String> {
        let mut parts = value.split(';').map(|part| part.trim_matches([' ', '\t']));
        let name = parts.next().unwrap_or_default();
        let mut issue = Self::default();
        if !name.is_empty() {
            if !name.split('.').all(label) {
                return Err(format!("`{name}` is no domain name"));
            }
            issue.authority = Some(name.to_ascii_lowercase());
        }
        for parameter in parts.filter(|part| !part.is_empty()) {
            let pair = parameter.split_once('=');
            let (tag, value) =
                pair.ok_or_else(|| format!("`{parameter}` is no `parameter=value`"))?;
            let (tag, value) = (tag.trim_end(), value.trim_start());
            let plain = |c: char| c.is_ascii_graphic();
            if !label(tag) || !value.chars().all(plain) {
                return Err(format!("`{parameter}` is no `parameter=value`"));
            }
            match tag.to_ascii_lowercase().as_str() {
                "accounturi" => issue.account = Some(value.to_owned()),
                "validationmethods" => {
                    issue.methods = Some(value.split(',').map(str::to_owned).collect());
                }
                _ => {}
            }
        }
        Ok(issue)
    }
}

fn label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read() {
        let issue = Property::parse("0 issue \"letsencrypt.org\"").expect("a record");
        assert_eq!(
            (issue.tag.as_str(), issue.value.as_str()),
            ("issue", "letsencrypt.org")
        );
        assert!(!issue.forbids_all());
        let of = |text: &str| Property::parse(text).expect("a record").forbids_all();
        assert!(of("128 tbs \"x\"") && !of("0 tbs \"x\"") && !of("128 issue \"x\""));
        assert_eq!(Property::parse("issue \"x\""), None);
    }

    #[test]
    fn whom_a_value_lets_issue() {
        let letsencrypt = || Issue {
            authority: Some("letsencrypt.org".into()),
            ..Issue::default()
        };
        let of = |value: &str| Issue::parse(value);
        assert_eq!(of(" LetsEncrypt.org ; "), Ok(letsencrypt()));
        assert_eq!(of(";"), Ok(Issue::default()));
        assert_eq!(of(""), Ok(Issue::default()));
        let bound = Issue {
            account: Some("https://acme.example/acct/1".into()),
            methods: Some(vec!["dns-01".into(), "http-01".into()]),
            ..letsencrypt()
        };
        let value = "letsencrypt.org; accounturi=https://acme.example/acct/1; validationmethods=dns-01,http-01; x=";
        assert_eq!(of(value), Ok(bound));
    }

    #[test]
    fn what_lets_nobody_issue_is_said() {
        for (value, part) in [
            ("letsencrypt.org policy=ev", "is no domain name"),
            ("https://letsencrypt.org", "is no domain name"),
            ("letsencrypt..org", "is no domain name"),
            ("letsencrypt.org; dns-01", "`dns-01` is no"),
            ("letsencrypt.org; a b=c", "`a b=c` is no"),
            ("letsencrypt.org; a=b c", "`a=b c` is no"),
        ] {
            let said = Issue::parse(value).expect_err(part);
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn what_stands_stays_and_only_what_is_missing_is_added() {
        let both = Certified {
            plain: true,
            wildcard: true,
        };
        let plain = Certified {
            wildcard: false,
            ..both
        };
        for (standing, of, wanted) in [
            (&[][..], both, &[][..]),
            (&["0 issue \"letsencrypt.org\""], both, &[]),
            (&["0 issue \"pki.goog\""], both, &["0 issue \"ca.example\""]),
            (&["0 issue \";\""], plain, &["0 issue \"ca.example\""]),
            (
                &["0 iodef \"mailto:a@b.example\"", "0 tbs \"x\""],
                both,
                &[],
            ),
            (&["0 issuewild \";\""], plain, &[]),
            (
                &["0 issuewild \";\""],
                both,
                &["0 issuewild \"ca.example\""],
            ),
            (
                &["0 issue \"pki.goog\"", "0 issuewild \"pki.goog\""],
                both,
                &["0 issue \"ca.example\"", "0 issuewild \"ca.example\""],
            ),
            (
                &["0 issue \"ca.example; validationmethods=http-01\""],
                plain,
                &["0 issue \"ca.example; validationmethods=dns-01\""],
            ),
            (
                &["0 issue \"ca.example; accounturi=https://ca.example/1\""],
                plain,
                &[],
            ),
            (&["128 tbs \"x\"", "0 issue \"pki.goog\""], both, &[]),
        ] {
            let authority = if standing.iter().any(|v| v.contains("letsencrypt")) {
                "letsencrypt.org"
            } else {
                "ca.example"
            };
            let values = standing.iter().map(|v| (*v).to_owned()).collect();
            let found: Vec<String> = missing(&values, authority, of).into_iter().collect();
            assert_eq!(found, wanted, "{standing:?}");
        }
    }
}
