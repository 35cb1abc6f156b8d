use super::*;
use crate::observe::{Answer, FileSeen};

const NETPLAN: &str = include_str!("../../../tests/fixtures/netplan/ubuntu-24.04-links.txt");
const RENAMED: &str = include_str!("../../../tests/fixtures/netplan/device-id-links.txt");
const IFUPDOWN: &str = include_str!("../../../tests/fixtures/netplan/debian-ifupdown-links.txt");
const BRIDGE: &str = include_str!("../../../tests/fixtures/netplan/bridge-links.txt");

fn ip(text: &str) -> Ipv6Addr {
    text.parse().expect("address")
}

/// What the kernel has: an address, and whether fe80::1 is the gateway.
fn facts(address: Option<&str>, routed: bool) -> String {
    let mut text =
        "os=debian\nroute4=1.0.0.0 via 203.0.113.1 dev eth0 src 203.0.113.7 uid 0\n".to_owned();
    if routed {
        let source = address.map_or(String::new(), |a| format!(" src {a}"));
        text.push_str(&format!(
            "route6=2000:: from :: via fe80::1 dev eth0 proto static{source} metric 1024\n"
        ));
    }
    text.push_str("@if_inet6\n");
    if let Some(address) = address {
        text.push_str(&format!(
            "{:032x} 02 40 00 80 eth0\n",
            ip(address).to_bits()
        ));
    }
    text
}

fn seen(links: &str, facts_text: &str, file: Option<&str>) -> Seen {
    let shell = |out: &str| Answer::Shell {
        code: 0,
        out: out.into(),
        err: String::new(),
    };
    let file = file.map(|text| FileSeen {
        owner: "root:root".into(),
        mode: 0o600,
        content: text.into(),
    });
    let mut seen = Seen::new();
    seen.put(Probe::Shell(facts::PROBE.into()), shell(facts_text));
    seen.put(Probe::Shell(LINKS.into()), shell(links));
    seen.put(Probe::File(PATH.into()), Answer::File(file));
    seen
}

fn wish() -> Address6 {
    Address6 {
        address: Some((ip("2a02:c207::7"), 64)),
        gateway: Some(ip("fe80::1")),
        interface: None,
        removed: false,
    }
}

fn switch(wish: &Address6, seen: &Seen) -> Option<(Sign, Switch)> {
    let change = wish.diff(seen, &Plan::default()).expect("decided").pop()?;
    match change.action {
        Action::Network(switch) => Some((change.sign, switch)),
        other => panic!("a switch was wanted, not {other:?}"),
    }
}

