//! ~/.ssh/config, as `ssh -G` reads it, and the words in it that are expanded later.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::target::Target;
use crate::config::SshTarget;
use crate::failure::{Context, Failure, Result};

/// `ssh -G`; `None` where there is no `ssh`.
pub(super) fn ask_openssh(ssh: &SshTarget, config: Option<&Path>) -> Result<Option<String>> {
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
pub(super) fn home() -> PathBuf {
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

/// `~/` at the beginning of a path is the home directory.
pub(super) fn expand_home(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => home().join(rest),
        None => path.into(),
    }
}

/// `$SSH_AUTH_SOCK`.
pub(super) fn agent_of_environment() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK")
        .filter(|path| !path.is_empty())
        .map(Into::into)
}

/// The tokens of ssh_config(5) that make sense before a connection exists.
pub(super) fn expand_tokens(text: &str, target: &Target) -> String {
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
