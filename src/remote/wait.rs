//! Waiting for a server that is still being installed (`--wait 15m`).
//!
//! Hosters first boot an installer, which answers SSH with a key and a login
//! of its own. It is not the server: nothing is done to it, and its host key
//! is not remembered.

use std::time::{Duration, Instant};

use super::ssh::{Access, Obstacle, Ssh};
use super::target::Target;
use super::{Remote, Script};
use crate::failure::{Failure, Result};

/// Between two attempts while nothing answers.
const SOON: Duration = Duration::from_secs(2);

/// Between two attempts while a login is refused: fail2ban counts them.
const LATER: Duration = Duration::from_secs(20);

/// Prints the system's id, and `booted` where it is run by systemd.
const WHO_ARE_YOU: &str = "[ -r /etc/os-release ] && . /etc/os-release
echo \"${ID:-unknown}\"
[ -d /run/systemd/system ] && echo booted";

/// Connects as [`Ssh::connect`] does, but keeps trying until the real system
/// lets us in or `limit` is over. What stands in the way goes to `report`,
/// once for each change.
///
/// # Errors
/// At once for what waiting cannot mend, such as a key file that is missing;
/// after `limit` for everything else, with the last obstacle as its cause.
pub fn connect_waiting(
    target: &Target,
    access: &Access,
    limit: Duration,
    report: &mut dyn FnMut(&str),
) -> Result<Ssh> {
    let deadline = Instant::now() + limit;
    let mut told = String::new();
    loop {
        let (obstacle, pause) = match attempt(target, access) {
            Ok(ssh) => return Ok(ssh),
            Err(Obstacle::Lasting(failure)) => return Err(failure),
            Err(Obstacle::Passing(failure)) => (failure, SOON),
            Err(Obstacle::Refused(failure)) => (failure, LATER),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(
                Failure::new(format!("{} was not ready within {limit:?}", target.place()))
                    .because(obstacle),
            );
        }
        let why = obstacle.chain();
        if why != told {
            report(&format!("{why}; waiting"));
            told = why;
        }
        std::thread::sleep(pause.min(left));
    }
}

fn attempt(target: &Target, access: &Access) -> std::result::Result<Ssh, Obstacle> {
    let (ssh, new_key) = Ssh::connect_unsaved(target, access)?;
    let asked = ssh.run(&Script::new(WHO_ARE_YOU).within(Duration::from_secs(30)));
    let answer = asked.map_err(Obstacle::Passing)?.text();
    if let Some(system) = installer(&answer) {
        return Err(Obstacle::Passing(
            Failure::new(format!(
                "{} still runs {system}, not the installed system",
                ssh.place()
            ))
            .hint("see at the hoster's console how far the installation is"),
        ));
    }
    if new_key {
        ssh.save_host_key().map_err(Obstacle::Lasting)?;
    }
    Ok(ssh)
}

/// The system's name where it is not the installed one.
fn installer(answer: &str) -> Option<String> {
    let mut lines = answer.lines();
    let id = lines.next().unwrap_or_default();
    let booted = lines.next() == Some("booted");
    match (id, booted) {
        ("debian" | "ubuntu", true) => None,
        ("debian" | "ubuntu", false) => Some(format!("{id} without systemd")),
        ("" | "unknown", _) => Some("an unknown system".into()),
        (other, _) => Some(other.to_owned()),
    }
}

/// Reads `90s`, `15m`, `1h` and sums of them such as `1h30m`.
///
/// # Errors
/// For anything else.
pub fn parse_duration(text: &str) -> std::result::Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: write it like `90s`, `15m` or `1h30m`");
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next().ok_or_else(wrong)?;
        let length = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        seconds = number
            .checked_mul(length)
            .and_then(|s| seconds.checked_add(s))
            .ok_or_else(wrong)?;
        rest = &tail[1..];
    }
    if seconds == 0 {
        Err(wrong())
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3600), ("1h30m5s", 5405)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "15",
            "m",
            "1d",
            "-1s",
            "0s",
            "1.5h",
            "15m ",
            "99999999999999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_installer_is_not_the_server() {
        assert_eq!(installer("debian\nbooted\n"), None);
        assert_eq!(installer("ubuntu\nbooted\n"), None);
        assert_eq!(installer("tinycore\n"), Some("tinycore".into()));
        assert_eq!(installer("debian\n"), Some("debian without systemd".into()));
        assert_eq!(installer(""), Some("an unknown system".into()));
    }
}
