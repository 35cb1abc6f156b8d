//! The certificate that the server has, as its own disk shows it: whoever has
//! logged in over SSH knows by it whom a password is given to, whatever the
//! certificate is worth to others.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::failure::Result;
use crate::observe::quote;
use crate::record::Name;
use crate::remote::{Remote, Script};

/// The host's certificate without those of its issuers; none where there is none.
///
/// # Errors
/// When the connection to the server is lost.
pub fn certificate(remote: &dyn Remote, host: &Name) -> Result<Vec<CertificateDer<'static>>> {
    let path = quote(&format!("/etc/chasquid/certs/{host}/fullchain.pem"));
    let output = remote.run(&Script::new(format!("cat -- {path} 2>/dev/null || :\n")))?;
    let first = CertificateDer::pem_slice_iter(&output.out).next();
    Ok(first
        .and_then(std::result::Result::ok)
        .into_iter()
        .collect())
}
