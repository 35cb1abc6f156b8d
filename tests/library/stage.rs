//! The process of one test: a proxy before it, name servers beside it.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex};

use mailctl::catalogue;
use mailctl::dns::Dns;
use mailctl::record::{RType, Rrset, RrsetKey};
use mailctl::secret::Secret;
use mailctl::zone::{self, Settings, Zone};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::proxy::{self, Fault, Proxy};
use super::{APEX, Api, TOKEN, name, names};

/// Where the child finds what its parent prepared.
const PREPARED: &str = "MAILCTL_LIBRARY_TEST";

pub struct Stage {
    provider: &'static str,
    pub proxy: Proxy,
    pub dns: Dns,
}

impl Stage {
    /// In the test's own process, its stage. Else runs that process, and there
    /// is nothing more to do.
    pub fn enter(test: &str, provider: &'static str, api: impl Api + 'static) -> Option<Self> {
        if let Some(prepared) = std::env::var_os(PREPARED) {
            let api: Arc<Mutex<dyn Api>> = Arc::new(Mutex::new(api));
            let proxy = Proxy::start(prepared.as_ref(), Arc::clone(&api));
            let resolver = names::serve(APEX, api);
            let dns = Dns::new(Some(resolver)).expect("a resolver");
            return Some(Self {
                provider,
                proxy,
                dns,
            });
        }
        let files = tempfile::tempdir().expect("a directory");
        let at = |name: &str| files.path().join(name);
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        let root = root.expect("a root");
        let key = KeyPair::generate().expect("a key");
        let hosts = proxy::HOSTS.map(String::from);
        let own = CertificateParams::new(hosts)
            .expect("names")
            .signed_by(&key, &root);
        let write = |name: &str, text: String| std::fs::write(at(name), text).expect("written");
        write("root.pem", root.as_ref().pem());
        write("server.pem", own.expect("a certificate").pem());
        write("server.key", key.serialize_pem());
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr: SocketAddr = free.local_addr().expect("its address");
        drop(free);
        write("address", addr.to_string());
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--nocapture"])
            .env(PREPARED, files.path())
            .env("HTTPS_PROXY", format!("http://{addr}"))
            .env("SSL_CERT_FILE", at("root.pem"))
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .expect("the process runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{told}");
        assert!(said.contains("1 passed"), "{said}\n{told}");
        None
    }

    pub fn zone(&self) -> Arc<dyn Zone> {
        self.zone_with(TOKEN)
    }

    pub fn zone_with(&self, token: &str) -> Arc<dyn Zone> {
        let settings = Settings::default().with("token", Secret::new(token));
        zone::open(self.provider, &settings, &self.dns).expect("a provider")
    }

    pub async fn list(&self, key: &RrsetKey) -> Rrset {
        let keys = std::slice::from_ref(key);
        let listed = self.zone().list(&name(APEX), keys).await;
        listed
            .unwrap_or_else(|why| panic!("{key}: {}", why.told()))
            .remove(0)
    }

    /// Writes from whatever is there, and finds it as it was written.
    pub async fn put(&self, want: &Rrset) {
        let before = self.list(&want.key).await;
        let zone = self.zone();
        zone::write(&*zone, &name(APEX), &before, want)
            .await
            .unwrap_or_else(|why| panic!("{}: {}", want.key, why.told()));
        let shown = self.shown(want);
        assert_eq!(self.list(&want.key).await, shown);
        self.proxy.next(&[]);
        let again = zone::write(&*zone, &name(APEX), &shown, &shown).await;
        again.unwrap_or_else(|why| panic!("{}: {}", want.key, why.told()));
        assert_eq!(self.proxy.writes(), 0, "{} is written again", want.key);
    }

    /// How what is written is read again: providers have a least TTL.
    pub fn shown(&self, want: &Rrset) -> Rrset {
        Rrset {
            ttl: want.ttl.and_then(|ttl| self.zone().ttl(ttl)),
            ..want.clone()
        }
    }

    /// Whether it takes values of this type.
    pub fn takes(&self, rtype: RType) -> bool {
        let entry = catalogue::dns(self.provider).expect("an entry");
        let mut limits = entry.limits.iter();
        let without = limits.find_map(|limit| limit.strip_prefix("No records of type "));
        let mut types = without
            .into_iter()
            .flat_map(|types| types.split([',', '.', ' ']));
        !types.any(|without| without == rtype.as_str())
    }

    pub fn next(&self, faults: &[Fault]) {
        self.proxy.next(faults);
    }
}
