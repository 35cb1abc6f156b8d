//! What providers refuse, and what the reader is told to do.

use std::net::SocketAddr;

use mailctl::dns::Dns;
use mailctl::failure::Exit;
use mailctl::record::{RType, Rrset};
use mailctl::secret::Secret;
use mailctl::zone::{self, Settings};

use super::{APEX, World, bind, key, name, set, tsig};

/// The failure of a list with these settings, in full.
async fn refusal(world: &World, settings: &Settings) -> String {
    let zone = zone::open(world.provider, settings, &world.dns).expect("a provider");
    zone.list(&name(APEX), &[key(APEX, RType::Txt)])
        .await
        .expect_err("a refusal")
        .told()
}

#[tokio::test]
async fn powerdns_errors_say_what_to_do() {
    let Some(world) = World::powerdns().await else {
        return;
    };
    let wrong = "wrong-token-of-the-test";
    let token = world.settings.clone().with("token", Secret::new(wrong));
    let why = refusal(&world, &token).await;
    assert!(
        why.contains("token is refused") && why.contains("PDNS_API_KEY"),
        "{why}"
    );
    assert!(!why.contains(wrong), "{why}");
    let other = world.settings.clone().with("server_id", "elsewhere");
    let why = refusal(&world, &other).await;
    assert!(
        why.contains("`elsewhere`") && why.contains("example.test"),
        "{why}"
    );
    let closed = SocketAddr::new(world.addr.ip(), 9);
    let endpoint = format!("http://user:hidden@{closed}");
    let nobody = world.settings.clone().with("endpoint", endpoint);
    let why = refusal(&world, &nobody).await;
    assert!(
        why.contains(&closed.to_string()) && why.contains("endpoint") && !why.contains("hidden"),
        "{why}"
    );
}

#[tokio::test]
async fn a_conflict_is_told_in_the_words_of_powerdns() {
    let Some(world) = World::powerdns().await else {
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
    let good = &world.settings;
    let wrong_key = "d3JvbmctdHNpZy1rZXktb2YtdGhlLXRlc3Q=";
    let why = refusal(&world, &good.clone().with("key", Secret::new(wrong_key))).await;
    assert!(
        why.contains("BADSIG") && why.contains("RFC2136_TSIG_KEY") && !why.contains(wrong_key),
        "{why}"
    );
    let why = refusal(&world, &good.clone().with("key_name", "nobody")).await;
    assert!(why.contains("BADKEY") && why.contains("`nobody`"), "{why}");
    let why = refusal(&world, &good.clone().with("algorithm", "hmac-sha384")).await;
    assert!(why.contains("BADKEY") && why.contains("algorithm"), "{why}");
    let closed = SocketAddr::new(world.addr.ip(), 9);
    let why = refusal(&world, &good.clone().with("server", closed.to_string())).await;
    assert!(
        why.contains(&closed.to_string()) && why.contains("does not accept"),
        "{why}"
    );
}

#[tokio::test]
async fn knot_refusals_say_what_to_do() {
    tsig_refusals(World::knot().await).await;
}

#[tokio::test]
async fn bind_refusals_say_what_to_do() {
    tsig_refusals(World::bind().await).await;
}

#[tokio::test]
async fn a_key_that_may_only_read_is_told_so() {
    let Some(world) = World::bind().await else {
        return;
    };
    let settings = tsig(world.addr, bind::READER_NAME, bind::KEY, bind::ALGORITHM);
    let zone = zone::open("rfc2136", &settings, &world.dns).expect("a provider");
    let want = set("www.example.test", RType::A, 300, &["192.0.2.1"]);
    let absent = Rrset::absent(want.key.clone());
    let why = zone::write(&*zone, &name(APEX), &absent, &want)
        .await
        .expect_err("a refusal")
        .told();
    assert!(
        why.contains("REFUSED") && why.contains("update-policy") && why.contains("`reader`"),
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
