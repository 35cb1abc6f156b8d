//! Providers on this machine: a zone file that BIND serves, and a program.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use mailctl::record::{RType, Rrset};
use mailctl::zone;

use super::bind::BindServer;
use super::gate::{Fault, Gate};
use super::servers::MOST_OF_BIND;
use super::world::{Fields, Served, World, fields};
use super::{APEX, REVERSE4, REVERSE6, contract, key, name, ports, set};

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
    let path = format!("{}/{{zone}}", directory.display());
    let own = fields([("path", path.as_str()), ("reload", reload.as_str())]);
    let world = World {
        served: Served::Soon,
        most: MOST_OF_BIND,
        ..World::new("zonefile", server.dns, own, server)
    };
    Some((world, directory))
}

fn program(directory: &Path, more: &str) -> Option<Fields> {
    let python = ports::program("python3")?;
    let script = directory.join("provider.py");
    fs::write(&script, PROGRAM).expect("written");
    let words = [&python, &script, directory].map(|path| path.display().to_string());
    let command = words.join(" ") + more;
    Some(fields([("command", command.as_str())]))
}

fn exec(more: &str) -> Option<World> {
    let directory = tempfile::tempdir().expect("a directory");
    let own = program(directory.path(), more)?;
    let wrong = program(directory.path(), " --stranger")?;
    let gate = Files(directory.path().to_owned());
    // Nobody serves what a program keeps.
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    Some(World {
        served: Served::Never,
        gate: Some(Box::new(gate)),
        wrong: Some((wrong, "the password is wrong")),
        ..World::new("exec", nobody, own, directory)
    })
}

/// The gate of a program: it reads what becomes of each question from one file,
/// and notes them in another.
struct Files(PathBuf);

impl Gate for Files {
    fn next(&self, faults: &[Fault]) {
        let word = |fault: &Fault| match fault {
            Fault::None => "none\n".to_owned(),
            Fault::Refused(429, Some(seconds)) => format!("rate-limit {seconds}\n"),
            Fault::Refused(429, None) => "rate-limit\n".to_owned(),
            Fault::Refused(..) => "transient\n".to_owned(),
            Fault::Failed => "failed\n".to_owned(),
            Fault::Lost => "lost\n".to_owned(),
            Fault::Cut => "cut\n".to_owned(),
        };
        let words: String = faults.iter().map(word).collect();
        fs::write(self.0.join("faults"), words).expect("written");
        fs::write(self.0.join("seen"), "").expect("written");
    }

    fn seen(&self) -> Vec<String> {
        let seen = fs::read_to_string(self.0.join("seen")).unwrap_or_default();
        seen.lines().map(str::to_owned).collect()
    }
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
