//! Our verdicts and those of pyspf, dkimpy and checkdmarc, on the same small
//! zones, served by Knot and asked for through Unbound.
//!
//! The zones and what is to be found in them are `tests/judges/worlds.txt`,
//! the other programs' half is `tests/judges/judges.py`; `make judges`
//! installs what that needs.

#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]

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
use std::process::ExitCode;

use knot::KnotServer;
use libtest_mimic::{Arguments, Trial};
use ports::{dns_port, own_address, zone_text};
use unbound::UnboundServer;
use worlds::World;

/// What one program answers: the world, the question, the answer.
type Answers = BTreeMap<(String, String), String>;

/// The reverse zone of the addresses that send.
const REVERSE: &str = "2.0.192.in-addr.arpa";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let python = python::Judges::installed();
    let servers = ["knotd", "unbound"];
    let missing = python.is_none() || !servers.iter().all(|name| ports::program(name).is_some());
    let name = "verdicts_agree_with_those_of_other_programs";
    if missing && !arguments.list {
        eprintln!("skipped: {name}: `make judges packages-lab` installs what it needs");
    }
    let run = move || {
        let python = python.ok_or("the other programs are not installed")?;
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(verdicts_agree(python));
        Ok(())
    };
    let trial = Trial::test(name, run).with_ignored_flag(missing);
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

async fn verdicts_agree(python: python::Judges) {
    let keys = worlds::Keys::make();
    let worlds = worlds::read(include_str!("judges/worlds.txt"), &keys);
    let (resolver, _servers) = serve(&worlds).await;
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

/// A resolver that finds the way to all worlds.
async fn serve(worlds: &[World]) -> (SocketAddr, (KnotServer, UnboundServer)) {
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
    let knot = KnotServer::start(&zones).await.expect("knotd");
    let apexes: Vec<&str> = zones.iter().map(|(apex, _)| *apex).collect();
    let at = SocketAddr::new(own_address(), dns_port());
    let unbound = UnboundServer::start_at(at, &apexes, knot.dns).await;
    let unbound = unbound.expect("unbound");
    (unbound.dns, (knot, unbound))
}
