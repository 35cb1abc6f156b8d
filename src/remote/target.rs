//! Which server is meant: `host.ssh` of mail.yaml, completed by ~/.ssh/config.
//!
//! The configuration is read by OpenSSH itself (`ssh -G`), so that Include,
//! Match and patterns mean what they mean to `ssh`. Nobody's configuration is
//! needed: without an `ssh` binary the target is taken literally.

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::config;
use crate::config::SshTarget;
use crate::failure::{Context, Failure, Result};

/// Everything that decides how a server is reached, apart from credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address, name or alias as the user wrote it: `%n` of ssh_config(5).
    pub alias: String,
    /// The name or address to connect to.
    pub hostname: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// `host.identity` of mail.yaml: the key file tried first.
    pub identity: Option<PathBuf>,
    /// Further key files; those that do not exist are passed over.
    pub identity_files: Vec<PathBuf>,
    /// Offer the agent's keys only where one of the files above names them.
    pub identities_only: bool,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// The detour to the server.
    pub proxy: Option<Proxy>,
    /// The name to look up in known_hosts instead of the host's own.
    pub host_key_alias: Option<String>,
    /// Where known host keys are read, and new ones written to the first.
    pub user_known_hosts: Vec<PathBuf>,
    /// Where known host keys are only read.
    pub global_known_hosts: Vec<PathBuf>,
    /// Write the names of new entries hashed.
    pub hash_known_hosts: bool,
    /// What to do with unknown host keys.
    pub strict: Strict,
    /// The configuration to hand on to `ssh` for a jump; `None`: its default.
    pub config: Option<PathBuf>,
}

/// A detour to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// `ProxyJump`: one or several `[user@]host[:port]`, joined by commas.
    Jump(String),
    /// `ProxyCommand`, its tokens expanded.
    Command(String),
}

/// `StrictHostKeyChecking` for unknown keys. A changed key is always refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strict {
    /// Ask.
    #[default]
    Ask,
    /// Refuse.
    Yes,
    /// Remember.
    AcceptNew,
}

impl Target {
    /// Completes `host.ssh` and `host.identity` by ~/.ssh/config.
    ///
    /// The login is, in this order, the one of mail.yaml, that of the
    /// configuration, and root: a fresh VPS has no other.
    ///
    /// # Errors
    /// When ~/.ssh/config has a mistake.
    pub fn resolve(host: &config::Host) -> Result<Self> {
        Self::resolve_with(&host.ssh, host.identity.as_deref(), None)
    }

    /// The same with another configuration file in place of ~/.ssh/config and
    /// /etc/ssh/ssh_config, as `ssh -F`.
    ///
    /// # Errors
    /// As for [`Target::resolve`].
    pub fn resolve_with(
        ssh: &SshTarget,
        identity: Option<&Path>,
        config: Option<&Path>,
    ) -> Result<Self> {
        let mut target = match ask_openssh(ssh, config)? {
            Some(answer) => Self::from_openssh(ssh, &answer),
            None => Self::literal(ssh),
        };
        target.identity = identity.map(|path| expand_home(&path.to_string_lossy()));
        target.config = config.map(Path::to_owned);
        Ok(target)
    }

    /// The target as it stands, with OpenSSH's default files.
    pub fn literal(ssh: &SshTarget) -> Self {
        let dot_ssh = home().join(".ssh");
        Self {
            alias: ssh.host.clone(),
            hostname: ssh.host.clone(),
            port: ssh.port.unwrap_or(22),
            user: ssh.user.clone().unwrap_or_else(|| "root".into()),
            identity: None,
            identity_files: ["id_ed25519", "id_ecdsa", "id_rsa"]
                .map(|f| dot_ssh.join(f))
                .into(),
            identities_only: false,
            agent: agent_of_environment(),
            proxy: None,
            host_key_alias: None,
            user_known_hosts: vec![dot_ssh.join("known_hosts")],
            global_known_hosts: vec!["/etc/ssh/ssh_known_hosts".into()],
            hash_known_hosts: false,
            strict: Strict::Ask,
            config: None,
        }
    }

    /// `user@host`, with the port where it is not 22.
    pub fn place(&self) -> String {
        match self.port {
            22 => format!("{}@{}", self.user, self.hostname),
            port if self.hostname.contains(':') => {
                format!("{}@[{}]:{port}", self.user, self.hostname)
            }
            port => format!("{}@{}:{port}", self.user, self.hostname),
        }
    }

