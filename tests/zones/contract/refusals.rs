//! What cannot be done, and what the reader is told to do.

use mailctl::dns::Dns;
use mailctl::record::{RType, Rrset, RrsetKey};
use mailctl::zone;

use crate::world::World;
use crate::{APEX, key, name, names, set};

pub async fn what_is_not_there_is_said(world: &World) {
    let zone = world.zone();
    let missing = key("www.missing.test", RType::A);
    let listed = zone
        .list(&name("missing.test"), std::slice::from_ref(&missing))
        .await;
    let why = listed.expect_err("no such zone").told();
    assert!(
        why.contains("missing.test") && why.contains("do: "),
        "{why}"
    );
    let want = Rrset::new(missing.clone(), Some(300), ["192.0.2.1"]);
    let absent = Rrset::absent(missing.clone());
    zone.set(&name("missing.test"), &absent, &want)
        .await
        .expect_err("no such zone");
    // A name below the apex that is no apex itself is no zone either.
    let below = name("sub.example.test");
    let listed = zone
        .list(&below, &[RrsetKey::new(below.clone(), RType::A)])
        .await;
    let why = listed.expect_err("no apex").told();
    assert!(why.contains("sub.example.test"), "{why}");
    let listed = zone.list(&name(APEX), &[missing]).await;
    let why = listed.expect_err("another zone's name").told();
    assert!(why.contains("is not in the zone example.test"), "{why}");
    // What cannot be stored is told before anything is written.
    if let Some(gate) = &world.gate {
        gate.next(&[]);
    }
    let nonsense = set("nonsense.example.test", RType::A, 300, &["no address"]);
    let absent = Rrset::absent(nonsense.key.clone());
    let written = zone::write(&*zone, &name(APEX), &absent, &nonsense).await;
    let why = written.expect_err("no address").told();
    assert!(why.contains("no address"), "{why}");
    assert_eq!(world.gate.as_ref().map_or(0, |gate| gate.writes()), 0);
}

pub async fn wrong_credentials_are_told(world: &World) {
    if let Some((wrong, word)) = &world.wrong {
        let why = world.refusal(wrong).await;
        assert!(why.contains(word) && why.contains("do: "), "{why}");
        for (field, value) in wrong {
            let given = world.settings(wrong);
            assert!(
                given.secret(field).is_none() || !why.contains(value),
                "{why}"
            );
        }
    }
    if let Some((reader, word)) = &world.reader {
        let want = set("www.example.test", RType::A, 300, &["192.0.2.1"]);
        let absent = Rrset::absent(want.key.clone());
        let zone = world.zone_with(reader);
        let written = zone::write(&*zone, &name(APEX), &absent, &want).await;
        let why = written.expect_err("it may only read").told();
        assert!(why.contains(word) && why.contains("do: "), "{why}");
        assert_eq!(world.list(APEX, &want.key).await, absent);
    }
}

/// The registrar still names somebody else's servers, which have no records of it.
pub async fn a_zone_that_is_served_elsewhere_is_told(world: &World) {
    if world.own {
        return;
    }
    let parked = names::serve(APEX, "ns1.parking.test", Vec::new);
    let elsewhere = Dns::new(Some(parked)).expect("a resolver");
    let settings = world.settings(&world.fields);
    let zone = zone::open(world.provider, &settings, &elsewhere).expect("a provider");
    let fresh = key("fresh.example.test", RType::A);
    let why = zone
        .list(&name(APEX), &[fresh])
        .await
        .expect_err("not served")
        .told();
    assert!(
        why.contains("delegated to ns1.parking.test") && why.contains("do: "),
        "{why}"
    );
}

/// Another account's API: it has nothing, but the world sees records.
pub async fn what_only_the_servers_have_stops(world: &World) {
    let Some(stranger) = &world.stranger else {
        return;
    };
    let there = set("t0.example.test", RType::A, 600, &["192.0.2.7"]);
    assert_eq!(world.list(APEX, &there.key).await, world.shown(&there));
    let keys = std::slice::from_ref(&there.key);
    let listed = world.zone_with(stranger).list(&name(APEX), keys).await;
    let why = listed.expect_err("a contradiction").told();
    assert!(
        why.contains("has no t0.example.test A") && why.contains("192.0.2.7"),
        "{why}"
    );
}
