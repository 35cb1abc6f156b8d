//! What SPF says of an address, as receivers evaluate it (RFC 7208), by
//! mail-auth. Domains that share a host share what is found out about it.

use std::net::IpAddr;
use std::sync::OnceLock;

use mail_auth::spf::verify::SpfParameters;
use mail_auth::{MessageAuthenticator, SpfResult};

use super::memo::Memo;
use super::outside::Outside;
use crate::record::Name;

/// Whose record is evaluated (RFC 7208 sections 2.3 and 2.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The name that a server gives in EHLO.
    Ehlo(Name),
    /// The sender of the envelope: local part and domain.
    MailFrom(String, Name),
}

/// What was evaluated already.
#[derive(Default)]
pub(super) struct Permitted {
    /// Setting up a resolver takes longer than asking it.
    authenticator: OnceLock<Option<MessageAuthenticator>>,
    results: Memo<(Identity, IpAddr), Option<SpfResult>>,
}

impl Outside {
    /// The result for mail from `address`; `None` where it could not be evaluated now.
    pub async fn spf(&self, identity: Identity, address: IpAddr) -> Option<SpfResult> {
        let key = (identity.clone(), address);
        let find = || self.evaluate(&identity, address);
        self.permitted.results.get(key, find).await
    }

    async fn evaluate(&self, identity: &Identity, address: IpAddr) -> Option<SpfResult> {
        let set_up = || self.dns.resolver().ok().map(MessageAuthenticator);
        let authenticator = self.permitted.authenticator.get_or_init(set_up).as_ref()?;
        let sender;
        let parameters = match identity {
            Identity::Ehlo(host) => {
                SpfParameters::verify_ehlo(address, host.as_str(), host.as_str())
            }
            Identity::MailFrom(local, domain) => {
                sender = format!("{local}@{domain}");
                let helo = domain.as_str();
                SpfParameters::verify_mail_from(address, helo, helo, &sender)
            }
        };
        let output = authenticator.verify_spf(parameters).await;
        match output.result() {
            SpfResult::TempError => None,
            result => Some(result),
        }
    }
}
