//! The server of a world: a Debian system that boots in a container of
//! systemd-nspawn, as a hoster hands it over.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::network::{Network, Party};
use super::program::{Program, run};
use crate::failure::{Context, Failure, Result};

const SCRIPT: &str = include_str!("server.sh");
/// On a busy machine; alone it takes two seconds.
const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// How Contabo turns IPv6 off until its customers turn it on.
const IPV6_OFF: &str = "
net.ipv6.conf.all.disable_ipv6 = 1
net.ipv6.conf.default.disable_ipv6 = 1
net.ipv6.conf.lo.disable_ipv6 = 1
";

/// What is particular about a new server.
pub struct Image<'a> {
    /// The base tree, which stays as it is.
    pub base: &'a Path,
    /// What the hoster called it.
    pub hostname: &'a str,
    /// IPv6 is off by sysctl and commented out in netplan.
    pub contabo_like: bool,
    /// Lines of root's authorized_keys.
    pub authorized_keys: &'a [String],
}

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
        let root = directory.join("root");
        mount(image.base, &directory.join("disk"), &root)?;
        write_files(&root, network, image)?;
        run(
            [
                "ssh-keygen".as_ref(),
                "-A".as_ref(),
                "-f".as_ref(),
                root.as_os_str(),
            ],
            "",
        )?;
        let path = root.join("etc/ssh/ssh_host_ed25519_key.pub");
        let host_key =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;

        let script = directory.join("server.sh");
        write(&script, 0o600, SCRIPT)?;
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

fn mount(base: &Path, disk: &Path, root: &Path) -> Result<()> {
    let mut options = format!("lowerdir={}", base.display());
    for part in ["upper", "work"] {
        let path = disk.join(part);
        let made = fs::DirBuilder::new().mode(0o755).create(&path);
        made.with_context(|| format!("cannot make {}", path.display()))?;
        let _ = write!(options, ",{part}dir={}", path.display());
    }
    // `volatile`: it need not survive a crash of this machine, so no fsync reaches the disk.
    options.push_str(",volatile");
    let words = ["mount", "-t", "overlay", "overlay", "-o", &options].map(AsRef::as_ref);
    run(words.into_iter().chain([root.as_os_str()]), "").map(|_| ()).map_err(|failure| {
        Failure::new("cannot mount the server's disk")
            .because(failure)
            .hint("overlayfs needs /var/lib on a real file system (ext4, xfs, btrfs), not on another overlay")
    })
}

/// What differs between one new server and the next.
fn write_files(root: &Path, network: Network, image: &Image<'_>) -> Result<()> {
    let resolver = network.ipv4(Party::Resolver);
    write(
        &root.join("etc/hostname"),
        0o644,
        &format!("{}\n", image.hostname),
    )?;
    let hosts = fs::read_to_string(root.join("etc/hosts")).unwrap_or_default();
    write(
        &root.join("etc/hosts"),
        0o644,
        &format!("127.0.1.1\t{}\n{hosts}", image.hostname),
    )?;
    write(
        &root.join("etc/resolv.conf"),
        0o644,
        &format!("nameserver {resolver}\n"),
    )?;
    write(
        &root.join("etc/netplan/01-netcfg.yaml"),
        0o600,
        &netplan(network, image.contabo_like),
    )?;
    if image.contabo_like {
        let path = root.join("etc/sysctl.conf");
        let before = fs::read_to_string(&path).unwrap_or_default();
        write(&path, 0o644, &format!("{before}{IPV6_OFF}"))?;
        // Debian 13 has no such link any more, but servers upgraded to it do.
        let link = root.join("etc/sysctl.d/99-sysctl.conf");
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink("../sysctl.conf", &link)
                .context("cannot link sysctl.conf")?;
        }
    }
    let ssh = root.join("root/.ssh");
    let made = fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&ssh);
    made.with_context(|| format!("cannot make {}", ssh.display()))?;
    write(
        &ssh.join("authorized_keys"),
        0o600,
        &(image.authorized_keys.join("\n") + "\n"),
    )
}

fn netplan(network: Network, contabo_like: bool) -> String {
    // Commented out, the lines stay as a customer is meant to find them.
    let six = if contabo_like { "# " } else { "" };
    format!(
        "network:
  version: 2
  renderer: networkd
  ethernets:
    eth0:
      dhcp4: false
      dhcp6: false
      accept-ra: false
      addresses:
        - {server4}/24
        {six}- {server6}/64
      routes:
        - to: default
          via: {gateway4}
        {six}- to: default
        {six}  via: {gateway6}
      nameservers:
        addresses: [{resolver}]
",
        server4 = network.ipv4(Party::Server),
        server6 = network.ipv6(Party::Server),
        gateway4 = network.ipv4(Party::Gateway),
        gateway6 = network.ipv6(Party::Gateway),
        resolver = network.ipv4(Party::Resolver),
    )
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write {}", path.display()))
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
