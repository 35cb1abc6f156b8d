//! What stands in the way of an apply: each is told with what failed, where
//! and what to do, nothing is changed that should not be, and once it is out
//! of the way the next apply comes to its end.

use std::fs;
use std::process::{Command, Stdio};

use mailctl::kinds::shell::PRELUDE;
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rehearse::base::Suite;

use crate::lab::{Lab, Ran, TOKEN_VARIABLE, until};
use crate::pebble::{Options, Pebble};

const DOMAINS: &str = "  wac.tax:\n    users: {i: {password: env:E2E_MAIL_PASSWORD}}\n    forward: {i: i.wac.tax@gmail.com}\n";

/// What an apply could have changed: the server's files, the zone.
fn state(lab: &Lab) -> String {
    let files = lab.on_server(
        "find /etc /var/lib /usr -newer /proc/1 -type f | sort; find /etc -newer /proc/1 -type f -exec sha256sum {} + | sort",
    );
    let names = ["wac.tax", "smtp.wac.tax", "_acme-challenge.wac.tax"];
    let sets = names.map(|name| ["A", "AAAA", "MX", "TXT"].map(|rtype| lab.dig(name, rtype)));
    format!("{files}{sets:?}")
}

/// Runs a plan and an apply that must both fail, say this, and change nothing.
#[track_caller]
fn stopped(lab: &Lab, parts: &[&str]) {
    let before = state(lab);
    lab.run(&["plan"]).expect(1).says(parts);
    lab.run(&["apply", "--yes", "--no-input"])
        .expect(1)
        .says(parts)
        .says(&["do: "]);
    assert_eq!(before, state(lab), "something was changed");
}

fn keygen(lab: &Lab, name: &str) -> String {
    let path = lab.directory.path().join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status();
    assert!(made.expect("ssh-keygen").success());
    path.display().to_string()
}

fn no_challenges(lab: &Lab) {
    for name in ["wac.tax", "smtp.wac.tax"] {
        let challenges = lab.dig(&format!("_acme-challenge.{name}"), "TXT");
        assert_eq!(challenges, Vec::<String>::new(), "of {name}");
    }
}

/// SSH: the key, the port, the host key.
fn ways_in(lab: &Lab) {
    let v4 = lab.world.ipv4().to_string();
    let (login, pin) = (
        format!("ssh: root@{v4}\n"),
        lab.world.server().host_key_fingerprint(),
    );
    let (identity, pinned) = (
        lab.world.private_key().display().to_string(),
        format!("  host_key: {pin}\n"),
    );

    let other = keygen(lab, "other_key");
    lab.write_but(DOMAINS, &[(&identity, &other)]);
    let place = format!("root@{v4} refuses the login");
    stopped(
        lab,
        &[
            &place,
            "other_key (refused)",
            "ssh-copy-id",
            "`host.identity`",
        ],
    );

    lab.write_but(DOMAINS, &[(&login, &format!("ssh: root@{v4}:2222\n"))]);
    let place = format!("port 2222 at {v4} is closed");
    stopped(lab, &[&place, "start sshd", "`host.ssh`"]);

    let wrong = format!("SHA256:{}", "A".repeat(43));
    lab.write_but(DOMAINS, &[(&pin, &wrong)]);
    stopped(
        lab,
        &[
            "is not the server that mail.yaml means",
            &pin,
            &wrong,
            "correct `host.host_key`",
        ],
    );

    // Not pinned: what known_hosts says counts.
    lab.write_but(DOMAINS, &[(&pinned, "")]);
    stopped(
        lab,
        &[
            "is not known",
            &pin,
            "--accept-new-host-key",
            "hoster's console",
        ],
    );
    let known = lab.directory.path().join(".ssh/known_hosts");
    assert!(!known.exists(), "nothing is remembered unasked");
    let public = fs::read_to_string(format!("{other}.pub")).expect("a key");
    fs::create_dir_all(known.parent().expect(".ssh")).expect("a directory");
    fs::write(&known, format!("{v4} {public}")).expect("known_hosts");
    stopped(
        lab,
        &[
            "has changed",
            &pin,
            "known_hosts:1",
            "ssh-keygen -f",
            "somebody stands in between",
        ],
    );
    lab.run(&["plan", "--accept-new-host-key"])
        .expect(1)
        .says(&["has changed"]);
    fs::remove_file(&known).expect("removed");
    lab.run(&["plan", "--no-input", "--accept-new-host-key"])
        .expect(0);
    lab.run(&["plan", "--no-input"]).expect(0);
    let found = Command::new("ssh-keygen")
        .args(["-F", &v4, "-f"])
        .arg(known)
        .output();
    let found = found.expect("ssh-keygen").status;
    assert!(found.success(), "it is remembered");
}

