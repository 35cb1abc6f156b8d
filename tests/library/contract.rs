//! What every provider of the library does alike.

use mailctl::record::{RType, Rrset, RrsetKey};
use mailctl::zone;

use super::proxy::Fault;
use super::stage::Stage;
use super::{APEX, TOKEN, key, name, set};

/// The whole contract, over one API.
pub async fn kept(stage: &Stage) {
    every_type_is_written_and_read_again(stage).await;
    a_set_lives_its_life(stage).await;
    a_wildcard_is_not_the_name_itself(stage).await;
    a_lost_race_changes_nothing(stage).await;
    challenges_share_a_name(stage).await;
    many_sets_come_in_one_list(stage).await;
    bad_days_pass(stage).await;
    refusals_say_what_to_do(stage).await;
    what_only_the_servers_have_stops(stage).await;
}

async fn every_type_is_written_and_read_again(stage: &Stage) {
    let long = format!("v=DKIM1; k=rsa; p={}", "MIIBIjANBgkqhkiG9w0BAQ".repeat(30));
    let hash = "3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1";
    for (number, (rtype, values)) in [
        (RType::A, vec!["192.0.2.7"]),
        (RType::Aaaa, vec!["2001:db8::7"]),
        (RType::Mx, vec!["10 smtp.example.test."]),
        (RType::Mx, vec!["10 a.example.test.", "20 b.example.test."]),
        (RType::Srv, vec!["0 1 465 smtp.example.test."]),
        (
            RType::Caa,
            vec!["0 issuewild \"ca.example; validationmethods=dns-01\""],
        ),
        (RType::Tlsa, vec![hash]),
        (RType::Txt, vec![long.as_str()]),
        (
            RType::Txt,
            vec![r#"a "quoted" \ back\slash; and a semicolon"#],
        ),
        (RType::Txt, vec!["one", "two words"]),
        (RType::Cname, vec!["t0.example.test."]),
    ]
    .into_iter()
    .enumerate()
    {
        if !stage.takes(rtype) {
            continue;
        }
        stage
            .put(&set(
                &format!("t{number}.example.test"),
                rtype,
                600,
                &values,
            ))
            .await;
    }
    stage
        .put(&set(
            "xn--bcher-kva.example.test",
            RType::A,
            300,
            &["192.0.2.8"],
        ))
        .await;
}

async fn a_set_lives_its_life(stage: &Stage) {
    let owner = "example.test";
    let absent = Rrset::absent(key(owner, RType::Txt));
    assert_eq!(stage.list(&absent.key).await, absent);
    stage
        .put(&set(owner, RType::Txt, 300, &["somebody-else=1"]))
        .await;
    stage
        .put(&set(
            owner,
            RType::Txt,
            300,
            &["somebody-else=1", "v=spf1 mx -all"],
        ))
        .await;
    stage
        .put(&set(
            owner,
            RType::Txt,
            300,
            &["somebody-else=1", "v=spf1 a -all"],
        ))
        .await;
    // The TTL only.
    for ttl in [7200, 300] {
        let values = ["somebody-else=1", "v=spf1 a -all"];
        stage.put(&set(owner, RType::Txt, ttl, &values)).await;
    }
    stage.put(&absent).await;
    // Deleting what is gone is no error.
    stage.put(&absent).await;
}

async fn a_wildcard_is_not_the_name_itself(stage: &Stage) {
    stage
        .put(&set("*.wild.example.test", RType::A, 300, &["192.0.2.9"]))
        .await;
    let absent = Rrset::absent(key("smtp.wild.example.test", RType::A));
    assert_eq!(stage.list(&absent.key).await, absent);
    // The very values of the wildcard, this time really there.
    stage
        .put(&set(
            "smtp.wild.example.test",
            RType::A,
            300,
            &["192.0.2.9"],
        ))
        .await;
}

async fn a_lost_race_changes_nothing(stage: &Stage) {
    let theirs = set("race.example.test", RType::Txt, 300, &["theirs"]);
    stage.put(&theirs).await;
    let ours = set("race.example.test", RType::Txt, 300, &["ours"]);
    stage.next(&[]);
    let why = zone::write(
        &*stage.zone(),
        &name(APEX),
        &Rrset::absent(ours.key.clone()),
        &ours,
    )
    .await
    .expect_err("a lost race")
    .told();
    assert!(
        why.contains("somebody changed race.example.test TXT"),
        "{why}"
    );
    assert_eq!(stage.proxy.writes(), 0);
    assert_eq!(stage.list(&theirs.key).await, stage.shown(&theirs));
}

/// Two orders at once, through two handles, as two processes would.
async fn challenges_share_a_name(stage: &Stage) {
    let (apex, key) = (name(APEX), key("_acme-challenge.example.test", RType::Txt));
    let (a, b) = (stage.zone(), stage.zone());
    let (one, two) = (["apex".to_owned()], ["wildcard".to_owned()]);
    let (first, second) = tokio::join!(
        zone::add_values(&*a, &apex, &key, 60, &one),
        zone::add_values(&*b, &apex, &key, 60, &two),
    );
    first.expect("the first is added");
    second.expect("the second is added");
    let both = Rrset::new(key.clone(), Some(60), ["apex", "wildcard"]);
    assert_eq!(stage.list(&key).await, stage.shown(&both));
    zone::remove_values(&*a, &apex, &key, &one)
        .await
        .expect("removed");
    zone::remove_values(&*b, &apex, &key, &two)
        .await
        .expect("removed");
    assert_eq!(stage.list(&key).await, Rrset::absent(key));
}

async fn many_sets_come_in_one_list(stage: &Stage) {
    let zone = stage.zone();
    let owner = |number: usize| format!("many{number}.example.test");
    for number in 0..150 {
        let want = set(&owner(number), RType::A, 300, &["192.0.2.1"]);
        let absent = Rrset::absent(want.key.clone());
        let written = zone::write(&*zone, &name(APEX), &absent, &want).await;
        written.unwrap_or_else(|why| panic!("{}", why.told()));
    }
    let keys: Vec<RrsetKey> = (0..150).map(|n| key(&owner(n), RType::A)).collect();
    let found = zone.list(&name(APEX), &keys).await.expect("a list");
    assert!(found.iter().zip(&keys).all(|(set, key)| set.key == *key));
    assert!(
        found
            .iter()
            .all(|set| set.ttl == stage.zone().ttl(300) && set.values.len() == 1)
    );
}

async fn bad_days_pass(stage: &Stage) {
    let zone = stage.zone();
    let absent = Rrset::absent(key("busy.example.test", RType::Txt));
    let want = |text: &str| set("busy.example.test", RType::Txt, 300, &[text]);
    for fault in [
        Fault::Refused(429, Some(1)),
        Fault::Refused(429, None),
        Fault::Refused(503, None),
        Fault::Refused(502, None),
        Fault::Lost,
    ] {
        stage.next(&[fault]);
        assert_eq!(stage.list(&absent.key).await, absent, "{fault:?}");
    }
    // The connection ends after the write was done: it is not done twice.
    stage.next(&[]);
    zone::write(&*zone, &name(APEX), &absent, &want("zero"))
        .await
        .expect("written");
    let seen = stage.proxy.seen();
    let write = seen
        .iter()
        .position(|method| method != "GET")
        .expect("a write");
    let mut before = stage.shown(&want("zero"));
    for (number, fault) in [
        Fault::Lost,
        Fault::Refused(503, None),
        Fault::Refused(500, None),
    ]
    .into_iter()
    .enumerate()
    {
        let after = want(&format!("after {number}"));
        let faults: Vec<Fault> = std::iter::repeat_n(Fault::None, write)
            .chain([fault])
            .collect();
        stage.next(&faults);
        zone::write(&*zone, &name(APEX), &before, &after)
            .await
            .unwrap_or_else(|why| panic!("{fault:?}: {}", why.told()));
        before = stage.list(&after.key).await;
        assert_eq!(before, stage.shown(&after), "{fault:?}");
    }
    // Without an end, it is an error.
    stage.next(&[Fault::Refused(500, None); 30]);
    let why = zone
        .list(&name(APEX), std::slice::from_ref(&absent.key))
        .await
        .expect_err("too ill")
        .told();
    assert!(
        why.contains("cannot be asked") && !why.contains(TOKEN),
        "{why}"
    );
    stage.next(&[]);
}

async fn refusals_say_what_to_do(stage: &Stage) {
    let wanted = key("www.example.test", RType::A);
    let wrong = stage.zone_with("a-wrong-token");
    let why = wrong
        .list(&name(APEX), std::slice::from_ref(&wanted))
        .await
        .expect_err("refused")
        .told();
    assert!(why.contains("refuses the credentials"), "{why}");
    assert!(
        why.contains("mailctl providers dns") && !why.contains("a-wrong-token"),
        "{why}"
    );
    stage.next(&[]);
    let reader = stage.zone_with("may-only-read");
    let want = Rrset::new(wanted.clone(), Some(300), ["192.0.2.1"]);
    let why = zone::write(&*reader, &name(APEX), &Rrset::absent(wanted.clone()), &want)
        .await
        .expect_err("refused")
        .told();
    assert!(why.contains("does not permit"), "{why}");
    // No such zone, at the API as in the DNS.
    let missing = key("www.missing.test", RType::A);
    let listed = stage.zone().list(&name("missing.test"), &[missing]).await;
    let why = listed.expect_err("no zone").told();
    assert!(
        why.contains("missing.test") && why.contains("do: "),
        "{why}"
    );
    let elsewhere = key("www.elsewhere.test", RType::A);
    let listed = stage.zone().list(&name(APEX), &[elsewhere]).await;
    let why = listed.expect_err("another zone").told();
    assert!(why.contains("is not in the zone"), "{why}");
    // What cannot be stored is told before anything is written.
    stage.next(&[]);
    for (rtype, value) in [
        (RType::A, "no address"),
        (RType::Caa, "0 issuemail \"ca.example\""),
    ] {
        let want = set("nonsense.example.test", rtype, 300, &[value]);
        let absent = Rrset::absent(want.key.clone());
        let written = zone::write(&*stage.zone(), &name(APEX), &absent, &want).await;
        let why = written.expect_err("nonsense").told();
        assert!(why.contains(value), "{why}");
    }
    assert!(stage.proxy.seen().is_empty());
}

/// Another account's API: it has nothing, but the world sees records.
async fn what_only_the_servers_have_stops(stage: &Stage) {
    let there = set("t0.example.test", RType::A, 600, &["192.0.2.7"]);
    assert_eq!(stage.list(&there.key).await, stage.shown(&there));
    stage.proxy.empty(true);
    let listed = stage
        .zone()
        .list(&name(APEX), std::slice::from_ref(&there.key))
        .await;
    stage.proxy.empty(false);
    let why = listed.expect_err("a contradiction").told();
    assert!(
        why.contains("has no t0.example.test A") && why.contains("192.0.2.7"),
        "{why}"
    );
}

/// A proxied record is nobody's to change as long as its value is right, and
/// a CAA value that the library does not know makes the set untouchable.
pub async fn quirks_of_cloudflare(stage: &Stage) {
    let caa = set(
        "caa.example.test",
        RType::Caa,
        300,
        &["0 issue \"ca.example\""],
    );
    stage.put(&caa).await;
    let records = "/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records";
    let foreign = serde_json::json!({"type": "CAA", "name": "caa.example.test", "ttl": 300,
        "data": {"flags": 0, "tag": "issuemail", "value": "ca.example"}});
    stage.proxy.by_hand("POST", records, foreign);
    let listed = stage
        .zone()
        .list(&name(APEX), std::slice::from_ref(&caa.key))
        .await;
    let why = listed.expect_err("a foreign value").told();
    assert!(
        why.contains("issuemail") && why.contains("leaves alone"),
        "{why}"
    );
}
