//! Debian packages, all of them in one run of apt.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::kinds::shell::PRELUDE;
use crate::kinds::{RESTART_DUE, version};
use crate::observe::{Seen, quote};
use crate::plan::Plan;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

/// The id of the one change.
pub const ID: &str = "packages";
const SCRIPT: &str = include_str!("../../templates/apt.sh");
/// A slow mirror, a slow disk, and another apt before ours.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Where the packages come from that the distribution does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A source file of ours below /etc/apt/sources.list.d.
    Source(&'static str),
    /// What the server's apt has anyway.
    Distribution,
    /// One package file.
    Deb {
        /// Its address.
        url: String,
        /// Its SHA-256, hexadecimal.
        sha256: String,
    },
}

/// The mail server's package, and all others.
#[derive(Clone, Debug)]
pub struct Packages {
    /// The package that has an origin of its own.
    pub main: &'static str,
    /// The oldest version of it that will do.
    pub at_least: &'static str,
    /// Why an older one will not do.
    pub reason: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// The others, in any version.
    pub others: Vec<String>,
    /// Ids of the files that apt reads.
    pub needs: Vec<String>,
}

impl Packages {
    /// Installed packages, `name version` a line; others are not there.
    fn installed(&self) -> String {
        let names: Vec<String> = std::iter::once(self.main)
            .chain(self.others.iter().map(String::as_str))
            .map(quote)
            .collect();
        // It complains, with a status of 1, about each that is not known.
        format!(
            "dpkg-query -W -f='${{db:Status-Abbrev}}${{Package}} ${{Version}}\\n' {} 2>/dev/null; :",
            names.join(" ")
        )
    }

    /// What apt would install from the server's own sources.
    fn candidate(&self) -> String {
        format!("LC_ALL=C apt-cache policy {}", quote(self.main))
    }

    fn script(&self, names: &[&str], main: bool) -> Script {
        let (mut source, mut deb, mut sha256) = ("", "", "");
        let mut names = names.to_vec();
        match &self.origin {
            _ if !main => {}
            Origin::Source(file) => source = file,
            Origin::Distribution => {}
            Origin::Deb { url, sha256: hash } => {
                names.retain(|name| *name != self.main);
                (deb, sha256) = (url, hash);
            }
        }
        let others = if names.iter().any(|name| *name != self.main) {
            "yes"
        } else {
            "no"
        };
        let others = if main && self.origin == Origin::Distribution {
            "yes"
        } else {
            others
        };
        let mark = if main { RESTART_DUE } else { ":" };
        let text = format!(
            "{PRELUDE}{mark}\nnames={} source={} deb={} sha256={} least={} others={others}\n{SCRIPT}",
            quote(&names.join(" ")),
            quote(source),
            quote(deb),
            quote(sha256),
            quote(if main { self.at_least } else { "" }),
        );
        Script::new(text).within(LIMIT)
    }

    /// A distribution's own package is only taken where it is new enough.
    fn new_enough(&self, seen: &Seen) -> Result<(), Blocked> {
        if self.origin != Origin::Distribution {
            return Ok(());
        }
        let policy = seen.shell(&self.candidate())?;
        let candidate = policy
            .lines()
            .find_map(|l| l.trim().strip_prefix("Candidate: "));
        match candidate {
            Some(candidate)
                if candidate != "(none)" && !version::at_least(candidate, self.at_least) =>
            {
                let Self {
                    main,
                    at_least,
                    reason,
                    ..
                } = self;
                Err(Blocked::new(format!("the distribution has {main} {candidate}, but {at_least} or newer is needed: {reason}"))
                    .fix("say `source: debian-testing` under `server`"))
            }
            // Without lists apt cannot say; the deed updates them and looks again.
            _ => Ok(()),
        }
    }
}

/// Whether the run of apt in a plan changes this package.
pub fn touches(plan: &Plan, name: &str) -> bool {
    let run = plan.changes.iter().find(|change| change.id == ID);
    run.and_then(|change| change.after.as_ref())
        .is_some_and(|after| after.get(name).is_some())
}

impl Resource for Packages {
    fn id(&self) -> String {
        ID.into()
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![Probe::Shell(self.installed())];
        if self.origin == Origin::Distribution {
            probes.push(Probe::Shell(self.candidate()));
        }
        probes
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let installed: BTreeMap<&str, &str> = seen
            .shell(&self.installed())?
            .lines()
            .filter_map(|l| l.strip_prefix("ii ")?.trim().split_once(' '))
            .collect();
        let main = installed.get(self.main).copied();
        let wanted = main.is_none_or(|v| !version::at_least(v, self.at_least));
        let missing: Vec<&str> = self
            .others
            .iter()
            .map(String::as_str)
            .filter(|name| !installed.contains_key(name))
            .collect();
        if !wanted && missing.is_empty() {
            return Ok(Vec::new());
        }
        let mut why = Vec::new();
        let (mut before, mut after) = (Map::new(), Map::new());
        if wanted {
            self.new_enough(seen)?;
            after.insert(self.main.into(), format!(">= {}", self.at_least).into());
            match main {
                Some(version) => {
                    before.insert(self.main.into(), version.into());
                    why.push(format!(
                        "{} {version} is older than {}: {}",
                        self.main, self.at_least, self.reason
                    ));
                }
                None => why.push(format!("{} is not installed", self.main)),
            }
        }
        match missing[..] {
            [] => {}
            [one] => why.push(format!("{one} is not installed")),
            _ => why.push(format!("{} are not installed", missing.join(", "))),
        }
        after.extend(
            missing
                .iter()
                .map(|name| ((*name).to_owned(), Value::from("installed"))),
        );
        let names: Vec<&str> = wanted
            .then_some(self.main)
            .into_iter()
            .chain(missing)
            .collect();
        let sign = if before.is_empty() {
            Sign::Create
        } else {
            Sign::Update
        };
        let mut change = Change::new(
            self.id(),
            sign,
            why.join("; "),
            Action::Script(self.script(&names, wanted)),
        )
        .after(Value::Object(after))
        .needs(self.needs.clone());
        if !before.is_empty() {
            change = change.before(Value::Object(before));
        }
        Ok(vec![change])
    }
}

#[cfg(test)]
mod tests;
