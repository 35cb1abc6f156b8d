//! What the registry says of the domain, by RDAP (RFC 9082, RFC 9083): young
//! domains are distrusted, and one that runs out takes its mail with it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, Time};

use super::view::View;
use super::{Aspect, Finding, Question, special};
use crate::failure::{Context, Failure, Result};
use crate::record::Name;

/// The question.
pub const QUESTION: Question = Question {
    id: "registration",
    aspects: &[&AGE, &EXPIRY, &STATUS],
    ask: |view| Box::pin(ask(view)),
};

/// Days below which a domain counts as new, and below which its end is near.
const SOON: i64 = 30;

const AGE: Aspect = Aspect {
    id: "registration.age",
    wanted: "a domain that is older than 30 days",
    why: "Spammers use new domains: lists such as SEM FRESH name every one, and receivers defer their mail or take it for spam.",
};

const EXPIRY: Aspect = Aspect {
    id: "registration.expiry",
    wanted: "a registration that lasts longer than 30 days",
    why: "A domain that has run out loses its name servers, and somebody else may get it and its mail.",
};

const STATUS: Aspect = Aspect {
    id: "registration.status",
    wanted: "a registration that is not held or about to be deleted",
    why: "The registry takes such a domain out of the DNS: no mail is delivered, none is accepted from it.",
};

/// Statuses that take a domain out of the DNS (RFC 8056 section 2).
const ENDING: [&str; 5] = [
    "client hold",
    "server hold",
    "inactive",
    "pending delete",
    "redemption period",
];

/// What the registry says (RFC 9083 section 5.3).
#[derive(Debug, Deserialize)]
struct Registered {
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    status: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_action: String,
    event_date: String,
}

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    if special::is_reserved(domain) {
        return vec![
            AGE.of(domain)
                .skip("nobody can register names there (RFC 6761)"),
        ];
    }
    let settings = &view.outside.settings;
    // The apex of the zone is most often the name that was registered.
    let apex = view.outside.dns.zone_of(domain).await;
    let apex = apex.unwrap_or_else(|_| domain.clone());
    match looked_up(&settings.rdap, settings.patience, apex).await {
        Ok(Some((name, registered))) => judge(&name, &registered, settings.now),
        Ok(None) => vec![
            AGE.of(domain)
                .skip(format!("{} knows no registration of it", settings.rdap)),
        ],
        Err(why) => vec![AGE.of(domain).skip(why.chain())],
    }
}

/// The registration of a name or of the closest one above it, with its name.
async fn looked_up(
    base: &str,
    patience: Duration,
    name: Name,
) -> Result<Option<(Name, Registered)>> {
    let what = || format!("{base} cannot be asked about {name}");
    let client = reqwest::Client::builder()
        .user_agent(concat!("mailctl/", env!("CARGO_PKG_VERSION")))
        .timeout(patience)
        .build()
        .with_context(what)?;
    let mut at = name.clone();
    while at.as_str().contains('.') {
        let url = format!("{}/domain/{at}", base.trim_end_matches('/'));
        let request = client.get(url).header(ACCEPT, "application/rdap+json");
        let response = request.send().await.with_context(what)?;
        match response.status() {
            StatusCode::NOT_FOUND => {}
            status if status.is_success() => {
                let registered = response.json().await.with_context(what)?;
                return Ok(Some((at, registered)));
            }
            status => return Err(Failure::new(what()).because(format!("it answers {status}"))),
        }
        let Some(parent) = at.parent() else { break };
        at = parent;
    }
    Ok(None)
}

fn judge(domain: &Name, registered: &Registered, now: OffsetDateTime) -> Vec<Finding> {
    let mut findings = vec![
        age(domain, dated(registered, "registration"), now),
        expiry(domain, dated(registered, "expiration"), now),
    ];
    findings.extend(status(domain, registered));
    findings
}

/// The date of an event; registries leave out what they do not tell.
fn dated(registered: &Registered, action: &str) -> Option<OffsetDateTime> {
    let event = registered
        .events
        .iter()
        .find(|event| event.event_action.eq_ignore_ascii_case(action))?;
    let text = event.event_date.trim();
    if let Ok(date) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(date);
    }
    // Some registries leave out the time's zone, or the time.
    let day = time::macros::format_description!("[year]-[month]-[day]");
    let date = time::Date::parse(text.get(..10)?, &day).ok()?;
    Some(date.with_time(Time::MIDNIGHT).assume_utc())
}

