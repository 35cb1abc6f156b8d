//! Fields for a short-lived token.

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{Exchange, Sign, rsa};
use crate::failure::{Context, Exit, Failure, Result};
use crate::rest::pick;
use crate::rest::refusal::Refusal;
use crate::rest::template::{self, Vars};
use crate::secret::Secret;

/// How long a token lives where its answer does not say, in seconds.
const LIFE: i64 = 240;
/// A token that dies sooner than this is not used any more, in seconds.
const LEFT: i64 = 30;

/// A token.
pub(super) struct Token {
    pub(super) text: Secret,
    dies: OffsetDateTime,
}

impl Token {
    pub(super) fn lives(&self, now: OffsetDateTime) -> bool {
        now + Duration::seconds(LEFT) < self.dies
    }
}

/// Asks for a token. `credentials` says where the fields come from.
pub(super) async fn token(
    exchange: &Exchange,
    fields: &Vars,
    credentials: &str,
    client: &reqwest::Client,
    now: OffsetDateTime,
) -> Result<Token, Refusal> {
    let vars = known(exchange, fields, now)?;
    let url = template::text(&exchange.url, &vars).map_err(missing)?;
    let place = place(&url);
    let answer = request(exchange, &vars, client.post(&url))?.send().await;
    let answer = answer.map_err(|why| {
        let silent = Failure::new(format!("{place} gives no token: it does not answer"));
        let refused = why.is_connect() && !why.is_timeout();
        let silent = silent.because(why.without_url());
        if refused {
            Refusal::Final(silent)
        } else {
            Refusal::Busy(silent, None)
        }
    })?;
    let status = answer.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let busy = Failure::new(format!("{place} gives no token now ({status})"));
        let busy = busy.hint("run this again in a few minutes");
        return Err(Refusal::Busy(busy, None));
    }
    if !status.is_success() {
        // Its text may repeat what was sent.
        let refused = Failure::new(format!("the credentials are refused by {place} ({status})"));
        return Err(refused.hint(credentials).into());
    }
    Ok(read(exchange, &place, answer, now).await?)
}

/// What the templates may use.
fn known(exchange: &Exchange, fields: &Vars, now: OffsetDateTime) -> Result<Vars> {
    let mut vars = fields.clone();
    vars.insert("nonce".into(), rsa::nonce()?.into());
    if let Some(Sign::Jwt { account, scope }) = &exchange.sign {
        let account = template::text(account, fields).map_err(missing)?;
        let (assertion, uri) = rsa::assertion(&account, scope, now)?;
        vars.insert("assertion".into(), assertion.into());
        vars.insert("token_uri".into(), uri.into());
    }
    Ok(vars)
}

/// The request with its body.
fn request(exchange: &Exchange, vars: &Vars, request: RequestBuilder) -> Result<RequestBuilder> {
    let request = request.header("accept", "application/json");
    if let Some(form) = &exchange.form {
        let body = template::form(form, vars).map_err(missing)?;
        let kind = "application/x-www-form-urlencoded";
        return Ok(request.header("content-type", kind).body(body));
    }
    let Some(json) = &exchange.json else {
        return Ok(request);
    };
    let body = template::json(json, vars).map_err(missing)?.to_string();
    let mut request = request.header("content-type", "application/json");
    if let Some(Sign::Body { key }) = &exchange.sign {
        let key = template::text(key, vars).map_err(missing)?;
        request = request.header("signature", rsa::sha512(&key, body.as_bytes())?);
    }
    Ok(request.body(body))
}

/// The token in an answer.
async fn read(
    exchange: &Exchange,
    place: &str,
    answer: Response,
    now: OffsetDateTime,
) -> Result<Token> {
    let header = exchange.pick.strip_prefix("header:");
    let carried =
        header.and_then(|name| answer.headers().get(name)?.to_str().ok().map(str::to_owned));
    let body: Value = answer
        .json()
        .await
        .map_err(|e| e.without_url())
        .with_context(|| format!("{place} answers something that is no token"))?;
    let picked = || pick::first(&body, &exchange.pick).and_then(pick::text);
    let text = carried
        .or_else(picked)
        .ok_or_else(|| Failure::new(format!("the answer of {place} has no token")))?;
    let life = body["expires_in"].as_i64().unwrap_or(LIFE);
    Ok(Token {
        text: Secret::new(text),
        dies: now + Duration::seconds(life),
    })
}

fn missing(field: String) -> Failure {
    Failure::new(format!("the field `{field}` is not set")).exit(Exit::Unsound)
}

/// The host only: the rest may hold what nobody should see.
pub(in crate::rest) fn place(url: &str) -> String {
    reqwest::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "the token's address".to_owned())
}
