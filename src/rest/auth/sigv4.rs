//! AWS Signature Version 4, for requests whose whole meaning is in the body.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use time::OffsetDateTime;
use time::macros::format_description;

use super::hex;
use crate::failure::{Context, Failure, Result};
use crate::rest::request::Request;

/// Who signs, and for what.
pub(super) struct Key<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
}

/// Signs host, date and content type, the path and the body; the query must be empty.
pub(super) fn sign(request: &mut Request, key: &Key<'_>, now: OffsetDateTime) -> Result<()> {
    let stamp = now
        .format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ))
        .context("the time cannot be written")?;
    let day = stamp.get(..8).unwrap_or_default();
    let host = request
        .url
        .host_str()
        .ok_or_else(|| Failure::new("the API's address has no host"))?;
    let host = match request.url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let kind = request
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let kind = kind
        .and_then(|(_, value)| value.to_str().ok())
        .unwrap_or_default();
    const SIGNED: &str = "content-type;host;x-amz-date";
    let canonical = format!(
        "{}\n{}\n\ncontent-type:{kind}\nhost:{host}\nx-amz-date:{stamp}\n\n{SIGNED}\n{}",
        request.method,
        request.url.path(),
        hex(digest(&SHA256, request.body.as_bytes()))
    );
    let scope = format!("{day}/{}/{}/aws4_request", key.region, key.service);
    let signed = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
        hex(digest(&SHA256, canonical.as_bytes()))
    );
    let first = format!("AWS4{}", key.secret).into_bytes();
    let signing = [day, key.region, key.service, "aws4_request"]
        .into_iter()
        .fold(first, |key, part| mac(&key, part));
    let signature = hex(mac(&signing, &signed));
    request.header("X-Amz-Date", &stamp)?;
    request.secret_header(
        "Authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={SIGNED}, Signature={signature}",
            key.id
        ),
    );
    Ok(())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// `post-x-www-form-urlencoded` of AWS's own test suite.
    #[test]
    fn the_signature_is_that_of_the_test_suite() {
        let mut request = Request {
            method: reqwest::Method::POST,
            url: "https://example.amazonaws.com/"
                .parse()
                .expect("an address"),
            headers: Vec::new(),
            body: "Param1=value1".into(),
        };
        let kind = "application/x-www-form-urlencoded";
        request.header("content-type", kind).expect("a header");
        let key = Key {
            service: "service",
            region: "us-east-1",
            id: "AKIDEXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        };
        sign(&mut request, &key, datetime!(2015-08-30 12:36:00 UTC)).expect("signed");
        let proof = request.headers.last().map(|(_, value)| value);
        let proof = proof
            .and_then(|value| value.to_str().ok())
            .expect("a proof");
        let expected = "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        assert!(proof.ends_with(expected), "{proof}");
    }
}
