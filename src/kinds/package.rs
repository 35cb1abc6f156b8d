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
mod tests {
    use super::*;
    use crate::observe::Answer;

    fn wish(origin: Origin) -> Packages {
        Packages {
            main: "chasquid",
            at_least: "1.19",
            reason: "older ones are unsafe",
            origin,
            others: vec!["fail2ban".into(), "nftables".into()],
            needs: Vec::new(),
        }
    }

    const OURS: Origin = Origin::Source("mailctl-chasquid.sources");

    fn diff(wish: &Packages, installed: &str, policy: &str) -> Result<Option<Change>, Blocked> {
        let shell = |out: &str| Answer::Shell {
            code: 0,
            out: out.into(),
            err: String::new(),
        };
        let mut seen = Seen::new();
        seen.put(Probe::Shell(wish.installed()), shell(installed));
        seen.put(Probe::Shell(wish.candidate()), shell(policy));
        Ok(wish.diff(&seen, &Plan::default())?.pop())
    }

    const ALL: &str = "ii chasquid 1.19.0-1\nii fail2ban 1.0.2-2\nii nftables 1.0.6-2+deb12u2\n";

    #[test]
    fn what_is_there_is_kept_also_when_newer() {
        assert!(diff(&wish(OURS), ALL, "").expect("decided").is_none());
        assert!(
            diff(&wish(OURS), &ALL.replace("1.19.0-1", "1.20.1-1"), "")
                .expect("decided")
                .is_none()
        );
    }

    #[test]
    fn what_is_missing_is_installed_in_one_run() {
        let change = diff(&wish(OURS), "", "")
            .expect("decided")
            .expect("a change");
        assert_eq!(change.sign, Sign::Create);
        assert_eq!(
            change.why,
            "chasquid is not installed; fail2ban, nftables are not installed"
        );
        let Action::Script(script) = &change.action else {
            panic!("a script")
        };
        assert!(
            script
                .text
                .contains("names='chasquid fail2ban nftables' source='mailctl-chasquid.sources'")
        );
        assert!(script.text.contains("others=yes"));
    }

    #[test]
    fn an_older_chasquid_is_an_upgrade_that_restarts_it() {
        let old = ALL.replace("1.19.0-1", "1.15.0-1+b4");
        let change = diff(&wish(OURS), &old, "")
            .expect("decided")
            .expect("a change");
        assert_eq!(change.sign, Sign::Update);
        assert_eq!(
            change.why,
            "chasquid 1.15.0-1+b4 is older than 1.19: older ones are unsafe"
        );
        let plan = Plan {
            changes: vec![change],
            ..Plan::default()
        };
        assert!(touches(&plan, "chasquid") && !touches(&plan, "fail2ban"));
    }

    #[test]
    fn half_removed_is_not_installed() {
        let removed = ALL.replace("ii fail2ban", "rc fail2ban");
        let change = diff(&wish(OURS), &removed, "")
            .expect("decided")
            .expect("a change");
        assert_eq!(change.why, "fail2ban is not installed");
        let Action::Script(script) = &change.action else {
            panic!("a script")
        };
        assert!(
            script.text.contains("names='fail2ban' source='' "),
            "no index of ours is fetched for it"
        );
    }

    #[test]
    fn an_old_package_of_the_distribution_blocks_with_the_reason() {
        let wish = wish(Origin::Distribution);
        let policy = "chasquid:\n  Installed: (none)\n  Candidate: 1.15.0-1+b4\n";
        let blocked = diff(&wish, "", policy).expect_err("too old");
        assert_eq!(
            blocked.why,
            "the distribution has chasquid 1.15.0-1+b4, but 1.19 or newer is needed: older ones are unsafe"
        );
        let policy = policy.replace("1.15.0-1+b4", "1.19.2-1");
        assert!(diff(&wish, "", &policy).expect("decided").is_some());
        assert!(
            diff(&wish, "", "").expect("decided").is_some(),
            "without lists the deed finds out"
        );
        assert!(wish.diff(&Seen::new(), &Plan::default()).is_err());
    }

    #[test]
    fn a_package_file_is_fetched_with_its_hash() {
        let deb = Origin::Deb {
            url: "https://example.org/c.deb".into(),
            sha256: "ab".repeat(32),
        };
        let change = diff(
            &wish(deb),
            ALL.split_once('\n').map_or("", |(_, rest)| rest),
            "",
        )
        .expect("decided");
        let Action::Script(script) = &change.expect("a change").action else {
            panic!("a script")
        };
        assert!(
            script
                .text
                .contains("names='' source='' deb='https://example.org/c.deb' sha256='abab")
        );
    }
}
