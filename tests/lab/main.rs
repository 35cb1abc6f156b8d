//! Worlds are started, used with programs that are not mailctl's, and gone
//! without a trace, however their owner ends.

#![allow(missing_docs, clippy::print_stdout)]

mod common;
mod removal;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, RetryPolicy,
};
use mailctl::record::{RType, Rrset, RrsetKey};
use mailctl::rehearse::base::Suite;
use mailctl::rehearse::far::Received;
use mailctl::rehearse::{World, cleanup};

use common::{contabo, dig, eventually, here, name, on, seen, skipped, text};

#[test]
fn a_server_is_handed_over_as_contabo_does() {
    if skipped() {
        return;
    }
    let mut world = World::start(&contabo(Suite::Bookworm)).expect("a world");
    let login = world
        .ssh_command()
        .arg(". /etc/os-release; echo $VERSION_ID; hostname; id -un")
        .output();
    assert_eq!(text(&login.expect("ssh")).trim(), "12\nvmi0000001\nroot");
    let fingerprint = on(&world, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    assert!(
        fingerprint.contains(&world.server().host_key_fingerprint()),
        "{fingerprint}"
    );
    assert_eq!(on(&world, "systemctl is-system-running"), "running\n");

    // The outside is there for apt, and for apt only.
    on(
        &world,
        "apt-get update --error-on=any && apt-get install --yes hello && hello",
    );
    let other = world
        .exec("timeout 2 bash -c '</dev/tcp/deb.debian.org/81'")
        .expect("the server runs");
    assert!(!other.status.success());

    // IPv6 is off, and can be turned on beside the hoster's files.
    assert!(on(&world, "sysctl net.ipv6.conf.all.disable_ipv6").ends_with("= 1\n"));
    assert_eq!(on(&world, "ip -6 addr show scope global"), "");
    on(
        &world,
        "sed -i '/disable_ipv6/s/1/0/' /etc/sysctl.conf && sysctl --system",
    );
    let addition = format!(
        "network: {{version: 2, ethernets: {{eth0: {{addresses: ['{}/64'], \
         routes: [{{to: '::/0', via: '{}'}}]}}}}}}",
        world.ipv6(),
        world.gateway6()
    );
    on(
        &world,
        &format!("umask 77; echo \"{addition}\" >/etc/netplan/60-more.yaml; netplan apply"),
    );
    let ping = format!("ping -c1 -W1 {}", world.far().addresses()[1]);
    let reached = |world: &World| {
        world
            .exec(&ping)
            .is_ok_and(|output| output.status.success())
    };
    eventually("IPv6 works", || reached(&world));

    on(&world, "touch /run/before");
    world.reboot().expect("it comes back");
    assert!(!world.server().root().join("run/before").exists());
    on(&world, "test ! -e /run/before");
    eventually("IPv6 works after the reboot", || reached(&world));
    let login = world.ssh_command().arg("true").status().expect("ssh");
    assert!(login.success());

    let number = world.number();
    assert!(
        !seen(number).is_empty(),
        "the test looks at the right places"
    );
    world.stop().expect("removed");
    assert_eq!(seen(number), BTreeSet::new());
    assert_eq!(cleanup::traces(number), Vec::<String>::new());
}

#[test]
fn names_are_found_from_the_root_down() {
    if skipped() {
        return;
    }
    let world = World::start(&contabo(Suite::Bookworm)).expect("a world");
    assert_eq!(
        dig(&world, &["gmail.com", "MX"]),
        "10 far.mailctl-lab.test."
    );
    assert_eq!(dig(&world, &["wac.tax", "NS"]), "ns1.mailctl-lab.test.");
    let far = world.far().addresses();
    assert_eq!(
        dig(&world, &["far.mailctl-lab.test", "AAAA"]),
        far[1].to_string()
    );
    for address in far {
        assert_eq!(
            dig(&world, &["-x", &address.to_string()]),
            "far.mailctl-lab.test."
        );
    }
    // A change is seen at once by the authoritative server, soon by the resolver.
    let host = RrsetKey::new(name("smtp.wac.tax"), RType::A);
    assert_eq!(dig(&world, &["smtp.wac.tax"]), "");
    world
        .names()
        .set(&Rrset::new(
            host.clone(),
            Some(300),
            [world.ipv4().to_string()],
        ))
        .expect("set");
    let authoritative = format!("@{}", world.names().addresses()[0].ip());
    assert_eq!(
        here("dig", &["+short", "+tcp", &authoritative, "smtp.wac.tax"]).trim(),
        world.ipv4().to_string()
    );
    eventually("the resolver sees it", || {
        dig(&world, &["smtp.wac.tax"]) == world.ipv4().to_string()
    });
    assert!(on(&world, "getent ahostsv4 smtp.wac.tax").starts_with(&world.ipv4().to_string()));
    world.names().set(&Rrset::absent(host)).expect("deleted");
    eventually("it is gone", || dig(&world, &["smtp.wac.tax"]).is_empty());
    // A zone below another is delegated by it.
    world
        .names()
        .add_zone(&name("sub.wac.tax"))
        .expect("a zone");
    eventually("the delegation is seen", || {
        dig(&world, &["sub.wac.tax", "NS"]) == "ns1.mailctl-lab.test."
    });
    // The real DNS is not asked.
    assert_eq!(dig(&world, &["debian.org", "NS"]), "");
    world.stop().expect("removed");
}

#[tokio::test]
async fn the_authority_validates_by_the_dns_of_its_world() {
    if skipped() {
        return;
    }
    let world = World::start(&contabo(Suite::Bookworm)).expect("a world");
    let (account, _) = Account::builder_with_root(world.authority().root())
        .expect("the root")
        .create(
            &NewAccount {
                contact: &[],
                terms_of_service_agreed: true,
                only_return_existing: false,
            },
            world.authority().directory(),
            None,
        )
        .await
        .expect("an account");
    let identifiers = [Identifier::Dns("wac.tax".into())];
    let mut order = account
        .new_order(&NewOrder::new(&identifiers))
        .await
        .expect("an order");
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.expect("an authorization");
        assert_eq!(authorization.status, AuthorizationStatus::Pending);
        let mut challenge = authorization
            .challenge(ChallengeType::Dns01)
            .expect("dns-01");
        let key = RrsetKey::new(name("_acme-challenge.wac.tax"), RType::Txt);
        let value = challenge.key_authorization().dns_value();
        world
            .names()
            .set(&Rrset::new(key, None, [value]))
            .expect("set");
        challenge.set_ready().await.expect("ready");
    }
    let patience = RetryPolicy::default().timeout(Duration::from_secs(60));
    order.poll_ready(&patience).await.expect("validated");
    order.finalize().await.expect("finalized");
    let chain = order
        .poll_certificate(&patience)
        .await
        .expect("a certificate");

    let directory = tempfile::tempdir().expect("a directory");
    let (root, leaf) = (
        directory.path().join("root.pem"),
        directory.path().join("chain.pem"),
    );
    fs::write(&root, world.authority().issuing_root()).expect("written");
    fs::write(&leaf, chain).expect("written");
    let leaf = leaf.to_str().expect("a path");
    let verified = here(
        "openssl",
        &[
            "verify",
            "-CAfile",
            root.to_str().expect("a path"),
            "-untrusted",
            leaf,
            leaf,
        ],
    );
    assert!(verified.ends_with(": OK\n"), "{verified}");
    world.stop().expect("removed");
}

