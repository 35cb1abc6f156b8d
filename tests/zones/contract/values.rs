//! Values of every type, alone and beside those of others.

use mailctl::record::{RType, Rrset};

use crate::world::World;
use crate::{APEX, key, set};

pub async fn every_type_is_written_and_read_again(world: &World) {
    // Longer than one string of a TXT record (RFC 1035 section 3.3) can be.
    let long = format!("v=DKIM1; k=rsa; p={}", "MIIBIjANBgkqhkiG9w0BAQ".repeat(30));
    let hash = "3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1";
    for (number, (rtype, values)) in [
        (RType::A, &["192.0.2.7"][..]),
        (RType::Aaaa, &["2001:db8::7"]),
        (RType::Mx, &["10 smtp.example.test."]),
        (RType::Mx, &["10 a.example.test.", "20 b.example.test."]),
        (RType::Srv, &["0 1 465 smtp.example.test."]),
        (
            RType::Caa,
            &["0 issuewild \"ca.example; validationmethods=dns-01\""],
        ),
        (
            RType::Caa,
            &[
                "0 issue \"ca.example\"",
                "0 iodef \"mailto:hostmaster@example.test\"",
            ],
        ),
        (RType::Tlsa, &[hash]),
        (RType::Txt, &[long.as_str()]),
        (RType::Txt, &[r#"a "quoted" \ back\slash; and a semicolon"#]),
        (RType::Txt, &["one", "two words"]),
        (RType::Txt, &["grün"]),
        (RType::Cname, &["t0.example.test."]),
    ]
    .into_iter()
    .enumerate()
    {
        if world.takes(rtype) {
            let owner = format!("t{number}.example.test");
            world.put(APEX, &set(&owner, rtype, 600, values)).await;
        }
    }
    if world.takes(RType::Tlsa) {
        let owner = "_25._tcp.example.test";
        world
            .put(APEX, &set(owner, RType::Tlsa, 300, &["3 1 1 00ff"]))
            .await;
    }
}

/// At the apex, where everybody proves something.
pub async fn what_others_have_at_the_apex_stays(world: &World) {
    let apex = key(APEX, RType::Txt);
    if !world.own {
        assert_eq!(world.list(APEX, &apex).await, Rrset::absent(apex));
        world
            .put(APEX, &set(APEX, RType::Txt, 300, &["somebody-else=1"]))
            .await;
    }
    for spf in ["v=spf1 mx -all", "v=spf1 a -all"] {
        world
            .put(APEX, &set(APEX, RType::Txt, 300, &["somebody-else=1", spf]))
            .await;
    }
    world
        .put(APEX, &set(APEX, RType::Txt, 300, &["somebody-else=1"]))
        .await;
}

pub async fn a_set_lives_its_life(world: &World) {
    let owner = "_dmarc.example.test";
    let absent = Rrset::absent(key(owner, RType::Txt));
    assert_eq!(world.list(APEX, &absent.key).await, absent);
    world
        .put(APEX, &set(owner, RType::Txt, 300, &["v=DMARC1; p=none"]))
        .await;
    // The TTL only, up and down.
    for ttl in [7200, 300] {
        world
            .put(APEX, &set(owner, RType::Txt, ttl, &["v=DMARC1; p=none"]))
            .await;
    }
    // The value only, then both.
    world
        .put(APEX, &set(owner, RType::Txt, 300, &["v=DMARC1; p=reject"]))
        .await;
    world
        .put(
            APEX,
            &set(owner, RType::Txt, 7200, &["v=DMARC1; p=quarantine"]),
        )
        .await;
    world.put(APEX, &absent).await;
    // Deleting what is gone is no error.
    world.put(APEX, &absent).await;
}

/// More than one page of most APIs, where the server has no limit of its own.
pub async fn a_set_may_have_many_values(world: &World) {
    let values: Vec<String> = (1..=world.most)
        .map(|n| format!("10 mx{n}.example.test."))
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let many = set("many.example.test", RType::Mx, 300, &values);
    world.put(APEX, &many).await;
    world
        .put(
            APEX,
            &set("many.example.test", RType::Mx, 300, &values[1..]),
        )
        .await;
    world.put(APEX, &Rrset::absent(many.key)).await;
}

/// The value that is cut in two on the server is the condition of the update, and stays.
pub async fn the_octets_of_others_stay(world: &World) {
    let owner = "old.example.test";
    for values in [&["cut in two", "ours"][..], &["cut in two"]] {
        world.put(APEX, &set(owner, RType::Txt, 300, values)).await;
    }
}
