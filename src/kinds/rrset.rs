//! An RRset at its provider: read first, changed only where it differs, and
//! only as far as it is ours.

mod gone;
mod peril;

use std::collections::BTreeSet;

use serde_json::json;

pub use self::gone::RrsetGone;
pub use self::peril::moved;
use crate::ledger::{Edit, Ledger, Made, Ours};
use crate::observe::Seen;
use crate::plan::Plan;
use crate::record::{Name, RType, Rrset, RrsetKey, canonical};
use crate::resource::{Action, Blocked, Change, Holder, Probe, Resource, RrsetWrite, Sign};
use crate::spf;

/// What is wished of one set.
#[derive(Clone, Debug)]
pub struct RrsetWish {
    /// Who holds the zone.
    pub holder: Holder,
    /// Name and type.
    pub key: RrsetKey,
    /// Seconds.
    pub ttl: u32,
    /// What it is for, such as `SPF`.
    pub purpose: &'static str,
    /// The values that must be there.
    pub values: BTreeSet<String>,
    /// Whether nothing else may be there; else foreign values stay.
    pub whole: bool,
    /// Whether two values say the same, where one thing can be written in many ways.
    pub alike: fn(&str, &str) -> bool,
    /// An SPF record to merge into the one that is there.
    pub spf: Option<spf::Wanted>,
    /// The value comes from a key that is not made yet: the key's id.
    pub from_key: Option<String>,
    /// Whether mail flows through it: addresses and MX that receivers use.
    pub mail: bool,
    /// Whether setting it renames the machine at its hoster.
    pub renames: bool,
    /// Whether something waits for it to be visible, though it may be there already.
    pub confirm: bool,
    /// Ids that must be done before.
    pub needs: Vec<String>,
    /// What mailctl made of it before.
    pub ours: Ours,
}

/// The id of a set: `rrset wac.tax MX`, and `ptr 203.0.113.7` for what stands
/// in the reverse tree; in a zone for a part of a network, by its name there.
pub fn id(key: &RrsetKey) -> String {
    match key.name.reversed() {
        Some(ip) if key.rtype == RType::Ptr && key.name == Name::reverse(ip) => format!("ptr {ip}"),
        Some(_) if key.rtype == RType::Ptr => format!("ptr {}", key.name),
        _ => format!("rrset {} {}", key.name, key.rtype),
    }
}

impl RrsetWish {
    /// A set that is ours alone.
    pub fn whole(
        holder: Holder,
        key: RrsetKey,
        ttl: u32,
        purpose: &'static str,
        values: &[String],
        ledger: &Ledger,
    ) -> Self {
        let values = values.iter().map(|v| canonical(key.rtype, v)).collect();
        let ours = ledger.of(&key);
        Self {
            holder,
            key,
            ttl,
            purpose,
            values,
            whole: true,
            alike: |a, b| a == b,
            spf: None,
            from_key: None,
            mail: false,
            renames: false,
            confirm: false,
            needs: Vec::new(),
            ours,
        }
    }

    /// A set in which foreign values stay.
    pub fn among(
        holder: Holder,
        key: RrsetKey,
        ttl: u32,
        purpose: &'static str,
        values: &[String],
        ledger: &Ledger,
    ) -> Self {
        Self {
            whole: false,
            ..Self::whole(holder, key, ttl, purpose, values, ledger)
        }
    }

    /// The set as it shall be, and what the ledger learns.
    fn desired(&self, seen: &Rrset) -> Result<(BTreeSet<String>, Vec<Edit>), Blocked> {
        let made = &self.ours.values;
        let mut want: BTreeSet<String> = if self.whole {
            let as_it_stands = |value: &String| {
                let same = seen.values.iter().find(|v| (self.alike)(v, value));
                same.unwrap_or(value).clone()
            };
            self.values.iter().map(as_it_stands).collect()
        } else {
            let foreign = seen
                .values
                .iter()
                .filter(|v| !made.contains(*v) || self.values.contains(*v));
            foreign.chain(&self.values).cloned().collect()
        };
        let mut edits: Vec<Edit> = Vec::new();
        let mut ours = if self.whole {
            want.clone()
        } else {
            self.values.clone()
        };
        if let Some(wanted) = &self.spf {
            let existing =
                spf::only_spf(seen.values.iter().map(String::as_str)).map_err(|why| {
                    Blocked::new(why).fix("delete one of them at the provider, then run again")
                })?;
            let mine: BTreeSet<String> = wanted.terms().into_iter().collect();
            let forget = self.ours.terms.difference(&mine).cloned().collect();
            let merged = spf::merge(existing, wanted, &forget).map_err(Blocked::new)?;
            if let Some(existing) = existing {
                want.remove(existing);
            }
            edits.extend(
                forget
                    .iter()
                    .map(|t| Edit::Remove(Made::term(&self.key, t))),
            );
            let stood =
                |term: &String| existing.is_some_and(|e| e.split_whitespace().any(|t| t == term));
            edits.extend(
                mine.iter()
                    .filter(|t| !stood(t))
                    .map(|t| Edit::Add(Made::term(&self.key, t))),
            );
            if existing.is_none() {
                edits.push(Edit::Add(Made::term(&self.key, "all")));
            }
            ours.clear();
            want.insert(merged);
        }
        edits.extend(
            ours.difference(&seen.values)
                .map(|v| Edit::Add(Made::value(&self.key, v))),
        );
        edits.extend(
            made.difference(&want)
                .map(|v| Edit::Remove(Made::value(&self.key, v))),
        );
        Ok((want, edits))
    }

