//! The HTTP side: requests, their limits, and what its errors mean.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OnceCell, Semaphore};

use super::rrset::{Change, RrsetJson, ZoneJson};
use crate::failure::{Context, Exit, Failure, Result};
use crate::record::{Name, RrsetKey};
use crate::rest::client::{is_here, retry_after};
use crate::secret::Secret;

/// The API stalls for a second beyond this number of connections.
const CONNECTIONS: usize = 8;
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a read is tried while the server is busy.
const READS: u32 = 3;

/// One server of the API.
pub(super) struct Api {
    client: OnceCell<Client>,
    /// The token as it is sent.
    header: HeaderValue,
    /// `…/api/v1/servers/{id}`
    base: Url,
    token: Secret,
    server_id: String,
    in_flight: Semaphore,
}

/// Why a request did not do what it should.
pub(super) enum Refusal {
    /// The server was busy or silent: a change may have been stored or not. It
    /// may say when to come back.
    Unclear(Failure, Option<Duration>),
    /// Trying again would not help.
    Final(Failure),
}

impl Refusal {
    fn told(self) -> Failure {
        match self {
            Self::Unclear(why, _) | Self::Final(why) => why,
        }
    }
}

impl Api {
    pub(super) fn new(endpoint: &str, token: Secret, server_id: &str) -> Result<Self> {
        let base = base(endpoint, server_id)?;
        let mut header = HeaderValue::from_str(token.expose()).map_err(|_| {
            Failure::new("the PowerDNS token has a character that no HTTP header can carry")
                .exit(Exit::Unsound)
        })?;
        header.set_sensitive(true);
        Ok(Self {
            client: OnceCell::new(),
            header,
            base,
            token,
            server_id: server_id.to_owned(),
            in_flight: Semaphore::new(CONNECTIONS),
        })
    }

    /// The client, made when it is first needed: reading the system's trust
    /// anchors takes a while, in which others can work.
    async fn client(&self) -> Result<&Client> {
        let make = || async {
            let header = self.header.clone();
            let near = is_here(&self.base);
            let made = tokio::task::spawn_blocking(move || client(header, near));
            made.await
                .context("the HTTP client for PowerDNS was not finished")?
        };
        self.client.get_or_try_init(make).await
    }

    /// The zone's sets; one set only, where the server knows how to pick it.
    pub(super) async fn rrsets(
        &self,
        zone: &Name,
        only: Option<&RrsetKey>,
    ) -> Result<Vec<RrsetJson>> {
        let mut url = self.zone_url(zone);
        if let Some(key) = only {
            url.query_pairs_mut()
                .append_pair("rrset_name", &key.name.fqdn())
                .append_pair("rrset_type", key.rtype.as_str());
        }
        let mut tried = 0;
        let body = loop {
            tried += 1;
            match self.send(zone, |client| client.get(url.clone())).await {
                Ok(body) => break body,
                Err(Refusal::Unclear(_, wait)) if tried < READS => pause(tried, wait).await,
                Err(refusal) => return Err(refusal.told()),
            }
        };
        let read: ZoneJson = serde_json::from_slice(&body).with_context(|| {
            format!(
                "{} answers no zone for {zone}: is it PowerDNS's API?",
                self.place()
            )
        })?;
        Ok(read.rrsets)
    }

    /// Replaces or deletes one set.
    pub(super) async fn replace(
        &self,
        zone: &Name,
        change: &Change,
    ) -> std::result::Result<(), Refusal> {
        let request = |client: &Client| {
            client
                .patch(self.zone_url(zone))
                .json(&json!({"rrsets": [change]}))
        };
        self.send(zone, request).await.map(drop)
    }

