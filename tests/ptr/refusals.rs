//! What an API refuses, and why: for every page, in both families where it
//! has both, reading and writing.

use mailctl::rest::api::{Meaning, Rule};
use mailctl::rest::auth::Scheme;
use serde_json::json;

use crate::coverage;
use crate::fake::{SECRETS, V4, Which};
use crate::hosters::HOSTERS;
use crate::http::status;
use crate::stage::{Stage, api};

const NAME: Option<&str> = Some("mail.example.com");

#[tokio::test]
async fn a_forward_record_that_is_missing_is_waited_for() {
    for hoster in HOSTERS.iter().filter(|hoster| hoster.no_forward.is_some()) {
        let stage = Stage::of(hoster).await;
        for ip in stage.addresses() {
            let id = format!("{} {ip}", hoster.id);
            let writes = stage.fake.world().writes;
            stage.fake.world().no_forward = 3;
            stage.write(ip, NAME).await.expect(&id);
            assert_eq!(stage.fake.world().writes, writes + 1, "{id}");
            stage.fake.world().no_forward = u32::MAX;
            let asked = stage.fake.world().calls.len();
            let refused = stage.write(ip, Some("new.example.com")).await;
            let told = refused.expect_err(&id).told();
            assert!(told.contains("A and AAAA records"), "{id}: {told}");
            let tried = stage.fake.world().calls.len() - asked;
            assert!(tried < 150, "{id}: {tried} requests");
            stage.fake.world().no_forward = 0;
        }
        stage.judged();
    }
}

/// Also where it is about the name: only what a page knows as a missing
/// forward record is waited for.
#[tokio::test]
async fn another_refusal_is_told_in_the_hosters_words_and_not_tried_again() {
    for hoster in HOSTERS {
        for code in [400, 409, 422, 423] {
            let stage = Stage::of(hoster).await;
            for ip in stage.addresses() {
                let id = format!("{} {ip} {code}", hoster.id);
                let (attempts, words) = (stage.attempts(), "the machine is locked");
                let refused = status(code, json!({"error": {"code": "x", "message": words}}));
                stage
                    .fake
                    .world()
                    .faults
                    .push_back((Which::Writes, refused));
                let told = stage.write(ip, NAME).await.expect_err(&id).told();
                assert!(told.contains(words), "{id}: {told}");
                assert_eq!(stage.attempts(), attempts + 1, "{id}");
            }
            assert_eq!(stage.fake.world().writes, 0, "{}", hoster.id);
        }
    }
}

#[tokio::test]
async fn a_busy_api_is_asked_again() {
    for hoster in HOSTERS {
        let stage = Stage::of(hoster).await;
        let mut slow = status(429, json!({"message": "too many"}));
        slow.headers.push(("Retry-After", "2".into()));
        let down = status(503, json!({"message": "come back later"}));
        let gives_up = |rule: &Rule| rule.status == 429 && rule.means == Meaning::Final;
        if stage.api().answers.iter().any(gives_up) {
            slow = down.clone();
        }
        let mut faults = vec![
            (Which::Reads, slow.clone()),
            (Which::Reads, down.clone()),
            (Which::Writes, slow),
            (Which::Writes, down.clone()),
        ];
        if let Scheme::Exchange(_) = stage.api().auth {
            faults.insert(0, (Which::Tokens, down));
        }
        stage.fake.world().faults.extend(faults);
        stage.write(V4, NAME).await.expect(hoster.id);
        assert!(stage.fake.world().faults.is_empty(), "{}", hoster.id);
        assert_eq!(stage.fake.world().writes, 1, "{}", hoster.id);
        stage.judged();
    }
}

