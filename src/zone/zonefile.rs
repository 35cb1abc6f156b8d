//! A zone file in the form that BIND, NSD and Knot read (RFC 1035 section 5),
//! on this machine: for those who run a name server without an API.

mod edit;
mod file;
mod lex;
mod parse;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

pub(super) use self::edit::line;
use self::parse::parse;
use super::{DEFAULT_TTL, Zone, alike, changed_since, inside, program, writers};
use crate::failure::{Exit, Failure, Result};
use crate::record::{Name, Rrset, RrsetKey, wire};

/// Its id in the catalogue.
pub const ID: &str = "zonefile";

/// Stands for the zone's name in `path` and `reload`.
const ZONE: &str = "{zone}";

/// How long `reload` may take.
const RELOAD: Duration = Duration::from_secs(60);

/// Zone files, one a zone.
pub struct ZoneFile {
    path: String,
    reload: Option<Vec<String>>,
}

impl ZoneFile {
    /// The file at `path`, and the command that tells the name server of a
    /// change. In both, `{zone}` is the zone's name.
    ///
    /// # Errors
    /// When `path` or `reload` is empty.
    pub fn new(path: &str, reload: Option<&str>) -> Result<Self> {
        if path.is_empty() {
            return Err(Failure::new("`path` of the zone file is empty").exit(Exit::Unsound));
        }
        Ok(Self {
            path: path.to_owned(),
            reload: reload.map(program::words).transpose()?,
        })
    }

    fn path(&self, zone: &Name) -> PathBuf {
        PathBuf::from(self.path.replace(ZONE, zone.as_str()))
    }

    fn read(&self, zone: &Name) -> Result<Vec<u8>> {
        let path = self.path(zone);
        let journal = PathBuf::from(format!("{}.jnl", path.display()));
        if journal.exists() {
            return Err(Failure::new(format!(
                "{} has a journal beside it: the name server writes this zone itself",
                path.display()
            ))
            .hint("use the provider `rfc2136` for a zone that takes dynamic updates"));
        }
        std::fs::read(&path).map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::NotFound => format!(
                    "make the zone {zone} first, or mend `path`: `{ZONE}` in it stands for the zone's name"
                ),
                _ => "run mailctl as somebody who may read and write it".to_owned(),
            };
            Failure::new(format!("the zone file {} of {zone} cannot be read", path.display()))
                .because(error)
                .hint(hint)
        })
    }

    fn unsound(&self, zone: &Name, why: String) -> Failure {
        let path = self.path(zone);
        Failure::new(format!("the zone file {} of {zone}", path.display()))
            .because(why)
            .hint(format!(
                "mend the file; `{ZONE}` in `path` stands for the zone's name"
            ))
    }

    /// Makes the change, where the set still is `before`; what the file was, where it changed.
    fn change(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<Option<Vec<u8>>> {
        let path = self.path(zone);
        let _held = file::lock(&path)?;
        let old = self.read(zone)?;
        let unsound = |why| self.unsound(zone, why);
        let seen = parse(&old, zone).map_err(unsound)?.set(&want.key);
        if alike(want, &seen) {
            return Ok(None);
        }
        if !alike(before, &seen) {
            return Err(changed_since(&want.key));
        }
        let ttl = want.ttl.or(seen.ttl).unwrap_or(DEFAULT_TTL);
        let new = edit::replaced(&old, zone, want, ttl).map_err(unsound)?;
        file::replace(&path, &new)?;
        // Only what can be read again was written.
        let after = parse(&self.read(zone)?, zone).map_err(unsound)?;
        if alike(want, &after.set(&want.key)) {
            Ok(Some(old))
        } else {
            Err(changed_since(&want.key))
        }
    }

    async fn reload(&self, zone: &Name) -> Result<()> {
        let Some(command) = &self.reload else {
            return Ok(());
        };
        let words: Vec<String> = command
            .iter()
            .map(|word| word.replace(ZONE, zone.as_str()))
            .collect();
        match program::run(&words, "", RELOAD).await?.trouble {
            None => Ok(()),
            Some(why) => Err(Failure::new(why)),
        }
    }

    /// Takes a change back that the name server was not told of, so that the
    /// next plan sees it again. The serial number goes on.
    fn restore(&self, zone: &Name, old: &[u8]) -> Result<()> {
        let path = self.path(zone);
        let _held = file::lock(&path)?;
        let unsound = |why| self.unsound(zone, why);
        let once = edit::bumped(old, zone).map_err(unsound)?;
        file::replace(&path, &edit::bumped(&once, zone).map_err(unsound)?)
    }
}

