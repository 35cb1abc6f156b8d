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
use serde::{Deserialize, Serialize};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Account, Certificate, Challenges, Shown, Values, refusal};
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

/// What is ordered.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The names, wildcards as `*.example.com`: exactly these.
    pub names: Vec<String>,
    /// The kind of the new key.
    pub key: CertificateKey,
    /// An order of an earlier time that waited for a person. Where it still
    /// does, it is gone on with: its challenges keep their values, a new
    /// order's would be others.
    pub pending: Option<Pending>,
}

/// An order whose challenges a person has to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its URL, which only its account can read (RFC 8555 section 7.1.3).
    pub url: String,
    /// Its names, sorted.
    pub names: BTreeSet<String>,
}

/// How an order ended for now.
#[derive(Clone, Debug)]
pub enum Ended {
    /// With a certificate.
    Issued(Issued),
    /// A person has to show challenges first; each text says what to set where.
    ByHand(Pending, Vec<String>),
}

/// Orders a certificate with a new key. `report` hears what is being done.
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
    wanted: &Wanted,
    challenges: &dyn Challenges,
    report: &(dyn Fn(&str) + Sync),
) -> Result<Ended> {
    let names: BTreeSet<String> = wanted
        .names
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    let told = |what: &str, error| refusal::failure(what, &account.authority, error);

    let kept = match wanted
        .pending
        .as_ref()
        .filter(|pending| pending.names == names)
    {
        Some(pending) => reopened(account, pending).await?,
        None => None,
    };
    let mut order = match kept {
        Some(order) => order,
        None => {
            report("ordering a certificate");
            ordered(account, &names).await?
        }
    };
    let values = open_challenges(&mut order, account).await?;
    if !values.is_empty() {
        let mut cleanup = Cleanup {
            challenges,
            values: &values,
            armed: true,
        };
        report(&format!("showing the challenges at {}", listed(&values)));
        let shown = challenges.present(&values).await;
        if let Ok(Shown::ByHand(steps)) = shown {
            cleanup.armed = false;
            let url = order.url().to_owned();
            return Ok(Ended::ByHand(Pending { url, names }, steps));
        }
        let proven = match shown {
            Ok(_) => prove(&mut order, account, report).await,
            Err(failure) => Err(failure),
        };
        report("removing the challenges");
        let cleared = cleanup.run().await;
        proven?;
        if let Err(left) = cleared {
            report(&format!("challenges stayed behind: {}", left.chain()));
        }
    }

    report("waiting for the certificate");
    let (request, key_pem) = request(names.iter().cloned().collect(), wanted.key).await?;
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
    Ok(Ended::Issued(Issued {
        chain_pem,
        key_pem,
        names,
        not_after: certificate.not_after,
    }))
}

async fn ordered(account: &Account, names: &BTreeSet<String>) -> Result<Order> {
    let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
    let order = account.inner.new_order(&NewOrder::new(&identifiers)).await;
    order.map_err(|error| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let what = format!("cannot order a certificate for {}", names.join(", "));
        refusal::failure(&what, &account.authority, error)
    })
}

/// The order that waited, if the authority still knows it and can go on with it.
async fn reopened(account: &Account, pending: &Pending) -> Result<Option<Order>> {
    match account.inner.order(pending.url.clone()).await {
        Ok(mut order) => {
            let open = matches!(
                order.state().status,
                OrderStatus::Pending | OrderStatus::Ready
            );
            Ok(open.then_some(order))
        }
        // It expired, or its account is another one by now.
        Err(Error::Api(_)) => Ok(None),
        Err(error) => Err(refusal::failure(
            "cannot read the order",
            &account.authority,
            error,
        )),
    }
}

/// The TXT values for all names that are still to be proven.
async fn open_challenges(order: &mut Order, account: &Account) -> Result<Values> {
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

/// Calls the authority to look, and waits for what it says.
async fn prove(order: &mut Order, account: &Account, report: &(dyn Fn(&str) + Sync)) -> Result<()> {
    const WHAT: &str = "the proof of a name failed";
    let told = |error| refusal::failure(WHAT, &account.authority, error);
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