#[tokio::test]
async fn a_pause_that_nobody_can_wait_for_is_told() {
    let stage = Stage::of(&HOSTERS[0]).await;
    let mut slow = status(
        429,
        json!({"error": {"message": "limit of requests per hour reached"}}),
    );
    slow.headers.push(("Retry-After", "3000".into()));
    stage.fake.world().faults.push_back((Which::Reads, slow));
    let told = stage.list(V4).await.expect_err("too long").told();
    assert!(
        told.contains("limit of requests") && told.contains("in 3000 seconds"),
        "{told}"
    );
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_never_shown() {
    for hoster in HOSTERS {
        for (code, which) in [
            (401, Which::Reads),
            (403, Which::Reads),
            (401, Which::Writes),
            (403, Which::Writes),
        ] {
            let stage = Stage::of(hoster).await;
            for ip in stage.addresses() {
                let id = format!("{} {ip} {code} {which:?}", hoster.id);
                let refused = (which, status(code, json!({"message": "wrong: ECHO"})));
                // A short-lived token is tried once more with a fresh one.
                stage.fake.world().faults.extend([refused.clone(), refused]);
                let told = stage.write(ip, NAME).await.expect_err(&id).told();
                assert!(
                    told.contains("credentials are refused") && told.contains('`'),
                    "{id}: {told}"
                );
                let shown = SECRETS.iter().find(|secret| told.contains(**secret));
                assert_eq!(shown, None, "{id}: {told}");
                stage.fake.world().faults.clear();
            }
            assert_eq!(stage.fake.world().writes, 0, "{}", hoster.id);
        }
    }
}

/// The place of the tokens refuses what it is to exchange.
#[tokio::test]
async fn a_secret_that_gets_no_token_is_told_and_never_shown() {
    let exchanges = |id: &str| matches!(api(id).auth, Scheme::Exchange(_));
    for hoster in HOSTERS.iter().filter(|hoster| exchanges(hoster.id)) {
        let stage = Stage::of(hoster).await;
        let refused = status(400, json!({"error": "invalid_grant: ECHO"}));
        stage
            .fake
            .world()
            .faults
            .push_back((Which::Tokens, refused));
        let told = stage.list(V4).await.expect_err(hoster.id).told();
        assert!(
            told.contains("credentials are refused"),
            "{}: {told}",
            hoster.id
        );
        assert!(
            !SECRETS.iter().any(|secret| told.contains(secret)),
            "{told}"
        );
        let leads = told.contains("`mailctl auth netcup-scp` gets a new one");
        assert_eq!(leads, hoster.id == "netcup-scp", "{told}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_no_empty_one() {
    for hoster in HOSTERS {
        let stage = Stage::of(hoster).await;
        let mut page = status(200, json!(null));
        page.body = "<!DOCTYPE html><p>Please log in".into();
        stage.fake.world().faults.push_back((Which::Reads, page));
        let told = stage.list(V4).await.expect_err(hoster.id).told();
        assert!(told.contains("cannot be read"), "{}: {told}", hoster.id);
    }
}

/// What was accepted, and then ended badly.
#[tokio::test]
async fn an_end_that_is_a_failure_is_told() {
    let mut tried = 0;
    for hoster in HOSTERS {
        let waits = coverage::steps(api(hoster.id)).into_iter();
        let Some(wait) = waits.filter_map(|step| step.wait.as_deref()).next() else {
            continue;
        };
        // Google says DONE of a failure, too, and tells it by its fault.
        let ends = match (wait.failed.first(), &wait.fault) {
            (Some(failed), None) => failed.as_str(),
            (None, Some(_)) => "DONE",
            other => panic!("{}: {other:?}", hoster.id),
        };
        tried += 1;
        let stage = Stage::of(hoster).await;
        for ip in stage.addresses() {
            stage.fake.world().broken = Some(ends);
            let told = stage.write(ip, NAME).await.expect_err(hoster.id).told();
            assert!(
                told.contains("but then failed"),
                "{} {ip}: {told}",
                hoster.id
            );
            if wait.why.is_some() || wait.fault.is_some() {
                assert!(
                    told.contains("no such forward record"),
                    "{}: {told}",
                    hoster.id
                );
            }
        }
        stage.judged();
    }
    assert!(tried > 5, "{tried}");
}
