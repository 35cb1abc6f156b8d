//! The provider that is a person: mailctl says what to set where, and sees at
//! the zone's name servers whether it is done.

use async_trait::async_trait;

use super::{DEFAULT_TTL, Zone, inside};
use crate::dns::{Authority, Dns};
use crate::failure::{Exit, Failure, Result};
use crate::record::{Name, RType, Rrset, RrsetKey, txt_quoted};

/// Its id in the catalogue.
pub const ID: &str = "manual";

/// Reads from the zone's name servers, writes nothing.
pub struct Manual {
    dns: Dns,
}

impl Manual {
    /// A person who edits zones, seen through `dns`.
    pub fn new(dns: Dns) -> Self {
        Self { dns }
    }
}

#[async_trait]
impl Zone for Manual {
    fn provider(&self) -> &str {
        ID
    }

    /// What the zone's name servers say. Where they disagree, nobody knows
    /// which of them is right, and so it is an error.
    async fn list(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        inside(zone, keys)?;
        agreed(zone, self.dns.everywhere(zone, keys).await?)
    }

    async fn set(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
        Err(Failure::new(format!("{} has to be set by hand", want.key))
            .hint(instruction(zone, before, want))
            .exit(Exit::Person))
    }

    fn by_hand(&self) -> bool {
        true
    }
}

/// What those servers that answer all say.
fn agreed(zone: &Name, seen: Vec<(Authority, Result<Vec<Rrset>>)>) -> Result<Vec<Rrset>> {
    let mut first: Option<(Authority, Vec<Rrset>)> = None;
    let mut silent = None;
    for (authority, answer) in seen {
        match (answer, &first) {
            (Ok(sets), None) => first = Some((authority, sets)),
            (Ok(sets), Some((other, known))) => {
                if let Some((a, b)) = known.iter().zip(&sets).find(|(a, b)| a != b) {
                    return Err(Failure::new(format!(
                        "the name servers of {zone} disagree about {}: {other} has {}, {authority} has {}",
                        a.key,
                        shown(a),
                        shown(b),
                    ))
                    .hint("wait until the last change has reached all of them, then run this again"));
                }
            }
            (Err(why), _) => silent = Some(why),
        }
    }
    match (first, silent) {
        (Some((_, sets)), _) => Ok(sets),
        (None, Some(why)) => Err(why),
        (None, None) => Err(Failure::new(format!("{zone} has no name server"))),
    }
}

fn shown(set: &Rrset) -> String {
    if set.values.is_empty() {
        return "none".to_owned();
    }
    let values: Vec<String> = set
        .values
        .iter()
        .map(|value| format!("“{value}”"))
        .collect();
    let ttl = set
        .ttl
        .map(|ttl| format!(" (TTL {ttl})"))
        .unwrap_or_default();
    format!("{}{ttl}", values.join(", "))
}

/// What a person has to do in the zone `apex` to make `before` into `want`:
/// the record's name as forms want it (relative) and in full, its type, TTL
/// and values; a TXT value also as zone files quote it.
pub fn instruction(apex: &Name, before: &Rrset, want: &Rrset) -> String {
    let key = &want.key;
    let mut lines = vec![format!("in the zone {apex}:")];
    let place = format!(
        "{} record, name {} (in full {})",
        key.rtype,
        relative(&key.name, apex),
        key.name.fqdn()
    );
    for value in before.values.difference(&want.values) {
        lines.push(format!("  delete the {place}:"));
        lines.extend(value_lines(key.rtype, value));
    }
    let ttl = want.ttl.unwrap_or(DEFAULT_TTL);
    let retimed = want.ttl.is_some() && before.ttl.is_some() && want.ttl != before.ttl;
    for value in &want.values {
        if !before.values.contains(value) {
            lines.push(format!("  add a {place}, TTL {ttl}:"));
        } else if retimed {
            lines.push(format!("  set the TTL to {ttl} on the {place}:"));
        } else {
            continue;
        }
        lines.extend(value_lines(key.rtype, value));
    }
    lines.join("\n")
}

fn value_lines(rtype: RType, value: &str) -> Vec<String> {
    let mut lines = vec![format!("    value {value}")];
    if rtype == RType::Txt {
        lines.push(format!(
            "    where the form wants quotes: {}",
            txt_quoted(value)
        ));
    }
    lines
}

fn relative(name: &Name, apex: &Name) -> String {
    if name == apex {
        return "@".to_owned();
    }
    let dotted = format!(".{apex}");
    name.as_str()
        .strip_suffix(&dotted)
        .unwrap_or(name.as_str())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn the_instruction_says_what_where_and_how() {
        let key = RrsetKey::new(name("_dmarc.wac.tax"), RType::Txt);
        let before = Rrset::new(key.clone(), Some(300), ["v=DMARC1; p=none", "other"]);
        let want = Rrset::new(key, Some(300), ["v=DMARC1; p=reject", "other"]);
        assert_eq!(
            instruction(&name("wac.tax"), &before, &want),
            "in the zone wac.tax:\n  \
             delete the TXT record, name _dmarc (in full _dmarc.wac.tax.):\n    \
             value v=DMARC1; p=none\n    \
             where the form wants quotes: \"v=DMARC1; p=none\"\n  \
             add a TXT record, name _dmarc (in full _dmarc.wac.tax.), TTL 300:\n    \
             value v=DMARC1; p=reject\n    \
             where the form wants quotes: \"v=DMARC1; p=reject\""
        );
    }

    #[test]
    fn a_new_ttl_is_an_instruction_too() {
        let key = RrsetKey::new(name("wac.tax"), RType::Mx);
        let before = Rrset::new(key.clone(), Some(86400), ["10 smtp.wac.tax"]);
        let want = Rrset {
            ttl: Some(300),
            ..before.clone()
        };
        assert_eq!(
            instruction(&name("wac.tax"), &before, &want),
            "in the zone wac.tax:\n  \
             set the TTL to 300 on the MX record, name @ (in full wac.tax.):\n    \
             value 10 smtp.wac.tax."
        );
    }

    #[test]
    fn servers_that_disagree_are_not_guessed_between() {
        let key = RrsetKey::new(name("wac.tax"), RType::A);
        let server =
            |n: u8| Authority::new(name(&format!("ns{n}.wac.tax")), ([192, 0, 2, n], 53).into());
        let set = |value: &str| Ok(vec![Rrset::new(key.clone(), Some(300), [value])]);
        let both = vec![(server(1), set("192.0.2.7")), (server(2), set("192.0.2.8"))];
        let why = agreed(&name("wac.tax"), both)
            .expect_err("a disagreement")
            .told();
        assert!(
            why.contains("ns1.wac.tax (192.0.2.1:53) has “192.0.2.7”"),
            "{why}"
        );
        assert!(why.contains("ns2.wac.tax"), "{why}");
        let one_silent = vec![
            (server(1), Err(Failure::new("silent"))),
            (server(2), set("192.0.2.8")),
        ];
        assert_eq!(
            agreed(&name("wac.tax"), one_silent).expect("one answers"),
            set("192.0.2.8").expect("a set")
        );
    }
}
