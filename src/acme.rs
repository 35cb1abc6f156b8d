//! Certificates by ACME (RFC 8555), always by the DNS-01 challenge: the only
//! one that proves wildcards, and the only one that needs no open port.

pub mod certificate;
mod http;
mod issue;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use instant_acme::{AccountCredentials, Key, LetsEncrypt, NewAccount};

use crate::failure::{Context, Failure, Result};
use crate::record::Name;
use crate::secret::Secret;
pub use certificate::Certificate;
pub use issue::{Ended, Issued, Pending, Wanted, issue};

/// A certificate authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The URL of its directory (RFC 8555 section 7.1.1), see [`directory_of`].
    pub directory: String,
    /// The trust anchors of a private authority's own HTTPS, PEM; `None`: the system's.
    pub root_pem: Option<Vec<u8>>,
    /// Whom the authority may write to.
    pub email: Option<String>,
}

/// The directory URL for `certificates.authority`: a known authority's, or the URL itself.
///
/// # Errors
/// A sentence, when the word is neither.
pub fn directory_of(word: &str) -> std::result::Result<String, String> {
    match word {
        "letsencrypt" => Ok(LetsEncrypt::Production.url().to_owned()),
        "letsencrypt-staging" => Ok(LetsEncrypt::Staging.url().to_owned()),
        "zerossl" => Err(
            "`zerossl` binds accounts to its own logins, which is not yet supported: \
             use `letsencrypt`"
                .into(),
        ),
        url if url.starts_with("https://") => Ok(url.to_owned()),
        other => Err(format!(
            "`{other}` is no certificate authority: `letsencrypt`, `letsencrypt-staging` or the \
             https URL of an ACME directory is wanted"
        )),
    }
}

/// An account at an authority, with an open connection to it.
pub struct Account {
    inner: instant_acme::Account,
    authority: Authority,
}

impl Account {
    /// Makes a new account, agreeing to the authority's terms. The credentials,
    /// JSON with a private key, are to be kept for [`Account::restore`].
    ///
    /// # Errors
    /// When the authority cannot be reached, is not trusted, or refuses.
    pub async fn create(authority: &Authority) -> Result<(Self, Secret)> {
        let contact = authority
            .email
            .as_ref()
            .map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (inner, credentials) = http::builder(authority)?
            .create(&wanted, authority.directory.clone(), None)
            .await
            .map_err(|error| refusal::failure("cannot make an account", authority, error))?;
        let json = serde_json::to_string(&credentials).context("ACME credentials")?;
        Ok((
            Self {
                inner,
                authority: authority.clone(),
            },
            Secret::new(json),
        ))
    }

    /// The account that `credentials` are of; `None` where they are of another
    /// authority, or the authority no longer knows the account: make a new one.
    ///
    /// # Errors
    /// When the credentials are damaged, and as for [`Account::create`].
    pub async fn restore(authority: &Authority, credentials: &Secret) -> Result<Option<Self>> {
        // What serde_json says may quote the text, so it is not repeated.
        let damaged = |_| Failure::new("the stored ACME account is damaged");
        let whose: Whose = serde_json::from_str(credentials.expose()).map_err(damaged)?;
        if whose.directory.as_deref() != Some(authority.directory.as_str()) {
            return Ok(None);
        }
        let kept: AccountCredentials =
            serde_json::from_str(credentials.expose()).map_err(damaged)?;
        let der = kept.private_key().clone_key();
        let key = Key::from_pkcs8_der(der.clone_key())
            .map_err(|_| Failure::new("the stored ACME account's key is damaged"))?;
        let found = http::builder(authority)?
            .from_key((key, der.into()), authority.directory.clone())
            .await;
        match found {
            Ok((inner, _)) => Ok(Some(Self {
                inner,
                authority: authority.clone(),
            })),
            Err(error) if refusal::is_unknown_account(&error) => Ok(None),
            Err(error) => Err(refusal::failure(
                "cannot open the account",
                authority,
                error,
            )),
        }
    }

    /// The account's URL, which is its name (RFC 8555 section 7.1.2).
    pub fn id(&self) -> &str {
        self.inner.id()
    }
}

/// The part of the credentials that says whose they are.
#[derive(serde::Deserialize)]
struct Whose {
    directory: Option<String>,
}

/// TXT values to show, by owner name (`_acme-challenge.…`). A name and its
/// wildcard are proven by two values at the same owner.
pub type Values = BTreeMap<Name, BTreeSet<String>>;

/// What became of showing them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Every authoritative server shows all of them.
    Everywhere,
    /// A person has to set some first, and none was set: each text says what to set where.
    ByHand(Vec<String>),
}

/// Who can show TXT records to the authority.
#[async_trait]
pub trait Challenges: Send + Sync {
    /// Adds the values beside what stands there, and returns when every
    /// authoritative server shows them. Where an owner is a CNAME, the
    /// records belong at its target.
    ///
    /// # Errors
    /// When they cannot be shown; nothing is then asked of the authority.
    async fn present(&self, values: &Values) -> Result<Shown>;

    /// Removes them again, also those that [`Challenges::present`] did not
    /// come to show. Called once for each `present`, whatever happened, unless
    /// that left it to a person.
    ///
    /// # Errors
    /// When something stays behind; the certificate is not held up by it.
    async fn clear(&self, values: &Values) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_known_or_urls() {
        for (word, url) in [
            (
                "letsencrypt",
                "https://acme-v02.api.letsencrypt.org/directory",
            ),
            (
                "letsencrypt-staging",
                "https://acme-staging-v02.api.letsencrypt.org/directory",
            ),
            (
                "https://ca.example:14000/dir",
                "https://ca.example:14000/dir",
            ),
        ] {
            assert_eq!(directory_of(word).as_deref(), Ok(url));
        }
        for word in ["zerossl", "http://ca.example/dir", "lets-encrypt", ""] {
            assert!(
                directory_of(word)
                    .expect_err(word)
                    .contains(&format!("`{word}`"))
            );
        }
    }
}
