//! The accounts of a domain: chasquid's `users` file. An entry that verifies
//! is kept, so that an unchanged password changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::chasquid::users::{self, Entry};
use crate::config::HostName;
use crate::failure::{Context, Result};
use crate::kinds::chasquid::switch_in;
use crate::ledger::{Edit, Ledger, Made};
use crate::observe::Seen;
use crate::plan::Plan;
use crate::random;
use crate::record::Name;
use crate::remote::Remote;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};
use crate::secret::Secret;
use crate::vault::{self, Vault};

/// How somebody may log in.
#[derive(Clone, Debug)]
pub enum Login {
    /// With this password.
    With(Secret),
    /// With whatever password is set; one is made if there is none.
    Any,
    /// Not at all.
    Never,
}

/// The accounts that a domain must have.
#[derive(Clone, Debug)]
pub struct UsersWish {
    /// The domain.
    pub domain: Name,
    /// By local part.
    pub users: BTreeMap<String, Login>,
    /// Which accounts mailctl made.
    pub ledger: Ledger,
}

/// The file of a domain's accounts.
pub fn path(domain: &Name) -> String {
    format!("/etc/chasquid/domains/{domain}/users")
}

/// The id of a domain's accounts.
pub fn id(domain: &Name) -> String {
    format!("users {domain}")
}

impl UsersWish {
    fn address(&self, user: &str) -> Made {
        Made::User(format!("{user}@{}", self.domain))
    }
}

impl Resource for UsersWish {
    fn id(&self) -> String {
        id(&self.domain)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::File(path(&self.domain))]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let file = seen.file(&path(&self.domain))?;
        let text = file.map(|f| f.text()).unwrap_or_default();
        let present = users::parse(&text).map_err(|e| {
            Blocked::new(format!(
                "{} on the server cannot be read: {e}",
                path(&self.domain)
            ))
            .fix("mend that file by hand, or move it away; chasquid cannot start with it either")
        })?;
        let mut entries: BTreeMap<String, Wanted> = BTreeMap::new();
        let (mut why, mut edits, mut sensitive) = (Vec::new(), Vec::new(), Vec::new());
        for (user, login) in &self.users {
            let (entry, reason) = decide(login, present.get(user));
            if let Some(reason) = reason {
                why.push(format!("{user}: {reason}"));
                if !present.contains_key(user) {
                    edits.push(Edit::Add(self.address(user)));
                }
                if !matches!(entry, Wanted::Keep(_) | Wanted::Denied) {
                    sensitive.push(format!("password of {user}"));
                }
            }
            entries.insert(user.clone(), entry);
        }
        for (user, entry) in present
            .iter()
            .filter(|(user, _)| !self.users.contains_key(*user))
        {
            if self.ledger.made.contains(&self.address(user)) {
                why.push(format!("{user}: left mail.yaml"));
                edits.push(Edit::Remove(self.address(user)));
            } else {
                entries.insert(user.clone(), Wanted::Keep(entry.clone()));
            }
        }
        if why.is_empty() {
            return Ok(Vec::new());
        }
        let names = |users: &BTreeSet<&String>| json!({"users": users});
        let after: BTreeSet<&String> = entries.keys().collect();
        let before: BTreeSet<&String> = present.keys().collect();
        let sign = match (before.is_empty(), after.is_empty()) {
            (true, _) => Sign::Create,
            (_, true) => Sign::Delete,
            _ => Sign::Update,
        };
        let (shown_before, shown_after) = (names(&before), names(&after));
        let write = Write {
            domain: self.domain.clone(),
            entries,
            seen: file.map(|f| f.content.clone()),
        };
        let mut change =
            Change::new(self.id(), sign, why.join("; "), Action::Users(write)).ledger(edits);
        if sign != Sign::Delete {
            change = change.after(shown_after);
        }
        if sign != Sign::Create {
            change = change.before(shown_before);
        }
        change.sensitive = sensitive;
        Ok(vec![change])
    }
}

