//! The file itself: replaced at once and kept by whom it belongs to, so that
//! whoever reads it sees the old or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Result};

/// Holds the directory, so that two processes do not edit at once, and leaves nothing behind.
pub(super) fn lock(path: &Path) -> Result<File> {
    let directory =
        File::open(parent(path)).and_then(|directory| directory.lock().map(|()| directory));
    directory.with_context(|| format!("the directory of {} cannot be held", path.display()))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Replaces the content of the file, which must be there. A symbolic link stays one.
///
/// # Errors
/// When the directory cannot be written to, or the new file not be given to
/// the owner of the old one. The file is then what it was.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let what = || format!("{} cannot be written", path.display());
    let path = fs::canonicalize(path).with_context(what)?;
    let name = path.file_name().map(|name| name.to_string_lossy());
    let name = name.ok_or_else(|| Failure::new(what()))?;
    let beside = parent(&path).join(format!(".{name}.mailctl-{}", std::process::id()));
    let written = write(&beside, &path, content);
    if written.is_err() {
        // The error that is told is the one above.
        let _ = fs::remove_file(&beside);
    }
    written.with_context(what)
}

fn write(beside: &Path, path: &Path, content: &[u8]) -> std::io::Result<()> {
    let old = fs::metadata(path)?;
    let mut new = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(beside)?;
    new.write_all(content)?;
    let made = new.metadata()?;
    if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
        fchown(&new, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
    new.sync_all()?;
    fs::rename(beside, path)?;
    File::open(parent(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_links_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, link) = (directory.path().join("zone"), directory.path().join("link"));
        fs::write(&file, "old").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        std::os::unix::fs::symlink("zone", &link).expect("linked");
        let held = lock(&link).expect("held");
        replace(&link, b"new").expect("replaced");
        drop(held);
        assert_eq!(fs::read(&file).expect("read"), b"new");
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o7777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(&directory).expect("read").count(), 2);
        replace(&directory.path().join("none"), b"x").expect_err("it is not there");
    }
}
