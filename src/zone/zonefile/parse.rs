//! What the entries of a zone file say: owners, TTLs, types and values, as
//! directives and the entries before make them.

use std::ops::Range;

use super::lex::{self, Line};
use crate::record::{Name, RType, Rrset, RrsetKey, canonical};

/// One record and where it stands.
#[derive(Debug)]
pub(super) struct Entry {
    /// The entry with its end of line.
    pub(super) place: Range<usize>,
    /// Whether its owner is that of the entry before.
    pub(super) indented: bool,
    /// The owner in full, as the file spells it.
    pub(super) owner: String,
    /// Set and value, where mailctl knows the type and the name.
    pub(super) known: Option<(RrsetKey, String)>,
    /// The TTL that counts, in seconds.
    pub(super) ttl: Option<u32>,
    /// Where it stands, if it does.
    pub(super) ttl_at: Option<Range<usize>>,
    /// The first word behind the owner, before which a TTL may be put.
    pub(super) head: usize,
    /// The words behind the type.
    pub(super) data: Vec<Range<usize>>,
    /// Type and data, names in full, to tell whether an entry stayed what it was.
    said: String,
}

impl Entry {
    /// Owner, TTL, type and data.
    pub(super) fn said(&self) -> (&str, Option<u32>, &str) {
        (&self.owner, self.ttl, &self.said)
    }

    /// Whether it is of this set.
    pub(super) fn is_of(&self, key: &RrsetKey) -> bool {
        self.known.as_ref().is_some_and(|(of, _)| of == key)
    }
}

/// A zone file.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Its records in their order.
    pub(super) entries: Vec<Entry>,
    /// The SOA's among them.
    pub(super) soa: usize,
    /// Whether `$TTL` says what counts where none stands.
    pub(super) has_ttl: bool,
}

impl Parsed {
    /// One set; its TTL is that of its first record.
    pub(super) fn set(&self, key: &RrsetKey) -> Rrset {
        let of_key: Vec<&Entry> = self.entries.iter().filter(|e| e.is_of(key)).collect();
        Rrset {
            key: key.clone(),
            ttl: of_key.first().and_then(|entry| entry.ttl),
            values: of_key
                .iter()
                .filter_map(|entry| Some(entry.known.as_ref()?.1.clone()))
                .collect(),
        }
    }
}

/// Reads the zone file of `apex`.
///
/// # Errors
/// What is wrong with it, and in which line; also for what cannot be edited
/// safely: files that include others or are made by a program.
pub(super) fn parse(text: &[u8], apex: &Name) -> Result<Parsed, String> {
    let mut reader = Reader {
        text,
        origin: apex.fqdn(),
        default_ttl: None,
        last_ttl: None,
        last_owner: None,
    };
    let mut entries = Vec::new();
    for line in lex::lines(text)? {
        let read = reader.line(&line);
        entries.extend(read.map_err(|why| format!("line {}: {why}", line.number))?);
    }
    let signed = ["RRSIG", "NSEC", "NSEC3"];
    if entries
        .iter()
        .any(|e| signed.iter().any(|s| e.said.starts_with(&format!("{s} "))))
    {
        return Err("it is a signed zone: name the file that it is made from".into());
    }
    let of_soa: Vec<usize> = (0..entries.len())
        .filter(|nth| entries[*nth].said.starts_with("SOA "))
        .collect();
    let [soa] = of_soa[..] else {
        return Err(format!(
            "it has {} SOA records instead of one",
            of_soa.len()
        ));
    };
    let owner = &entries[soa].owner;
    if Name::parse(owner).as_ref() != Ok(apex) {
        return Err(format!("it is the zone {owner} and not {apex}"));
    }
    // The oldest rule: what says no TTL has that of the SOA's last field (RFC 1035 section 5.1).
    let minimum = entries[soa].data.last().and_then(|w| ttl(&words(text, w)));
    for entry in &mut entries {
        entry.ttl = entry.ttl.or(minimum);
    }
    Ok(Parsed {
        entries,
        soa,
        has_ttl: reader.default_ttl.is_some(),
    })
}

