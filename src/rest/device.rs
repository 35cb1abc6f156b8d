//! Logging in once, by the device authorization grant (RFC 8628): a person
//! opens an address anywhere, enters a code there, and a refresh token comes back here.

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;

use super::auth::exchange;
use super::client::client;
use super::link::Pace;
use super::template::{self, Vars};
use crate::catalogue::Entry;
use crate::config::surroundings::Surroundings;
use crate::failure::{Context, Exit, Failure, Result};
use crate::secret::Secret;

/// How long to wait between two questions where the server does not say, in
/// seconds (RFC 8628 section 3.2).
const INTERVAL: u32 = 5;
/// How much longer after `slow_down`, in seconds (section 3.5).
const SLOWER: u32 = 5;

/// One authorization server and this client of it.
pub struct Login {
    title: String,
    /// The device authorization endpoint.
    device: String,
    /// The token endpoint.
    token: String,
    client_id: String,
    scope: String,
    pace: Pace,
    client: Client,
}

/// What a person is asked to do.
pub struct Invitation {
    /// The address to open.
    pub address: String,
    /// The code to enter there.
    pub code: String,
    /// An address that has the code in it, where the server has one.
    pub complete: Option<String>,
    /// How long the code counts, in seconds.
    pub lives: u32,
    device_code: Secret,
    interval: u32,
}

/// What comes back while the person is at it.
enum Answer {
    Token(Secret),
    Pending,
    SlowDown,
    /// The server does not answer, or not now.
    Silent,
}

impl Login {
    /// The login of a provider; nothing where it has none. Nothing is contacted.
    ///
    /// # Errors
    /// When the provider's addresses need a field that is not set.
    pub fn of(entry: &Entry, around: &dyn Surroundings, pace: Pace) -> Result<Option<Self>> {
        let Some((exchange, device)) = entry.device() else {
            return Ok(None);
        };
        let fields = entry.fields.iter().filter(|field| !field.secret);
        let vars: Vars = fields
            .filter_map(|field| {
                let given = around.variable(&field.env).filter(|text| !text.is_empty());
                Some((field.name.clone(), given.or(field.default.clone())?.into()))
            })
            .collect();
        let filled = |template: &str| {
            template::text(template, &vars).map_err(|name| {
                Failure::new(format!("{} needs the field `{name}`", entry.title))
                    .exit(Exit::Unsound)
            })
        };
        let token = filled(&exchange.url)?;
        Ok(Some(Self {
            title: entry.title.clone(),
            device: filled(&device.url)?,
            client: client(&token)?,
            token,
            client_id: device.client_id.clone(),
            scope: device.scope.clone(),
            pace,
        }))
    }

    /// Asks for a code (section 3.1).
    ///
    /// # Errors
    /// When the server cannot be reached or gives none.
    pub async fn begin(&self) -> Result<Invitation> {
        #[derive(Deserialize)]
        struct Given {
            device_code: String,
            user_code: String,
            verification_uri: String,
            verification_uri_complete: Option<String>,
            expires_in: u32,
            interval: Option<u32>,
        }
        let asked = [("client_id", &*self.client_id), ("scope", &self.scope)];
        let (said, good) = self.post(&self.device, &asked).await?;
        if !good {
            return Err(self.refused(&said));
        }
        // The error of the parser could show the device code.
        let given: Given = serde_json::from_value(said)
            .map_err(|_| Failure::new(format!("{} gives no code to enter", self.place())))?;
        Ok(Invitation {
            address: self.address(&given.verification_uri)?,
            code: plain(&given.user_code),
            complete: match given.verification_uri_complete {
                Some(address) => Some(self.address(&address)?),
                None => None,
            },
            lives: given.expires_in,
            device_code: Secret::new(given.device_code),
            interval: given.interval.unwrap_or(INTERVAL).max(1),
        })
    }

    /// Asks for the token until the person is done (section 3.4), as often as the server wishes.
    ///
    /// # Errors
    /// When the person refuses, the code dies, or no refresh token is given.
    pub async fn token(&self, invitation: &Invitation) -> Result<Secret> {
        let (mut interval, mut waited) = (invitation.interval, 0_u32);
        loop {
            waited = waited.saturating_add(interval);
            if waited > invitation.lives {
                return Err(self.expired());
            }
            tokio::time::sleep(self.pace.second * interval).await;
            match self.ask(&invitation.device_code).await? {
                Answer::Token(token) => return Ok(token),
                Answer::Pending => {}
                Answer::SlowDown => interval += SLOWER,
                // Section 3.5: less often, such as half as often each time.
                Answer::Silent => interval = interval.saturating_mul(2),
            }
        }
    }

    async fn ask(&self, device_code: &Secret) -> Result<Answer> {
        let asked = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device_code.expose()),
            ("client_id", &self.client_id),
        ];
        let Ok((said, good)) = self.post(&self.token, &asked).await else {
            return Ok(Answer::Silent);
        };
        if good {
            let token = said["refresh_token"].as_str();
            let none = || Failure::new(format!("{} gives no refresh token", self.place()));
            return Ok(Answer::Token(Secret::new(token.ok_or_else(none)?)));
        }
        match said["error"].as_str() {
            Some("authorization_pending") => Ok(Answer::Pending),
            Some("slow_down") => Ok(Answer::SlowDown),
            Some("access_denied") => Err(Failure::new(format!(
                "the login at {} was refused by whoever opened the address",
                self.title
            ))),
            Some("expired_token") => Err(self.expired()),
            _ => Err(self.refused(&said)),
        }
    }

    /// A form, and what is answered; whether it is a success. What is no JSON
    /// is an answer of somebody in between, as is that a server is down.
    async fn post(&self, url: &str, form: &[(&str, &str)]) -> Result<(Value, bool)> {
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", template::encoded(value));
        let body: Vec<String> = form.iter().map(pair).collect();
        let request = self.client.post(url).header("accept", "application/json");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let silent = || format!("{} does not answer", self.place());
        let answer = request.body(body.join("&")).send().await;
        let answer = answer.map_err(reqwest::Error::without_url);
        let answer = answer.with_context(silent)?;
        let status = answer.status();
        if status.is_server_error() {
            return Err(Failure::new(format!("{} answers {status}", self.place()))
                .hint("run this again in a few minutes"));
        }
        let said = answer.json().await.map_err(reqwest::Error::without_url);
        let said = said.with_context(|| format!("{} answers no JSON", self.place()))?;
        Ok((said, status.is_success()))
    }

    /// An address that a person can open.
    fn address(&self, text: &str) -> Result<String> {
        let address: Option<Url> = text.parse().ok();
        let address = address.filter(|url| matches!(url.scheme(), "https" | "http"));
        let none = || Failure::new(format!("{} gives no address to open", self.place()));
        address.map(String::from).ok_or_else(none)
    }

    fn expired(&self) -> Failure {
        Failure::new(format!("nobody logged in at {} in time", self.title))
            .hint("run this again: it gives a new code")
    }

    /// Any other error of RFC 6749 section 5.2.
    fn refused(&self, said: &Value) -> Failure {
        let words = ["error", "error_description"].map(|key| said[key].as_str());
        let words: Vec<String> = words.into_iter().flatten().map(plain).collect();
        let words = match words.as_slice() {
            [] => "it does not say why".to_owned(),
            words => words.join(": "),
        };
        Failure::new(format!("{} gives no token: {words}", self.place()))
    }

    fn place(&self) -> String {
        format!("{} ({})", self.title, exchange::place(&self.token))
    }
}

/// Without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
