//! Reaching a server over SSH, against real sshds on loopback.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "support/sshd.rs"]
mod sshd;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mailctl::failure::Failure;
use mailctl::remote::access::{Access, Ask};
use mailctl::remote::frames::{self, Probe};
use mailctl::remote::lock::Lock;
use mailctl::remote::ssh::Ssh;
use mailctl::remote::target::{Proxy, Target};
use mailctl::remote::wait::connect_waiting;
use mailctl::remote::{Output, Remote, Script};
use mailctl::secret::Secret;
use sshd::{Sshd, free_port, kill, must};

/// A person who gives the same answers always, and is counted.
#[derive(Default)]
struct Person {
    trusts: bool,
    secret: Option<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl Ask for Person {
    fn trusts(&self, place: &str, kind: &str, fingerprint: &str) -> bool {
        self.asked
            .lock()
            .unwrap()
            .push(format!("{place} {kind} {fingerprint}"));
        self.trusts
    }

    fn secret(&self, prompt: &str) -> Option<Secret> {
        self.asked.lock().unwrap().push(prompt.to_owned());
        self.secret.map(Secret::new)
    }
}

fn connect(target: &Target) -> Ssh {
    Ssh::connect(target, &Access::default()).expect("connected")
}

fn refused(target: &Target, access: &Access) -> String {
    match Ssh::connect(target, access) {
        Ok(_) => panic!("connected"),
        Err(failure) => failure.told(),
    }
}

fn run(remote: &dyn Remote, text: &str) -> Output {
    remote.run(&Script::new(text)).expect("the script runs")
}

fn run_within(remote: &dyn Remote, text: &str, seconds: u64) -> Result<Output, Failure> {
    remote.run(&Script::new(text).within(Duration::from_secs(seconds)))
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

// ---------------------------------------------------------------- logging in

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

// ---------------------------------------------------------------- host keys

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

// ---------------------------------------------------------------- ~/.ssh/config

#[test]
fn an_alias_with_jump_and_proxy_command() {
    if !sshd::available() {
        return;
    }
    let (gate, inner) = (Sshd::start(), Sshd::start());
    gate.known_target();
    inner.known_target();
    let config = gate.path("config");
    let text = format!(
        "Host gate\n  HostName 127.0.0.1\n  Port {gate_port}\n  User root\n  IdentityFile {gate_dir}/id_ed25519\n  UserKnownHostsFile {gate_dir}/known_hosts\n\
         Host inner inner-*\n  HostName 127.0.0.1\n  Port {inner_port}\n  IdentityFile {inner_dir}/id_ed25519\n  UserKnownHostsFile {inner_dir}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  IdentityAgent none\n\
         Host inner-jumped\n  ProxyJump gate\n\
         Host inner-broken\n  ProxyJump nobody@gate:{free}\n\
         Host inner-command\n  ProxyCommand {proxy} %h %p\n\
         Host inner-failing\n  ProxyCommand echo no way here >&2; exit 1\n",
        gate_port = gate.port,
        gate_dir = gate.dir.path().display(),
        inner_port = inner.port,
        inner_dir = inner.dir.path().display(),
        free = free_port(),
        proxy = "python3 -c 'import socket,sys,os,threading;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));threading.Thread(target=lambda:[s.sendall(b) for b in iter(lambda:os.read(0,65536),b\"\")],daemon=True).start();[os.write(1,b) for b in iter(lambda:s.recv(65536),b\"\")]'",
    );
    std::fs::write(&config, text).expect("written");
    let resolve = |alias: &str| {
        let ssh = alias.parse().expect("an SSH target");
        Target::resolve_with(&ssh, None, Some(&config)).expect("resolved")
    };
    let target = resolve("inner");
    assert_eq!(target.place(), format!("root@127.0.0.1:{}", inner.port));
    assert_eq!(run(&connect(&target), "echo direct").text(), "direct\n");

    let target = resolve("inner-jumped");
    assert_eq!(target.proxy, Some(Proxy::Jump("gate".into())));
    let ssh = connect(&target);
    assert_eq!(
        run(&ssh, "echo $SSH_CONNECTION | cut -d' ' -f4").text(),
        format!("{}\n", inner.port)
    );
    assert_eq!(gate.sessions().len(), 1);
    drop(ssh);
    until("the jump ends with the connection", || {
        gate.sessions().is_empty()
    });

    assert_eq!(
        run(&connect(&resolve("inner-command")), "echo by command").text(),
        "by command\n"
    );

    contains(
        &refused(&resolve("inner-failing"), &Access::default()),
        &["no way here"],
    );
    contains(
        &refused(&resolve("inner-broken"), &Access::default()),
        &["refused"],
    );
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// ---------------------------------------------------------------- no way in

#[test]
fn what_stands_in_the_way_is_told() {
    let target = |ssh: &str| Target::literal(&ssh.parse().expect("an SSH target"));
    let closed = free_port();
    let told = refused(&target(&format!("127.0.0.1:{closed}")), &Access::default());
    contains(
        &told,
        &[
            &format!("port {closed} at 127.0.0.1 is closed"),
            "do: ",
            "--wait",
        ],
    );

    let told = refused(&target("no-such-host.invalid"), &Access::default());
    contains(&told, &["no-such-host.invalid does not resolve", "do: "]);

    let quick = Access {
        connect_timeout: Duration::from_millis(500),
        ..Access::default()
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let told = refused(&target(&format!("127.0.0.1:{port}")), &quick);
    contains(&told, &["says nothing", "do: "]);

    let closing = std::thread::spawn(move || drop(silent.accept()));
    let told = refused(&target(&format!("127.0.0.1:{port}")), &quick);
    contains(
        &told,
        &["closed the connection during the handshake", "do: "],
    );
    closing.join().expect("no panic");
}

// ---------------------------------------------------------------- running scripts

#[test]
fn codes_streams_and_surroundings() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let ssh = connect(&sshd.known_target());
    let output = run(&ssh, "echo out; echo err >&2; exit 7");
    assert_eq!(
        (output.code, output.text(), output.complaint()),
        (7, "out\n".into(), "err".into())
    );
    assert_eq!(run(&ssh, "false").code, 1);
    assert_eq!(run(&ssh, "kill -9 $(sh -c 'echo $PPID')").code, 137);
    assert_eq!(
        run(&ssh, "umask; echo $LC_ALL; cat; printf '%s' \"$#\"").text(),
        "0077\nC\n0"
    );
    assert_eq!(run(&ssh, "trap 'echo bye' EXIT; exit 3").text(), "bye\n");
    assert_eq!(run(&ssh, "sleep 5 & echo daemon").text(), "daemon\n");
    assert_eq!(ssh.place(), format!("root@127.0.0.1:{}", sshd.port));
    let told = run_within(&ssh, "echo 'open", 20)
        .expect_err("no shell script")
        .told();
    contains(&told, &["before the script began", "Syntax error"]);
    let told = run_within(&ssh, "kill -9 $$", 20)
        .expect_err("killed")
        .told();
    contains(&told, &["ended before it was done"]);
    assert_eq!(run(&ssh, "echo still here").text(), "still here\n");
}

#[test]
fn noise_of_the_login_does_not_matter() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start_with(
        "ForceCommand echo Welcome; echo to >&2; sh -c \"$SSH_ORIGINAL_COMMAND\"; echo bye",
    );
    let output = run(&connect(&sshd.known_target()), "echo out; echo err >&2");
    assert_eq!(
        (output.text(), &output.err[..]),
        ("out\n".into(), &b"err\n"[..])
    );

    let sshd = Sshd::start_with(
        "ForceCommand echo 'Please login as the user \"debian\" rather than the user \"root\".'",
    );
    let told = run_within(&connect(&sshd.known_target()), "id", 20)
        .expect_err("turned away")
        .told();
    contains(&told, &["does not let root in", "debian", "host.ssh"]);
}

#[test]
fn eight_mebibytes_in_every_direction() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let ssh = connect(&sshd.known_target());
    let size = 8 << 20;
    let text = format!(
        "cat <<'END'\n{}\nEND\nhead -c {size} /dev/zero >&2; exit 9",
        "x".repeat(size)
    );
    let begin = Instant::now();
    let output = run(&ssh, &text);
    eprintln!("8 MiB in, out and err: {:?}", begin.elapsed());
    assert_eq!(
        (output.code, output.out.len(), output.err.len()),
        (9, size + 1, size)
    );
    assert!(output.err.iter().all(|b| *b == 0));
}

#[test]
fn a_connection_that_dies_is_never_a_success() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let flag = dir.path().join("flag");
    let ssh = connect(&sshd.known_target());
    let session = sshd.sessions();
    assert_eq!(session.len(), 1);
    std::thread::scope(|scope| {
        let text = format!("echo partial; : >{}; sleep 30; echo whole", flag.display());
        let ssh = &ssh;
        let running = scope.spawn(move || run_within(ssh, &text, 60));
        until("the script runs", || flag.exists());
        kill(session[0]).expect("killed");
        let told = running.join().expect("no panic").expect_err("lost").told();
        contains(
            &told,
            &[
                "connection to root@127.0.0.1",
                "was lost during a script",
                "do: ",
            ],
        );
    });
    contains(
        &run_within(&ssh, "true", 20).expect_err("still lost").told(),
        &["was lost"],
    );
    assert_eq!(
        run(&*ssh.again().expect("connected again"), "echo new").text(),
        "new\n"
    );
}

