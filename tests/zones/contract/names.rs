//! Names that are more than letters, and many of them.

use mailctl::record::{Name, RType, Rrset, RrsetKey};

use crate::world::World;
use crate::{APEX, REVERSE4, REVERSE6, key, name, set};

pub async fn a_wildcard_is_not_the_name_itself(world: &World) {
    let wildcard = set("*.wild.example.test", RType::A, 300, &["192.0.2.9"]);
    if !world.own {
        world.put(APEX, &wildcard).await;
    }
    let owner = "smtp.wild.example.test";
    let absent = Rrset::absent(key(owner, RType::A));
    assert_eq!(world.list(APEX, &absent.key).await, absent);
    world
        .put(APEX, &set(owner, RType::A, 300, &["192.0.2.7"]))
        .await;
    // The very values of the wildcard, this time really there.
    world
        .put(APEX, &set(owner, RType::A, 300, &["192.0.2.9"]))
        .await;
    world
        .put(
            APEX,
            &set("*.wild.example.test", RType::Txt, 300, &["wilder"]),
        )
        .await;
    assert_eq!(
        world.list(APEX, &wildcard.key).await,
        world.shown(&wildcard)
    );
}

/// IDNA: names are as the DNS has them, whatever people write (RFC 5890).
pub async fn labels_of_other_scripts_are_a_labels(world: &World) {
    assert_eq!(
        name("Bücher.example.test").as_str(),
        "xn--bcher-kva.example.test"
    );
    let owner = "bücher.example.test";
    world
        .put(APEX, &set(owner, RType::A, 300, &["192.0.2.8"]))
        .await;
    let target = set(
        "buch.example.test",
        RType::Mx,
        300,
        &["10 bücher.example.test."],
    );
    world.put(APEX, &target).await;
}

/// More than one page of an API: each can be found again.
pub async fn many_sets_come_in_one_list(world: &World) {
    let owner = |number: usize| format!("many{number}.example.test");
    let wanted: Vec<Rrset> = (0..150)
        .map(|number| set(&owner(number), RType::A, 300, &["192.0.2.1"]))
        .collect();
    for want in &wanted {
        world
            .write(APEX, &Rrset::absent(want.key.clone()), want)
            .await;
    }
    // And as many that are not there.
    let absent = (150..300).map(|number| key(&owner(number), RType::A));
    let keys: Vec<RrsetKey> = wanted
        .iter()
        .map(|set| set.key.clone())
        .chain(absent)
        .collect();
    let found = world.zone().list(&name(APEX), &keys).await.expect("a list");
    for (number, (key, set)) in keys.iter().zip(&found).enumerate() {
        let want = match wanted.get(number) {
            Some(want) => world.shown(want),
            None => Rrset::absent(key.clone()),
        };
        assert_eq!(*set, want);
    }
    assert_eq!(found.len(), keys.len());
}

pub async fn reverse_zones_take_pointers(world: &World) {
    for (apex, ip) in [(REVERSE4, "192.0.2.7"), (REVERSE6, "2001:db8::7")] {
        let key = RrsetKey::new(Name::reverse(ip.parse().expect("an address")), RType::Ptr);
        let want = Rrset::new(key, Some(300), ["smtp.example.test"]);
        world.put(apex, &want).await;
    }
}
