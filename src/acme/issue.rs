//! One order, from the names to the chain (RFC 8555 section 7.4).

use std::collections::BTreeSet;
use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus, Problem,
    RetryPolicy, Subproblem,
};
use rcgen::{
    CertificateParams, CertificateSigningRequest, DistinguishedName, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Account, Certificate, Challenges, Values, refusal};
use crate::config::CertificateKey;
use crate::failure::{Context, Failure, Result};
use crate::record::Name;
use crate::secret::Secret;

/// How long an authority may take to validate, and then to sign: it looks from
/// several places, and retries.
const DECISION: Duration = Duration::from_secs(180);

/// How long the removal of challenges may take when it was interrupted.
const LAST_MINUTE: Duration = Duration::from_secs(20);

/// A new certificate with its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate and its intermediates, PEM.
    pub chain_pem: String,
    /// Its private key, PKCS#8 PEM.
    pub key_pem: Secret,
    /// Its names, sorted.
    pub names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
}

/// Orders a certificate for exactly `names` (wildcards as `*.example.com`)
/// with a new key. `report` hears what is being done.
///
/// The challenges are removed whatever happens: also after a failure, and when
/// this future is dropped on a multi-threaded runtime, whose thread then waits
/// for it. Where it cannot be (another runtime, SIGKILL), they stay: harmless,
/// and for the next [`Challenges::present`] to clean up.
///
/// # Errors
/// What the authority said, by name, and what can be done about it.
pub async fn issue(
    account: &Account,
    names: &[String],
    key: CertificateKey,
    challenges: &dyn Challenges,
    report: &(dyn Fn(&str) + Sync),
) -> Result<Issued> {
    let names: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
    let told = |what: &str, error| refusal::failure(what, &account.authority, error);

    report("ordering a certificate");
    let mut order = account
        .inner
        .new_order(&NewOrder::new(&identifiers))
        .await
        .map_err(|error| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            told(
                &format!("cannot order a certificate for {}", names.join(", ")),
                error,
            )
        })?;
    let values = pending(&mut order, account).await?;
    if !values.is_empty() {
        let cleanup = Cleanup {
            challenges,
            values: &values,
            armed: true,
        };
        let proven = prove(&mut order, account, challenges, &values, report).await;
        report("removing the challenges");
        let cleared = cleanup.run().await;
        proven?;
        if let Err(left) = cleared {
            report(&format!("challenges stayed behind: {}", left.chain()));
        }
    }

    report("waiting for the certificate");
    let (request, key_pem) = request(names.iter().cloned().collect(), key).await?;
    order
        .finalize_csr(request.der())
        .await
        .map_err(|error| told("the certificate is refused", error))?;
    let policy = RetryPolicy::new().timeout(DECISION).backoff(1.5);
    let chain_pem = order
        .poll_certificate(&policy)
        .await
        .map_err(|error| told("the certificate is refused", error))?;
    let certificate = Certificate::parse(chain_pem.as_bytes())?;
    if certificate.names != names {
        return Err(Failure::new(
            "the authority signed other names than were ordered",
        ));
    }
    let names = names.into_iter().collect();
    Ok(Issued {
        chain_pem,
        key_pem,
        names,
        not_after: certificate.not_after,
    })
}

/// The TXT values for all names that are still to be proven.
async fn pending(order: &mut Order, account: &Account) -> Result<Values> {
    let told = |error| refusal::failure("cannot read the order", &account.authority, error);
    let mut values = Values::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(told)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        // The identifier of a wildcard is the name without its `*.`.
        let identifier = authorization.identifier().identifier.clone();
        let Identifier::Dns(domain) = identifier else {
            return Err(Failure::new(
                "the authority wants a proof for what is no domain name",
            ));
        };
        let challenge = authorization
            .challenge(ChallengeType::Dns01)
            .ok_or_else(|| {
                Failure::new(format!(
                    "the authority offers no DNS-01 challenge for {domain}"
                ))
                .hint("choose another `certificates.authority`")
            })?;
        let owner = Name::parse(&domain)
            .map_err(|why| Failure::new(format!("the authority names {domain}: {why}")))?
            .child("_acme-challenge");
        values
            .entry(owner)
            .or_default()
            .insert(challenge.key_authorization().dns_value());
    }
    Ok(values)
}

/// Shows the values, calls the authority to look, and waits for what it says.
async fn prove(
    order: &mut Order,
    account: &Account,
    challenges: &dyn Challenges,
    values: &Values,
    report: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    const WHAT: &str = "the proof of a name failed";
    let told = |error| refusal::failure(WHAT, &account.authority, error);
    report(&format!("showing the challenges at {}", listed(values)));
    challenges.present(values).await?;

    report("waiting for the authority to look");
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(told)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        if let Some(mut challenge) = authorization.challenge(ChallengeType::Dns01) {
            challenge.set_ready().await.map_err(told)?;
        }
    }
    let policy = RetryPolicy::new().timeout(DECISION).backoff(1.5);
    let verdict = order.poll_ready(&policy).await;
    match verdict {
        Ok(OrderStatus::Ready) => Ok(()),
        Ok(_) | Err(Error::Api(_)) => {
            let problem = reasons(order, verdict.err()).await;
            let what = format!(
                "{WHAT} at the certificate authority {}",
                account.authority.directory
            );
            Err(refusal::refused(what, &problem, None))
        }
        Err(error) => Err(told(error)),
    }
}

/// Why an order is invalid: each challenge has its own reason, the order at most a summary.
async fn reasons(order: &mut Order, summary: Option<Error>) -> Problem {
    let mut problem = match summary {
        Some(Error::Api(problem)) => problem,
        _ => Problem {
            r#type: None,
            detail: Some("not every name could be proven".into()),
            status: None,
            subproblems: Vec::new(),
        },
    };
    let mut parts = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let name = state.identifier().to_string();
        for error in state
            .challenges
            .iter()
            .filter_map(|challenge| challenge.error.as_ref())
        {
            parts.push(Subproblem {
                identifier: Some(Identifier::Dns(name.clone())),
                r#type: error.r#type.clone(),
                detail: error.detail.clone(),
            });
        }
    }
    if !parts.is_empty() {
        problem.subproblems = parts;
    }
    problem
}

fn listed(values: &Values) -> String {
    values
        .keys()
        .map(Name::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A request for exactly these names, without common name, and its key. RSA
/// keys take a while, so this is none of the runtime's threads' business.
async fn request(
    names: Vec<String>,
    key: CertificateKey,
) -> Result<(CertificateSigningRequest, Secret)> {
    let made = tokio::task::spawn_blocking(move || {
        let key = match key {
            CertificateKey::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            CertificateKey::Rsa2048 => {
                KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
            }
        }?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key)?;
        Ok::<_, rcgen::Error>((request, Secret::new(key.serialize_pem())))
    });
    made.await
        .context("key generation stopped")?
        .context("cannot make the certificate's key")
}

/// Removes the challenges at its end, unless it was run before.
struct Cleanup<'a> {
    challenges: &'a dyn Challenges,
    values: &'a Values,
    armed: bool,
}

impl Cleanup<'_> {
    async fn run(mut self) -> Result<()> {
        let cleared = self.challenges.clear(self.values).await;
        self.armed = false;
        cleared
    }
}

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            let clear = self.challenges.clear(self.values);
            // Nobody is left to tell of a failure.
            let _ = tokio::task::block_in_place(|| {
                runtime.block_on(async { tokio::time::timeout(LAST_MINUTE, clear).await })
            });
        }
    }
}
