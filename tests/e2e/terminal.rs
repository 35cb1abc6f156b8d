//! At a terminal and elsewhere: what is asked, how progress looks, and what a
//! Ctrl-C leaves behind.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mailctl::rehearse::base::Suite;
use mailctl::rehearse::{cleanup, needs};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::lab::{Lab, Ran, until};
use crate::pebble::{Options, Pebble};

const DOMAINS: &str = "  wac.tax:\n    users: {i: {password: env:E2E_MAIL_PASSWORD}}\n    forward: {i: i.wac.tax@gmail.com}\n";
const ESCAPE: char = '\u{1b}';

/// Runs mailctl at a terminal of its own, and types `keys`.
fn at_terminal(lab: &Lab, args: &str, keys: &str, environment: &[(&str, &str)]) -> Ran {
    let mailctl = lab.command();
    let mut command = Command::new("script");
    command
        .current_dir(lab.directory.path())
        .env_clear()
        .envs(
            mailctl
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .args(["--quiet", "--return", "--command"])
        .arg(format!("{} {args}", env!("CARGO_BIN_EXE_mailctl")))
        .arg("/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("script");
    let mut keyboard = child.stdin.take().expect("a keyboard");
    keyboard.write_all(keys.as_bytes()).expect("typed");
    // The keyboard stays until the end: its end would be a Ctrl-D.
    let output = child.wait_with_output().expect("ends");
    drop(keyboard);
    Ran::of(output)
}

/// Starts an apply in a process group of its own, as a shell does.
fn start(lab: &Lab) -> Child {
    let mut command = lab.command();
    command
        .args(["apply", "--yes", "-v"])
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("runs")
}

/// What Ctrl-C does at a terminal: a SIGINT to the whole group.
fn interrupt(child: Child) -> (Ran, Duration) {
    let begun = Instant::now();
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    killpg(group, Signal::SIGINT).expect("sent");
    let ran = Ran::of(child.wait_with_output().expect("ends"));
    (ran, begun.elapsed())
}

pub fn at_a_terminal_it_asks_and_shows_bars() {
    let Some(lab) = Lab::start("terminal", Suite::Trixie) else {
        return;
    };
    lab.write(DOMAINS);

    // Asked, and answered with no.
    let before = lab.on_server("find /etc /var/lib /usr -newer /proc/1 -type f | sort");
    for answer in ["n\n", "\n"] {
        let ran = at_terminal(&lab, "apply", answer, &[])
            .expect(1)
            .says(&["Apply this? [y/N]", "not applied; nothing was changed"]);
        assert!(ran.out.contains("\u{1b}[32m+"), "no colours:\n{}", ran.out);
    }
    let plain = at_terminal(&lab, "apply", "n\n", &[("NO_COLOR", "1")]).expect(1);
    assert!(!plain.out.contains("\u{1b}[3"), "{}", plain.out);
    let plain = at_terminal(&lab, "--color never plan", "", &[]).expect(0);
    assert!(!plain.out.contains(ESCAPE), "{}", plain.out);
    // Nobody to be asked.
    at_terminal(&lab, "--no-input apply", "", &[])
        .expect(1)
        .says(&["nobody to ask", "apply --yes"]);
    lab.run(&["apply"])
        .expect(1)
        .says(&["nobody to ask", "apply --yes"]);
    assert_eq!(
        before,
        lab.on_server("find /etc /var/lib /usr -newer /proc/1 -type f | sort")
    );
    assert_eq!(lab.dig("smtp.wac.tax", "A"), Vec::<String>::new());

    // Answered with yes: bars that are drawn over, and a line for each that is done.
    let ran = at_terminal(&lab, "apply", "y\n", &[]).expect(0).says(&[
        "Apply this? [y/N]",
        " packages",
        "a second plan is empty",
    ]);
    for part in ["\r", "\u{1b}[2K", "\u{1b}[32mdone\u{1b}[0m packages"] {
        assert!(ran.out.contains(part), "{part:?} is not in\n{}", ran.out);
    }
    // Elsewhere plain lines, without a question.
    lab.write(&DOMAINS.replace("users: {", "users: {j: {receive_only: true}, "));
    let ran = lab.run(&["apply", "--yes"]).expect(0);
    assert!(ran.out.contains("  done users wac.tax ("), "{}", ran.out);
    assert!(!ran.said().contains([ESCAPE, '\r']), "{}", ran.said());
    let colours = lab.run(&["--color", "always", "plan"]).expect(0);
    assert!(colours.out.contains(ESCAPE), "{}", colours.out);
    let quiet = lab.run(&["-q", "apply", "--yes"]).expect(0);
    assert_eq!(quiet.out.lines().count(), 1, "{}", quiet.out);
    assert_eq!(quiet.err, "");
    lab.world.stop().expect("nothing is left");
}

pub fn after_ctrl_c_the_zone_is_tidy_and_the_next_apply_goes_on() {
    let Some(lab) = Lab::start("Ctrl-C", Suite::Bookworm) else {
        return;
    };
    // An authority that takes its time, so that its challenges are met.
    let Some(slow) = Pebble::start(&Options {
        dns: Some(lab.world.resolver().address()),
        env: vec![("PEBBLE_VA_NOSLEEP", "0"), ("PEBBLE_VA_SLEEPTIME", "30")],
        ..Options::default()
    }) else {
        return;
    };
    let limit = Duration::from_secs(30);
    let root = lab.world.authority().root().display().to_string();
    let slow_root = slow.root().display().to_string();
    let challenges = || {
        ["wac.tax", "smtp.wac.tax"]
            .iter()
            .flat_map(|name| lab.dig(&format!("_acme-challenge.{name}"), "TXT"))
            .count()
    };
    lab.write_but(
        DOMAINS,
        &[
            (&lab.world.authority().directory(), &slow.directory),
            (&root, &slow_root),
        ],
    );

    // While the challenges stand in the zone.
    let child = start(&lab);
    until("the challenges are there", || challenges() > 0);
    let (ran, took) = interrupt(child);
    let ran = ran.expect(6).says(&[
        "failed order smtp.wac.tax: interrupted; its challenges are taken back",
        "left: ",
        "order smtp.wac.tax",
        "it goes on from here",
    ]);
    assert!(took < limit, "{took:?}\n{}", ran.out);
    assert_eq!(challenges(), 0, "{}", ran.said());

    // It goes on looking for what is gone; the resolver remembers that for a second or two.
    drop(slow);
    thread::sleep(Duration::from_secs(3));

    // While apt is at work, which is not ended halfway.
    lab.write(DOMAINS);
    let mut child = start(&lab);
    until("apt is at work", || {
        let ended = child.try_wait().expect("a state");
        assert!(ended.is_none(), "it ended before: {ended:?}");
        !lab.on_server("pgrep -x apt-get || :").is_empty()
    });
    let (ran, took) = interrupt(child);
    let ran = ran
        .expect(6)
        .says(&["interrupted", "left: ", "it goes on from here"]);
    assert!(took < limit, "{took:?}\n{}", ran.out);
    assert_eq!(challenges(), 0);
    until("the lock is free", || {
        lab.on_server("cat /run/mailctl.lock").is_empty()
    });
    lab.converges();
    lab.world.stop().expect("nothing is left");
}

pub fn after_ctrl_c_a_rehearsal_leaves_nothing() {
    let missing = needs::missing();
    if !missing.is_empty() {
        eprintln!("skipped: Ctrl-C in a rehearsal: {}", missing.join("; "));
        return;
    }
    for moment in ["starting world", "applying"] {
        let notes = tempfile::NamedTempFile::new().expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_mailctl"))
            .args(["rehearse", "-f", "examples/mail.yaml"])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(notes.reopen().expect("a file"))
            .spawn()
            .expect("runs");
        let read = || fs::read_to_string(notes.path()).expect("notes");
        let mut told = String::new();
        until(moment, || {
            told = read();
            told.contains(moment)
        });
        let world = told
            .split_once("starting world ")
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        let world: u8 = world.expect("its number");
        let directory = format!("/var/lib/mailctl/lab/{world}");
        let identity = inode(&directory).expect("its directory");
        let (ran, _) = interrupt(child);
        assert_ne!(ran.code, 0);
        // Another test may take the number over at once.
        until("it is removed", || inode(&directory) != Some(identity));
        let left = cleanup::traces(world);
        assert!(
            left.is_empty() || Path::new(&directory).exists(),
            "{moment}: {left:?}"
        );
    }
}

fn inode(path: &str) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|found| found.ino())
}
