//! Which credentials let in, and what is said when none does.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mailctl::remote::Remote;
use mailctl::remote::access::Access;
use mailctl::remote::ssh::Ssh;
use mailctl::remote::target::Target;
use mailctl::secret::Secret;

use crate::sshd::{Sshd, must};
use crate::{Person, connect, contains, refused, run, run_within, sshd};

#[test]
fn keys_of_every_kind_log_in() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let mut target = sshd.known_target();
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let name = format!("second_{kind}");
        sshd.authorize(&name, kind, "");
        target.identity = Some(sshd.path(&name));
        assert_eq!(run(&connect(&target), "id -u").text(), "0\n", "{kind}");
    }
}

#[test]
fn an_encrypted_key_asks_for_its_passphrase_once() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let mut target = sshd.known_target();
    for kind in ["ed25519", "rsa"] {
        let name = format!("locked_{kind}");
        sshd.authorize(&name, kind, "open sesame");
        target.identity = Some(sshd.path(&name));

        let person = Arc::new(Person {
            secret: Some("open sesame"),
            ..Person::default()
        });
        let ssh = Ssh::connect(
            &target,
            &Access {
                ask: Some(person.clone()),
                ..Access::default()
            },
        );
        let again = ssh.expect("connected").again().expect("connected again");
        assert_eq!(run(&*again, "echo hi").text(), "hi\n");
        let asked = person.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "{asked:?}");
        contains(&asked[0], &["passphrase of", &name]);

        let told = refused(&target, &Access::default());
        contains(&told, &[&name, "encrypted", "do: ", "ssh-add"]);

        let wrong = Arc::new(Person {
            secret: Some("wrong"),
            ..Person::default()
        });
        let told = refused(
            &target,
            &Access {
                ask: Some(wrong),
                ..Access::default()
            },
        );
        contains(&told, &[&name, "wrong passphrase"]);
        assert!(!told.contains("sesame"));
    }
}

#[test]
fn a_key_file_that_is_missing_or_refused_is_named() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let mut target = sshd.known_target();
    target.identity = Some(sshd.path("nowhere"));
    contains(
        &refused(&target, &Access::default()),
        &["cannot read the key file", "nowhere", "host.identity"],
    );

    sshd::keygen(&sshd.path("stranger"), "ed25519", "");
    target.identity = None;
    target.identity_files = vec![sshd.path("absent"), sshd.path("stranger")];
    let told = refused(&target, &Access::default());
    contains(
        &told,
        &[
            "refuses the login",
            "tried: ",
            "stranger (refused)",
            "ssh-copy-id root@127.0.0.1",
        ],
    );
    assert!(!told.contains("absent"), "{told}");

    target.identity_files = Vec::new();
    contains(
        &refused(&target, &Access::default()),
        &["no key and no password to try"],
    );
}

/// An ssh-agent of its own, ended when dropped.
struct Agent(Child, PathBuf);

impl Agent {
    fn start(dir: &Path) -> Self {
        let socket = dir.join("agent");
        let mut command = Command::new("ssh-agent");
        let child = command
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent");
        let end = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
            assert!(Instant::now() < end, "ssh-agent does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child, socket)
    }

    fn add(&self, key: &Path) {
        must(
            Command::new("ssh-add")
                .arg("-q")
                .arg(key)
                .env("SSH_AUTH_SOCK", &self.1),
        );
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_lets_in_and_the_named_key_goes_first() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start_with("MaxAuthTries 3");
    let agent = Agent::start(sshd.dir.path());
    let mut target = sshd.known_target();
    target.identity = None;
    target.agent = Some(agent.1.clone());
    for n in 0..4 {
        let stranger = sshd.path(&format!("stranger{n}"));
        sshd::keygen(&stranger, "ed25519", "");
        agent.add(&stranger);
    }
    let told = refused(&target, &Access::default());
    contains(
        &told,
        &["closed the connection during the login", "host.identity"],
    );

    agent.add(&sshd.path("id_ed25519"));
    target.identity_files = vec![sshd.path("id_ed25519")];
    let ssh = connect(&target);
    assert_eq!(
        run(&*ssh.again().expect("connected again"), "echo hi").text(),
        "hi\n"
    );
}

#[test]
fn an_encrypted_key_that_the_agent_holds_needs_no_passphrase() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.dir.path());
    sshd.authorize("locked", "ed25519", "");
    agent.add(&sshd.path("locked"));
    must(
        Command::new("ssh-keygen")
            .args(["-q", "-p", "-P", "", "-N", "secret", "-f"])
            .arg(sshd.path("locked")),
    );
    let mut target = sshd.known_target();
    target.identity = Some(sshd.path("locked"));
    contains(&refused(&target, &Access::default()), &["encrypted"]);
    target.agent = Some(agent.1.clone());
    assert_eq!(run(&connect(&target), "echo hi").text(), "hi\n");
}

