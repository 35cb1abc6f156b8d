//! Providers on this machine: a zone file that BIND serves, and a program.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use mailctl::record::{RType, Rrset};
use mailctl::zone::{self, Settings};

use super::{APEX, BindServer, REVERSE4, REVERSE6, Served, World, contract, key, name, ports, set};

/// A zone file as people write them.
const FILE: &str = include_str!("example.test.zone");
/// The program, in the words of docs/exec-provider.md.
const PROGRAM: &str = include_str!("provider.py");

fn zones() -> Vec<(&'static str, String)> {
    vec![
        (APEX, FILE.to_owned()),
        (REVERSE4, ports::zone_text(REVERSE4, &[], "")),
        (REVERSE6, ports::zone_text(REVERSE6, &[], "")),
    ]
}

/// A server that reads the files, and the provider that writes them.
async fn zonefile() -> Option<(World, std::path::PathBuf)> {
    let (server, reload) = BindServer::start_files(&zones()).await?;
    let directory = server.dir().to_owned();
    let settings = Settings::default()
        .with("path", format!("{}/{{zone}}", directory.display()))
        .with("reload", reload);
    let world = World {
        served: Served::Soon,
        ..World::new("zonefile", server.dns, settings, server)
    };
    Some((world, directory))
}

fn program(directory: &Path, more: &str) -> Option<Settings> {
    let python = ports::program("python3")?;
    let (script, store) = (directory.join("provider.py"), directory.join("zones.json"));
    fs::write(&script, PROGRAM).expect("written");
    let command = format!(
        "{} {} {}{more}",
        python.display(),
        script.display(),
        store.display()
    );
    Some(Settings::default().with("command", command))
}

fn exec(more: &str) -> Option<World> {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = program(directory.path(), more)?;
    // Nobody serves what a program keeps.
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    Some(World {
        served: Served::Never,
        ..World::new("exec", nobody, settings, directory)
    })
}

/// The lines of `text` that the other does not have, without the serial number.
fn only<'a>(text: &'a str, other: &str) -> Vec<&'a str> {
    let serial = |line: &&str| !line.contains("; serial");
    let lines = text.lines().filter(serial);
    lines
        .filter(|line| !other.lines().any(|l| l == *line))
        .collect()
}

fn sound(apex: &str, file: &Path) {
    let Some(checker) = ports::program("named-checkzone") else {
        return;
    };
    let checked = Command::new(checker)
        .arg(apex)
        .arg(file)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.status.success() && told.trim_end().ends_with("OK"),
        "{told}"
    );
}

#[tokio::test]
async fn a_zone_file_keeps_the_contract() {
    let Some((world, directory)) = zonefile().await else {
        return;
    };
    contract::kept_by(&world).await;
    let text = fs::read_to_string(directory.join(APEX)).expect("a zone file");
    // The contract replaces the wildcard's text, whose owner the next line takes.
    assert_eq!(only(FILE, &text), ["*.wild\tTXT\twild"]);
    assert!(text.contains("\"wilder\"\n\tA\t192.0.2.9\n"), "{text}");
    for (apex, _) in zones() {
        sound(apex, &directory.join(apex));
    }
}

#[tokio::test]
async fn a_zone_file_is_as_before_once_everything_is_taken_back() {
    let Some((world, directory)) = zonefile().await else {
        return;
    };
    let written = [
        set(
            "new.example.test",
            RType::A,
            60,
            &["192.0.2.1", "192.0.2.2"],
        ),
        set(APEX, RType::Txt, 300, &["somebody-else=1", "v=spf1 -all"]),
        set("smtp.example.test", RType::Aaaa, 300, &["2001:db8::1"]),
    ];
    for want in &written {
        world.put(APEX, want).await;
    }
    world
        .put(APEX, &Rrset::absent(written[0].key.clone()))
        .await;
    world
        .put(APEX, &set(APEX, RType::Txt, 300, &["somebody-else=1"]))
        .await;
    world
        .put(APEX, &Rrset::absent(written[2].key.clone()))
        .await;
    let text = fs::read_to_string(directory.join(APEX)).expect("a zone file");
    assert_eq!(only(FILE, &text), Vec::<&str>::new());
    assert_eq!(only(&text, FILE), Vec::<&str>::new());
    assert!(text.contains("2026112607 ; serial"), "six changes:\n{text}");
    sound(APEX, &directory.join(APEX));
}

#[tokio::test]
async fn two_at_once_in_one_file_lose_nothing() {
    let Some((world, directory)) = zonefile().await else {
        return;
    };
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..20 {
        let zone = world.zone();
        let owner = format!("burst{number}.example.test");
        let want = set(&owner, RType::Txt, 300, &["here"]);
        writes.spawn(async move {
            zone::write(&*zone, &name(APEX), &Rrset::absent(want.key.clone()), &want).await
        });
    }
    while let Some(done) = writes.join_next().await {
        done.expect("no panic").expect("a change");
    }
    let text = fs::read_to_string(directory.join(APEX)).expect("a zone file");
    assert_eq!(text.lines().filter(|l| l.starts_with("burst")).count(), 20);
    assert_eq!(only(FILE, &text), Vec::<&str>::new());
}

#[tokio::test]
async fn a_program_keeps_the_contract() {
    contract::kept(exec("")).await;
}

#[tokio::test]
async fn a_program_that_is_busy_is_asked_again() {
    contract::kept(exec(" --busy")).await;
}

#[tokio::test]
async fn a_program_that_stores_something_else_is_found_out() {
    let Some(world) = exec(" --careless") else {
        return;
    };
    let want = set("new.example.test", RType::Txt, 300, &["one", "two"]);
    let before = Rrset::absent(key("new.example.test", RType::Txt));
    let why = zone::write(&*world.zone(), &name(APEX), &before, &want)
        .await
        .expect_err("half of it");
    assert!(
        why.told().contains("holds something else"),
        "{}",
        why.told()
    );
}
