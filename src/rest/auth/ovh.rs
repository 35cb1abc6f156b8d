//! OVH: `$1$` and the SHA-1 of secrets, request and time, joined by `+`.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use time::OffsetDateTime;

use super::hex;
use crate::failure::{Context, Result};
use crate::rest::request::Request;

/// How many seconds the hoster's clock is ahead of ours.
pub(super) async fn ahead(
    client: &reqwest::Client,
    base: &str,
    now: OffsetDateTime,
) -> Result<i64> {
    let answer = client.get(format!("{base}/auth/time")).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    let text = match answer {
        Ok(answer) => answer.text().await,
        Err(why) => Err(why),
    };
    let text = text
        .map_err(|e| e.without_url())
        .context("OVH does not tell its time, which every request has to carry")?;
    let theirs: i64 = text.trim().parse().context("OVH's time is no number")?;
    Ok(theirs - now.unix_timestamp())
}

/// Signs at `time`, in seconds since 1970 by the hoster's clock.
pub(super) fn sign(
    request: &mut Request,
    application: &str,
    secret: &str,
    consumer: &str,
    time: i64,
) {
    let signed = format!(
        "{secret}+{consumer}+{}+{}+{}+{time}",
        request.method, request.url, request.body
    );
    let signature = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes()));
    request.secret_header("X-Ovh-Application", application.to_owned());
    request.secret_header("X-Ovh-Consumer", consumer.to_owned());
    request.secret_header("X-Ovh-Timestamp", time.to_string());
    request.secret_header("X-Ovh-Signature", format!("$1${signature}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of OVH's own client for Go, with its revoked credentials.
    #[test]
    fn the_signature_is_that_of_the_hosters_own_client() {
        let body = r#"{"a":"b","c":"d"}"#;
        for (method, body, expected) in [
            ("GET", "", "$1$52992e595b398f6aba591ee5925b379081614ced"),
            ("POST", body, "$1$ea0e0d82447373a3ddf5947065f1d519ca0bcaf2"),
            ("PUT", body, "$1$0fdc3ed192ffbf3d1be414dbb733bbb7729500ee"),
            ("DELETE", "", "$1$f685c165fa9da88b294b5fd2504588588105f994"),
        ] {
            let mut request = Request::of(method, "https://api.eu.ovhcloud.com/1.0/auth", body);
            sign(
                &mut request,
                "TDPKJdwZwAQPwKX2",
                "9ufkBmLaTQ9nz5yMUlg79taH0GNnzDjk",
                "5mBuy6SUQcRw2ZUxg0cG68BoDKpED4KY",
                1_457_018_875,
            );
            assert_eq!(request.shown("X-Ovh-Signature"), expected, "{method}");
            assert_eq!(request.shown("X-Ovh-Timestamp"), "1457018875");
            assert_eq!(request.shown("X-Ovh-Application"), "TDPKJdwZwAQPwKX2");
        }
    }

    /// Computed with another program: what is percent-encoded is signed as it is sent.
    #[test]
    fn a_block_is_signed_as_it_stands_in_the_path() {
        let block = "https://eu.api.ovh.com/1.0/ip/203.0.113.7%2F32/reverse";
        let mut request = Request::of("POST", block, "{\"a\":1}");
        sign(&mut request, "app", "secret", "consumer", 1_700_000_000);
        let expected = "$1$9bdcc78d94c72954efbeec424a157f2fd9b79ef5";
        assert_eq!(request.shown("X-Ovh-Signature"), expected);
    }
}
