//! Servers that are not there yet.

use std::process::Command;
use std::time::{Duration, Instant};

use mailctl::remote::access::Access;
use mailctl::remote::target::Target;
use mailctl::remote::wait::connect_waiting;

use crate::sshd::{Sshd, free_port};
use crate::{contains, run, sshd};

/// An sshd on a machine that says it runs `id`: its scripts see their own /run and os-release.
fn system(id: &str, booted: bool) -> Option<Sshd> {
    let sshd = Sshd::prepare("", &["ed25519"]);
    std::fs::write(sshd.path("os-release"), format!("ID={id}\n")).expect("written");
    let run = if booted {
        "mkdir -p /run/systemd/system"
    } else {
        ":"
    };
    let enter = format!(
        "mount --bind {} /etc/os-release && mount -t tmpfs tmpfs /run && {run} && exec sh -s",
        sshd.path("os-release").display()
    );
    let trial = Command::new("unshare")
        .args(["-m", "sh", "-c", &enter.replace("exec sh -s", "true")])
        .output();
    if !trial.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine allows no mount namespace");
        return None;
    }
    let config = std::fs::read_to_string(sshd.path("sshd_config")).expect("read");
    let config = format!("ForceCommand exec unshare -m sh -c '{enter}'\n{config}");
    std::fs::write(sshd.path("sshd_config"), config).expect("written");
    Some(sshd)
}

#[test]
fn neither_a_closed_port_nor_an_installer_is_the_server() {
    if !sshd::available() {
        return;
    }
    let (Some(installer), Some(mut server)) = (system("tinycore", false), system("debian", true))
    else {
        return;
    };
    let mut installer = installer.on_port(server.port);
    // The same person's key lets into both.
    let keys = std::fs::copy(
        server.path("authorized_keys"),
        installer.path("authorized_keys"),
    );
    keys.expect("copied");
    let target = server.target();
    let (told, tell) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let access = Access {
            accept_new_host_key: true,
            ..Access::default()
        };
        let mut report = |text: &str| told.send(text.to_owned()).expect("heard");
        connect_waiting(&target, &access, Duration::from_secs(60), &mut report)
    });
    // Between two states an attempt may see something of both.
    let hear = |what: &str| {
        while !tell
            .recv_timeout(Duration::from_secs(60))
            .expect("a report")
            .contains(what)
        {}
    };
    hear("is closed; waiting");
    installer.up();
    hear("still runs tinycore");
    assert!(
        !server.path("known_hosts").exists(),
        "the installer's key is not remembered"
    );
    installer.down();
    hear("is closed; waiting");
    server.up();
    let ssh = waiting.join().expect("no panic").expect("connected");
    assert_eq!(run(&ssh, ". /etc/os-release; echo $ID").text(), "debian\n");
    let key = std::fs::read_to_string(server.path("host_ed25519.pub")).expect("read");
    let known = std::fs::read_to_string(server.path("known_hosts")).expect("read");
    assert_eq!(
        known.trim_end(),
        format!("[127.0.0.1]:{} {}", server.port, key.trim_end())
    );
}

#[test]
fn what_waiting_cannot_mend_ends_it_at_once() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let begin = Instant::now();
    let limit = Duration::from_secs(60);
    let failure =
        connect_waiting(&sshd.target(), &Access::default(), limit, &mut |_: &str| {}).err();
    contains(
        &failure.expect("an unknown key").told(),
        &["not known", "--accept-new-host-key"],
    );
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn waiting_ends() {
    let ssh = format!("127.0.0.1:{}", free_port())
        .parse()
        .expect("an SSH target");
    let mut reports = Vec::new();
    let mut report = |text: &str| reports.push(text.to_owned());
    let begin = Instant::now();
    let limit = Duration::from_secs(3);
    let failure = connect_waiting(
        &Target::literal(&ssh),
        &Access::default(),
        limit,
        &mut report,
    )
    .err();
    contains(
        &failure.expect("not ready").told(),
        &["was not ready within 3s", "is closed"],
    );
    assert!(begin.elapsed() >= limit);
    assert_eq!(reports.len(), 1, "{reports:?}");
}
