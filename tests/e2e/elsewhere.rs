//! Someone else's world: other name servers and another authority than those
//! that come with a rehearsal, given in mail.yaml, judged by tools that are not ours.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mailctl::record::Name;
use mailctl::rehearse::base::Suite;
use tokio::runtime::Runtime;

use crate::bind::{self, BindServer};
use crate::judges::{self, Letter, dig, txt};
use crate::knot::{self, KnotServer};
use crate::lab::{Lab, Ran};
use crate::pebble::{Options, Pebble};
use crate::ports::{own_address, zone_text};
use crate::powerdns::{self, PowerDnsServer};
use crate::unbound::UnboundServer;

const FAR: &str = "reader@far.example";
const LIMIT: Duration = Duration::from_secs(60);

/// The reverse zones of the world's server: a /24, and a /64.
fn reverse_zones(lab: &Lab) -> [String; 2] {
    let up = |ip: IpAddr, labels: usize| {
        let name = Name::reverse(ip).to_string();
        name.splitn(labels + 1, '.')
            .last()
            .expect("a name")
            .to_owned()
    };
    [
        up(lab.world.ipv4().into(), 1),
        up(lab.world.ipv6().into(), 16),
    ]
}

fn ptr(ip: impl Into<IpAddr>) -> String {
    Name::reverse(ip.into()).to_string()
}

/// Runs mailctl with further environment variables.
fn run(lab: &Lab, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = lab.command();
    Ran::of(
        command
            .envs(variables.iter().copied())
            .args(args)
            .output()
            .expect("mailctl runs"),
    )
}

/// Submits a message and returns it as it arrives.
fn sent(lab: &Lab, user: &str, password: &str, subject: &str) -> Vec<u8> {
    let letter = Letter {
        user,
        password,
        to: FAR,
        subject,
    };
    let (taken, said) = judges::submit(lab.world.ipv4(), &letter);
    assert!(taken, "{user}: {said}");
    let arrived = lab
        .world
        .far()
        .wait_for(|m| m.text().contains(subject), LIMIT);
    arrived
        .unwrap_or_else(|| panic!("{subject} does not arrive"))
        .data
}

