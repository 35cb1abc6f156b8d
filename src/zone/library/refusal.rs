//! What the library's errors mean. It hands most of them over as text: the
//! texts that are read here are those of the pinned version, and tested.

use dns_update::Error;

use crate::failure::{Exit, Failure};
use crate::record::Name;
use crate::secret::Secret;

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// The credentials are refused.
    Secret,
    /// The credentials are good, but not for this.
    Permission,
    /// Too many requests: later.
    RateLimit,
    /// The network or the provider is ill: it may work the next time.
    Transient,
    /// The zone is not in this account.
    Missing,
    /// A value that stands there is not understood.
    Foreign,
    /// It will not work the next time either.
    Permanent,
}

impl Sort {
    /// Whether trying again may help.
    pub(super) fn passes(self) -> bool {
        matches!(self, Self::RateLimit | Self::Transient)
    }
}

const PERMISSION: &[&str] = &[
    "forbidden",
    "permission",
    "not authorized to",
    "not allowed",
    "accessdenied",
    "access denied",
    "insufficient",
    "nopermission",
    "unauthorizedoperation",
];

const SECRET: &[&str] = &[
    "unauthorized",
    "unauthenticated",
    "authentication error",
    "authentication failed",
    "auth failure",
    "authfailure",
    "invalid api key",
    "api key is invalid",
    "invalid request ip",
    "invalid api token",
    "invalid access token",
    "invalid token",
    "invalid credentials",
    "invalid request headers",
    "invalidclienttokenid",
    "signaturedoesnotmatch",
    "invalidaccesskeyid",
    "incorrect authentication",
    "invalid_grant",
    "invalid_client",
    "login failed",
];

const RATE_LIMIT: &[&str] = &[
    "rate limit",
    "ratelimit",
    "rate exceeded",
    "too many requests",
    "throttl",
    "requestlimitexceeded",
];

const TRANSIENT: &[&str] = &[
    "timed out",
    "failed to send request",
    "failed to read response",
    "error sending request",
    "lightsail request:",
    "lightsail body:",
    "connection reset",
    "connection closed",
    "eof while parsing",
    "service unavailable",
    "internal server error",
    "bad gateway",
];

const MISSING: &[&str] = &[
    "zone not found",
    "zone found for",
    "hosted zone found",
    "domain not found",
    "not associated with your account",
    "domain found for",
    "no data found for domain",
    "matching managed zone",
    "not found or not accessible",
    "nosuchhostedzone",
];

/// Sorts an error of the library.
pub(super) fn sort(error: &Error) -> Sort {
    match error {
        Error::Unauthorized => Sort::Secret,
        Error::NotFound => Sort::Missing,
        Error::BadRequest | Error::InvalidRegion | Error::Unsupported(_) => Sort::Permanent,
        Error::Parse(text) if text.contains("unknown CAA tag") => Sort::Foreign,
        Error::Parse(_) => Sort::Permanent,
        Error::Api(text)
        | Error::Client(text)
        | Error::Response(text)
        | Error::Serialize(text)
        | Error::Protocol(text) => of_text(text),
        _ => Sort::Permanent,
    }
}

fn of_text(text: &str) -> Sort {
    let lower = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match status(&lower) {
        Some(401) => return Sort::Secret,
        // Cloudflare and others answer 403 to a token that they do not know.
        Some(403) if says(SECRET) => return Sort::Secret,
        Some(403) if says(RATE_LIMIT) => return Sort::RateLimit,
        Some(403) => return Sort::Permission,
        Some(429) => return Sort::RateLimit,
        Some(500..=599) => return Sort::Transient,
        _ => {}
    }
    // A word of the provider's about the request is worth more than one about its way.
    let sorts = [
        (RATE_LIMIT, Sort::RateLimit),
        (SECRET, Sort::Secret),
        (PERMISSION, Sort::Permission),
        (TRANSIENT, Sort::Transient),
        (MISSING, Sort::Missing),
    ];
    let found = sorts.into_iter().find(|(words, _)| says(words));
    match found {
        Some((_, sort)) => sort,
        None if lower.ends_with("not found") => Sort::Missing,
        None => Sort::Permanent,
    }
}

/// The HTTP status in a text such as `HTTP 429: …`; `lower` is in lower case.
fn status(lower: &str) -> Option<u16> {
    let marks = ["http ", "status: ", "status ", "code "];
    marks.iter().find_map(|mark| {
        let digits = lower.split_once(mark)?.1.get(..3)?;
        digits.parse().ok().filter(|code| (400..600).contains(code))
    })
}

/// The error's text without secrets: each secret given, and whatever a URL
/// carries after its path.
pub(super) fn redacted<'s>(text: &str, secrets: impl Iterator<Item = &'s Secret>) -> String {
    let mut shown = text.to_owned();
    for secret in secrets.map(Secret::expose).filter(|s| !s.is_empty()) {
        // What stands in a URL or a JSON body may be written otherwise.
        let encoded: String = secret.bytes().map(encode).collect();
        let json = serde_json::Value::from(secret).to_string();
        for form in [secret, encoded.as_str(), json.trim_matches('"')] {
            shown = shown.replace(form, "[secret]");
        }
    }
    without_queries(&shown)
}

fn encode(octet: u8) -> String {
    if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
        return char::from(octet).to_string();
    }
    format!("%{octet:02X}")
}

