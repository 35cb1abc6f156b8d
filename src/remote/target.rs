//! Which server is meant: `host.ssh` of mail.yaml, completed by ~/.ssh/config.
//!
//! The configuration is read by OpenSSH itself (`ssh -G`), so that Include,
//! Match and patterns mean what they mean to `ssh`. Nobody's configuration is
//! needed: without an `ssh` binary the target is taken literally.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::ssh_config::{agent_of_environment, ask_openssh, expand_home, expand_tokens, home};
use crate::config;
use crate::config::SshTarget;
use crate::failure::Result;

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

#[cfg(test)]
mod tests {
    use std::process::Command;

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