/// What an account's entry shall be, and why it differs from what is there.
fn decide(login: &Login, present: Option<&Entry>) -> (Wanted, Option<&'static str>) {
    match (login, present) {
        (Login::Never, Some(entry @ Entry::Denied)) => (Wanted::Keep(entry.clone()), None),
        (Login::Never, None) => (Wanted::Denied, Some("new, receives only")),
        (Login::Never, Some(_)) => (Wanted::Denied, Some("may no longer log in")),
        (Login::With(password), Some(entry)) if users::verify(entry, password) => {
            (Wanted::Keep(entry.clone()), None)
        }
        (Login::With(password), Some(_)) => {
            (Wanted::Password(password.clone()), Some("another password"))
        }
        (Login::With(password), None) => (Wanted::Password(password.clone()), Some("new")),
        (Login::Any, Some(entry)) if !matches!(entry, Entry::Denied) => {
            (Wanted::Keep(entry.clone()), None)
        }
        (Login::Any, Some(_)) => (
            Wanted::Generate,
            Some("may log in now, with a password made for it"),
        ),
        (Login::Any, None) => (Wanted::Generate, Some("new, with a password made for it")),
    }
}

#[derive(Clone, Debug)]
enum Wanted {
    Keep(Entry),
    Password(Secret),
    Generate,
    Denied,
}

/// The deed: write the file, with entries that only apply can make.
#[derive(Clone, Debug)]
pub struct Write {
    domain: Name,
    entries: BTreeMap<String, Wanted>,
    seen: Option<Vec<u8>>,
}

impl Write {
    /// Makes the passwords that are to be made, keeps them in `vault`, and
    /// writes the accounts once chasquid's own tool accepts them.
    ///
    /// # Errors
    /// When a password cannot be kept here, or the server refuses the file;
    /// the accounts that were there then stay.
    pub fn act(&self, remote: &dyn Remote, vault: &Vault) -> Result<()> {
        let mut entries = BTreeMap::new();
        for (user, wanted) in &self.entries {
            let entry = match wanted {
                Wanted::Keep(entry) => entry.clone(),
                Wanted::Denied => Entry::Denied,
                Wanted::Password(password) => Entry::scrypt(password, salt()?),
                Wanted::Generate => {
                    let password =
                        vault::generate_password(&random::octets::<{ vault::GENERATED }>()?);
                    // Kept before it is set: a password that only the server knows is of no use.
                    vault
                        .keep_password(&HostName(self.domain.clone()), user, &password)
                        .with_context(|| {
                            format!(
                                "the new password of {user}@{} could not be kept",
                                self.domain
                            )
                        })?;
                    Entry::scrypt(&password, salt()?)
                }
            };
            entries.insert(user.clone(), entry);
        }
        let text = users::render(&entries);
        let script = switch_in(&self.domain, "users", text.as_bytes(), self.seen.as_deref());
        let output = remote.run(&script)?;
        if output.code != 0 {
            return Err(output.failure(
                format!("the accounts of {} were not changed", self.domain),
                "nothing was switched in; run `mailctl plan` to see how it stands now",
            ));
        }
        Ok(())
    }
}