/// DNS: the zone, the token, the API, the resolver.
fn zones(lab: &Lab) {
    let (endpoint, resolver) = (
        lab.world.names().endpoint(),
        lab.world.resolver().address().to_string(),
    );
    // A place where nobody listens.
    let nobody = "127.0.0.1:9";

    let nobodys = format!("  nobody.example: {{forward: {{\"*\": a@far.example}}}}\n{DOMAINS}");
    lab.write(&nobodys);
    stopped(
        lab,
        &[
            "no zone was found for nobody.example",
            "registered, and delegated",
        ],
    );

    let elsewhere = format!("endpoint: \"{endpoint}\", server_id: elsewhere");
    let here = format!("endpoint: \"{endpoint}\"");
    lab.write_but(DOMAINS, &[(&here, &elsewhere)]);
    stopped(
        lab,
        &[
            "wac.tax is not on PowerDNS's server `elsewhere`",
            &endpoint,
            "pdnsutil create-zone",
        ],
    );

    lab.write_but(DOMAINS, &[(&endpoint, &format!("http://{nobody}"))]);
    stopped(
        lab,
        &[
            "PowerDNS's API at http://127.0.0.1:9",
            "does not answer",
            "is `endpoint` right",
        ],
    );

    lab.write_but(DOMAINS, &[(&resolver, nobody)]);
    stopped(lab, &["127.0.0.1:9", "resolver"]);

    lab.write(DOMAINS);
    let wrong = "wrong-token-2f9c1e";
    let before = state(lab);
    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["apply", "--yes", "--json"],
    ] {
        let ran = lab.command().env(TOKEN_VARIABLE, wrong).args(args).output();
        let ran = Ran::of(ran.expect("runs")).expect(1).says(&[
            "the token is refused by PowerDNS",
            &endpoint,
            "401",
            "`api-key`",
        ]);
        assert!(!ran.said().contains(wrong), "{}", ran.said());
    }
    let unset = lab
        .command()
        .env_remove(TOKEN_VARIABLE)
        .arg("plan")
        .output();
    Ran::of(unset.expect("runs"))
        .expect(3)
        .says(&[TOKEN_VARIABLE, "is not set", "export"]);
    assert_eq!(before, state(lab));
}

/// The server itself: another mail server, another system; a foreign MX.
fn others(lab: &Lab) {
    lab.on_server(
        "systemd-run --quiet --unit=other-mail python3 -c 'import socket,time; s=socket.create_server((\"\",25)); time.sleep(9999)'",
    );
    until("python3 listens", || {
        !lab.on_server("ss -Hltn sport = :25").is_empty()
    });
    let pid = lab.on_server("systemctl show -p MainPID --value other-mail");
    let holder = format!(
        "port 25 is held by another program: python3 (process {})",
        pid.trim()
    );
    stopped(lab, &[&holder, "stop python3"]);
    lab.on_server("systemctl stop other-mail");

    let fedora = include_str!("../fixtures/os-release/fedora-41").replace('\'', "");
    lab.on_server(&format!(
        "cp /etc/os-release /run/os-release.before; rm /etc/os-release; printf %s '{fedora}' >/etc/os-release"
    ));
    stopped(
        lab,
        &[
            "Fedora Linux 41 (Server Edition) is not supported",
            "Debian 12",
            "hoster",
        ],
    );
    lab.on_server("cp /run/os-release.before /etc/os-release");

    let mx = |values: &[&str]| {
        let key = RrsetKey::new(Name::parse("wac.tax").expect("a name"), RType::Mx);
        let set = Rrset::new(key, Some(300), values);
        lab.world.names().set(&set).expect("set");
    };
    mx(&["10 mail.far.example."]);
    let before = state(lab);
    lab.run(&["apply", "--yes"]).expect(4).says(&[
        "rrset wac.tax MX",
        "somebody else",
        "mail.far.example",
        "--allow ",
        "nothing was changed",
    ]);
    assert_eq!(before, state(lab));
    mx(&[]);
}

