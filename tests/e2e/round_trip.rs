//! What a plan costs the server, as the server itself counts it.

use crate::lab::Lab;

/// A plan without changes is one connection and one command, whatever there
/// is to be known: sshd logs each of both.
pub fn a_plan_is_one_connection_and_one_command(lab: &Lab) {
    lab.on_server(
        "echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/verbose.conf && systemctl reload ssh",
    );
    let count = |what: &str| -> usize {
        let log = lab.on_server("journalctl --sync; journalctl -u ssh -o cat --no-pager");
        log.lines().filter(|line| line.starts_with(what)).count()
    };
    let counts = || {
        [
            "Connection from ",
            "Accepted publickey for root ",
            "Starting session: ",
        ]
        .map(count)
    };
    // Reloading is not immediate: another connection shows that it has happened.
    let before = (0..50)
        .find_map(|_| {
            lab.run(&["plan"]).expect(0);
            let counts = counts();
            counts.iter().all(|count| *count > 0).then_some(counts)
        })
        .expect("sshd logs sessions");
    let plan = lab.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(plan.out.contains("No changes."), "{}", plan.out);
    assert_eq!(
        counts(),
        before.map(|count| count + 1),
        "connections, logins and commands of one plan"
    );
    lab.on_server("rm /etc/ssh/sshd_config.d/verbose.conf && systemctl reload ssh");
}
