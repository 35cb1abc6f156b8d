//! One request before it is sent, as signatures need to see it.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::failure::{Context, Result};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST, …
    pub method: Method,
    /// The whole address.
    pub url: Url,
    /// Its headers.
    pub headers: Vec<(String, HeaderValue)>,
    /// Its body; empty for none.
    pub body: String,
}

impl Request {
    /// Adds a header.
    ///
    /// # Errors
    /// When no header can carry the value.
    pub fn header(&mut self, name: &str, value: &str) -> Result<()> {
        let value = HeaderValue::from_str(value)
            .with_context(|| format!("the header {name} cannot carry its value"))?;
        self.headers.push((name.to_owned(), value));
        Ok(())
    }

    /// Adds a header that is never shown. Octets that no header can carry are
    /// left out: the hoster then refuses it as it does any wrong secret.
    pub fn secret_header(&mut self, name: &str, value: String) {
        let octets: Vec<u8> = value.bytes().filter(|o| *o >= 32 && *o != 127).collect();
        if let Ok(mut value) = HeaderValue::from_bytes(&octets) {
            value.set_sensitive(true);
            self.headers.push((name.to_owned(), value));
        }
    }

    /// The words that prove who sends it, such as a short-lived token.
    pub fn proofs(&self) -> impl Iterator<Item = &str> {
        let values = self.headers.iter().map(|(_, value)| value);
        let secret = values.filter(|value| value.is_sensitive());
        secret.filter_map(|value| value.to_str().ok()?.rsplit(' ').next())
    }

    /// For the client to send.
    ///
    /// # Errors
    /// When a header's name is none.
    pub fn built(&self, client: &reqwest::Client) -> Result<reqwest::RequestBuilder> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name
                .parse()
                .with_context(|| format!("{name} is no header"))?;
            headers.insert(name, value.clone());
        }
        let request = client
            .request(self.method.clone(), self.url.clone())
            .headers(headers);
        Ok(if self.body.is_empty() {
            request
        } else {
            request.body(self.body.clone())
        })
    }
}

#[cfg(test)]
impl Request {
    /// A request without headers.
    pub fn of(method: &str, url: &str, body: &str) -> Self {
        Self {
            method: method.parse().expect("a method"),
            url: url.parse().expect("an address"),
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }

    /// What the header of this name says, secret or not.
    pub fn shown(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        let header = headers.find(|(known, _)| known == name);
        header
            .and_then(|(_, value)| value.to_str().ok())
            .unwrap_or_default()
    }
}
