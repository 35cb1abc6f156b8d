//! How long the first answer takes.

use std::time::{Duration, Instant};

use crate::sshd::Sshd;
use crate::{connect, run, sshd};

#[test]
fn a_new_connection_and_a_first_script_are_quick() {
    if !sshd::available() {
        return;
    }
    // Not the cost of somebody's .bashrc, but ours.
    let sshd = Sshd::start_with("SetEnv SHLVL=9");
    let target = sshd.known_target();
    let mut times: Vec<(Duration, Duration)> = (0..9)
        .map(|_| {
            let begin = Instant::now();
            let ssh = connect(&target);
            let connected = begin.elapsed();
            run(&ssh, "true");
            (begin.elapsed(), connected)
        })
        .collect();
    times.sort();
    eprintln!(
        "connect and run: best {:?}, median {:?} (of it connecting {:?})",
        times[0].0, times[4].0, times[4].1
    );
    // 0.05 s where it is idle; the limit allows for a busy machine.
    assert!(times[0].0 < Duration::from_secs(1), "{times:?}");
}
