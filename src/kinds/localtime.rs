//! The system's time zone (man 5 localtime).

use crate::facts;
use crate::kinds::shell::PRELUDE;
use crate::observe::{Seen, quote};
use crate::plan::Plan;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

/// Names of zoneinfo that mean the same as UTC.
const UTC: &[&str] = &[
    "UTC",
    "Etc/UTC",
    "UCT",
    "Etc/UCT",
    "Zulu",
    "Etc/Zulu",
    "Universal",
    "Etc/Universal",
];

/// The wished time zone, as below /usr/share/zoneinfo.
#[derive(Clone, Debug)]
pub struct Localtime(pub String);

fn is_utc(zone: &str) -> bool {
    UTC.contains(&zone)
}

impl Resource for Localtime {
    fn id(&self) -> String {
        "localtime".into()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Shell(facts::PROBE.into())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        seen.shell(facts::PROBE)?;
        let (now, want) = (seen.facts().timezone, self.0.as_str());
        if now == want || is_utc(&now) && is_utc(want) {
            return Ok(Vec::new());
        }
        let why = if now.is_empty() {
            "the time zone is a file of unknown name"
        } else {
            "the time zone differs"
        };
        let change = Change::new(
            self.id(),
            Sign::Update,
            why,
            Action::Script(self.script("")),
        );
        Ok(vec![change.before(now).after(want)])
    }
}

impl Localtime {
    /// `root` goes before every path: empty, except in tests.
    fn script(&self, root: &str) -> Script {
        // A link that leads nowhere is UTC, so UTC needs no tzdata.
        let zone = if is_utc(&self.0) { "Etc/UTC" } else { &self.0 };
        let check = if is_utc(zone) {
            String::new()
        } else {
            let missing = quote(&format!(
                "there is no time zone {zone} on the server (package tzdata)"
            ));
            format!(
                "[ -f {root}/usr/share/zoneinfo/{} ] || fail 1 {missing}\n",
                quote(zone)
            )
        };
        Script::new(format!(
            "{PRELUDE}{check}ln -sfn /usr/share/zoneinfo/{zone} {root}/etc/localtime.mailctl-new 2>\"$log\" && \
             mv -fT {root}/etc/localtime.mailctl-new {root}/etc/localtime 2>\"$log\" || oops '/etc/localtime cannot be written' \"$log\"\n\
             if [ -e {root}/etc/timezone ]; then echo {zone} >{root}/etc/timezone; fi\n",
            zone = quote(zone)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::shell::run;
    use crate::observe::Answer;

    fn differs(link: &str, want: &str) -> bool {
        let mut seen = Seen::new();
        let out = format!("os=debian\nlocaltime={link}\n");
        seen.put(
            Probe::Shell(facts::PROBE.into()),
            Answer::Shell {
                code: 0,
                out,
                err: String::new(),
            },
        );
        !Localtime(want.into())
            .diff(&seen, &Plan::default())
            .expect("decided")
            .is_empty()
    }

    #[test]
    fn compared_by_meaning() {
        assert!(!differs("/usr/share/zoneinfo/Etc/UTC", "UTC"));
        assert!(!differs("", "UTC"), "no file means UTC");
        assert!(!differs(
            "../usr/share/zoneinfo/Europe/Berlin",
            "Europe/Berlin"
        ));
        assert!(differs("/usr/share/zoneinfo/Europe/Berlin", "UTC"));
        assert!(differs("copy CET-1", "UTC"));
        assert!(
            Localtime("UTC".into())
                .diff(&Seen::new(), &Plan::default())
                .is_err()
        );
    }

    #[test]
    fn the_script_links_and_refuses_unknown_zones() {
        let dir = tempfile::tempdir().expect("dir");
        let root = dir.path().to_str().expect("utf-8");
        std::fs::create_dir_all(dir.path().join("etc")).expect("etc");
        std::fs::create_dir_all(dir.path().join("usr/share/zoneinfo/Europe")).expect("zoneinfo");
        std::fs::write(dir.path().join("usr/share/zoneinfo/Europe/Berlin"), "TZif").expect("zone");
        std::fs::write(dir.path().join("etc/localtime"), "a copy").expect("copy");
        std::fs::write(dir.path().join("etc/timezone"), "Etc/UTC\n").expect("name");
        let (code, _, err) = run(&Localtime("Europe/Berlin".into()).script(root).text);
        assert_eq!(code, 0, "{err}");
        let link = std::fs::read_link(dir.path().join("etc/localtime")).expect("link");
        assert_eq!(link.to_str(), Some("/usr/share/zoneinfo/Europe/Berlin"));
        assert_eq!(
            std::fs::read_to_string(dir.path().join("etc/timezone")).expect("name"),
            "Europe/Berlin\n"
        );
        let (code, _, err) = run(&Localtime("Europe/Atlantis".into()).script(root).text);
        assert_eq!(
            (code, err.contains("no time zone Europe/Atlantis")),
            (1, true)
        );
        assert_eq!(run(&Localtime("UTC".into()).script(root).text).0, 0);
    }
}
