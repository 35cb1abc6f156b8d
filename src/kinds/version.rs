//! Debian package versions and their order (Debian Policy 5.6.12).

use std::cmp::Ordering;

/// Compares two versions as dpkg does.
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((epoch_a, up_a, rev_a), (epoch_b, up_b, rev_b)) = (split(a), split(b));
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| part(up_a, up_b))
        .then_with(|| part(rev_a, rev_b))
}

/// Whether `version` is `least` or newer; a Debian revision in `version` alone does not make it older.
pub fn at_least(version: &str, least: &str) -> bool {
    compare(version, least) != Ordering::Less
}

fn split(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.parse().unwrap_or(0), upstream, revision)
}

/// Letters before everything else, a tilde before even the end.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(b) => i32::from(b) + 256,
    }
}

fn part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let text = |s: &[u8]| s.first().is_some_and(|c| !c.is_ascii_digit());
        while text(a) || text(b) {
            let order = weight(a.first().copied()).cmp(&weight(b.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (
                a.get(1..).unwrap_or_default(),
                b.get(1..).unwrap_or_default(),
            );
        }
        let order = number(&mut a).cmp(&number(&mut b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the digits at the front.
fn number(text: &mut &[u8]) -> u64 {
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let (head, tail) = text.split_at(digits);
    *text = tail;
    head.iter().fold(0, |n, d| {
        n.saturating_mul(10).saturating_add(u64::from(d - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_dpkgs() {
        let rising = [
            "1.0~rc1-1",
            "1.0",
            "1.0-1",
            "1.0-1+deb12u1",
            "1.0-2",
            "1.9",
            "1.11-2+b2",
            "1.15.0-1",
            "1.19~",
            "1.19",
            "1.19.0-1",
            "1:0.1",
        ];
        for pair in rising.windows(2) {
            assert_eq!(
                compare(pair[0], pair[1]),
                Ordering::Less,
                "{} < {}",
                pair[0],
                pair[1]
            );
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater);
            assert_eq!(compare(pair[0], pair[0]), Ordering::Equal);
        }
    }

    #[test]
    fn dpkg_agrees() {
        let versions = [
            "1.19.0-1",
            "1.2a+b~c-3",
            "2:1",
            "1.2.~",
            "1.2.a",
            "0",
            "1.02-0",
            "1.2",
            "1.2-0ubuntu1",
            "1.2+git1",
        ];
        if std::process::Command::new("dpkg")
            .arg("--version")
            .output()
            .is_err()
        {
            return;
        }
        for a in versions {
            for b in versions {
                let status = std::process::Command::new("dpkg")
                    .args(["--compare-versions", a, "lt", b])
                    .status();
                let dpkg = status.expect("dpkg").success();
                assert_eq!(compare(a, b) == Ordering::Less, dpkg, "{a} < {b}");
            }
        }
    }
}
