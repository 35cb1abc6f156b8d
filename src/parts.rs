//! The whole server on one screen: what a mail server is made of, in the order
//! in which it is made.

pub mod base;
pub mod certificates;
pub mod chasquid;
pub mod dkim;
pub mod domains;
pub mod firewall;
pub mod gone;
pub mod network;
pub mod packages;
pub mod records;
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