    fn from_openssh(ssh: &SshTarget, answer: &str) -> Self {
        let mut values: HashMap<&str, Vec<&str>> = HashMap::new();
        for (key, value) in answer.lines().filter_map(|line| line.split_once(' ')) {
            values.entry(key).or_default().push(value.trim());
        }
        let first = |key: &str| values.get(key).and_then(|v| v.first()).copied();
        let given = |key: &str| first(key).filter(|value| *value != "none");
        let files = |key: &str| -> Vec<PathBuf> {
            let names = first(key).unwrap_or_default().split_whitespace();
            names
                .filter(|name| *name != "none")
                .map(expand_home)
                .collect()
        };

        let mut target = Self::literal(ssh);
        if let Some(hostname) = first("hostname") {
            target.hostname = hostname.to_owned();
        }
        if let Some(port) = first("port").and_then(|port| port.parse().ok()) {
            target.port = port;
        }
        if let Some(user) = first("user") {
            target.user = user.to_owned();
        }
        target.host_key_alias = given("hostkeyalias").map(str::to_owned);
        target.identities_only = first("identitiesonly") == Some("yes");
        target.hash_known_hosts = first("hashknownhosts") == Some("yes");
        target.user_known_hosts = files("userknownhostsfile");
        target.global_known_hosts = files("globalknownhostsfile");
        target.strict = match first("stricthostkeychecking") {
            Some("yes" | "true") => Strict::Yes,
            Some("accept-new" | "no" | "off" | "false") => Strict::AcceptNew,
            _ => Strict::Ask,
        };
        target.agent = match first("identityagent") {
            None | Some("SSH_AUTH_SOCK") => agent_of_environment(),
            Some("none") => None,
            Some(variable) if variable.starts_with('$') => {
                std::env::var_os(&variable[1..]).map(Into::into)
            }
            Some(path) => Some(expand_home(&expand_tokens(path, &target))),
        };
        target.identity_files = values.get("identityfile").map_or_else(Vec::new, |names| {
            let names = names.iter().filter(|name| **name != "none");
            names
                .map(|name| expand_home(&expand_tokens(name, &target)))
                .collect()
        });
        target.proxy = match (given("proxycommand"), given("proxyjump")) {
            (Some(command), _) => Some(Proxy::Command(expand_tokens(command, &target))),
            (None, Some(jump)) => Some(Proxy::Jump(jump.to_owned())),
            (None, None) => None,
        };
        target
    }
}

/// `ssh -G`; `None` where there is no `ssh`.
fn ask_openssh(ssh: &SshTarget, config: Option<&Path>) -> Result<Option<String>> {
    let mut command = Command::new("ssh");
    command.args(["-G", "-F", "/dev/stdin"]);
    if let Some(port) = ssh.port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = &ssh.user {
        command.args(["-l", user]);
    }
    command.args(["--", &ssh.host]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("cannot run `ssh -G`"),
    };
    if let Some(mut stdin) = child.stdin.take() {
        // It may stop reading at a mistake; that is told below.
        let _ = stdin.write_all(configuration(config).as_bytes());
    }
    let output = child.wait_with_output().context("cannot run `ssh -G`")?;
    if output.status.success() {
        return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint: Vec<&str> = complaint
        .lines()
        .filter(|line| !line.starts_with("Pseudo-terminal"))
        .collect();
    Err(Failure::new(format!(
        "`ssh -G {}` failed: {}",
        ssh.host,
        complaint.join("; ")
    ))
    .hint("correct ~/.ssh/config until `ssh -G` accepts it"))
}

/// The user's and the system's configuration, and behind them our own
/// defaults: in ssh_config the first value wins. Asking for the user's name
/// any other way gives the local login, configured or not.
fn configuration(config: Option<&Path>) -> String {
    let mut text = String::new();
    match config {
        Some(file) => text.push_str(&format!("Include \"{}\"\n", file.display())),
        None => {
            let user = home().join(".ssh/config");
            text.push_str(&format!(
                "Include \"{}\"\nInclude /etc/ssh/ssh_config\n",
                user.display()
            ));
        }
    }
    text.push_str("Host *\n  User root\n");
    // OpenSSH takes the home directory from passwd; here HOME counts.
    let dot_ssh = home().join(".ssh");
    text.push_str(&format!(
        "  UserKnownHostsFile \"{0}/known_hosts\" \"{0}/known_hosts2\"\n",
        dot_ssh.display()
    ));
    text
}

/// `$HOME`, or what passwd says.
fn home() -> PathBuf {
    let passwd = || {
        nix::unistd::User::from_uid(nix::unistd::geteuid())
            .ok()
            .flatten()
    };
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute())
        .or_else(|| passwd().map(|user| user.dir))
        .unwrap_or_else(|| "/".into())
}