struct Reader<'a> {
    text: &'a [u8],
    origin: String,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    last_owner: Option<String>,
}

fn words(text: &[u8], place: &Range<usize>) -> String {
    String::from_utf8_lossy(&text[place.clone()]).into_owned()
}

impl Reader<'_> {
    fn word(&self, place: &Range<usize>) -> String {
        words(self.text, place)
    }

    fn line(&mut self, line: &Line) -> Result<Option<Entry>, String> {
        let Some(first) = line.words.first() else {
            return Ok(None);
        };
        let first = self.word(first);
        if first.starts_with('$') {
            self.directive(&first, line)?;
            return Ok(None);
        }
        let mut rest = line.words.as_slice();
        if !line.indented {
            self.last_owner = Some(self.in_full(&first));
            rest = &rest[1..];
        }
        let owner = self.last_owner.clone();
        let owner = owner.ok_or("the first record has no owner")?;
        self.record(line, owner, rest).map(Some)
    }

    fn directive(&mut self, word: &str, line: &Line) -> Result<(), String> {
        let value = line.words.get(1).map(|w| self.word(w));
        let value = value.ok_or_else(|| format!("{word} says nothing"))?;
        match word.to_ascii_uppercase().as_str() {
            "$ORIGIN" => self.origin = self.in_full(&value),
            "$TTL" => {
                let seconds = ttl(&value).ok_or_else(|| format!("`{value}` is no TTL"))?;
                self.default_ttl = Some(seconds);
            }
            "$INCLUDE" => {
                return Err(format!(
                    "$INCLUDE {value}: files that include others are not edited; put its records here"
                ));
            }
            _ => {
                return Err(format!(
                    "{word} is not known here: only $ORIGIN and $TTL may stand in a file that is edited"
                ));
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        line: &Line,
        owner: String,
        words: &[Range<usize>],
    ) -> Result<Entry, String> {
        let (mut ttl_at, mut seconds, mut nth) = (None, None, 0);
        let rtype = loop {
            let place = words.get(nth).ok_or("the record has no type")?;
            let word = self.word(place).to_ascii_uppercase();
            nth += 1;
            match word.as_str() {
                "IN" => {}
                "CH" | "CS" | "HS" => {
                    return Err(format!("records of class {word} are not known here"));
                }
                _ if ttl_at.is_none() && ttl(&word).is_some() => {
                    (seconds, ttl_at) = (ttl(&word), Some(place.clone()));
                }
                _ => break word,
            }
        };
        let data = words[nth..].to_vec();
        if data.is_empty() {
            return Err(format!("the {rtype} record has no value"));
        }
        self.last_ttl = seconds.or(self.last_ttl);
        let value = self.value(&rtype, &data);
        let key = rtype.parse::<RType>().ok().zip(Name::parse(&owner).ok());
        let key = key.map(|(rtype, name)| RrsetKey::new(name, rtype));
        Ok(Entry {
            place: line.place.clone(),
            indented: line.indented,
            owner,
            ttl: seconds.or(self.default_ttl).or(self.last_ttl),
            ttl_at,
            head: words[0].start,
            said: format!("{rtype} {value}"),
            known: key.map(|key| (key, value)),
            data,
        })
    }

    /// The value in canonical form; for types that are not known, its words and the origin.
    fn value(&self, rtype: &str, data: &[Range<usize>]) -> String {
        let mut words: Vec<String> = data.iter().map(|w| self.word(w)).collect();
        let Ok(rtype) = rtype.parse::<RType>() else {
            return format!("{} @{}", words.join(" "), self.origin);
        };
        let name = match rtype {
            RType::Cname | RType::Ns | RType::Ptr => Some(0),
            RType::Mx => Some(1),
            RType::Srv => Some(3),
            _ => None,
        };
        if let Some(word) = name.and_then(|nth| words.get_mut(nth)) {
            *word = self.in_full(word);
        }
        match rtype {
            RType::Soa => {
                for word in words.iter_mut().take(2) {
                    *word = self.in_full(word);
                }
            }
            RType::Txt => words.iter_mut().for_each(|w| *w = quoted(w)),
            RType::Caa => words.iter_mut().skip(2).for_each(|w| *w = quoted(w)),
            _ => {}
        }
        canonical(rtype, &words.join(" "))
    }

    /// A name in full, as the file spells it.
    fn in_full(&self, word: &str) -> String {
        let absolute = word.ends_with('.') && !word.ends_with("\\.");
        match word {
            "@" => self.origin.clone(),
            _ if absolute => word.to_owned(),
            _ if self.origin == "." => format!("{word}."),
            _ => format!("{word}.{}", self.origin),
        }
    }
}

/// A character-string with its quotes; escapes mean the same inside and outside of them.
fn quoted(word: &str) -> String {
    if word.starts_with('"') {
        word.to_owned()
    } else {
        format!("\"{word}\"")
    }
}

/// Seconds, also as `1h30m`, which BIND and NSD read.
pub(super) fn ttl(word: &str) -> Option<u32> {
    if let Ok(seconds) = word.parse() {
        return Some(seconds);
    }
    let (mut total, mut number) = (0u32, None::<u32>);
    for c in word.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    number.is_none().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apex() -> Name {
        Name::parse("example.test").expect("a name")
    }

    fn told(text: &str) -> Vec<String> {
        let parsed = parse(text.as_bytes(), &apex()).expect("a zone");
        let told = |entry: &Entry| {
            let (key, value) = entry.known.as_ref()?;
            Some(format!("{key} {} {value}", entry.ttl.unwrap_or_default()))
        };
        parsed.entries.iter().filter_map(told).collect()
    }

    const SOA: &str = "@ IN SOA ns1 host ( 7 3600 600 86400 60 )\n";

    #[test]
    fn origins_owners_and_ttls_are_carried_on() {
        let text = format!(
            "{SOA}\tNS ns1\n$TTL 1h\nwww 60 IN A 192.0.2.1\n IN 1m AAAA 2001:DB8::1\n$ORIGIN sub\n\
             a MX 10 @\nb.other.test. CNAME A.B.\n$ORIGIN .\nexample.test TXT \"a\" b\\;c \"\\\"d\"\n\
             x.example.test CAA 0 issue letsencrypt.org\nc TYPE65534 \\# 1 00\n"
        );
        assert_eq!(
            told(&text),
            [
                "example.test SOA 60 ns1.example.test. host.example.test. 7 3600 600 86400 60",
                "example.test NS 60 ns1.example.test.",
                "www.example.test A 60 192.0.2.1",
                "www.example.test AAAA 60 2001:db8::1",
                "a.sub.example.test MX 3600 10 sub.example.test.",
                "b.other.test CNAME 3600 a.b.",
                "example.test TXT 3600 ab;c\"d",
                "x.example.test CAA 3600 0 issue \"letsencrypt.org\"",
            ]
        );
    }

    #[test]
    fn what_cannot_be_edited_is_refused() {
        for (text, why) in [
            (format!("{SOA}$INCLUDE other\n"), "line 2: $INCLUDE other"),
            (format!("{SOA}$GENERATE 1-9 a$ A 192.0.2.$\n"), "$GENERATE"),
            (
                format!("{SOA}@ RRSIG A 13 2 300 1 2 3 a b\n"),
                "signed zone",
            ),
            (String::new(), "0 SOA records"),
            (SOA.replace('@', "other.test."), "the zone other.test."),
            (format!("{SOA}www A\n"), "line 2: the A record has no value"),
        ] {
            let told = parse(text.as_bytes(), &apex()).expect_err(&text);
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn ttls_may_have_units() {
        for (word, seconds) in [
            ("300", Some(300)),
            ("1h30M", Some(5400)),
            ("2w", Some(1_209_600)),
            ("1h30", None),
            ("A", None),
            ("MX", None),
        ] {
            assert_eq!(ttl(word), seconds, "{word}");
        }
    }
}
