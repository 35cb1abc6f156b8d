//! Which changes have a whole zone written again. Whoever holds the zone
//! decides that, and not what the change is about.

use super::records;
use crate::catalogue;
use crate::config::Config;
use crate::danger;
use crate::record::Name;
use crate::resource::{Action, Change, Holder};

/// Marks them, once every other danger is known.
pub fn mark(config: &Config, changes: &mut [Change]) {
    for change in changes {
        if let Some(title) = rewriter(config, &change.action) {
            danger::mark_rewrite(change, title);
        }
    }
}

/// The title of the provider that has a whole zone written again for this deed.
fn rewriter(config: &Config, action: &Action) -> Option<&'static str> {
    match action {
        Action::Rrset(write) if write.writes() => at(config, &write.holder),
        // Its challenges come and go in the zones of its names.
        Action::Order(order) => order.names.iter().find_map(|name| {
            let name = Name::parse(name.trim_start_matches("*.")).ok()?;
            at(config, &records::holder(config, &name))
        }),
        _ => None,
    }
}

fn at(config: &Config, holder: &Holder) -> Option<&'static str> {
    // PTR records are set one by one, whoever the hoster is.
    if *holder == Holder::Ptr {
        return None;
    }
    let entry = catalogue::dns(records::provider(config, holder))?;
    entry.whole_zone.then_some(entry.title.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::danger::{Danger, MOVE_MAIL, WHOLE_ZONE_REWRITE};
    use crate::kinds::certificate::Order;
    use crate::parts::testing::Stage;
    use crate::record::{RType, Rrset, RrsetKey};
    use crate::resource::{RrsetWrite, Sign};

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn write(holder: Holder, before: &[&str], want: &[&str]) -> RrsetWrite {
        let set = |values: &[&str]| {
            let key = RrsetKey::new(name("wac.tax"), RType::Txt);
            Rrset::new(key, Some(300), values)
        };
        RrsetWrite {
            holder,
            apex: name("wac.tax"),
            before: set(before),
            want: set(want),
            from_key: None,
        }
    }

    /// The class that a deed gets, where `wac.tax` or everything else is at Namecheap.
    fn class(provider: &str, action: Action) -> Option<&'static str> {
        let mut stage = Stage::new("ssh: root@203.0.113.7", "");
        stage.config.dns.provider = provider.into();
        let mut changes = [Change::new("rrset wac.tax TXT", Sign::Update, "", action)];
        mark(&stage.config, &mut changes);
        changes[0].danger.as_ref().map(|danger| danger.class)
    }

    #[test]
    fn writes_deletions_and_challenges_rewrite_the_zone() {
        let order = || {
            Action::Order(Order {
                names: vec!["*.wac.tax".into()],
                key: crate::config::CertificateKey::P256,
                by_hand: false,
            })
        };
        let set =
            |before: &[&str], want: &[&str]| Action::Rrset(write(Holder::Default, before, want));
        for action in [set(&[], &["a"]), set(&["a"], &[]), order()] {
            let rewrite = Some(WHOLE_ZONE_REWRITE);
            assert_eq!(class("namecheap", action.clone()), rewrite, "{action:?}");
            assert_eq!(class("cloudflare", action.clone()), None, "{action:?}");
        }
        let by_hand = Action::ByHand(write(Holder::Default, &[], &["a"]));
        let reverse = Action::Rrset(write(Holder::Ptr, &[], &["a"]));
        for action in [set(&["a"], &["a"]), by_hand, reverse] {
            assert_eq!(class("namecheap", action.clone()), None, "{action:?}");
        }
    }

    #[test]
    fn another_danger_keeps_its_class() {
        let mut stage = Stage::new("ssh: root@203.0.113.7", "");
        stage.config.dns.provider = "joker".into();
        let deed = Action::Rrset(write(Holder::Default, &["a"], &["b"]));
        let mut changes = [Change::new("rrset wac.tax TXT", Sign::Update, "", deed)];
        changes[0].danger = Some(Danger::new(MOVE_MAIL, "mail would go elsewhere"));
        mark(&stage.config, &mut changes);
        let danger = changes[0].danger.as_ref().expect("a danger");
        assert_eq!(danger.class, MOVE_MAIL);
        assert_eq!(danger.also, Some(WHOLE_ZONE_REWRITE));
    }
}
