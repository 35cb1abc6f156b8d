//! Scripts: codes, streams, limits, and connections that die.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mailctl::remote::frames::Probe;
use mailctl::remote::{Remote, Script, frames};

use crate::sshd::{Sshd, kill};
use crate::{connect, contains, run, run_within, sshd, until};

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
        // On a busy machine the answer's first octets may still be under way.
        contains(
            &told,
            &["connection to root@127.0.0.1", "was lost ", "do: "],
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
    let file = dir.path().join("pid");
    let ssh = connect(&sshd.known_target());
    let begin = Instant::now();
    let text = format!("echo $$ >{}; sleep 60; echo on", file.display());
    let told = run_within(&ssh, &text, 1).expect_err("late").told();
    contains(&told, &["did not end within 1s"]);
    assert!(
        begin.elapsed() < Duration::from_secs(30),
        "{:?}",
        begin.elapsed()
    );
    let pid = std::fs::read_to_string(&file).expect("it began");
    until("the script is ended", || {
        !Path::new(&format!("/proc/{}", pid.trim())).exists()
    });
    let told = run_within(&ssh, "yes", 1).expect_err("endless").told();
    contains(&told, &["did not end within 1s"]);
    assert_eq!(run(&ssh, "echo the connection is still good").code, 0);
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
fn a_script_that_stays_is_read_line_by_line() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let ssh = connect(&sshd.known_target());
    let text = "echo first; echo second; sleep 0.3; echo third; head -c 300000 /dev/zero >&2\n\
                printf 'four'; sleep 0.3; echo th; cat >/dev/null; echo bye >&2";
    let held = ssh.hold(&Script::new(text)).expect("held");
    let next = |limit| held.lines(Duration::from_millis(limit)).expect("connected");
    assert_eq!(held.said(), "first");
    assert!(held.alive(), "asking takes no line away");
    assert_eq!(run(&ssh, "sleep 1; echo meanwhile").text(), "meanwhile\n");
    assert!(held.alive());
    let mut seen = Vec::new();
    until("all lines are there", || {
        seen.extend(next(200).expect("it stays"));
        seen.len() >= 3
    });
    assert_eq!(seen, ["second", "third", "fourth"]);
    let begin = Instant::now();
    assert_eq!(next(100), Some(Vec::new()));
    assert!(begin.elapsed() >= Duration::from_millis(100));
    drop(held);

    let ends = ssh.hold(&Script::new("echo a; echo b")).expect("held");
    let mut seen = Vec::new();
    while let Some(lines) = ends.lines(Duration::from_secs(1)).expect("connected") {
        seen.extend(lines);
    }
    assert_eq!(seen, ["b"]);
    drop(ends);

    let held = ssh.hold(&Script::new("echo a; cat")).expect("held");
    kill(sshd.sessions()[0]).expect("killed");
    let told = loop {
        match held.lines(Duration::from_secs(1)) {
            Ok(lines) => assert!(lines.is_some_and(|lines| lines.iter().all(String::is_empty))),
            Err(failure) => break failure.told(),
        }
    };
    contains(&told, &["was lost", "do: "]);
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
