//! Changing one set of a zone file: only its own lines and the serial number
//! change, every other byte stays.

use std::ops::Range;

use super::parse::{Entry, Parsed, parse, ttl};
use crate::record::{Name, RType, Rrset, txt_quoted};

/// The file with the set made `want`, whose TTL is `seconds`.
///
/// # Errors
/// Where the file cannot be read, or the change would change other records as well.
pub(super) fn replaced(
    text: &[u8],
    apex: &Name,
    want: &Rrset,
    seconds: u32,
) -> Result<Vec<u8>, String> {
    let parsed = parse(text, apex)?;
    let serial = serial_edit(text, &parsed)?;
    let mut edits = edits(text, &parsed, want, seconds);
    edits.push(serial);
    let edited = applied(text, edits);
    proven(&parsed, &parse(&edited, apex)?, want, seconds)?;
    Ok(edited)
}

/// The file with another serial number and nothing else changed.
///
/// # Errors
/// Where the file cannot be read.
pub(super) fn bumped(text: &[u8], apex: &Name) -> Result<Vec<u8>, String> {
    let edit = serial_edit(text, &parse(text, apex)?)?;
    Ok(applied(text, vec![edit]))
}

type Edit = (Range<usize>, String);

fn applied(text: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    // Stable: what is put at one place stays in its order.
    edits.sort_by_key(|(place, _)| place.start);
    let (mut edited, mut at) = (Vec::with_capacity(text.len() + 256), 0);
    for (place, new) in edits {
        edited.extend_from_slice(&text[at..place.start]);
        edited.extend_from_slice(new.as_bytes());
        at = place.end;
    }
    edited.extend_from_slice(&text[at..]);
    edited
}

/// Secondaries fetch a zone whose serial number is greater (RFC 1982); one more always is.
fn serial_edit(text: &[u8], parsed: &Parsed) -> Result<Edit, String> {
    let place = parsed.entries[parsed.soa].data.get(2);
    let place = place.ok_or("its SOA record has no serial number")?.clone();
    let word = String::from_utf8_lossy(&text[place.clone()]);
    let serial: u32 = word
        .parse()
        .map_err(|_| format!("`{word}` is no serial number"))?;
    Ok((place, serial.wrapping_add(1).max(1).to_string()))
}

fn edits(text: &[u8], parsed: &Parsed, want: &Rrset, seconds: u32) -> Vec<Edit> {
    let mut missing = want.values.clone();
    let mut edits: Vec<Edit> = Vec::new();
    let (mut gone, mut last) = (Vec::new(), None);
    for (nth, entry) in parsed.entries.iter().enumerate() {
        if !entry.is_of(&want.key) {
            continue;
        }
        last = Some(nth);
        let value = entry.known.as_ref().map(|(_, value)| value);
        if !value.is_some_and(|value| missing.remove(value)) {
            edits.push((entry.place.clone(), String::new()));
            gone.push(nth);
        } else if entry.ttl != Some(seconds) {
            edits.push(retimed(text, entry, seconds));
        }
    }
    let lines: String = missing.iter().map(|v| line(want, v, seconds)).collect();
    // Where no `$TTL` stands, a line in between would give its TTL to those after it.
    let beside = last.filter(|_| parsed.has_ttl);
    let at = beside.map_or(text.len(), |nth| parsed.entries[nth].place.end);
    let unended = at == text.len() && !text.is_empty() && !text.ends_with(b"\n");
    if !lines.is_empty() {
        let before = if unended { "\n" } else { "" };
        edits.push((at..at, format!("{before}{lines}")));
    }
    edits.extend(owners(
        parsed,
        &gone,
        beside.filter(|_| !lines.is_empty()),
        want,
    ));
    edits
}

/// Entries that take their owner from one before them get it themselves where
/// that one is gone, or another now stands in between.
fn owners(parsed: &Parsed, gone: &[usize], added_after: Option<usize>, want: &Rrset) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut before: Option<String> = None;
    for (nth, entry) in parsed.entries.iter().enumerate() {
        if !gone.contains(&nth) {
            if entry.indented && before.as_ref() != Some(&entry.owner) {
                edits.push((entry.place.start..entry.place.start, entry.owner.clone()));
            }
            before = Some(entry.owner.clone());
        }
        if added_after == Some(nth) {
            before = Some(want.key.name.fqdn());
        }
    }
    edits
}

fn retimed(text: &[u8], entry: &Entry, seconds: u32) -> Edit {
    match &entry.ttl_at {
        Some(place) => {
            let word = String::from_utf8_lossy(&text[place.clone()]);
            debug_assert!(ttl(&word).is_some());
            (place.clone(), seconds.to_string())
        }
        None => (entry.head..entry.head, format!("{seconds} ")),
    }
}

