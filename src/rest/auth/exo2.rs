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
    let signature = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        signed.as_bytes(),
    );
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures were computed with another program.
    #[test]
    fn the_signature_is_over_path_body_and_query() {
        for (method, path, body, expected) in [
            (
                "GET",
                "/v2/instance?ip-address=203.0.113.7",
                "",
                "credential=key,signed-query-args=ip-address,expires=1700000600,signature=8lilHG8DrJAFkhNnLX33xFyw6kgnlMGYfJ8v8zeOlnk=",
            ),
            (
                "POST",
                "/v2/reverse-dns/instance/i",
                "{\"a\":1}",
                "credential=key,expires=1700000600,signature=Y2ptas9K4xwOvOkMLncpKt+DLoFrFdTCrtCzAeS6Oxg=",
            ),
        ] {
            let url = format!("https://api-ch-gva-2.exoscale.com{path}");
            let mut request = Request {
                method: method.parse().expect("a method"),
                url: url.parse().expect("an address"),
                headers: Vec::new(),
                body: body.into(),
            };
            sign(&mut request, "key", "secret", 1_700_000_000);
            let proof = request.headers[0].1.to_str().expect("text").to_owned();
            assert_eq!(proof, format!("EXO2-HMAC-SHA256 {expected}"));
        }
    }
}
