//! How a request proves who sends it: one variant for each way that hosters want.

pub(super) mod exchange;
mod exo2;
mod ovh;
mod rsa;
mod sigv4;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::Mutex;

use self::exchange::Token;
use super::refusal::Refusal;
use super::request::Request;
use super::template::{self, Vars};
use crate::failure::{Exit, Failure, Result};

/// The scheme, in templates over the fields of mail.yaml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Scheme {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer {
        /// The token.
        token: String,
    },
    /// RFC 7617.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token in a header of the hoster's own.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A request that answers with a short-lived token: OAuth 2.0 grants
    /// (RFC 6749), Keystone.
    Exchange(Exchange),
    /// OVH: SHA-1 over secret, request and the hoster's time.
    OvhSignature {
        /// The application's key.
        application_key: String,
        /// The application's secret.
        application_secret: String,
        /// The consumer's key.
        consumer_key: String,
    },
    /// AWS Signature Version 4.
    Sigv4 {
        /// Such as `ec2`.
        service: String,
        /// Such as `eu-west-1`.
        region: String,
        /// The access key's id.
        key_id: String,
        /// The access key.
        secret: String,
    },
    /// Exoscale's `EXO2-HMAC-SHA256`.
    Exo2 {
        /// The API key.
        key: String,
        /// The API secret.
        secret: String,
    },
}

/// See [`Scheme::Exchange`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Where the token is to be had.
    pub url: String,
    /// The body as a form.
    #[serde(default)]
    pub form: Option<BTreeMap<String, String>>,
    /// The body as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// Signs what is asked with an RSA key.
    #[serde(default)]
    pub sign: Option<Sign>,
    /// Where the answer has the token: a path, or `header:NAME`.
    pub pick: String,
    /// The header that carries it, where that is not `Authorization: Bearer`.
    #[serde(default)]
    pub header: Option<String>,
    /// How a person gets what it is exchanged for.
    #[serde(default)]
    pub device: Option<Device>,
}

/// The device authorization grant (RFC 8628), by which a person logs in once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The device authorization endpoint; the token endpoint is that of the exchange.
    pub url: String,
    /// The client's id at the authorization server.
    pub client_id: String,
    /// What is asked for.
    pub scope: String,
    /// The field of mail.yaml that its refresh token is for.
    pub field: String,
}

/// What an RSA key signs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Sign {
    /// The body, with SHA-512, as base64 in the header `Signature`.
    Body {
        /// The key, PEM.
        key: String,
    },
    /// A JWT (RFC 7523), which the templates know as `assertion`.
    Jwt {
        /// The service account's JSON, with `client_email`, `private_key` and `token_uri`.
        account: String,
        /// What it is for.
        scope: String,
    },
}

/// A scheme with its fields.
pub struct Auth {
    scheme: Scheme,
    fields: Vars,
    /// Where the fields come from.
    credentials: String,
    token: Mutex<Option<Token>>,
    clock: tokio::sync::OnceCell<i64>,
}

impl Auth {
    /// Nothing is contacted. `credentials` says where the fields come from.
    pub fn new(scheme: Scheme, fields: Vars, credentials: String) -> Self {
        Self {
            scheme,
            fields,
            credentials,
            token: Mutex::default(),
            clock: tokio::sync::OnceCell::new(),
        }
    }

    /// Proves who sends the request. `base` is the API's address.
    ///
    /// # Errors
    /// When a field is missing or of no use, or no token is given for it; busy
    /// where trying again helps.
    pub async fn prove(
        &self,
        request: &mut Request,
        client: &reqwest::Client,
        base: &str,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        match &self.scheme {
            Scheme::Bearer { token } => {
                request.secret_header("Authorization", format!("Bearer {}", self.field(token)?));
            }
            Scheme::Basic { user, password } => {
                let pair = format!("{}:{}", self.field(user)?, self.field(password)?);
                request.secret_header("Authorization", format!("Basic {}", STANDARD.encode(pair)));
            }
            Scheme::Header { name, value } => request.secret_header(name, self.field(value)?),
            Scheme::Exchange(exchange) => {
                let token = self.exchanged(exchange, client, now).await?;
                match &exchange.header {
                    Some(name) => request.secret_header(name, token),
                    None => request.secret_header("Authorization", format!("Bearer {token}")),
                }
            }
            Scheme::OvhSignature {
                application_key,
                application_secret,
                consumer_key,
            } => {
                let ahead = self
                    .clock
                    .get_or_try_init(|| ovh::ahead(client, base, now))
                    .await?;
                ovh::sign(
                    request,
                    &self.field(application_key)?,
                    &self.field(application_secret)?,
                    &self.field(consumer_key)?,
                    now.unix_timestamp() + ahead,
                );
            }
            Scheme::Sigv4 {
                service,
                region,
                key_id,
                secret,
            } => sigv4::sign(
                request,
                &sigv4::Key {
                    service,
                    region: &self.field(region)?,
                    id: &self.field(key_id)?,
                    secret: &self.field(secret)?,
                },
                now,
            )?,
            Scheme::Exo2 { key, secret } => exo2::sign(
                request,
                &self.field(key)?,
                &self.field(secret)?,
                now.unix_timestamp(),
            ),
        }
        Ok(())
    }

    /// Forgets a token that was refused; whether there was one.
    pub async fn forget(&self) -> bool {
        self.token.lock().await.take().is_some()
    }

    async fn exchanged(
        &self,
        exchange: &Exchange,
        client: &reqwest::Client,
        now: OffsetDateTime,
    ) -> Result<String, Refusal> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.lives(now)) {
            return Ok(token.text.expose().to_owned());
        }
        let token = exchange::token(exchange, &self.fields, &self.credentials, client, now).await?;
        Ok(kept.insert(token).text.expose().to_owned())
    }

    fn field(&self, template: &str) -> Result<String> {
        template::text(template, &self.fields).map_err(|name| {
            Failure::new(format!("the field `{name}` is not set")).exit(Exit::Unsound)
        })
    }
}

fn hex(octets: impl AsRef<[u8]>) -> String {
    octets.as_ref().iter().map(|o| format!("{o:02x}")).collect()
}
