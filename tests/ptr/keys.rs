//! An RSA key of the tests, and whether it made a signature.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).expect("a key"));

/// The key as users have it.
pub fn pem() -> String {
    let der: Pkcs8V1Der<'_> = KEY.as_der().expect("DER");
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64"))
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

fn verified(how: &'static RsaParameters, text: &str, signature: &[u8]) -> Result<(), String> {
    UnparsedPublicKey::new(how, KEY.public_key().as_ref())
        .verify(text.as_bytes(), signature)
        .map_err(|_| "the signature is wrong".to_owned())
}

pub fn signs_body(signature: &str, body: &str) -> Result<(), String> {
    let octets = STANDARD.decode(signature).map_err(|e| e.to_string())?;
    verified(&RSA_PKCS1_2048_8192_SHA512, body, &octets)
}

pub fn signs_jwt(assertion: &str) -> Result<(), String> {
    let (signed, signature) = assertion.rsplit_once('.').ok_or("no JWT")?;
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|e| e.to_string());
    verified(&RSA_PKCS1_2048_8192_SHA256, signed, &decoded(signature)?)?;
    let claims = decoded(signed.split_once('.').ok_or("no claims")?.1)?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).map_err(|e| e.to_string())?;
    if claims["iss"] == "mailctl@p1.test" && claims["scope"].is_string() {
        Ok(())
    } else {
        Err(claims.to_string())
    }
}
