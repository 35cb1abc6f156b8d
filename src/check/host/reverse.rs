//! The reverse names of an address: whether there is one, whether it leads
//! back, and whether it looks like somebody's choice.

use super::generic::{Trait, generic};
use super::{MOST, Seen, joined, leads_to, names_joined};
use crate::check::{Aspect, Finding};
use crate::record::Name;

/// The reverse names of an address.
pub const PTR: Aspect = Aspect {
    id: "host.ptr",
    wanted: "exactly one reverse name for a sending address",
    why: "Gmail refuses mail from an address without reverse name (421-4.7.23, 550-5.7.25; over IPv6 always), and so do many others.",
};

/// Where these lead to.
pub const CONFIRMED: Aspect = Aspect {
    id: "host.confirmed",
    wanted: "a reverse name that leads back to the address",
    why: "A reverse name counts only where its A or AAAA record is the address again: else Gmail answers 550-5.7.25, and others take the name for forged.",
};

/// What a reverse name looks like.
pub const GENERIC: Aspect = Aspect {
    id: "host.generic",
    wanted: "a reverse name that somebody chose",
    why: "Names as providers make them for all customers look like home computers: blocklists of policy and many receivers refuse them (550 5.7.1).",
};

/// Judges the reverse names of an address of `host`.
pub fn judge(host: &Name, seen: &Seen) -> Vec<Finding> {
    let mut findings = vec![ptr(host, seen)];
    if seen.names.as_ref().is_ok_and(|names| !names.is_empty()) {
        findings.push(confirmed(host, seen));
        findings.push(looks(seen));
    }
    findings
}

fn ptr(host: &Name, seen: &Seen) -> Finding {
    let about = PTR.of(seen.address);
    let names = match &seen.names {
        Ok(names) => names,
        Err(why) => return about.skip(why),
    };
    match &names[..] {
        [] if seen.sends => about.fail(
            format!("no reverse name for {}, an address of {host}", seen.address),
            format!(
                "set the PTR record of {} to {host} at the provider of the server{}",
                seen.address,
                if seen.address.is_ipv6() {
                    "; where it cannot, say `ipv6: none` in mail.yaml"
                } else {
                    ""
                }
            ),
        ),
        [] => about.pass("none, and none is needed: it only receives"),
        [only] => about.pass(only.to_string()),
        several => about.warn(
            format!("{} reverse names: {}", several.len(), names_joined(several)),
            format!("leave only {host}: receivers take one of them, and not always the same"),
        ),
    }
}

fn confirmed(host: &Name, seen: &Seen) -> Finding {
    let about = CONFIRMED.of(seen.address);
    let names = seen.names.as_deref().unwrap_or_default();
    let back = |name: &&Name| leads_to(seen, name) == Ok(true);
    if let Some(name) = names.iter().find(back) {
        return about.pass(format!("{name} is {} again", seen.address));
    }
    if let Some(why) = names.iter().find_map(|name| leads_to(seen, name).err()) {
        return about.skip(why);
    }
    let found: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| match seen.leads.get(name) {
            Some(Ok(at)) if !at.is_empty() => format!("{name} leads to {}", joined(at)),
            _ => format!("{name} has no address"),
        })
        .collect();
    let found = found.join(", ");
    if seen.sends {
        let fix = format!(
            "set the PTR record of {} to {host}, or publish {} for the name that it has",
            seen.address, seen.address
        );
        about.fail(found, fix)
    } else {
        about.warn(found, "let the reverse name lead back to the address")
    }
}

fn looks(seen: &Seen) -> Finding {
    let about = GENERIC.of(seen.address);
    let names = seen.names.as_deref().unwrap_or_default();
    let given_away = names
        .iter()
        .find_map(|name| Some((name, generic(name, seen.address)?)));
    let Some((name, way)) = given_away else {
        return about.pass(names_joined(names));
    };
    let found = match &way {
        Trait::Dynamic(word) => format!("{name} says `{word}`: a line whose address changes"),
        Trait::Address => format!("{name} holds the address"),
        Trait::Numbered(word) => format!("{name} says `{word}` and a number: one of many"),
    };
    if !seen.sends {
        return about.pass(format!("{found}; it only receives"));
    }
    let fix = "set the PTR record to the host's own name at the provider of the server";
    match way {
        Trait::Dynamic(_) => about.fail(found, fix),
        Trait::Address | Trait::Numbered(_) => about.warn(found, fix),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::{healthy, ip, name, verdict};
    use crate::check::Verdict::{Fail, Pass, Skip, Warn};

    #[test]
    fn a_reverse_name_is_wanted_where_mail_comes_from() {
        let mut seen = healthy();
        seen.names = Ok(Vec::new());
        assert_eq!(verdict(&seen, "ptr"), Some(Fail));
        assert_eq!(verdict(&seen, "confirmed"), None);
        seen.sends = false;
        assert_eq!(verdict(&seen, "ptr"), Some(Pass));
        seen.names = Ok(vec![name("smtp.wac.tax"), name("b.test")]);
        assert_eq!(verdict(&seen, "ptr"), Some(Warn));
        assert_eq!(verdict(&seen, "confirmed"), Some(Pass));
        seen.names = Err("SERVFAIL".into());
        assert_eq!(verdict(&seen, "ptr"), Some(Skip));
    }

    #[test]
    fn a_reverse_name_leads_back() {
        let mut seen = healthy();
        let other = name("other.test");
        seen.names = Ok(vec![other.clone()]);
        seen.leads.insert(other.clone(), Ok(vec![ip("192.0.2.9")]));
        assert_eq!(verdict(&seen, "confirmed"), Some(Fail));
        // The greeted name is right, but not the reverse name.
        assert_eq!(verdict(&seen, "ehlo"), Some(Warn));
        seen.leads.insert(other.clone(), Err("silence".into()));
        assert_eq!(verdict(&seen, "confirmed"), Some(Skip));
        seen.leads.insert(other, Ok(Vec::new()));
        seen.sends = false;
        assert_eq!(verdict(&seen, "confirmed"), Some(Warn));
        assert_eq!(verdict(&seen, "ehlo"), Some(Pass));
    }

    #[test]
    fn a_generic_name_matters_where_mail_comes_from() {
        for (reverse, worst) in [
            ("vmi1234567.contaboserver.net", Warn),
            ("static.7.113.0.203.clients.your-server.de", Warn),
            ("dyn-17.isp.net", Fail),
        ] {
            let mut seen = healthy();
            seen.names = Ok(vec![name(reverse)]);
            assert_eq!(verdict(&seen, "generic"), Some(worst), "{reverse}");
            seen.sends = false;
            assert_eq!(verdict(&seen, "generic"), Some(Pass), "{reverse}");
        }
    }
}
