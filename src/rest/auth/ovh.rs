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

    #[test]
    fn the_signature_is_over_all_of_the_request() {
        let mut request = Request {
            method: reqwest::Method::POST,
            url: "https://eu.api.ovh.com/1.0/ip/203.0.113.7%2F32/reverse"
                .parse()
                .expect("an address"),
            headers: Vec::new(),
            body: "{\"a\":1}".into(),
        };
        sign(&mut request, "app", "secret", "consumer", 1_700_000_000);
        // Computed with another program.
        let proof = request.headers.last().map(|(_, value)| value);
        let expected = "$1$9bdcc78d94c72954efbeec424a157f2fd9b79ef5";
        assert_eq!(proof.and_then(|value| value.to_str().ok()), Some(expected));
    }
}