    /// Why a set differs, in words.
    fn why(&self, seen: &Rrset, want: &BTreeSet<String>) -> String {
        let Self { purpose, ttl, .. } = self;
        if seen.values.is_empty() {
            return format!("no {purpose} yet");
        }
        if seen.values == *want {
            let seen = seen.ttl.unwrap_or_default();
            return format!("{purpose}: its TTL is {seen} s instead of {ttl} s");
        }
        format!("{purpose} differs")
    }

    /// The hoster's zone cannot be asked from here: a person sets the PTR, and
    /// nothing else has to wait for it.
    fn unseen(&self, blocked: &Blocked) -> Change {
        let name = &self.key.name;
        let write = RrsetWrite {
            holder: self.holder.clone(),
            apex: name.parent().unwrap_or_else(|| name.clone()),
            before: Rrset::absent(self.key.clone()),
            want: Rrset {
                key: self.key.clone(),
                ttl: Some(self.ttl),
                values: self.values.clone(),
            },
            from_key: None,
        };
        let why = format!("{}: cannot be seen: {}", self.purpose, blocked.why);
        Change::new(self.id(), Sign::Create, why, Action::ByHand(write))
            .after(shown(Some(self.ttl), &self.values))
            .needs(self.needs.clone())
    }

    /// What the provider holds already, but not every server may show yet.
    fn confirmation(&self, apex: &Name, set: &Rrset) -> Change {
        let write = RrsetWrite {
            holder: self.holder.clone(),
            apex: apex.clone(),
            before: set.clone(),
            want: set.clone(),
            from_key: None,
        };
        let why = format!("{}: must be seen at every name server", self.purpose);
        Change::new(self.id(), Sign::Run, why, Action::Rrset(write)).needs(self.needs.clone())
    }
}

impl Resource for RrsetWish {
    fn id(&self) -> String {
        id(&self.key)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Rrset(self.holder.clone(), self.key.clone())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let (apex, set, by_hand) = match seen.rrset(&self.holder, &self.key) {
            Err(blocked) if blocked.by_hand && self.key.rtype == RType::Ptr => {
                return Ok(vec![self.unseen(&blocked)]);
            }
            seen => seen?,
        };
        let made_later = self.from_key.is_some();
        let (want, edits) = self.desired(set)?;
        // A person's form may offer other TTLs than ours.
        let ttl_differs = self.whole
            && !by_hand
            && set.ttl.is_some_and(|ttl| ttl != self.ttl)
            && !want.is_empty();
        if want == set.values && !ttl_differs && !made_later {
            let confirm = self.confirm && !by_hand;
            return Ok(confirm
                .then(|| self.confirmation(apex, set))
                .into_iter()
                .collect());
        }
        let sign = match (set.values.is_empty(), want.is_empty() && !made_later) {
            (true, _) => Sign::Create,
            (_, true) => Sign::Delete,
            _ => Sign::Update,
        };
        let write = RrsetWrite {
            holder: self.holder.clone(),
            apex: apex.clone(),
            before: set.clone(),
            want: Rrset {
                key: self.key.clone(),
                ttl: Some(self.ttl),
                values: want.clone(),
            },
            from_key: self.from_key.clone(),
        };
        let why = self.why(set, &want);
        let mut change = Change::new(self.id(), sign, why, write.action(by_hand))
            .needs(self.needs.clone())
            .ledger(edits);
        // What a person does is a person's decision.
        if !by_hand {
            change.danger = self.danger(set, &want);
            change.deletes = deletes(set, &want);
        }
        if !set.values.is_empty() {
            change = change.before(shown(set.ttl, &set.values));
        }
        if made_later {
            change = change.after(json!({"ttl": self.ttl, "values": ["(the public half of the key that apply makes)"]}));
        } else if !want.is_empty() {
            change = change.after(shown(Some(self.ttl), &want));
        }
        Ok(vec![change])
    }
}

/// How many records go for good: one that another takes the place of does not.
fn deletes(set: &Rrset, want: &BTreeSet<String>) -> usize {
    let gone = set.values.difference(want).count();
    gone.saturating_sub(want.difference(&set.values).count())
}

