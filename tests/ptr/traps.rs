//! Where one hoster's API is not as one would think.

use std::net::IpAddr;

use serde_json::json;

use crate::fake::{V4, V6, Which};
use crate::hosters::HOSTERS;
use crate::http::{Answer, status};
use crate::stage::{Stage, values};

const NAME: Option<&str> = Some("mail.example.com");

async fn stage(id: &str) -> Stage {
    let hoster = HOSTERS.iter().find(|hoster| hoster.id == id);
    Stage::of(hoster.expect(id)).await
}

/// What writing comes to where the API answers so first.
async fn told(id: &str, which: Which, answer: Answer) -> Result<(), String> {
    let stage = stage(id).await;
    stage.fake.world().faults.push_back((which, answer));
    let written = stage.write(V4, NAME).await;
    written.map_err(|why| why.told())
}

#[tokio::test]
async fn robot_says_403_when_it_is_busy_and_for_how_long() {
    let limited = |interval: u32| {
        status(
            403,
            json!({"error": {"status": 403, "code": "RATE_LIMIT_EXCEEDED", "message": "rate limit exceeded", "max_request": 500, "interval": interval}}),
        )
    };
    let written = told("hetzner-robot", Which::Reads, limited(20)).await;
    assert_eq!(written, Ok(()));
    let told = told("hetzner-robot", Which::Writes, limited(3600)).await;
    let told = told.expect_err("too long");
    assert!(
        told.contains("rate limit exceeded") && told.contains("again in 3600 seconds"),
        "{told}"
    );
}

#[tokio::test]
async fn linode_says_400_for_much_and_503_when_it_is_closed() {
    let reason = |text: &str| status(400, json!({"errors": [{"reason": text}]}));
    for waited in [
        "Linode busy.",
        "We were unable to perform a lookup for 'mail.example.com' at this time.",
        "No match was found for 'mail.example.com'. Reverse DNS must have a matching forward entry.",
    ] {
        let written = told("linode", Which::Writes, reason(waited)).await;
        assert_eq!(written, Ok(()), "{waited}");
    }
    let refused = told("linode", Which::Writes, reason("rdns is too long")).await;
    let refused = refused.expect_err("a mistake");
    assert!(refused.contains("rdns is too long"), "{refused}");
    assert_eq!(
        told("linode", Which::Writes, status(408, json!(null))).await,
        Ok(())
    );
    let mut closed = status(
        503,
        json!({"errors": [{"reason": "scheduled maintenance"}]}),
    );
    closed.headers.push(("X-Maintenance-Mode", "all".into()));
    let closed = told("linode", Which::Reads, closed)
        .await
        .expect_err("closed");
    assert!(closed.contains("scheduled maintenance"), "{closed}");
}

#[tokio::test]
async fn hetzner_cloud_does_not_refuse_the_credentials_by_every_403() {
    let error = |code: &str, text: &str| json!({"error": {"code": code, "message": text}});
    for (answer, says, credentials) in [
        (
            status(
                403,
                error("token_readonly", "token is only allowed to read"),
            ),
            "only allowed to read",
            true,
        ),
        (
            status(403, error("protected", "server is protected")),
            "server is protected",
            false,
        ),
        (
            status(503, error("maintenance", "cannot perform it now")),
            "cannot perform it now",
            false,
        ),
        (
            status(423, error("locked", "server is locked")),
            "server is locked",
            false,
        ),
    ] {
        let told = told("hetzner-cloud", Which::Writes, answer).await;
        let told = told.expect_err(says);
        assert!(told.contains(says), "{told}");
        assert_eq!(
            told.contains("credentials are refused"),
            credentials,
            "{told}"
        );
    }
    let conflict = status(409, error("conflict", "another action is running"));
    assert_eq!(told("hetzner-cloud", Which::Writes, conflict).await, Ok(()));
}

#[tokio::test]
async fn hostinger_blocks_who_goes_on_asking() {
    let stage = stage("hostinger").await;
    let mut limited = status(429, json!({"error": "Too many requests"}));
    limited.headers.push(("Retry-After", "40".into()));
    stage.fake.world().faults.push_back((Which::Reads, limited));
    let told = stage.list(V4).await.expect_err("once").told();
    assert!(
        told.contains("Too many requests") && told.contains("again in 40 seconds"),
        "{told}"
    );
    assert_eq!(stage.fake.world().calls.len(), 1);
}

#[tokio::test]
async fn netcup_is_not_asked_for_names_that_it_refuses() {
    let stage = stage("netcup-scp").await;
    for ip in [V4, V6] {
        let refused = stage.write(ip, Some("smtp.xn--e1afmkfd.xn--p1ai")).await;
        let told = refused.expect_err("its TLD").told();
        assert!(told.contains("`xn--p1ai` at the end of"), "{told}");
        let other = stage.write(ip, Some("smtp.xn--e1afmkfd.example")).await;
        other.expect("only the TLD counts");
    }
    assert_eq!(stage.attempts(), 2);
    stage.judged();
}

#[tokio::test]
async fn ovh_wants_the_block_in_one_segment_of_the_path() {
    let stage = stage("ovh").await;
    stage.write(V4, NAME).await.expect("set");
    let targets: Vec<String> = stage.fake.world().targets.clone();
    let sets = targets.iter().find(|target| target.starts_with("POST"));
    assert_eq!(
        sets.map(String::as_str),
        Some("POST /1.0/ip/203.0.113.7%2F32/reverse"),
        "{targets:#?}"
    );
    let ungranted = status(
        403,
        json!({"class": "Client::Forbidden", "message": "This call has not been granted"}),
    );
    let told = told("ovh", Which::Writes, ungranted)
        .await
        .expect_err("a key");
    assert!(
        told.contains("has not been granted") && told.contains("`consumer_key`"),
        "{told}"
    );
}

#[tokio::test]
async fn upcloud_gets_its_own_name_back() {
    let stage = stage("upcloud").await;
    stage.write(V4, NAME).await.expect("set");
    stage.write(V4, None).await.expect("reset");
    let ip: IpAddr = V4.parse().expect("an address");
    assert_eq!(
        stage.fake.world().held[&ip],
        "203-0-113-7.fi-hel2.upcloud.host"
    );
}

#[tokio::test]
async fn a_droplet_called_by_one_label_has_no_record() {
    let stage = stage("digitalocean").await;
    let ip: IpAddr = V4.parse().expect("an address");
    stage.fake.world().held.insert(ip, "mx".to_owned());
    let seen = stage.list(V4).await.expect("seen");
    assert!(values(&seen).is_empty(), "{seen:?}");
}

/// One page after another is empty, but none is the last.
#[tokio::test]
async fn pages_without_end_are_no_absence() {
    let stage = stage("hetzner-cloud").await;
    stage.fake.world().endless = true;
    let told = stage.list(V4).await.expect_err("endless").told();
    assert!(told.contains("more than 200 pages"), "{told}");
}
