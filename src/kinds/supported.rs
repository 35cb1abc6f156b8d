//! Whether the system is one that mailctl knows its way around.

use crate::facts::{self, Facts};
use crate::observe::Seen;
use crate::plan::Plan;
use crate::resource::{Blocked, Change, Probe, Resource};

/// `ID` and `VERSION_ID` of os-release.
const SYSTEMS: &[(&str, &str)] = &[
    ("debian", "12"),
    ("debian", "13"),
    ("ubuntu", "22.04"),
    ("ubuntu", "24.04"),
    ("ubuntu", "26.04"),
];

const KNOWN: &str = "Debian 12 or 13, or Ubuntu 22.04, 24.04 or 26.04";

/// A system that is supported; everything else is refused by name.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Resource for System {
    fn id(&self) -> String {
        "system".into()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Shell(facts::PROBE.into())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        seen.shell(facts::PROBE)?;
        judge(&seen.facts()).map(|()| Vec::new())
    }
}

fn judge(facts: &Facts) -> Result<(), Blocked> {
    if !SYSTEMS.contains(&(facts.os.as_str(), facts.version.as_str())) {
        let name = if facts.pretty.is_empty() {
            "a system without a name"
        } else {
            &facts.pretty
        };
        return Err(
            Blocked::new(format!("{name} is not supported: mailctl sets up {KNOWN}"))
                .fix(format!("have the hoster install {KNOWN} on the server")),
        );
    }
    if !facts.systemd {
        return Err(Blocked::new(format!(
            "{} is there, but systemd does not run it",
            facts.pretty
        ))
        .fix("use a virtual machine or a container that boots with systemd"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Answer;

    /// The fixtures' os-release, read by the shell as the probe does it.
    fn facts(file: &str) -> Facts {
        let path = format!(
            "{}/tests/fixtures/os-release/{file}",
            env!("CARGO_MANIFEST_DIR")
        );
        let probe = facts::PROBE.replace("/etc/os-release", &path);
        let (code, out, err) = crate::kinds::shell::run(&probe);
        assert_eq!(code, 0, "{err}");
        Facts {
            systemd: true,
            ..Facts::parse(&out)
        }
    }

    #[test]
    fn five_systems_are_accepted() {
        for file in [
            "debian-12",
            "debian-13",
            "ubuntu-22.04",
            "ubuntu-24.04",
            "ubuntu-26.04",
        ] {
            assert_eq!(judge(&facts(file)), Ok(()), "{file}");
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        let refused = [
            ("debian-11", "Debian GNU/Linux 11 (bullseye)"),
            ("debian-testing", "Debian GNU/Linux forky/sid"),
            ("ubuntu-20.04", "Ubuntu 20.04.6 LTS"),
            ("ubuntu-25.10", "Ubuntu 25.10"),
            ("fedora-41", "Fedora Linux 41 (Server Edition)"),
            ("alpine-3.20", "Alpine Linux v3.20"),
        ];
        for (file, name) in refused {
            let blocked = judge(&facts(file)).expect_err(file);
            assert!(
                blocked.why.starts_with(&format!("{name} is not supported")),
                "{}",
                blocked.why
            );
        }
    }

    #[test]
    fn what_was_not_seen_is_not_supported() {
        let mut seen = Seen::new();
        assert!(System.diff(&seen, &Plan::default()).is_err());
        let gone = Answer::Shell {
            code: 2,
            out: String::new(),
            err: "no os-release".into(),
        };
        seen.put(Probe::Shell(facts::PROBE.into()), gone);
        assert!(System.diff(&seen, &Plan::default()).is_err());
        let container = Facts {
            systemd: false,
            ..facts("debian-12")
        };
        assert!(
            judge(&container)
                .expect_err("no systemd")
                .why
                .contains("systemd does not run it")
        );
    }
}
