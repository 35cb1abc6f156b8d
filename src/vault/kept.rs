//! Passwords that mailctl made: one file each, named `user@domain`.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::text;
use crate::config::HostName;
use crate::failure::{Context, Failure, Result};
use crate::secret::Secret;

/// The directory of kept passwords.
pub(super) struct Kept {
    directory: PathBuf,
}

impl Kept {
    /// The directory is made when the first password is kept.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The password that was made for a user, if one is kept.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn get(&self, domain: &HostName, user: &str) -> Result<Option<Secret>> {
        let path = self.path_of(domain, user)?;
        let content = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            content => content
                .with_context(|| format!("cannot read the kept password {}", path.display()))?,
        };
        let value = text(content).filter(|value| !value.expose().is_empty());
        let value = value.ok_or_else(|| {
            Failure::new(format!("the kept password {} is damaged", path.display()))
                .hint("restore it, or remove the file: a new password is then made and set")
        })?;
        Ok(Some(value))
    }

    /// Keeps a user's password, in a file that only its owner may read.
    /// Keeping the same again changes nothing.
    ///
    /// # Errors
    /// When another password is kept already, or the file cannot be written.
    pub fn put(&self, domain: &HostName, user: &str, password: &Secret) -> Result<()> {
        let path = self.path_of(domain, user)?;
        let place = || {
            format!(
                "cannot keep the password of {user}@{domain} in {}",
                path.display()
            )
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .with_context(place)?;
        let new = self
            .directory
            .join(format!(".{user}@{domain}.{}.new", std::process::id()));
        write_private(&new, password).with_context(place)?;
        // A link fails where the name is taken: nobody's password is overwritten,
        // not even by two mailctl at once.
        let linked = fs::hard_link(&new, &path);
        let removed = fs::remove_file(&new);
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if self.get(domain, user)?.as_ref() == Some(password) {
                    return Ok(());
                }
                Err(Failure::new(place())
                    .because("another password is kept there")
                    .hint("remove that file if the password in it is not in use any more"))
            }
            linked => {
                linked.with_context(place)?;
                removed.with_context(place)?;
                // The name too must survive a loss of power.
                fs::File::open(&self.directory)
                    .and_then(|d| d.sync_all())
                    .with_context(place)
            }
        }
    }

    /// `user@domain` as a file name: both were checked, but a path is a path.
    fn path_of(&self, domain: &HostName, user: &str) -> Result<PathBuf> {
        if user.is_empty() || user.contains(['/', '\0']) {
            return Err(Failure::new(format!(
                "`{user}@{domain}` cannot be the name of a file"
            )));
        }
        Ok(self.directory.join(format!("{user}@{domain}")))
    }
}

fn write_private(path: &Path, value: &Secret) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // The mode above counts only for a new file.
    file.set_permissions(Permissions::from_mode(0o600))?;
    writeln!(file, "{}", value.expose())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> HostName {
        "wac.tax".parse().expect("a name")
    }

    #[test]
    fn kept_passwords_are_private_and_never_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let kept = Kept::new(directory.path().join("secrets"));
        let (first, second) = (Secret::new("first"), Secret::new("second"));
        assert_eq!(kept.get(&domain(), "i").expect("none yet"), None);
        kept.put(&domain(), "i", &first).expect("kept");
        kept.put(&domain(), "i", &first).expect("the same again");
        let refusal = kept
            .put(&domain(), "i", &second)
            .expect_err("another is kept");
        assert!(
            refusal.told().contains("another password is kept"),
            "{}",
            refusal.told()
        );
        assert_eq!(kept.get(&domain(), "i").expect("readable"), Some(first));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let secrets = directory.path().join("secrets");
        assert_eq!(mode(&secrets), 0o700);
        assert_eq!(mode(&secrets.join("i@wac.tax")), 0o600);
        assert_eq!(fs::read_dir(&secrets).expect("readable").count(), 1);
        assert!(kept.put(&domain(), "../i", &second).is_err());
    }
}
