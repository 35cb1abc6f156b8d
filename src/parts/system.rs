//! A system that is supported, and no other mail server on it.

use super::Wish;
use crate::kinds::port::Port;
use crate::kinds::supported::System;
use crate::resource::Resource;

/// SMTP, submission over TLS (RFC 8314), and submission with STARTTLS.
pub const PORTS: [u16; 3] = [25, 465, 587];

/// Whatever would make everything else pointless.
pub fn wish(_: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    wanted.push(Box::new(System));
    wanted.extend(PORTS.map(|port| Box::new(Port(port)) as Box<dyn Resource>));
}