/// A record in full, so that it depends on nothing before it.
pub(in crate::zone) fn line(want: &Rrset, value: &str, seconds: u32) -> String {
    let value = match want.key.rtype {
        RType::Txt => txt_quoted(value),
        _ => value.to_owned(),
    };
    format!(
        "{}\t{seconds}\tIN\t{}\t{value}\n",
        want.key.name.fqdn(),
        want.key.rtype
    )
}

/// Reads the edited file again: the set must be as wanted, and every other record what it was.
fn proven(before: &Parsed, after: &Parsed, want: &Rrset, seconds: u32) -> Result<(), String> {
    let others = |parsed: &Parsed| -> Vec<String> {
        let others = parsed.entries.iter().enumerate();
        others
            .filter(|(nth, entry)| *nth != parsed.soa && !entry.is_of(&want.key))
            .map(|(_, entry)| format!("{:?}", entry.said()))
            .collect()
    };
    let set = after.set(&want.key);
    let timed = set.values.is_empty() || set.ttl == Some(seconds);
    if set.values != want.values || !timed || others(before) != others(after) {
        return Err(format!(
            "{} cannot be changed without changing records beside it: give each its owner and the file a $TTL",
            want.key
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RrsetKey;

    const FILE: &str = "; kept by hand\n$TTL 3600\n@ IN SOA ns1 host (\n\t2026112600 ; serial\n\t3600 600 86400 60 )\n\
        \tNS ns1 ; the first\n\tTXT \"v=spf1 -all\"\n\tMX 10 mx ; theirs\n\nsmtp A 192.0.2.1\n  AAAA 2001:db8::1\n\
        last TXT x";

    fn edited(owner: &str, rtype: RType, values: &[&str], ttl: u32) -> Result<String, String> {
        let name = |text| Name::parse(text).expect("a name");
        let want = Rrset::new(RrsetKey::new(name(owner), rtype), Some(ttl), values);
        let edited = replaced(FILE.as_bytes(), &name("example.test"), &want, ttl)?;
        Ok(String::from_utf8(edited).expect("text"))
    }

    /// What differs from [`FILE`] beside the serial number.
    fn difference(
        owner: &str,
        rtype: RType,
        values: &[&str],
        ttl: u32,
    ) -> (Vec<String>, Vec<String>) {
        let edited = edited(owner, rtype, values, ttl).expect("edited");
        assert!(edited.contains("\t2026112601 ; serial\n"), "{edited}");
        let same = edited.replace("2026112601", "2026112600");
        let only = |these: &str, those: &str| -> Vec<String> {
            let those: Vec<&str> = those.lines().collect();
            these
                .lines()
                .filter(|l| !those.contains(l))
                .map(str::to_owned)
                .collect()
        };
        (only(FILE, &same), only(&same, FILE))
    }

    #[test]
    fn only_the_lines_of_the_set_change() {
        let none: [String; 0] = [];
        let (gone, new) = difference("example.test", RType::Txt, &["v=spf1 -all", "b"], 3600);
        assert_eq!(
            (gone.as_slice(), new.as_slice()),
            (
                &none[..],
                &["example.test.\t3600\tIN\tTXT\t\"b\"".to_owned()][..]
            )
        );
        let (gone, new) = difference("example.test", RType::Mx, &["10 mx.example.test."], 60);
        assert_eq!(gone, ["\tMX 10 mx ; theirs"]);
        assert_eq!(new, ["\t60 MX 10 mx ; theirs"], "its comment stays");
        let (gone, new) = difference("new.example.test", RType::A, &["192.0.2.9"], 60);
        assert_eq!(
            (gone, new),
            (
                Vec::new(),
                vec!["new.example.test.\t60\tIN\tA\t192.0.2.9".to_owned()]
            )
        );
    }

    #[test]
    fn who_inherits_an_owner_gets_it() {
        let (gone, new) = difference("smtp.example.test", RType::A, &[], 60);
        assert_eq!(gone, ["smtp A 192.0.2.1", "  AAAA 2001:db8::1"]);
        assert_eq!(new, ["smtp.example.test.  AAAA 2001:db8::1"]);
    }

    #[test]
    fn a_change_that_would_reach_others_is_refused() {
        let text = "@ SOA ns1 host 1 3600 600 86400 30\na 60 A 192.0.2.1\nb A 192.0.2.2\n";
        let name = |text| Name::parse(text).expect("a name");
        let gone = Rrset::absent(RrsetKey::new(name("a.example.test"), RType::A));
        // Without $TTL, b has the TTL that a says.
        let why = replaced(text.as_bytes(), &name("example.test"), &gone, 300).expect_err("b too");
        assert!(why.contains("give each its owner"), "{why}");
    }

    #[test]
    fn serial_numbers_go_on_past_the_greatest() {
        let text = FILE.replace("2026112600", "4294967295");
        let bumped = bumped(
            text.as_bytes(),
            &Name::parse("example.test").expect("a name"),
        );
        let bumped = String::from_utf8(bumped.expect("bumped")).expect("text");
        assert!(bumped.contains("\t1 ; serial"), "{bumped}");
    }
}
