//! What is said of one change in its line: the reason, and the values as far
//! as the reason leaves them out.

use std::collections::BTreeSet;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::Shown;
use crate::resource::Sign;

/// Reason and values.
pub fn about(change: &Shown) -> String {
    let reason = &change.reason;
    let values = match change.kind.as_str() {
        "rrset" | "ptr" => set(change),
        "file" | "netplan" | "sysctl" => return format!("{reason}{}", lines(change)),
        // What is done comes first, what it is done for after it.
        "service" => return format!("{}: {reason}", brief(change.after.as_ref())),
        // The reason of these names what they are about.
        "users" | "aliases" | "certificate" | "signing" | "domain" | "dkim" | "packages"
        | "firewall" => String::new(),
        _ => plain(change),
    };
    if values.is_empty() {
        reason.clone()
    } else {
        format!("{reason}: {values}")
    }
}

/// What was and what will be.
fn plain(change: &Shown) -> String {
    let (before, after) = (brief(change.before.as_ref()), brief(change.after.as_ref()));
    match change.action {
        Sign::Update if !before.is_empty() && before != after => format!("{before} → {after}"),
        Sign::Delete => before,
        _ => after,
    }
}

/// What changes of an RRset: the values that stay are left out.
fn set(change: &Shown) -> String {
    let (before, after) = (values(&change.before), values(&change.after));
    let gone: Vec<&str> = before.difference(&after).copied().collect();
    let new: Vec<&str> = after.difference(&before).copied().collect();
    let all = |values: &[&str]| {
        let values: Vec<String> = values.iter().map(|v| token(v)).collect();
        values.join(", ")
    };
    if before.is_empty() || after.is_empty() {
        return all(&gone) + &all(&new);
    }
    match (gone.as_slice(), new.as_slice()) {
        ([], []) => String::new(),
        ([old], [now]) => words(old, now).unwrap_or_else(|| turn(&token(old), &token(now))),
        _ => turn(&all(&gone), &all(&new)),
    }
}

/// From what to what.
fn turn(gone: &str, new: &str) -> String {
    match (gone, new) {
        (gone, "") => format!("without {gone}"),
        ("", new) => format!("with {new}"),
        (gone, new) => format!("{gone} → {new}"),
    }
}

fn values(shown: &Option<Value>) -> BTreeSet<&str> {
    let values = shown.as_ref().and_then(|v| v.get("values")?.as_array());
    let texts = values.into_iter().flatten().filter_map(Value::as_str);
    texts.collect()
}

/// The words in which two records of the same sort differ, such as `v=spf1 …`.
fn words(old: &str, now: &str) -> Option<String> {
    let split = |text: &str| -> Vec<String> {
        let words = text.split_whitespace();
        words.map(|w| w.trim_end_matches(';').to_owned()).collect()
    };
    let (old, now) = (split(old), split(now));
    if old.first() != now.first() || !now.first()?.starts_with("v=") {
        return None;
    }
    let only = |these: &[String], those: &[String]| {
        let words = these.iter().filter(|word| !those.contains(word));
        words.map(|w| token(w)).collect::<Vec<_>>().join(" ")
    };
    let (gone, new) = (only(&old, &now), only(&now, &old));
    // The same words in another order are told by the records themselves.
    (!gone.is_empty() || !new.is_empty()).then(|| turn(&gone, &new))
}

/// How many lines of a text come and go.
fn lines(change: &Shown) -> String {
    let text = |value: &Option<Value>| -> Option<Vec<String>> {
        let text = value.as_ref()?.as_str()?;
        Some(text.lines().map(str::to_owned).collect())
    };
    let (Some(before), Some(after)) = (text(&change.before), text(&change.after)) else {
        return String::new();
    };
    let kept = common(&before, &after);
    match (after.len() - kept, before.len() - kept) {
        (0, 0) => String::new(),
        (new, gone) => format!(" (+{new} -{gone} lines)"),
    }
}

/// The length of the longest common subsequence.
fn common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (place, y) in b.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if x == y {
                diagonal + 1
            } else {
                above.max(row[place])
            };
            diagonal = above;
        }
    }
    row[b.len()]
}

fn brief(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.lines().collect::<Vec<_>>().join(" "),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| brief(Some(item))).collect();
            items.join(", ")
        }
        Some(Value::Object(map)) => match map.get("names") {
            Some(names) => brief(Some(names)),
            None => {
                let pairs = map.iter().map(|(k, v)| format!("{k} {}", brief(Some(v))));
                pairs.collect::<Vec<_>>().join(", ")
            }
        },
        Some(other) => other.to_string(),
    }
}

/// Longer words are keys and the like, of which the beginning and the end tell enough.
const LONGEST_WORD: usize = 48;

/// A value with its longest words shortened in the middle.
fn token(value: &str) -> String {
    let word = |word: &str| {
        let letters: Vec<char> = word.chars().collect();
        if letters.len() <= LONGEST_WORD {
            return word.to_owned();
        }
        let (head, tail) = (&letters[..12], &letters[letters.len() - 16..]);
        format!("{}…{}", String::from_iter(head), String::from_iter(tail))
    };
    value.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// At most `room` columns; what is cut is marked by an ellipsis.
pub fn shorten(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + 1 >= room {
            break;
        }
        short.push(c);
    }
    format!("{}…", short.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(before: &[&str], after: &[&str]) -> Shown {
        let shown =
            |values: &[&str]| (!values.is_empty()).then(|| json!({"ttl": 300, "values": values}));
        Shown {
            id: "rrset wac.tax TXT".into(),
            kind: "rrset".into(),
            action: Sign::Update,
            reason: "SPF differs".into(),
            before: shown(before),
            after: shown(after),
            sensitive: Vec::new(),
            danger: None,
            danger_reason: None,
            by_hand: false,
        }
    }

    #[test]
    fn only_what_differs_of_a_set_is_told() {
        for (before, after, told) in [
            (&[][..], &["a", "b"][..], "a, b"),
            (&["a"], &["a", "b"], "with b"),
            (&["a", "b"], &["b"], "without a"),
            (&["a"], &[], "a"),
            (&["a"], &["b"], "a → b"),
            (&["a"], &["a"], ""),
            (
                &["v=spf1 ip4:192.0.2.1 mx ~all", "x"],
                &["v=spf1 ip4:192.0.2.2 mx -all", "x"],
                "ip4:192.0.2.1 ~all → ip4:192.0.2.2 -all",
            ),
            (
                &["v=spf1 mx a"],
                &["v=spf1 a mx"],
                "v=spf1 mx a → v=spf1 a mx",
            ),
        ] {
            assert_eq!(set(&change(before, after)), told);
        }
    }

    #[test]
    fn keys_are_shortened_in_the_middle() {
        let key = format!(
            "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG{}gaQIDAQAB",
            "x".repeat(300)
        );
        assert_eq!(token(&key), "v=DKIM1; k=rsa; p=MIIBIjANBg…xxxxxxxgaQIDAQAB");
    }

    #[test]
    fn lines_that_come_and_go_are_counted() {
        let mut change = change(&[], &[]);
        change.before = Some("a\nb\nc\n".into());
        change.after = Some("a\nc\nd\ne\n".into());
        assert_eq!(lines(&change), " (+2 -1 lines)");
    }

    #[test]
    fn long_values_are_cut_by_columns_not_bytes() {
        assert_eq!(shorten("grün ist gut", 5), "grün…");
        assert_eq!(shorten("kurz", 5), "kurz");
    }
}
