//! The dead man's switch: the server itself puts the old network back unless
//! a new connection confirms the new one.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use super::PATH;
use crate::failure::{Context, Failure, Result};
use crate::kinds::file::Write;
use crate::kinds::print;
use crate::kinds::shell::{PRELUDE, guard};
use crate::observe::quote;
use crate::remote::{Output, Remote, Script};

const SWITCH: &str = include_str!("../../../templates/network-switch.sh");
const LOOK: &str = include_str!("../../../templates/network-look.sh");
const KEEP: &str = include_str!("../../../templates/network-keep.sh");
/// Ends the trial at once where the server can still be told; succeeds once it has ended.
const END: &str = "if [ ! -e /run/netplan/60-mailctl.yaml ]; then ! systemctl -q is-active mailctl-network-revert.service; exit; fi\n\
    systemctl start --no-block mailctl-network-revert.service; exit 1\n";
/// Shadows a drop-in of the same name in /etc while nothing is to be there.
const NOTHING: &str = "network:\n  version: 2\n";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Left for confirming, before the server acts by itself.
const RESERVE: Duration = Duration::from_secs(5);
/// How long the old network may take to answer again.
const RETURN: Duration = Duration::from_secs(45);

/// A new drop-in, tried out before it stays.
///
/// It is first written to /run/netplan, where it shadows the one in
/// /etc/netplan: a reboot within the trial ends the trial. A transient timer
/// ends it after `revert_after`. Only a connection that was opened after
/// `netplan apply` had finished confirms it; then it moves to /etc/netplan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The text of the drop-in; `None`: it goes.
    pub content: Option<String>,
    /// SHA-256 of the drop-in that the plan saw; `None`: there was none.
    pub seen: Option<String>,
    /// The interface.
    pub interface: String,
    /// What must be there after the switch.
    pub address: Option<(Ipv6Addr, u8)>,
    /// Where the default route must lead after it.
    pub gateway: Option<Ipv6Addr>,
    /// When the server puts the old network back, counted from the switch.
    pub revert_after: Duration,
}

impl Default for Switch {
    /// Nothing, with a way back after 60 seconds.
    fn default() -> Self {
        Self {
            content: None,
            seen: None,
            interface: String::new(),
            address: None,
            gateway: None,
            revert_after: Duration::from_secs(60),
        }
    }
}

/// How the trial stands.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Applying,
    Unready(String),
    Ready,
}

impl Switch {
    /// Switches over, and back where the new network cannot be confirmed.
    /// `report` is told what is being waited for, `applied` that netplan has
    /// finished: what remains is waiting for the kernel's check for
    /// duplicates (RFC 4862 section 5.4) and confirming, over other connections.
    ///
    /// # Errors
    /// When netplan refuses, when the address does not come up, or when no new
    /// connection gets through: the old network is then back, or said not to be.
    pub fn act(
        &self,
        remote: &dyn Remote,
        report: &dyn Fn(&str),
        applied: &dyn Fn(),
    ) -> Result<()> {
        let begun = Instant::now();
        // An answer that is lost on the way does not mean that nothing happened.
        if let Ok(output) = remote.run(&self.trial()) {
            complain(output)?;
        }
        report(&format!(
            "the new network is on trial: the server puts the old one back in {} s unless it can be reached anew",
            self.revert_after.as_secs()
        ));
        match self.confirm(remote, begun, applied) {
            Ok(()) => Ok(()),
            Err(failure) => {
                report("the trial failed; waiting for the old network");
                let back = self.wait_for_return(remote, begun);
                Err(match back {
                    Ok(()) => failure.hint("the old network is back; correct `host.ipv6`, `host.gateway6` or `host.interface` and apply again"),
                    Err(gone) => Failure::new(format!("{}, and the server cannot be reached since", failure.chain()))
                        .hint("use the hoster's console: remove /run/netplan/60-mailctl.yaml and run `netplan apply`, or reboot")
                        .because(gone),
                })
            }
        }
    }

