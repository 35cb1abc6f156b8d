//! Files over HTTPS, as whoever sends mail to a domain fetches them: by the
//! given resolver, without a proxy, and no further than the first answer. A
//! redirection is an answer too, since MTA-STS forbids to follow it (RFC 8461 section 3.3).

mod trouble;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderName, LOCATION};
use reqwest::{Client, Response, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

pub(super) use self::trouble::certificate;
use super::memo::Memo;
use super::outside::Outside;
use crate::record::Name;

/// What is read of a file at most: as much as RFC 8461 section 3.3 lets a policy have.
pub const LIMIT: usize = 64 << 10;

/// How many redirections are followed.
const MOST: usize = 3;

/// What a web server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status code (RFC 9110 section 15).
    pub status: u16,
    /// The media type without parameters, in lower case; empty where none is named.
    pub media_type: String,
    /// Where a redirection leads.
    pub location: Option<String>,
    /// The content, [`LIMIT`] octets of it at most.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It could not be tried from here; says nothing about the server.
    Unknown(String),
    /// The name has no address.
    Nowhere(String),
    /// No connection comes about, and it is not for the way from here.
    Closed(String),
    /// The certificate is not for the name, has expired, or is nobody's that is trusted.
    Certificate(String),
    /// TLS or HTTP broke off.
    Broken(String),
}

impl Trouble {
    /// The sentence.
    pub fn text(&self) -> &str {
        match self {
            Self::Unknown(text)
            | Self::Nowhere(text)
            | Self::Closed(text)
            | Self::Certificate(text)
            | Self::Broken(text) => text,
        }
    }
}

/// What fetching came to.
pub type Fetched = Arc<Result<Page, Trouble>>;

/// What was fetched already, and the client that fetches.
#[derive(Default)]
pub struct Pages {
    client: OnceLock<Result<Client, String>>,
    places: Arc<Places>,
    known: Memo<String, Fetched>,
    /// Whether HTTPS far away answers, over IPv4 or not.
    far: Memo<bool, bool>,
}

impl Outside {
    /// What stands at a URL; fetched once.
    pub async fn fetch(&self, url: &str) -> Fetched {
        let find = || async { Arc::new(self.get(url).await) };
        self.pages.known.get(url.to_owned(), find).await
    }

    /// What stands where the redirections from a URL end, for files that are
    /// none of MTA-STS; a redirection where there are too many.
    pub async fn follow(&self, url: &str) -> Fetched {
        let mut url = url.to_owned();
        let mut fetched = self.fetch(&url).await;
        for _ in 0..MOST {
            let Some(next) = onward(&url, &fetched) else {
                break;
            };
            fetched = self.fetch(&next).await;
            url = next;
        }
        fetched
    }

    async fn get(&self, text: &str) -> Result<Page, Trouble> {
        let url = Url::parse(text).map_err(|e| Trouble::Broken(format!("`{text}`: {e}")))?;
        if url.scheme() != "https" {
            return Err(Trouble::Broken(format!("`{text}` is no HTTPS")));
        }
        let place = self.place(&url).await?;
        let client = self.pages.client.get_or_init(|| {
            let places = self.pages.places.clone();
            client(self.roots(), self.settings.patience, places)
        });
        let client = client.as_ref().map_err(|e| Trouble::Unknown(e.clone()))?;
        self.pages.places.set(&url, place);
        let answer = client.get(url).send().await;
        match answer {
            Ok(answer) => read(answer).await,
            Err(e) => Err(trouble::of(&e)),
        }
    }

