//! The key that signs requests (RFC 8945).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::TSigner;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use zeroize::Zeroizing;

use crate::failure::{Context, Exit, Failure, Result};
use crate::record::{Name, wire};
use crate::secret::Secret;

/// How many seconds the clocks may differ (RFC 8945 section 10 recommends 300).
const FUDGE: u16 = 300;

/// A key with its name and algorithm.
#[derive(Clone)]
pub struct Tsig {
    pub(super) signer: TSigner,
    pub(super) key_name: Name,
}

impl Tsig {
    /// `key` is base64, as in the server's configuration; `algorithm` is
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    ///
    /// # Errors
    /// When one of them is none, or the algorithm is an older one.
    pub fn new(key_name: &str, key: &Secret, algorithm: &str) -> Result<Self> {
        let name = Name::parse(key_name).map_err(|why| {
            Failure::new(format!("`key_name` is no name: {why}")).exit(Exit::Unsound)
        })?;
        // Its error would quote a part of the key.
        let octets = STANDARD.decode(key.expose().trim()).map(Zeroizing::new).map_err(|_| {
            Failure::new(format!("the TSIG key `{name}` is not base64"))
                .hint("give it as in the server's `secret`; by default it comes from the environment variable RFC2136_TSIG_KEY")
                .exit(Exit::Unsound)
        })?;
        let algorithm = match algorithm
            .trim_end_matches('.')
            .to_ascii_lowercase()
            .as_str()
        {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            other => {
                return Err(
                    Failure::new(format!("the TSIG algorithm `{other}` is not supported"))
                        .hint("use hmac-sha256, hmac-sha384 or hmac-sha512, here and on the server")
                        .exit(Exit::Unsound),
                );
            }
        };
        let wire_name = wire::name(&name).map_err(Failure::new)?;
        let signer = TSigner::new(octets.to_vec(), algorithm, wire_name, FUDGE)
            .with_context(|| format!("the TSIG key `{name}` cannot be used"))?;
        Ok(Self {
            signer,
            key_name: name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_key_is_said_without_showing_it() {
        let key = Secret::new("not base64 at all");
        let why = Tsig::new("mailctl", &key, "hmac-sha256")
            .err()
            .expect("an error");
        assert!(
            why.told().contains("mailctl") && !why.told().contains("at all"),
            "{}",
            why.told()
        );
        let key = Secret::new("c2VjcmV0");
        assert!(Tsig::new("mailctl", &key, "HMAC-SHA512.").is_ok());
        let why = Tsig::new("mailctl", &key, "hmac-md5")
            .err()
            .expect("an error");
        assert!(why.told().contains("hmac-sha256"), "{}", why.told());
    }
}