    /// Looks through ever new connections until one finds the network ready, and keeps it.
    fn confirm(&self, remote: &dyn Remote, begun: Instant, applied: &dyn Fn()) -> Result<()> {
        let until = begun
            + self
                .revert_after
                .saturating_sub(RESERVE.min(self.revert_after / 4));
        let mut finished = false;
        let mut last = "the server went unreachable with the new network".to_owned();
        while Instant::now() < until {
            let fresh = match remote.again() {
                Ok(fresh) => fresh,
                Err(_) => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
            };
            let look = match self.look(fresh.as_ref()) {
                // A connection from before the end of `netplan apply` proves nothing.
                Ok(Look::Ready) if finished => return complain(fresh.run(&self.keep())?),
                Ok(look) => look,
                Err(Told::Lost) => Look::Applying,
                Err(Told::Failed(failure)) => return Err(failure),
            };
            if look != Look::Applying && !finished {
                finished = true;
                applied();
            }
            match look {
                Look::Ready => continue,
                Look::Unready(why) => last = why,
                Look::Applying => {}
            }
            std::thread::sleep(PAUSE);
        }
        Err(Failure::new(format!(
            "{last}; the server puts the old network back"
        )))
    }

    fn look(&self, fresh: &dyn Remote) -> std::result::Result<Look, Told> {
        let script =
            Script::new(format!("{PRELUDE}{}{LOOK}", self.words())).within(Duration::from_secs(10));
        let output = fresh.run(&script).map_err(|_| Told::Lost)?;
        if output.code != 0 && output.complaint().is_empty() {
            return Err(Told::Lost);
        }
        let output = checked(output).map_err(Told::Failed)?;
        let text = output.text();
        Ok(match text.trim().split_once(' ') {
            Some(("unready", why)) => Look::Unready(why.to_owned()),
            _ if text.trim() == "ready" => Look::Ready,
            _ => Look::Applying,
        })
    }

    /// Until the server has undone the trial and answers.
    fn wait_for_return(&self, remote: &dyn Remote, begun: Instant) -> Result<()> {
        let until = begun + self.revert_after + RETURN;
        let check = Script::new(END).within(Duration::from_secs(10));
        loop {
            let tried = remote.again().and_then(|fresh| fresh.run(&check));
            match tried {
                Ok(output) if output.code == 0 => return Ok(()),
                Ok(_) if Instant::now() >= until => {
                    return Err(Failure::new("the server did not end the trial"));
                }
                Err(failure) if Instant::now() >= until => {
                    return Err(failure).context("the old network does not answer");
                }
                _ => std::thread::sleep(PAUSE),
            }
        }
    }

    fn words(&self) -> String {
        let address = self
            .content
            .as_ref()
            .and(self.address)
            .map_or(String::new(), |(a, p)| format!("{a}/{p}"));
        let gateway = self
            .content
            .as_ref()
            .and(self.gateway)
            .map_or(String::new(), |g| g.to_string());
        format!(
            "interface={} address={} gateway={} seconds={}\n",
            quote(&self.interface),
            quote(&address),
            quote(&gateway),
            self.revert_after.as_secs_f64()
        )
    }

    fn trial(&self) -> Script {
        let content = self.content.as_deref().unwrap_or(NOTHING);
        let text = format!(
            "{PRELUDE}{}{}print_new() {{ {}; }}\n{SWITCH}",
            guard(PATH, self.seen.as_deref()),
            self.words(),
            print(content.as_bytes())
        );
        Script::new(text).within(Duration::from_secs(60))
    }

    fn keep(&self) -> Script {
        let store = match &self.content {
            Some(content) => Write {
                path: PATH,
                content: content.as_bytes(),
                owner: "root:root",
                mode: 0o600,
                seen: self.seen.as_deref(),
                conffile: false,
                validate: None,
            }
            .fragment(),
            None => format!("rm -f {PATH}\n"),
        };
        Script::new(format!(
            "{PRELUDE}{KEEP}{store}rm -f /run/netplan/60-mailctl.yaml /run/mailctl/network-*\n"
        ))
    }
}

/// Why a look told nothing.
enum Told {
    /// The connection broke: try again.
    Lost,
    /// The server said that it failed.
    Failed(Failure),
}

fn checked(output: Output) -> Result<Output> {
    if output.code == 0 {
        Ok(output)
    } else {
        Err(Failure::new(output.complaint()))
    }
}

fn complain(output: Output) -> Result<()> {
    checked(output).map(|_| ())
}

#[cfg(test)]
mod tests;
