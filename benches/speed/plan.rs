//! A plan without changes, beside the floors: the `ssh` program running one
//! hand-written script that reads the same things, and that script over a
//! connection of libssh2. Near, far away, and ten at once.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use mailctl::remote::access::Access;
use mailctl::remote::ssh::Ssh;
use mailctl::remote::target::Target;
use mailctl::remote::{Remote, Script};

use crate::DOMAINS;
use crate::far_away::relay;
use crate::lab::{Lab, Ran};
use crate::sample::{Contender, in_turn};
use crate::table::Table;

const FACTS: &str = include_str!("facts.sh");
const ROUNDS: usize = 21;
const ROUND_TRIP: Duration = Duration::from_millis(40);
const AT_ONCE: usize = 10;
/// Peak memory of a plan, in MB.
const MEMORY: f64 = 40.0;
/// What a program that only says its version may take, in milliseconds.
const START: f64 = 10.0;

/// Measures; returns the goals that were missed.
pub fn measure(lab: &Lab) -> Vec<String> {
    lab.write(DOMAINS);
    lab.run(&["apply", "--yes"]).expect(0);
    lab.on_server(
        "echo 'MaxStartups 100' >/etc/ssh/sshd_config.d/bench.conf; systemctl restart ssh",
    );
    [near, far, many, alone].map(|part| part(lab)).concat()
}

fn near(lab: &Lab) -> Vec<String> {
    let samples = in_turn(
        ROUNDS,
        &mut [
            Contender::new("`ssh`, the facts script", || facts(lab.world.ssh_command())),
            Contender::new("`ssh` with curve25519, the facts script", || {
                facts(curve25519(lab.world.ssh_command()));
            }),
            Contender::new("libssh2, the facts script", || leanest(lab)),
            Contender::new("`mailctl plan`", || unchanged(lab.command().arg("plan"))),
        ],
    );
    let mut table = Table::new("A plan without changes", ROUNDS);
    table.floor(&samples[0]);
    table.against(&samples[0], &samples[1], None);
    table.against(&samples[0], &samples[2], None);
    table.against(&samples[0], &samples[3], Some(1.0));
    table.end()
}

fn far(lab: &Lab) -> Vec<String> {
    let port = relay(lab.world.ssh(), ROUND_TRIP);
    let near = fs::read_to_string(lab.directory.path().join("mail.yaml")).expect("mail.yaml");
    let address = format!("ssh: root@{}\n", lab.world.ipv4());
    let far = near.replace(&address, &format!("ssh: root@127.0.0.1:{port}\n"));
    assert_ne!(near, far, "the address stands where it is looked for");
    fs::write(lab.directory.path().join("far.yaml"), far).expect("far.yaml");
    let through = |mut ssh: Command| {
        let key = format!("HostKeyAlias={}", lab.world.ipv4());
        ssh.args([
            "-o",
            &key,
            "-o",
            "HostName=127.0.0.1",
            "-p",
            &port.to_string(),
        ]);
        ssh
    };
    let samples = in_turn(
        ROUNDS / 2,
        &mut [
            Contender::new("`ssh`, the facts script", || {
                facts(through(lab.world.ssh_command()));
            }),
            Contender::new("`mailctl plan`", || {
                unchanged(lab.command().args(["-f", "far.yaml", "plan"]));
            }),
        ],
    );
    let mut table = Table::new("The same, 40 ms away", ROUNDS / 2);
    table.floor(&samples[0]);
    table.against(&samples[0], &samples[1], Some(1.0));
    table.end()
}

fn many(lab: &Lab) -> Vec<String> {
    let together = |start: &dyn Fn() -> Child| {
        let children: Vec<Child> = (0..AT_ONCE).map(|_| start()).collect();
        for child in children {
            let output = child.wait_with_output().expect("an end");
            assert!(output.status.success(), "{:?}", Ran::of(output).err);
        }
    };
    let samples = in_turn(
        ROUNDS / 3,
        &mut [
            Contender::new("ten `ssh`, the facts script", || {
                together(&|| start_facts(lab.world.ssh_command()));
            }),
            Contender::new("ten `mailctl plan`", || {
                together(&|| {
                    let mut plan = lab.command();
                    plan.arg("plan")
                        .stdout(Stdio::piped())
                        .stderr(Stdio::piped());
                    plan.spawn().expect("mailctl runs")
                });
            }),
        ],
    );
    let mut table = Table::new("Ten at once", ROUNDS / 3);
    table.floor(&samples[0]);
    table.against(&samples[0], &samples[1], Some(1.0));
    table.end()
}

/// What is not compared: memory, and how long the program takes to start.
fn alone(lab: &Lab) -> Vec<String> {
    let version = in_turn(
        ROUNDS,
        &mut [Contender::new("version", || {
            assert!(
                lab.command()
                    .arg("--version")
                    .output()
                    .expect("runs")
                    .status
                    .success()
            );
        })],
    );
    let start = version[0].median().as_secs_f64() * 1000.0;
    let memory = peak(lab.command().arg("plan"));
    let mut table = Table::new("Alone", ROUNDS);
    table.value(
        "`mailctl --version`",
        format!("{start:.1} ms"),
        "< 10 ms",
        start < START,
    );
    table.value(
        "peak memory of `mailctl plan`",
        format!("{memory:.1} MB"),
        "< 40 MB",
        memory < MEMORY,
    );
    table.end()
}

fn unchanged(plan: &mut Command) {
    let ran = Ran::of(plan.output().expect("mailctl runs")).expect(0);
    assert!(ran.out.contains("No changes."), "{}", ran.out);
}

fn curve25519(mut ssh: Command) -> Command {
    ssh.args(["-o", "KexAlgorithms=curve25519-sha256"]);
    ssh
}

fn facts(ssh: Command) {
    let output = start_facts(ssh).wait_with_output().expect("an end");
    let ran = Ran::of(output).expect(0);
    assert!(ran.out.contains("BEGIN PUBLIC KEY"), "{}", ran.out);
}

fn start_facts(mut ssh: Command) -> Child {
    ssh.arg("sh -s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = ssh.spawn().expect("ssh runs");
    let mut stdin = child.stdin.take().expect("stdin");
    // It takes the script when it is connected: nobody else should wait for that.
    thread::spawn(move || stdin.write_all(FACTS.as_bytes()));
    child
}

/// The script over mailctl's own connection: nothing started, nothing compared.
fn leanest(lab: &Lab) {
    let ssh = format!("root@{}", lab.world.ipv4())
        .parse()
        .expect("a target");
    let target = Target {
        identity: Some(lab.world.private_key()),
        ..Target::literal(&ssh)
    };
    let access = Access {
        host_key: Some(lab.world.server().host_key_fingerprint()),
        ..Access::default()
    };
    let server = Ssh::connect(&target, &access).expect("connected");
    let output = server.run(&Script::new(FACTS)).expect("an answer");
    assert!(
        output.text().contains("BEGIN PUBLIC KEY"),
        "{}",
        output.complaint()
    );
}

/// Peak resident memory of a program in MB (10^6 octets), read every millisecond while it runs.
fn peak(program: &mut Command) -> f64 {
    let mut child = program.stdout(Stdio::null()).spawn().expect("it runs");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("waited for").is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
        thread::sleep(Duration::from_millis(1));
    }
    f64::from(peak) * 1024.0 / 1e6
}
