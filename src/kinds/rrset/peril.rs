//! What is dangerous about changing a set: values of somebody else that would
//! vanish, mail that would go elsewhere, a policy that would get weaker.

use std::collections::BTreeSet;

use super::RrsetWish;
use crate::danger::{Danger, MOVE_MAIL, RENAME, WEAKEN_DMARC};
use crate::dmarc;
use crate::record::{RType, Rrset, RrsetKey};

impl RrsetWish {
    /// The danger of making `seen` into `want`. To take over what somebody
    /// else set is to replace it: that it moves mail or weakens a policy too
    /// is said, but no further class has to be allowed.
    pub(super) fn danger(&self, seen: &Rrset, want: &BTreeSet<String>) -> Option<Danger> {
        if self.renames && seen.values != *want {
            let why = "the machine gets this name at its hoster, wherever that shows it";
            return Some(Danger::new(RENAME, why));
        }
        let lost: Vec<&String> = seen.values.difference(want).collect();
        if lost.is_empty() {
            return None;
        }
        let weaker = (self.purpose == "DMARC").then(|| weaker(&seen.values, want));
        let weaker = weaker.flatten();
        let made = &self.ours.values;
        if self.whole && lost.iter().any(|value| !made.contains(*value)) {
            let class = self.adoption(seen)?;
            let more = weaker.map_or(String::new(), |how| format!(", and {how}"));
            return Some(Danger::new(class, format!("somebody else set it{more}")));
        }
        if let Some(how) = weaker {
            return Some(Danger::new(WEAKEN_DMARC, how));
        }
        self.mail.then(|| Danger::new(MOVE_MAIL, moved(&self.key)))
    }

    fn adoption(&self, seen: &Rrset) -> Option<&'static str> {
        let by_default = |v: &String| is_default_name(v, &self.key);
        Some(match self.key.rtype {
            RType::Ptr if seen.values.iter().all(by_default) => return None,
            RType::A => "adopt-a",
            RType::Aaaa => "adopt-aaaa",
            RType::Mx => "adopt-mx",
            RType::Ptr => "adopt-ptr",
            RType::Srv => "adopt-srv",
            _ if self.purpose == "DMARC" => "adopt-dmarc",
            _ if self.purpose == "DKIM" => "adopt-dkim",
            _ => "adopt-record",
        })
    }
}

/// What another value of a set means that mail flows through.
pub fn moved(key: &RrsetKey) -> String {
    match key.rtype {
        RType::Mx => format!("mail for {} would go elsewhere", key.name),
        _ => format!("mail flows through this address of {}", key.name),
    }
}

/// How the policy gets weaker, such as `p=reject becomes p=none`.
fn weaker(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Option<String> {
    let only = |values: &BTreeSet<String>| {
        let mut records = values.iter().filter(|value| dmarc::is_dmarc(value));
        // Where there are several, receivers obey none (RFC 9989 section 4.10.1).
        let first = records.next().cloned();
        first.filter(|_| records.next().is_none())
    };
    let before = only(before)?;
    match only(after) {
        Some(after) => dmarc::weaker(&before, &after),
        None => Some("the domain would have no DMARC policy".into()),
    }
}

/// Whether a PTR is only the hoster's default name: it spells out the address
/// or is one of the usual words for "a customer's machine".
fn is_default_name(value: &str, key: &RrsetKey) -> bool {
    const WORDS: [&str; 8] = [
        "static",
        "dynamic",
        "unassigned",
        "vmi",
        "vps",
        "ip-",
        "host-",
        "customer",
    ];
    let Some(ip) = key.name.reversed() else {
        return false;
    };
    let first = value.split('.').next().unwrap_or_default();
    let digits: Vec<String> = match ip {
        std::net::IpAddr::V4(v4) => v4.octets().iter().map(u8::to_string).collect(),
        std::net::IpAddr::V6(_) => return WORDS.iter().any(|w| first.starts_with(w)),
    };
    let parts: Vec<&str> = value
        .split(|c: char| !c.is_ascii_digit())
        .filter(|p| !p.is_empty())
        .collect();
    digits.iter().all(|d| parts.contains(&d.as_str())) || WORDS.iter().any(|w| first.starts_with(w))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Edit, Ledger, Made};
    use crate::record::Name;
    use crate::resource::Holder;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn wish(owner: &str, rtype: RType, purpose: &'static str, value: &str) -> RrsetWish {
        let key = RrsetKey::new(name(owner), rtype);
        let mut ledger = Ledger::default();
        for value in [value, "192.0.2.1", "10 old.wac.tax.", STRICT] {
            ledger.edit(&[Edit::Add(Made::Value {
                key: key.clone(),
                value: value.into(),
            })]);
        }
        RrsetWish {
            mail: matches!(rtype, RType::A | RType::Mx),
            ..RrsetWish::whole(Holder::Default, key, 300, purpose, &[value.into()], &ledger)
        }
    }

    const STRICT: &str = "v=DMARC1; p=reject";

    fn class(wish: &RrsetWish, stands: &str) -> Option<&'static str> {
        let seen = Rrset::new(wish.key.clone(), Some(300), [stands]);
        wish.danger(&seen, &wish.values).map(|danger| danger.class)
    }

    #[test]
    fn what_was_ours_may_still_carry_mail() {
        let address = wish("smtp.wac.tax", RType::A, "address", "192.0.2.2");
        assert_eq!(class(&address, "192.0.2.2"), None);
        assert_eq!(class(&address, "192.0.2.1"), Some(MOVE_MAIL));
        assert_eq!(class(&address, "192.0.2.9"), Some("adopt-a"));
        let mx = wish("wac.tax", RType::Mx, "MX", "10 smtp.wac.tax.");
        assert_eq!(class(&mx, "10 old.wac.tax."), Some(MOVE_MAIL));
        assert_eq!(class(&mx, "5 mx.example."), Some("adopt-mx"));
        let other = RrsetWish {
            mail: false,
            ..address
        };
        assert_eq!(class(&other, "192.0.2.1"), None);
    }

    #[test]
    fn a_policy_may_get_stricter_but_not_weaker() {
        let dmarc = |value| wish("_dmarc.wac.tax", RType::Txt, "DMARC", value);
        assert_eq!(
            class(&dmarc("v=DMARC1; p=none"), STRICT),
            Some(WEAKEN_DMARC)
        );
        let foreign = "v=DMARC1; p=reject; rua=mailto:a@b.example";
        let wish = dmarc("v=DMARC1; p=none");
        let seen = Rrset::new(wish.key.clone(), Some(300), [foreign]);
        let danger = wish.danger(&seen, &wish.values).expect("somebody else's");
        assert_eq!(danger.class, "adopt-dmarc");
        assert!(
            danger.why.contains("p=reject becomes p=none"),
            "{}",
            danger.why
        );
        assert_eq!(class(&dmarc("v=DMARC1; p=reject; np=reject"), STRICT), None);
    }

    #[test]
    fn default_names_of_hosters_count_as_not_set() {
        let key = RrsetKey::new(
            Name::reverse("203.0.113.7".parse().expect("ip")),
            RType::Ptr,
        );
        for (value, default) in [
            ("static.7.113.0.203.clients.your-server.de.", true),
            ("vmi12345.contaboserver.net.", true),
            ("203-0-113-7.ip.linodeusercontent.com.", true),
            ("mail.somebody.example.", false),
        ] {
            assert_eq!(is_default_name(value, &key), default, "{value}");
        }
    }
}
