//! The whole server on one screen: what a mail server is made of, in the order
//! in which it is made.

pub mod base;
pub mod caa;
pub mod certificates;
pub mod chasquid;
pub mod dkim;
pub mod domains;
pub mod firewall;
pub mod gone;
pub mod network;
pub mod packages;
pub mod records;
pub mod rewrites;
pub mod system;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::config::Config;
use crate::facts::Facts;
use crate::ledger::Ledger;
use crate::observe::Seen;
use crate::resource::Resource;
use crate::secret::Secret;

/// All that decisions are made from. Everything is an argument, nothing is looked up.
pub struct Wish<'a> {
    /// mail.yaml.
    pub config: &'a Config,
    /// What was seen so far; parts may wish for more once they see more.
    pub seen: &'a Seen,
    /// The facts in it.
    pub facts: Facts,
    /// The ledger in it.
    pub ledger: Ledger,
    /// Known passwords, by `user@domain`.
    pub passwords: &'a BTreeMap<String, Secret>,
    /// Now.
    pub now: OffsetDateTime,
}

/// Everything that is wished for, in order.
pub fn desire(wish: &Wish) -> Vec<Box<dyn Resource>> {
    let mut wanted: Vec<Box<dyn Resource>> = Vec::new();
    for part in PARTS {
        part(wish, &mut wanted);
    }
    wanted
}

type Part = fn(&Wish, &mut Vec<Box<dyn Resource>>);

const PARTS: &[Part] = &[
    system::wish,          // a system that is supported, and no other mail server on it
    network::wish,         // IPv6, host name
    dkim::keys,            // keys, so that their records can be published early
    certificates::order,   // the authority works while apt downloads
    packages::wish,        // apt source and pin; one run of apt for everything
    base::wish,            // time zone, locale, upgrades, bans
    chasquid::wish,        // configuration
    domains::wish,         // accounts, forwarding, signing keys
    certificates::install, // key and chain at once
    chasquid::run,         // sockets and service
    certificates::reload,  // whoever shares the certificate
    firewall::wish,        // ports 25, 465, 587
    records::wish,         // addresses, PTR, SPF, DKIM, DMARC, and MX last
    gone::wish,            // what left mail.yaml, backwards
];

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::config::{load, surroundings::Written};
    use crate::ledger::{Edit, Made};
    use crate::record::{Name, RType, RrsetKey};

    /// What a wish borrows.
    pub(crate) struct Stage {
        pub(crate) config: Config,
        pub(crate) seen: Seen,
        pub(crate) ledger: Ledger,
        pub(crate) facts: Facts,
        passwords: BTreeMap<String, Secret>,
    }

    impl Stage {
        /// A host and one domain, with what else mail.yaml says of them.
        pub(crate) fn new(host: &str, domain: &str) -> Self {
            let text = format!(
                "host: {{name: smtp.wac.tax, {host}}}\ndomains:\n  wac.tax: {{{domain}}}\n\
                 dns: {{provider: manual}}\n"
            );
            let home = std::path::Path::new("/home/wac");
            let loaded = load::read_with(&text, home, Some(home), &Written::default());
            Self {
                config: loaded.expect("sound").config,
                seen: Seen::new(),
                ledger: Ledger::default(),
                facts: Facts::default(),
                passwords: BTreeMap::new(),
            }
        }

        /// With things that the ledger lists.
        pub(crate) fn made(mut self, made: impl IntoIterator<Item = Made>) -> Self {
            let edits: Vec<Edit> = made.into_iter().map(Edit::Add).collect();
            self.ledger.edit(&edits);
            self
        }

        /// The wish, on a day in 2026.
        pub(crate) fn wish(&self) -> Wish<'_> {
            Wish {
                config: &self.config,
                seen: &self.seen,
                facts: self.facts.clone(),
                ledger: self.ledger.clone(),
                passwords: &self.passwords,
                now: time::macros::datetime!(2026-11-22 12:00 UTC),
            }
        }
    }

    /// A value that mailctl made.
    pub(crate) fn value(name: &str, rtype: RType, value: &str) -> Made {
        Made::Value {
            key: RrsetKey::new(Name::parse(name).expect("a name"), rtype),
            value: value.into(),
        }
    }
}
