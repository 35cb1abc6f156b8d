//! What leaves a set, and what stays there because it is somebody else's.

use std::collections::BTreeSet;

use super::{deletes, id, shown};
use crate::danger::Danger;
use crate::ledger::{Edit, Made, Ours};
use crate::observe::Seen;
use crate::plan::Plan;
use crate::record::{Rrset, RrsetKey};
use crate::resource::{Blocked, Change, Holder, Probe, Resource, RrsetWrite, Sign};
use crate::spf;

/// Values of a set that mail.yaml no longer asks for; what else is there stays.
#[derive(Clone, Debug)]
pub struct RrsetGone {
    /// Who holds the zone.
    pub holder: Holder,
    /// Name and type.
    pub key: RrsetKey,
    /// What mailctl made of it.
    pub ours: Ours,
    /// Whether its domain stays in mail.yaml.
    pub domain_stays: bool,
    /// What is dangerous about its going, where that is known beforehand.
    pub danger: Option<Danger>,
    /// Ids that must be done before.
    pub needs: Vec<String>,
}

impl Resource for RrsetGone {
    fn id(&self) -> String {
        id(&self.key)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Rrset(self.holder.clone(), self.key.clone())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let (apex, set, by_hand) = seen.rrset(&self.holder, &self.key)?;
        let Ours {
            values: made,
            terms,
        } = &self.ours;
        let mut want: BTreeSet<String> = set.values.difference(made).cloned().collect();
        let standing = spf::only_spf(set.values.iter().map(String::as_str));
        if !terms.is_empty()
            && let Some(existing) = standing.map_err(Blocked::new)?
        {
            let without = spf::without(existing, terms);
            want.remove(existing);
            want.extend(without);
        }
        let forget = made
            .iter()
            .map(|v| Made::value(&self.key, v))
            .chain(terms.iter().map(|t| Made::term(&self.key, t)));
        let edits = forget.map(Edit::Remove);
        let write = RrsetWrite {
            holder: self.holder.clone(),
            apex: apex.clone(),
            before: set.clone(),
            want: Rrset {
                key: self.key.clone(),
                ttl: set.ttl,
                values: want.clone(),
            },
            from_key: None,
        };
        let sign = if want.is_empty() {
            Sign::Delete
        } else {
            Sign::Update
        };
        let why = if want == set.values {
            "somebody has deleted it already: the ledger forgets it"
        } else {
            "it left mail.yaml"
        };
        let mut change = Change::new(self.id(), sign, why, write.action(by_hand))
            .needs(self.needs.clone())
            .ledger(edits);
        if !by_hand {
            let goes = want != set.values;
            change.danger = self.danger.clone().filter(|_| goes);
            change.deletes = if self.domain_stays {
                deletes(set, &want)
            } else {
                0
            };
        }
        if !set.values.is_empty() {
            change = change.before(shown(set.ttl, &set.values));
        }
        if !want.is_empty() {
            change = change.after(shown(set.ttl, &want));
        }
        Ok(vec![change])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Answer;
    use crate::record::{Name, RType};
    use crate::resource::Action;

    #[test]
    fn only_what_mailctl_made_goes() {
        let name = Name::parse("wac.tax").expect("a name");
        let key = RrsetKey::new(name.clone(), RType::Txt);
        let gone = RrsetGone {
            holder: Holder::Default,
            key: key.clone(),
            ours: Ours {
                values: ["ours".to_owned()].into(),
                ..Ours::default()
            },
            domain_stays: true,
            danger: None,
            needs: Vec::new(),
        };
        let change = |values: &[&str]| {
            let mut seen = Seen::new();
            let answer = Answer::Rrset {
                apex: name.clone(),
                set: Rrset::new(key.clone(), Some(60), values),
                by_hand: false,
            };
            seen.put(Probe::Rrset(Holder::Default, key.clone()), answer);
            gone.diff(&seen, &Plan::default())
                .expect("decided")
                .remove(0)
        };
        let Action::Rrset(write) = change(&["ours", "theirs"]).action else {
            panic!("no write");
        };
        assert_eq!(write.want.values, ["theirs".to_owned()].into());
        assert_eq!(change(&["ours"]).sign, Sign::Delete);
    }
}
