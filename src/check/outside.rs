//! The world as all questions about all domains share it: the DNS, and what
//! was found out already.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;

use super::fetch::Pages;
use super::memo::Memo;
use super::permitted::Permitted;
use super::wire::Wire;
use crate::config::Config;
use crate::dns::{Dns, Reply};
use crate::failure::{Context, Failure, Result};
use crate::record::{Name, RType, RrsetKey};

/// How the looking is done; everything that does not come from the domains themselves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long one step of a conversation with a server may take.
    pub patience: Duration,
    /// The name that mail servers are greeted with.
    pub ehlo: String,
    /// Trust anchors beside the platform's, for private authorities.
    pub roots: Vec<CertificateDer<'static>>,
    /// Whether mail.yaml's authority is a private one whose root is not known
    /// here: `certificates.root` is the anchor of its directory, which may be
    /// another than that of what it issues.
    pub private: bool,
    /// Selectors that are looked for where nobody says which ones a domain uses.
    pub selectors: Vec<String>,
    /// A mail server far away, `host` or `host:port`: what tells a closed port
    /// there from one that is closed on the way from here.
    pub far: String,
    /// Zones of blocklists; `None`: the built-in ones.
    pub blocklists: Option<Vec<String>>,
    /// Base URL for questions about registrations (RFC 9082), such as `https://rdap.org`.
    pub rdap: String,
    /// The clock.
    pub now: OffsetDateTime,
}

/// The far host where mail.yaml and the command line name none.
pub const FAR: &str = "gmail-smtp-in.l.google.com";

/// Where registrations are asked for: it redirects to the registry (RFC 9224).
pub const RDAP: &str = "https://rdap.org";

impl Settings {
    /// The usual ones.
    pub fn new(now: OffsetDateTime) -> Self {
        let host = nix::unistd::gethostname().ok();
        let host = host.and_then(|name| name.into_string().ok());
        // A name without a dot is refused by many servers (RFC 5321 section 4.1.1.1).
        let ehlo = host.filter(|name| name.contains('.') && Name::parse(name).is_ok());
        Self {
            patience: Duration::from_secs(10),
            ehlo: ehlo.unwrap_or_else(|| "mailctl.invalid".into()),
            roots: Vec::new(),
            private: false,
            selectors: Vec::new(),
            far: FAR.into(),
            blocklists: None,
            rdap: RDAP.into(),
            now,
        }
    }

    /// With trust anchors that somebody gives.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn trusting(mut self, anchors_in: &Path) -> Result<Self> {
        self.roots.extend(anchors(anchors_in)?);
        self.private = false;
        Ok(self)
    }

    /// With what mail.yaml says.
    ///
    /// # Errors
    /// When the trust anchor of a private authority cannot be read.
    pub fn with(mut self, config: &Config) -> Result<Self> {
        let wish = &config.check;
        if let Some(far) = &wish.far {
            self.far.clone_from(far);
        }
        if let Some(rdap) = &wish.rdap {
            self.rdap = rdap.trim_end_matches('/').to_owned();
        }
        self.blocklists.clone_from(&wish.blocklists);
        if let Some(root) = &config.certificates.root {
            self.roots.extend(anchors(root)?);
            self.private = true;
        }
        Ok(self)
    }
}

/// The trust anchors in a PEM file.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn anchors(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let what = || format!("the trust anchors in {} cannot be read", path.display());
    let pem = std::fs::read(path).with_context(what)?;
    let roots: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let roots = roots.map_err(|e| Failure::new(what()).because(format!("{e:?}")))?;
    if roots.is_empty() {
        return Err(Failure::new(what()).because("there is no certificate in it"));
    }
    Ok(roots)
}

/// An answer, or why there is none: that says nothing about the set.
pub type Looked = std::result::Result<Arc<Reply>, String>;

/// What all questions share.
pub struct Outside {
    /// The resolver and, through it, the authoritative servers.
    pub dns: Dns,
    /// How the looking is done.
    pub settings: Settings,
    pub(super) pages: Pages,
    replies: Memo<RrsetKey, Looked>,
    pub(super) wire: Wire,
    pub(super) permitted: Permitted,
}

impl Outside {
    /// Nothing found out yet.
    pub fn new(dns: Dns, settings: Settings) -> Self {
        Self {
            dns,
            settings,
            pages: Pages::default(),
            replies: Memo::default(),
            wire: Wire::default(),
            permitted: Permitted::default(),
        }
    }

    /// What the resolver says of a set; asked once.
    ///
    /// # Errors
    /// Why it could not be learnt: silence, SERVFAIL, REFUSED.
    pub async fn lookup(&self, name: &Name, rtype: RType) -> Looked {
        let key = RrsetKey::new(name.clone(), rtype);
        let find = || async {
            let reply = self.dns.reply(&key).await;
            reply.map(Arc::new).map_err(|failure| failure.chain())
        };
        self.replies.get(key.clone(), find).await
    }

    /// The addresses of a host, IPv4 first.
    ///
    /// # Errors
    /// Why they could not be learnt.
    pub async fn addresses(&self, host: &Name) -> std::result::Result<Vec<IpAddr>, String> {
        let (four, six) = tokio::join!(self.lookup(host, RType::A), self.lookup(host, RType::Aaaa));
        let (four, six) = (four?, six?);
        let values = four.values.iter().chain(&six.values);
        Ok(values.filter_map(|value| value.parse().ok()).collect())
    }
}
