//! HTTP for instant-acme by reqwest: with a time limit, a proxy where the
//! environment names one, and a private authority's own trust anchors.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::RETRY_AFTER;
use http_body_util::BodyExt;
use instant_acme::{AccountBuilder, BodyWrapper, BytesResponse, Error, HttpClient, Problem};
use reqwest::{Certificate, Client};

use super::Authority;
use crate::failure::{Context, Failure, Result};

/// One request, from the connection to the last octet of the answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The way to an authority.
pub(super) fn builder(authority: &Authority) -> Result<AccountBuilder> {
    let mut client = Client::builder()
        .user_agent(concat!("mailctl/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .timeout(TIMEOUT);
    if let Some(pem) = &authority.root_pem {
        let roots = Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|roots| !roots.is_empty());
        let roots = roots.ok_or_else(|| {
            Failure::new("`certificates.root` holds no certificate")
                .hint("give the authority's root certificate as a PEM file")
        })?;
        client = client.tls_certs_only(roots);
    }
    let client = client.build().with_context(|| {
        format!(
            "cannot set up HTTPS to the certificate authority {}",
            authority.directory
        )
    })?;
    Ok(instant_acme::Account::builder_with_http(Box::new(Adapter(
        client,
    ))))
}

struct Adapter(Client);

impl HttpClient for Adapter {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = std::result::Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move { send(client, request).await })
    }
}

async fn send(
    client: Client,
    request: http::Request<BodyWrapper<Bytes>>,
) -> std::result::Result<BytesResponse, Error> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await;
    let request = http::Request::from_parts(parts, body.to_bytes());
    let request = reqwest::Request::try_from(request).map_err(boxed)?;
    let response: http::Response<reqwest::Body> =
        client.execute(request).await.map_err(boxed)?.into();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(boxed)?.to_bytes();
    // instant-acme reads every refusal as a problem document and forgets its
    // headers: so what is none, and what says when to come again, end here.
    if parts.status.is_client_error() || parts.status.is_server_error() {
        let Ok(problem) = serde_json::from_slice::<Problem>(&body) else {
            return Err(boxed(NotAcme {
                status: parts.status,
            }));
        };
        let retry_after = parts
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let busy = matches!(
            parts.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        if let (true, Some(retry_after)) = (busy, retry_after) {
            return Err(boxed(Busy {
                problem,
                retry_after: retry_after.trim().to_owned(),
            }));
        }
    }
    Ok(BytesResponse {
        parts,
        body: Box::new(body),
    })
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

/// A refusal that is no problem document (RFC 7807): a proxy's, or no ACME server's.
#[derive(Debug)]
pub(super) struct NotAcme {
    pub(super) status: StatusCode,
}

impl fmt::Display for NotAcme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the answer is `{}` and nothing that ACME knows",
            self.status
        )
    }
}

impl std::error::Error for NotAcme {}

/// A refusal for now, with the time to come again.
#[derive(Debug)]
pub(super) struct Busy {
    pub(super) problem: Problem,
    /// Seconds or an HTTP date (RFC 9110 section 10.2.3).
    pub(super) retry_after: String,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Busy {}
