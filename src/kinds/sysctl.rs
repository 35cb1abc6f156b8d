//! Kernel parameters by a drop-in of /etc/sysctl.d, and live.

use std::collections::BTreeMap;

use crate::facts;
use crate::kinds::file::File;
use crate::observe::Seen;
use crate::plan::Plan;
use crate::resource::{Blocked, Change, Probe, Resource};

/// Sorts after 99-sysctl.conf: of one parameter the last assignment counts (man 5 sysctl.d).
const PATH: &str = "/etc/sysctl.d/99-zz-mailctl.conf";
const HEADER: &str = include_str!("../../templates/sysctl.conf");
const LIVE: &str = "if [ -d /proc/sys/net/ipv6/conf ]; then \
    grep -H . /proc/sys/net/ipv6/conf/*/disable_ipv6 /proc/sys/net/ipv6/conf/*/use_tempaddr; else echo none; fi";

/// IPv6 is on, and mail leaves from the lasting address instead of a temporary one (RFC 8981).
#[derive(Clone, Debug)]
pub struct Ipv6On {
    /// The interface of the default route, once it is known.
    pub interface: Option<String>,
    /// Whether IPv6 must be there; otherwise only what is there is kept right.
    pub required: bool,
}

impl Ipv6On {
    /// `all` and `default` do not reach interfaces that have a line of their own elsewhere.
    fn wanted(&self) -> Vec<(String, &'static str)> {
        let key = |name: &str, what: &str| format!("net/ipv6/conf/{name}/{what}");
        let own = self.interface.as_deref();
        let on = ["all", "default", "lo"].into_iter().chain(own);
        let stable = ["all", "default"].into_iter().chain(own);
        on.map(|i| (key(i, "disable_ipv6"), "0"))
            .chain(stable.map(|i| (key(i, "use_tempaddr"), "0")))
            .collect()
    }

    fn text(&self) -> String {
        let lines = self
            .wanted()
            .into_iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        HEADER.to_owned() + &lines.collect::<String>()
    }
}

impl Resource for Ipv6On {
    fn id(&self) -> String {
        format!("sysctl {PATH}")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![
            Probe::File(PATH.into()),
            Probe::Shell(LIVE.into()),
            Probe::Shell(facts::PROBE.into()),
        ]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let (file, live) = (seen.file(PATH)?, seen.shell(LIVE)?);
        if self.interface.is_none() {
            // Without the facts it is not known yet, which is not the same as none.
            seen.shell(facts::PROBE)?;
        }
        if !self.required && file.is_none() {
            return Ok(Vec::new());
        }
        if live.trim() == "none" {
            return Err(Blocked::new("the kernel was started without IPv6 (ipv6.disable=1)")
                .fix("take ipv6.disable=1 out of GRUB_CMDLINE_LINUX in /etc/default/grub, run update-grub and reboot; or say `ipv6: none`"));
        }
        let values: BTreeMap<&str, &str> = live
            .lines()
            .filter_map(|l| l.strip_prefix("/proc/sys/")?.rsplit_once(':'))
            .collect();
        let wrong = self
            .wanted()
            .into_iter()
            .find(|(key, value)| values.get(key.as_str()) != Some(value));
        let wanted = File::new(PATH, self.text(), "the parameters that turn IPv6 on");
        let wanted = wanted.then(format!("sysctl -q -p {PATH}"));
        let why = match wrong {
            Some((key, _)) => Some(format!(
                "{key} is {}",
                values.get(key.as_str()).unwrap_or(&"not set")
            )),
            None => wanted.difference(file),
        };
        Ok(why
            .map(|why| wanted.change(self.id(), file, why))
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Answer, FileSeen};

    const OFF: &str = include_str!("../../tests/fixtures/sysctl/contabo-debian-12.txt");
    const ON: &str = include_str!("../../tests/fixtures/sysctl/ubuntu-24.04.txt");

    fn wish() -> Ipv6On {
        Ipv6On {
            interface: Some("eth0".into()),
            required: true,
        }
    }

    fn diff(wish: &Ipv6On, live: &str, file: Option<String>) -> Result<Option<String>, Blocked> {
        let mut seen = Seen::new();
        let file = file.map(|text| FileSeen {
            owner: "root:root".into(),
            mode: 0o644,
            content: text.into(),
        });
        seen.put(Probe::File(PATH.into()), Answer::File(file));
        seen.put(
            Probe::Shell(LIVE.into()),
            Answer::Shell {
                code: 0,
                out: live.into(),
                err: String::new(),
            },
        );
        Ok(wish.diff(&seen, &Plan::default())?.pop().map(|c| c.why))
    }

    #[test]
    fn turned_on_where_the_hoster_turned_it_off() {
        let why = diff(&wish(), OFF, None)
            .expect("decided")
            .expect("a change");
        assert_eq!(why, "net/ipv6/conf/all/disable_ipv6 is 1");
    }

    #[test]
    fn live_and_file_must_both_be_right() {
        assert!(
            diff(&wish(), ON, None).expect("decided").is_some(),
            "it would be off after the next boot"
        );
        assert_eq!(
            diff(&wish(), ON, Some(wish().text())).expect("decided"),
            None
        );
        assert!(
            diff(&wish(), OFF, Some(wish().text()))
                .expect("decided")
                .is_some()
        );
        assert!(
            diff(&wish(), ON, Some("# old\n".into()))
                .expect("decided")
                .is_some()
        );
    }

    #[test]
    fn left_alone_where_ipv6_is_not_required() {
        let wish = Ipv6On {
            required: false,
            ..wish()
        };
        assert_eq!(diff(&wish, OFF, None).expect("decided"), None);
    }

    #[test]
    fn a_kernel_without_ipv6_blocks() {
        assert!(
            diff(&wish(), "none\n", None)
                .expect_err("no IPv6")
                .why
                .contains("ipv6.disable=1")
        );
        assert!(wish().diff(&Seen::new(), &Plan::default()).is_err());
    }

    #[test]
    fn a_dot_in_an_interface_name_is_no_separator() {
        let wish = Ipv6On {
            interface: Some("eth0.100".into()),
            required: true,
        };
        assert!(
            wish.text()
                .contains("net/ipv6/conf/eth0.100/disable_ipv6 = 0\n")
        );
    }
}
