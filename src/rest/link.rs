//! The HTTP side: requests to one API, and what its answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::api::{Rule, Step};
use super::auth::Auth;
use super::refusal::{Answered, PATIENCE, Refusal};
use super::request::Request;
use super::template::{self, Vars};
use super::xml;
use crate::failure::{Context, Failure, Result};
use crate::secret::Secret;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// How often a read is tried while the API is busy.
const READS: u32 = 4;

/// What a request is for. The method does not tell: some APIs read by POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// It looks, and may be sent again.
    Read,
    /// It changes something.
    Write,
}

/// Time, as this client has it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long a second is when it waits.
    pub second: Duration,
    /// What time it is.
    pub now: fn() -> OffsetDateTime,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            now: OffsetDateTime::now_utc,
        }
    }
}

/// One API.
pub struct Link {
    /// The hoster's name in full.
    pub title: String,
    /// The API's address.
    pub base: String,
    /// How requests are proven.
    pub auth: Auth,
    /// Headers of every request.
    pub headers: BTreeMap<String, String>,
    /// What answers mean.
    pub answers: Vec<Rule>,
    /// What must never be shown.
    pub secrets: Vec<Secret>,
    /// Where the credentials come from.
    pub credentials: String,
    /// Time.
    pub pace: Pace,
    /// The client, made when it is first needed.
    pub client: OnceCell<Client>,
}

impl Link {
    /// Sends what a step says, to `address` where that is not the step's own.
    ///
    /// # Errors
    /// What the answer means, if anything but success. A read is tried again while the API is busy.
    pub async fn send(
        &self,
        errand: Errand,
        step: &Step,
        vars: &Vars,
        address: Option<Url>,
    ) -> Result<Value, Refusal> {
        let mut tried = 0;
        loop {
            tried += 1;
            let request = self.request(step, vars, address.clone())?;
            match self.once(request, step).await {
                Err(Refusal::Busy(_, after)) if errand == Errand::Read && tried < READS => {
                    // Without a word from the API, 2, 4 and 8 seconds.
                    self.pause(after.unwrap_or(1 << tried)).await;
                }
                answered => return answered,
            }
        }
    }

    /// The address of a step.
    ///
    /// # Errors
    /// When something in it is not known.
    pub fn address(&self, step: &Step, vars: &Vars) -> Result<Url> {
        let (_, path) = call(step)?;
        let path = template::url(path, vars).map_err(|name| self.unknown(&name))?;
        // Joined as text: a base may have a path of its own.
        format!("{}{path}", self.base)
            .parse()
            .with_context(|| format!("{} is no address", self.base))
    }

    /// The address of a further page, if it is of this API: another one must not see the token.
    ///
    /// # Errors
    /// When it is somebody else's.
    pub fn further(&self, text: &str) -> Result<Url> {
        let base: Url = self
            .base
            .parse()
            .with_context(|| format!("{} is no address", self.base))?;
        let url = base
            .join(text)
            .context("the address of the next page is none")?;
        if url.origin() == base.origin() {
            return Ok(url);
        }
        Err(Failure::new(format!(
            "{} says that its next page is at another host",
            self.title
        )))
    }

    /// Waits so many seconds, but not for ever.
    pub async fn pause(&self, seconds: u32) {
        tokio::time::sleep(self.pace.second * seconds.min(PATIENCE)).await;
    }

    fn request(&self, step: &Step, vars: &Vars, address: Option<Url>) -> Result<Request> {
        let (method, _) = call(step)?;
        let url = match address {
            Some(url) => url,
            None => self.address(step, vars)?,
        };
        let mut request = Request {
            method,
            url,
            headers: Vec::new(),
            body: String::new(),
        };
        request.header("accept", "application/json")?;
        let mut vars = vars.clone();
        vars.insert("uuid".into(), uuid()?.into());
        for (name, value) in self.headers.iter().chain(&step.headers) {
            let value = template::text(value, &vars).map_err(|name| self.unknown(&name))?;
            request.header(name, &value)?;
        }
        if let Some(json) = &step.json {
            let body = template::json(json, &vars).map_err(|name| self.unknown(&name))?;
            request.body = body.to_string();
            request.header("content-type", "application/json")?;
        } else if let Some(form) = &step.form {
            request.body = template::form(form, &vars).map_err(|name| self.unknown(&name))?;
            request.header("content-type", "application/x-www-form-urlencoded")?;
        }
        Ok(request)
    }