fn shown(ttl: Option<u32>, values: &BTreeSet<String>) -> serde_json::Value {
    json!({"ttl": ttl, "values": values})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Answer;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn seen(key: &RrsetKey, ttl: u32, values: &[&str]) -> Seen {
        let mut seen = Seen::new();
        let set = Rrset::new(key.clone(), (!values.is_empty()).then_some(ttl), values);
        let answer = Answer::Rrset {
            apex: name("wac.tax"),
            set,
            by_hand: false,
        };
        seen.put(Probe::Rrset(Holder::Default, key.clone()), answer);
        seen
    }

    fn values(change: &Change) -> Vec<String> {
        match &change.action {
            Action::Rrset(write) => write.want.values.iter().cloned().collect(),
            other => panic!("no write: {other:?}"),
        }
    }

    #[test]
    fn absent_equal_and_different() {
        let key = RrsetKey::new(name("wac.tax"), RType::Mx);
        let wish = RrsetWish::whole(
            Holder::Default,
            key.clone(),
            300,
            "MX",
            &["10 SMTP.wac.tax".into()],
            &Ledger::default(),
        );
        let plan = Plan::default();
        let change = &wish.diff(&seen(&key, 300, &[]), &plan).expect("decided")[0];
        assert_eq!((change.sign, &change.danger), (Sign::Create, &None));
        assert_eq!(
            wish.diff(&seen(&key, 300, &["10 smtp.wac.tax."]), &plan)
                .expect("decided")
                .len(),
            0
        );
        let ttl = &wish
            .diff(&seen(&key, 3600, &["10 smtp.wac.tax."]), &plan)
            .expect("decided")[0];
        assert_eq!(ttl.why, "MX: its TTL is 3600 s instead of 300 s");
        let foreign = &wish
            .diff(&seen(&key, 300, &["5 mx.other.example."]), &plan)
            .expect("decided")[0];
        assert_eq!(foreign.danger.as_ref().map(|d| d.class), Some("adopt-mx"));
        assert!(
            wish.diff(&Seen::new(), &plan).is_err(),
            "not seen is not absent"
        );
    }

    #[test]
    fn foreign_values_stay_and_old_own_ones_go() {
        let key = RrsetKey::new(name("wac.tax"), RType::Txt);
        let mut ledger = Ledger::default();
        ledger.edit(&[Edit::Add(Made::Value {
            key: key.clone(),
            value: "old".into(),
        })]);
        let wish = RrsetWish::among(
            Holder::Default,
            key.clone(),
            300,
            "records",
            &["new".into()],
            &ledger,
        );
        let change = &wish
            .diff(
                &seen(&key, 60, &["old", "google-site-verification=x"]),
                &Plan::default(),
            )
            .expect("decided")[0];
        assert_eq!(values(change), ["google-site-verification=x", "new"]);
        assert_eq!(change.danger, None);
    }

    #[test]
    fn a_ptr_that_only_a_person_can_set_holds_nothing_up() {
        let key = RrsetKey::new(
            Name::reverse("203.0.113.7".parse().expect("ip")),
            RType::Ptr,
        );
        let values = ["smtp.wac.tax.".to_owned()];
        let wish = RrsetWish::whole(
            Holder::Ptr,
            key.clone(),
            300,
            "PTR",
            &values,
            &Ledger::default(),
        );
        for by_hand in [true, false] {
            let mut seen = Seen::new();
            let blocked = Blocked {
                by_hand,
                ..Blocked::new("the resolver answers REFUSED")
            };
            seen.put(
                Probe::Rrset(Holder::Ptr, key.clone()),
                Answer::Failed(blocked),
            );
            match wish.diff(&seen, &Plan::default()) {
                Ok(changes) => {
                    assert!(by_hand && matches!(changes[0].action, Action::ByHand(_)));
                    assert!(changes[0].why.contains("REFUSED"), "{}", changes[0].why);
                }
                Err(blocked) => assert!(!by_hand, "{}", blocked.why),
            }
        }
    }

    #[test]
    fn a_record_that_signing_waits_for_is_looked_for_though_it_is_there() {
        let key = RrsetKey::new(name("s1._domainkey.wac.tax"), RType::Txt);
        let wish = RrsetWish {
            confirm: true,
            ..RrsetWish::whole(
                Holder::Default,
                key.clone(),
                300,
                "DKIM",
                &["v=DKIM1; p=x".into()],
                &Ledger::default(),
            )
        };
        let change = &wish
            .diff(&seen(&key, 300, &["v=DKIM1; p=x"]), &Plan::default())
            .expect("decided")[0];
        assert_eq!(change.sign, Sign::Run);
        assert_eq!(values(change), ["v=DKIM1; p=x"]);
    }
}
