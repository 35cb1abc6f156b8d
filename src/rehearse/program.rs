//! Child processes of a world: started in the background, waited for until
//! they answer, ended by their own process id.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::failure::{Context, Failure, Result};

/// Writes "PID START" of stat(5) into the file `$0` and becomes the program:
/// the process is on record before it does anything.
const RECORDED: &str = r#"echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" >"$0" && exec "$@""#;

/// A running program; it ends when this is dropped.
pub struct Program {
    name: &'static str,
    child: Option<Child>,
    log: PathBuf,
}

impl Program {
    /// Starts `command` as leader of its own process group, so that a Ctrl-C
    /// at the terminal does not reach it. Its output goes to `log/NAME.log`
    /// and its process id to `pid/NAME` in the world's directory.
    ///
    /// # Errors
    /// When the files cannot be made or no process can be started.
    pub fn start<A: AsRef<OsStr>>(
        world: &Path,
        name: &'static str,
        command: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let log = world.join("log").join(format!("{name}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output
            .try_clone()
            .context("cannot duplicate a file descriptor")?;
        let child = Command::new("sh")
            .args(["-c", RECORDED])
            .arg(world.join("pid").join(name))
            .args(command)
            .envs(environment.iter().copied())
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name,
            child: Some(child),
            log,
        })
    }

    /// Polls until `ready` says so.
    ///
    /// # Errors
    /// When the program ends before, or `limit` is over; the last lines of
    /// its log are part of the failure.
    pub fn until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            if ready() {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(self.failure(&format!("ended with {status}")));
            }
            if start.elapsed() > limit {
                return Err(self.failure(&format!("did not answer in {} s", limit.as_secs())));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process id, which is that of its group too.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// A failure of this program with the last lines of its log.
    pub fn failure(&self, what: &str) -> Failure {
        let failure = Failure::new(format!("{} {what}", self.name));
        match last_lines(&self.log, 8) {
            lines if lines.is_empty() => {
                failure.hint(format!("it wrote nothing to {}", self.log.display()))
            }
            lines => failure.because(lines),
        }
    }

    /// Lets it run on after this process.
    pub fn release(mut self) {
        self.child = None;
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        if matches!(child.try_wait(), Ok(None))
            && let Ok(group) = i32::try_from(child.id())
        {
            // Fails only where the group is gone already.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = child.wait();
    }
}

/// The last `count` lines of a log that are not empty.
pub fn last_lines(log: &Path, count: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|l| !l.is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join("\n  ")
}

/// Runs a command to its end with `input` on its standard input and returns
/// its standard output.
///
/// # Errors
/// When it cannot be started or fails; its standard error is part of the failure.
pub fn run<A: AsRef<OsStr>>(command: impl IntoIterator<Item = A>, input: &str) -> Result<String> {
    let words: Vec<OsString> = command.into_iter().map(|a| a.as_ref().to_owned()).collect();
    let told = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Failure::new("no command to run"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{told}`"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that fails early does not read it all; its status tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .with_context(|| format!("lost `{told}`"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(
            Failure::new(format!("`{told}` failed with {}", output.status)).because(errors),
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["pid", "log"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        dir
    }

    #[test]
    fn a_failure_quotes_the_log() {
        let dir = world();
        let mut program = Program::start(
            dir.path(),
            "short",
            ["sh", "-c", "echo no such zone; exit 3"],
            &[],
        )
        .expect("a start");
        let failure = program
            .until(Duration::from_secs(20), || false)
            .expect_err("it ends");
        assert_eq!(
            failure.chain(),
            "short ended with exit status: 3: no such zone"
        );
    }

    #[test]
    fn a_program_and_its_children_end_with_its_owner() {
        let dir = world();
        let child_id = dir.path().join("child");
        let script = format!(
            "sleep 1000 & echo $! >{}.new; mv {0}.new {0}; wait",
            child_id.display()
        );
        let mut program =
            Program::start(dir.path(), "long", ["sh", "-c", &script], &[]).expect("a start");
        program
            .until(Duration::from_secs(20), || child_id.exists())
            .expect("ready");
        let recorded = fs::read_to_string(dir.path().join("pid/long")).expect("a pid file");
        let id = program.id().expect("it runs");
        assert_eq!(
            recorded.split_whitespace().next(),
            Some(id.to_string().as_str())
        );
        drop(program);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
        let child = fs::read_to_string(&child_id).expect("the child's id");
        let stat = format!("/proc/{}/stat", child.trim());
        let start = Instant::now();
        // Killed it is at once, but gone only when the kernel comes to it.
        while fs::read_to_string(&stat).is_ok_and(|state| !state.contains(") Z ")) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the child runs on"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}
