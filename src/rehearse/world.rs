//! A world as a whole: what it is made of, how it starts, and how it ends.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use nix::unistd::Uid;

use super::authority::Authority;
use super::background::Background;
use super::base::{self, Suite};
use super::cleanup::Claim;
use super::far::Far;
use super::image::Image;
use super::mirror::Mirror;
use super::names::{self, Names};
use super::needs;
use super::network::{Network, Party};
use super::program::run;
use super::resolver::Resolver;
use super::server::Server;
use crate::failure::{Context, Exit, Failure, Result};
use crate::record::{Name, RType, Rrset, RrsetKey};

/// What a world is made of.
pub struct WorldOptions<'a> {
    /// The server's Debian release.
    pub suite: Suite,
    /// Where base systems are kept; see [`default_cache`].
    pub cache: PathBuf,
    /// Zones that exist, empty but for SOA and NS. The reverse zones of the
    /// world's own networks always exist.
    pub zones: Vec<Name>,
    /// Domains of other people: their MX is the far mail server, which takes everything for them.
    pub far_domains: Vec<Name>,
    /// The state in which Contabo hands servers over: IPv6 off by
    /// /etc/sysctl.conf and commented out in netplan's file.
    pub contabo_like: bool,
    /// The hostname that the hoster gave.
    pub hostname: String,
    /// Public keys that root is reached with, beside the world's own.
    pub authorized_keys: Vec<String>,
    /// Gets a sentence for each step that takes time.
    pub report: &'a (dyn Fn(&str) + Sync),
}

impl Default for WorldOptions<'_> {
    fn default() -> Self {
        Self {
            suite: Suite::default(),
            cache: default_cache(),
            zones: Vec::new(),
            far_domains: Vec::new(),
            contabo_like: false,
            hostname: "vmi0000001".into(),
            authorized_keys: Vec::new(),
            report: &|_| {},
        }
    }
}

/// `$XDG_CACHE_HOME/mailctl`; without it /var/cache/mailctl for root, else ~/.cache/mailctl.
pub fn default_cache() -> PathBuf {
    let named = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let cache = named.unwrap_or_else(|| match env::home_dir() {
        Some(home) if !Uid::effective().is_root() => home.join(".cache"),
        _ => PathBuf::from("/var/cache"),
    });
    cache.join("mailctl")
}

/// A running world. Its methods block and may be called from asynchronous code too.
pub struct World {
    // Dropped in this order: the programs end before the claim removes their files.
    server: Server,
    names: Names,
    resolver: Resolver,
    authority: Authority,
    far: Far,
    network: Network,
    claim: Claim,
}

impl World {
    /// Starts everything, which takes a few seconds, and a minute more where
    /// the base system has to be made first.
    ///
    /// # Errors
    /// When something is missing here ([`needs::missing`]) or a part does not
    /// start; whatever had been started is removed again.
    pub fn start(options: &WorldOptions<'_>) -> Result<Self> {
        let missing = needs::missing();
        if !missing.is_empty() {
            return Err(Failure::new("no rehearsal is possible here")
                .because(missing.join("; "))
                .exit(Exit::Person));
        }
        let mirror = Mirror::of_this_machine();
        let base = base::tree(options.suite, &options.cache, &mirror, options.report)?;
        let claim = Claim::new()?;
        let directory = claim.directory();
        let network = Network::new(claim.number());
        (options.report)(&format!(
            "starting world {} in {}",
            claim.number(),
            directory.display()
        ));
        network.set_up(&mirror.ports())?;
        let background = Background::new()?;

        let key = make_key(&directory.join("ssh_key"))?;
        let authorized_keys: Vec<String> = options
            .authorized_keys
            .iter()
            .cloned()
            .chain([key])
            .collect();
        let image = Image {
            base: &base,
            hostname: &options.hostname,
            contabo_like: options.contabo_like,
            authorized_keys: &authorized_keys,
        };
        let zones = &options.zones;
        let (server, names, resolver, authority) = thread::scope(|scope| {
            let server = scope.spawn(|| Server::boot(directory, network, &image));
            let names = scope.spawn(|| Names::start(directory, network, zones, &background));
            let resolver = scope.spawn(|| Resolver::start(directory, network, &mirror.hosts()));
            let authority = scope.spawn(|| Authority::start(directory, network, &background));
            (
                joined(server),
                joined(names),
                joined(resolver),
                joined(authority),
            )
        });
        let (names, resolver, authority, server) = (names?, resolver?, authority?, server?);
        let far = Far::start(network, &background)?;
        let known_hosts = directory.join("known_hosts");
        fs::write(&known_hosts, server.known_host() + "\n")
            .with_context(|| format!("cannot write {}", known_hosts.display()))?;

        let world = Self {
            server,
            names,
            resolver,
            authority,
            far,
            network,
            claim,
        };
        for domain in &options.far_domains {
            world.add_far_domain(domain)?;
        }
        Ok(world)
    }

