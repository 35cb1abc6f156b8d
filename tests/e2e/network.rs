//! The network, switched on the living server: with a way back that the
//! server takes by itself, and with and without IPv6.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mailctl::kinds::netplan::Switch;
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rehearse::base::Suite;
use mailctl::remote::Remote;
use mailctl::remote::access::Access;
use mailctl::remote::ssh::Ssh;
use mailctl::remote::target::Target;

use crate::judges::{self, Letter};
use crate::lab::Lab;

const DOMAINS: &str = "  wac.tax:\n    users: {i: {password: env:E2E_MAIL_PASSWORD}}\n    forward: {i: i.wac.tax@gmail.com}\n";

fn ssh(lab: &Lab) -> Ssh {
    let mut target = Target::literal(
        &format!("root@{}", lab.world.ipv4())
            .parse()
            .expect("a login"),
    );
    target.identity = Some(lab.world.private_key());
    target.identity_files = Vec::<PathBuf>::new();
    target.agent = None;
    let access = Access {
        host_key: Some(lab.world.server().host_key_fingerprint()),
        connect_timeout: Duration::from_secs(2),
        ..Access::default()
    };
    Ssh::connect(&target, &access).expect("connected")
}

/// The hoster's files and ours, and what is in force.
fn files(lab: &Lab) -> String {
    lab.on_server(
        "sha256sum /etc/netplan/01-netcfg.yaml; ls /etc/netplan/* /run/netplan/* 2>/dev/null; :",
    )
}

fn on_trial(lab: &Lab) -> String {
    lab.on_server(
        "systemctl list-units --all --no-legend --plain 'mailctl-network-*'; ls /run/netplan/* /run/mailctl/network-* 2>/dev/null; :",
    )
}

/// Notes, until told to stop, whether the server was out of reach for a while.
fn watch_reach(to: SocketAddr) -> impl FnOnce() -> bool {
    let (stop, lost) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (told, seen) = (stop.clone(), lost.clone());
    let watcher = thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            if TcpStream::connect_timeout(&to, Duration::from_secs(1)).is_err() {
                seen.store(true, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(200));
        }
    });
    move || {
        stop.store(true, Ordering::Relaxed);
        watcher.join().expect("the watcher");
        lost.load(Ordering::Relaxed)
    }
}

