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

/// Signs host, date and content type if there is one, the path and the body; the query must be empty.
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
    let kind = request.headers.iter();
    let kind = kind
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .find_map(|(_, value)| value.to_str().ok());
    let mut signed = vec![("host", host.as_str()), ("x-amz-date", stamp.as_str())];
    // By name, as the signature wants them.
    signed.splice(..0, kind.map(|kind| ("content-type", kind)));
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"));
    let canonical = format!(
        "{}\n{}\n\n{}\n{names}\n{}",
        request.method,
        request.url.path(),
        lines.collect::<String>(),
        hex(digest(&SHA256, request.body.as_bytes()))
    );
    let scope = format!("{day}/{}/{}/aws4_request", key.region, key.service);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
        hex(digest(&SHA256, canonical.as_bytes()))
    );
    let first = format!("AWS4{}", key.secret).into_bytes();
    let signing = [day, key.region, key.service, "aws4_request"]
        .into_iter()
        .fold(first, |key, part| mac(&key, part));
    let signature = hex(mac(&signing, &to_sign));
    request.header("X-Amz-Date", &stamp)?;
    request.secret_header(
        "Authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
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

    /// Cases of AWS's own test suite.
    #[test]
    fn the_signature_is_that_of_the_test_suite() {
        let form = "application/x-www-form-urlencoded";
        let with_parameters = "application/x-www-form-urlencoded; charset=utf8";
        for (case, method, kind, body, names, signature) in [
            (
                "get-vanilla",
                "GET",
                None,
                "",
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                "POST",
                None,
                "",
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                Some(form),
                "Param1=value1",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "post-x-www-form-urlencoded-parameters",
                "POST",
                Some(with_parameters),
                "Param1=value1",
                "content-type;host;x-amz-date",
                "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
            ),
        ] {
            let mut request = Request::of(method, "https://example.amazonaws.com/", body);
            if let Some(kind) = kind {
                request.header("content-type", kind).expect("a header");
            }
            let key = Key {
                service: "service",
                region: "us-east-1",
                id: "AKIDEXAMPLE",
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            };
            sign(&mut request, &key, datetime!(2015-08-30 12:36:00 UTC)).expect("signed");
            assert_eq!(
                request.shown("Authorization"),
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, Signature={signature}"
                ),
                "{case}"
            );
        }
    }
}
