use super::*;
use crate::observe::Answer;

fn diff(text: &str) -> Result<Option<Change>, Blocked> {
    let mut seen = Seen::new();
    seen.put(
        Probe::Shell(PROBE.into()),
        Answer::Shell {
            code: 0,
            out: text.into(),
            err: String::new(),
        },
    );
    Ok(Open(vec![25, 465, 587])
        .diff(&seen, &Plan::default())?
        .pop())
}

fn text(change: &Change) -> &str {
    match &change.action {
        Action::Script(script) => &script.text,
        other => panic!("a script was wanted, not {other:?}"),
    }
}

#[test]
fn no_firewall_no_change() {
    assert!(diff("").expect("decided").is_none());
    assert!(
        diff("@iptables\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n@ip6tables\n@nft\n")
            .expect("decided")
            .is_none()
    );
    assert!(Open(vec![25]).diff(&Seen::new(), &Plan::default()).is_err());
}

#[test]
fn ufw_opens_what_is_closed() {
    let tuples = "@ufw\n### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n### tuple ### allow tcp 25,465 0.0.0.0/0 any 0.0.0.0/0 in comment=6d\n\
                  ### tuple ### allow tcp 587 0.0.0.0/0 any 198.51.100.0/24 in\n@ufw6\n### tuple ### allow tcp 25,465 ::/0 any ::/0 in\n";
    let change = diff(tuples).expect("decided").expect("a change");
    assert_eq!(change.why, "ufw is active and keeps port 587 closed");
    assert!(text(&change).contains("ufw allow proto tcp to any port 587 comment"));
    let open = tuples.replace(" 25,465 ", " 20:600 ");
    assert!(diff(&open).expect("decided").is_none());
}

#[test]
fn firewalld_opens_now_and_for_good() {
    let change = diff("@firewalld\n465/tcp\nssh smtp\n465/tcp\nssh smtp\n")
        .expect("decided")
        .expect("a change");
    assert!(text(&change).contains(
        "firewall-cmd -q --permanent --add-port=587/tcp && firewall-cmd -q --add-port=587/tcp"
    ));
    let forgotten = diff("@firewalld\n25/tcp 460-600/tcp\nssh\n\nssh\n")
        .expect("decided")
        .expect("a change");
    assert_eq!(
        forgotten.why,
        "firewalld is active and keeps ports 25, 465, 587 closed"
    );
    assert!(
        diff("@firewalld\n25/tcp 460-600/tcp\n\n25/tcp 460-600/tcp\n\n")
            .expect("decided")
            .is_none()
    );
}

#[test]
fn rules_by_hand_are_a_persons() {
    let rules = "@iptables\n*filter\n:INPUT DROP [0:0]\n-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n\
                 -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n@ip6tables\n";
    let blocked = diff(rules).expect_err("closed");
    assert_eq!(
        blocked.why,
        "rules of iptables drop what comes in, and none accepts port 25, 465, 587"
    );
    assert!(
        blocked
            .fix
            .expect("fix")
            .contains("iptables -I INPUT -p tcp -m multiport --dports 25,465,587 -j ACCEPT")
    );
    let open = rules.replace("--dport 22", "-m multiport --dports 22,25,465,587");
    assert!(diff(&open).expect("decided").is_none());
    let oracle = "@iptables\n:INPUT ACCEPT [0:0]\n-A INPUT -p icmp -j ACCEPT\n-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT\n\
                  -A INPUT -j REJECT --reject-with icmp-host-prohibited\n";
    assert!(
        diff(oracle).is_err(),
        "the policy accepts, but the last rule rejects"
    );
}

const NFT: &str = "@nft
table inet filter {
\tset allowed {
\t\ttype ipv4_addr
\t}

\tchain input {
\t\ttype filter hook input priority 0; policy drop;
\t\tct state { 0x2, 0x4 } accept
\t\tiifname \"lo\" accept
\t\ttcp dport { 22, 80 } accept
\t\tip saddr 198.51.100.1 tcp dport { 25, 465, 587 } accept
\t}

\tchain forward {
\t\ttype filter hook forward priority 0; policy drop;
\t}
}
table inet f2b-table {
\tchain f2b-chain {
\t\ttype filter hook input priority -1; policy accept;
\t\ttcp dport 22 ip saddr @addr-set-sshd reject
\t}
}
";

#[test]
fn nftables_by_hand_too() {
    let blocked = diff(NFT).expect_err("closed");
    assert!(
        blocked
            .fix
            .expect("fix")
            .contains("nft insert rule inet filter input tcp dport '{ 25, 465, 587 }' accept")
    );
    assert!(
        diff(&NFT.replace("{ 22, 80 }", "{ 22, 25, 460-600 }"))
            .expect("decided")
            .is_none()
    );
    let accepting = NFT.replace(
        "hook input priority 0; policy drop;",
        "hook input priority 0; policy accept;",
    );
    assert!(diff(&accepting).expect("decided").is_none());
    let rejecting = accepting.replace(
        "{ 25, 465, 587 } accept\n",
        "25 accept\n\t\tcounter packets 5 bytes 300 reject with icmpx 1\n",
    );
    assert!(diff(&rejecting).is_err());
}

#[test]
fn tables_of_iptables_are_judged_by_its_own_words() {
    let nft = NFT.replace("inet filter", "ip filter");
    assert!(diff(&nft).is_err());
    assert!(
        diff(&format!("@iptables\n:INPUT ACCEPT [0:0]\n{nft}"))
            .expect("decided")
            .is_none()
    );
}
