//! What every DNS provider has to do: one contract, kept over real servers
//! (PowerDNS through its API, Knot and BIND through RFC 2136, a zone file, a
//! program), over Amazon's API as moto plays it, and over stand-ins for the
//! APIs that cannot be reached from a test.

#![allow(missing_docs, clippy::print_stderr)]

mod api;
#[path = "../support/bind.rs"]
mod bind;
mod contract;
mod gate;
mod http;
#[path = "../support/knot.rs"]
mod knot;
mod library;
mod local;
mod messages;
mod names;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/powerdns.rs"]
mod powerdns;
mod refusals;
mod route53;
mod servers;
mod world;

use mailctl::failure::Exit;
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::zone::{self, Settings};

const APEX: &str = "example.test";
const REVERSE4: &str = "2.0.192.in-addr.arpa";
const REVERSE6: &str = "8.b.d.0.1.0.0.2.ip6.arpa";

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn key(owner: &str, rtype: RType) -> RrsetKey {
    RrsetKey::new(name(owner), rtype)
}

fn set(owner: &str, rtype: RType, ttl: u32, values: &[&str]) -> Rrset {
    Rrset::new(key(owner, rtype), Some(ttl), values)
}

#[tokio::test]
async fn powerdns_keeps_the_contract() {
    contract::kept(servers::powerdns().await).await;
}

#[tokio::test]
async fn knot_keeps_the_contract() {
    contract::kept(servers::knot().await).await;
}

#[tokio::test]
async fn bind_keeps_the_contract() {
    contract::kept(servers::bind().await).await;
}

/// Not a test of its own: the second process of the contract's last case.
#[tokio::test]
#[ignore = "the contract starts it, with an errand"]
async fn an_apply_of_its_own() {
    contract::errand().await;
}

#[tokio::test]
async fn a_burst_of_updates_arrives_whole() {
    let Some(world) = servers::knot().await else {
        return;
    };
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..60 {
        let zone = world.zone();
        let want = set(
            &format!("burst{number}.example.test"),
            RType::Txt,
            300,
            &["here"],
        );
        writes.spawn(async move {
            zone::write(&*zone, &name(APEX), &Rrset::absent(want.key.clone()), &want).await
        });
    }
    while let Some(done) = writes.join_next().await {
        done.expect("no panic").expect("an update");
    }
}

#[tokio::test]
async fn the_person_is_told_and_nothing_is_written() {
    let Some(world) = servers::knot().await else {
        return;
    };
    let zone = zone::open("manual", &Settings::default(), &world.dns).expect("a provider");
    assert!(zone.by_hand());
    let before = zone
        .list(&name(APEX), &[key(APEX, RType::Txt)])
        .await
        .expect("a list")
        .remove(0);
    assert_eq!(before, set(APEX, RType::Txt, 300, &["somebody-else=1"]));
    let want = set(APEX, RType::Txt, 300, &["somebody-else=1", "v=spf1 -all"]);
    let why = zone::write(&*zone, &name(APEX), &before, &want)
        .await
        .expect_err("a step for a person");
    assert_eq!(why.code(), Exit::Person);
    assert!(
        why.told()
            .contains("add a TXT record, name @ (in full example.test.), TTL 300:"),
        "{}",
        why.told()
    );
    assert_eq!(world.list(APEX, &key(APEX, RType::Txt)).await, before);
}
