//! What the tests share: how to start a world, and how to look at it from outside.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use mailctl::record::Name;
use mailctl::rehearse::base::Suite;
use mailctl::rehearse::{World, WorldOptions, needs};

/// Says why the test cannot run here.
pub fn skipped() -> bool {
    let missing = needs::missing();
    if !missing.is_empty() {
        println!("skipped: {}", missing.join("; "));
    }
    !missing.is_empty()
}

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub fn contabo(suite: Suite) -> WorldOptions<'static> {
    WorldOptions {
        suite,
        contabo_like: true,
        zones: vec![name("wac.tax")],
        far_domains: vec![name("gmail.com")],
        ..WorldOptions::default()
    }
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The output of a command on the server that has to succeed.
pub fn on(world: &World, command: &str) -> String {
    let output = world.exec(command).expect("the server runs");
    assert!(output.status.success(), "{command}: {}", text(&output));
    text(&output)
}

/// The output of a program here, whatever its status.
pub fn here(program: &str, arguments: &[&str]) -> String {
    text(
        &Command::new(program)
            .args(arguments)
            .output()
            .expect(program),
    )
}

pub fn dig(world: &World, question: &[&str]) -> String {
    let server = format!("@{}", world.resolver().address().ip());
    here(
        "dig",
        &[&[server.as_str(), "+short", "+tries=5"], question].concat(),
    )
    .trim()
    .to_owned()
}

/// Repeats until `done`; the machine may be slow.
pub fn eventually(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "not in a minute: {what}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// What this machine's own programs know of a world; nothing of `cleanup` is asked.
pub fn seen(number: u8) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut look = |what: &str, text: &str, signs: &[String]| {
        for line in text
            .lines()
            .filter(|line| signs.iter().any(|sign| line.contains(sign)))
        {
            seen.insert(format!("{what}: {line}"));
        }
    };
    let interface = format!("mailctl-{number}");
    let links = [
        format!(" {interface}:"),
        format!(" vb-{interface}@"),
        format!("10.77.{number}."),
    ];
    look("link", &here("ip", &["-o", "addr"]), &links);
    look("link", &here("ip", &["-o", "link"]), &links);
    look(
        "table",
        &(here("nft", &["list", "tables"]) + " ").replace('\n', " \n"),
        &[format!("mailctl_lab_{number} ")],
    );
    let directory = format!("/var/lib/mailctl/lab/{number}");
    look(
        "mount",
        &here("cat", &["/proc/mounts"]),
        &[format!("{directory}/"), format!("/{interface} ")],
    );
    let processes = here("ps", &["axww", "-o", "pid=,args="]).replace('\n', " \n");
    look(
        "process",
        &processes,
        &[
            format!("{directory}/"),
            format!("={interface} "),
            format!("@{interface} "),
        ],
    );
    let groups = [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup/unified",
    ];
    let groups = groups.map(|group| format!("{group}/mailctl-lab-{number}"));
    let spawned =
        ["propagate", "unix-export"].map(|d| format!("/run/systemd/nspawn/{d}/{interface}"));
    for path in groups.iter().chain(&spawned).chain([&directory]) {
        if Path::new(path).exists() {
            seen.insert(path.clone());
        }
    }
    seen
}
