//! The ports of a domain's hosts, all looked at at once.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::{Port, Reach, SUBMISSION, SUBMISSIONS};
use crate::check::view::View;
use crate::record::Name;

/// One port of one address of one host, and what was found there.
#[derive(Clone, Debug)]
pub struct Station {
    /// The host, by whose name it was asked.
    pub host: Name,
    /// Its address.
    pub address: IpAddr,
    /// 25, 465 or 587.
    pub port: u16,
    /// Whether the host is the one of mail.yaml.
    pub ours: bool,
    /// What was found.
    pub seen: Arc<Port>,
}

impl View {
    /// Where the domain's hosts are talked to: 25 where they receive; for
    /// submission all ports of mail.yaml's host, and those of others that
    /// are open: nobody says that an MX must take submissions.
    ///
    /// # Errors
    /// Why the hosts could not be learnt.
    pub async fn stations(&self) -> Result<Vec<Station>, String> {
        let own = self.expected().and_then(|expected| expected.host.as_ref());
        let hosts = self.hosts().await?;
        let mut asked = Vec::new();
        for host in &hosts {
            let ours = own == Some(&host.name);
            for address in &host.addresses {
                let receiving = host.receives.then_some(25);
                for port in receiving.into_iter().chain([SUBMISSIONS, SUBMISSION]) {
                    asked.push(async move {
                        Station {
                            host: host.name.clone(),
                            address: *address,
                            port,
                            ours,
                            seen: self.outside.port(&host.name, *address, port).await,
                        }
                    });
                }
            }
        }
        let mut stations = join_all(asked).await;
        stations.retain(|s| s.ours || s.port == 25 || s.seen.reach == Reach::Open);
        Ok(stations)
    }
}
