//! That nothing of a world stays: claiming a number, and giving it back.
//!
//! A world's directory is `/var/lib/mailctl/lab/N`; whoever holds its lock
//! (flock(2)) owns the world. A script in it removes everything. It runs from
//! the start as a second process that waits for the owner's end, so that a
//! Ctrl-C, a panic or a SIGKILL leave nothing behind, and no signal handler
//! is put into the process that uses this library. Where that process is
//! killed as well, as on a loss of power, the next claim runs the script.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::network::Network;
use crate::failure::{Context, Failure, Result};

/// Owned by root, unlike /var/tmp: what lies here is trusted and removed.
const WORLDS: &str = "/var/lib/mailctl/lab";
const SCRIPT: &str = include_str!("remove.sh");
/// In a world's directory: it outlives its owner on purpose.
const KEPT: &str = "kept";

/// A number of one's own, with its directory and the process that will remove both.
pub struct Claim {
    number: u8,
    directory: PathBuf,
    remover: Option<Child>,
    kept: bool,
}

/// How many worlds this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

impl Claim {
    /// Removes leftovers, then takes a free number: one that was not free a
    /// moment ago, as far as can be, so that nobody who still looks whether an
    /// old world is gone finds a new one in its place.
    ///
    /// # Errors
    /// When the directory cannot be made or all numbers are taken.
    pub fn new() -> Result<Self> {
        remove_leftovers()?;
        // Others see a world's directory and its lock at once, or neither.
        let _guard = lock_worlds()?;
        let first = std::process::id() + STARTED.fetch_add(1, Ordering::Relaxed);
        for number in (0..254).map(|n| first.wrapping_mul(7).wrapping_add(n) % 254 + 1) {
            let number = u8::try_from(number).unwrap_or(1);
            let directory = Path::new(WORLDS).join(number.to_string());
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Self::take(number, directory),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(
                        Failure::new(format!("cannot make {}", directory.display())).because(error)
                    );
                }
            }
        }
        Err(
            Failure::new(format!("all 254 worlds in {WORLDS} are taken")).hint(format!(
                "remove those that were kept: sh {WORLDS}/N/remove.sh"
            )),
        )
    }

    fn take(number: u8, directory: PathBuf) -> Result<Self> {
        let lock = lock_of(&directory)?
            .ok_or_else(|| Failure::new("a new directory is locked by another process"))?;
        for name in ["pid", "log", "root", "disk"] {
            DirBuilder::new()
                .mode(0o755)
                .create(directory.join(name))
                .with_context(|| format!("cannot make {}/{name}", directory.display()))?;
        }
        let script = directory.join("remove.sh");
        fs::write(&script, SCRIPT).with_context(|| format!("cannot write {}", script.display()))?;
        // The remover holds the lock as its standard output until it is done.
        let remover = Command::new("sh")
            .arg(&script)
            .arg("--watch")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the process that removes a world")?;
        Ok(Self {
            number,
            directory,
            remover: Some(remover),
            kept: false,
        })
    }

    /// The number, 1 to 254.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The world's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Removes everything of the world.
    ///
    /// # Errors
    /// When something is still there afterwards; the failure lists it.
    pub fn release(mut self) -> Result<()> {
        self.remove();
        match traces(self.number) {
            left if left.is_empty() => Ok(()),
            left => Err(Failure::new(format!(
                "parts of world {} are left: {}",
                self.number,
                left.join(", ")
            ))
            .hint(format!(
                "sh {}/remove.sh, or restart this machine",
                self.directory.display()
            ))),
        }
    }

    /// Leaves the world running after this process; returns the command that removes it.
    ///
    /// # Errors
    /// When that cannot be written down; the world is removed then.
    pub fn keep(mut self) -> Result<String> {
        let mark = self.directory.join(KEPT);
        fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))?;
        if let Some(mut remover) = self.remover.take() {
            let told = remover
                .stdin
                .take()
                .map_or(Ok(()), |mut stdin| stdin.write_all(b"keep\n"));
            let _ = remover.wait();
            told.context("the process that removes the world is gone")?;
        }
        self.kept = true;
        Ok(format!("sh {}", self.directory.join("remove.sh").display()))
    }

    fn remove(&mut self) {
        if self.kept {
            return;
        }
        if let Some(mut remover) = self.remover.take() {
            // The end of its standard input is the word.
            drop(remover.stdin.take());
            let _ = remover.wait();
        }
        if self.directory.exists() {
            // Someone ended the remover. What is left then, `release` tells.
            let _ = run_script(&self.directory, Stdio::null());
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes worlds whose owner and remover are both dead and which were not kept.
///
/// # Errors
/// When the directory of worlds cannot be read, or a script cannot be run.
pub fn remove_leftovers() -> Result<()> {
    remove_where(|directory| !directory.join(KEPT).exists()).map(|_| ())
}

/// Removes worlds that were kept; returns their numbers.
///
/// # Errors
/// As [`remove_leftovers`].
pub fn remove_kept() -> Result<Vec<u8>> {
    remove_where(|directory| directory.join(KEPT).exists())
}

fn remove_where(chosen: impl Fn(&Path) -> bool) -> Result<Vec<u8>> {
    let mut owned = Vec::new();
    if !Path::new(WORLDS).exists() {
        return Ok(Vec::new());
    }
    {
        let _guard = lock_worlds()?;
        for entry in fs::read_dir(WORLDS).with_context(|| format!("cannot read {WORLDS}"))? {
            let directory = entry
                .with_context(|| format!("cannot read {WORLDS}"))?
                .path();
            let number = directory
                .file_name()
                .and_then(|n| n.to_str()?.parse::<u8>().ok());
            if let Some(number) = number
                && chosen(&directory)
                && let Some(lock) = lock_of(&directory)?
            {
                owned.push((number, directory, lock));
            }
        }
    }
    // The script takes the same guard, hence not inside.
    let mut removed = Vec::new();
    for (number, directory, lock) in owned {
        run_script(&directory, lock.into())?;
        removed.push(number);
    }
    Ok(removed)
}

/// Runs the script of a world that is nobody's; `lock` is held until it ends.
fn run_script(directory: &Path, lock: Stdio) -> Result<()> {
    let script = directory.join("remove.sh");
    // Written again: the owner may have died before or while it wrote it.
    fs::write(&script, SCRIPT).with_context(|| format!("cannot write {}", script.display()))?;
    let status = Command::new("sh")
        .arg(&script)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(lock)
        .stderr(Stdio::null())
        .status();
    status
        .map(|_| ())
        .with_context(|| format!("cannot run {}", script.display()))
}

/// What is there of world `number`, in words; empty after a removal.
pub fn traces(number: u8) -> Vec<String> {
    let network = Network::new(number);
    let mut found = Vec::new();
    let directory = Path::new(WORLDS).join(number.to_string());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let inside = format!("{}/", directory.display());
    found.extend(
        mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .filter(|point| point.starts_with(&inside))
            .map(|point| format!("mount {point}")),
    );
    let interface = format!("/sys/class/net/{}", network.bridge());
    for path in [directory.as_path(), Path::new(&interface)] {
        if path.exists() {
            found.push(path.display().to_string());
        }
    }
    let table = Command::new("nft")
        .args(["list", "table", "ip", &network.table()])
        .output();
    if table.is_ok_and(|output| output.status.success()) {
        found.push(format!("table ip {}", network.table()));
    }
    found
}

/// The lock under which worlds agree on numbers and forwarding.
pub(super) fn lock_worlds() -> Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(WORLDS)
        .and_then(|()| File::open(WORLDS))
        .and_then(|directory| directory.lock().map(|()| directory))
        .with_context(|| format!("cannot lock {WORLDS}"))
}

/// The lock of a world; `None` where its owner lives or the world is gone.
fn lock_of(directory: &Path) -> Result<Option<File>> {
    let locked = File::open(directory).and_then(|file| match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    });
    match locked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.with_context(|| format!("cannot lock {}", directory.display())),
    }
}
