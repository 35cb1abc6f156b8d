//! What mail.yaml refers to outside itself: environment variables and files
//! of the machine that mailctl runs on.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The machine around mail.yaml, as far as mail.yaml can name it.
pub trait Surroundings: Send + Sync {
    /// An environment variable's value; `None` when it is unset or not text.
    fn variable(&self, name: &str) -> Option<String>;

    /// A file's content.
    ///
    /// # Errors
    /// As [`std::fs::read`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Whether other users of this machine may read the file.
    fn open_to_others(&self, path: &Path) -> bool;

    /// Whether the file is only rehearsed, so that nobody outside is needed.
    fn rehearsed(&self) -> bool {
        false
    }
}

/// This process on this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

impl Surroundings for Here {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn open_to_others(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o044 != 0)
    }
}

/// This machine, where every secret that is missing is taken as there: a
/// rehearsal uses none of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assumed;

/// Long enough for a password, and base64 as keys have to be.
const STAND_IN: &str = "cmVoZWFyc2Vk";

impl Surroundings for Assumed {
    fn variable(&self, name: &str) -> Option<String> {
        Here.variable(name)
            .filter(|v| !v.is_empty())
            .or_else(|| Some(STAND_IN.to_owned()))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Here.read(path).or_else(|_| Ok(STAND_IN.into()))
    }

    fn open_to_others(&self, _: &Path) -> bool {
        false
    }

    fn rehearsed(&self) -> bool {
        true
    }
}

/// Surroundings that are written down, for tests.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Files: content, and whether others may read it.
    pub files: BTreeMap<PathBuf, (Vec<u8>, bool)>,
}

impl Surroundings for Written {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let missing = || {
            io::Error::new(
                io::ErrorKind::NotFound,
                "No such file or directory (os error 2)",
            )
        };
        self.files
            .get(path)
            .map(|(content, _)| content.clone())
            .ok_or_else(missing)
    }

    fn open_to_others(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(|(_, open)| *open)
    }
}
