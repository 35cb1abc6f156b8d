//! Mail addresses (RFC 5321 section 4.1.2), and how the server reads its own.

use std::fmt;
use std::str::FromStr;

use super::word::HostName;
use crate::record::Name;

/// `local@domain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// What stands before the `@`, as it was written.
    pub local: String,
    /// The domain, canonical.
    pub domain: Name,
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(bare) = text.strip_prefix("mailto:") {
            return Err(format!(
                "`{text}` is a URL: only the address is wanted, `{bare}`"
            ));
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err(format!("`{text}` is no mail address: the `@` is missing"));
        };
        let complain = |why: String| format!("`{text}` is no mail address: {why}");
        if domain.starts_with('[') {
            return Err(complain(
                "an address literal instead of a domain is not supported".into(),
            ));
        }
        local_part(local).map_err(complain)?;
        let domain = domain.parse::<HostName>().map_err(complain)?;
        Ok(Self {
            local: local.to_owned(),
            domain: domain.0,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// A local part in one of RFC 5321's two forms.
fn local_part(local: &str) -> Result<(), String> {
    if local.is_empty() {
        return Err("nothing stands before the `@`".into());
    }
    if local.len() > 64 {
        return Err("what stands before the `@` is longer than 64 octets".into());
    }
    if local.len() >= 2 && local.starts_with('"') && local.ends_with('"') {
        // The server's list of aliases has no way to write these.
        return match local
            .chars()
            .find(|c| c.is_control() || *c == ',' || *c == '\\')
        {
            Some(bad) => Err(format!("{bad:?} before the `@` is not supported")),
            None => Ok(()),
        };
    }
    dot_string(local)
}

/// A Dot-string: atoms joined by single dots; letters beyond ASCII as RFC 6531 allows.
pub fn dot_string(local: &str) -> Result<(), String> {
    if local.split('.').any(str::is_empty) {
        return Err("a dot stands at its beginning or end, or beside another dot".into());
    }
    let bad = |c: &char| !(c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(*c));
    match local.chars().find(bad) {
        Some(' ') => Err("it has a blank".into()),
        Some(c) => Err(format!("`{c}` cannot stand before the `@`")),
        None => Ok(()),
    }
}

/// A local part as chasquid keeps it: it maps names to lower case and takes
/// `+` for the beginning of a suffix, so that nothing else can ever match.
pub fn own_local_part(text: &str) -> Result<(), String> {
    if text == "*" {
        return Err("`*` is the catch-all: it belongs under `forward`, it cannot be a user".into());
    }
    if let Some((local, _)) = text.split_once('@') {
        return Err(format!(
            "`{text}` has a domain: only `{local}` is wanted here"
        ));
    }
    if text.is_empty() {
        return Err("the name before the `@` is empty".into());
    }
    if text.contains('+') {
        return Err(format!(
            "`{text}` has a `+`: what follows it is a suffix that mail to any user may carry"
        ));
    }
    if text.contains('*') {
        return Err(format!(
            "`{text}` has a `*`: only the bare catch-all `\"*\"` is known"
        ));
    }
    if text.len() > 64 {
        return Err(format!("`{text}` is longer than 64 octets"));
    }
    let lower = text.to_lowercase();
    if lower != text {
        return Err(format!(
            "`{text}` has capitals: write `{lower}`, mail to either arrives there"
        ));
    }
    let good = |c: char| c.is_alphanumeric() || "._-'=~&".contains(c);
    if let Some(bad) = text.chars().find(|c| !good(*c)) {
        return Err(format!("`{text}`: a user's name cannot have `{bad}`"));
    }
    dot_string(text).map_err(|why| format!("`{text}` is no name before an `@`: {why}"))
}

/// A local part of our own, as chasquid looks it up: lower case, without its
/// `+suffix` and without dots.
pub fn folded(local: &str) -> String {
    let base = local.split_once('+').map_or(local, |(base, _)| base);
    base.replace('.', "").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_in_words() {
        for good in [
            "i.wac.tax@gmail.com",
            "a+b@example.com",
            "\"a b\"@example.com",
            "ü@bücher.example",
        ] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("wac.tax", "the `@` is missing"),
            ("@wac.tax", "nothing stands before"),
            ("a..b@wac.tax", "beside another dot"),
            ("a b@wac.tax", "a blank"),
            ("a@b@wac.tax", "`@` cannot stand before"),
            ("a@localhost", "not fully qualified"),
            ("a@[192.0.2.1]", "address literal"),
            ("<a@wac.tax>", "`<` cannot stand"),
        ] {
            let error = bad.parse::<Address>().expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn our_own_local_parts_fold_like_the_server_does() {
        assert_eq!(folded("B.o.b+x"), "bob");
    }
}
