//! What is PowerDNS's own: its API's bad days, and what it keeps beside the records.

use mailctl::record::{RType, Rrset};
use mailctl::secret::Secret;
use mailctl::zone::{self, Settings};
use serde_json::{Value, json};

use super::faults::{Fault, FaultyApi};
use super::powerdns::{self, PowerDnsServer};
use super::{APEX, World, name, set, zones};

#[tokio::test]
async fn a_busy_api_is_asked_again_and_a_lost_answer_is_looked_after() {
    let Some(server) = PowerDnsServer::start(&zones()).await else {
        return;
    };
    let api = FaultyApi::before(server.api);
    let settings = Settings::default()
        .with("endpoint", format!("http://{}/", api.addr))
        .with("token", Secret::new(powerdns::API_KEY));
    let world = World::new("powerdns", server.dns, settings, server);
    let want = |text: &str| set("busy.example.test", RType::Txt, 300, &[text]);
    let absent = Rrset::absent(want("").key);
    let zone = world.zone();

    api.next(&[Fault::Busy, Fault::Busy]);
    let found = zone
        .list(&name(APEX), std::slice::from_ref(&absent.key))
        .await
        .expect("the third try");
    assert_eq!(found, std::slice::from_ref(&absent));
    assert_eq!(api.seen(), ["GET", "GET", "GET"]);

    // It arrived although the answer says that it did not: it is not sent again.
    api.next(&[Fault::None, Fault::AnswerLost]);
    zone::write(&*zone, &name(APEX), &absent, &want("one"))
        .await
        .expect("it is there");
    assert_eq!(api.seen(), ["GET", "PATCH", "GET"]);
    assert_eq!(world.list(APEX, &absent.key).await, want("one"));

    // It did not arrive: it is sent again, after looking.
    api.next(&[Fault::None, Fault::Busy]);
    zone::write(&*zone, &name(APEX), &want("one"), &want("two"))
        .await
        .expect("the second try");
    assert_eq!(api.seen(), ["GET", "PATCH", "GET", "GET", "PATCH", "GET"]);
    assert_eq!(world.list(APEX, &absent.key).await, want("two"));

    api.next(&[Fault::Busy; 9]);
    let why = zone
        .list(&name(APEX), std::slice::from_ref(&absent.key))
        .await
        .expect_err("too busy")
        .told();
    assert!(
        why.contains("503") && !why.contains(powerdns::API_KEY),
        "{why}"
    );
}

/// The set as the API shows it, after a change made through it by hand.
async fn by_hand(world: &World, change: Option<Value>) -> Value {
    let endpoint = world.settings.text("endpoint").expect("an endpoint");
    let url = format!("{endpoint}/api/v1/servers/localhost/zones/{APEX}.");
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    if let Some(change) = change {
        let request = client
            .patch(&url)
            .header("X-API-Key", powerdns::API_KEY)
            .json(&change);
        request
            .send()
            .await
            .expect("an answer")
            .error_for_status()
            .expect("a change");
    }
    let request = client.get(&url).header("X-API-Key", powerdns::API_KEY);
    let zone: Value = request
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let sets = zone["rrsets"].as_array().expect("sets");
    sets.iter()
        .find(|set| set["name"] == "kept.example.test.")
        .expect("the set")
        .clone()
}

#[tokio::test]
async fn comments_and_disabled_records_stay() {
    let Some(world) = World::powerdns().await else {
        return;
    };
    let change = json!({"rrsets": [{
        "name": "kept.example.test.", "type": "TXT", "ttl": 300, "changetype": "REPLACE",
        "records": [{"content": "\"on\"", "disabled": false}, {"content": "\"off\"", "disabled": true}],
        "comments": [{"content": "do not touch", "account": "somebody", "modified_at": 1}],
    }]});
    by_hand(&world, Some(change)).await;
    let before = set("kept.example.test", RType::Txt, 300, &["on"]);
    assert_eq!(world.list(APEX, &before.key).await, before);
    let zone = world.zone();
    let want = set("kept.example.test", RType::Txt, 60, &["on", "new"]);
    zone::write(&*zone, &name(APEX), &before, &want)
        .await
        .expect("a change");
    let kept = by_hand(&world, None).await;
    assert_eq!(kept["comments"][0]["content"], "do not touch");
    assert_eq!(kept["records"].as_array().map(Vec::len), Some(3));
    zone::write(&*zone, &name(APEX), &want, &Rrset::absent(want.key.clone()))
        .await
        .expect("a deletion");
    let kept = by_hand(&world, None).await;
    assert_eq!(
        kept["records"],
        json!([{"content": "\"off\"", "disabled": true}])
    );
    assert_eq!(kept["comments"][0]["content"], "do not touch");
}