/// A network that cuts the server off from here is undone by the server.
fn cut_off(lab: &Lab) {
    let before = (files(lab), lab.on_server("ip -4 route"));
    let [a, b, c, _] = lab.world.ipv4().octets();
    // What goes back to this machine goes to where nobody is.
    let switch = Switch {
        content: Some(format!(
            "network:\n  version: 2\n  ethernets:\n    eth0:\n      routes:\n        - {{to: {a}.{b}.{c}.1/32, via: {a}.{b}.{c}.99}}\n"
        )),
        interface: "eth0".into(),
        revert_after: Duration::from_secs(12),
        ..Switch::default()
    };
    let remote = ssh(lab);
    let watched = watch_reach(lab.world.ssh());
    let failure = switch.act(&remote, &|_| (), &|| ()).expect_err("cut off");
    assert!(watched(), "the server was never out of reach");
    let told = failure.told();
    for part in [
        "went unreachable with the new network",
        "the old network is back",
        "`host.gateway6`",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(remote.again().is_ok(), "a new connection gets through");
    assert_eq!(before, (files(lab), lab.on_server("ip -4 route")));
    assert!(!on_trial(lab).contains("active"), "{}", on_trial(lab));
}

/// An address that another host has is told and not kept, nor published.
fn somebody_elses(lab: &Lab) {
    let before = files(lab);
    let own = lab.world.ipv6();
    // The resolver's, which has no PTR record that would be in the way.
    let taken = Ipv6Addr::from_bits(own.to_bits() + 1);
    let (address, other) = (format!("ipv6: {own}/64"), format!("ipv6: {taken}/64"));
    lab.write_but(DOMAINS, &[(&address, &other)]);
    lab.run(&["apply", "--yes"]).expect(6).says(&[
        "failed netplan",
        &format!("{taken}/64 is in use by another host"),
        "do: the old network is back; correct `host.ipv6`",
        "left: ",
    ]);
    assert_eq!(before, files(lab));
    assert_eq!(lab.dig("smtp.wac.tax", "AAAA"), Vec::<String>::new());
}

/// A domain whose first mail server only has an IPv6 address, its second only an IPv4 one.
const SIX_FIRST: &str = "six-first.example";

/// Makes that domain. One server with both would not do: the lab's IPv6
/// addresses are unique local ones, which come after IPv4 (RFC 6724 section 2.1).
fn six_first(lab: &Lab) {
    let domain = Name::parse(SIX_FIRST).expect("a name");
    lab.world.add_far_domain(&domain).expect("a domain");
    let set = |name: &Name, rtype, values: &[String]| {
        let set = Rrset::new(RrsetKey::new(name.clone(), rtype), None, values);
        lab.world.names().set(&set).expect("set");
    };
    let mut exchanges = Vec::new();
    for (preference, ip) in lab.world.far().addresses().iter().rev().enumerate() {
        let rtype = if ip.is_ipv4() { RType::A } else { RType::Aaaa };
        let host = domain.child(&format!("mx{preference}"));
        set(&host, rtype, &[ip.to_string()]);
        exchanges.push(format!("{preference} {}", host.fqdn()));
    }
    set(&domain, RType::Mx, &exchanges);
}

/// Sends a message and returns where the receiver saw it come from.
fn sent_from(lab: &Lab, subject: &str) -> IpAddr {
    let letter = Letter {
        user: "i@wac.tax",
        password: &lab.password,
        to: &format!("reader@{SIX_FIRST}"),
        subject,
    };
    let (taken, said) = judges::submit(lab.world.ipv4(), &letter);
    assert!(taken, "{said}");
    let far = lab.world.far();
    let received = far.wait_for(|m| m.text().contains(subject), Duration::from_secs(60));
    received.expect("it arrives").peer.ip().to_canonical()
}

pub fn the_network_is_switched_with_a_way_back() {
    let Some(mut lab) = Lab::start("network", Suite::Bookworm) else {
        return;
    };
    let hosters = lab.on_server("sha256sum /etc/netplan/01-netcfg.yaml /etc/sysctl.conf");
    six_first(&lab);
    cut_off(&lab);
    somebody_elses(&lab);

    // Tried, confirmed, kept; the hoster's files are as they were.
    let (v4, v6) = (lab.world.ipv4(), lab.world.ipv6());
    lab.write(DOMAINS);
    lab.run(&["apply", "--yes"]).expect(0);
    let kept = |lab: &Lab| {
        assert_eq!(on_trial(lab), "", "nothing is on trial any more");
        assert_eq!(
            lab.on_server("stat -c '%a %U' /etc/netplan/60-mailctl.yaml")
                .trim(),
            "600 root"
        );
        assert_eq!(
            lab.on_server("sha256sum /etc/netplan/01-netcfg.yaml /etc/sysctl.conf"),
            hosters
        );
        let route = lab.on_server("ip -6 route get 2000::");
        assert!(route.contains(&format!("src {v6}")), "{route}");
    };
    kept(&lab);
    lab.run(&["plan", "--detailed-exitcode"]).expect(0);
    lab.world.reboot().expect("it comes back");
    // At once: the address may still be looked for by the kernel.
    lab.run(&["plan", "--detailed-exitcode"])
        .expect(0)
        .says(&["No changes."]);
    kept(&lab);
    assert_eq!(sent_from(&lab, "over the sixth version"), IpAddr::V6(v6));

    // Without IPv6: no AAAA, no PTR, no SPF of it, no mail over it.
    let address = format!("ipv6: {v6}/64\n  gateway6: {}\n", lab.world.gateway6());
    lab.write_but(DOMAINS, &[(&address, "ipv6: none\n")]);
    lab.run(&["plan"]).expect(0).says(&[
        "- rrset smtp.wac.tax AAAA",
        "- netplan /etc/netplan/60-mailctl.yaml",
    ]);
    lab.converges();
    let reverse = Name::reverse(v6.into());
    assert_eq!(lab.dig("smtp.wac.tax", "AAAA"), Vec::<String>::new());
    assert_eq!(lab.dig(reverse.as_str(), "PTR"), Vec::<String>::new());
    let spf = lab.dig("wac.tax", "TXT").join(" ");
    assert!(spf.contains("ip4:") && !spf.contains("ip6:"), "{spf}");
    assert!(!files(&lab).contains("60-mailctl"), "{}", files(&lab));
    assert_eq!(sent_from(&lab, "over the fourth version"), IpAddr::V4(v4));
    // Also where the server itself still has an address.
    let add = format!("ip -6 addr add {v6}/64 dev eth0 nodad");
    lab.on_server(&add);
    assert_eq!(sent_from(&lab, "over the fourth one still"), IpAddr::V4(v4));

    // And back.
    lab.write(DOMAINS);
    lab.converges();
    assert_eq!(lab.dig("smtp.wac.tax", "AAAA"), [v6.to_string()]);
    assert_eq!(sent_from(&lab, "over the sixth one again"), IpAddr::V6(v6));
    let spf = lab.dig("wac.tax", "TXT").join(" ");
    assert_eq!(spf.matches("ip6:").count(), 1, "{spf}");
    lab.world.stop().expect("nothing is left");
}