    fn unknown(&self, name: &str) -> Failure {
        Failure::new(format!("the answers of {} have no `{name}`", self.title))
    }

    async fn once(&self, request: Request, step: &Step) -> Result<Value, Refusal> {
        let client = self.client().await?;
        let mut again = true;
        loop {
            let mut proven = request.clone();
            let now = (self.pace.now)();
            self.auth
                .prove(&mut proven, client, &self.base, now)
                .await?;
            let answer = proven
                .built(client)?
                .send()
                .await
                .map_err(|e| self.silent(e))?;
            // A token that has died meanwhile is no wrong secret.
            if answer.status() == StatusCode::UNAUTHORIZED && again && self.auth.forget().await {
                again = false;
                continue;
            }
            return self.read(answer, step, &proven).await;
        }
    }

    async fn read(&self, answer: Response, step: &Step, asked: &Request) -> Result<Value, Refusal> {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(|e| self.silent(e))?;
        if !status.is_success() {
            let answered = Answered {
                status,
                headers,
                text,
            };
            return Err(self.refused(&answered, asked, step));
        }
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        let read = if text.trim_start().starts_with('<') {
            xml::json(&text)
                .ok()
                .filter(|_| !text.trim_start().to_lowercase().starts_with("<!doctype"))
        } else {
            serde_json::from_str(&text).ok()
        };
        read.ok_or_else(|| {
            Refusal::Final(
                Failure::new(format!(
                    "{} answers something that cannot be read",
                    self.place()
                ))
                .hint("is `endpoint` right, and does no proxy answer in its place?"),
            )
        })
    }

    fn silent(&self, error: reqwest::Error) -> Refusal {
        let refused = error.is_connect() && !error.is_timeout();
        // Without the address, which may hold what nobody should see.
        let failure = Failure::new(format!("{} does not answer", self.place()))
            .hint("can this machine reach it, and is `endpoint`, if it is given, right?")
            .because(error.without_url());
        if refused {
            Refusal::Final(failure)
        } else {
            Refusal::Busy(failure, None)
        }
    }

    /// The hoster and the API's host.
    pub(super) fn place(&self) -> String {
        let host = Url::parse(&self.base).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or("?");
        format!("{} ({host})", self.title)
    }

    async fn client(&self) -> Result<&Client> {
        let base = self.base.clone();
        let make = || async {
            let made = tokio::task::spawn_blocking(move || client(&base)).await;
            made.context("the HTTP client was not finished")?
        };
        self.client.get_or_try_init(make).await
    }
}

fn call(step: &Step) -> Result<(Method, &str)> {
    let call = step.call.as_deref().unwrap_or_default();
    let (method, path) = call
        .split_once(' ')
        .ok_or_else(|| Failure::new(format!("`{call}` is no call")))?;
    let method = method
        .parse()
        .with_context(|| format!("`{call}` is no call"))?;
    Ok((method, path))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A client for an address; what is on this machine, no proxy leads to.
pub(super) fn client(address: &str) -> Result<Client> {
    let url = Url::parse(address).ok();
    let near = url.is_some_and(|url| url.host_str().is_some_and(is_loopback));
    let mut client = Client::builder()
        .user_agent(concat!("mailctl/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .timeout(REQUEST_LIMIT)
        // A redirect would carry the token to somebody else.
        .redirect(reqwest::redirect::Policy::none());
    if near {
        client = client.no_proxy();
    }
    client.build().context("the HTTP client cannot be set up")
}

/// A random UUID (RFC 9562 section 5.4).
fn uuid() -> Result<String> {
    let mut octets = crate::random::octets::<16>()?;
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    let hex: String = octets.iter().map(|o| format!("{o:02x}")).collect();
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}
