//! More than one writer at a zone.

use std::process::Stdio;

use mailctl::record::{RType, Rrset};
use mailctl::zone;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::world::{Fields, World};
use crate::{APEX, key, name, set};

pub async fn a_lost_race_changes_nothing(world: &World) {
    let owner = "race.example.test";
    let theirs = set(owner, RType::Txt, 300, &["theirs"]);
    world.put(APEX, &theirs).await;
    let ours = set(owner, RType::Txt, 300, &["ours"]);
    if let Some(gate) = &world.gate {
        gate.next(&[]);
    }
    let absent = Rrset::absent(ours.key.clone());
    for before in [absent, set(owner, RType::Txt, 300, &["what it was before"])] {
        let written = zone::write(&*world.zone(), &name(APEX), &before, &ours).await;
        let why = written.expect_err("a lost race").told();
        assert!(
            why.contains("somebody changed race.example.test TXT"),
            "{why}"
        );
    }
    assert_eq!(world.gate.as_ref().map_or(0, |gate| gate.writes()), 0);
    assert_eq!(world.list(APEX, &theirs.key).await, world.shown(&theirs));
}

/// Two orders at once, for a domain and its wildcard.
pub async fn challenges_share_a_name(world: &World) {
    let (apex, key) = (name(APEX), key("_acme-challenge.example.test", RType::Txt));
    let (a, b) = (world.zone(), world.zone());
    let (one, two) = (["apex".to_owned()], ["wildcard".to_owned()]);
    let (first, second) = tokio::join!(
        zone::add_values(&*a, &apex, &key, 60, &one),
        zone::add_values(&*b, &apex, &key, 60, &two),
    );
    first.expect("the first is added");
    second.expect("the second is added");
    zone::add_values(&*a, &apex, &key, 60, &one)
        .await
        .expect("adding twice is no error");
    let both = Rrset::new(key.clone(), Some(60), ["apex", "wildcard"]);
    assert_eq!(world.list(APEX, &key).await, world.shown(&both));
    zone::remove_values(&*a, &apex, &key, &one)
        .await
        .expect("removed");
    let rest = Rrset::new(key.clone(), Some(60), ["wildcard"]);
    assert_eq!(world.list(APEX, &key).await, world.shown(&rest));
    for _ in 0..2 {
        zone::remove_values(&*b, &apex, &key, &two)
            .await
            .expect("removing twice is no error");
    }
    assert_eq!(world.list(APEX, &key).await, Rrset::absent(key));
}

/// What another process needs to know to write to the same zone.
#[derive(Deserialize, Serialize)]
struct Errand {
    provider: String,
    fields: Fields,
    resolver: std::net::SocketAddr,
    label: String,
}

/// How another process gets its errand.
const ERRAND: &str = "MAILCTL_ZONES_ERRAND";
/// Sets that each process writes for itself.
const OWN: usize = 5;
/// The set that both add a value to.
const SHARED: &str = "shared.example.test";

/// Two processes, so that nothing in memory keeps them apart.
pub async fn two_applies_at_once_lose_nothing(world: &World) {
    let labels = ["left", "right"];
    let start = |label: &str| {
        let errand = Errand {
            provider: world.provider.to_owned(),
            fields: world.fields.clone(),
            resolver: world.addr,
            label: label.to_owned(),
        };
        Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "an_apply_of_its_own", "--ignored", "--nocapture"])
            .env(ERRAND, serde_json::to_string(&errand).expect("an errand"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the process starts")
            .wait_with_output()
    };
    let (left, right) = tokio::join!(start(labels[0]), start(labels[1]));
    for output in [left, right] {
        let output = output.expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}\n{told}"
        );
    }
    let shared = set(SHARED, RType::Txt, 300, &labels);
    assert_eq!(world.list(APEX, &shared.key).await, world.shown(&shared));
    for label in labels {
        for want in own(label) {
            assert_eq!(world.list(APEX, &want.key).await, world.shown(&want));
        }
    }
}

fn own(label: &str) -> Vec<Rrset> {
    let owner = |number| format!("{label}{number}.example.test");
    (0..OWN)
        .map(|number| set(&owner(number), RType::Txt, 300, &[label]))
        .collect()
}

/// Writes as `apply` does: what differs, then everything again until nothing does.
pub async fn errand() {
    let text = std::env::var(ERRAND).expect("an errand");
    let errand: Errand = serde_json::from_str(&text).expect("an errand");
    let world = World::new(errand.provider.leak(), errand.resolver, errand.fields, ());
    let (apex, shared) = (name(APEX), key(SHARED, RType::Txt));
    let value = [errand.label.clone()];
    for _ in 0..6 {
        let mut differs = false;
        for want in own(&errand.label) {
            let seen = world.list(APEX, &want.key).await;
            if seen.values != want.values {
                differs = true;
                world.write(APEX, &seen, &want).await;
            }
        }
        let seen = world.list(APEX, &shared).await;
        if !seen.values.contains(&errand.label) {
            differs = true;
            let added = zone::add_values(&*world.zone(), &apex, &shared, 300, &value).await;
            if let Err(why) = added {
                eprintln!("{}", why.told());
            }
        }
        if !differs {
            return;
        }
    }
    panic!("{} never comes to rest", errand.label);
}
