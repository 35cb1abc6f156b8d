//! Exoscale's `EXO2-HMAC-SHA256`: method and path, body, query values, headers
//! (none are signed) and the time until which it counts, each on a line.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::rest::request::Request;

/// How long a signature counts, in seconds.
const LIFE: i64 = 600;

/// Signs at `time`, in seconds since 1970.
pub(super) fn sign(request: &mut Request, key: &str, secret: &str, time: i64) {
    let expires = time + LIFE;
    let mut query: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
    query.sort();
    let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
    let values: String = query.iter().map(|(_, value)| value.as_str()).collect();
    let signed = format!(
        "{} {}\n{}\n{values}\n\n{expires}",
        request.method,
        request.url.path(),
        request.body
    );
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    let args = if names.is_empty() {
        String::new()
    } else {
        format!(",signed-query-args={}", names.join(";"))
    };
    let proof = format!(
        "EXO2-HMAC-SHA256 credential={key}{args},expires={expires},signature={}",
        STANDARD.encode(signature)
    );
    request.secret_header("Authorization", proof);
}
