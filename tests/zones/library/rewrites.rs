//! An API that takes whole zones only: what belongs to others is copied before
//! the first write, and looked at after it.

use std::path::{Path, PathBuf};
use std::process::Command;

use mailctl::record::{RType, Rrset};
use mailctl::zone::{self, Zone};

use super::namecheap::Namecheap;
use super::proxy::Proxy;
use super::{TOKEN, contract, enter};
use crate::gate::{Gate, READ};
use crate::world::{World, fields};
use crate::{APEX, key, name, set};

/// Records of somebody else. Nobody would think of `odd`, and nobody has to
/// think of what the wildcard answers for.
const OTHERS: [(&str, &str, &str); 10] = [
    ("@", "A", "192.0.2.80"),
    ("@", "TXT", r#"somebody "else" = 1; \ "#),
    ("@", "MX", "mx.other.test"),
    ("@", "CAA", "0 issue ca.example"),
    ("*", "A", "192.0.2.81"),
    ("www", "CNAME", "web.other.test"),
    ("odd", "TXT", "seldom"),
    ("_dmarc", "TXT", "v=DMARC1; p=none"),
    ("_sip._tls", "SRV", "0 1 5061 sip.other.test."),
    ("shop", "NS", "ns1.other.test"),
];

/// The same over Namecheap; the name of a test as in [`enter`].
fn over(test: &str, api: Namecheap) -> Option<(World, Proxy)> {
    let test = format!("rewrites::{test}");
    let (world, proxy) = enter(&test, "namecheap", api)?;
    let own = |key| {
        fields([
            ("api_user", "wac"),
            ("api_key", key),
            ("client_ip", "192.0.2.1"),
        ])
    };
    let world = World {
        fields: own(TOKEN),
        wrong: Some((own("a-wrong-key"), "refuses the credentials")),
        // A key may do everything or nothing, and whose account it is goes with the user.
        reader: None,
        stranger: None,
        ..world
    };
    Some((world, proxy))
}

/// What was kept so far.
fn copies() -> Vec<PathBuf> {
    let directory = zone::copies::directory().expect("a state directory");
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.map(|e| e.expect("an entry").path()).collect()
}

fn only_copy() -> (PathBuf, String) {
    let copies = copies();
    assert_eq!(copies.len(), 1, "{copies:?}");
    let text = std::fs::read_to_string(&copies[0]).expect("a copy");
    (copies[0].clone(), text)
}

/// BIND's own judge, where it is installed.
fn is_a_zone(path: &Path) {
    let judged = Command::new("named-checkzone")
        .args(["-i", "local", "-k", "fail", APEX])
        .arg(path)
        .output();
    if let Ok(judged) = judged {
        let said = String::from_utf8_lossy(&judged.stdout);
        assert!(judged.status.success(), "{said}");
    }
}

async fn add(zone: &dyn Zone, owner: &str) -> mailctl::failure::Result<()> {
    let want = set(owner, RType::Txt, 300, &["ours"]);
    let absent = Rrset::absent(want.key.clone());
    zone::write(zone, &name(APEX), &absent, &want).await
}

#[tokio::test(flavor = "multi_thread")]
async fn namecheap_keeps_the_contract() {
    let test = "namecheap_keeps_the_contract";
    if let Some((world, _)) = over(test, Namecheap::default()) {
        contract::kept_by(&world).await;
        assert_eq!(copies().len(), 3, "one a process, however many handles");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn namecheap_is_copied_before_it_is_written() {
    let test = "namecheap_is_copied_before_it_is_written";
    let Some((world, proxy)) = over(test, Namecheap::with(&OTHERS)) else {
        return;
    };
    let zone = world.zone();
    let odd = [key("odd.example.test", RType::Txt)];
    zone.list(&name(APEX), &odd).await.expect("a list");
    assert!(
        copies().is_empty() && zone.kept().is_empty(),
        "reading keeps nothing"
    );
    proxy.next(&[]);
    add(&*zone, "first.example.test").await.expect("written");
    assert_eq!(proxy.writes(), 1);
    let seen = proxy.seen();
    let reads = seen.iter().take_while(|method| *method == READ).count();
    // Once each: the set before, nine of the others' (SRV cannot be asked for), NS of the apex,
    // and the library's own look; but no name that only the wildcard answers for.
    assert_eq!(reads, 12, "{seen:?}");
    let (path, text) = only_copy();
    for line in [
        "example.test.\t1800\tIN\tA\t192.0.2.80\n",
        "example.test.\t1800\tIN\tTXT\t\"somebody \\\"else\\\" = 1; \\\\ \"\n",
        "example.test.\t1800\tIN\tMX\t10 mx.other.test.\n",
        "example.test.\t1800\tIN\tCAA\t0 issue \"ca.example\"\n",
        "*.example.test.\t1800\tIN\tA\t192.0.2.81\n",
        "www.example.test.\t1800\tIN\tCNAME\tweb.other.test.\n",
        "odd.example.test.\t1800\tIN\tTXT\t\"seldom\"\n",
        "_dmarc.example.test.\t1800\tIN\tTXT\t\"v=DMARC1; p=none\"\n",
        "; _sip._tls.example.test SRV: shown by the name servers, not by the API\n\
         _sip._tls.example.test.\t1800\tIN\tSRV\t0 1 5061 sip.other.test.\n",
        "; shop.example.test: no name server of the zone answers for it\n",
        "shop.example.test.\t300\tIN\tNS\tns1.other.test.\n",
        "example.test.\t300\tIN\tNS\tdns1.registrar-servers.com.\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("ours"), "as it was before: {text}");
    assert_eq!(
        text.lines().filter(|l| !l.starts_with(';')).count(),
        12,
        "{text}"
    );
    is_a_zone(&path);
    let kept = zone.kept();
    let named = kept
        .iter()
        .any(|text| text.contains(&path.display().to_string()));
    assert!(named && kept.len() == 1, "{kept:?}");
    // Once a process, by whichever handle; and looked at once.
    proxy.next(&[]);
    add(&*world.zone(), "second.example.test")
        .await
        .expect("written");
    assert_eq!(proxy.seen(), [READ, READ, "POST", READ]);
    only_copy();
}

#[tokio::test(flavor = "multi_thread")]
async fn namecheap_is_not_written_without_a_copy() {
    let test = "namecheap_is_not_written_without_a_copy";
    let Some((world, proxy)) = over(test, Namecheap::with(&OTHERS)) else {
        return;
    };
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.expect("a state directory");
    std::fs::write(&state, "no directory").expect("written");
    for (place, word) in [
        (zone::copies::directory(), "cannot be written to"),
        (None, "has no place for it"),
    ] {
        let settings = world.settings(&world.fields).keeping(place);
        let zone = zone::open("namecheap", &settings, &world.dns).expect("a provider");
        proxy.next(&[]);
        let why = add(&*zone, "first.example.test")
            .await
            .expect_err("no copy");
        let why = why.told();
        for word in [word, "first.example.test TXT is not written", "do: "] {
            assert!(why.contains(word), "{why}");
        }
        assert_eq!(proxy.writes(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn namecheap_losing_what_others_have_is_found_out() {
    let test = "namecheap_losing_what_others_have_is_found_out";
    let Some((world, proxy)) = over(test, Namecheap::with(&OTHERS).strict()) else {
        return;
    };
    let zone = world.zone();
    proxy.next(&[]);
    let first = add(&*zone, "first.example.test").await.expect_err("a loss");
    assert_eq!(proxy.writes(), 1);
    let (path, text) = only_copy();
    let first = first.told();
    for word in [
        "example.test CAA was 0 issue \"ca.example\" and is gone",
        "writes nothing more",
        &format!("import {} in the provider's panel", path.display()),
        "set these records by hand",
    ] {
        assert!(first.contains(word), "{word}: {first}");
    }
    for other in ["MX was", "TXT was", " A was", "CNAME was"] {
        assert!(!first.contains(other), "only what was lost: {first}");
    }
    assert!(text.contains("\tCAA\t0 issue \"ca.example\"\n"), "{text}");
    for zone in [&zone, &world.zone()] {
        proxy.next(&[]);
        let next = add(&**zone, "second.example.test").await;
        assert_eq!(next.expect_err("refused").told(), first);
        assert_eq!(proxy.writes(), 0);
    }
}
