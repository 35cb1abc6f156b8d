//! Forwarding of a domain: chasquid's `aliases` file. Lines of others stay.

use std::collections::BTreeMap;

use serde_json::json;

use crate::chasquid::aliases::{self, Target};
use crate::kinds::chasquid::switch_in;
use crate::ledger::{Edit, Ledger, Made};
use crate::observe::Seen;
use crate::plan::Plan;
use crate::record::Name;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

/// The forwarding that a domain must have.
#[derive(Clone, Debug)]
pub struct AliasesWish {
    /// The domain.
    pub domain: Name,
    /// Addresses by local part; `*` is the catch-all.
    pub forward: BTreeMap<String, Vec<String>>,
    /// Which of them mailctl made.
    pub ledger: Ledger,
}

/// The file of a domain's forwarding.
pub fn path(domain: &Name) -> String {
    format!("/etc/chasquid/domains/{domain}/aliases")
}

/// The id of a domain's forwarding.
pub fn id(domain: &Name) -> String {
    format!("aliases {domain}")
}

impl Resource for AliasesWish {
    fn id(&self) -> String {
        id(&self.domain)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::File(path(&self.domain))]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let file = seen.file(&path(&self.domain))?;
        let standing = file.map(|f| f.text()).unwrap_or_default();
        let present = aliases::parse(&standing).map_err(|e| {
            Blocked::new(format!(
                "{} on the server cannot be read: {e}",
                path(&self.domain)
            ))
            .fix("mend that file by hand, or move it away")
        })?;
        let made = |local: &String| Made::Alias(format!("{local}@{}", self.domain));
        let mut want = present.clone();
        want.retain(|local, _| {
            self.forward.contains_key(local) || !self.ledger.made.contains(&made(local))
        });
        want.extend(
            self.forward
                .iter()
                .map(|(local, to)| (local.clone(), Target::Addresses(to.clone()))),
        );
        if want == present {
            return Ok(Vec::new());
        }
        let mut why = Vec::new();
        let mut edits = Vec::new();
        for (local, to) in &want {
            match present.get(local) {
                None => {
                    why.push(format!("{local} is new, to {}", told(to)));
                    edits.push(Edit::Add(made(local)));
                }
                Some(before) if before != to => why.push(format!(
                    "{local} goes to {} instead of {}",
                    told(before),
                    told(to)
                )),
                Some(_) => {}
            }
        }
        for local in present.keys().filter(|l| !want.contains_key(*l)) {
            why.push(format!("{local} left mail.yaml"));
            edits.push(Edit::Remove(made(local)));
        }
        let sign = match (present.is_empty(), want.is_empty()) {
            (true, _) => Sign::Create,
            (_, true) => Sign::Delete,
            _ => Sign::Update,
        };
        let text = aliases::rewrite(&standing, &want).map_err(Blocked::new)?;
        let script = switch_in(
            &self.domain,
            "aliases",
            text.as_bytes(),
            file.map(|f| f.content.as_slice()),
        );
        let mut change =
            Change::new(self.id(), sign, why.join("; "), Action::Script(script)).ledger(edits);
        if !want.is_empty() {
            change = change.after(shown(&want));
        }
        if !present.is_empty() {
            change = change.before(shown(&present));
        }
        Ok(vec![change])
    }
}

fn told(target: &Target) -> String {
    match target {
        Target::Addresses(to) => to.join(" and "),
        Target::Pipe(command) => format!("| {command}"),
    }
}

fn shown(aliases: &aliases::Aliases) -> serde_json::Value {
    let target = |target: &Target| match target {
        Target::Addresses(to) => json!(to),
        Target::Pipe(command) => json!(format!("| {command}")),
    };
    aliases
        .iter()
        .map(|(local, to)| (local.clone(), target(to)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{diff, failed, file};
    use crate::observe::Answer;

    fn wish(forward: &[(&str, &str)], made: &[&str]) -> AliasesWish {
        let mut ledger = Ledger::default();
        for local in made {
            ledger.edit(&[Edit::Add(Made::Alias(format!("{local}@wac.tax")))]);
        }
        AliasesWish {
            domain: Name::parse("wac.tax").expect("name"),
            forward: forward
                .iter()
                .map(|(local, to)| ((*local).to_owned(), vec![(*to).to_owned()]))
                .collect(),
            ledger,
        }
    }

    fn change(wish: &AliasesWish, text: &str) -> Option<Change> {
        diff(wish, [file(text)]).expect("decided")
    }

    fn added(local: &str) -> Edit {
        Edit::Add(Made::Alias(format!("{local}@wac.tax")))
    }

    #[test]
    fn absent_is_created_and_listed() {
        let wish = wish(&[("*", "a@b.example"), ("i", "c@b.example")], &[]);
        let change = diff(&wish, [Answer::File(None)])
            .expect("decided")
            .expect("a change");
        assert_eq!(change.sign, Sign::Create);
        assert_eq!(
            change.why,
            "* is new, to a@b.example; i is new, to c@b.example"
        );
        assert_eq!(change.ledger, [added("*"), added("i")]);
        let nothing = super::tests::wish(&[], &[]);
        assert!(
            diff(&nothing, [Answer::File(None)])
                .expect("decided")
                .is_none(),
            "no file is as good as an empty one"
        );
    }

    #[test]
    fn equal_is_kept_whatever_stands_beside_it() {
        let wish = wish(&[("i", "c@b.example")], &["i"]);
        for text in [
            "i: c@b.example\n",
            "# a remark\ni:   c@b.example\nlists: | /usr/local/bin/lists\n",
        ] {
            assert!(change(&wish, text).is_none(), "{text}");
        }
    }

    #[test]
    fn different_says_from_where_to_where() {
        let wish = wish(&[("i", "c@b.example")], &["i"]);
        let change = change(&wish, "i: x@b.example, y@b.example\n").expect("a change");
        assert_eq!(change.sign, Sign::Update);
        assert_eq!(
            change.why,
            "i goes to x@b.example and y@b.example instead of c@b.example"
        );
        assert!(change.ledger.is_empty());
    }

    #[test]
    fn only_what_the_ledger_lists_goes() {
        let text = "friend: f@b.example\ni: c@b.example\nold: o@b.example\n";
        let gone = change(&wish(&[("i", "c@b.example")], &["i", "old"]), text).expect("a change");
        assert_eq!(
            (gone.sign, gone.why.as_str()),
            (Sign::Update, "old left mail.yaml")
        );
        let left = json!({"friend": ["f@b.example"], "i": ["c@b.example"]});
        assert_eq!(gone.after, Some(left));
        let last = change(&wish(&[], &["i"]), "i: c@b.example\n").expect("a change");
        assert_eq!((last.sign, last.after), (Sign::Delete, None));
    }

    #[test]
    fn what_cannot_be_read_blocks() {
        let wish = wish(&[("i", "c@b.example")], &[]);
        assert!(diff(&wish, wish.probes().into_iter().map(failed)).is_err());
        assert!(diff(&wish, []).is_err(), "not looked at");
        assert!(diff(&wish, [file("i c@b.example\n")]).is_err(), "no colon");
    }
}
