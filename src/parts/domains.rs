//! Mail domains on the server: accounts, forwarding, signing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Wish, dkim};
use crate::config::Domain;
use crate::kinds::aliases::AliasesWish;
use crate::kinds::chasquid::{DomainGone, DomainWish};
use crate::kinds::rrset;
use crate::kinds::users::{Login, UsersWish};
use crate::ledger::Made;
use crate::record::{Name, RType, RrsetKey};
use crate::resource::Resource;

/// Every domain of mail.yaml, and those that left it.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    for (name, domain) in &wish.config.domains {
        wanted.push(Box::new(DomainWish {
            domain: name.0.clone(),
        }));
        wanted.push(Box::new(UsersWish {
            domain: name.0.clone(),
            users: logins(wish, &name.0, domain),
            ledger: wish.ledger.clone(),
        }));
        let forward = domain
            .forward
            .iter()
            .map(|(local, to)| (local.clone(), to.0.clone()))
            .collect();
        wanted.push(Box::new(AliasesWish {
            domain: name.0.clone(),
            forward,
            ledger: wish.ledger.clone(),
        }));
        dkim::signing(wish, &name.0, wanted);
    }
    for domain in left(wish) {
        let mx = RrsetKey::new(domain.clone(), RType::Mx);
        wanted.push(Box::new(DomainGone {
            made: made_of(wish, &domain),
            needs: vec![rrset::id(&mx)],
            domain,
        }));
    }
}

fn logins(wish: &Wish, name: &Name, domain: &Domain) -> BTreeMap<String, Login> {
    let login = |user: &str, receive_only: bool| match wish.passwords.get(&format!("{user}@{name}"))
    {
        _ if receive_only => Login::Never,
        Some(password) => Login::With(password.clone()),
        None => Login::Any,
    };
    domain
        .users
        .iter()
        .map(|(user, account)| (user.clone(), login(user, account.receive_only)))
        .collect()
}

/// Domains that mailctl made and that mail.yaml no longer has.
pub fn left(wish: &Wish) -> BTreeSet<Name> {
    let made = wish.ledger.made.iter().filter_map(|made| match made {
        Made::Domain(name) => Name::parse(name).ok(),
        _ => None,
    });
    made.filter(|name| !wish.config.domains.keys().any(|d| d.0 == *name))
        .collect()
}

fn made_of(wish: &Wish, domain: &Name) -> Vec<Made> {
    let at = format!("@{domain}");
    let of = |made: &&Made| match made {
        Made::Domain(name) => name == domain.as_str(),
        Made::User(address) | Made::Alias(address) => address.ends_with(&at),
        Made::Dkim(key) => key.starts_with(&format!("{domain} ")),
        Made::Value { .. } | Made::Term { .. } | Made::File(_) => false,
    };
    wish.ledger.made.iter().filter(of).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::testing::Stage;

    #[test]
    fn a_domain_that_left_takes_along_what_was_made_of_it_and_nothing_else() {
        let stage = Stage::new("ssh: vps", "").made([
            Made::Domain("old.example".into()),
            Made::User("i@old.example".into()),
            Made::Alias("*@old.example".into()),
            Made::Dkim("old.example s1".into()),
            Made::Domain("wac.tax".into()),
            Made::User("i@wac.tax".into()),
            Made::User("i@very-old.example".into()),
        ]);
        let wish = stage.wish();
        let left: Vec<Name> = left(&wish).into_iter().collect();
        assert_eq!(left, [Name::parse("old.example").expect("name")]);
        assert_eq!(made_of(&wish, &left[0]).len(), 4);
    }

    #[test]
    fn who_only_receives_never_logs_in() {
        let users = "users: {i: {}, bounce: {receive_only: true}}";
        let stage = Stage::new("ssh: vps", users);
        let (name, domain) = stage.config.domains.iter().next().expect("a domain");
        let logins = logins(&stage.wish(), &name.0, domain);
        assert!(matches!(logins["i"], Login::Any), "no password is known");
        assert!(matches!(logins["bounce"], Login::Never));
    }
}
