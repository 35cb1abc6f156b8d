//! What an RSA key signs: a body, or a JWT (RFC 7519) that stands for a service account.

use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use crate::failure::{Context, Exit, Failure, Result};

/// How long an assertion may be used, in seconds.
const LIFE: i64 = 600;

/// A number that is used once.
pub(super) fn nonce() -> Result<String> {
    Ok(super::hex(crate::random::octets::<8>()?))
}

/// The signature of `text` with SHA-512, base64.
pub(super) fn sha512(pem: &str, text: &[u8]) -> Result<String> {
    Ok(STANDARD.encode(signed(pem, &RSA_PKCS1_SHA512, text)?))
}

/// The assertion of RFC 7523 section 2.1, and where it is to be handed in.
pub(super) fn assertion(
    account: &str,
    scope: &str,
    now: OffsetDateTime,
) -> Result<(String, String)> {
    #[derive(Deserialize)]
    struct Account {
        client_email: String,
        private_key: String,
        token_uri: String,
    }
    let account: Account = serde_json::from_str(account).map_err(|_| {
        // The parser's own words may show a part of the key.
        Failure::new(
            "the service account's key is no JSON with client_email, private_key and token_uri",
        )
        .exit(Exit::Unsound)
    })?;
    let begins = now.unix_timestamp();
    let claims = json!({
        "iss": account.client_email,
        "scope": scope,
        "aud": account.token_uri,
        "iat": begins,
        "exp": begins + LIFE,
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = format!(
        "{}.{}",
        part(json!({"alg": "RS256", "typ": "JWT"})),
        part(claims)
    );
    let signature = signed(&account.private_key, &RSA_PKCS1_SHA256, head.as_bytes())?;
    let assertion = format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature));
    Ok((assertion, account.token_uri))
}

fn signed(pem: &str, how: &'static dyn RsaEncoding, text: &[u8]) -> Result<Vec<u8>> {
    let no_key = || Failure::new("the private key is no RSA key in PEM").exit(Exit::Unsound);
    let der: String = pem
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = STANDARD.decode(der).map_err(|_| no_key())?;
    let key = KeyPair::from_pkcs8(&der)
        .or_else(|_| KeyPair::from_der(&der))
        .map_err(|_| no_key())?;
    let mut signature = vec![0; key.public_modulus_len()];
    let random = aws_lc_rs::rand::SystemRandom::new();
    key.sign(how, &random, text, &mut signature)
        .context("signing failed")?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the value with which TransIP's own client for Go is tested.
    #[test]
    fn a_body_is_signed_as_the_hosters_own_client_does() {
        let key = include_str!("../../../tests/fixtures/transip-client-test-key.base64");
        let body = br#"{"login":"test-user","nonce":"98475920834","read_only":false,"expiration_time":"","global_key":false}"#;
        assert_eq!(
            sha512(key, body).expect("signed"),
            "TKjrjkdRqJLTQJI9QtI3JETV554bnrCmWUbUNdpUg/9OwOYHmtK76gjGs5nyWHVgOBHO9KZ15bCjkup/mzZP2sBnUtqfXxqXBfSh6bn/7a/1gOJzK71RtO84S0q1x7+DGago1OuYSMOdj8mgEMBUtY4aHHpHEy7eCahsCJCTEfMUb05Cq87mhE4XrjjGN2BJ8tEHPMxpWHjEtX1Z8uyaL0XY5l6dBmy1QP+ChyISrNe1n3gYZs9tyyPA9vgW+TqEVgq7mHL8l+g2Va1BwxR+rChoa5gTiJcA9fKJ8evVIBfcocXjRduMFzQW/SMp/yp3I4P7J0lUO0vDWVjEO8LX4A=="
        );
    }

    #[test]
    fn what_is_no_key_is_told_without_its_text() {
        let told = sha512("s3cr3t", b"x").expect_err("no key").told();
        assert!(
            told.contains("no RSA key in PEM") && !told.contains("s3cr3t"),
            "{told}"
        );
        let told = assertion(
            "{\"private_key\": \"s3cr3t\"}",
            "x",
            OffsetDateTime::UNIX_EPOCH,
        );
        let told = told.expect_err("no account").told();
        assert!(
            told.contains("client_email") && !told.contains("s3cr3t"),
            "{told}"
        );
    }
}
