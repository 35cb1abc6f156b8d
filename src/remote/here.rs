//! This machine as a place where scripts run.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::envelope::{Envelope, Streams};
use super::lines::Lines;
use super::{Held, Output, Remote, Script};
use crate::failure::{Context, Failure, Result};

/// How often held scripts get a sign of life.
const BEAT: Duration = Duration::from_secs(15);

/// How long a held script may take to end after its input has.
const COURTESY: Duration = Duration::from_secs(3);

/// This machine, as whoever runs the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

impl Remote for Here {
    fn run(&self, script: &Script) -> Result<Output> {
        let envelope = Envelope::new()?;
        let mut shell = Shell::start(envelope.wrap(&script.text))?;
        let mut streams = envelope.open();
        shell.read(&mut streams, script.timeout, Streams::complete)?;
        let _ = shell.child.wait();
        streams
            .into_output()
            .ok_or_else(|| Failure::new("a frame is missing"))
    }

    fn hold(&self, script: &Script) -> Result<Box<dyn Held>> {
        let envelope = Envelope::new()?;
        let mut shell = Shell::start(envelope.wrap_held(&script.text))?;
        let mut streams = envelope.open();
        shell.read(&mut streams, script.timeout, |s| s.out.line().is_some())?;
        let said = streams.out.line().unwrap_or_default();
        let mut lines = Lines::default();
        lines.feed(streams.out.after_line());
        let stdin = shell.stdin.recv().context("the shell's input is gone")?;
        let (stop, stopped) = mpsc::channel();
        std::thread::spawn(move || beat(stdin, &stopped));
        Ok(Box::new(HeldShell {
            said,
            child: Mutex::new(shell.child),
            more: Mutex::new((shell.chunks, lines)),
            stop: Some(stop),
        }))
    }

    fn again(&self) -> Result<Box<dyn Remote>> {
        Ok(Box::new(Self))
    }

    fn place(&self) -> String {
        "this machine".into()
    }
}

/// Which stream, and what it gave; nothing at its end.
type Chunk = (bool, Vec<u8>);

/// A running `sh -s`, each stream with its own thread.
struct Shell {
    child: Child,
    /// The input, once the script is written to it.
    stdin: Receiver<ChildStdin>,
    chunks: Receiver<Chunk>,
}

impl Shell {
    fn start(text: String) -> Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-s").process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot run `sh`")?;
        let (chunk, chunks) = mpsc::channel();
        if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
            let sender = chunk.clone();
            std::thread::spawn(move || drain(out, true, &sender));
            std::thread::spawn(move || drain(err, false, &chunk));
        }
        let (written, stdin) = mpsc::channel();
        if let Some(mut input) = child.stdin.take() {
            std::thread::spawn(move || {
                // A shell that ends early is told by its missing frame.
                let _ = input.write_all(text.as_bytes());
                let _ = written.send(input);
            });
        }
        Ok(Self {
            child,
            stdin,
            chunks,
        })
    }

    /// Reads until `done` is content.
    fn read(
        &mut self,
        streams: &mut Streams,
        limit: Duration,
        done: impl Fn(&Streams) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut open = 2;
        while !done(streams) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok((_, bytes)) if bytes.is_empty() => open -= 1,
                Ok((true, bytes)) => streams.out.feed(&bytes),
                Ok((false, bytes)) => streams.err.feed(&bytes),
                Err(RecvTimeoutError::Disconnected) => open = 0,
                Err(RecvTimeoutError::Timeout) => {
                    self.kill();
                    return Err(Failure::new(format!(
                        "a script on this machine did not end within {limit:?}"
                    ))
                    .hint("look at the machine's load, then run it again"));
                }
            }
            if open == 0 && !done(streams) {
                self.kill();
                return Err(Failure::new(
                    "a script on this machine was ended before it was done",
                ));
            }
        }
        Ok(())
    }

    fn kill(&mut self) {
        end_group(&mut self.child);
    }
}

fn end_group(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = child.wait();
}

fn drain(mut stream: impl Read, out: bool, chunks: &Sender<Chunk>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if chunks.send((out, buffer[..n].to_vec())).is_err() {
            // Nobody listens any more, but a script that stays must not be stopped by a full pipe.
            continue;
        }
    }
    let _ = chunks.send((out, Vec::new()));
}