pub fn knot_holds_the_zone_bind_the_reverse_ones_and_unbound_resolves() {
    let Some(lab) = Lab::start("elsewhere: RFC 2136", Suite::Trixie) else {
        return;
    };
    let runtime = Runtime::new().expect("a runtime");
    let forward = SocketAddr::new(own_address(), 53);
    // Nobody else of the world uses this port of its authority's address.
    let reverse = SocketAddr::new([10, 77, lab.world.number(), 6].into(), 53);
    let names = [
        ("ns1.elsewhere.example.", forward.ip()),
        ("ns-rev.elsewhere.example.", reverse.ip()),
    ];
    let mail = zone_text(
        "elsewhere.example",
        &names[..1],
        &format!(
            "ns-rev IN A {}\n_acme-challenge IN CNAME challenge.kept.example.\n@ IN TXT \"google-site-verification=abc\"\n",
            reverse.ip()
        ),
    );
    let reversed = reverse_zones(&lab);
    let others: Vec<(&str, String)> = reversed
        .iter()
        .map(String::as_str)
        .chain(["kept.example"])
        .map(|zone| (zone, zone_text(zone, &names[1..], "")))
        .chain([])
        .collect();
    let mut others = others;
    others[2].1.push_str("@ IN MX 10 mx.mailbox.example.\n");
    let started = runtime.block_on(async {
        let knot = KnotServer::start_at(forward, &[("elsewhere.example", mail)]).await?;
        let bind = BindServer::start_at(reverse, &others).await?;
        let mut ways = vec![("elsewhere.example", knot.dns)];
        ways.extend(others.iter().map(|(zone, _)| (*zone, bind.dns)));
        let resolver = SocketAddr::new(own_address(), 5301);
        let unbound = UnboundServer::start_for(resolver, &ways).await?;
        let pebble = Pebble::start(&Options {
            dns: Some(unbound.dns),
            ..Options::default()
        })?;
        Some((knot, bind, unbound, pebble))
    });
    let Some((knot, bind, unbound, pebble)) = started else {
        return;
    };
    lab.private_file("ben.password", "ben's own words\n");
    lab.private_file("carl.password", "carl: 7 $ymbols\n");
    let write = |certificates: &str| {
        let text = format!(
            r#"host:
  name: mx1.elsewhere.example
  ssh: root@{v4}
  identity: {key}
  host_key: {host_key}
  ipv6: {v6}
  gateway6: {gateway}
  base: {{timezone: Europe/Berlin, packages: [tree], upgrades: false, fail2ban: false}}
server: {{max_message_mb: 7}}
domains:
  elsewhere.example:
    users:
      anna: {{password: env:ANNA}}
      ben: {{password: file:ben.password}}
      carl: {{password: "command:cat carl.password"}}
      dora: {{password: dora-literally}}
      erik: {{}}
      fred: {{receive_only: true}}
    forward:
      "*": catch@far.example
      info: [anna@elsewhere.example, two@far.example, three@far.example]
    spf: {{include: [_spf.far.example], all: fail, extra: ["ip4:192.0.2.0/24"]}}
    dkim: {{algorithms: [rsa2048, ed25519]}}
    dmarc: {{p: reject, sp: none, fo: "1", rua: [rua@elsewhere.example], adkim: s}}
    autoconfig: false
    records: ['www 600 A 192.0.2.80', 'www 600 A 192.0.2.81', '@ CAA 0 issue "ca.example"', 'note TXT "kept; by \"mailctl\""']
  kept.example:
    users: {{gerd: {{password: env:ANNA}}}}
    mx: keep
    spf: {{include: [_spf.mailbox.example], all: neutral}}
    dns: {{provider: rfc2136, server: "{bind}", key_name: {bind_name}, key: env:BIND_KEY, algorithm: {bind_algorithm}, ttl: 120}}
dns: {{provider: rfc2136, zone: elsewhere.example, server: "{knot}", key_name: {knot_name}, key: env:KNOT_KEY, algorithm: {knot_algorithm}}}
ptr: {{provider: rfc2136, server: "{bind}", key_name: {bind_name}, key: env:BIND_KEY, algorithm: {bind_algorithm}}}
certificates: {{authority: "{directory}", root: {root}, email: anna@elsewhere.example, {certificates}}}
resolver: {resolver}
"#,
            v4 = lab.world.ipv4(),
            v6 = lab.world.ipv6(),
            key = lab.world.private_key().display(),
            host_key = lab.world.server().host_key_fingerprint(),
            gateway = lab.world.gateway6(),
            knot = knot.dns,
            knot_name = knot::KEY_NAME,
            knot_algorithm = knot::ALGORITHM,
            bind = bind.dns,
            bind_name = bind::KEY_NAME,
            bind_algorithm = bind::ALGORITHM,
            directory = pebble.directory,
            root = pebble.root().display(),
            resolver = unbound.dns,
        );
        fs::write(lab.directory.path().join("mail.yaml"), text).expect("mail.yaml");
    };
    write(r#"key: rsa2048, reload: ["touch /run/first", "touch '/run/the second'"]"#);
    let variables = [
        ("ANNA", "anna's password"),
        ("BIND_KEY", bind::KEY),
        ("KNOT_KEY", knot::KEY),
    ];
    let mailctl = |args: &[&str]| run(&lab, &variables, args);

    let plan = mailctl(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(
        plan.out.contains("+ rrset elsewhere.example MX")
            && !plan.out.contains("rrset kept.example MX"),
        "{}",
        plan.out
    );
    let applied = mailctl(&["apply", "--yes"]).expect(0);
    let second = mailctl(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(second.out.contains("No changes."), "{}", second.out);

    // The zones, by dig.
    let (v4, v6) = (lab.world.ipv4(), lab.world.ipv6());
    let (mail, other) = (knot.dns, bind.dns);
    assert_eq!(dig(mail, "mx1.elsewhere.example", "A"), [v4.to_string()]);
    assert_eq!(dig(mail, "mx1.elsewhere.example", "AAAA"), [v6.to_string()]);
    assert_eq!(dig(other, &ptr(v4), "PTR"), ["mx1.elsewhere.example."]);
    assert_eq!(dig(other, &ptr(v6), "PTR"), ["mx1.elsewhere.example."]);
    assert_eq!(
        dig(mail, "elsewhere.example", "MX"),
        ["10 mx1.elsewhere.example."]
    );
    assert_eq!(dig(other, "kept.example", "MX"), ["10 mx.mailbox.example."]);
    assert_eq!(
        txt(mail, "elsewhere.example"),
        [
            "google-site-verification=abc".to_owned(),
            format!("v=spf1 ip4:{v4} ip6:{v6} mx include:_spf.far.example ip4:192.0.2.0/24 -all"),
        ]
    );
    assert_eq!(
        txt(other, "kept.example"),
        [format!(
            "v=spf1 ip4:{v4} ip6:{v6} include:_spf.mailbox.example ?all"
        )]
    );
    assert_eq!(txt(mail, "mx1.elsewhere.example"), ["v=spf1 a -all"]);
    let dmarc = txt(mail, "_dmarc.elsewhere.example").concat();
    for tag in [
        "v=DMARC1",
        "p=reject",
        "sp=none",
        "np=reject",
        "fo=1",
        "rua=mailto:rua@elsewhere.example",
        "adkim=s",
    ] {
        assert!(
            dmarc.split(';').any(|part| part.trim() == tag),
            "{tag} in {dmarc}"
        );
    }
    assert_eq!(
        dig(mail, "_submissions._tcp.elsewhere.example", "SRV"),
        Vec::<String>::new()
    );
    assert_eq!(
        dig(other, "_submissions._tcp.kept.example", "SRV"),
        ["0 1 465 mx1.elsewhere.example."]
    );
    assert_eq!(
        dig(mail, "www.elsewhere.example", "A"),
        ["192.0.2.80", "192.0.2.81"]
    );
    assert_eq!(
        dig(mail, "elsewhere.example", "CAA"),
        ["0 issue \"ca.example\""]
    );
    assert_eq!(
        dig(mail, "note.elsewhere.example", "TXT"),
        ["\"kept; by \\\"mailctl\\\"\""]
    );
    for (server, name) in [
        (other, "challenge.kept.example"),
        (other, "_acme-challenge.kept.example"),
        (mail, "_acme-challenge.mx1.elsewhere.example"),
    ] {
        assert!(txt(server, name).is_empty(), "{name} is gone");
    }

    // The certificate, by openssl.
    let root = runtime.block_on(pebble.issuing_root());
    for port in [25, 465, 587] {
        for name in [
            "mx1.elsewhere.example",
            "elsewhere.example",
            "any.kept.example",
        ] {
            let said = judges::tls(v4, port, name, &root);
            assert!(
                said.contains("Verification: OK"),
                "{name} at {port}: {said}"
            );
        }
    }
    assert!(
        judges::tls(v4, 465, "mx1.elsewhere.example", &root).contains("2048 bit"),
        "an RSA key"
    );
    assert_eq!(
        lab.on_server("ls /run/first '/run/the second'")
            .lines()
            .count(),
        2
    );

    // Logins by swaks, with passwords from everywhere; signatures by dkimpy.
    let erik = fs::read_to_string(lab.directory.path().join("secrets/erik@elsewhere.example"))
        .expect("a kept password");
    let passwords = [
        ("anna", "anna's password"),
        ("ben", "ben's own words"),
        ("carl", "carl: 7 $ymbols"),
        ("dora", "dora-literally"),
        ("erik", erik.trim()),
    ];
    for (user, password) in passwords {
        let message = sent(
            &lab,
            &format!("{user}@elsewhere.example"),
            password,
            &format!("from {user}"),
        );
        assert_eq!(
            judges::dkim(mail, &message),
            ["ed25519-sha256 pass", "rsa-sha256 pass"],
            "{user}"
        );
    }
    let message = sent(&lab, "gerd@kept.example", "anna's password", "from gerd");
    assert_eq!(judges::dkim(other, &message), ["rsa-sha256 pass"]);
    for (user, password) in [
        ("anna", "another password"),
        ("fred", ""),
        ("fred", "anna's password"),
    ] {
        let user = format!("{user}@elsewhere.example");
        let letter = Letter {
            user: &user,
            password,
            to: FAR,
            subject: "refused",
        };
        assert!(!judges::submit(v4, &letter).0, "{user}");
    }

    // The rest of the server.
    assert!(
        judges::ehlo(v4).contains(&format!("SIZE {}", 7 * 1024 * 1024)),
        "{}",
        judges::ehlo(v4)
    );
    assert!(judges::ehlo(v4).contains("220 mx1.elsewhere.example"));
    for (command, shown) in [
        (
            "readlink -f /etc/localtime",
            "/usr/share/zoneinfo/Europe/Berlin",
        ),
        ("hostname --fqdn", "mx1.elsewhere.example"),
        ("dpkg-query -W -f '${Status}' tree", "install ok installed"),
        (
            "dpkg-query -W -f '${Status}' fail2ban 2>/dev/null || echo none",
            "none",
        ),
    ] {
        assert_eq!(lab.on_server(command).trim(), shown, "{command}");
    }
    let mode = fs::metadata(lab.directory.path().join("secrets"))
        .expect("a directory")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "secrets are the owner's only");
    for secret in [
        bind::KEY,
        knot::KEY,
        "anna's password",
        "dora-literally",
        erik.trim(),
        "PRIVATE KEY",
    ] {
        for text in [&plan.out, &plan.err, &applied.out, &applied.err] {
            assert!(!text.contains(secret), "a secret is shown: {text}");
        }
    }

    // Names and key of the certificate follow the file.
    write(r#"names: [mx1.elsewhere.example, extra.elsewhere.example], key: rsa2048"#);
    let plan = mailctl(&["plan"]).expect(0);
    assert!(
        plan.out.contains("~ certificate mx1.elsewhere.example")
            && plan.out.contains("extra.elsewhere.example"),
        "{}",
        plan.out
    );
    mailctl(&["apply", "--yes"]).expect(0);
    assert!(judges::tls(v4, 465, "extra.elsewhere.example", &root).contains("Verification: OK"));
    assert!(!judges::tls(v4, 465, "elsewhere.example", &root).contains("Verification: OK"));
    write(r#"names: [mx1.elsewhere.example, extra.elsewhere.example], key: p256"#);
    mailctl(&["apply", "--yes"]).expect(0);
    assert!(
        judges::tls(v4, 465, "extra.elsewhere.example", &root).contains("256 bit"),
        "an ECDSA key"
    );
    assert!(
        mailctl(&["plan", "--detailed-exitcode"])
            .expect(0)
            .out
            .contains("No changes.")
    );
    lab.world.stop().expect("nothing is left");
}

pub fn powerdns_is_the_resolver_too_and_the_server_is_reached_by_sudo() {
    let Some(lab) = Lab::start_as("elsewhere: PowerDNS", Suite::Bookworm, false) else {
        return;
    };
    let runtime = Runtime::new().expect("a runtime");
    let dns = SocketAddr::new(own_address(), 5300);
    // The reverse zones' name server has no address anywhere: the resolver holds them itself.
    let ns = [("ns1.elsewhere.example.", dns.ip())];
    let (v4, v6) = (lab.world.ipv4(), lab.world.ipv6());
    let mut zones = vec![(
        "elsewhere.example".to_owned(),
        zone_text("elsewhere.example", &ns, ""),
    )];
    zones.push((
        "below.elsewhere.example".into(),
        zone_text(
            "below.elsewhere.example",
            &[("ns.nowhere.test.", dns.ip())],
            "",
        ),
    ));
    // Nor is there anybody yet who answers for the other one.
    let [reverse4, reverse6] = reverse_zones(&lab);
    let pointing = |zone: &str, ip: IpAddr| {
        let record = format!("{}. IN PTR mail.elsewhere.example.\n", ptr(ip));
        zone_text(zone, &[("ns.nowhere.test.", dns.ip())], &record)
    };
    zones.push((reverse4.clone(), pointing(&reverse4, v4.into())));
    let zones: Vec<(&str, String)> = zones
        .iter()
        .map(|(zone, text)| (zone.as_str(), text.clone()))
        .collect();
    let started = runtime.block_on(async {
        let names = PowerDnsServer::start_at(dns, &zones).await?;
        let pebble = Pebble::start(&Options {
            dns: Some(names.dns),
            ..Options::default()
        })?;
        Some((names, pebble))
    });
    let Some((names, pebble)) = started else {
        return;
    };

    // Somebody who is not root, found by ~/.ssh/config.
    let public = fs::read_to_string(lab.world.private_key().with_extension("pub")).expect("a key");
    lab.on_server(&format!(
        "useradd -m -s /bin/bash admin && mkdir -m 700 ~admin/.ssh && echo '{}' > ~admin/.ssh/authorized_keys && \
         chown -R admin: ~admin && echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin && rm -f /root/.ssh/authorized_keys",
        public.trim()
    ));
    fs::create_dir(lab.directory.path().join(".ssh")).expect("a directory");
    let config = format!(
        "Host mx\n  HostName {v4}\n  User admin\n  IdentityFile {}\n",
        lab.world.private_key().display()
    );
    lab.private_file(".ssh/config", &config);
    let write = |host: &str, domain: &str, dns: &str| {
        let text = format!(
            "host:\n  name: mail.elsewhere.example\n  ssh: mx\n{host}  base: {{fail2ban: false, upgrades: false}}\n\
             domains:\n  elsewhere.example:\n    users: {{i: {{password: env:I}}}}\n    forward: {{\"*\": {FAR}}}\n{domain}\
             dns:\n  provider: powerdns\n  endpoint: {endpoint}\n  token: env:TOKEN\n{dns}\
             certificates:\n  authority: {directory}\n  root: {root}\n\
             resolver: {resolver}\n",
            endpoint = names.endpoint(),
            directory = pebble.directory,
            root = pebble.root().display(),
            resolver = names.dns,
        );
        fs::write(lab.directory.path().join("mail.yaml"), text).expect("mail.yaml");
    };
    let mailctl = |args: &[&str]| {
        run(
            &lab,
            &[("I", "a password of mine"), ("TOKEN", powerdns::API_KEY)],
            args,
        )
    };
    let empty = || {
        assert!(
            mailctl(&["plan", "--detailed-exitcode"])
                .expect(0)
                .out
                .contains("No changes.")
        )
    };

    write("", "", "");
    let refused = mailctl(&["plan"]).expect(1);
    assert!(
        refused.err.contains("SHA256:") && refused.err.contains("--accept-new-host-key"),
        "{}",
        refused.err
    );
    mailctl(&["plan", "--accept-new-host-key"]).expect(0);
    let ran = mailctl(&["apply", "--yes"]).expect(5);
    let told = format!("(in full {}.)", ptr(v6));
    assert!(
        ran.out.contains("add a PTR record") && ran.out.contains(&told),
        "{}",
        ran.out
    );
    names.load(&reverse6, &pointing(&reverse6, v6.into()));
    let ran = mailctl(&["apply", "--yes"]).expect(0);
    assert!(
        ran.out.contains("seen by every authoritative server"),
        "{}",
        ran.out
    );
    empty();
    assert_eq!(dig(dns, "mail.elsewhere.example", "A"), [v4.to_string()]);
    assert_eq!(
        dig(dns, "mail.elsewhere.example", "AAAA"),
        [v6.to_string()],
        "what the host has"
    );
    assert_eq!(
        dig(dns, "elsewhere.example", "MX"),
        ["10 mail.elsewhere.example."]
    );
    let root = runtime.block_on(pebble.issuing_root());
    assert!(judges::tls(v4, 465, "any.elsewhere.example", &root).contains("Verification: OK"));
    let message = sent(&lab, "i@elsewhere.example", "a password of mine", "by sudo");
    assert_eq!(judges::dkim(dns, &message), ["rsa-sha256 pass"]);

    // The address written out, the zone too, a domain in a zone below it, another TTL.
    let more = "  below.elsewhere.example: {users: {j: {password: env:I}}, dns: {provider: powerdns, endpoint: \"ENDPOINT\", token: env:TOKEN, zone: below.elsewhere.example}}\n";
    let more = more.replace("ENDPOINT", &names.endpoint());
    write(
        &format!("  ipv4: {v4}\n  ipv6: {v6}/64\n"),
        &more,
        "  zone: elsewhere.example\n  ttl: 900\n",
    );
    let plan = mailctl(&["plan"]).expect(0);
    assert!(plan.out.contains("its TTL is 300 s"), "{}", plan.out);
    mailctl(&["apply", "--yes"]).expect(0);
    empty();
    let message = sent(
        &lab,
        "j@below.elsewhere.example",
        "a password of mine",
        "from below",
    );
    assert_eq!(judges::dkim(dns, &message), ["rsa-sha256 pass"]);
    assert!(judges::tls(v4, 465, "below.elsewhere.example", &root).contains("Verification: OK"));

    // Without IPv6: neither published nor used.
    write("  ipv6: none\n", "", "  ttl: 900\n");
    mailctl(&["apply", "--yes"]).expect(0);
    empty();
    assert_eq!(
        dig(dns, "mail.elsewhere.example", "AAAA"),
        Vec::<String>::new()
    );
    assert_eq!(
        txt(dns, "elsewhere.example"),
        [format!("v=spf1 ip4:{v4} mx ~all")]
    );
    assert_eq!(
        dig(dns, "below.elsewhere.example", "MX"),
        Vec::<String>::new()
    );
    sent(
        &lab,
        "i@elsewhere.example",
        "a password of mine",
        "over IPv4 only",
    );
    let received = lab
        .world
        .far()
        .wait_for(|m| m.text().contains("over IPv4 only"), LIMIT);
    assert!(received.expect("it arrived").peer.is_ipv4());
    lab.world.stop().expect("nothing is left");
}