fn without_queries(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let Some(start) = word.find("http://").or_else(|| word.find("https://")) else {
            return word.to_owned();
        };
        let (before, url) = word.split_at(start);
        match url.split_once(['?', '#']) {
            Some((path, query)) => {
                let end: String = query
                    .chars()
                    .rev()
                    .take_while(|c| "):,".contains(*c))
                    .collect();
                format!("{before}{path}?…{}", end.chars().rev().collect::<String>())
            }
            None => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The failure as it is told: `text` is the library's, redacted.
pub(super) fn failure(sort: Sort, title: &str, id: &str, zone: &Name, text: &str) -> Failure {
    let fields =
        format!("`mailctl providers dns {id}` says what each field is and where it is made");
    let (what, hint) = match sort {
        Sort::Secret => (format!("{title} refuses the credentials"), fields),
        Sort::Permission => (
            format!("{title} does not permit this in the zone {zone}"),
            format!("give the token the right to read and edit the records of {zone}; {fields}"),
        ),
        Sort::RateLimit => (
            format!("{title} answers that there are too many requests, also after waiting"),
            "wait some minutes, then run this again".to_owned(),
        ),
        Sort::Transient => (
            format!("{title} cannot be asked, also after trying again"),
            "run this again; does the provider's status page know of a fault?".to_owned(),
        ),
        Sort::Missing => (
            format!("{title} has no zone {zone} in this account"),
            format!("create the zone there, or correct `zone` and the credentials; {fields}"),
        ),
        Sort::Foreign => (
            format!(
                "{title} holds a record at {zone} that mailctl cannot read, and so leaves alone"
            ),
            "change this set at the provider, and leave it out of mail.yaml".to_owned(),
        ),
        Sort::Permanent => (
            format!("{title} refuses this in the zone {zone}"),
            "the provider's own words say why".to_owned(),
        ),
    };
    let failure = Failure::new(what).hint(hint).because(Failure::new(text));
    match sort {
        Sort::Secret | Sort::Missing => failure.exit(Exit::Failed),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(text: &str) -> Error {
        Error::Api(text.to_owned())
    }

    #[test]
    fn errors_are_sorted_by_what_helps() {
        for (error, expected) in [
            (Error::Unauthorized, Sort::Secret),
            (
                api(
                    "HTTP 403: {\"success\":false,\"errors\":[{\"code\":10000,\"message\":\"Authentication error\"}]}",
                ),
                Sort::Secret,
            ),
            (
                api(
                    "BadRequest {\"errors\":[{\"code\":6003,\"message\":\"Invalid request headers\"}]}",
                ),
                Sort::Secret,
            ),
            (
                api("HTTP 403: {\"error\":{\"code\":\"forbidden\"}}"),
                Sort::Permission,
            ),
            (
                api("Route53 BadRequest: <Code>AccessDenied</Code>"),
                Sort::Permission,
            ),
            (api("HTTP 429"), Sort::RateLimit),
            (api("HTTP 403: rate limit exceeded"), Sort::RateLimit),
            (
                api("Throttling.User: Request was denied due to user flow control"),
                Sort::RateLimit,
            ),
            (api("HTTP 503: busy"), Sort::Transient),
            (api("HTTP 502"), Sort::Transient),
            (
                api("Failed to send request to https://api.example/: error sending request"),
                Sort::Transient,
            ),
            (Error::Client("request timed out".into()), Sort::Transient),
            (
                Error::Serialize("Failed to deserialize response: EOF while parsing a list".into()),
                Sort::Transient,
            ),
            (
                Error::Serialize("Failed to deserialize response: missing field `id`".into()),
                Sort::Permanent,
            ),
            (Error::NotFound, Sort::Missing),
            (
                api("No Cloudflare zone found for example.test"),
                Sort::Missing,
            ),
            (api("Linode domain example.test not found"), Sort::Missing),
            (
                api("No suitable hosted zone found for name: example.test"),
                Sort::Missing,
            ),
            (
                Error::Parse("unknown CAA tag: issuemail".into()),
                Sort::Foreign,
            ),
            (
                api(
                    "Namecheap error 1011102: API Key is invalid or API access has not been enabled",
                ),
                Sort::Secret,
            ),
            (
                api("Namecheap error 1011150: Invalid request IP: 192.0.2.1"),
                Sort::Secret,
            ),
            (
                api("Namecheap error 2016166: Domain is not associated with your account"),
                Sort::Missing,
            ),
            (
                api("Namecheap error 500000: Too many requests"),
                Sort::RateLimit,
            ),
            (Error::Unsupported("TLSA".into()), Sort::Permanent),
            (
                api("BadRequest {\"error\":\"ttl must be at least 60\"}"),
                Sort::Permanent,
            ),
            (
                api("HTTP 422: {\"message\":\"invalid name\"}"),
                Sort::Permanent,
            ),
        ] {
            assert_eq!(sort(&error), expected, "{error}");
        }
    }

    #[test]
    fn secrets_are_cut_out_of_what_is_shown() {
        let secrets = [Secret::new("s3cr/et+key"), Secret::new("")];
        let text = "Failed to send request to https://api.example/v1/s3cr/et+key?key=s3cr%2Fet%2Bkey&cmd=x: no route (token s3cr/et+key)";
        assert_eq!(
            redacted(text, secrets.iter()),
            "Failed to send request to https://api.example/v1/[secret]?…: no route (token [secret])"
        );
        let unknown = "error for url (https://api.example/?key=another)";
        assert_eq!(
            redacted(unknown, secrets.iter()),
            "error for url (https://api.example/?…)"
        );
    }
}