#[test]
fn a_script_that_takes_too_long_is_ended() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("late").display().to_string();
    let ssh = connect(&sshd.known_target());
    let begin = Instant::now();
    let told = run_within(&ssh, &format!("sleep 4; echo x >{file}"), 1)
        .expect_err("late")
        .told();
    contains(&told, &["did not end within 1s"]);
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    let told = run_within(&ssh, "yes", 1).expect_err("endless").told();
    contains(&told, &["did not end within 1s"]);
    assert_eq!(run(&ssh, "echo the connection is still good").code, 0);
    std::thread::sleep(Duration::from_secs(4));
    assert!(!Path::new(&file).exists(), "it went on");
}

#[test]
fn callers_on_many_threads_take_turns() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let ssh = connect(&sshd.known_target());
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (ssh, done) = (&ssh, &done);
            scope.spawn(move || {
                for round in 0..5 {
                    let output = run(ssh, &format!("echo {thread} {round}; exit {thread}"));
                    assert_eq!(
                        (output.text(), output.code),
                        (format!("{thread} {round}\n"), thread)
                    );
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 40);
}

#[test]
fn a_script_that_half_arrives_does_not_half_run() {
    if !sshd::available() {
        return;
    }
    let mut sshd = Sshd::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let first = dir.path().join("first");
    let ssh = connect(&sshd.known_target());
    let text = format!(": >{}\n{}", first.display(), "# filling\n".repeat(3 << 20));
    std::thread::scope(|scope| {
        let ssh = &ssh;
        let running = scope.spawn(move || run_within(ssh, &text, 60));
        // In the middle of 30 MB.
        std::thread::sleep(Duration::from_millis(60));
        sshd.down();
        running.join().expect("no panic").expect_err("lost");
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(!first.exists(), "the first line ran without the rest");
}

#[test]
fn probes_travel_in_one_script() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let ssh = connect(&sshd.known_target());
    let probes = [
        Probe::new("printf '\\000\\377'"),
        Probe::new("exit 3"),
        Probe {
            text: "sleep 60".into(),
            timeout_s: 1,
        },
    ];
    let answers = frames::ask(&ssh, &probes).expect("asked");
    assert_eq!(
        (&answers[0].out[..], answers[1].code, answers[2].late()),
        (&b"\0\xff"[..], 3, true)
    );
}

// ---------------------------------------------------------------- the lock

#[test]
fn the_lock_names_its_holder_and_goes_with_its_connection() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("lock").display().to_string();
    let target = sshd.known_target();
    let (first, second) = (connect(&target), connect(&target));
    let take =
        |ssh: &Ssh, who: &str, wait| Lock::take_file(ssh, &file, who, Duration::from_secs(wait));

    let lock = take(&first, "i@laptop, pid 7, since noon", 0).expect("taken");
    assert_eq!(run(&first, "echo work goes on").text(), "work goes on\n");
    assert!(lock.held());
    let told = take(&second, "she@desk", 0).err().expect("held").told();
    contains(
        &told,
        &[
            "another mailctl works on root@127.0.0.1",
            "i@laptop, pid 7, since noon",
            "wait",
        ],
    );
    let begin = Instant::now();
    assert!(take(&second, "she@desk", 1).is_err());
    assert!(begin.elapsed() >= Duration::from_secs(1));
    drop(lock);
    let lock = take(&second, "she@desk", 0).expect("released");

    // The controller dies: its connection ends without a word.
    let sessions = sshd.sessions();
    assert_eq!(sessions.len(), 2);
    kill(*sessions.iter().max().expect("sessions")).expect("killed");
    let third = connect(&target);
    let taken = take(&third, "they", 20).expect("released with the connection");
    until("the first holder knows", || !lock.held());
    assert!(taken.held());
}

// ---------------------------------------------------------------- waiting

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
    let next = || {
        tell.recv_timeout(Duration::from_secs(60))
            .expect("a report")
    };
    contains(&next(), &["is closed; waiting"]);
    installer.up();
    contains(&next(), &["still runs tinycore"]);
    assert!(
        !server.path("known_hosts").exists(),
        "the installer's key is not remembered"
    );
    installer.down();
    contains(&next(), &["is closed; waiting"]);
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

// ---------------------------------------------------------------- speed

#[test]
fn a_new_connection_and_a_first_script_are_quick() {
    if !sshd::available() {
        return;
    }
    // Not the cost of somebody's .bashrc, but ours.
    let sshd = Sshd::start_with("ForceCommand sh -s");
    let target = sshd.known_target();
    let mut times: Vec<(Duration, Duration)> = (0..9)
        .map(|_| {
            let begin = Instant::now();
            let ssh = connect(&target);
            let connected = begin.elapsed();
            run(&ssh, "true");
            (begin.elapsed(), connected)
        })
        .collect();
    times.sort();
    eprintln!(
        "connect and run: best {:?}, median {:?} (of it connecting {:?})",
        times[0].0, times[4].0, times[4].1
    );
    // 0.05 s where it is idle; the limit allows for a busy machine.
    assert!(times[0].0 < Duration::from_secs(1), "{times:?}");
}
