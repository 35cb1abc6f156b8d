//! The server of a world: a Debian system that boots in a container of
//! systemd-nspawn, as a hoster hands it over.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::image::Image;
use super::network::{Network, Party};
use super::program::Program;
use crate::failure::{Context, Failure, Result};

const SCRIPT: &str = include_str!("server.sh");
/// On a busy machine; alone it takes two seconds.
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// A running server.
pub struct Server {
    directory: PathBuf,
    network: Network,
    host_key: String,
    program: Program,
}

impl Server {
    /// Mounts the server's disk, writes what a hoster writes, boots it and
    /// waits until it takes SSH connections and all its units have started.
    ///
    /// # Errors
    /// When the overlay cannot be mounted or the server does not come up;
    /// then the end of its console is part of the failure.
    pub fn boot(directory: &Path, network: Network, image: &Image<'_>) -> Result<Self> {
        let host_key = image.prepare(directory, network)?;
        let script = directory.join("server.sh");
        fs::write(&script, SCRIPT).with_context(|| format!("cannot write {}", script.display()))?;
        let root = directory.join("root");
        let number = network.ipv4(Party::Server).octets()[2].to_string();
        let command = [
            "sh".as_ref(),
            script.as_os_str(),
            root.as_os_str(),
            number.as_ref(),
        ];
        let program = Program::start(directory, "server", command, &[])?;
        let mut server = Self {
            directory: directory.to_owned(),
            network,
            host_key,
            program,
        };
        server.wait_until_up(None)?;
        Ok(server)
    }

    /// Runs a shell command inside, as root, without going over the network.
    ///
    /// # Errors
    /// When the server is down or the command cannot be started; a command
    /// that fails is no error but an output with its status.
    pub fn exec(&self, command: &str) -> Result<Output> {
        let leader = self
            .leader()
            .ok_or_else(|| self.program.failure("is not running"))?;
        enter(leader, command).with_context(|| format!("cannot run `{command}` on the server"))
    }

    /// `systemctl reboot`, and waits until it is up again.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn reboot(&mut self) -> Result<()> {
        let before = self.leader();
        let output = self.exec("systemctl reboot")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Failure::new("the server does not reboot").because(errors));
        }
        self.wait_until_up(before)
    }

    /// The line of its Ed25519 host key as known_hosts(5) wants it.
    pub fn known_host(&self) -> String {
        format!(
            "{} {}",
            self.network.ipv4(Party::Server),
            self.host_key.trim()
        )
    }

    /// The fingerprint of that key as OpenSSH prints it: `SHA256:…`.
    pub fn host_key_fingerprint(&self) -> String {
        let blob = self.host_key.split_whitespace().nth(1).unwrap_or_default();
        let blob = BASE64_STANDARD.decode(blob).unwrap_or_default();
        format!(
            "SHA256:{}",
            BASE64_STANDARD_NO_PAD.encode(Sha256::digest(blob))
        )
    }

    /// Where its file system is seen from this machine.
    pub fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// Lets it run on after this process.
    pub fn keep(self) {
        self.program.release();
    }

    /// Waits for another PID 1 than `before`, for sshd, and for systemd to have started everything.
    fn wait_until_up(&mut self, before: Option<u32>) -> Result<()> {
        let start = Instant::now();
        let script = self.program.id();
        self.program.until(BOOT_LIMIT, || {
            leader_below(script).is_some_and(|now| Some(now) != before)
        })?;
        let address = SocketAddr::from((self.network.ipv4(Party::Server), 22));
        self.program
            .until(BOOT_LIMIT.saturating_sub(start.elapsed()), || {
                answers_ssh(address)
            })?;
        let state = self.exec("systemctl is-system-running --wait")?;
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        if state == "running" {
            return Ok(());
        }
        let failed = self.exec("systemctl --failed --no-legend --plain")?;
        let failed = String::from_utf8_lossy(&failed.stdout).trim().to_owned();
        Err(self
            .program
            .failure(&format!("is `{state}` instead of running: {failed}")))
    }

    fn leader(&self) -> Option<u32> {
        leader_below(self.program.id())
    }
}

/// PID 1 of the container below the script: the first descendant that is 1 in a namespace of its own.
fn leader_below(script: Option<u32>) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let parents: Vec<(u32, u32)> = processes
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((
                id,
                stat.rsplit_once(')')?
                    .1
                    .split_whitespace()
                    .nth(1)?
                    .parse()
                    .ok()?,
            ))
        })
        .collect();
    let children = |of: u32| {
        parents
            .iter()
            .filter(move |(_, parent)| *parent == of)
            .map(|(id, _)| *id)
    };
    let nspawn = children(script?);
    nspawn.flat_map(children).find(|id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let ids = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .unwrap_or_default();
        ids.split_whitespace().collect::<Vec<_>>().get(1..) == Some(&["1"])
    })
}

fn enter(leader: u32, command: &str) -> std::io::Result<Output> {
    Command::new("nsenter")
        .args([
            "--target",
            &leader.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--",
        ])
        .args(["env", "-i", "HOME=/root", "LANG=C.UTF-8"])
        .args([
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "sh",
            "-c",
            command,
        ])
        .stdin(Stdio::null())
        .output()
}

/// Whether a connection is greeted as RFC 4253 section 4.2 has it.
fn answers_ssh(address: SocketAddr) -> bool {
    let limit = Duration::from_millis(500);
    let Ok(stream) = TcpStream::connect_timeout(&address, limit) else {
        thread::sleep(Duration::from_millis(30));
        return false;
    };
    let mut greeting = String::new();
    stream.set_read_timeout(Some(limit)).is_ok()
        && BufReader::new(stream).read_line(&mut greeting).is_ok()
        && greeting.starts_with("SSH-2.0-")
}
