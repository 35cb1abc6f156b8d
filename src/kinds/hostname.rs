//! The host's own name: the first label in /etc/hostname, as Debian's
//! installer writes it (man 5 hostname); the rest comes from /etc/hosts.

use crate::kinds::file::Write;
use crate::kinds::shell::{PRELUDE, sha256};
use crate::observe::{Seen, quote};
use crate::plan::Plan;
use crate::record::Name;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

const PATH: &str = "/etc/hostname";
const KERNEL: &str =
    "cat /proc/sys/kernel/hostname; if [ -d /etc/cloud/cloud.cfg.d ]; then echo cloud-init; fi";
/// Keeps cloud-init from putting the hoster's name back.
const CLOUD: &str = "/etc/cloud/cloud.cfg.d/99-mailctl.cfg";
const PRESERVE: &str =
    "# Written by mailctl: the host name is kept as it is set.\npreserve_hostname: true\n";

/// The full name; the host is called by its first label. Who calls the host by
/// the full name already may stay with it.
#[derive(Clone, Debug)]
pub struct Hostname(pub Name);

impl Resource for Hostname {
    fn id(&self) -> String {
        "hostname".into()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![
            Probe::Shell(KERNEL.into()),
            Probe::File(PATH.into()),
            Probe::File(CLOUD.into()),
        ]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let mut kernel = seen.shell(KERNEL)?.lines();
        let (live, cloud) = (kernel.next().unwrap_or_default(), kernel.next().is_some());
        let file = seen.file(PATH)?;
        let stored = file.map(|f| f.text()).unwrap_or_default();
        let label = self.0.as_str().split('.').next().unwrap_or_default();
        let right = |name: &str| name == label || name == self.0.as_str();
        let preserved = !cloud
            || seen
                .file(CLOUD)?
                .is_some_and(|f| f.content == PRESERVE.as_bytes());
        let named = right(live) && live == stored.trim();
        if named && preserved {
            return Ok(Vec::new());
        }
        let why = if named {
            "cloud-init would put the old name back"
        } else {
            "the host has another name"
        };
        let want = if right(live) { live } else { label };
        let mut text = PRELUDE.to_owned();
        if !preserved {
            let before = seen.file(CLOUD)?.map(|f| sha256(&f.content));
            text.push_str(&write(CLOUD, PRESERVE, before.as_deref()));
        }
        if !named {
            let before = file.map(|f| sha256(&f.content));
            text.push_str(&write(PATH, &format!("{want}\n"), before.as_deref()));
            let cannot = "'the host name cannot be set'";
            text.push_str(&format!(
                "printf %s {} >/proc/sys/kernel/hostname || fail 1 {cannot}\n",
                quote(want)
            ));
        }
        let change = Change::new(
            self.id(),
            Sign::Update,
            why,
            Action::Script(Script::new(text)),
        );
        Ok(vec![change.before(live).after(want)])
    }
}

fn write(path: &str, content: &str, seen: Option<&str>) -> String {
    Write {
        path,
        content: content.as_bytes(),
        owner: "root:root",
        mode: 0o644,
        seen,
        conffile: false,
        validate: None,
    }
    .fragment()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Answer, FileSeen};

    fn change(kernel: &str, stored: &str, cloud: Option<&str>) -> Option<(String, String)> {
        let file = |text: &str| FileSeen {
            owner: "root:root".into(),
            mode: 0o644,
            content: text.into(),
        };
        let mut seen = Seen::new();
        seen.put(
            Probe::Shell(KERNEL.into()),
            Answer::Shell {
                code: 0,
                out: kernel.into(),
                err: String::new(),
            },
        );
        seen.put(Probe::File(PATH.into()), Answer::File(Some(file(stored))));
        seen.put(Probe::File(CLOUD.into()), Answer::File(cloud.map(file)));
        let name = Name::parse("smtp.wac.tax").expect("name");
        let changes = Hostname(name)
            .diff(&seen, &Plan::default())
            .expect("decided");
        changes.first().map(|c| {
            (
                c.why.clone(),
                c.after
                    .as_ref()
                    .and_then(|a| a.as_str())
                    .unwrap_or_default()
                    .into(),
            )
        })
    }

    #[test]
    fn the_label_or_the_full_name() {
        assert_eq!(change("smtp\n", "smtp\n", None), None);
        assert_eq!(change("smtp.wac.tax\n", "smtp.wac.tax", None), None);
        let other =
            change("vmi1.contaboserver.net\n", "vmi1.contaboserver.net\n", None).expect("a change");
        assert_eq!(other, ("the host has another name".into(), "smtp".into()));
        assert!(
            change("smtp\n", "vmi1\n", None).is_some(),
            "another name after the next boot"
        );
    }

    #[test]
    fn cloud_init_is_told_to_keep_it() {
        assert!(
            change("smtp\ncloud-init\n", "smtp\n", None)
                .expect("a change")
                .0
                .contains("cloud-init")
        );
        assert_eq!(change("smtp\ncloud-init\n", "smtp\n", Some(PRESERVE)), None);
        let name = Name::parse("smtp.wac.tax").expect("name");
        assert!(Hostname(name).diff(&Seen::new(), &Plan::default()).is_err());
    }
}
