//! The world's resolver, told what to do: unbound-control(8) in its own words.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mailctl::rehearse::World;

/// Lets it forget every answer, and what it has learnt of servers: what was
/// changed is seen with the next question.
pub fn forget(world: &World) {
    control(world, "flush_zone .");
    control(world, "flush_infra all");
}

/// Its configuration as it is.
pub fn configuration(world: &World) -> String {
    fs::read_to_string(world.directory().join("unbound.conf")).expect("a configuration")
}

/// Gives it a configuration with these lines more in its `server:` clause.
pub fn configure(world: &World, usual: &str, lines: &str) {
    // Of an option that is given twice the last one counts.
    let text = usual.replace(
        "remote-control:",
        &format!("server:\n{lines}remote-control:"),
    );
    fs::write(world.directory().join("unbound.conf"), text).expect("a configuration");
    control(world, "reload");
}

fn control(world: &World, command: &str) {
    let connected = UnixStream::connect(world.directory().join("unbound.sock"));
    let mut stream = connected.expect("unbound listens");
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).expect("a limit");
    writeln!(stream, "UBCT1 {command}").expect("told");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("ok"), "{command}: {answer}");
}