const FULL: &str = "# Written by mailctl; merged with the hoster's file, which stays as it is.
network:
  version: 2
  ethernets:
    eth0:
      addresses: [\"2a02:c207::7/64\"]
      ipv6-privacy: false
      accept-ra: false
      routes:
        - to: \"::/0\"
          via: \"fe80::1\"
          from: \"2a02:c207::7\"
          on-link: true
";

#[test]
fn absent_created_and_then_kept() {
    let (sign, switch) =
        switch(&wish(), &seen(NETPLAN, &facts(None, false), None)).expect("a change");
    assert_eq!(sign, Sign::Create);
    assert_eq!(switch.content.as_deref(), Some(FULL));
    assert_eq!((switch.interface.as_str(), switch.seen), ("eth0", None));
    assert_eq!(
        self::switch(
            &wish(),
            &seen(NETPLAN, &facts(Some("2a02:c207::7"), true), Some(FULL))
        ),
        None
    );
}

#[test]
fn nothing_to_do_where_the_hoster_gave_the_address() {
    assert_eq!(
        switch(
            &wish(),
            &seen(IFUPDOWN, &facts(Some("2a02:c207::7"), true), None)
        ),
        None
    );
}

#[test]
fn only_the_address_where_the_route_is_there() {
    let found = seen(NETPLAN, &facts(Some("2a02:c207::99"), true), None);
    let content = switch(&wish(), &found)
        .expect("a change")
        .1
        .content
        .expect("text");
    assert!(!content.contains("routes:"), "{content}");
    let after = seen(NETPLAN, &facts(Some("2a02:c207::7"), true), Some(&content));
    assert_eq!(switch(&wish(), &after), None);
}

#[test]
fn a_file_that_is_not_in_force_is_put_in_force() {
    let (sign, switch) =
        switch(&wish(), &seen(NETPLAN, &facts(None, false), Some(FULL))).expect("a change");
    assert_eq!(
        (sign, switch.seen),
        (Sign::Update, Some(sha256(FULL.as_bytes())))
    );
}

#[test]
fn the_id_of_the_device_counts_and_not_its_name() {
    let content = switch(&wish(), &seen(RENAMED, &facts(None, false), None))
        .expect("a change")
        .1
        .content;
    assert!(content.expect("text").contains("    id0:\n"));
}

#[test]
fn what_netplan_does_not_hold_is_left_to_a_person() {
    let why = |links: &str| {
        wish()
            .diff(&seen(links, &facts(None, false), None), &Plan::default())
            .expect_err("blocked")
    };
    assert!(why(IFUPDOWN).why.contains("set up by ifupdown"));
    assert!(
        why(IFUPDOWN)
            .fix
            .expect("fix")
            .contains("2a02:c207::7/64 and the default route via fe80::1")
    );
    assert!(why(BRIDGE).why.contains("bridge"));
    assert!(why("").why.contains("no interface `eth0`"));
    let networkd = NETPLAN.replace(
        "/run/systemd/network/10-netplan-eth0.network",
        "/etc/systemd/network/10-x.network",
    );
    assert!(
        why(&networkd)
            .why
            .contains("/etc/systemd/network/10-x.network")
    );
}

#[test]
fn mail_must_leave_from_the_address() {
    let wish = Address6 {
        gateway: None,
        ..wish()
    };
    let bare = yaml("eth0", (ip("2a02:c207::7"), 64), None);
    let other = facts(Some("2a02:c207::7"), true).replace("src 2a02:c207::7", "src 2a02:c207::99");
    let blocked = wish
        .diff(&seen(NETPLAN, &other, Some(&bare)), &Plan::default())
        .expect_err("another source");
    assert_eq!(
        blocked.why,
        "mail leaves from 2a02:c207::99 instead of 2a02:c207::7"
    );
}

#[test]
fn a_named_gateway_mends_the_source() {
    let bare = yaml("eth0", (ip("2a02:c207::7"), 64), None);
    let other = facts(Some("2a02:c207::7"), true).replace("src 2a02:c207::7", "src 2a02:c207::99");
    let (_, switch) = switch(&wish(), &seen(NETPLAN, &other, Some(&bare))).expect("a change");
    assert_eq!(switch.content.as_deref(), Some(FULL));
    assert!(
        wish()
            .diff(&seen(NETPLAN, &other, Some(FULL)), &Plan::default())
            .is_err(),
        "it did not help"
    );
}

#[test]
fn it_goes_when_ipv6_is_none() {
    let none = Address6 {
        address: None,
        removed: true,
        ..wish()
    };
    let found = seen(NETPLAN, &facts(Some("2a02:c207::7"), true), Some(FULL));
    let (sign, gone) = switch(&none, &found).expect("a change");
    assert_eq!((sign, gone.content), (Sign::Delete, None));
    let unset = Address6 {
        removed: false,
        ..none
    };
    assert_eq!(switch(&unset, &found), None);
    assert!(wish().diff(&Seen::new(), &Plan::default()).is_err());
}

#[test]
fn a_gateway_on_the_link_needs_no_hint() {
    let text = yaml("eth0", (ip("fd77:9::2"), 64), Some(ip("fd77:9::1")));
    assert!(!text.contains("on-link"), "{text}");
    assert!(yaml("eth0", (ip("fd77:9::2"), 128), Some(ip("fd77:9::1"))).contains("on-link: true"));
}
