//! Secrets' values: fetched at the rim from where mail.yaml says they are,
//! and the directory in which passwords that mailctl made are kept.

mod kept;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::kept::Kept;
use crate::config::surroundings::Surroundings;
use crate::config::{Config, HostName, SecretRef};
use crate::failure::{Context, Failure, Result};
use crate::secret::Secret;

/// No letter or digit that is easily taken for another; 32 of them, so that
/// five random bits choose one evenly.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Characters of a generated password; 26 × 5 bits = 130 bits.
pub const GENERATED: usize = 26;

/// Where the values of secrets come from.
pub struct Vault {
    kept: Kept,
    around: Arc<dyn Surroundings>,
    /// What commands said, so that each runs at most once.
    said: Mutex<BTreeMap<String, Secret>>,
    /// Every value that was handed out or kept.
    known: Mutex<Vec<Secret>>,
}

impl Vault {
    /// A vault for this configuration, whose paths are resolved. Nothing is
    /// read yet.
    pub fn open(config: &Config, around: Arc<dyn Surroundings>) -> Self {
        Self {
            kept: Kept::new(config.secrets.clone()),
            around,
            said: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// The value of a secret. A file loses one final line break; of a command
    /// the first line counts, and it runs at most once.
    ///
    /// # Errors
    /// When the variable is unset, the file unreadable, the command fails, or
    /// the value is empty. The value is never part of the error.
    pub fn secret(&self, secret: &SecretRef) -> Result<Secret> {
        let value = match secret {
            SecretRef::Env(name) => self.variable(name)?,
            SecretRef::File(path) => self.file(path)?,
            SecretRef::Command(command) => self.command(command)?,
            SecretRef::Literal(value) => value.clone(),
            SecretRef::Age(_) => {
                return Err(
                    Failure::new("a secret encrypted with age is not yet supported")
                        .hint("decrypt it by `command:age -d …`"),
                );
            }
        };
        if value.expose().is_empty() {
            return Err(Failure::new(format!("the secret {secret:?} is empty")));
        }
        self.remember(&value);
        Ok(value)
    }

    fn variable(&self, name: &str) -> Result<Secret> {
        let value = self.around.variable(name);
        value.map(Secret::new).ok_or_else(|| {
            Failure::new(format!("the environment variable {name} is not set"))
                .hint(format!("set it where mailctl runs: `export {name}=…`"))
        })
    }

    fn file(&self, path: &Path) -> Result<Secret> {
        let place = || format!("cannot read the secret file {}", path.display());
        let content = self.around.read(path).with_context(place)?;
        text(content).ok_or_else(|| Failure::new(place()).because("it is not text"))
    }

    fn command(&self, command: &str) -> Result<Secret> {
        // Held while it runs: a second asker waits instead of asking a person twice.
        let mut said = lock(&self.said);
        if let Some(value) = said.get(command) {
            return Ok(value.clone());
        }
        let failed = || format!("the command of a secret failed: `{command}`");
        let output = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit())
            .output()
            .with_context(failed)?;
        if !output.status.success() {
            let hint = "run it by hand: its first line of output has to be the secret";
            return Err(Failure::new(failed())
                .because(output.status.to_string())
                .hint(hint));
        }
        let first = output
            .stdout
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let value = text(first.to_vec())
            .ok_or_else(|| Failure::new(failed()).because("it did not print text"))?;
        said.insert(command.to_owned(), value.clone());
        Ok(value)
    }

    /// The password that was made for a user, if one is kept.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn kept_password(&self, domain: &HostName, user: &str) -> Result<Option<Secret>> {
        let value = self.kept.get(domain, user)?;
        value.iter().for_each(|value| self.remember(value));
        Ok(value)
    }

    /// Keeps a user's password, in a file that only its owner may read.
    /// Keeping the same again changes nothing.
    ///
    /// # Errors
    /// When another password is kept already, or the file cannot be written.
    pub fn keep_password(&self, domain: &HostName, user: &str, password: &Secret) -> Result<()> {
        self.remember(password);
        self.kept.put(domain, user, password)
    }

    /// Every value that was handed out or kept, for a search in outputs.
    pub fn all_values(&self) -> Vec<Secret> {
        lock(&self.known).clone()
    }