#[test]
fn mail_to_the_rest_of_the_world_is_kept() {
    if skipped() {
        return;
    }
    let world = World::start(&contabo(Suite::Bookworm)).expect("a world");
    let [four, six] = world.far().addresses().map(|address| address.to_string());
    let swaks = |to: &str| {
        let envelope = ["--server", &four, "--from", "i@wac.tax", "--to", to];
        here("swaks", &envelope)
    };
    let curl = |server: &str, to: &str, options: &[&str]| {
        let letter = tempfile::NamedTempFile::new().expect("a file");
        fs::write(letter.path(), "Subject: by curl\r\n\r\n.one dot\r\n").expect("written");
        let url = format!("smtp://{server}/smtp.wac.tax");
        let path = letter.path().to_str().expect("a path");
        let common = ["-sS", "-k", "--url", &url, "--upload-file", path];
        let envelope = ["--mail-from", "i@wac.tax", "--mail-rcpt", to];
        here("curl", &[&common[..], &envelope, options].concat())
    };
    let to = |address: &str| {
        let ours = |message: &Received| message.rcpt_to == [address];
        world.far().wait_for(ours, Duration::from_secs(30))
    };

    let said = curl(&four, "a@gmail.com", &["--ssl-reqd"]);
    let message = to("a@gmail.com").expect(&said);
    assert_eq!(message.text(), "Subject: by curl\r\n\r\n.one dot\r\n");
    assert_eq!(
        (message.mail_from.as_str(), message.ehlo.as_str()),
        ("i@wac.tax", "smtp.wac.tax")
    );
    assert_eq!(message.tls.as_deref(), Some("TLSv1_3"));
    assert!(message.peer.is_ipv4());

    let said = curl(&format!("[{six}]"), "b@gmail.com", &[]);
    let message = to("b@gmail.com").expect(&said);
    assert!(message.peer.is_ipv6() && message.tls.is_none());

    let said = swaks("c@gmail.com");
    let message = to("c@gmail.com").expect(&said);
    assert!(message.text().contains("This is a test mailing"));
    let said = swaks("a@elsewhere.example");
    assert!(said.contains("<** 550 5.7.1"), "{said}");
    world
        .far()
        .answer("full@gmail.com", Some("452 4.2.2 mailbox full"));
    let said = swaks("full@gmail.com");
    assert!(said.contains("<** 452 4.2.2 mailbox full"), "{said}");
    assert_eq!(world.far().received().len(), 3);
    world.stop().expect("removed");
}

#[test]
fn worlds_live_side_by_side() {
    if skipped() {
        return;
    }
    let twelve = World::start(&contabo(Suite::Bookworm)).expect("a world");
    let thirteen = World::start(&contabo(Suite::Trixie)).expect("another");
    assert_ne!(twelve.number(), thirteen.number());
    assert_ne!(
        twelve.server().host_key_fingerprint(),
        thirteen.server().host_key_fingerprint()
    );
    let ids: BTreeSet<String> = [&twelve, &thirteen]
        .map(|world| on(world, "cat /etc/machine-id"))
        .into();
    assert_eq!(ids.len(), 2);
    // Units of the same name are not confused.
    on(&twelve, "systemctl stop cron");
    assert_eq!(on(&thirteen, "systemctl is-active cron"), "active\n");
    twelve.stop().expect("removed");
    assert_eq!(on(&thirteen, "systemctl is-active ssh"), "active\n");
    on(
        &thirteen,
        "grep -q trixie /etc/os-release && apt-get update --error-on=any",
    );
    assert!(on(&thirteen, "sysctl net.ipv6.conf.all.disable_ipv6").ends_with("= 1\n"));
    thirteen.stop().expect("removed");
}
