//! Our verdicts and those of pyspf, dkimpy and checkdmarc, on the same small
//! zones, served by Knot and asked for through Unbound.
//!
//! The zones and what is to be found in them are `tests/judges/worlds.txt`,
//! the other programs' half is `tests/judges/judges.py`; `tools/judges`
//! installs what that needs.

#![allow(missing_docs)]
#![allow(clippy::print_stdout)]

#[path = "support/knot.rs"]
mod knot;
#[path = "judges/ours.rs"]
mod ours;
#[path = "support/ports.rs"]
mod ports;
#[path = "judges/python.rs"]
mod python;
#[path = "support/unbound.rs"]
mod unbound;
#[path = "judges/worlds.rs"]
mod worlds;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use knot::KnotServer;
use ports::{dns_port, own_address, zone_text};
use unbound::UnboundServer;
use worlds::World;

/// What one program answers: the world, the question, the answer.
type Answers = BTreeMap<(String, String), String>;

/// The reverse zone of the addresses that send.
const REVERSE: &str = "2.0.192.in-addr.arpa";

#[tokio::test]
async fn verdicts_agree_with_those_of_other_programs() {
    let Some(python) = python::Judges::installed() else {
        return;
    };
    let keys = worlds::Keys::make();
    let worlds = worlds::read(include_str!("judges/worlds.txt"), &keys);
    let Some((resolver, _servers)) = serve(&worlds).await else {
        return;
    };
    let messages = python.sign(&worlds, &keys);
    let answers = [
        ("check", ours::check(resolver, &worlds, &keys).await),
        ("judge", ours::judge(resolver, &worlds, &messages).await),
        ("others", python.judge(resolver, &worlds, &messages)),
    ];
    let mut wrong = Vec::new();
    let mut answered = BTreeSet::new();
    for (whose, given) in answers {
        for ((world, question), answer) in given {
            // The other programs say themselves who they are: `pyspf: spf 192.0.2.1`.
            let (program, question) = match question.split_once(": ") {
                Some((program, question)) => (program.to_owned(), question.to_owned()),
                None => (whose.to_owned(), question),
            };
            let of = worlds.iter().find(|of| of.name == world).expect("a world");
            let wanted = of.wanted(&program, &question);
            if wanted != answer {
                wrong.push(format!(
                    "{world}: {program} answers `{question}` with `{answer}`, wanted is `{wanted}`"
                ));
            }
            answered.insert((world, program, question));
        }
    }
    for world in &worlds {
        for (program, question) in world.differences.keys() {
            let of = (world.name.clone(), program.clone(), question.clone());
            if !answered.contains(&of)
                || world.wanted(program, question) == world.general(program, question)
            {
                wrong.push(format!(
                    "{}: `;but {program} {question}` is no difference",
                    world.name
                ));
            }
        }
    }
    assert!(
        worlds.len() >= 25 && answered.len() > 200,
        "{} worlds, {} answers",
        worlds.len(),
        answered.len()
    );
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A resolver that finds the way to all worlds; `None` where its programs are not installed.
async fn serve(worlds: &[World]) -> Option<(SocketAddr, (KnotServer, UnboundServer))> {
    let reverse = "80 PTR mail.reverse.test.\n";
    let mut zones = vec![
        ("test", zone_text("test", &[], "")),
        (REVERSE, zone_text(REVERSE, &[], reverse)),
    ];
    let named: Vec<(String, String)> = worlds
        .iter()
        .map(|world| (world.apex(), zone_text(&world.apex(), &[], &world.zone)))
        .collect();
    zones.extend(
        named
            .iter()
            .map(|(apex, text)| (apex.as_str(), text.clone())),
    );
    let knot = KnotServer::start(&zones).await?;
    let apexes: Vec<&str> = zones.iter().map(|(apex, _)| *apex).collect();
    let at = SocketAddr::new(own_address(), dns_port());
    let unbound = UnboundServer::start_at(at, &apexes, knot.dns).await?;
    Some((unbound.dns, (knot, unbound)))
}
