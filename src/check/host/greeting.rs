//! The name that a server calls itself, as far as its greeting tells.

use super::{Seen, leads_to};
use crate::check::{Aspect, Finding};
use crate::record::Name;

/// What the server calls itself.
pub const EHLO: Aspect = Aspect {
    id: "host.ehlo",
    wanted: "a greeting with the host's name, which is the reverse name and leads to the address",
    why: "Receivers compare the name that a server calls itself with its reverse name (RFC 5321 section 4.1.4). Gmail and Outlook distrust a name that does not lead to the address, filters score it as forged.",
};

/// Judges the greeting at an address of `host`.
pub fn judge(host: &Name, seen: &Seen) -> Finding {
    let about = EHLO.of(seen.address);
    let greeted = match &seen.greeted {
        Ok(Some(name)) if name.as_str().contains('.') => name,
        Ok(other) => {
            let word = other.as_ref().map_or("no name", Name::as_str);
            let found = format!("the greeting begins with {word}, which is no host name");
            let fix = format!("let the server greet as {host}, and say EHLO so");
            return match (seen.managed, seen.sends) {
                (true, _) => about.fail(found, fix),
                (_, true) => about.warn(found, fix),
                _ => about.pass(format!("{found}; it only receives")),
            };
        }
        Err(why) => return about.skip(format!("no greeting was seen: {why}")),
    };
    let here = match leads_to(seen, greeted) {
        Ok(here) => here,
        Err(why) => return about.skip(why),
    };
    // Where there is no reverse name, or none could be learnt, `host.ptr` has said so.
    let reversed = match &seen.names {
        Ok(names) if !names.is_empty() => names.contains(greeted),
        _ => true,
    };
    if here && (reversed || !seen.sends) && (greeted == host || !seen.managed) {
        return about.pass(greeted.to_string());
    }
    let mut found = format!("it greets as {greeted}");
    if !here {
        found.push_str(&format!(", which does not lead to {}", seen.address));
    } else if !reversed {
        found.push_str(", which is not the reverse name");
    } else {
        found.push_str(&format!(", not as {host}"));
    }
    if !seen.sends {
        // What large providers call the machine behind the name is their own affair.
        return about.pass(format!("{found}; it only receives"));
    }
    if !seen.managed && akin(greeted, host) {
        // They greet with one name for all their machines, and may send with others.
        return about.pass(format!("{found}; a name of the same provider"));
    }
    let fix = format!(
        "let greeting, EHLO name, PTR record and A or AAAA record all say {host}, as `hostname` in the server's configuration does"
    );
    if seen.managed && !here {
        about.fail(found, fix)
    } else {
        about.warn(found, fix)
    }
}

/// Whether two names have their last two labels in common.
fn akin(one: &Name, other: &Name) -> bool {
    let tail = |name: &Name| -> Vec<String> {
        let labels = name.as_str().rsplit('.').take(2);
        labels.map(str::to_owned).collect()
    };
    tail(one) == tail(other)
}

#[cfg(test)]
mod tests {
    use super::super::scene::{healthy, ip, name, verdict};
    use crate::check::Verdict::{Fail, Pass, Skip, Warn};

    #[test]
    fn the_greeting_has_the_hosts_name() {
        let mut seen = healthy();
        let other = name("localhost.localdomain");
        seen.greeted = Ok(Some(other.clone()));
        seen.leads.insert(other, Ok(vec![ip("127.0.0.1")]));
        assert_eq!(verdict(&seen, "ehlo"), Some(Fail));
        seen.managed = false;
        assert_eq!(verdict(&seen, "ehlo"), Some(Warn));
        seen.sends = false;
        assert_eq!(verdict(&seen, "ehlo"), Some(Pass));

        // A large provider's greeting leads nowhere, and is its own.
        let mut seen = healthy();
        let front = name("mx.wac.tax");
        seen.greeted = Ok(Some(front.clone()));
        seen.leads.insert(front, Ok(Vec::new()));
        assert_eq!(verdict(&seen, "ehlo"), Some(Fail));
        seen.managed = false;
        assert_eq!(verdict(&seen, "ehlo"), Some(Pass));

        let mut seen = healthy();
        seen.greeted = Ok(Some(name("esmtp")));
        assert_eq!(verdict(&seen, "ehlo"), Some(Fail));
        seen.greeted = Ok(None);
        assert_eq!(verdict(&seen, "ehlo"), Some(Fail));
        seen.greeted = Err("port 25 is closed on the way".into());
        assert_eq!(verdict(&seen, "ehlo"), Some(Skip));
    }
}
