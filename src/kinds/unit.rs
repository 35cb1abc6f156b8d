//! A systemd unit that runs, and runs again after a boot.

use std::collections::BTreeMap;

use crate::kinds::shell::PRELUDE;
use crate::observe::{Seen, quote};
use crate::plan::Plan;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

/// Asks for all units at once: one program for every plan.
const PROBE: &str = include_str!("../../templates/units.sh");

/// How systemd has a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State<'a> {
    /// `loaded`, `not-found`, `masked`.
    pub load: &'a str,
    /// `active`, `inactive`, `failed`, `activating`.
    pub active: &'a str,
    /// `enabled`, `disabled`, empty where there is no file.
    pub file: &'a str,
}

impl State<'_> {
    /// What is wrong with it, if anything.
    pub fn complaint(&self) -> Option<&'static str> {
        match self {
            Self { load: "masked", .. } => Some("is masked"),
            Self {
                load: "not-found", ..
            } => Some("is not installed yet"),
            Self {
                active: "failed", ..
            } => Some("has failed"),
            Self { active, .. } if *active != "active" => Some("does not run"),
            Self { file, .. } if *file != "enabled" => Some("does not start at boot"),
            _ => None,
        }
    }
}

/// The probe behind [`states`].
pub fn probe() -> Probe {
    Probe::Shell(PROBE.into())
}

/// All units that were asked for, by name.
///
/// # Errors
/// When systemd did not answer.
pub fn states(seen: &Seen) -> Result<BTreeMap<&str, State<'_>>, Blocked> {
    Ok(seen.shell(PROBE)?.split("\n\n").map(stanza).collect())
}

fn stanza(text: &str) -> (&str, State<'_>) {
    let value = |key: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_default()
    };
    (
        value("Id"),
        State {
            load: value("LoadState"),
            active: value("ActiveState"),
            file: value("UnitFileState"),
        },
    )
}

/// A service that runs.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its full name, such as `fail2ban.service`; one of those that the probe asks for.
    pub name: &'static str,
    /// A command that judges its configuration.
    pub check: &'static str,
    /// Ids of changes after which it has to be restarted.
    pub restarts_for: Vec<String>,
}

impl Resource for Unit {
    fn id(&self) -> String {
        format!("unit {}", self.name)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![probe()]
    }

    fn diff(&self, seen: &Seen, plan: &Plan) -> Result<Vec<Change>, Blocked> {
        let state = states(seen)?.get(self.name).copied().unwrap_or_default();
        let cause = self.restarts_for.iter().find(|id| plan.changes(id));
        let why = match (state.complaint(), cause) {
            (Some("is masked"), _) => {
                return Err(Blocked::new(format!("{} is masked", self.name))
                    .fix(format!("on the server: systemctl unmask {}", self.name)));
            }
            (Some(complaint), _) => format!("it {complaint}"),
            (None, Some(cause)) => format!("{cause} changes"),
            (None, None) => return Ok(Vec::new()),
        };
        let name = quote(self.name);
        let (check, refused) = (
            self.check,
            quote(&format!("{} refuses its configuration", self.name)),
        );
        let failed = quote(&format!("{} does not start", self.name));
        let text = format!(
            "{PRELUDE}{check} >\"$log\" 2>&1 || oops {refused} \"$log\"\nsystemctl daemon-reload\nsystemctl reset-failed {name} 2>/dev/null\n\
             {{ systemctl -q enable {name} && systemctl restart {name}; }} >\"$log\" 2>&1 || \
             {{ journalctl -u {name} -n 5 --no-pager -o cat >>\"$log\" 2>&1; oops {failed} \"$log\"; }}\n"
        );
        let change = Change::new(self.id(), Sign::Run, why, Action::Script(Script::new(text)));
        Ok(vec![change.needs(self.restarts_for.clone())])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::observe::Answer;

    /// What systemd says, as the probe brings it.
    pub(crate) fn seen(text: &str) -> Seen {
        let mut seen = Seen::new();
        seen.put(
            probe(),
            Answer::Shell {
                code: 0,
                out: text.into(),
                err: String::new(),
            },
        );
        seen
    }

    fn why(active: &str, file: &str, plan: &Plan) -> Option<String> {
        let text = format!(
            "Id=fail2ban.service\nLoadState=loaded\nActiveState={active}\nUnitFileState={file}\n\n"
        );
        let unit = Unit {
            name: "fail2ban.service",
            check: "true",
            restarts_for: vec!["file /jail".into()],
        };
        unit.diff(&seen(&text), plan)
            .expect("decided")
            .pop()
            .map(|c| c.why)
    }

    #[test]
    fn it_runs_and_starts_at_boot() {
        let plan = Plan::default();
        assert_eq!(why("active", "enabled", &plan), None);
        assert_eq!(
            why("inactive", "enabled", &plan).as_deref(),
            Some("it does not run")
        );
        assert_eq!(
            why("failed", "enabled", &plan).as_deref(),
            Some("it has failed")
        );
        assert_eq!(
            why("active", "disabled", &plan).as_deref(),
            Some("it does not start at boot")
        );
    }

    #[test]
    fn it_restarts_after_its_file_changes() {
        let action = Action::Script(Script::new(""));
        let changes = vec![Change::new("file /jail", Sign::Update, "", action)];
        let plan = Plan {
            changes,
            ..Plan::default()
        };
        assert_eq!(
            why("active", "enabled", &plan).as_deref(),
            Some("file /jail changes")
        );
    }

    #[test]
    fn masked_or_unseen_blocks() {
        let unit = Unit {
            name: "fail2ban.service",
            check: "true",
            restarts_for: Vec::new(),
        };
        let masked = seen(
            "Id=fail2ban.service\nLoadState=masked\nActiveState=inactive\nUnitFileState=masked\n",
        );
        assert!(unit.diff(&masked, &Plan::default()).is_err());
        assert!(unit.diff(&Seen::new(), &Plan::default()).is_err());
    }
}
