//! OVH: `$1$` and the SHA-1 of secrets, request and time, joined by `+`.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use time::OffsetDateTime;

use super::hex;
use crate::failure::{Context, Result};
use crate::rest::request::Request;

/// How many seconds the hoster's clock is ahead of ours.
pub(super) async fn ahead(client: &reqwest::Client, base: &str, now: OffsetDateTime) -> Result<i64> {
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
pub(super) fn sign(request: &mut Request, application: &str, secret: &str, consumer: &str, time: i64) {
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
