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

    /// The first two are of Exoscale's own client for Go, the next two of its
    /// documentation; the last was computed with another program.
    #[test]
    fn the_signature_is_that_of_the_hosters_own_client() {
        let client = ("EXOxxxxxxxxxxxxxxxxxxxxxxxx", "X".repeat(43));
        let documented = (
            "EXO29147e9f89102b7ac1e88514",
            "Gjq2O4GmXbrVwWiwvSaXAX4pkXhJyK8Dl7zuvkJ8rIw".to_owned(),
        );
        for ((key, secret), method, path, body, expected) in [
            (
                &client,
                "GET",
                "zone",
                "",
                "expires=3376684800,signature=Ntbq/p0HVmA3Zg1HHY+Lq1vjFGi7HeMrrgXDS5jRNlY=",
            ),
            (
                &client,
                "GET",
                "zone?k1=v1&k2=v2",
                "",
                "signed-query-args=k1;k2,expires=3376684800,signature=iqOBz13+44L5j0uJclE8hmUhQQcvtCSoPEOXYK6liqY=",
            ),
            (
                &documented,
                "GET",
                "resource/a02baf5a-a3e4-49a0-857b-8a08d276c1c0?p2=v2&p1=v1",
                "",
                "signed-query-args=p1;p2,expires=1599140767,signature=iySgamuwvts0vmltyqBfonKPaMk6hdLUtE/jsf9Mac0=",
            ),
            (
                &documented,
                "POST",
                "security-group",
                r#"{"name": "my-security-group"}"#,
                "expires=1599140767,signature=NXg7zm51sncCLHq+vWfQ6aaJC06Lvr94RrdznIh8MvM=",
            ),
            (
                &("key", "secret".to_owned()),
                "GET",
                "instance?ip-address=203.0.113.7",
                "",
                "signed-query-args=ip-address,expires=1700000600,signature=8lilHG8DrJAFkhNnLX33xFyw6kgnlMGYfJ8v8zeOlnk=",
            ),
        ] {
            let expires = expected
                .split("expires=")
                .nth(1)
                .and_then(|rest| rest.split(',').next());
            let expires: i64 = expires.expect("a time").parse().expect("a time");
            let url = format!("https://api-ch-gva-2.exoscale.com/v2/{path}");
            let mut request = Request::of(method, &url, body);
            sign(&mut request, key, secret, expires - LIFE);
            let proof = format!("EXO2-HMAC-SHA256 credential={key},{expected}");
            assert_eq!(request.shown("Authorization"), proof);
        }
    }
}
