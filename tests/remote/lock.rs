//! One apply at a time.

use std::time::{Duration, Instant};

use mailctl::remote::lock::{Around, Lock};
use mailctl::remote::ssh::Ssh;

use crate::sshd::{Sshd, kill};
use crate::{connect, contains, run, sshd, until};

#[test]
fn the_lock_names_its_holder_and_goes_with_its_connection() {
    if !sshd::available() {
        return;
    }
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("lock").display().to_string();
    let target = sshd.known_target();
    let first = connect(&target);
    let before = sshd.sessions();
    let second = connect(&target);
    let take = |ssh: &Ssh, who: &str, wait| {
        let wait = Duration::from_secs(wait);
        Lock::take_file(ssh, &file, who, wait, Around::default())
    };

    let lock = take(&first, "i@laptop, pid 7, since noon", 0).expect("taken");
    assert_eq!(run(&first, "echo work goes on").text(), "work goes on\n");
    assert!(lock.held());
    let told = take(&second, "she@desk", 0).err().expect("held").told();
    contains(
        &told,
        &[
            "another mailctl works on root@127.0.0.1",
            "i@laptop, pid 7, since noon",
            "wait",
        ],
    );
    let begin = Instant::now();
    assert!(take(&second, "she@desk", 1).is_err());
    assert!(begin.elapsed() >= Duration::from_secs(1));
    drop(lock);
    let lock = take(&second, "she@desk", 0).expect("released");

    // The controller dies: its connection ends without a word.
    let mut sessions = sshd.sessions();
    sessions.retain(|pid| !before.contains(pid));
    assert_eq!(sessions.len(), 1);
    kill(sessions[0]).expect("killed");
    let third = connect(&target);
    let taken = take(&third, "they", 20).expect("released with the connection");
    until("the first holder knows", || !lock.held());
    assert!(taken.held());
}
