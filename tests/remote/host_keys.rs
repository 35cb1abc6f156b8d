//! Which host keys are trusted.

use std::process::Command;
use std::sync::Arc;

use mailctl::remote::Remote;
use mailctl::remote::access::Access;
use mailctl::remote::ssh::Ssh;

use crate::sshd::{Sshd, must};
use crate::{Person, connect, contains, refused, run, sshd};

#[test]
fn an_unknown_host_key_is_shown_asked_about_and_remembered() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let target = sshd.target();
    let keygen = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(sshd.path("host_ed25519.pub"))
        .output();
    let fingerprint = String::from_utf8(keygen.expect("ssh-keygen").stdout).expect("text");
    let fingerprint = fingerprint.split(' ').nth(1).expect("a fingerprint");

    let told = refused(&target, &Access::default());
    contains(
        &told,
        &[
            "not known",
            "ssh-ed25519",
            fingerprint,
            "host_key: ",
            "--accept-new-host-key",
        ],
    );

    let person = Arc::new(Person::default());
    refused(
        &target,
        &Access {
            ask: Some(person.clone()),
            ..Access::default()
        },
    );
    contains(
        &person.asked.lock().unwrap()[0],
        &["root@127.0.0.1", "ssh-ed25519", fingerprint],
    );
    assert!(
        !sshd.path("known_hosts").exists(),
        "nothing is remembered that was not accepted"
    );

    let person = Arc::new(Person {
        trusts: true,
        ..Person::default()
    });
    Ssh::connect(
        &target,
        &Access {
            ask: Some(person),
            ..Access::default()
        },
    )
    .expect("connected");
    assert_eq!(connect(&target).fingerprint(), fingerprint);

    std::fs::remove_file(sshd.path("known_hosts")).expect("removed");
    let accept = Access {
        accept_new_host_key: true,
        ..Access::default()
    };
    Ssh::connect(&target, &accept).expect("connected");
    Ssh::connect(&target, &accept).expect("connected");
    let lines = std::fs::read_to_string(sshd.path("known_hosts")).expect("read");
    assert_eq!(lines.lines().count(), 1, "{lines}");
    // OpenSSH reads it too.
    let name = format!("[127.0.0.1]:{}", sshd.port);
    must(
        Command::new("ssh-keygen")
            .arg("-F")
            .arg(name)
            .arg("-f")
            .arg(sshd.path("known_hosts")),
    );
}

#[test]
fn a_changed_host_key_is_refused_whatever_the_flags() {
    if !sshd::available() {
        return;
    }
    let (sshd, other) = (Sshd::start(), Sshd::prepare("", &["ed25519"]));
    let target = sshd.target();
    let key = std::fs::read_to_string(other.path("host_ed25519.pub")).expect("read");
    let file = sshd.path("known_hosts");
    std::fs::write(&file, format!("# mine\n[127.0.0.1]:{} {key}", sshd.port)).expect("written");
    let person = Arc::new(Person {
        trusts: true,
        ..Person::default()
    });
    let access = Access {
        accept_new_host_key: true,
        ask: Some(person),
        ..Access::default()
    };
    let told = refused(&target, &access);
    let place = format!("{}:2", file.display());
    contains(
        &told,
        &[
            "has changed",
            &place,
            "ssh-keygen -f",
            &format!("-R '[127.0.0.1]:{}'", sshd.port),
        ],
    );
    assert_eq!(told.matches("SHA256:").count(), 2, "{told}");
}

#[test]
fn a_known_key_of_another_kind_is_negotiated() {
    if !sshd::available() {
        return;
    }
    let mut sshd = Sshd::prepare("", &["ed25519", "rsa", "ecdsa"]);
    sshd.up();
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let key = std::fs::read_to_string(sshd.path(&format!("host_{kind}.pub"))).expect("read");
        std::fs::write(
            sshd.path("known_hosts"),
            format!("[127.0.0.1]:{} {key}", sshd.port),
        )
        .expect("written");
        assert_eq!(
            run(&connect(&sshd.target()), "echo hi").text(),
            "hi\n",
            "{kind}"
        );
    }
}

#[test]
fn a_pinned_host_key_of_any_kind_needs_no_known_hosts() {
    if !sshd::available() {
        return;
    }
    let mut sshd = Sshd::prepare("", &["ed25519", "rsa", "ecdsa"]);
    sshd.up();
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let keygen = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(sshd.path(&format!("host_{kind}.pub")))
            .output();
        let pin = String::from_utf8(keygen.expect("ssh-keygen").stdout).expect("text");
        let pin = pin.split(' ').nth(1).map(str::to_owned);
        let access = Access {
            host_key: pin.clone(),
            ..Access::default()
        };
        let ssh = Ssh::connect(&sshd.target(), &access).expect("connected");
        assert_eq!(Some(ssh.fingerprint()), pin);
        ssh.again().expect("connected again");
    }
    let access = Access {
        host_key: Some("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into()),
        accept_new_host_key: true,
        ..Access::default()
    };
    let told = refused(&sshd.target(), &access);
    contains(
        &told,
        &["SHA256:AAAA", "host.host_key", "(ssh-ed25519)", "(ssh-rsa)"],
    );
    assert!(!sshd.path("known_hosts").exists());
}