fn expand_home(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => home().join(rest),
        None => path.into(),
    }
}

fn agent_of_environment() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK")
        .filter(|path| !path.is_empty())
        .map(Into::into)
}

/// The tokens of ssh_config(5) that make sense before a connection exists.
fn expand_tokens(text: &str, target: &Target) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        if char != '%' {
            expanded.push(char);
            continue;
        }
        match rest.next() {
            Some('%') => expanded.push('%'),
            Some('h') => expanded.push_str(&target.hostname),
            Some('n') => expanded.push_str(&target.alias),
            Some('p') => expanded.push_str(&target.port.to_string()),
            Some('r') => expanded.push_str(&target.user),
            Some('d') => expanded.push_str(&home().to_string_lossy()),
            Some('i') => expanded.push_str(&nix::unistd::getuid().to_string()),
            Some('u') => expanded.push_str(
                &nix::unistd::User::from_uid(nix::unistd::getuid())
                    .ok()
                    .flatten()
                    .map(|user| user.name)
                    .unwrap_or_default(),
            ),
            Some('k') => {
                expanded.push_str(target.host_key_alias.as_ref().unwrap_or(&target.hostname));
            }
            Some(other) => expanded.extend(['%', other]),
            None => expanded.push('%'),
        }
    }
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(text: &str) -> SshTarget {
        text.parse().expect("an SSH target")
    }

    fn resolved(target: &str, config: &str) -> Option<Target> {
        if Command::new("ssh").arg("-V").output().is_err() {
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("my config");
        std::fs::write(&file, config).expect("written");
        Some(Target::resolve_with(&ssh(target), None, Some(&file)).expect("resolved"))
    }

    #[test]
    fn root_is_the_last_resort() {
        let config = "Host named\n  User admin\n  HostName 192.0.2.1\n  Port 2222\n";
        for (target, place) in [
            ("mail.example.org", "root@mail.example.org"),
            ("named", "admin@192.0.2.1:2222"),
            ("root@named:22", "root@192.0.2.1"),
            ("[2001:db8::1]:2200", "root@[2001:db8::1]:2200"),
        ] {
            let Some(target) = resolved(target, config) else {
                return;
            };
            assert_eq!(target.place(), place);
        }
    }

    #[test]
    fn configuration_is_read_as_ssh_reads_it() {
        let config = "Host jumped\n  ProxyJump a@gate:2022,inner\n  IdentityFile ~/k_%r\n  IdentitiesOnly yes\n\
                      Host told\n  ProxyCommand nc -X 5 %h %p %%\n  HostKeyAlias other\n  IdentityAgent none\n\
                      Host strict\n  StrictHostKeyChecking yes\n  UserKnownHostsFile /a /b\n";
        let Some(jumped) = resolved("jumped", config) else {
            return;
        };
        assert_eq!(jumped.proxy, Some(Proxy::Jump("a@gate:2022,inner".into())));
        assert_eq!(jumped.identity_files, [home().join("k_root")]);
        assert!(jumped.identities_only);

        let told = resolved("told", config).expect("resolved");
        assert_eq!(told.proxy, Some(Proxy::Command("nc -X 5 told 22 %".into())));
        assert_eq!(told.host_key_alias.as_deref(), Some("other"));
        assert_eq!(told.agent, None);

        let strict = resolved("strict", config).expect("resolved");
        assert_eq!(strict.strict, Strict::Yes);
        assert_eq!(strict.user_known_hosts, [Path::new("/a"), Path::new("/b")]);
    }

    #[test]
    fn a_mistake_in_the_configuration_is_told() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("config");
        std::fs::write(&file, "Host x\n  Prot 22\n").expect("written");
        if Command::new("ssh").arg("-V").output().is_err() {
            return;
        }
        let failure = Target::resolve_with(&ssh("x"), None, Some(&file)).expect_err("refused");
        assert!(failure.told().contains("prot"), "{failure:?}");
    }

    #[test]
    fn mail_yaml_names_the_first_key() {
        let target = Target::resolve_with(&ssh("h"), Some(Path::new("~/.ssh/mine")), None);
        assert_eq!(
            target.expect("resolved").identity,
            Some(home().join(".ssh/mine"))
        );
    }
}
