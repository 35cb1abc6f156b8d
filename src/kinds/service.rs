//! chasquid, running with what lies in /etc/chasquid.

use std::time::Duration;

use crate::kinds::shell::PRELUDE;
use crate::kinds::{package, unit};
use crate::observe::Seen;
use crate::plan::Plan;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

const SCRIPT: &str = include_str!("../../templates/restart-chasquid.sh");
const UNITS: [&str; 4] = [
    "chasquid.service",
    "chasquid-smtp.socket",
    "chasquid-submission.socket",
    "chasquid-submission_tls.socket",
];

/// Beginnings of the ids that chasquid only learns of by a restart: it reads
/// configuration, certificates, signing keys and the list of domains once.
const RESTART: [&str; 5] = [
    "file /etc/chasquid/chasquid.conf",
    "file /etc/systemd/system/chasquid.service.d/",
    "certificate ",
    "signing ",
    "domain ",
];
/// Beginnings of the ids that SIGHUP is enough for.
const RELOAD: [&str; 2] = ["users ", "aliases "];

/// The running server.
#[derive(Clone, Copy, Debug)]
pub struct Chasquid;

impl Chasquid {
    /// Why it is to be started, whatever else changes.
    fn own_reason(seen: &Seen) -> Result<Option<String>, Blocked> {
        let states = unit::states(seen)?;
        for name in UNITS {
            let state = states.get(name).copied().unwrap_or_default();
            match state.complaint() {
                Some("is masked") => {
                    let fix = format!("on the server: systemctl unmask {name}");
                    return Err(Blocked::new(format!("{name} is masked")).fix(fix));
                }
                Some(complaint) => return Ok(Some(format!("{name} {complaint}"))),
                None => {}
            }
        }
        let due = states.contains_key("restart-due");
        Ok(due.then(|| "it does not know the last changes yet".into()))
    }
}

fn restarts_for(id: &str) -> bool {
    RESTART.iter().any(|start| id.starts_with(start))
}

fn reloads_for(id: &str) -> bool {
    RELOAD.iter().any(|start| id.starts_with(start))
}

impl Resource for Chasquid {
    fn id(&self) -> String {
        "service chasquid".into()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![unit::probe()]
    }

    fn diff(&self, seen: &Seen, plan: &Plan) -> Result<Vec<Change>, Blocked> {
        let own = Self::own_reason(seen)?;
        let package = package::touches(plan, "chasquid");
        let read = |c: &&Change| {
            restarts_for(&c.id) || reloads_for(&c.id) || (package && c.id == package::ID)
        };
        let causes: Vec<&Change> = plan.changes.iter().filter(read).collect();
        let restart = causes.iter().find(|c| !reloads_for(&c.id));
        let (how, why) = match (&own, restart, causes.first()) {
            (Some(why), ..) => ("restart", why.clone()),
            (None, Some(_), _) if package => ("restart", "its package changes".into()),
            (None, Some(change), _) => ("restart", format!("{} changes", change.id)),
            (None, None, Some(change)) => ("reload", format!("{} changes", change.id)),
            (None, None, None) => return Ok(Vec::new()),
        };
        let script =
            Script::new(format!("{PRELUDE}how={how}\n{SCRIPT}")).within(Duration::from_secs(180));
        let mut change = Change::new(self.id(), Sign::Run, why, Action::Script(script)).after(how);
        // It does not start without any certificate.
        let first = |c: &&&Change| c.kind() == "certificate" && c.sign == Sign::Create;
        change.needs = causes.iter().filter(first).map(|c| c.id.clone()).collect();
        if own.is_none() {
            change.follows = causes.iter().map(|c| c.id.clone()).collect();
        }
        Ok(vec![change])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn systemd(active: &str, extra: &str) -> Seen {
        let stanza = |name: &str| {
            format!("Id={name}\nLoadState=loaded\nActiveState={active}\nUnitFileState=enabled\n\n")
        };
        unit::tests::seen(&(UNITS.map(stanza).concat() + extra))
    }

    fn plan(ids: &[&str]) -> Plan {
        let change =
            |id: &&str| Change::new(*id, Sign::Update, "", Action::Script(Script::new("")));
        Plan {
            changes: ids.iter().map(change).collect(),
            ..Plan::default()
        }
    }

    fn how(seen: &Seen, plan: &Plan) -> Option<(String, Vec<String>)> {
        let change = Chasquid.diff(seen, plan).expect("decided").pop()?;
        Some((change.after?.as_str()?.to_owned(), change.follows))
    }

    #[test]
    fn what_needs_a_restart_and_what_a_reload() {
        let up = systemd("active", "");
        assert_eq!(how(&up, &plan(&[])), None);
        assert_eq!(
            how(&up, &plan(&["file /etc/hosts", "rrset wac.tax MX"])),
            None
        );
        for id in [
            "certificate smtp.wac.tax",
            "signing wac.tax s1",
            "domain wac.tax",
            "file /etc/chasquid/chasquid.conf",
        ] {
            assert_eq!(
                how(&up, &plan(&["users wac.tax", id])).expect("a change").0,
                "restart",
                "{id}"
            );
        }
        let (how, follows) =
            how(&up, &plan(&["users wac.tax", "aliases wac.tax", "port 25"])).expect("a change");
        assert_eq!(
            (how.as_str(), follows),
            (
                "reload",
                vec!["users wac.tax".to_owned(), "aliases wac.tax".to_owned()]
            )
        );
    }

    #[test]
    fn an_interrupted_apply_is_made_up_for() {
        assert_eq!(
            how(&systemd("active", "Id=restart-due\n"), &plan(&[]))
                .expect("a change")
                .0,
            "restart"
        );
        assert_eq!(
            how(&systemd("inactive", ""), &plan(&[]))
                .expect("a change")
                .0,
            "restart"
        );
        assert_eq!(
            how(&unit::tests::seen(""), &plan(&[])).expect("a change").0,
            "restart",
            "not installed yet"
        );
        assert!(Chasquid.diff(&Seen::new(), &plan(&[])).is_err());
    }
}
