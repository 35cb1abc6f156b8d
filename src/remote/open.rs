//! From a target to an authenticated session: transport, handshake, host key, login.

use std::sync::Arc;

use ssh2::{MethodType, Session};

use super::access::{Access, Obstacle};
use super::known::{self, ALGORITHMS, Known, Verdict};
use super::login::{Credential, login};
use super::target::{Strict, Target};
use super::transport::Transport;
use crate::failure::Failure;

/// Key exchanges, the cheapest safe one first.
const KEX: &str = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,diffie-hellman-group-exchange-sha256";

/// An authenticated session.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) transport: Arc<Transport>,
    /// What an earlier connection proved; see [`open`].
    pub(crate) proven: Proven,
    /// known_hosts does not have the host key yet.
    pub(crate) new_key: bool,
}

/// What a connection proved, which spares the next one questions and round trips.
#[derive(Clone)]
pub(crate) struct Proven {
    /// The host key.
    pub(crate) host_key: Vec<u8>,
    /// The credential that was accepted.
    pub(crate) credential: Credential,
}

/// Connects, checks the host key and logs in. After an earlier connection
/// the host key must be the same, and its credential is offered first.
pub(crate) fn open(
    target: &Target,
    access: &Access,
    earlier: Option<&Proven>,
) -> Result<Opened, Obstacle> {
    let mut new_key = false;
    let (session, transport) = match (earlier, &access.host_key) {
        (Some(earlier), _) => {
            let known = Known::only(&earlier.host_key);
            let (session, transport) = shake_hands(target, access, &known.algorithms())?;
            same(target, &earlier.host_key, &shown_key(&session))?;
            (session, transport)
        }
        (None, Some(pin)) => pinned(target, access, pin)?,
        (None, None) => {
            let known = Known::about(target);
            let (session, transport) = shake_hands(target, access, &known.algorithms())?;
            new_key = judge(target, access, &known, &shown_key(&session))?;
            (session, transport)
        }
    };
    let credential = login(&session, target, access, earlier.map(|e| &e.credential))?;
    let proven = Proven {
        host_key: shown_key(&session),
        credential,
    };
    Ok(Opened {
        session,
        transport,
        proven,
        new_key,
    })
}

fn same(target: &Target, before: &[u8], now: &[u8]) -> Result<(), Obstacle> {
    if before == now {
        return Ok(());
    }
    let [before, now] = [before, now].map(known::fingerprint);
    Err(Obstacle::Refused(
        Failure::new(format!(
            "the host key of {} changed since this run began: it was {before}, it is {now}",
            target.place()
        ))
        .hint("another machine answers at this address now: check it, then run it again"),
    ))
}

/// A session whose host key is the pinned one. A server has a key of each
/// sort, and the pin does not tell which: the others are asked for in turn.
fn pinned(
    target: &Target,
    access: &Access,
    pin: &str,
) -> Result<(Session, Arc<Transport>), Obstacle> {
    let mut algorithms: Vec<&str> = ALGORITHMS.to_vec();
    let mut seen = Vec::new();
    while !algorithms.is_empty() && seen.len() < ALGORITHMS.len() {
        let (session, transport) = match shake_hands(target, access, &algorithms) {
            Ok(connection) => connection,
            // No key of the sorts that are left.
            Err(_) if !seen.is_empty() => break,
            Err(obstacle) => return Err(obstacle),
        };
        let key = shown_key(&session);
        let fingerprint = known::fingerprint(&key);
        if fingerprint.trim_end_matches('=') == pin.trim_end_matches('=') {
            return Ok((session, transport));
        }
        let kind = known::kind(&key).to_owned();
        seen.push(format!("{fingerprint} ({kind})"));
        algorithms.retain(|a| *a != kind && !(kind == "ssh-rsa" && a.starts_with("rsa-")));
    }
    Err(Obstacle::Refused(
        Failure::new(format!(
            "{} is not the server that mail.yaml means: its host key is {}, but `host.host_key` says {pin}",
            target.place(),
            seen.join(", ")
        ))
        .hint("if the server was installed anew, check its key at the hoster's console and correct `host.host_key`"),
    ))
}

