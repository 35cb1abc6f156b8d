//! IPv6 as mail.yaml has it, and the host's own name.

use super::Wish;
use crate::config::Ipv6Wish;
use crate::kinds::hostname::Hostname;
use crate::kinds::hosts::Hosts;
use crate::kinds::netplan::Address6;
use crate::kinds::sysctl::Ipv6On;
use crate::resource::Resource;

/// Parameters before addresses: an address needs IPv6 to be on.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    let host = &wish.config.host;
    let address = match host.ipv6 {
        Some(Ipv6Wish::Address(address, prefix)) => Some((address, prefix)),
        Some(Ipv6Wish::None) | None => None,
    };
    let removed = host.ipv6 == Some(Ipv6Wish::None);
    let interface = host
        .interface
        .clone()
        .or_else(|| wish.facts.interface.clone());
    if !removed {
        let required = address.is_some() || !wish.facts.ipv6.is_empty();
        wanted.push(Box::new(Ipv6On {
            interface,
            required,
        }));
    }
    wanted.push(Box::new(Address6 {
        address,
        gateway: host.gateway6,
        interface: host.interface.clone(),
        removed,
    }));
    wanted.push(Box::new(Hosts(wish.config.host_name().clone())));
    wanted.push(Box::new(Hostname(wish.config.host_name().clone())));
}
