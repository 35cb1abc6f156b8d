//! The journal of a server: read to its end, or followed.

use std::time::Duration;

use super::{Entry, Query};
use crate::failure::{Failure, Result};
use crate::remote::{Held, Remote, Script};

/// A large journal takes long to be searched.
const PATIENCE: Duration = Duration::from_secs(300);

/// Without a sign of life for so many seconds a journalctl on the server ends.
const LEASE: u32 = 90;

/// What the journal has, in its order.
///
/// # Errors
/// When the connection is lost, or journalctl does not take the query.
pub fn read(remote: &dyn Remote, query: &Query) -> Result<Vec<Entry>> {
    let output = remote.run(&Script::new(query.command()).within(PATIENCE))?;
    let entries: Vec<Entry> = output.text().lines().filter_map(Entry::parse).collect();
    let complains = output.code != 0 || (entries.is_empty() && !output.err.is_empty());
    if complains {
        return Err(unread(remote, &output.complaint()));
    }
    Ok(entries)
}

fn unread(remote: &dyn Remote, why: &str) -> Failure {
    let place = remote.place();
    Failure::new(format!("the log on {place} cannot be read: {why}")).hint(
        "see `journalctl -u chasquid` on the server; --since takes -1h, today, \"2026-11-25 10:00\"",
    )
}

/// A journal that is followed until this is dropped.
pub struct Follow<'a> {
    remote: &'a dyn Remote,
    held: Box<dyn Held>,
}

/// Begins to follow: first what the query asks for, then what is written.
///
/// # Errors
/// When the connection is lost.
pub fn follow<'a>(remote: &'a dyn Remote, query: &Query) -> Result<Follow<'a>> {
    let query = Query {
        follow: true,
        words: Vec::new(),
        ..query.clone()
    };
    let held = remote.hold(&Script::new(script(&query)))?;
    Ok(Follow { remote, held })
}

/// journalctl runs as long as standard input gives signs of life.
fn script(query: &Query) -> String {
    format!(
        "echo following
{} </dev/null 2>&1 & log=$!
while kill -0 $log 2>/dev/null && timeout {LEASE} sh -c 'read -r beat'; do :; done
kill $log 2>/dev/null; wait $log",
        query.command()
    )
}

impl Follow<'_> {
    /// What was written since, waiting at most `limit` for the first.
    ///
    /// # Errors
    /// When the connection is lost or journalctl ends.
    pub fn next(&self, limit: Duration) -> Result<Vec<Entry>> {
        let Some(lines) = self.held.lines(limit)? else {
            return Err(unread(self.remote, "journalctl has ended"));
        };
        let entry = |line: &String| Entry::parse(line).ok_or_else(|| unread(self.remote, line));
        lines.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maillog::Since;
    use crate::remote::here::Here;

    /// A stand-in for journalctl, found first.
    fn with_journalctl(script: &str, test: impl FnOnce(&Query, &str)) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journalctl");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        test(&Query::default(), &directory.path().display().to_string());
    }

    #[test]
    fn a_followed_journal_ends_with_its_reader() {
        let entry =
            r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":"a","_SYSTEMD_UNIT":"chasquid.service"}"#;
        let body = format!("echo $$ >\"$(dirname \"$0\")/pid\"; echo '{entry}'; exec sleep 1000");
        with_journalctl(&body, |query, directory| {
            let text = format!("PATH={directory}:$PATH\n{}", script(query));
            let held = Here.hold(&Script::new(text)).expect("held");
            let follow = Follow {
                remote: &Here,
                held,
            };
            let entries = follow.next(Duration::from_secs(10)).expect("read");
            assert_eq!(entries.len(), 1);
            assert!(
                follow
                    .next(Duration::from_millis(20))
                    .expect("read")
                    .is_empty()
            );
            let pid = std::fs::read_to_string(format!("{directory}/pid")).expect("it began");
            let there = || std::path::Path::new("/proc").join(pid.trim()).exists();
            assert!(there());
            drop(follow);
            assert!(!there(), "journalctl is left");
        });
    }

    #[test]
    fn what_journalctl_complains_of_is_told() {
        with_journalctl(
            "echo Failed to parse timestamp >&2; exit 1",
            |query, path| {
                let text = format!("PATH={path}:$PATH\n{}", script(query));
                let held = Here.hold(&Script::new(text)).expect("held");
                let follow = Follow {
                    remote: &Here,
                    held,
                };
                let failure = follow.next(Duration::from_secs(10)).expect_err("refused");
                assert!(
                    failure.told().contains("Failed to parse timestamp"),
                    "{failure:?}"
                );
            },
        );
        let query = Query {
            since: Since::parse("no such day").ok(),
            ..Query::default()
        };
        assert!(read(&Here, &query).is_err());
    }
}
