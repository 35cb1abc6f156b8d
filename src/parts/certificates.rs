//! One certificate for the host, the domains and their wildcards.

use super::Wish;
use crate::acme;
use crate::kinds::certificate::{self, InstallWish, OrderWish, ReloadWish};
use crate::resource::Resource;

fn certificate(wish: &Wish) -> certificate::Wish {
    let certificates = &wish.config.certificates;
    certificate::Wish {
        host: wish.config.host_name().clone(),
        names: wish.config.certificate_names(),
        directory: acme::directory_of(&certificates.authority).unwrap_or_default(),
        key: certificates.key,
        now: wish.now.unix_timestamp(),
    }
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
