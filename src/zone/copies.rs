//! Copies of zones on this machine, each a zone file (RFC 1035 section 5) as a
//! zone was before an API that takes whole zones only wrote it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::record::Name;

/// More copies of one zone in one second are not made.
const A_SECOND: u32 = 100;

/// `$XDG_STATE_HOME/mailctl/zones`, without it `~/.local/state/mailctl/zones`;
/// `None` where there is no home either.
pub fn directory() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    // A relative path is to be ignored (XDG Base Directory Specification).
    let state = named
        .filter(|path| path.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("mailctl/zones"))
}

/// Keeps `text` as a new file of this directory, whole or not at all; where.
/// Only its owner may read it. No file that is there is touched.
///
/// # Errors
/// When the directory cannot be made, or the file not be written.
pub(super) fn keep(
    directory: &Path,
    zone: &Name,
    now: OffsetDateTime,
    text: &str,
) -> io::Result<PathBuf> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let when = now
        .to_offset(time::UtcOffset::UTC)
        .format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ));
    // A label of a delegated part of a reverse zone may have a slash (RFC 2317).
    let zone = zone.as_str().replace('/', "-");
    let stem = format!("{zone}-{}", when.map_err(io::Error::other)?);
    let beside = directory.join(format!(".{stem}-{}", std::process::id()));
    let kept = write(&beside, text).and_then(|()| place(directory, &stem, &beside));
    // The error that is told is the one above.
    let _ = fs::remove_file(&beside);
    kept
}

fn write(beside: &Path, text: &str) -> io::Result<()> {
    let mut new = OpenOptions::new();
    let mut new = new.write(true).create_new(true).mode(0o600).open(beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()
}

/// Gives the file its name; a link never replaces what another process made meanwhile.
fn place(directory: &Path, stem: &str, beside: &Path) -> io::Result<PathBuf> {
    for nth in 1..=A_SECOND {
        let name = match nth {
            1 => format!("{stem}.zone"),
            nth => format!("{stem}-{nth}.zone"),
        };
        let path = directory.join(name);
        match fs::hard_link(beside, &path) {
            Ok(()) => {
                File::open(directory)?.sync_all()?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use time::macros::datetime;

    use super::*;

    fn kept(directory: &Path, text: &str) -> io::Result<PathBuf> {
        let zone = Name::parse("example.test").expect("a name");
        keep(directory, &zone, datetime!(2026-11-26 12:00:05 UTC), text)
    }

    #[test]
    fn a_copy_is_a_new_file_of_its_owner() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("state/mailctl/zones");
        let first = kept(&directory, "first").expect("kept");
        let second = kept(&directory, "second").expect("kept");
        let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
        assert_eq!(
            [name(&first), name(&second)].map(Option::unwrap_or_default),
            [
                "example.test-20261126T120005Z.zone",
                "example.test-20261126T120005Z-2.zone"
            ]
        );
        assert_eq!(fs::read_to_string(&first).expect("read"), "first");
        assert_eq!(fs::read_to_string(&second).expect("read"), "second");
        for (path, mode) in [(&first, 0o600), (&directory, 0o700)] {
            let found = fs::metadata(path).expect("there").permissions().mode();
            assert_eq!(found & 0o7777, mode, "{}", path.display());
        }
        let all = fs::read_dir(&directory).expect("read").count();
        assert_eq!(all, 2, "nothing else is left");
    }

    #[test]
    fn where_no_directory_can_be_nothing_is_kept() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("state");
        fs::write(&file, "a file").expect("written");
        kept(&file.join("mailctl"), "x").expect_err("below a file");
    }
}
