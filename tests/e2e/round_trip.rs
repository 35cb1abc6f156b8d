//! What a plan costs the server, as the server itself counts it.

use crate::lab::Lab;

/// A plan without changes is one connection and one command, whatever there
/// is to be known: sshd logs each of both.
pub fn a_plan_is_one_connection_and_one_command(lab: &Lab) {
    // Restarting is over when sshd listens again; reloading is not.
    lab.on_server(
        "echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/verbose.conf && systemctl restart ssh",
    );
    let counts = || {
        let log = lab.on_server("journalctl --sync; journalctl -u ssh -o cat --no-pager");
        [
            "Connection from ",
            "Accepted publickey for root ",
            "Starting session: ",
        ]
        .map(|what| log.lines().filter(|line| line.starts_with(what)).count())
    };
    let before = counts();
    let plan = lab.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(plan.out.contains("No changes."), "{}", plan.out);
    assert_eq!(
        counts(),
        before.map(|count| count + 1),
        "connections, logins and commands of one plan"
    );
    lab.on_server("rm /etc/ssh/sshd_config.d/verbose.conf && systemctl restart ssh");
}
