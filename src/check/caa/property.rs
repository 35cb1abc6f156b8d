//! One CAA record, and what it lets an authority do (RFC 8659 section 4, RFC 8657).

use crate::record::txt_joined;

/// A CAA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    /// Whether an authority that does not know the tag must refuse.
    pub(super) critical: bool,
    /// In lower case.
    pub(super) tag: String,
    pub(super) value: String,
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
    pub(super) fn parse(value: &str) -> Option<Self> {
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
    pub(super) fn forbids_all(&self) -> bool {
        self.critical && !KNOWN.contains(&self.tag.as_str())
    }
}

/// What an `issue` or `issuewild` property says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Issue {
    /// The authority's name; `None`: nobody may.
    pub(super) authority: Option<String>,
    /// Only this account there (RFC 8657 section 3).
    pub(super) account: Option<String>,
    /// Only these ways of proof (RFC 8657 section 4).
    pub(super) methods: Option<Vec<String>>,
}

impl Issue {
    /// Reads a value by the grammar of RFC 8659 section 4.2.
    ///
    /// # Errors
    /// Why authorities take it for one that lets nobody issue.
    pub(super) fn parse(value: &str) -> Result<Self, String> {
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
}
