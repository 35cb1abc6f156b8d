//! Absent, equal, different; the hoster's own name; somebody else's address;
//! what somebody else set. For every page, in both families where it has both.

use std::net::IpAddr;

use mailctl::record::Rrset;
use mailctl::zone::Zone;

use crate::coverage;
use crate::fake::V4;
use crate::hosters::HOSTERS;
use crate::stage::{Stage, api, key, values};

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
        let untried = coverage::untried(stage.api(), &stage.fake.world().calls);
        assert!(untried.is_empty(), "{}: {untried:#?}", hoster.id);
    }
}

#[tokio::test]
async fn the_hosters_own_name_counts_as_not_set() {
    for hoster in HOSTERS {
        let Some(default) = hoster.default else {
            assert!(api(hoster.id).defaults.is_empty(), "{}", hoster.id);
            continue;
        };
        let stage = Stage::of(hoster).await;
        let ip: IpAddr = V4.parse().expect("an address");
        stage.fake.world().held.insert(ip, default.to_owned());
        let seen = stage.list(V4).await.expect(hoster.id);
        assert!(seen.values.is_empty(), "{}: {seen:?}", hoster.id);
        let written = stage.write(V4, Some("mail.example.com")).await;
        written.expect(hoster.id);
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
            let told_so = if tells {
                "is not an address of this account"
            } else {
                "not"
            };
            assert!(told.contains(told_so), "{} {ip}: {told}", hoster.id);
        }
        assert_eq!(stage.fake.world().writes, 0, "{}", hoster.id);
        stage.judged();
    }
}

/// Between the look and the change, which may be minutes where the hoster
/// waits for the forward record.
#[tokio::test]
async fn what_somebody_else_sets_meanwhile_is_neither_replaced_nor_taken_away() {
    for hoster in HOSTERS {
        let stage = Stage::of(hoster).await;
        for ip in stage.addresses() {
            let ours = Rrset::new(key(ip), Some(300), ["mail.example.com."]);
            let absent = Rrset::absent(key(ip));
            let theirs = "mail.somebody-else.example".to_owned();
            let address = ip.parse().expect("an address");
            stage.fake.world().held.insert(address, theirs.clone());
            for (before, want) in [(&absent, &ours), (&ours, &absent)] {
                let refused = stage.zone.set(&before.key.name, before, want).await;
                let told = refused.expect_err(hoster.id).told();
                assert!(
                    told.contains("somebody changed"),
                    "{} {ip}: {told}",
                    hoster.id
                );
            }
            assert_eq!(stage.fake.world().held[&address], theirs);
        }
        assert_eq!(stage.fake.world().writes, 0, "{}", hoster.id);
        stage.judged();
    }
}
