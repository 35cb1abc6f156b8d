//! The server's own firewall lets mail through.

use super::Wish;
use super::system::PORTS;
use crate::kinds::firewall::Open;
use crate::resource::Resource;

/// Where one is active, and mail.yaml does not say otherwise.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    if wish.config.host.base.firewall {
        wanted.push(Box::new(Open(PORTS.to_vec())));
    }
}
