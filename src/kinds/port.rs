//! A TCP port that only the mail server may hold.

use crate::observe::Seen;
use crate::plan::Plan;
use crate::resource::{Blocked, Change, Probe, Resource};

const PROBE: &str = include_str!("../../templates/listeners.sh");

/// A port that is free, or chasquid's. It is never taken from another program.
#[derive(Clone, Copy, Debug)]
pub struct Port(pub u16);

impl Resource for Port {
    fn id(&self) -> String {
        format!("port {}", self.0)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Shell(PROBE.into())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        for line in seen.shell(PROBE)?.lines() {
            let Some(holders) = holders(line, self.0) else {
                continue;
            };
            // systemd holds the port for chasquid, also while chasquid is not running.
            if !holders
                .iter()
                .any(|(name, _)| matches!(*name, "chasquid" | "systemd"))
            {
                return Err(conflict(self.0, holders.first().copied()));
            }
        }
        Ok(Vec::new())
    }
}

/// The processes of a line of `ss -ltnp`, where it is about `port`.
fn holders(line: &str, port: u16) -> Option<Vec<(&str, &str)>> {
    let local = line.split_whitespace().nth(3)?;
    if local.rsplit_once(':')?.1 != port.to_string() {
        return None;
    }
    let users = line.split_once("users:(").map_or("", |(_, users)| users);
    let user = |part: &'_ str| -> Option<(usize, usize, usize, usize)> {
        let end = part.find('"')?;
        let pid = part.find("pid=")? + 4;
        let length = part[pid..]
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len() - pid);
        Some((0, end, pid, pid + length))
    };
    Some(
        users
            .split("(\"")
            .filter_map(|part| user(part).map(|(a, b, c, d)| (&part[a..b], &part[c..d])))
            .collect(),
    )
}

fn conflict(port: u16, holder: Option<(&str, &str)>) -> Blocked {
    let Some((name, pid)) = holder else {
        return Blocked::new(format!(
            "port {port} is held by a program that cannot be seen"
        ))
        .fix(format!(
            "find it with `ss -ltnp sport = :{port}` on the server and stop it"
        ));
    };
    let (program, unit) = match name {
        "exim4" => ("Exim", "exim4"),
        "master" => ("Postfix", "postfix"),
        "sendmail" | "sendmail-mta" => ("sendmail", "sendmail"),
        "smtpd" => ("OpenSMTPD", "opensmtpd"),
        "stalwart" | "stalwart-mail" => ("Stalwart", "stalwart"),
        "docker-proxy" => {
            return Blocked::new(format!(
                "port {port} is held by a container (docker-proxy, process {pid})"
            ))
            .fix("stop the container that publishes the port: `docker ps` shows which");
        }
        other => {
            return Blocked::new(format!("port {port} is held by another program: {other} (process {pid})"))
                .fix(format!("stop {other} and keep it from starting again: `systemctl status {pid}` shows its unit"));
        }
    };
    Blocked::new(format!(
        "port {port} is held by another mail server: {program} ({name}, process {pid})"
    ))
    .fix(format!("on the server: systemctl disable --now {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Answer;

    fn diff(ss: &str, port: u16) -> Result<Vec<Change>, Blocked> {
        let mut seen = Seen::new();
        let answer = Answer::Shell {
            code: 0,
            out: ss.into(),
            err: String::new(),
        };
        seen.put(Probe::Shell(PROBE.into()), answer);
        Port(port).diff(&seen, &Plan::default())
    }

    #[test]
    fn other_mail_servers_are_named_with_the_cure() {
        let exim = "LISTEN 0 20 127.0.0.1:25 0.0.0.0:* users:((\"exim4\",pid=812,fd=4))\n";
        let blocked = diff(exim, 25).expect_err("Exim is in the way");
        assert_eq!(
            blocked.why,
            "port 25 is held by another mail server: Exim (exim4, process 812)"
        );
        assert_eq!(
            blocked.fix.as_deref(),
            Some("on the server: systemctl disable --now exim4")
        );
        assert!(diff(exim, 465).expect("free").is_empty());

        let postfix = "LISTEN 0 100 [::]:587 [::]:* users:((\"smtpd\",pid=9,fd=6),(\"master\",pid=700,fd=18))\n";
        assert!(diff(postfix, 587).is_err());
        let master = "LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:((\"master\",pid=700,fd=13))\n";
        assert!(
            diff(master, 25)
                .expect_err("Postfix")
                .why
                .contains("Postfix (master, process 700)")
        );
        let unknown = "LISTEN 0 1 *:25 *:* users:((\"py\",pid=5,fd=3))\n";
        assert!(
            diff(unknown, 25)
                .expect_err("unknown")
                .why
                .ends_with("another program: py (process 5)")
        );
        assert!(
            diff("LISTEN 0 1 *:25 *:*\n", 25)
                .expect_err("hidden")
                .why
                .contains("cannot be seen")
        );
    }

    #[test]
    fn chasquid_and_its_sockets_are_no_conflict() {
        let sockets = "LISTEN 0 4096 *:25 *:* users:((\"systemd\",pid=1,fd=40))\n\
                       LISTEN 0 4096 *:465 *:* users:((\"chasquid\",pid=300,fd=5),(\"systemd\",pid=1,fd=41))\n\
                       LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=200,fd=3))\n";
        for port in [25, 465, 587] {
            assert!(diff(sockets, port).expect("free").is_empty());
        }
    }

    #[test]
    fn nothing_seen_is_not_free() {
        assert!(Port(25).diff(&Seen::new(), &Plan::default()).is_err());
    }

    #[test]
    fn without_ss_the_answer_comes_from_proc() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        let port = listener.local_addr().expect("address").port();
        let probe = PROBE
            .replace("command -v ss", "false")
            .replace("25|465|587", &format!("25|465|587|{port}"));
        let (code, out, err) = crate::kinds::shell::run(&probe);
        assert_eq!(code, 0, "{err}");
        let line = out
            .lines()
            .find(|l| l.contains(&format!(":{port} ")))
            .expect("our own listener");
        let holders = holders(line, port).expect("port");
        assert_eq!(
            holders.first().map(|(_, pid)| *pid),
            Some(std::process::id().to_string().as_str()),
            "{line}"
        );
    }
}
