//! Every hoster's page against an API that remembers, and its requests
//! against the hoster's OpenAPI description.

mod fake;
mod hosters;
mod keys;
mod spec;

use std::net::IpAddr;
use std::time::Duration;

use mailctl::catalogue::{self, Kind};
use mailctl::failure::Result;
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rest::{Pace, Rest};
use mailctl::secret::Secret;
use mailctl::zone::{self, Settings, Zone};
use serde_json::json;

use fake::{Fake, SECRETS, V4, V6, Which, status};
use hosters::{HOSTERS, Hoster};

/// A hoster with its client.
struct Stage {
    hoster: &'static Hoster,
    fake: Fake,
    zone: Rest,
}

impl Stage {
    async fn of(hoster: &'static Hoster) -> Self {
        let fake = Fake::start(hoster).await;
        let mut settings = Settings::default().with("endpoint", fake.endpoint.as_str());
        let entry = catalogue::ptr(hoster.id).expect(hoster.id);
        if entry
            .fields
            .iter()
            .any(|field| field.name == "auth_endpoint")
        {
            settings = settings.with("auth_endpoint", fake.auth.as_str());
        }
        for (name, value) in hoster.fields {
            settings = match *value {
                "!KEY" => settings.with(name, Secret::new(keys::pem())),
                "!ACCOUNT" => {
                    let account = json!({"client_email": "mailctl@p1.test", "private_key": keys::pem(), "token_uri": fake.auth});
                    settings.with(name, Secret::new(account.to_string()))
                }
                value => match value.strip_prefix('!') {
                    Some(secret) => settings.with(name, Secret::new(secret)),
                    None => settings.with(name, value),
                },
            };
        }
        let pace = Pace {
            second: Duration::from_millis(1),
            ..Pace::default()
        };
        let zone = Rest::open(entry, &settings, pace).expect("a client");
        Self { hoster, fake, zone }
    }

    /// The families that the hoster has calls for.
    fn addresses(&self) -> Vec<&'static str> {
        let mut all = vec![(V4, self.hoster.v4), (V6, self.hoster.v6)];
        all.retain(|(_, has)| *has);
        all.into_iter().map(|(ip, _)| ip).collect()
    }

    async fn list(&self, ip: &str) -> Result<Rrset> {
        let key = key(ip);
        let sets = self
            .zone
            .list(&key.name, std::slice::from_ref(&key))
            .await?;
        Ok(sets.into_iter().next().expect("a set for a key"))
    }

    /// Writes as apply does.
    async fn write(&self, ip: &str, name: Option<&str>) -> Result<()> {
        let before = self.list(ip).await?;
        let want = Rrset::new(key(ip), Some(300), name);
        zone::write(&self.zone, &before.key.name, &before, &want).await
    }

    /// What the API's description has against our requests.
    fn judged(&self) {
        let wrong = self.fake.world().wrong.clone();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", self.hoster.id);
    }
}

fn key(ip: &str) -> RrsetKey {
    let ip: IpAddr = ip.parse().expect("an address");
    RrsetKey::new(Name::reverse(ip), RType::Ptr)
}