    fn remember(&self, value: &Secret) {
        let mut known = lock(&self.known);
        if !known.contains(value) {
            known.push(value.clone());
        }
    }
}

/// A new password of 26 characters from these random bytes, which the caller
/// takes from the system's generator; 130 bits.
pub fn generate_password(random: &[u8; GENERATED]) -> Secret {
    let text: String = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect();
    Secret::new(text)
}

/// Text without its one final line break.
fn text(content: Vec<u8>) -> Option<Secret> {
    let text = String::from_utf8(content).ok()?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Some(Secret::new(text.strip_suffix('\r').unwrap_or(text)))
}

/// What a thread that panicked left behind is still whole: values are only added.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The passwords that are known, by `user@domain`: mail.yaml's, and those that
/// apply made and kept.
///
/// # Errors
/// When one that mail.yaml names cannot be read.
pub fn passwords(vault: &Vault, config: &Config) -> Result<BTreeMap<String, Secret>> {
    let mut passwords = BTreeMap::new();
    for (domain, wish) in &config.domains {
        for (user, account) in wish
            .users
            .iter()
            .filter(|(_, account)| !account.receive_only)
        {
            let password = match &account.password {
                Some(secret) => Some(
                    vault
                        .secret(secret)
                        .with_context(|| format!("the password of {user}@{domain}"))?,
                ),
                None => vault.kept_password(domain, user)?,
            };
            passwords.extend(password.map(|p| (format!("{user}@{domain}"), p)));
        }
    }
    Ok(passwords)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::surroundings::{Here, Written};

    fn vault(directory: &Path, around: impl Surroundings + 'static) -> Vault {
        Vault {
            kept: Kept::new(directory.join("secrets")),
            around: Arc::new(around),
            said: Mutex::default(),
            known: Mutex::default(),
        }
    }

    #[test]
    fn secrets_come_from_where_they_are_said_to_be() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut around = Written::default();
        around.variables.insert("TOKEN".into(), "from env".into());
        around
            .files
            .insert("/s".into(), (b"from file\r\n".to_vec(), false));
        around
            .files
            .insert("/empty".into(), (b"\n".to_vec(), false));
        let vault = vault(directory.path(), around);
        let value = |text: &str| {
            vault
                .secret(&text.parse().expect("a reference"))
                .map(|s| s.expose().to_owned())
        };
        assert_eq!(value("env:TOKEN").expect("set"), "from env");
        assert_eq!(value("file:/s").expect("there"), "from file");
        assert_eq!(value("command:printf 'one\\ntwo\\n'").expect("runs"), "one");
        assert_eq!(value("bare").expect("bare"), "bare");
        for missing in [
            "env:NOPE",
            "file:/nope",
            "file:/empty",
            "command:exit 3",
            "command:true",
            "age:xyz",
        ] {
            assert!(value(missing).is_err(), "{missing}");
        }
        assert_eq!(vault.all_values().len(), 4);
    }

    #[test]
    fn a_command_runs_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let vault = vault(directory.path(), Here);
        let counter = directory.path().join("counter");
        let reference =
            SecretRef::Command(format!("echo x >> {0}; wc -l < {0}", counter.display()));
        let first = vault.secret(&reference).expect("runs");
        assert_eq!(vault.secret(&reference).expect("runs"), first);
        assert_eq!(fs::read_to_string(counter).expect("written"), "x\n");
    }

    #[test]
    fn an_error_never_tells_the_value() {
        let directory = tempfile::tempdir().expect("a directory");
        let vault = vault(directory.path(), Here);
        let failure = vault
            .secret(&SecretRef::Command(
                "echo hunter2 | sed s/t/T/; exit 1".into(),
            ))
            .expect_err("fails");
        assert!(!failure.told().contains("hunTer2"), "{}", failure.told());
    }

    #[test]
    fn generated_passwords_are_long_and_unambiguous() {
        let mut random = [0; GENERATED];
        for (nth, byte) in (0u8..).zip(random.iter_mut()) {
            *byte = nth.wrapping_mul(37);
        }
        let password = generate_password(&random);
        assert_eq!(password.expose().len(), GENERATED);
        assert!(!password.expose().contains(['l', 'o', '0', '1', 'I', 'O']));
        assert_ne!(password, generate_password(&[0; GENERATED]));
    }
}
