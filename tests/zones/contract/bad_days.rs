//! Bad days of an API: they pass, and leave nothing behind.

use mailctl::record::{RType, Rrset};

use crate::gate::{Fault, READ};
use crate::world::World;
use crate::{APEX, key, name, set};

const OWNER: &str = "busy.example.test";

pub async fn reads_are_asked_again(world: &World) {
    let there = set(OWNER, RType::Txt, 300, &["there"]);
    world.put(APEX, &there).await;
    for fault in [
        Fault::Refused(429, Some(1)),
        Fault::Refused(429, None),
        Fault::Refused(503, None),
        Fault::Refused(502, None),
        Fault::Lost,
        Fault::Cut,
    ] {
        world.gate().next(&[fault]);
        let seen = world.list(APEX, &there.key).await;
        assert_eq!(seen, world.shown(&there), "{fault:?}");
        assert!(world.gate().seen().len() > 1, "{fault:?} was met");
    }
    // Without an end, it is an error.
    world.gate().next(&[Fault::Refused(500, None); 90]);
    let keys = std::slice::from_ref(&there.key);
    let listed = world.zone().list(&name(APEX), keys).await;
    let why = listed.expect_err("too ill").told();
    for secret in world.settings(&world.fields).secrets() {
        assert!(!why.contains(secret.expose()), "{why}");
    }
    world.gate().next(&[]);
    world.put(APEX, &Rrset::absent(there.key)).await;
}

/// Each write meets its fault: what was done is not done again, what was not is.
pub async fn no_write_is_made_twice_or_lost(world: &World) {
    let absent = Rrset::absent(key(OWNER, RType::Txt));
    let want = |text: &str| set(OWNER, RType::Txt, 300, &[text]);
    world.gate().next(&[]);
    world.write(APEX, &absent, &want("zero")).await;
    let seen = world.gate().seen();
    let reads = seen.iter().take_while(|method| *method == READ).count();
    assert!(reads < seen.len(), "a write: {seen:?}");
    let mut before = world.shown(&want("zero"));
    for (number, fault) in [
        Fault::Lost,
        Fault::Cut,
        Fault::Failed,
        Fault::Refused(500, None),
        Fault::Refused(503, None),
        Fault::Refused(429, Some(1)),
        Fault::Refused(429, None),
    ]
    .into_iter()
    .enumerate()
    {
        let after = want(&format!("after {number}"));
        let faults = std::iter::repeat_n(Fault::None, reads).chain([fault]);
        world.gate().next(&faults.collect::<Vec<_>>());
        world.write(APEX, &before, &after).await;
        before = world.list(APEX, &after.key).await;
        assert_eq!(before, world.shown(&after), "{fault:?}");
    }
    world.put(APEX, &absent).await;
}
