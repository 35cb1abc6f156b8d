//! Why a script did not come to its end, in words.

use std::time::Duration;

use super::envelope::Streams;
use super::pump::Break;
use crate::failure::Failure;

/// The failure of a script on `place`, whose time limit was `limit`.
pub(crate) fn told(place: &str, why: &Break, streams: &Streams, limit: Duration) -> Failure {
    match why {
        Break::Lost(why) => lost(place, why, streams.begun()),
        Break::Late => Failure::new(format!("a script on {place} did not end within {limit:?}"))
            .hint("look at the server's load and network, then run it again"),
        Break::Denied => Failure::new(format!("{place} does not run commands"))
            .hint("use a login that may run `sh`, or remove what restricts its key"),
        Break::Ended if streams.begun() => {
            Failure::new(format!("a script on {place} was ended before it was done"))
                .hint("something on the server killed it: look there for a reboot or a lack of memory, then run it again")
        }
        Break::Ended => not_begun(place, &streams.noise()),
    }
}

/// The connection is gone; `begun` says whether a script may have done something.
pub(crate) fn lost(place: &str, why: &str, begun: bool) -> Failure {
    let when = if begun {
        "during a script"
    } else {
        "before the script began"
    };
    Failure::new(format!("the connection to {place} was lost {when}: {why}"))
        .hint("run it again: what is done already is kept")
}

/// The login works, but the script's shell never spoke.
fn not_begun(place: &str, noise: &str) -> Failure {
    let says = if noise.is_empty() {
        String::new()
    } else {
        format!(": {noise}")
    };
    let has = |text: &str| noise.contains(text);
    let user = place.split('@').next().unwrap_or_default();
    if has("a password is required") || has("is not in the sudoers") || has("may not run sudo") {
        Failure::new(format!("{user} may not become root on {place} without a password{says}")).hint(format!(
            "log in as root, or allow it there: echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}"
        ))
    } else if has("sudo") && (has("not found") || has("No such file")) {
        Failure::new(format!("{place} has no sudo{says}"))
            .hint("log in as root, or install sudo there")
    } else if has("assword change required") || has("password has expired") {
        Failure::new(format!("{place} demands a new password first{says}"))
            .hint(format!("log in once with `ssh {place}` and set one"))
    } else if has("Please login as the user") {
        Failure::new(format!("{place} does not let root in{says}"))
            .hint("write that user into `host.ssh`; it becomes root through sudo")
    } else {
        Failure::new(format!(
            "{place} ended the shell before the script began{says}"
        ))
        .hint("`ssh` there and see what greets you: the login's shell must be able to run `sh`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_greets_a_script_is_understood() {
        for (noise, what) in [
            ("sudo: a password is required", "may not become root"),
            ("sh: 1: sudo: not found", "has no sudo"),
            ("env: 'sudo': No such file or directory", "has no sudo"),
            (
                "Password change required but no TTY available.",
                "demands a new password",
            ),
            (
                "Please login as the user \"ubuntu\" rather than the user \"root\".",
                "does not let root in",
            ),
            (
                "This account is currently not available.",
                "ended the shell",
            ),
            ("", "ended the shell before the script began"),
        ] {
            let told = not_begun("admin@192.0.2.1", noise).told();
            assert!(
                told.contains(what) && told.contains(noise) && told.contains("do: "),
                "{told}"
            );
        }
    }
}