pub fn what_stands_in_the_way_is_told_and_nothing_is_changed() {
    let Some(lab) = Lab::start("errors", Suite::Bookworm) else {
        return;
    };
    ways_in(&lab);
    zones(&lab);
    others(&lab);

    // Two at once: the second is told who was first, who is not disturbed.
    lab.write(DOMAINS);
    let first = lab
        .command()
        .args(["apply", "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let holder = format!("process {}", first.id());
    until("the first holds the lock", || {
        lab.on_server("cat /run/mailctl.lock 2>/dev/null; :")
            .contains(&holder)
    });
    let place = format!("another mailctl works on root@{}", lab.world.ipv4());
    lab.run(&["apply", "--yes"]).expect(1).says(&[
        &place,
        &holder,
        "since 2",
        "wait until it is done",
    ]);
    lab.run(&["plan"]).expect(0);
    Ran::of(first.wait_with_output().expect("ends"))
        .expect(0)
        .says(&["Applied", "a second plan is empty"]);
    lab.run(&["plan", "--detailed-exitcode"])
        .expect(0)
        .says(&["No changes."]);
    lab.world.stop().expect("nothing is left");
}

/// Puts a file system with `pages` free pages of 4 KiB at `path`, what is there included.
fn cramp(lab: &Lab, path: &str, pages: usize) {
    lab.on_server(&format!(
        "set -e; mkdir -p {path}; mount -t tmpfs -o mode=$(stat -c %a {path}),size=4m cramped {path}; \
         head -c $(((1024 - {pages}) * 4096)) /dev/zero >{path}/filler"
    ));
}

pub fn a_full_disk_is_named_and_what_is_left_is_done_later() {
    let Some(lab) = Lab::start("full disk", Suite::Trixie) else {
        return;
    };
    lab.write(DOMAINS);

    // mailctl's own files: keys, the ledger.
    cramp(&lab, "/var/lib/mailctl", 0);
    let ran = lab.run(&["apply", "--yes"]).expect(6).says(&[
        "done netplan",
        "disk of the server is full",
        "do: free some space",
        "left: ",
        "it goes on from here",
    ]);
    assert!(!ran.out.contains("done packages"), "{}", ran.out);
    lab.on_server("rm /var/lib/mailctl/filler");

    // apt.
    cramp(&lab, "/var/cache/apt", 16);
    lab.run(&["apply", "--yes"]).expect(6).says(&[
        "packages",
        "disk of the server is full",
        "do: free some space",
        "left: packages",
    ]);
    lab.on_server("umount /var/cache/apt");

    // The mail server's configuration, the certificate among it.
    cramp(&lab, "/etc/chasquid", 6);
    let ran = lab.run(&["apply", "--yes"]).expect(6).says(&[
        "disk of the server is full",
        "do: free some space",
        "left: ",
    ]);
    assert!(ran.out.contains("service chasquid"), "{}", ran.out);
    no_challenges(&lab);
    lab.on_server("rm /etc/chasquid/filler");
    lab.converges();
    lab.world.stop().expect("nothing is left");
}

/// Runs the script that calls apt, with little patience, and returns what it complains of.
fn impatient_apt(lab: &Lab) -> String {
    let script = include_str!("../../templates/apt.sh").replace("wait=120\n", "wait=2\n");
    let given = "names=adduser source= deb= sha256= least= others=no\n";
    let text = format!("{PRELUDE}{given}{script}");
    let output = lab.world.exec(&text).expect("the server runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Has a process hold dpkg's lock for so many seconds.
fn hold_dpkg_lock(lab: &Lab, seconds: u32) {
    lab.on_server(&format!(
        "rm -f /run/held /run/released; systemd-run --quiet --collect --unit=holder python3 -c 'import fcntl,time; \
         f=open(\"/var/lib/dpkg/lock-frontend\",\"w\"); fcntl.lockf(f,fcntl.LOCK_EX); open(\"/run/held\",\"w\"); \
         time.sleep({seconds}); open(\"/run/released\",\"w\").write(time.strftime(\"%F %T\"))'"
    ));
    until("the lock is held", || {
        lab.on_server("ls /run").contains("held")
    });
}

pub fn authorities_that_refuse_a_locked_apt_and_an_old_chasquid() {
    let Some(lab) = Lab::start("authorities", Suite::Bookworm) else {
        return;
    };
    let (Some(blind), Some(refuses)) = (
        Pebble::start(&Options::default()),
        Pebble::start(&Options {
            dns: Some(lab.world.resolver().address()),
            blocked: vec!["wac.tax"],
            ..Options::default()
        }),
    ) else {
        return;
    };
    let (directory, root) = (
        lab.world.authority().directory(),
        lab.world.authority().root().display().to_string(),
    );
    let at = |pebble: &Pebble| {
        let root_there = pebble.root().display().to_string();
        lab.write_but(
            DOMAINS,
            &[(&directory, &pebble.directory), (&root, &root_there)],
        )
    };

    // bookworm's own chasquid is there, and too old.
    lab.on_server(
        "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && apt-get -qq -y install chasquid >/dev/null 2>&1",
    );
    let old = lab.on_server("dpkg-query -W -f='${Version}' chasquid");
    assert!(old.starts_with("1.11"), "{old}");
    lab.write(DOMAINS);
    let plan = lab.run(&["plan"]).expect(0);
    let line = plan.out.lines().find(|l| l.contains(" packages "));
    let line = line.expect("a line about packages");
    assert!(
        line.trim_start().starts_with("~ packages")
            && line.contains(&format!("chasquid {old} is older than 1.19")),
        "{line}"
    );

    // The first failure ends the run, what was begun is ended properly.
    lab.write_but(DOMAINS, &[(&directory, "https://127.0.0.1:9/dir")]);
    lab.run(&["apply", "--yes"]).expect(6).says(&[
        "failed order smtp.wac.tax",
        "https://127.0.0.1:9/dir",
        "the connection is refused",
        "do: check address and port in `certificates.authority`",
        "left: ",
        "it goes on from here",
    ]);
    let other_root = blind.root().display().to_string();
    lab.write_but(DOMAINS, &[(&root, &other_root)]);
    lab.run(&["apply", "--yes"])
        .says(&["unknown root", "`certificates.root`", &directory]);
    lab.write_but(DOMAINS, &[(&root, "/nowhere/ca.pem")]);
    lab.run(&["apply", "--yes"])
        .expect(3)
        .says(&["/nowhere/ca.pem cannot be read", "nothing was contacted"]);
    // apt waits for its lock, and goes on.
    lab.write(DOMAINS);
    hold_dpkg_lock(&lab, 12);
    lab.run(&["apply", "--yes"]).expect(0);
    let released = lab.on_server("cat /run/released");
    let unpacked = lab.on_server("grep ' upgrade chasquid:' /var/log/dpkg.log | tail -n 1");
    assert!(
        unpacked.as_str() > released.as_str(),
        "unpacked {unpacked} before the lock was released at {released}"
    );
    lab.run(&["plan", "--detailed-exitcode"])
        .expect(0)
        .says(&["No changes."]);
    let new = lab.on_server("dpkg-query -W -f='${Version}' chasquid");
    lab.on_server(&format!("dpkg --compare-versions {new} ge 1.19"));

    // Another authority is another certificate; while it refuses, the old one stays.
    let before = lab.on_server("readlink /etc/chasquid/certs/smtp.wac.tax");
    at(&refuses);
    lab.run(&["apply", "--yes"]).expect(1).says(&[
        "failed order smtp.wac.tax",
        "wac.tax",
        "rejectedIdentifier",
        "`certificates.names`",
    ]);
    // It asks another name server, which knows of no challenge.
    at(&blind);
    lab.run(&["apply", "--yes"]).expect(1).says(&[
        "failed order smtp.wac.tax",
        "the proof of a name failed",
        &blind.directory,
        "unauthorized",
        "name servers at the registrar",
    ]);
    no_challenges(&lab);
    assert_eq!(
        before,
        lab.on_server("readlink /etc/chasquid/certs/smtp.wac.tax")
    );
    lab.write(DOMAINS);
    lab.converges();

    // Where it waits in vain it says who holds it.
    hold_dpkg_lock(&lab, 60);
    let pid = lab.on_server("systemctl show -p MainPID --value holder");
    let said = impatient_apt(&lab);
    for part in [
        format!("process {} (python3) has held the lock", pid.trim()),
        format!("ps -fp {}", pid.trim()),
    ] {
        assert!(said.contains(&part), "{said}");
    }
    lab.on_server("systemctl stop holder");
    lab.world.stop().expect("nothing is left");
}