/// Writes signs of life until told to stop; the input ends with it.
fn beat(mut stdin: ChildStdin, stopped: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(BEAT) {
        if stdin.write_all(b"\n").is_err() {
            return;
        }
    }
}

/// A script that stays.
struct HeldShell {
    said: String,
    child: Mutex<Child>,
    /// What it prints after its first line.
    more: Mutex<(Receiver<Chunk>, Lines)>,
    stop: Option<Sender<()>>,
}

impl Held for HeldShell {
    fn said(&self) -> &str {
        &self.said
    }

    fn alive(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(child.try_wait(), Ok(None))
    }

    fn lines(&self, limit: Duration) -> Result<Option<Vec<String>>> {
        let mut more = self.more.lock().unwrap_or_else(PoisonError::into_inner);
        let (chunks, lines) = &mut *more;
        let deadline = Instant::now() + limit;
        loop {
            let whole = lines.take();
            if !whole.is_empty() {
                return Ok(Some(whole));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match chunks.recv_timeout(left) {
                Ok((true, bytes)) if bytes.is_empty() => return Ok(None),
                Ok((true, bytes)) => lines.feed(&bytes),
                Ok((false, _)) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(Some(Vec::new())),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

impl Drop for HeldShell {
    fn drop(&mut self) {
        self.stop = None;
        let deadline = Instant::now() + COURTESY;
        while self.alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        if self.alive() {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            end_group(&mut child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Output {
        Here.run(&Script::new(text)).expect("run")
    }

    #[test]
    fn exit_codes_and_streams_arrive() {
        let output = run("echo out; echo err >&2; exit 7");
        assert_eq!(
            (output.code, &output.out[..], &output.err[..]),
            (7, &b"out\n"[..], &b"err\n"[..])
        );
        assert_eq!(run("").code, 0);
        assert_eq!(run("printf 'no newline'").out, b"no newline");
        assert_eq!(run("false # a comment").code, 1);
    }

    #[test]
    fn the_surroundings_are_fixed() {
        let output = run("umask; echo $LC_ALL; cat; case $PATH in */usr/sbin*) echo sbin;; esac");
        assert_eq!(output.text(), "0077\nC\nsbin\n");
    }

    #[test]
    fn traps_of_the_body_run() {
        assert_eq!(run("trap 'echo trapped' EXIT; exit 3").text(), "trapped\n");
    }

    #[test]
    fn a_daemon_that_keeps_the_streams_open_is_not_waited_for() {
        let begin = Instant::now();
        assert_eq!(run("sleep 20 & echo started").text(), "started\n");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_script_that_stays_is_read_line_by_line() {
        let text = "echo first; echo second; echo oops >&2; read -r beat; echo never";
        let held = Here.hold(&Script::new(text)).expect("held");
        assert_eq!(held.said(), "first");
        let lines = held.lines(Duration::from_secs(10)).expect("read");
        assert_eq!(lines, Some(vec!["second".to_owned()]));
        let begin = Instant::now();
        let none = held.lines(Duration::from_millis(50)).expect("read");
        assert_eq!(none, Some(Vec::new()));
        assert!(begin.elapsed() >= Duration::from_millis(50) && held.alive());
        let ends = Here
            .hold(&Script::new("echo a; echo b; exit"))
            .expect("held");
        let mut seen = Vec::new();
        while let Some(lines) = ends.lines(Duration::from_secs(10)).expect("read") {
            seen.extend(lines);
        }
        assert_eq!(seen, ["b"]);
    }

    #[test]
    fn much_in_every_direction() {
        let size = 8 << 20;
        let text = format!(
            "cat <<'END'\n{}\nEND\nhead -c {size} /dev/zero >&2",
            "x".repeat(size)
        );
        let output = run(&text);
        assert_eq!((output.out.len(), output.err.len()), (size + 1, size));
    }

    #[test]
    fn time_is_limited_and_a_killed_shell_is_an_error() {
        let failure = Here.run(&Script::new("sleep 30").within(Duration::from_millis(200)));
        assert!(
            failure
                .expect_err("late")
                .told()
                .contains("did not end within 200ms")
        );
        let failure = Here.run(&Script::new("kill -9 $$"));
        assert!(
            failure
                .expect_err("killed")
                .told()
                .contains("ended before it was done")
        );
    }
}
