//! What an authority said against it, for people.

use std::error::Error as StdError;

use instant_acme::{Error, Identifier, Problem};

use super::Authority;
use super::http::{Busy, NotAcme};
use crate::failure::Failure;

/// The prefix of ACME's problem types (RFC 8555 section 6.7).
const TYPE_PREFIX: &str = "urn:ietf:params:acme:error:";

/// `what` failed at `authority`.
pub(super) fn failure(what: &str, authority: &Authority, error: Error) -> Failure {
    let what = format!(
        "{what} at the certificate authority {}",
        authority.directory
    );
    match error {
        Error::Api(problem) => refused(what, &problem, None),
        Error::Timeout(_) => Failure::new(format!("{what}: it came to no decision in time"))
            .hint("run the same again: what is proven already stays proven"),
        Error::Json(_) => Failure::new(format!("{what}: its answer is not ACME"))
            .hint("`certificates.authority` is to be the URL of the directory itself"),
        Error::Other(source) => match source.downcast_ref::<Busy>() {
            Some(busy) => refused(what, &busy.problem, Some(&busy.retry_after)),
            None => unreached(what, source),
        },
        other => Failure::new(what).because(other),
    }
}

/// Whether the authority does not know the account (any more).
pub(super) fn is_unknown_account(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if kind(problem.r#type.as_deref()) == "accountDoesNotExist")
}

/// A problem document as a failure: a line for each name it speaks of.
pub(super) fn refused(what: String, problem: &Problem, retry_after: Option<&str>) -> Failure {
    let mut text = format!(
        "{what}: {}",
        said(problem.detail.as_deref(), problem.r#type.as_deref())
    );
    for part in &problem.subproblems {
        let name = match &part.identifier {
            Some(Identifier::Dns(name)) => name.clone(),
            Some(other) => other.authorized(false).to_string(),
            None => "the order".to_owned(),
        };
        let why = said(part.detail.as_deref(), part.r#type.as_deref());
        text.push_str(&format!("\n    {name}: {why}"));
    }
    let kinds = std::iter::once(problem.r#type.as_deref()).chain(
        problem
            .subproblems
            .iter()
            .map(|part| part.r#type.as_deref()),
    );
    let hint = kinds.rev().find_map(|name| hint(kind(name), retry_after));
    match hint {
        Some(hint) => Failure::new(text).hint(hint),
        None => Failure::new(text),
    }
}

/// `detail (type)`, as the authority worded it.
fn said(detail: Option<&str>, name: Option<&str>) -> String {
    match (
        detail.map(str::trim).filter(|text| !text.is_empty()),
        kind(name),
    ) {
        (Some(detail), "") => detail.to_owned(),
        (Some(detail), kind) => format!("{detail} ({kind})"),
        (None, "") => "it gave no reason".to_owned(),
        (None, kind) => kind.to_owned(),
    }
}

fn kind(name: Option<&str>) -> &str {
    name.map_or("", |name| name.strip_prefix(TYPE_PREFIX).unwrap_or(name))
}

fn hint(kind: &str, retry_after: Option<&str>) -> Option<String> {
    let text = match kind {
        "rateLimited" => return Some(later(retry_after)),
        "caa" => {
            "a CAA record of the name or of a name above it allows other authorities only: \
                  add this one to it, with `issuewild` for wildcards"
        }
        "unauthorized" | "incorrectResponse" => {
            "the authority did not find the TXT record where it looked: check that the name \
             servers at the registrar are those that the provider's zone is on"
        }
        "dns" => {
            "the authority's look-ups failed: check the zone's delegation, and DNSSEC where it is signed"
        }
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            "this authority gives no certificate for that name: check `certificates.names`"
        }
        "externalAccountRequired" => {
            "this authority binds accounts to its own logins, which is not yet supported: use `letsencrypt`"
        }
        "invalidContact" | "unsupportedContact" => "check `certificates.email`",
        "accountDoesNotExist" => "run the same again: a new account is made",
        "badCSR" | "badPublicKey" => "try the other kind of `certificates.key`",
        "serverInternal" => return Some(later(retry_after)),
        _ => return retry_after.map(|_| later(retry_after)),
    };
    Some(text.to_owned())
}

fn later(retry_after: Option<&str>) -> String {
    let when = match retry_after {
        Some(after) if after.bytes().all(|b| b.is_ascii_digit()) => format!("in {after} s"),
        Some(after) => format!("after {after}"),
        None => "later".to_owned(),
    };
    format!("try again {when}; for trials there is `letsencrypt-staging`, with far higher limits")
}

/// No answer, or none that ACME knows.
fn unreached(what: String, source: Box<dyn StdError + Send + Sync>) -> Failure {
    let mut chain = source.to_string();
    let mut below = source.source();
    while let Some(cause) = below {
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        below = cause.source();
    }
    let http = source.downcast_ref::<reqwest::Error>();
    // rustls names the reason only deep down, behind an io::Error.
    let (why, hint) = if chain.contains("UnknownIssuer") {
        (
            "its HTTPS certificate is of an unknown root",
            "give the root certificate of a private authority as `certificates.root`",
        )
    } else if chain.contains("invalid peer certificate") {
        (
            "its HTTPS certificate is not valid",
            "check the URL in `certificates.authority` and the clock of this machine",
        )
    } else if chain.contains("Connection refused") {
        (
            "the connection is refused",
            "check address and port in `certificates.authority`, and that the authority runs",
        )
    } else if http.is_some_and(reqwest::Error::is_timeout) {
        (
            "it did not answer in time",
            "check the network, or try later",
        )
    } else if http.is_some_and(reqwest::Error::is_connect) {
        (
            "it cannot be reached",
            "check the URL in `certificates.authority`, and the network",
        )
    } else if source.is::<NotAcme>() {
        return Failure::new(what)
            .hint("`certificates.authority` is to be the URL of the directory itself; if it is, try later")
            .because(source);
    } else {
        return Failure::new(what).because(source);
    };
    Failure::new(format!("{what}: {why}"))
        .hint(hint)
        .because(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> Authority {
        Authority {
            directory: "https://ca.example/dir".into(),
            root_pem: None,
            email: None,
        }
    }

    fn problem(json: &str) -> Problem {
        serde_json::from_str(json).expect("a problem document")
    }

    #[test]
    fn every_name_and_the_way_out_are_told() {
        let refused = problem(
            r#"{"type":"urn:ietf:params:acme:error:compound","detail":"Two names failed",
            "subproblems":[
              {"type":"urn:ietf:params:acme:error:dns","detail":"SERVFAIL","identifier":{"type":"dns","value":"a.example"}},
              {"type":"urn:ietf:params:acme:error:caa","detail":"CAA forbids","identifier":{"type":"dns","value":"b.example"}}]}"#,
        );
        let told = failure("cannot order", &authority(), Error::Api(refused)).told();
        for part in [
            "cannot order at the certificate authority https://ca.example/dir: Two names failed",
            "\n    a.example: SERVFAIL (dns)",
            "\n    b.example: CAA forbids (caa)",
            "do: a CAA record",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn limits_say_when_to_come_again() {
        for (retry_after, when) in [
            ("3600", "try again in 3600 s"),
            (
                "Sun, 22 Nov 2026 10:00:00 GMT",
                "try again after Sun, 22 Nov 2026 10:00:00 GMT",
            ),
        ] {
            let problem =
                problem(r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#);
            let busy = Busy {
                problem,
                retry_after: retry_after.into(),
            };
            let told = failure("x", &authority(), Error::Other(Box::new(busy))).told();
            assert!(told.contains(when) && told.contains("too many"), "{told}");
        }
    }
}
