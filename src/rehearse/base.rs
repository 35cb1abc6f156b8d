//! The base system of a server: made once by mmdebstrap, then kept in a cache.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::mirror::Mirror;
use super::program::run;
use crate::failure::{Context, Failure, Result};

/// What a hoster's minimal image has; a mail server's packages are not among them.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,udev,openssh-server,iproute2,ca-certificates,\
     python3-minimal,netplan.io,iputils-ping,sudo,procps,tzdata,cron,less,nano,netbase,kmod,logrotate,curl";

/// Runs on this machine with the new system as `$1`, after its packages are installed.
const FINISH: &str = r#"
chroot "$1" systemctl --quiet enable systemd-networkd
# systemd-nspawn calls the interface host0; a VPS has eth0.
mkdir -p "$1/usr/lib/systemd/network"
printf '[Match]\nOriginalName=host0\n\n[Link]\nName=eth0\n' >"$1/usr/lib/systemd/network/10-eth0.link"
# What must differ between servers is made by each.
rm -f "$1"/etc/ssh/ssh_host_* "$1/var/lib/dbus/machine-id"
: >"$1/etc/machine-id"
: >"$1/etc/resolv.conf"
"#;

/// Runs before the first package is fetched: this machine's own settings of apt, by custom 99*.
const BEGIN: &str = r#"
mkdir -p "$1/etc/apt/apt.conf.d"
for file in /etc/apt/apt.conf.d/99*; do
    [ ! -f "$file" ] || cp "$file" "$1/etc/apt/apt.conf.d/"
done
"#;

/// A Debian release that a world's server can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Suite {
    /// Debian 12.
    #[default]
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Suite {
    /// The code name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Suite {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        [Self::Bookworm, Self::Trixie]
            .into_iter()
            .find(|suite| suite.as_str() == text)
            .ok_or_else(|| format!("`{text}` is none of bookworm, trixie"))
    }
}

/// The tree of a suite, from the cache or made now. Its name has the recipe's
/// hash: a changed recipe makes a new one, the old one is removed.
///
/// # Errors
/// When the cache cannot be written or mmdebstrap fails.
pub fn tree(
    suite: Suite,
    cache: &Path,
    mirror: &Mirror,
    report: &(dyn Fn(&str) + Sync),
) -> Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let cache = cache
        .canonicalize()
        .with_context(|| format!("cannot find {}", cache.display()))?;
    let recipe = Recipe::new(suite, mirror);
    let tree = cache.join(recipe.name());
    if tree.is_dir() {
        return Ok(tree);
    }
    let path = cache.join(format!("{suite}.lock"));
    let lock = OpenOptions::new().create(true).append(true).open(&path);
    let lock = lock.with_context(|| format!("cannot write {}", path.display()))?;
    if lock.try_lock().is_err() {
        report(&format!(
            "another process builds the {suite} base system; waiting for it"
        ));
        lock.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    if !tree.is_dir() {
        build(&recipe, &tree, lock, report)?;
    }
    Ok(tree)
}

/// What is given to mmdebstrap.
struct Recipe {
    suite: Suite,
    options: Vec<String>,
    sources: [String; 3],
}

impl Recipe {
    fn new(suite: Suite, mirror: &Mirror) -> Self {
        let mut options: Vec<String> = vec![
            "--mode=root".into(),
            "--variant=apt".into(),
            format!("--include={PACKAGES}"),
            format!("--setup-hook={BEGIN}"),
            format!("--customize-hook={FINISH}"),
        ];
        options.extend(
            mirror
                .proxies
                .iter()
                .map(|(key, url)| format!("--aptopt={key} \"{url}\"")),
        );
        Self {
            suite,
            options,
            sources: mirror.entries(suite.as_str()),
        }
    }

    /// A name for the tree that it makes.
    fn name(&self) -> String {
        let text = [&self.options[..], &self.sources].concat().join("\0");
        let hash: String = Sha256::digest(text)
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}-{hash}", self.suite)
    }
}

fn build(recipe: &Recipe, tree: &Path, lock: File, report: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let start = Instant::now();
    report(&format!(
        "building the {} base system with mmdebstrap; once, about a minute",
        recipe.suite
    ));
    // Complete trees only ever appear by rename.
    let part = tree.with_extension("part");
    remove_tree(&part)?;
    // In a mount namespace of its own: mmdebstrap mounts /proc, /sys and /dev/shm
    // in the tree, and killed it would leave them there for `rm` to walk into.
    let mut child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "mmdebstrap"])
        .args(&recipe.options)
        .arg(recipe.suite.as_str())
        .arg(&part)
        .args(&recipe.sources)
        // Held until mmdebstrap ends, even where this process is killed before.
        .stdin(
            lock.try_clone()
                .context("cannot duplicate a file descriptor")?,
        )
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start mmdebstrap")?;
    let mut lines = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines().map_while(|line| line.ok()) {
            if let Some(step) = line
                .strip_prefix("I: ")
                .filter(|step| !step.starts_with("running "))
            {
                report(step);
            }
            lines.push(line);
        }
    }
    let status = child.wait().context("lost mmdebstrap")?;
    if !status.success() {
        let last = lines[lines.len().saturating_sub(8)..].join("\n  ");
        // A failure to tidy up must not hide why the build failed.
        let _ = remove_tree(&part);
        return Err(Failure::new(format!("mmdebstrap failed with {status}"))
            .because(last)
            .hint("check that `apt-get update` works on this machine"));
    }
    remove_outdated(recipe.suite, tree, &part)?;
    fs::rename(&part, tree)
        .with_context(|| format!("cannot rename {} to {}", part.display(), tree.display()))?;
    report(&format!(
        "the base system is in {} after {} s",
        tree.display(),
        start.elapsed().as_secs()
    ));
    drop(lock);
    Ok(())
}

/// Removes trees of the same suite by other recipes, unless a server runs on one.
fn remove_outdated(suite: Suite, tree: &Path, part: &Path) -> Result<()> {
    let mounts =
        fs::read_to_string("/proc/self/mountinfo").context("cannot read the list of mounts")?;
    let cache = tree.parent().unwrap_or(tree);
    for entry in fs::read_dir(cache)
        .with_context(|| format!("cannot read {}", cache.display()))?
        .flatten()
    {
        let path = entry.path();
        let ours = path == tree || path == part;
        let of_suite = entry
            .file_name()
            .to_string_lossy()
            .starts_with(&format!("{suite}-"));
        if of_suite && !ours && !mounts.contains(&*path.to_string_lossy()) {
            remove_tree(&path)?;
        }
    }
    Ok(())
}

/// Without following mounts that an interrupted build may have left in it.
fn remove_tree(tree: &Path) -> Result<()> {
    let tree = tree.as_os_str();
    run(
        [
            "rm".as_ref(),
            "-rf".as_ref(),
            "--one-file-system".as_ref(),
            tree,
        ],
        "",
    )
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_mirror_or_suite_makes_another_tree() {
        let mirror = Mirror::default();
        let other = Mirror {
            archive: "http://10.0.0.5/debian".into(),
            ..Mirror::default()
        };
        let name = |suite, mirror| Recipe::new(suite, mirror).name();
        assert_eq!(
            name(Suite::Bookworm, &mirror),
            name(Suite::Bookworm, &mirror)
        );
        assert_ne!(
            name(Suite::Bookworm, &mirror),
            name(Suite::Bookworm, &other)
        );
        assert!(name(Suite::Trixie, &mirror).starts_with("trixie-"));
    }
}