/// A user made for one test; removed when dropped.
struct TempUser(String);

impl TempUser {
    fn make(purpose: &str, password: &str) -> Option<Self> {
        let name = format!("mailctl-{purpose}{}", std::process::id());
        if !Path::new("/usr/sbin/useradd").exists() || !Path::new("/usr/sbin/chpasswd").exists() {
            eprintln!("skipped: useradd is not installed (passwd)");
            return None;
        }
        must(
            Command::new("/usr/sbin/useradd").args(["-M", "-N", "-s", "/bin/sh", "-d", "/", &name]),
        );
        let user = Self(name);
        let mut chpasswd = Command::new("/usr/sbin/chpasswd")
            .stdin(Stdio::piped())
            .spawn()
            .expect("chpasswd runs");
        let line = format!("{}:{password}\n", user.0);
        std::io::Write::write_all(&mut chpasswd.stdin.take().unwrap(), line.as_bytes())
            .expect("written");
        assert!(chpasswd.wait().expect("chpasswd ends").success());
        Some(user)
    }
}

impl Drop for TempUser {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(format!("/etc/sudoers.d/{}", self.0));
        // A session may be on its way out.
        for _ in 0..50 {
            if Command::new("/usr/sbin/userdel")
                .arg(&self.0)
                .output()
                .is_ok_and(|o| o.status.success())
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn passwords_and_sudo() {
    if !sshd::available() {
        return;
    }
    let Some(user) = TempUser::make("t", "correct horse") else {
        return;
    };
    let sshd = Sshd::start_with("PasswordAuthentication yes");
    let mut target = sshd.known_target();
    target.user.clone_from(&user.0);
    target.identity = None;
    let with = |password| Access {
        password: Some(Secret::new(password)),
        ..Access::default()
    };

    let told = refused(&target, &with("wrong battery"));
    contains(&told, &["refuses the login", "password (refused)"]);
    assert!(!told.contains("battery"), "{told}");
    let keys_only = sshd.known_target();
    let told = refused(
        &Target {
            identity: None,
            ..keys_only
        },
        &Access::default(),
    );
    contains(&told, &["no key and no password"]);

    let person = Arc::new(Person {
        secret: Some("correct horse"),
        ..Person::default()
    });
    Ssh::connect(
        &target,
        &Access {
            ask: Some(person.clone()),
            ..Access::default()
        },
    )
    .expect("connected");
    contains(&person.asked.lock().unwrap()[0], &["password of", &user.0]);

    let ssh = Ssh::connect(&target, &with("correct horse")).expect("connected");
    if !Path::new("/usr/bin/sudo").exists() {
        eprintln!("skipped: sudo is not installed");
        contains(
            &run_within(&ssh, "id -u", 20).expect_err("no sudo").told(),
            &["has no sudo"],
        );
        return;
    }
    let told = run_within(&ssh, "id -u", 20)
        .expect_err("sudo wants a password")
        .told();
    contains(
        &told,
        &["may not become root", "without a password", "NOPASSWD"],
    );

    let rule = format!("{} ALL=(ALL) NOPASSWD: ALL\n", user.0);
    std::fs::write(format!("/etc/sudoers.d/{}", user.0), rule).expect("written");
    let output = run(&ssh, "id -u; cat; echo $HOME; exit 5");
    assert_eq!((output.code, output.text()), (5, "0\n/root\n".into()));
    assert_eq!(
        run(&*ssh.again().expect("connected again"), "echo hi").text(),
        "hi\n"
    );
}

#[test]
fn a_server_that_takes_keys_only_says_so() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start_with("PasswordAuthentication no\nKbdInteractiveAuthentication no");
    let mut target = sshd.known_target();
    target.identity = None;
    let access = Access {
        password: Some(Secret::new("x")),
        ..Access::default()
    };
    contains(
        &refused(&target, &access),
        &["password (the server takes keys only)"],
    );
}