    /// The number that its addresses and names have, 1 to 254.
    pub fn number(&self) -> u8 {
        self.claim.number()
    }

    /// Its directory: keys, configurations, and `log/` with every program's output.
    pub fn directory(&self) -> &Path {
        self.claim.directory()
    }

    /// The server's IPv4 address, which is configured; the prefix is 24 bits.
    pub fn ipv4(&self) -> Ipv4Addr {
        self.network.ipv4(Party::Server)
    }

    /// The server's IPv6 address, which it does not have yet where the world
    /// is `contabo_like`; the prefix is 64 bits.
    pub fn ipv6(&self) -> Ipv6Addr {
        self.network.ipv6(Party::Server)
    }

    /// The gateway of that.
    pub fn gateway6(&self) -> Ipv6Addr {
        self.network.ipv6(Party::Gateway)
    }

    /// Where sshd answers.
    pub fn ssh(&self) -> SocketAddr {
        SocketAddr::from((self.ipv4(), 22))
    }

    /// The private key that opens root's account, without passphrase.
    pub fn private_key(&self) -> PathBuf {
        self.directory().join("ssh_key")
    }

    /// A known_hosts file with the server's host key.
    pub fn known_hosts(&self) -> PathBuf {
        self.directory().join("known_hosts")
    }

    /// The `ssh` program, set up for this server; what is to be run is still to be added.
    pub fn ssh_command(&self) -> Command {
        let mut command = Command::new("ssh");
        command
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "ConnectTimeout=10",
                "-o",
                "IdentitiesOnly=yes",
            ])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                self.known_hosts().display()
            ))
            .arg("-i")
            .arg(self.private_key())
            .arg(format!("root@{}", self.ipv4()));
        command
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The authoritative name server.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The resolver.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The certificate authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The mail server of everyone else.
    pub fn far(&self) -> &Far {
        &self.far
    }

    /// Runs a shell command on the server, without SSH; see [`Server::exec`].
    ///
    /// # Errors
    /// When the server is down.
    pub fn exec(&self, command: &str) -> Result<Output> {
        self.server.exec(command)
    }

    /// Restarts the server and waits until it is up; see [`Server::reboot`].
    ///
    /// # Errors
    /// When it does not come back.
    pub fn reboot(&mut self) -> Result<()> {
        self.server.reboot()
    }

    /// Makes a domain of someone else's, whose mail goes to the far mail server.
    ///
    /// # Errors
    /// When the name server refuses it.
    pub fn add_far_domain(&self, domain: &Name) -> Result<()> {
        self.names.add_zone(domain)?;
        let exchange = format!("10 {}", names::far_name().fqdn());
        self.names.set(&Rrset::new(
            RrsetKey::new(domain.clone(), RType::Mx),
            None,
            [exchange],
        ))?;
        self.far.accept(domain);
        Ok(())
    }

    /// Removes the world.
    ///
    /// # Errors
    /// When something of it is left; the failure says what.
    pub fn stop(self) -> Result<()> {
        let Self {
            server,
            names,
            resolver,
            authority,
            far,
            claim,
            ..
        } = self;
        drop((server, names, resolver, authority, far));
        claim.release()
    }

    /// Leaves it running after this process, all but the far mail server, and
    /// returns a text that says how to look around and how to remove it.
    ///
    /// # Errors
    /// When it cannot be kept; it is removed then.
    pub fn keep(self) -> Result<String> {
        let ssh = format!(
            "ssh -o UserKnownHostsFile={} -i {} root@{}",
            self.known_hosts().display(),
            self.private_key().display(),
            self.ipv4()
        );
        let logs = self.directory().join("log");
        let (resolver, names) = (self.resolver.address().ip(), self.names.addresses()[0].ip());
        let acme = self.authority.directory();
        let Self {
            server,
            names: name_server,
            resolver: recursor,
            authority,
            claim,
            ..
        } = self;
        let remove = claim.keep()?;
        server.keep();
        name_server.keep();
        recursor.keep();
        authority.keep();
        Ok(format!(
            "log in:      {ssh}\n\
             DNS:         dig @{resolver} NAME TYPE (what receivers see), dig @{names} NAME TYPE (authoritative)\n\
             ACME:        {acme}\n\
             logs:        {}\n\
             mail out:    waits in the queue: the far mail server ended with this command\n\
             remove it:   {remove}\n",
            logs.display()
        ))
    }
}

/// Makes a key pair and returns the public half.
fn make_key(path: &Path) -> Result<String> {
    let words = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        "rehearsal",
        "-f",
    ]
    .map(AsRef::as_ref);
    run(words.into_iter().chain([path.as_os_str()]), "")?;
    let public = path.with_extension("pub");
    let text =
        fs::read_to_string(&public).with_context(|| format!("cannot read {}", public.display()))?;
    Ok(text.trim().to_owned())
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| {
        Err(Failure::new(
            "a part of the world panicked while it started",
        ))
    })
}
