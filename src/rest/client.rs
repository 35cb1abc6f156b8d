//! The HTTP client of APIs.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Url};

use crate::failure::{Context, Result};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// A client for an address; to what is on this machine no proxy leads.
pub(super) fn client(address: &str) -> Result<Client> {
    let mut client = Client::builder()
        .user_agent(concat!("mailctl/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .timeout(REQUEST_LIMIT)
        // A redirect would carry the token to somebody else.
        .redirect(reqwest::redirect::Policy::none());
    if Url::parse(address).is_ok_and(|url| is_here(&url)) {
        client = client.no_proxy();
    }
    client.build().context("the HTTP client cannot be set up")
}

/// In how many seconds trying again helps, as `Retry-After` says (RFC 9110
/// section 10.2.3; its form as a date is not read).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?;
    said.trim().parse().ok()
}

/// Whether an address is of this machine.
pub(crate) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_several_names() {
        for (url, here) in [
            ("http://127.0.0.1:8081/api", true),
            ("http://[::1]:8081", true),
            ("https://localhost", true),
            ("https://127.0.0.1.example", false),
            ("https://203.0.113.7", false),
        ] {
            assert_eq!(is_here(&url.parse().expect("an address")), here, "{url}");
        }
    }
}
