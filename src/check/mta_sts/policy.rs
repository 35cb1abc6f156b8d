//! The policy file of MTA-STS (RFC 8461 section 3.2).

use std::fmt;

use crate::record::Name;

/// What senders do where TLS to an MX host fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They keep the mail.
    Enforce,
    /// They deliver and report.
    Testing,
    /// As if there were no policy.
    None,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        })
    }
}

/// A sound policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) mode: Mode,
    /// Seconds that senders keep it for.
    pub(super) max_age: u64,
    /// Host names, the first label may be `*`.
    pub(super) mx: Vec<String>,
}

/// The longest that a policy may be kept: a leap year.
const LONGEST: u64 = 31_557_600;

impl Policy {
    /// Reads the file.
    ///
    /// # Errors
    /// Why senders take it for none.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|_| "the policy is not UTF-8".to_owned())?;
        if text.starts_with('\u{feff}') {
            return Err("the policy begins with a byte order mark".into());
        }
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for line in text.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
            let field = line.split_once(':');
            let (key, value) = field.ok_or_else(|| format!("`{line}` is no `key: value`"))?;
            fields.push((key, value.trim()));
        }
        // Of one that is repeated the first counts, but for `mx`.
        let first = |key: &str| {
            let found = fields.iter().find(|(k, _)| *k == key);
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("the policy has no `{key}`"))
        };
        let version = first("version")?;
        if version != "STSv1" {
            return Err(format!("the version `{version}` is not `STSv1`"));
        }
        let mode = match first("mode")? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            other => {
                return Err(format!(
                    "the mode `{other}` is none of enforce, testing, none"
                ));
            }
        };
        let max_age = first("max_age")?;
        let seconds = Some(max_age)
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        let seconds = seconds.filter(|seconds| *seconds <= LONGEST);
        let max_age = seconds.ok_or_else(|| {
            format!("the max_age `{max_age}` is no number of seconds up to {LONGEST}")
        })?;
        let mx = fields.iter().filter(|(key, _)| *key == "mx");
        let mx: Vec<String> = mx
            .map(|(_, value)| pattern(value))
            .collect::<Result<_, _>>()?;
        if mx.is_empty() && mode != Mode::None {
            return Err("the policy has no `mx`".into());
        }
        Ok(Self { mode, max_age, mx })
    }

    /// Whether mail may go to this host (RFC 8461 section 4.1): a wildcard stands for one label.
    pub(super) fn allows(&self, host: &Name) -> bool {
        let host = host.as_str();
        self.mx.iter().any(|pattern| {
            pattern == host
                || pattern.strip_prefix("*.").is_some_and(|rest| {
                    host.split_once('.').is_some_and(|(_, above)| above == rest)
                })
        })
    }
}

/// An `mx` value in lower case and A-labels.
fn pattern(text: &str) -> Result<String, String> {
    let name = Name::parse(text).ok().filter(|name| {
        let rest = name.as_str().trim_start_matches("*.");
        rest.contains('.') && !rest.contains('*') && !text.ends_with('.')
    });
    name.map(|name| name.to_string())
        .ok_or_else(|| format!("`mx: {text}` is no host name, nor `*.` and one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, String> {
        Policy::parse(text.as_bytes())
    }

    #[test]
    fn a_policy_is_read() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: SMTP.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";
        let policy = Policy {
            mode: Mode::Enforce,
            max_age: 604_800,
            mx: vec!["smtp.example.com".into(), "*.example.net".into()],
        };
        assert_eq!(parse(text), Ok(policy));
        let twice =
            "version: STSv1\nmode: testing\nmode: enforce\nmx: a.example\nmax_age:86400\nextra: x";
        assert_eq!(parse(twice).map(|policy| policy.mode), Ok(Mode::Testing));
        let none = parse("version: STSv1\nmode: none\nmax_age: 0");
        assert_eq!(none.map(|policy| policy.mx.len()), Ok(0));
    }

    #[test]
    fn what_senders_do_not_take_is_said() {
        let rest = "mode: enforce\nmx: a.example\nmax_age: 86400\n";
        for (text, part) in [
            ("", "no `version`"),
            ("<html>", "`<html>` is no `key: value`"),
            ("\u{feff}version: STSv1\n", "byte order mark"),
            (&format!("version: STSv2\n{rest}"), "`STSv2` is not"),
            ("version: STSv1\nmode: on\n", "the mode `on` is none of"),
            (
                "version: STSv1\nmode: testing\nmx: a.example\n",
                "no `max_age`",
            ),
            (
                "version: STSv1\nmode: testing\nmax_age: -1\n",
                "`-1` is no number",
            ),
            (
                "version: STSv1\nmode: testing\nmax_age: 31557601\n",
                "up to 31557600",
            ),
            ("version: STSv1\nmode: testing\nmax_age: 86400\n", "no `mx`"),
            (
                &format!("version: STSv1\nmx: .example.com\n{rest}"),
                "`mx: .example.com` is no",
            ),
            (
                &format!("version: STSv1\nmx: a.*.com\n{rest}"),
                "`mx: a.*.com` is no",
            ),
            (
                &format!("version: STSv1\nmx: a.example.\n{rest}"),
                "`mx: a.example.` is no",
            ),
        ] {
            let said = parse(text).expect_err(part);
            assert!(said.contains(part), "{said}");
        }
        let latin = Policy::parse(b"version: STSv1\xe9").expect_err("no UTF-8");
        assert!(latin.contains("UTF-8"), "{latin}");
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let policy = Policy {
            mode: Mode::Enforce,
            max_age: 86_400,
            mx: vec!["smtp.example.com".into(), "*.example.net".into()],
        };
        let allows = |host: &str| policy.allows(&Name::parse(host).expect("a name"));
        assert!(allows("smtp.example.com") && allows("mx1.example.net"));
        assert!(!allows("example.net") && !allows("a.mx1.example.net"));
        assert!(!allows("mx.example.com") && !allows("badexample.net"));
    }
}
