//! Programs of the user's own: run without a shell, with data on standard input
//! only, and ended with all that they started where they take too long.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::failure::{Context, Failure, Result};

/// How much of what a program complains of is told.
const COMPLAINT: usize = 300;

/// What a program said.
pub(super) struct Output {
    /// Its standard output.
    pub(super) out: String,
    /// How it ended and the last line of its standard error, where it did not end well.
    pub(super) trouble: Option<String>,
}

/// Ends a process and its children when it is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // They may have ended already.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// The words of a command; blanks part them, nothing else has a meaning.
///
/// # Errors
/// When there is none.
pub(super) fn words(command: &str) -> Result<Vec<String>> {
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        return Err(Failure::new("the command is empty"));
    }
    Ok(words)
}

/// Runs a command, gives it `input` and waits for its end.
///
/// # Errors
/// When it cannot be started, or takes longer than `limit`.
pub(super) async fn run(words: &[String], input: &str, limit: Duration) -> Result<Output> {
    let [program, arguments @ ..] = words else {
        return Err(Failure::new("the command is empty"));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that its children end with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            Failure::new(format!("`{program}` cannot be started"))
                .because(error)
                .hint("give the program's whole path; it must be executable")
        })?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = Group(group.map(Pid::from_raw));
    let stdin = child.stdin.take();
    let speak = async {
        if let Some(mut stdin) = stdin {
            // One that needs no input may close it.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let both = async { tokio::join!(speak, child.wait_with_output()).1 };
    let ended = tokio::time::timeout(limit, both).await.map_err(|_| {
        Failure::new(format!(
            "`{program}` did not end within {} s, and was killed",
            limit.as_secs()
        ))
    })?;
    group.0 = None;
    let ended = ended.with_context(|| format!("`{program}` was lost"))?;
    let trouble = (!ended.status.success()).then(|| {
        let complaint = String::from_utf8_lossy(&ended.stderr).into_owned();
        let last = complaint.trim_end().lines().last().unwrap_or_default();
        let last: String = last.chars().take(COMPLAINT).collect();
        format!("`{program}` ended with {}: {last}", ended.status)
    });
    let out = String::from_utf8(ended.stdout)
        .map_err(|_| Failure::new(format!("what `{program}` says is not UTF-8")))?;
    Ok(Output { out, trouble })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_tells_its_trouble() {
        let limit = Duration::from_secs(20);
        let said = run(
            &sh("cat; echo first >&2; echo last >&2; exit 3"),
            "in",
            limit,
        )
        .await;
        let said = said.expect("it ran");
        assert_eq!(said.out, "in");
        let trouble = said.trouble.expect("it failed");
        assert!(
            trouble.contains("3") && trouble.contains("last"),
            "{trouble}"
        );
        // More than a pipe holds, to one that reads nothing.
        let much = "x".repeat(200_000);
        let said = run(&sh("exec 0<&-; echo y"), &much, limit).await;
        assert_eq!(said.expect("it ran").out, "y\n");
    }

    #[tokio::test]
    async fn who_takes_too_long_is_ended_with_its_children() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("child");
        let script = format!("sleep 60 & echo $! > {}; wait", file.display());
        let why = run(&sh(&script), "", Duration::from_secs(1)).await;
        let why = why.err().expect("too long").told();
        assert!(why.contains("within 1 s"), "{why}");
        let child = std::fs::read_to_string(file).expect("its child");
        let stat = format!("/proc/{}/stat", child.trim());
        let gone = || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while !gone() {
            assert!(std::time::Instant::now() < end, "it still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
