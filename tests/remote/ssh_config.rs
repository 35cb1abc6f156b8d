//! Aliases, jump hosts and proxy commands.

use mailctl::remote::access::Access;
use mailctl::remote::target::{Proxy, Target};

use crate::sshd::{Sshd, free_port};
use crate::{connect, contains, refused, run, sshd, until};

#[test]
fn an_alias_with_jump_and_proxy_command() {
    if !sshd::available() {
        return;
    }
    let (gate, inner) = (Sshd::start(), Sshd::start());
    gate.known_target();
    inner.known_target();
    let config = gate.path("config");
    let text = format!(
        "Host gate\n  HostName 127.0.0.1\n  Port {gate_port}\n  User root\n  IdentityFile {gate_dir}/id_ed25519\n  UserKnownHostsFile {gate_dir}/known_hosts\n\
         Host inner inner-*\n  HostName 127.0.0.1\n  Port {inner_port}\n  IdentityFile {inner_dir}/id_ed25519\n  UserKnownHostsFile {inner_dir}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  IdentityAgent none\n\
         Host inner-jumped\n  ProxyJump gate\n\
         Host inner-broken\n  ProxyJump nobody@gate:{free}\n\
         Host inner-command\n  ProxyCommand {proxy} %h %p\n\
         Host inner-failing\n  ProxyCommand echo no way here >&2; exit 1\n",
        gate_port = gate.port,
        gate_dir = gate.dir.path().display(),
        inner_port = inner.port,
        inner_dir = inner.dir.path().display(),
        free = free_port(),
        proxy = "python3 -c 'import socket,sys,os,threading;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));threading.Thread(target=lambda:[s.sendall(b) for b in iter(lambda:os.read(0,65536),b\"\")],daemon=True).start();[os.write(1,b) for b in iter(lambda:s.recv(65536),b\"\")]'",
    );
    std::fs::write(&config, text).expect("written");
    let resolve = |alias: &str| {
        let ssh = alias.parse().expect("an SSH target");
        Target::resolve_with(&ssh, None, Some(&config)).expect("resolved")
    };
    let target = resolve("inner");
    assert_eq!(target.place(), format!("root@127.0.0.1:{}", inner.port));
    assert_eq!(run(&connect(&target), "echo direct").text(), "direct\n");

    let target = resolve("inner-jumped");
    assert_eq!(target.proxy, Some(Proxy::Jump("gate".into())));
    let ssh = connect(&target);
    assert_eq!(
        run(&ssh, "echo $SSH_CONNECTION | cut -d' ' -f4").text(),
        format!("{}\n", inner.port)
    );
    assert_eq!(gate.sessions().len(), 1);
    drop(ssh);
    until("the jump ends with the connection", || {
        gate.sessions().is_empty()
    });

    assert_eq!(
        run(&connect(&resolve("inner-command")), "echo by command").text(),
        "by command\n"
    );

    contains(
        &refused(&resolve("inner-failing"), &Access::default()),
        &["no way here"],
    );
    contains(
        &refused(&resolve("inner-broken"), &Access::default()),
        &["refused"],
    );
}
