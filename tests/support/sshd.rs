//! A real sshd for tests: on a free port of 127.0.0.1, with host keys, login
//! keys and a configuration of its own in a temporary directory.

#![allow(dead_code)] // each test program uses its own part

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mailctl::remote::target::Target;

/// A free TCP port of 127.0.0.1.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Whether this machine can run the tests; says why not.
pub fn available() -> bool {
    let missing = if !nix::unistd::geteuid().is_root() {
        "only root can run an sshd that logs in"
    } else if !Path::new("/usr/sbin/sshd").exists() {
        "sshd is not installed (openssh-server)"
    } else if Command::new("ssh-keygen").arg("-?").output().is_err() {
        "ssh-keygen is not installed (openssh-client)"
    } else {
        return true;
    };
    eprintln!("skipped: {missing}");
    false
}

/// Runs a program that must succeed.
pub fn must(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes a key pair.
pub fn keygen(path: &Path, kind: &str, passphrase: &str) {
    must(
        Command::new("ssh-keygen")
            .args(["-q", "-C", "", "-t", kind, "-N", passphrase, "-f"])
            .arg(path),
    );
}

/// A running sshd; dropping it ends it and its sessions.
pub struct Sshd {
    /// The directory with its keys: `host_ed25519`, `id_ed25519`, `known_hosts`, …
    pub dir: tempfile::TempDir,
    /// Its port.
    pub port: u16,
    child: Option<Child>,
}

impl Sshd {
    /// Starts one that knows the key `id_ed25519` of its directory.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same with further lines for sshd_config, which come first and so win.
    pub fn start_with(lines: &str) -> Self {
        let mut sshd = Self::prepare(lines, &["ed25519"]);
        sshd.up();
        sshd
    }

    /// Everything but the process, with host keys of these kinds: [`Sshd::up`] starts it.
    pub fn prepare(lines: &str, host_keys: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("mailctl-sshd")
            .tempdir()
            .expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        keygen(&at("id_ed25519"), "ed25519", "");
        std::fs::copy(at("id_ed25519.pub"), at("authorized_keys")).expect("copied");
        // sshd's directory for unprivileged work may be missing where no system sshd runs.
        std::fs::create_dir_all("/run/sshd").expect("created");
        let port = free_port();
        let mut config = format!("{lines}\nListenAddress 127.0.0.1\nPort {port}\n");
        for kind in host_keys {
            let key = at(&format!("host_{kind}"));
            keygen(&key, kind, "");
            let _ = writeln!(config, "HostKey {}", key.display());
        }
        let _ = write!(
            config,
            "AuthorizedKeysFile {0}/authorized_keys {0}/authorized_keys_%u
UsePAM no\nStrictModes no\nPermitRootLogin yes\nPidFile none\nLogLevel ERROR\nMaxStartups 100\nUseDNS no\n",
            dir.path().display()
        );
        std::fs::write(at("sshd_config"), config).expect("written");
        // Logins other than root must be able to read their authorized keys.
        must(Command::new("chmod").arg("755").arg(dir.path()));
        Self {
            dir,
            port,
            child: None,
        }
    }

    /// Takes the port of another, which must be down when this one starts.
    pub fn on_port(mut self, port: u16) -> Self {
        let config = std::fs::read_to_string(self.path("sshd_config")).expect("read");
        let config = config.replace(&format!("Port {}\n", self.port), &format!("Port {port}\n"));
        std::fs::write(self.path("sshd_config"), config).expect("written");
        self.port = port;
        self
    }

    /// Starts the process and waits until it answers.
    pub fn up(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).expect("created");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(self.dir.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "sshd does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the listener and every session, as a crash would.
    pub fn down(&mut self) {
        let sessions = self.sessions();
        let Some(mut child) = self.child.take() else {
            return;
        };
        for session in sessions {
            let _ = kill(session);
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// The process ids of the sessions.
    pub fn sessions(&self) -> Vec<i32> {
        let Some(child) = &self.child else {
            return Vec::new();
        };
        let id = child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A file of its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Lets in whoever has this key of its directory, made if it is missing.
    pub fn authorize(&self, name: &str, kind: &str, passphrase: &str) {
        keygen(&self.path(name), kind, passphrase);
        let mut keys = std::fs::read_to_string(self.path("authorized_keys")).expect("read");
        keys += &std::fs::read_to_string(self.path(&format!("{name}.pub"))).expect("read");
        std::fs::write(self.path("authorized_keys"), keys).expect("written");
    }

    /// The way in: root with `id_ed25519`, and a known_hosts file of its own, still missing.
    pub fn target(&self) -> Target {
        self.target_with("id_ed25519")
    }

    /// The same with another key of its directory.
    pub fn target_with(&self, identity: &str) -> Target {
        let ssh = format!("root@127.0.0.1:{}", self.port)
            .parse()
            .expect("an SSH target");
        let mut target = Target::literal(&ssh);
        target.identity = Some(self.path(identity));
        target.identity_files = Vec::new();
        target.agent = None;
        target.user_known_hosts = vec![self.path("known_hosts")];
        target.global_known_hosts = Vec::new();
        target
    }

    /// The target, its host key already known.
    pub fn known_target(&self) -> Target {
        let key = std::fs::read_to_string(self.path("host_ed25519.pub")).expect("read");
        std::fs::write(
            self.path("known_hosts"),
            format!("[127.0.0.1]:{} {key}", self.port),
        )
        .expect("written");
        self.target()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.down();
    }
}

/// Kills one process.
pub fn kill(pid: i32) -> nix::Result<()> {
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    )
}