fn age(domain: &Name, since: Option<OffsetDateTime>, now: OffsetDateTime) -> Finding {
    let about = AGE.of(domain);
    let Some(since) = since else {
        return about.skip("the registry does not say when it was registered");
    };
    let days = (now - since).whole_days();
    if days < SOON {
        about.warn(
            format!(
                "registered {} ago, on {}",
                days_told(days.max(0)),
                since.date()
            ),
            "send little, and to people who wait for it, until it is older",
        )
    } else {
        about.pass(format!("registered on {}", since.date()))
    }
}

fn expiry(domain: &Name, until: Option<OffsetDateTime>, now: OffsetDateTime) -> Finding {
    let about = EXPIRY.of(domain);
    let Some(until) = until else {
        return about.skip("the registry does not say when it ends");
    };
    let days = (until - now).whole_days();
    let date = until.date();
    if until <= now {
        about.fail(
            format!("it ended on {date}"),
            "renew it at the registrar at once",
        )
    } else if days < SOON {
        about.warn(
            format!("it ends on {date}, in {}", days_told(days)),
            "renew it at the registrar, or see that it renews it by itself",
        )
    } else {
        about.pass(format!("it lasts until {date}"))
    }
}

fn status(domain: &Name, registered: &Registered) -> Option<Finding> {
    let ending: Vec<&str> = registered
        .status
        .iter()
        .map(String::as_str)
        .filter(|status| ENDING.iter().any(|end| status.eq_ignore_ascii_case(end)))
        .collect();
    (!ending.is_empty()).then(|| {
        STATUS.of(domain).fail(
            ending.join(", "),
            "ask the registrar what it waits for: most often for a confirmed address of the holder, or for money",
        )
    })
}

fn days_told(days: i64) -> String {
    if days == 1 {
        "1 day".into()
    } else {
        format!("{days} days")
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn verdicts(json: &str) -> Vec<(String, Verdict)> {
        let registered: Registered = serde_json::from_str(json).expect("an answer");
        let domain = Name::parse("wac.tax").expect("a name");
        judge(&domain, &registered, NOW)
            .into_iter()
            .map(|finding| (finding.id.replace("registration.", ""), finding.verdict))
            .collect()
    }

    fn dates(registration: &str, expiration: &str) -> String {
        format!(
            r#"{{"objectClassName": "domain", "events": [
                {{"eventAction": "registration", "eventDate": "{registration}"}},
                {{"eventAction": "last changed", "eventDate": "2026-11-20T00:00:00Z"}},
                {{"eventAction": "expiration", "eventDate": "{expiration}"}}]}}"#
        )
    }

    #[test]
    fn age_and_end_are_judged_by_days() {
        for (registration, expiration, age, expiry) in [
            ("2019-05-01T08:00:00Z", "2027-05-01T08:00:00Z", Pass, Pass),
            ("2026-11-20T00:00:00Z", "2027-11-20T00:00:00Z", Warn, Pass),
            (
                "2026-10-22T00:00:00+02:00",
                "2026-12-10T00:00:00Z",
                Pass,
                Warn,
            ),
            ("2019-05-01", "2026-11-22T11:59:59", Pass, Fail),
            ("2019-05-01", "2026-11-01T00:00:00.0Z", Pass, Fail),
            ("long ago", "never", Skip, Skip),
        ] {
            let found = verdicts(&dates(registration, expiration));
            let wanted = [("age".to_owned(), age), ("expiry".to_owned(), expiry)];
            assert_eq!(found, wanted, "{registration} {expiration}");
        }
    }

    #[test]
    fn what_a_registry_leaves_out_is_skipped() {
        let skipped = [("age".to_owned(), Skip), ("expiry".to_owned(), Skip)];
        assert_eq!(verdicts("{}"), skipped);
    }

    #[test]
    fn a_held_domain_is_a_failure() {
        let found = verdicts(r#"{"status": ["client transfer prohibited", "Client Hold"]}"#);
        assert_eq!(found[2], ("status".to_owned(), Fail));
        assert_eq!(verdicts(r#"{"status": ["active"]}"#).len(), 2);
    }
}
