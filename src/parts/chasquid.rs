//! chasquid's own files, and its running.

use super::Wish;
use crate::chasquid::conf::{self, Conf, Delivery};
use crate::config::Ipv6Wish;
use crate::kinds::Impossible;
use crate::kinds::file::{File, Gone};
use crate::kinds::service::Chasquid;
use crate::resource::{Blocked, Resource};

const CONF: &str = "/etc/chasquid/chasquid.conf";
const DELIVER: &str = "/usr/local/lib/mailctl/deliver";
const IPV4_ONLY: &str = "/etc/systemd/system/chasquid.service.d/mailctl-ipv4-only.conf";
/// chasquid's own tool reads the file where it would be.
const VALIDATE: &str =
    "(d=$(mktemp -d) && cp {} \"$d/chasquid.conf\" && chasquid-util -C=\"$d\" print-config; s=$?; rm -rf \"$d\"; exit $s)";

/// Configuration and local delivery.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    let deliver = include_str!("../../templates/deliver");
    wanted.push(Box::new(File::new(DELIVER, deliver, "the delivery to local mailboxes").mode(0o755).dull()));
    match conf::render(&settings(wish)) {
        Ok(text) => {
            let mut file = File::new(CONF, text, "chasquid's configuration").restart();
            file.conffile = true;
            file.validate = Some(VALIDATE);
            wanted.push(Box::new(file));
        }
        Err(failure) => {
            wanted.push(Box::new(Impossible { id: format!("file {CONF}"), blocked: Blocked::new(failure.chain()) }));
        }
    }
    if wish.config.host.ipv6 == Some(Ipv6Wish::None) {
        let text = include_str!("../../templates/chasquid-ipv4-only.conf");
        wanted.push(Box::new(File::new(IPV4_ONLY, text, "what keeps mail from leaving over IPv6").restart()));
    } else {
        wanted.push(Box::new(Gone { restart: true, ..Gone::new(IPV4_ONLY, "mail may leave over IPv6") }));
    }
}

fn settings(wish: &Wish) -> Conf {
    let users = wish.config.domains.values().flat_map(|domain| domain.users.keys().map(String::as_str));
    Conf {
        hostname: wish.config.host_name().clone(),
        max_message_mb: wish.config.server.max_message_mb,
        delivery: Some(Delivery {
            bin: DELIVER.into(),
            args: ["%from%", "%to_user%", "%to_domain%"].map(str::to_owned).to_vec(),
        }),
        drop_characters: conf::drop_characters(users).into(),
    }
}

/// The running server, after everything that it reads.
pub fn run(_: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    wanted.push(Box::new(Chasquid));
}
