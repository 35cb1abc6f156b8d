//! What is below the service: versions, keys, the last apply, disk and clock.

use time::OffsetDateTime;

use super::{APPLY, Expected, Line, Verdict, ago};
use crate::kinds::version;
use crate::ledger::Ledger;
use crate::parts::packages::CHASQUID;
use crate::status::render::span;
use crate::status::{Clock, Disk, Server};

pub(super) fn of_server(server: &Server, expected: &Expected) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.push(match &server.chasquid {
        None => Line::new(
            "chasquid",
            Verdict::Unknown,
            "it is not installed as a package",
        ),
        Some(found) if !version::at_least(found, CHASQUID) => Line::new(
            "chasquid",
            Verdict::Fail,
            format!(
                "{found}, which can be stopped from outside; {CHASQUID} is the first that cannot"
            ),
        )
        .fix(APPLY),
        Some(found) => Line::new("chasquid", Verdict::Ok, found.clone()),
    });
    lines.push(match &server.reboot_for {
        None => Line::new("system", Verdict::Ok, server.system.clone()),
        Some(packages) => {
            let packages = match &packages[..] {
                [] => String::new(),
                packages => format!(" for {}", packages.join(", ")),
            };
            let found = format!("{}: a reboot is due{packages}", server.system);
            Line::new("system", Verdict::Warn, found)
                .fix("reboot it when it suits: others keep their mail and try again")
        }
    });
    lines.extend(
        expected
            .domains
            .iter()
            .map(|domain| signing(domain, server)),
    );
    lines
}

fn signing(domain: &str, server: &Server) -> Line {
    let line = |verdict, found: String| Line::new(format!("dkim {domain}"), verdict, found);
    let of = |signing: bool| -> Vec<&str> {
        let keys = server.keys.iter();
        keys.filter(|key| key.domain == domain && key.signing == signing)
            .map(|key| key.selector.as_str())
            .collect()
    };
    let (signs, waits) = (of(true), of(false));
    let waits = match &waits[..] {
        [] => String::new(),
        waits => format!("; {} waits for its record", waits.join(", ")),
    };
    match &signs[..] {
        [] => line(Verdict::Warn, format!("mail is not signed{waits}")).fix(APPLY),
        signs => line(
            Verdict::Ok,
            format!("signs with {}{waits}", signs.join(", ")),
        ),
    }
}

pub(super) fn applied(ledger: Option<&Ledger>, now: OffsetDateTime) -> Line {
    let line = |verdict, found: String| Line::new("mailctl", verdict, found);
    match ledger.map(|ledger| &ledger.applied) {
        None => line(Verdict::Warn, "mailctl never applied to this server".into())
            .fix("`mailctl plan` shows what it would do"),
        Some(None) => line(
            Verdict::Warn,
            "an apply was begun, and none was ever finished".into(),
        )
        .fix(APPLY),
        Some(Some(last)) => line(
            Verdict::Ok,
            format!(
                "applied last on {} by {}, with version {}",
                ago(&last.at, now),
                last.by,
                last.version
            ),
        ),
    }
}

pub(super) fn disk(disk: &Disk) -> Line {
    const MIB: u64 = 1 << 20;
    let line = |verdict, found: String| Line::new("disk", verdict, found);
    let percent = disk.free.saturating_mul(100) / disk.total.max(1);
    let found = format!("{} free in {}, {percent} %", bytes(disk.free), disk.mount);
    let fix = "make room on the server: `df -h`; `apt-get clean` and `journalctl --vacuum-size=100M` often help";
    if let Some(files) = disk.free_files.filter(|files| *files < 1000) {
        return line(
            Verdict::Fail,
            format!("{found}, but only {files} more files can be made"),
        )
        .fix(fix);
    }
    if disk.free < 100 * MIB {
        line(
            Verdict::Fail,
            format!("{found}: mail is refused when it is full"),
        )
        .fix(fix)
    } else if percent < 5 || disk.free < 500 * MIB {
        line(Verdict::Warn, found).fix(fix)
    } else {
        line(Verdict::Ok, found)
    }
}

fn bytes(n: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // one digit is shown
    let n = n as f64;
    match n {
        n if n >= 1e9 => format!("{:.1} GB", n / 1e9),
        n => format!("{:.0} MB", n / 1e6),
    }
}

pub(super) fn clock(clock: &Clock) -> Line {
    let line = |verdict, found: String| Line::new("clock", verdict, found);
    let off = clock.ahead_seconds.abs();
    let side = if clock.ahead_seconds < 0.0 {
        "behind"
    } else {
        "ahead of"
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative
    let found = format!("{} {side} the clock here", span(off as u64));
    let fix = "set the one that is wrong; on the server: apt-get install systemd-timesyncd";
    if off >= 60.0 {
        return line(
            Verdict::Fail,
            format!("{found}: TLS and signatures fail when it is wrong"),
        )
        .fix(fix);
    }
    if off >= 5.0 {
        return line(Verdict::Warn, found).fix(fix);
    }
    match clock.synchronized {
        Some(true) => line(Verdict::Ok, "right, and kept so by a time service".into()),
        _ if clock.container => line(Verdict::Ok, "right; the container's host keeps it".into()),
        Some(false) => line(
            Verdict::Warn,
            "right now, but no time service keeps it so".into(),
        )
        .fix("on the server: apt-get install systemd-timesyncd"),
        None => line(
            Verdict::Unknown,
            "right now; whether a time service keeps it so could not be learnt".into(),
        ),
    }
}