fn salt() -> Result<[u8; 16]> {
    random::octets()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{diff, failed, file};
    use crate::observe::Answer;

    const PASSWORD: &str = "correct horse battery staple";

    /// Cheap to verify, unlike what apply writes.
    fn plain(user: &str, password: &str) -> String {
        format!("users: {{key: \"{user}\" value: {{plain: {{password: \"{password}\"}}}}}}\n")
    }

    fn denied(user: &str) -> String {
        format!("users: {{key: \"{user}\" value: {{denied: {{}}}}}}\n")
    }

    fn wish(users: &[(&str, Login)], made: &[&str]) -> UsersWish {
        let mut ledger = Ledger::default();
        for user in made {
            ledger.edit(&[Edit::Add(Made::User(format!("{user}@wac.tax")))]);
        }
        UsersWish {
            domain: Name::parse("wac.tax").expect("name"),
            users: users
                .iter()
                .map(|(user, login)| ((*user).to_owned(), login.clone()))
                .collect(),
            ledger,
        }
    }

    fn with(password: &str) -> Login {
        Login::With(Secret::new(password))
    }

    fn change(wish: &UsersWish, text: &str) -> Option<Change> {
        diff(wish, [file(text)]).expect("decided")
    }

    #[test]
    fn absent_is_created_and_listed() {
        let wish = wish(&[("i", with(PASSWORD)), ("bounce", Login::Never)], &[]);
        let change = diff(&wish, [Answer::File(None)])
            .expect("decided")
            .expect("a change");
        assert_eq!(change.sign, Sign::Create);
        assert_eq!(change.why, "bounce: new, receives only; i: new");
        assert_eq!(
            change.sensitive,
            ["password of i"],
            "who never logs in has none"
        );
        let listed: Vec<Edit> = ["bounce", "i"]
            .map(|user| Edit::Add(wish.address(user)))
            .into();
        assert_eq!(change.ledger, listed);
    }

    #[test]
    fn equal_is_kept() {
        for (login, text) in [
            (with(PASSWORD), plain("i", PASSWORD)),
            (Login::Any, plain("i", "whatever it is")),
            (Login::Never, denied("i")),
        ] {
            assert!(
                change(&wish(&[("i", login)], &[]), &text).is_none(),
                "{text}"
            );
        }
    }

    #[test]
    fn different_is_changed_and_says_how() {
        for (login, text, why) in [
            (
                with("another one"),
                plain("i", PASSWORD),
                "another password",
            ),
            (with(PASSWORD), denied("i"), "another password"),
            (Login::Never, plain("i", PASSWORD), "may no longer log in"),
            (
                Login::Any,
                denied("i"),
                "may log in now, with a password made for it",
            ),
        ] {
            let change = change(&wish(&[("i", login)], &[]), &text).expect("a change");
            assert_eq!(change.sign, Sign::Update);
            assert_eq!(change.why, format!("i: {why}"));
            assert!(change.ledger.is_empty(), "it was there before");
            let shown = format!("{change:?}");
            assert!(!shown.contains(PASSWORD) && !shown.contains("another one"));
        }
    }

    #[test]
    fn only_what_the_ledger_lists_goes() {
        let text = plain("i", PASSWORD) + &plain("old", "x") + &plain("friend", "y");
        let gone = wish(&[("i", with(PASSWORD))], &["old"]);
        let change = change(&gone, &text).expect("a change");
        assert_eq!(
            (change.sign, change.why.as_str()),
            (Sign::Update, "old: left mail.yaml")
        );
        assert_eq!(change.after, Some(json!({"users": ["friend", "i"]})));
        assert_eq!(change.ledger, [Edit::Remove(gone.address("old"))]);
        let nobody = wish(&[], &["i"]);
        let change = super::tests::change(&nobody, &plain("i", "x")).expect("a change");
        assert_eq!((change.sign, change.after), (Sign::Delete, None));
    }

    #[test]
    fn what_cannot_be_read_blocks() {
        let wish = wish(&[("i", Login::Any)], &[]);
        assert!(diff(&wish, wish.probes().into_iter().map(failed)).is_err());
        assert!(diff(&wish, []).is_err(), "not looked at");
        let blocked = diff(&wish, [file("users: {key: \"i\"")]).expect_err("broken");
        assert!(
            blocked
                .why
                .contains("domains/wac.tax/users on the server cannot be read")
        );
    }

    #[test]
    fn what_is_written_is_as_wished() {
        use crate::kinds::testing::Recorder;
        let wish = wish(&[("i", with(PASSWORD)), ("bounce", Login::Never)], &[]);
        let change = change(&wish, &plain("friend", "y")).expect("a change");
        let Action::Users(write) = &change.action else {
            panic!("{change:?}")
        };
        let server = Recorder::default();
        let around = std::sync::Arc::new(crate::config::surroundings::Written::default());
        let vault = Vault::open(&crate::kinds::testing::config(), around);
        write.act(&server, &vault).expect("written");
        let text = server.file();
        assert!(!text.contains(PASSWORD) && text.contains("scrypt"));
        let again = super::tests::change(&wish, &text);
        assert!(again.is_none(), "{again:?}");
    }
}