fn values(set: &Rrset) -> Vec<&str> {
    set.values.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn what_is_set_is_seen_and_not_written_twice() {
    for hoster in HOSTERS {
        let stage = Stage::of(hoster).await;
        for ip in stage.addresses() {
            let id = format!("{} {ip}", hoster.id);
            let absent = stage.list(ip).await.expect(&id);
            assert!(absent.values.is_empty(), "{id}: {absent:?}");
            for name in ["Mail.Example.com", "other.example.com."] {
                let before = stage.fake.world().writes;
                stage.write(ip, Some(name)).await.expect(&id);
                let seen = stage.list(ip).await.expect(&id);
                let dotted = format!("{}.", name.trim_end_matches('.').to_lowercase());
                assert_eq!(values(&seen), [dotted.as_str()], "{id}");
                assert_eq!(stage.fake.world().writes, before + 1, "{id}");
                stage.write(ip, Some(name)).await.expect(&id);
                assert_eq!(stage.fake.world().writes, before + 1, "{id}: twice");
            }
            let resets = if ip == V4 {
                hoster.resets.0
            } else {
                hoster.resets.1
            };
            match stage.write(ip, None).await {
                Ok(()) => assert!(resets, "{id}"),
                Err(why) => assert!(
                    !resets && why.told().contains("cannot take"),
                    "{id}: {}",
                    why.told()
                ),
            }
            let left = stage.list(ip).await.expect(&id);
            assert_eq!(left.values.is_empty(), resets, "{id}: {left:?}");
        }
        stage.judged();
    }
}

#[tokio::test]
async fn the_hosters_own_name_counts_as_not_set() {
    for hoster in HOSTERS {
        let Some(default) = hoster.default else {
            continue;
        };
        let stage = Stage::of(hoster).await;
        let ip: IpAddr = V4.parse().expect("an address");
        stage.fake.world().held.insert(ip, default.to_owned());
        let seen = stage.list(V4).await.expect(hoster.id);
        assert!(seen.values.is_empty(), "{}: {seen:?}", hoster.id);
        stage
            .write(V4, Some("mail.example.com"))
            .await
            .expect(hoster.id);
        assert_eq!(stage.fake.world().writes, 1, "{}", hoster.id);
        stage.judged();
    }
}

#[tokio::test]
async fn somebody_elses_address_is_not_one_without_a_name() {
    for hoster in HOSTERS {
        let stage = Stage::of(hoster).await;
        stage.fake.world().foreign = true;
        for ip in stage.addresses() {
            let tells = if ip == V4 {
                hoster.tells.0
            } else {
                hoster.tells.1
            };
            let told = match stage.list(ip).await {
                Err(why) => why.told(),
                Ok(set) => {
                    assert!(!tells, "{} {ip}: {set:?}", hoster.id);
                    let refused = stage.write(ip, Some("mail.example.com")).await;
                    refused.expect_err(hoster.id).told()
                }
            };
            assert!(
                told.contains(if tells {
                    "is not an address of this account"
                } else {
                    "not"
                }),
                "{} {ip}: {told}",
                hoster.id
            );
        }
        assert_eq!(stage.fake.world().writes, 0, "{}", hoster.id);
        stage.judged();
    }
}

#[tokio::test]
async fn a_forward_record_that_is_missing_is_waited_for() {
    for hoster in HOSTERS.iter().filter(|hoster| hoster.no_forward.is_some()) {
        let stage = Stage::of(hoster).await;
        stage.fake.world().no_forward = 3;
        stage
            .write(V4, Some("mail.example.com"))
            .await
            .expect(hoster.id);
        assert_eq!(stage.fake.world().writes, 1, "{}", hoster.id);
        stage.fake.world().no_forward = u32::MAX;
        let asked = stage.fake.world().asked;
        let told = stage
            .write(V4, Some("new.example.com"))
            .await
            .expect_err(hoster.id)
            .told();
        assert!(told.contains("A and AAAA records"), "{}: {told}", hoster.id);
        let tried = stage.fake.world().asked - asked;
        assert!(tried < 150, "{}: {tried} requests", hoster.id);
        stage.judged();
    }
}

#[tokio::test]
async fn a_busy_api_is_asked_again() {
    for hoster in HOSTERS {
        let stage = Stage::of(hoster).await;
        let mut slow = status(429, json!({"message": "too many"}));
        slow.headers.push(("Retry-After", "2".into()));
        let down = status(503, json!({"message": "maintenance"}));
        // AWS reads by POST, which looks like a change: the first fault is the read's.
        let faults = [
            (Which::Reads, slow.clone()),
            (Which::Reads, down.clone()),
            (Which::Writes, slow),
            (Which::Writes, down),
        ];
        let reads_by_get = hoster.id != "aws-ec2";
        let faults = faults
            .into_iter()
            .filter(|(which, _)| reads_by_get || *which == Which::Writes);
        stage.fake.world().faults.extend(faults);
        stage
            .write(V4, Some("mail.example.com"))
            .await
            .expect(hoster.id);
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
        for code in [401, 403] {
            let stage = Stage::of(hoster).await;
            let refused = status(code, json!({"message": "wrong: ECHO"}));
            // A short-lived token is tried once more with a fresh one.
            stage
                .fake
                .world()
                .faults
                .extend([(Which::Reads, refused.clone()), (Which::Reads, refused)]);
            let told = stage.list(V4).await.expect_err(hoster.id).told();
            assert!(
                told.contains("credentials are refused") && told.contains("`"),
                "{}: {told}",
                hoster.id
            );
            assert!(
                !SECRETS.iter().any(|secret| told.contains(secret)),
                "{}: {told}",
                hoster.id
            );
        }
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

#[test]
fn every_api_of_the_catalogue_is_tried_here_and_can_be_elsewhere() {
    for entry in catalogue::entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Ptr)
    {
        let tried = HOSTERS.iter().any(|hoster| hoster.id == entry.id);
        assert_eq!(tried, entry.api.is_some(), "{}", entry.id);
        let endpoint = entry.fields.iter().any(|field| field.name == "endpoint");
        assert!(endpoint || entry.api.is_none(), "{}", entry.id);
    }
}
