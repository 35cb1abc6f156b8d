//! What single providers refuse, beside what the contract asks of all.

use std::net::SocketAddr;

use mailctl::dns::Dns;
use mailctl::failure::Exit;
use mailctl::record::{RType, Rrset};
use mailctl::zone::{self, Settings};

use super::world::World;
use super::{APEX, name, servers, set};

#[tokio::test]
async fn powerdns_errors_say_what_to_do() {
    let Some(world) = servers::powerdns().await else {
        return;
    };
    let (wrong, _) = world.wrong.as_ref().expect("a wrong token");
    let why = world.refusal(wrong).await;
    assert!(why.contains("PDNS_API_KEY"), "{why}");
    let why = world
        .refusal(&world.but([("server_id", "elsewhere")]))
        .await;
    assert!(
        why.contains("`elsewhere`") && why.contains("example.test"),
        "{why}"
    );
    let closed = SocketAddr::new(world.addr.ip(), 9).to_string();
    let endpoint = format!("http://user:hidden@{closed}");
    let why = world.refusal(&world.but([("endpoint", &endpoint)])).await;
    assert!(
        why.contains(&closed) && why.contains("endpoint") && !why.contains("hidden"),
        "{why}"
    );
}

#[tokio::test]
async fn a_conflict_is_told_in_the_words_of_powerdns() {
    let Some(world) = servers::powerdns().await else {
        return;
    };
    let alias = set("old.example.test", RType::Cname, 300, &["www.example.test"]);
    let absent = Rrset::absent(alias.key.clone());
    let why = zone::write(&*world.zone(), &name(APEX), &absent, &alias)
        .await
        .expect_err("a conflict")
        .told();
    assert!(
        why.contains("422") && why.contains("old.example.test"),
        "{why}"
    );
}

async fn tsig_refusals(world: Option<World>) {
    let Some(world) = world else { return };
    let (wrong, _) = world.wrong.as_ref().expect("a wrong key");
    let why = world.refusal(wrong).await;
    assert!(why.contains("RFC2136_TSIG_KEY"), "{why}");
    let why = world.refusal(&world.but([("key_name", "nobody")])).await;
    assert!(why.contains("BADKEY") && why.contains("`nobody`"), "{why}");
    let why = world
        .refusal(&world.but([("algorithm", "hmac-sha384")]))
        .await;
    assert!(why.contains("BADKEY") && why.contains("algorithm"), "{why}");
    let closed = SocketAddr::new(world.addr.ip(), 9).to_string();
    let why = world.refusal(&world.but([("server", &closed)])).await;
    assert!(
        why.contains(&closed) && why.contains("does not accept"),
        "{why}"
    );
}

#[tokio::test]
async fn knot_refusals_say_what_to_do() {
    tsig_refusals(servers::knot().await).await;
}

#[tokio::test]
async fn bind_refusals_say_what_to_do() {
    tsig_refusals(servers::bind().await).await;
}

#[tokio::test]
async fn a_key_that_may_only_read_is_told_so() {
    let Some(world) = servers::bind().await else {
        return;
    };
    let (reader, _) = world.reader.as_ref().expect("a reader");
    let want = set("www.example.test", RType::A, 300, &["192.0.2.1"]);
    let absent = Rrset::absent(want.key.clone());
    let zone = world.zone_with(reader);
    let why = zone::write(&*zone, &name(APEX), &absent, &want)
        .await
        .expect_err("a refusal")
        .told();
    assert!(
        why.contains("update-policy") && why.contains("`reader`"),
        "{why}"
    );
}

#[test]
fn what_open_cannot_use_is_unsound() {
    let dns = Dns::new(Some(([127, 0, 0, 1], 9).into())).expect("a resolver");
    for (provider, word) in [
        ("powerdns", "endpoint"),
        ("rfc2136", "server"),
        ("cloudflare", "token"),
        ("nobody", "unknown DNS provider"),
    ] {
        let why = zone::open(provider, &Settings::default(), &dns)
            .err()
            .expect("a failure");
        assert_eq!(why.code(), Exit::Unsound);
        assert!(why.told().contains(word), "{}", why.told());
    }
}
