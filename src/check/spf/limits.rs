//! The limits on what evaluating a record may cost (RFC 7208 section 4.6.4).

use super::tree::{Cost, Void, Walk};
use super::{LOOKUPS, VOID};
use crate::check::Finding;
use crate::check::remarks::Remarks;
use crate::record::Name;

/// The most look-ups that receivers make.
const MOST_LOOKUPS: usize = 10;
/// From here on one more include by somebody else breaks the record.
const MANY_LOOKUPS: usize = 9;
/// The most of them that may find nothing.
const MOST_VOID: usize = 2;

/// Judges the look-ups.
pub(super) fn lookups(domain: &Name, walk: &Walk) -> Finding {
    let about = LOOKUPS.of(domain);
    let count = walk.lookups();
    let mut remarks = Remarks::default();
    for fault in &walk.faults {
        remarks.fail(
            format!("permerror: {fault}"),
            "take the term out, or name a domain that has one SPF record",
        );
    }
    let found = counted(walk);
    if count > MOST_LOOKUPS {
        remarks.fail(found.clone(), "replace the costliest terms by the addresses they stand for (ip4:, ip6:), or take out what no longer sends");
    } else if let Some(why) = walk.unknown.first().filter(|_| !remarks.fails()) {
        return about.skip(format!("{found} as far as could be seen; {why}"));
    } else if count >= MANY_LOOKUPS {
        remarks.warn(found.clone(), "take out what no longer sends: one more term in a record that is included, and receivers answer permerror");
    }
    remarks.settle(about, found)
}

/// Such as `11 of 10: include:_spf.example.net 4 (include:a.example.net, mx), a`.
fn counted(walk: &Walk) -> String {
    let mut text = format!("{} of {MOST_LOOKUPS}", walk.lookups());
    if !walk.costs.is_empty() {
        text.push_str(&format!(": {}", listed(&walk.costs)));
    }
    if !walk.macros.is_empty() {
        let terms = walk.macros.join(", ");
        text.push_str(&format!(
            "; where {terms} leads depends on the message, and was not followed"
        ));
    }
    text
}

fn listed(costs: &[Cost]) -> String {
    let each = |cost: &Cost| match cost.below.as_slice() {
        [] => format!("{} 1", cost.term),
        below => format!("{} {} ({})", cost.term, cost.lookups(), listed(below)),
    };
    costs.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// Which families the addresses of the domain's hosts are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Families {
    pub(super) four: bool,
    pub(super) six: bool,
}

/// Judges the look-ups that find nothing.
pub(super) fn void(domain: &Name, walk: &Walk, families: Families) -> Finding {
    let about = VOID.of(domain);
    let of = |counts: &dyn Fn(&Void) -> bool| -> Vec<&str> {
        let counted = walk.voids.iter().filter(|void| counts(void));
        counted.map(|void| void.term.as_str()).collect()
    };
    let always = of(&|void| void.four && void.six);
    let told = |terms: &[&str]| match terms {
        [] => format!("0 of {MOST_VOID}"),
        terms => format!("{} of {MOST_VOID}: {}", terms.len(), terms.join(", ")),
    };
    let fix = "take the terms out that find nothing, or publish what they ask for";
    if always.len() > MOST_VOID {
        return about.fail(told(&always), fix);
    }
    if let Some(why) = walk.unknown.first() {
        return about.skip(format!("{} as far as could be seen; {why}", told(&always)));
    }
    for (has, family, terms) in [
        (families.four, "IPv4", of(&|void| void.four)),
        (families.six, "IPv6", of(&|void| void.six)),
    ] {
        if has && terms.len() > MOST_VOID {
            return about.warn(format!("for senders with {family} {}", told(&terms)), fix);
        }
    }
    about.pass(told(&always))
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::walk;
    use super::*;
    use crate::check::Verdict::{Fail, Pass, Skip, Warn};

    fn domain() -> Name {
        Name::parse("a.test").expect("a name")
    }

    /// A record that includes `many` others, each without look-ups.
    fn includes(many: usize) -> String {
        let terms: String = (0..many)
            .map(|nth| format!(" include:i{nth}.test"))
            .collect();
        let mut world = format!("a.test TXT v=spf1{terms} -all\n");
        for nth in 0..many {
            world.push_str(&format!("i{nth}.test TXT v=spf1 ip4:192.0.2.{nth} -all\n"));
        }
        world
    }

    #[test]
    fn eleven_are_too_many() {
        for (world, verdict, found) in [
            ("a.test TXT v=spf1 ip4:192.0.2.1 -all".into(), Pass, "0 of 10"),
            (includes(8), Pass, "8 of 10: include:i0.test 1, "),
            (includes(9), Warn, "9 of 10: "),
            (includes(10), Warn, "10 of 10: "),
            (includes(11), Fail, "11 of 10: "),
            (
                "a.test TXT v=spf1 include:b.test a -all\na.test A 192.0.2.1\nb.test TXT v=spf1 mx ptr -all\nb.test MX 0 .".into(),
                Pass,
                "4 of 10: include:b.test 3 (mx 1, ptr 1), a 1",
            ),
            ("a.test TXT v=spf1 include:b.test -all".into(), Fail, "permerror: b.test has no SPF record"),
            ("a.test TXT v=spf1 include:b.test -all\nb.test TXT SERVFAIL".into(), Skip, "1 of 10: include:b.test 1 as far as could be seen"),
            ("a.test TXT v=spf1 exists:%{i}.b.test -all".into(), Pass, "1 of 10: exists:%{i}.b.test 1; where exists:%{i}.b.test leads"),
        ] {
            let finding = lookups(&domain(), &walk(&world));
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.starts_with(found), "{finding:?}");
        }
    }

    #[test]
    fn three_void_ones_are_too_many() {
        let four = Families {
            four: true,
            six: false,
        };
        let both = Families {
            four: true,
            six: true,
        };
        let one_family = "a.test TXT v=spf1 a:x.test a:y.test a:z.test -all\nx.test A 192.0.2.1\ny.test A 192.0.2.2\nz.test A 192.0.2.3";
        for (world, families, verdict, found) in [
            ("a.test TXT v=spf1 ip4:192.0.2.1 -all", both, Pass, "0 of 2"),
            (
                "a.test TXT v=spf1 a:x.test mx -all",
                both,
                Pass,
                "2 of 2: a:x.test, mx",
            ),
            (
                "a.test TXT v=spf1 a:x.test mx exists:y.test -all",
                both,
                Fail,
                "3 of 2: a:x.test, mx, exists:y.test",
            ),
            (one_family, four, Pass, "0 of 2"),
            (one_family, both, Warn, "for senders with IPv6 3 of 2"),
            (
                "a.test TXT v=spf1 a:x.test -all\nx.test A SERVFAIL",
                both,
                Skip,
                "0 of 2 as far",
            ),
        ] {
            let finding = void(&domain(), &walk(world), families);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.starts_with(found), "{finding:?}");
        }
    }
}
