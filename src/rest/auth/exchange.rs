//! Fields for a short-lived token.

use time::{Duration, OffsetDateTime};

use super::{Exchange, Sign, rsa};
use crate::failure::{Context, Exit, Failure, Result};
use crate::rest::pick;
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

/// Asks for a token.
pub(super) async fn token(
    exchange: &Exchange,
    fields: &Vars,
    client: &reqwest::Client,
    now: OffsetDateTime,
) -> Result<Token> {
    let missing =
        |name: String| Failure::new(format!("the field `{name}` is not set")).exit(Exit::Unsound);
    let mut vars = fields.clone();
    vars.insert("now".into(), now.unix_timestamp().into());
    vars.insert("nonce".into(), rsa::nonce()?.into());
    if let Some(Sign::Jwt { account, scope }) = &exchange.sign {
        let account = template::text(account, fields).map_err(missing)?;
        let (assertion, uri) = rsa::assertion(&account, scope, now)?;
        vars.insert("assertion".into(), assertion.into());
        vars.insert("token_uri".into(), uri.into());
    }
    let url = template::text(&exchange.url, &vars).map_err(missing)?;
    let mut request = client.post(&url).header("accept", "application/json");
    if let Some(form) = &exchange.form {
        request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(template::form(form, &vars).map_err(missing)?);
    } else if let Some(json) = &exchange.json {
        let body = template::json(json, &vars).map_err(missing)?.to_string();
        if let Some(Sign::Body { key }) = &exchange.sign {
            let key = template::text(key, &vars).map_err(missing)?;
            request = request.header("signature", rsa::sha512(&key, body.as_bytes())?);
        }
        request = request
            .header("content-type", "application/json")
            .body(body);
    }
    let place = place(&url);
    let answer = request.send().await.map_err(|e| {
        Failure::new(format!("{place} gives no token: it does not answer")).because(e.without_url())
    })?;
    let status = answer.status();
    if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
        return Err(
            Failure::new(format!("{place} gives no token now ({status})"))
                .hint("run this again in a few minutes"),
        );
    }
    if !status.is_success() {
        // Its text may repeat what was sent.
        return Err(
            Failure::new(format!("the credentials are refused by {place} ({status})"))
                .hint("are the fields below `ptr` in mail.yaml right, and not expired?"),
        );
    }
    let header = exchange.pick.strip_prefix("header:");
    let carried =
        header.and_then(|name| answer.headers().get(name)?.to_str().ok().map(str::to_owned));
    let body: serde_json::Value = answer
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

/// The host only: the rest may hold what nobody should see.
fn place(url: &str) -> String {
    reqwest::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "the token's address".to_owned())
}
