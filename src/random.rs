//! Random octets of the operating system, which has them at once. The first
//! ones of the TLS library take a twentieth of a second: it collects its own.

use crate::failure::{Failure, Result};

/// Fresh octets, fit for keys and passwords.
///
/// # Errors
/// When the system has none, which no system should ever say.
pub fn octets<const N: usize>() -> Result<[u8; N]> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets)
        .map_err(|why| Failure::new("the operating system gives no random numbers").because(why))?;
    Ok(octets)
}