#[async_trait]
impl Zone for ZoneFile {
    fn provider(&self) -> &str {
        ID
    }

    fn guarded(&self) -> bool {
        true
    }

    async fn list(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        inside(zone, keys)?;
        let parsed = parse(&self.read(zone)?, zone).map_err(|why| self.unsound(zone, why))?;
        Ok(keys.iter().map(|key| parsed.set(key)).collect())
    }

    async fn set(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
        inside(zone, [&want.key])?;
        for value in &want.values {
            wire::to_rdata(want.key.rtype, value).map_err(Failure::new)?;
        }
        let _writer = writers::lock(zone).await;
        let Some(old) = self.change(zone, before, want)? else {
            return Ok(());
        };
        self.reload(zone).await.map_err(|why| {
            let what = match self.restore(zone, &old) {
                Ok(()) => "and the file is as before".to_owned(),
                Err(also) => format!("and the file stays changed: {}", also.chain()),
            };
            Failure::new(format!(
                "the name server was not told of {}, {what}",
                want.key
            ))
            .because(why)
            .hint("run the command of `reload` by hand to see why, then run this again")
        })
    }
}

/// One set of a zone file, for tests of what is written as such.
#[cfg(test)]
pub(super) fn read(text: &[u8], zone: &Name, key: &RrsetKey) -> Result<Rrset, String> {
    Ok(parse(text, zone)?.set(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RType;

    const FILE: &str =
        "$TTL 300\n@ SOA ns1 host 1 3600 600 86400 60\n NS ns1\nns1 A 192.0.2.1 ; ours\n";

    fn zone() -> Name {
        Name::parse("example.test").expect("a name")
    }

    fn set(value: &str) -> Rrset {
        let key = RrsetKey::new(zone().child("new"), RType::A);
        Rrset::new(key, Some(300), [value])
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn new(text: &str) -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            std::fs::write(directory.path().join("example.test.zone"), text).expect("written");
            Self(directory)
        }

        fn path(&self) -> String {
            format!("{}/{ZONE}.zone", self.0.path().display())
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.path().replace(ZONE, "example.test")).expect("text")
        }

        async fn written(&self, reload: Option<&str>) -> Result<()> {
            let file = ZoneFile::new(&self.path(), reload).expect("a provider");
            let want = set("192.0.2.9");
            file.set(&zone(), &Rrset::absent(want.key.clone()), &want)
                .await
        }
    }

    #[tokio::test]
    async fn the_name_server_is_told_of_the_zone() {
        let place = Place::new(FILE);
        let told = place.0.path().join("told-{zone}");
        let reload = format!("touch {}", told.display());
        place.written(Some(&reload)).await.expect("written");
        assert!(place.0.path().join("told-example.test").exists());
        assert_eq!(
            place.text(),
            FILE.replace("host 1 ", "host 2 ") + "new.example.test.\t300\tIN\tA\t192.0.2.9\n"
        );
    }

    #[tokio::test]
    async fn where_it_cannot_be_told_the_next_plan_sees_it_again() {
        let place = Place::new(FILE);
        let why = place
            .written(Some("false {zone}"))
            .await
            .expect_err("refused");
        assert!(
            why.told().contains("the file is as before"),
            "{}",
            why.told()
        );
        assert_eq!(place.text(), FILE.replace("host 1 ", "host 3 "));
    }

    #[tokio::test]
    async fn a_zone_that_the_server_writes_is_left_to_it() {
        let place = Place::new(FILE);
        let journal = place.path().replace(ZONE, "example.test") + ".jnl";
        std::fs::write(journal, "").expect("written");
        let why = place.written(None).await.expect_err("refused").told();
        assert!(why.contains("rfc2136"), "{why}");
        assert_eq!(place.text(), FILE);
    }

    #[tokio::test]
    async fn includes_are_refused_with_their_line() {
        let place = Place::new(&format!("{FILE}$INCLUDE more.zone\n"));
        let why = place.written(None).await.expect_err("refused").told();
        assert!(why.contains("line 5: $INCLUDE more.zone"), "{why}");
    }
}
