//! Whatever ends the owner of a world, nothing of the world stays.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use mailctl::rehearse::base::Suite;
use mailctl::rehearse::{World, cleanup};

use crate::common::{contabo, eventually, here, seen, skipped, text};

/// Not a test: the process that owns a world in the tests below.
#[test]
#[ignore = "run by other tests"]
fn owner() {
    let world = World::start(&contabo(Suite::Bookworm)).expect("a world");
    println!("world {}", world.number());
    match std::env::var("MAILCTL_TEST_END").as_deref() {
        Ok("keep") => println!("{}", world.keep().expect("kept")),
        Ok("panic") => panic!("as asked"),
        _ => thread::sleep(Duration::from_secs(600)),
    }
}

/// A process with a world, and the world's number.
fn start_owner(end: &str) -> (Child, u8) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "removal::owner", "--ignored", "--nocapture"])
        .env("MAILCTL_TEST_END", end)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let number = output
        .lines()
        .map_while(|line| line.ok())
        .find_map(|line| line.strip_prefix("world ")?.parse().ok());
    (child, number.expect("a world"))
}

fn signal(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(status.expect("kill").success());
}

#[test]
fn nothing_is_left_of_an_owner_that_ends_badly() {
    if skipped() {
        return;
    }
    for end in ["-INT", "-TERM", "-KILL", "panic"] {
        let (mut owner, number) = start_owner(end);
        if end.starts_with('-') {
            assert!(!seen(number).is_empty());
            signal(end, owner.id());
        }
        assert!(!owner.wait().expect("it ends").success());
        eventually(
            &format!("all is removed after {end}: {:?}", seen(number)),
            || seen(number).is_empty(),
        );
    }
}

#[test]
fn the_next_start_removes_what_nobody_could() {
    if skipped() {
        return;
    }
    let (mut owner, number) = start_owner("wait");
    let script = format!("sh /var/lib/mailctl/lab/{number}/remove.sh --watch");
    let remover = here("pgrep", &["-xf", &script]);
    for process in [
        remover.trim().parse().expect("the remover's id"),
        owner.id(),
    ] {
        signal("-KILL", process);
    }
    owner.wait().expect("it ends");
    assert!(seen(number).len() > 5, "{:?}", seen(number));
    cleanup::remove_leftovers().expect("removed");
    // Another test's start may have been faster, and is still at it.
    eventually("all is removed", || seen(number).is_empty());
}

#[test]
fn a_kept_world_stays_until_it_is_removed() {
    if skipped() {
        return;
    }
    let (mut owner, number) = start_owner("keep");
    owner.wait().expect("it ends");
    cleanup::remove_leftovers().expect("nothing to do");
    let resolver = format!("@10.77.{number}.3");
    assert_eq!(
        here("dig", &["+short", &resolver, "gmail.com", "MX"]).trim(),
        "10 far.mailctl-lab.test."
    );
    let directory = format!("/var/lib/mailctl/lab/{number}");
    let login = [
        "-F",
        "none",
        "-o",
        &format!("UserKnownHostsFile={directory}/known_hosts"),
        "-i",
    ]
    .map(str::to_owned);
    let login: Vec<String> = login
        .into_iter()
        .chain([
            format!("{directory}/ssh_key"),
            format!("root@10.77.{number}.2"),
        ])
        .collect();
    let reach = |command: &str| {
        Command::new("ssh")
            .args(&login)
            .arg(command)
            .output()
            .expect("ssh")
    };
    assert_eq!(text(&reach("echo reached")).trim(), "reached");
    reach("touch /run/before; systemctl reboot");
    let again = || text(&reach("test ! -e /run/before && echo again")).trim() == "again";
    eventually("it reboots without its owner", again);
    here("sh", &[&format!("{directory}/remove.sh")]);
    assert_eq!(seen(number), BTreeSet::new());
}
