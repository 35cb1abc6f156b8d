//! What is PowerDNS's own: what it keeps beside the records.

use mailctl::record::{RType, Rrset};
use mailctl::zone;
use serde_json::{Value, json};

use super::world::World;
use super::{APEX, name, powerdns, servers, set};

/// The set as the API shows it, after a change made through it by hand.
async fn by_hand(world: &World, change: Option<Value>) -> Value {
    let endpoint = &world.fields["endpoint"];
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
    let Some(world) = servers::powerdns().await else {
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