/// The transport and the key exchange (RFC 4253), with the host key algorithms in this order.
fn shake_hands(
    target: &Target,
    access: &Access,
    algorithms: &[&str],
) -> Result<(Session, Arc<Transport>), Obstacle> {
    let transport = Arc::new(Transport::dial(target, access)?);
    let failed = |error: ssh2::Error| no_handshake(target, access, &transport, &error);
    let mut session = Session::new().map_err(failed)?;
    session.method_pref(MethodType::Kex, KEX).map_err(failed)?;
    session
        .method_pref(MethodType::HostKey, &algorithms.join(","))
        .map_err(failed)?;
    session.set_timeout(u32::try_from(access.connect_timeout.as_millis()).unwrap_or(u32::MAX));
    session.set_tcp_stream(Arc::clone(&transport));
    session.handshake().map_err(failed)?;
    Ok((session, transport))
}

fn no_handshake(
    target: &Target,
    access: &Access,
    transport: &Transport,
    error: &ssh2::Error,
) -> Obstacle {
    let place = format!("port {} at {}", target.port, target.hostname);
    if let Some(complaint) = transport.complaint() {
        return Obstacle::Passing(
            Failure::new(format!("the way to {place} is closed: {complaint}"))
                .hint("try the ProxyJump or ProxyCommand of ~/.ssh/config with `ssh` itself"),
        );
    }
    let what = match error.code() {
        // KEX_FAILURE, KEY_EXCHANGE_FAILURE, METHOD_NONE.
        ssh2::ErrorCode::Session(-5 | -8 | -17) => {
            return Obstacle::Lasting(
                Failure::new(format!("{place} and mailctl have no key exchange in common: {}", error.message()))
                    .hint("update OpenSSH on the server: it speaks only what is no longer safe, or only what is newest"),
            );
        }
        // TIMEOUT, SOCKET_TIMEOUT.
        ssh2::ErrorCode::Session(-9 | -30) => {
            format!(
                "{place} takes the connection but says nothing for {:?}",
                access.connect_timeout
            )
        }
        _ => format!(
            "{place} closed the connection during the handshake: {}",
            error.message()
        ),
    };
    Obstacle::Passing(Failure::new(what).hint(
        "see whether it is SSH that listens there, and whether the server bans this address (fail2ban) or is overloaded; `--wait 15m` keeps trying",
    ))
}

fn shown_key(session: &Session) -> Vec<u8> {
    session
        .host_key()
        .map(|(key, _)| key.to_vec())
        .unwrap_or_default()
}

/// Whether the key is new; an obstacle where it is not to be trusted.
fn judge(target: &Target, access: &Access, known: &Known, key: &[u8]) -> Result<bool, Obstacle> {
    let (place, kind) = (target.place(), known::kind(key));
    let fingerprint = known::fingerprint(key);
    match known.check(key) {
        Verdict::Known => Ok(false),
        Verdict::Unknown => {
            let strict = target.strict == Strict::Yes && !access.accept_new_host_key;
            let asked = || {
                access
                    .ask
                    .as_ref()
                    .is_some_and(|ask| ask.trusts(&place, kind, &fingerprint))
            };
            if access.accept_new_host_key
                || target.strict == Strict::AcceptNew
                || (!strict && asked())
            {
                return Ok(true);
            }
            Err(Obstacle::Lasting(
                Failure::new(format!("the host key of {place} is not known: {kind} {fingerprint}")).hint(format!(
                    "compare it with the hoster's console, then write `host_key: {fingerprint}` under `host` in mail.yaml, or pass --accept-new-host-key"
                )),
            ))
        }
        Verdict::Changed(entries) => {
            let had: Vec<String> = entries
                .iter()
                .map(|e| {
                    format!(
                        "{} {} ({}:{})",
                        known::kind(&e.blob),
                        known::fingerprint(&e.blob),
                        e.file.display(),
                        e.line
                    )
                })
                .collect();
            let file = entries
                .first()
                .map(|e| e.file.display().to_string())
                .unwrap_or_default();
            Err(Obstacle::Refused(
                Failure::new(format!(
                    "the host key of {place} has changed: it shows {kind} {fingerprint}, known is {}",
                    had.join(", ")
                ))
                .hint(format!(
                    "if the server was installed anew, remove the old key with `ssh-keygen -f '{file}' -R '{}'`; if not, somebody stands in between",
                    known::name(target)
                )),
            ))
        }
        Verdict::Revoked(entry) => Err(Obstacle::Lasting(
            Failure::new(format!(
                "the host key of {place}, {kind} {fingerprint}, is revoked by {}:{}",
                entry.file.display(),
                entry.line
            ))
            .hint("do not use this server before its keys were replaced"),
        )),
    }
}