    /// The first of the host's addresses that takes a connection: so it is
    /// known what failed, the way or what is at its end.
    async fn place(&self, url: &Url) -> Result<SocketAddr, Trouble> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => {
                let name = Name::parse(host).map_err(Trouble::Nowhere)?;
                self.addresses(&name).await.map_err(Trouble::Unknown)?
            }
        };
        if addresses.is_empty() {
            return Err(Trouble::Nowhere(format!("{host} has no address")));
        }
        let mut refused = None;
        let mut silent = None;
        for address in addresses {
            let place = SocketAddr::new(address, port);
            match connect(place, self.settings.patience / 2).await {
                Ok(()) => return Ok(place),
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => refused = Some(place),
                Err(e)
                    if e.kind() == io::ErrorKind::TimedOut && self.web_answers(address).await =>
                {
                    refused = refused.or(Some(place));
                }
                Err(e) => silent = Some(format!("{place} does not answer: {e}")),
            }
        }
        match (refused, silent) {
            (Some(place), _) => Err(Trouble::Closed(format!("{place} takes no connection"))),
            (None, silent) => Err(Trouble::Unknown(silent.unwrap_or_default())),
        }
    }

    /// Whether a web server far away answers over the family of `address`:
    /// else a silence is one of the way from here.
    async fn web_answers(&self, address: IpAddr) -> bool {
        let four = address.is_ipv4();
        let find = || async {
            let Ok(url) = Url::parse(&self.settings.rdap) else {
                return false;
            };
            let port = url.port_or_known_default().unwrap_or(443);
            let Ok(name) = Name::parse(url.host_str().unwrap_or_default()) else {
                return false;
            };
            let addresses = self.addresses(&name).await.unwrap_or_default();
            for address in addresses.into_iter().filter(|a| a.is_ipv4() == four) {
                let place = SocketAddr::new(address, port);
                if connect(place, self.settings.patience / 2).await.is_ok() {
                    return true;
                }
            }
            false
        };
        self.pages.far.get(four, find).await
    }
}

/// Where a redirection leads.
fn onward(url: &str, fetched: &Result<Page, Trouble>) -> Option<String> {
    let page = fetched.as_ref().ok()?;
    let to = page.location.as_deref()?;
    let moved = (300..400).contains(&page.status);
    let to = Url::parse(url).ok()?.join(to).ok()?;
    moved.then(|| to.to_string())
}

async fn connect(place: SocketAddr, patience: Duration) -> io::Result<()> {
    match tokio::time::timeout(patience, TcpStream::connect(place)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => {
            let silence = format!("no answer within {} s", patience.as_secs_f32());
            Err(io::Error::new(io::ErrorKind::TimedOut, silence))
        }
    }
}

/// A client with the same trust anchors as everything else here.
fn client(
    roots: Arc<RootCertStore>,
    patience: Duration,
    places: Arc<Places>,
) -> Result<Client, String> {
    if roots.is_empty() {
        return Err("this machine has no list of trusted authorities".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .user_agent(concat!("mailctl/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(patience)
        .dns_resolver(places)
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|e| format!("HTTPS cannot be set up: {}", trouble::chain(&e)))
}

/// The addresses that connections may go to, by host: the client looks nothing up itself.
#[derive(Default)]
struct Places(Mutex<HashMap<String, SocketAddr>>);

impl Places {
    fn set(&self, url: &Url, place: SocketAddr) {
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(host, place);
    }
}

impl Resolve for Places {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.get(name.as_str()).copied();
        Box::pin(async move {
            let place = place.ok_or("the name was not looked up")?;
            Ok(Box::new(std::iter::once(place)) as Addrs)
        })
    }
}

async fn read(mut answer: Response) -> Result<Page, Trouble> {
    let header = |name: HeaderName| {
        let value = answer.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
    };
    let media_type = header(CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let mut page = Page {
        status: answer.status().as_u16(),
        media_type: media_type.to_ascii_lowercase(),
        location: header(LOCATION),
        body: Vec::new(),
        whole: true,
    };
    while let Some(chunk) = answer.chunk().await.map_err(|e| trouble::of(&e))? {
        page.body.extend_from_slice(&chunk);
        if page.body.len() > LIMIT {
            page.body.truncate(LIMIT);
            page.whole = false;
            break;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_leads_on() {
        let page = |status, location: Option<&str>| {
            Ok(Page {
                status,
                media_type: String::new(),
                location: location.map(str::to_owned),
                body: Vec::new(),
                whole: true,
            })
        };
        let from = "https://a.example/logo.svg";
        let to = |page| onward(from, &page);
        let next = Some("https://a.example/b.svg".to_owned());
        assert_eq!(to(page(302, Some("/b.svg"))), next);
        assert_eq!(to(page(301, Some("https://a.example/b.svg"))), next);
        assert_eq!(to(page(200, Some("/b.svg"))), None);
        assert_eq!(to(page(304, None)), None);
        assert_eq!(to(Err(Trouble::Broken("x".into()))), None);
    }
}
