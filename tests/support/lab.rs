//! A throw-away server with everything around it, a mail.yaml for it, and the
//! program under test run against it as a user or a pipeline would.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mailctl::record::Name;
use mailctl::rehearse::base::Suite;
use mailctl::rehearse::{World, WorldOptions, needs};
use tempfile::TempDir;

/// The variable that mail.yaml names for the user's password.
pub const PASSWORD_VARIABLE: &str = "E2E_MAIL_PASSWORD";
/// The variable of the DNS token.
pub const TOKEN_VARIABLE: &str = "E2E_DNS_TOKEN";

/// The lab's trust anchor, in its directory.
pub const ISSUING: &str = "issuing.pem";

/// A world and a directory to work in.
pub struct Lab {
    pub world: World,
    pub directory: TempDir,
    /// The user's password, of this lab only: others run at the same time.
    pub password: String,
}

impl Lab {
    /// Starts one with the zone `wac.tax` and a server as Contabo hands it over;
    /// `None`, and a line that says why, where none can be.
    pub fn start(test: &str, suite: Suite) -> Option<Self> {
        Self::start_as(test, suite, true)
    }

    /// The same, where it is to be said whether the server has its IPv6 still switched off.
    #[allow(clippy::print_stderr)]
    pub fn start_as(test: &str, suite: Suite, contabo_like: bool) -> Option<Self> {
        let missing = needs::missing();
        if !missing.is_empty() {
            eprintln!("skipped: {test}: {}", missing.join("; "));
            return None;
        }
        let name = |text: &str| Name::parse(text).expect("a name");
        let world = World::start(&WorldOptions {
            suite,
            zones: vec![name("wac.tax"), name("second.example")],
            far_domains: vec![name("gmail.com"), name("far.example")],
            contabo_like,
            ..WorldOptions::default()
        });
        let directory = tempfile::tempdir().expect("a directory");
        let world = world.expect("a world");
        let password = format!(
            "correct-horse-{}-battery-{}",
            world.number(),
            std::process::id()
        );
        let issuing = world.authority().issuing_root();
        fs::write(directory.path().join(ISSUING), issuing).expect("a trust anchor");
        Some(Self {
            world,
            directory,
            password,
        })
    }

    /// The usual mail.yaml, with what stands under `domains` given.
    pub fn write(&self, domains: &str) -> PathBuf {
        self.write_with(domains, "")
    }

    /// The same with further top-level text.
    pub fn write_with(&self, domains: &str, more: &str) -> PathBuf {
        self.write_text(&format!("{}{more}", self.yaml(domains)))
    }

    /// The usual mail.yaml with pieces of its text replaced, which must be there.
    #[track_caller]
    pub fn write_but(&self, domains: &str, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = self.yaml(domains);
        for (from, to) in changes {
            assert!(text.contains(from), "{from} is not in\n{text}");
            text = text.replace(from, to);
        }
        self.write_text(&text)
    }

    /// Any mail.yaml.
    pub fn write_text(&self, text: &str) -> PathBuf {
        let path = self.directory.path().join("mail.yaml");
        fs::write(&path, text).expect("mail.yaml");
        path
    }

    /// The text of the usual mail.yaml.
    pub fn yaml(&self, domains: &str) -> String {
        let world = &self.world;
        format!(
            "host:\n  name: smtp.wac.tax\n  ssh: root@{v4}\n  identity: {key}\n  host_key: {host_key}\n  ipv4: {v4}\n  \
             ipv6: {v6}/64\n  gateway6: {gateway}\n  base: {{fail2ban: false, upgrades: false}}\n\
             domains:\n{domains}\
             dns: {{provider: powerdns, endpoint: \"{endpoint}\", token: env:{TOKEN_VARIABLE}}}\n\
             ptr: {{provider: powerdns, endpoint: \"{endpoint}\", token: env:{TOKEN_VARIABLE}}}\n\
             certificates: {{authority: \"{directory}\", root: {root}}}\n\
             resolver: {resolver}\n",
            v4 = world.ipv4(),
            v6 = world.ipv6(),
            gateway = world.gateway6(),
            key = world.private_key().display(),
            host_key = world.server().host_key_fingerprint(),
            endpoint = world.names().endpoint(),
            directory = world.authority().directory(),
            root = world.authority().root().display(),
            resolver = world.resolver().address(),
        )
    }

    /// mailctl with the environment of a pipeline, in the lab's directory.
    pub fn command(&self) -> Command {
        self.command_in(self.directory.path())
    }

    /// The same with its home and work in another directory.
    pub fn command_in(&self, directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailctl"));
        command
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .env("RUST_BACKTRACE", "0")
            // What the lab's authority issues is trusted here as a public one's is outside.
            .env("SSL_CERT_FILE", self.directory.path().join(ISSUING))
            .env(PASSWORD_VARIABLE, &self.password)
            .env(TOKEN_VARIABLE, self.world.names().token().expose())
            .stdin(Stdio::null());
        command
    }

    /// Runs mailctl to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command().args(args).output().expect("mailctl runs"))
    }

    /// Applies, and sees that nothing is left to do.
    #[track_caller]
    pub fn converges(&self) {
        self.run(&["apply", "--yes"]).expect(0);
        self.run(&["plan", "--detailed-exitcode"])
            .expect(0)
            .says(&["No changes."]);
    }

    /// Runs a command on the server and returns what it prints.
    pub fn on_server(&self, command: &str) -> String {
        let output = self.world.exec(command).expect("the server runs");
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the authoritative server answers, by dig.
    pub fn dig(&self, name: &str, rtype: &str) -> Vec<String> {
        let server = format!("@{}", self.world.names().addresses()[0].ip());
        let output = Command::new("dig")
            .args([&server, name, rtype, "+short", "+time=5"])
            .output()
            .expect("dig");
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    /// A file of the work directory that only its owner may read.
    pub fn private_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        path
    }
}

/// Waits until `seen`, a minute at most.
#[track_caller]
pub fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !seen() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How a run ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Fails the test with everything that was said, unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.out, self.err
        );
        self
    }

    /// Everything that was said.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Fails the test unless each of these was said.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        let said = self.said();
        for part in parts {
            assert!(said.contains(part), "`{part}` is not said:\n{said}");
        }
        self
    }
}
