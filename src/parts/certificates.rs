//! One certificate for the host, the domains and their wildcards.

use super::{Wish, caa, records};
use crate::acme;
use crate::config::Config;
use crate::kinds::certificate::{self, InstallWish, OrderWish, ReloadWish};
use crate::record::Name;
use crate::resource::Resource;
use crate::zone::manual;

fn certificate(wish: &Wish) -> certificate::Wish {
    let certificates = &wish.config.certificates;
    let names = wish.config.certificate_names();
    let by_hand = names.iter().any(|name| is_by_hand(wish.config, name));
    certificate::Wish {
        host: wish.config.host_name().clone(),
        names,
        directory: acme::directory_of(&certificates.authority).unwrap_or_default(),
        key: certificates.key,
        by_hand,
        now: wish.now.unix_timestamp(),
        needs: caa::ids(wish),
    }
}

/// Whether a person holds the zone that a name is proven in.
fn is_by_hand(config: &Config, name: &str) -> bool {
    let Ok(name) = Name::parse(name.trim_start_matches("*.")) else {
        return false;
    };
    let holder = records::holder(config, &name);
    records::provider(config, &holder) == manual::ID
}

/// Ordered early: the authority works while apt downloads.
pub fn order(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    wanted.push(Box::new(OrderWish(certificate(wish))));
}

/// Put in place before the service is started.
pub fn install(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    wanted.push(Box::new(InstallWish(certificate(wish))));
}

/// Told to the programs that share it, after chasquid serves it.
pub fn reload(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    let commands = wish.config.certificates.reload.clone();
    wanted.push(Box::new(ReloadWish {
        commands,
        host: wish.config.host_name().clone(),
    }));
}
