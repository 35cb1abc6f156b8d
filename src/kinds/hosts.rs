//! One line of /etc/hosts, so that `hostname -f` gives the full name. All
//! other lines stay.

use crate::kinds::file::File;
use crate::observe::Seen;
use crate::plan::Plan;
use crate::record::Name;
use crate::resource::{Blocked, Change, Probe, Resource};

const PATH: &str = "/etc/hosts";
/// What cloud-init writes /etc/hosts from at every boot, where it is told to manage that file.
const TEMPLATE: &str = "/etc/cloud/templates/hosts.debian.tmpl";
/// How our line is known again once the name has changed.
const MARK: &str = "# mailctl";

/// The full name of the host, found by its first label.
#[derive(Clone, Debug)]
pub struct Hosts(pub Name);

impl Resource for Hosts {
    fn id(&self) -> String {
        format!("hosts {PATH}")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::File(PATH.into()), Probe::File(TEMPLATE.into())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let hosts = seen.file(PATH)?;
        let text = hosts.map(|f| f.text()).unwrap_or_default();
        let managed = text.contains("manage_etc_hosts");
        let template = seen.file(TEMPLATE)?.filter(|_| managed);
        let mut changes = Vec::new();
        for (path, file) in [(PATH, Some(hosts)), (TEMPLATE, template.map(Some))] {
            let Some(file) = file else { continue };
            let present = file.map(|f| f.text()).unwrap_or_default();
            if let Some(wanted) = with_line(&present, &self.0) {
                let why = format!("`hostname -f` would not give {}", self.0);
                let mut change =
                    File::new(path, wanted, "").change(format!("hosts {path}"), file, why);
                change.before = None;
                change = change.after(line(&self.0));
                change.ledger.clear();
                changes.push(change);
            }
        }
        Ok(changes)
    }
}

fn label(name: &Name) -> &str {
    name.as_str().split('.').next().unwrap_or_default()
}

fn line(name: &Name) -> String {
    format!("127.0.1.1 {name} {} {MARK}", label(name))
}

/// The names of a line, the canonical one first.
fn names(line: &str) -> Vec<&str> {
    let data = line.split('#').next().unwrap_or_default();
    data.split_whitespace().skip(1).collect()
}

/// The text with our line in its place; `None` where the text does already.
fn with_line(text: &str, name: &Name) -> Option<String> {
    let finds = |line: &&str| names(line).contains(&label(name));
    let own = |line: &str| line.trim_end().ends_with(MARK);
    let right = text
        .lines()
        .find(finds)
        .is_some_and(|l| names(l).first() == Some(&name.as_str()));
    let stale = text
        .lines()
        .any(|l| own(l) && !names(l).contains(&name.as_str()));
    if right && !stale {
        return None;
    }
    let mut lines: Vec<&str> = text.lines().filter(|l| !own(l)).collect();
    let line = line(name);
    // The first line that has the label wins, so ours goes before it.
    let at = lines.iter().position(finds).unwrap_or_else(|| {
        lines
            .iter()
            .position(|l| l.starts_with("127.0.0.1"))
            .map_or(lines.len(), |i| i + 1)
    });
    lines.insert(at, &line);
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name::parse("smtp.wac.tax").expect("name")
    }

    fn after(text: &str) -> String {
        let wanted = with_line(text, &name()).expect("a change");
        assert_eq!(with_line(&wanted, &name()), None, "twice is once");
        wanted
    }

    #[test]
    fn ours_follows_localhost() {
        let text = "127.0.0.1\tlocalhost\n127.0.1.1 vmi1.contaboserver.net vmi1\n\n::1 localhost ip6-localhost\n";
        assert_eq!(
            after(text),
            "127.0.0.1\tlocalhost\n127.0.1.1 smtp.wac.tax smtp # mailctl\n127.0.1.1 vmi1.contaboserver.net vmi1\n\n::1 localhost ip6-localhost\n"
        );
        assert_eq!(after(""), "127.0.1.1 smtp.wac.tax smtp # mailctl\n");
    }

    #[test]
    fn a_line_that_already_gives_the_name_is_enough() {
        assert_eq!(
            with_line(
                "127.0.0.1 localhost\n203.0.113.7 smtp.wac.tax smtp\n",
                &name()
            ),
            None
        );
    }

    #[test]
    fn ours_goes_before_a_line_that_gives_another_name() {
        let text = after("127.0.0.1 localhost smtp\n203.0.113.7 smtp.wac.tax smtp\n");
        assert!(
            text.starts_with("127.0.1.1 smtp.wac.tax smtp # mailctl\n127.0.0.1 localhost smtp\n")
        );
    }

    #[test]
    fn a_new_name_replaces_our_old_line() {
        let text = after("127.0.0.1 localhost\n127.0.1.1 mail.wac.tax mail # mailctl\n");
        assert_eq!(
            text,
            "127.0.0.1 localhost\n127.0.1.1 smtp.wac.tax smtp # mailctl\n"
        );
    }

    fn ids(hosts: &str) -> Vec<String> {
        use crate::observe::{Answer, FileSeen};
        let file = |text: &str| {
            Answer::File(Some(FileSeen {
                owner: "root:root".into(),
                mode: 0o644,
                content: text.into(),
            }))
        };
        let mut seen = Seen::new();
        seen.put(Probe::File(PATH.into()), file(hosts));
        seen.put(
            Probe::File(TEMPLATE.into()),
            file("127.0.1.1 {{fqdn}} {{hostname}}\n127.0.0.1 localhost\n"),
        );
        Hosts(name())
            .diff(&seen, &Plan::default())
            .expect("decided")
            .into_iter()
            .map(|c| c.id)
            .collect()
    }

    #[test]
    fn the_template_too_where_cloud_init_manages_the_file() {
        assert_eq!(ids("127.0.0.1 localhost\n"), ["hosts /etc/hosts"]);
        let managed =
            "# Your system has configured 'manage_etc_hosts' as True.\n127.0.0.1 localhost\n";
        assert_eq!(
            ids(managed),
            [
                "hosts /etc/hosts",
                "hosts /etc/cloud/templates/hosts.debian.tmpl"
            ]
        );
        assert!(Hosts(name()).diff(&Seen::new(), &Plan::default()).is_err());
    }
}
