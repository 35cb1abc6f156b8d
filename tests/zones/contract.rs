//! What every provider does alike.

use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::zone;

use super::{APEX, REVERSE4, REVERSE6, World, key, name, set};

/// The whole contract, over one server.
pub async fn kept(world: Option<World>) {
    if let Some(world) = world {
        kept_by(&world).await;
    }
}

/// The same, where the server is looked at afterwards.
pub async fn kept_by(world: &World) {
    every_type_is_written_and_read_again(world).await;
    a_set_lives_its_life(world).await;
    foreign_values_and_their_octets_stay(world).await;
    a_wildcard_is_not_the_name_itself(world).await;
    reverse_zones_take_pointers(world).await;
    many_sets_come_in_one_list(world).await;
    a_lost_race_changes_nothing(world).await;
    challenges_share_a_name(world).await;
    what_is_not_there_is_said(world).await;
}

async fn every_type_is_written_and_read_again(world: &World) {
    let long = format!("v=DKIM1; k=rsa; p={}", "MIIBIjANBgkqhkiG9w0BAQ".repeat(30));
    let value = |rtype, text: &str| (rtype, vec![text.to_owned()]);
    let cases = [
        value(RType::A, "192.0.2.7"),
        value(RType::Aaaa, "2001:db8::7"),
        value(RType::Mx, "10 smtp.example.test."),
        value(RType::Srv, "0 1 465 smtp.example.test."),
        value(
            RType::Caa,
            "0 issuewild \"ca.example; validationmethods=dns-01\"",
        ),
        value(
            RType::Tlsa,
            "3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1",
        ),
        value(RType::Txt, &long),
        (
            RType::Mx,
            vec!["10 a.example.test.".into(), "20 b.example.test.".into()],
        ),
        value(RType::Txt, r#"a "quoted" \ back\slash; and a semicolon"#),
        (RType::Txt, vec!["one".into(), "two words".into()]),
        value(RType::Txt, "grün"),
    ];
    for (number, (rtype, values)) in cases.into_iter().enumerate() {
        let want = Rrset::new(
            key(&format!("t{number}.example.test"), rtype),
            Some(600),
            values,
        );
        world.put(APEX, &want).await;
    }
    world
        .put(
            APEX,
            &set(
                "alias.example.test",
                RType::Cname,
                300,
                &["t0.example.test."],
            ),
        )
        .await;
    world
        .put(
            APEX,
            &set("*.any.example.test", RType::A, 300, &["192.0.2.8"]),
        )
        .await;
    world
        .put(
            APEX,
            &set("_25._tcp.example.test", RType::Tlsa, 300, &["3 1 1 00ff"]),
        )
        .await;
}

async fn a_set_lives_its_life(world: &World) {
    let owner = "_dmarc.example.test";
    assert_eq!(
        world.list(APEX, &key(owner, RType::Txt)).await,
        Rrset::absent(key(owner, RType::Txt))
    );
    world
        .put(APEX, &set(owner, RType::Txt, 300, &["v=DMARC1; p=none"]))
        .await;
    world
        .put(APEX, &set(owner, RType::Txt, 300, &["v=DMARC1; p=reject"]))
        .await;
    world
        .put(APEX, &set(owner, RType::Txt, 60, &["v=DMARC1; p=reject"]))
        .await;
    world
        .put(APEX, &Rrset::absent(key(owner, RType::Txt)))
        .await;
    // Deleting what is gone is no error.
    world
        .put(APEX, &Rrset::absent(key(owner, RType::Txt)))
        .await;
}

async fn foreign_values_and_their_octets_stay(world: &World) {
    world
        .put(
            APEX,
            &set(
                "example.test",
                RType::Txt,
                300,
                &["somebody-else=1", "v=spf1 -all"],
            ),
        )
        .await;
    // The value that is cut in two on the server is the condition of the update, and stays.
    world
        .put(
            APEX,
            &set("old.example.test", RType::Txt, 300, &["cut in two", "ours"]),
        )
        .await;
    world
        .put(
            APEX,
            &set("old.example.test", RType::Txt, 300, &["cut in two"]),
        )
        .await;
}

async fn a_wildcard_is_not_the_name_itself(world: &World) {
    let owner = "smtp.wild.example.test";
    assert_eq!(
        world.list(APEX, &key(owner, RType::A)).await,
        Rrset::absent(key(owner, RType::A))
    );
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
}

async fn reverse_zones_take_pointers(world: &World) {
    for (apex, ip) in [(REVERSE4, "192.0.2.7"), (REVERSE6, "2001:db8::7")] {
        let owner = Name::reverse(ip.parse().expect("an address"));
        let want = Rrset::new(
            RrsetKey::new(owner, RType::Ptr),
            Some(300),
            ["smtp.example.test"],
        );
        world.put(apex, &want).await;
    }
}

async fn many_sets_come_in_one_list(world: &World) {
    let keys: Vec<RrsetKey> = (0..250)
        .map(|n| key(&format!("t{n}.example.test"), RType::Txt))
        .collect();
    let found = world.zone().list(&name(APEX), &keys).await.expect("a list");
    assert_eq!(
        found.iter().map(|set| set.key.clone()).collect::<Vec<_>>(),
        keys
    );
    assert_eq!(found.iter().filter(|set| !set.values.is_empty()).count(), 4);
}

async fn a_lost_race_changes_nothing(world: &World) {
    let owner = "race.example.test";
    let seen = Rrset::absent(key(owner, RType::Txt));
    world
        .put(APEX, &set(owner, RType::Txt, 300, &["theirs"]))
        .await;
    let ours = set(owner, RType::Txt, 300, &["ours"]);
    for before in [seen, set(owner, RType::Txt, 300, &["what it was before"])] {
        let why = zone::write(&*world.zone(), &name(APEX), &before, &ours)
            .await
            .expect_err("a lost race");
        assert!(
            why.told()
                .contains("somebody changed race.example.test TXT"),
            "{}",
            why.told()
        );
    }
    assert_eq!(
        world.list(APEX, &key(owner, RType::Txt)).await,
        set(owner, RType::Txt, 300, &["theirs"])
    );
}

async fn challenges_share_a_name(world: &World) {
    let (apex, key) = (name(APEX), key("_acme-challenge.example.test", RType::Txt));
    let values = |of: &[&str]| of.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
    // Two orders at once, through two handles, as two processes would.
    let (a, b) = (world.zone(), world.zone());
    let (one, two) = (values(&["apex"]), values(&["wildcard"]));
    let (a, b) = tokio::join!(
        zone::add_values(&*a, &apex, &key, 60, &one),
        zone::add_values(&*b, &apex, &key, 60, &two),
    );
    a.expect("the first is added");
    b.expect("the second is added");
    let zone = world.zone();
    zone::add_values(&*zone, &apex, &key, 60, &one)
        .await
        .expect("adding twice is no error");
    let both = Rrset::new(key.clone(), Some(60), ["apex", "wildcard"]);
    assert_eq!(world.list(APEX, &key).await, both);
    zone::remove_values(&*zone, &apex, &key, &one)
        .await
        .expect("removed");
    assert_eq!(
        world.list(APEX, &key).await,
        Rrset::new(key.clone(), Some(60), ["wildcard"])
    );
    zone::remove_values(&*zone, &apex, &key, &values(&["apex", "wildcard"]))
        .await
        .expect("removed");
    zone::remove_values(&*zone, &apex, &key, &two)
        .await
        .expect("removing twice is no error");
    assert_eq!(world.list(APEX, &key).await, Rrset::absent(key));
}

async fn what_is_not_there_is_said(world: &World) {
    let zone = world.zone();
    let missing = key("www.missing.test", RType::A);
    let why = zone
        .list(&name("missing.test"), std::slice::from_ref(&missing))
        .await
        .expect_err("no such zone")
        .told();
    assert!(
        why.contains("missing.test") && why.contains("do: "),
        "{why}"
    );
    let want = Rrset::new(missing.clone(), Some(300), ["192.0.2.1"]);
    zone.set(
        &name("missing.test"),
        &Rrset::absent(missing.clone()),
        &want,
    )
    .await
    .expect_err("no such zone");
    // A name below the apex that is no apex itself is no zone either.
    let below = name("sub.example.test");
    let why = zone
        .list(&below, &[RrsetKey::new(below.clone(), RType::A)])
        .await
        .expect_err("no apex")
        .told();
    assert!(why.contains("sub.example.test"), "{why}");
    let why = zone
        .list(&name(APEX), &[missing])
        .await
        .expect_err("another zone's name")
        .told();
    assert!(why.contains("is not in the zone example.test"), "{why}");
    let nonsense = set("nonsense.example.test", RType::A, 300, &["no address"]);
    let why = zone::write(
        &*zone,
        &name(APEX),
        &Rrset::absent(nonsense.key.clone()),
        &nonsense,
    )
    .await
    .expect_err("no address");
    assert!(why.told().contains("no address"), "{}", why.told());
}