    async fn send(
        &self,
        zone: &Name,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> std::result::Result<Vec<u8>, Refusal> {
        let _permit = self
            .in_flight
            .acquire()
            .await
            .context("asking has ended")
            .map_err(Refusal::Final)?;
        let request = request(self.client().await.map_err(Refusal::Final)?);
        let answer = request.send().await.map_err(|e| self.unreachable(e))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer
                .bytes()
                .await
                .map_err(|e| self.unreachable(e))?
                .to_vec());
        }
        // A proxy before the API may say it.
        let wait = retry_after(answer.headers());
        let wait = wait.map(|seconds| Duration::from_secs(seconds.into()).min(LONGEST_WAIT));
        Err(self.refused(zone, status, self.reason(answer).await, wait))
    }

    fn unreachable(&self, error: reqwest::Error) -> Refusal {
        let refused = error.is_connect() && !error.is_timeout();
        let failure = Failure::new(format!("PowerDNS's API at {} does not answer", self.place()))
            .hint("is `endpoint` right, is the API switched on (`api=yes`, `webserver=yes`) and does it let this machine in (`webserver-allow-from`)?")
            // Without the address, which may hold a password.
            .because(error.without_url());
        if refused {
            Refusal::Final(failure)
        } else {
            Refusal::Unclear(failure, None)
        }
    }

    fn refused(
        &self,
        zone: &Name,
        status: StatusCode,
        reason: String,
        wait: Option<Duration>,
    ) -> Refusal {
        let place = self.place();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Refusal::Final(
                Failure::new(format!("the token is refused by PowerDNS at {place} ({status})"))
                    .hint("set `token` to the server's `api-key`; by default it comes from the environment variable PDNS_API_KEY"),
            ),
            StatusCode::NOT_FOUND => Refusal::Final(self.no_such_zone(zone)),
            StatusCode::UNPROCESSABLE_ENTITY if reason.contains("Could not find domain") => {
                Refusal::Final(self.no_such_zone(zone))
            }
            busy if busy == StatusCode::TOO_MANY_REQUESTS || busy.is_server_error() => {
                Refusal::Unclear(self.complaint(zone, status, &reason), wait)
            }
            _ => Refusal::Final(self.complaint(zone, status, &reason)),
        }
    }

    fn no_such_zone(&self, zone: &Name) -> Failure {
        Failure::new(format!(
            "the zone {zone} is not on PowerDNS's server `{}` at {}",
            self.server_id,
            self.place()
        ))
        .hint(format!(
            "create it (`pdnsutil create-zone {zone}`), or correct `zone` or `server_id`"
        ))
    }

    fn complaint(&self, zone: &Name, status: StatusCode, reason: &str) -> Failure {
        Failure::new(format!(
            "PowerDNS at {} answers {status} for the zone {zone}: {reason}",
            self.place()
        ))
    }

    /// The error text of the answer, short and without the token.
    async fn reason(&self, answer: Response) -> String {
        #[derive(Deserialize)]
        struct Complaint {
            error: String,
        }
        let body = answer.text().await.unwrap_or_default();
        let text =
            serde_json::from_str::<Complaint>(&body).map_or(body, |complaint| complaint.error);
        text.replace(self.token.expose(), "[secret]")
            .trim()
            .chars()
            .take(300)
            .collect()
    }

    fn zone_url(&self, zone: &Name) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/zones/{}", self.base.path(), zone.fqdn()));
        url
    }

    /// The endpoint without path and without a login that may stand in it.
    fn place(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        let port = self
            .base
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        format!("{}://{host}{port}", self.base.scheme())
    }
}

fn client(token: HeaderValue, near: bool) -> Result<Client> {
    let mut client = Client::builder()
        .default_headers(HeaderMap::from_iter([(
            "X-API-Key".parse().context("a header name")?,
            token,
        )]))
        .connect_timeout(CONNECT_LIMIT)
        .timeout(REQUEST_LIMIT)
        .pool_max_idle_per_host(CONNECTIONS)
        // A redirect would carry the token to somebody else.
        .redirect(reqwest::redirect::Policy::none());
    if near {
        client = client.no_proxy();
    }
    client
        .build()
        .context("the HTTP client for PowerDNS cannot be set up")
}

fn base(endpoint: &str, server_id: &str) -> Result<Url> {
    let unsound = || {
        Failure::new("`endpoint` of PowerDNS is no HTTP address")
            .hint("write it like http://127.0.0.1:8081")
            .exit(Exit::Unsound)
    };
    let mut url = Url::parse(endpoint).map_err(|_| unsound())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(unsound());
    }
    let path = url.path().trim_end_matches('/');
    let root = path
        .strip_suffix("/api/v1")
        .or_else(|| path.strip_suffix("/api"))
        .unwrap_or(path);
    let path = format!("{root}/api/v1/servers/{server_id}");
    url.set_path(&path);
    url.set_query(None);
    Ok(url)
}

/// Waits as long as the server says, and then longer each time, by a random part
/// so that clients do not come back together.
pub(super) async fn pause(tried: u32, wait: Option<Duration>) {
    if let Some(wait) = wait {
        tokio::time::sleep(wait).await;
    }
    let jitter = RandomState::new().build_hasher().finish() % 100;
    tokio::time::sleep(Duration::from_millis(50 * (1 << tried.min(6)) + jitter)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_may_come_in_any_usual_form() {
        for endpoint in [
            "http://127.0.0.1:8081",
            "http://127.0.0.1:8081/",
            "http://127.0.0.1:8081/api/v1",
            "http://127.0.0.1:8081/api/v1/",
        ] {
            let url = base(endpoint, "localhost").expect("an endpoint");
            assert_eq!(
                url.as_str(),
                "http://127.0.0.1:8081/api/v1/servers/localhost"
            );
        }
        let behind = base("https://dns.example/pdns/", "main").expect("an endpoint");
        assert_eq!(
            behind.as_str(),
            "https://dns.example/pdns/api/v1/servers/main"
        );
        for endpoint in ["127.0.0.1:8081", "ftp://127.0.0.1", ""] {
            assert_eq!(
                base(endpoint, "localhost").expect_err("none").code(),
                Exit::Unsound
            );
        }
    }

    #[test]
    fn neither_token_nor_login_is_in_a_message() {
        let api = Api::new(
            "http://user:pass@127.0.0.1:8081",
            Secret::new("t0ken"),
            "localhost",
        )
        .expect("an API");
        assert_eq!(api.place(), "http://127.0.0.1:8081");
    }
}
