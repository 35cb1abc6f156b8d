//! The conversations: they end before DATA, so that no message is ever sent.

use futures_util::future::join_all;

use super::forms::{Control, Form, Outcome, forms, weigh};
use super::{Attempt, Tried};
use crate::check::Outside;
use crate::check::wire::{Reply, Station, Talk, offers};
use crate::record::Name;

impl Outside {
    /// Tries to relay through an address; once, whatever domains are there.
    pub(super) async fn relay(&self, station: &Station, domain: &Name) -> Tried {
        let key = (station.host.clone(), station.address);
        let find = || async {
            let forms = forms(&station.host, domain, station.ours);
            // One conversation each: many servers hang up after a few refusals.
            let relays = forms.into_iter().map(|form| async {
                let outcome = self.attempt(station, &form).await;
                let outcome = outcome.unwrap_or_else(Outcome::Unclear);
                Attempt { form, outcome }
            });
            let (relays, vrfy, expn) = tokio::join!(
                join_all(relays),
                self.list(station, "VRFY", domain),
                self.list(station, "EXPN", domain)
            );
            Tried { relays, vrfy, expn }
        };
        self.wire.relays.get(key, find).await
    }

    async fn attempt(&self, station: &Station, form: &Form) -> Result<Outcome, String> {
        let mut talk = self.introduced_to(station).await?;
        let sender = talk.say(&format!("MAIL FROM:<{}>", form.sender)).await?;
        if !sender.positive() {
            return Ok(Outcome::Unclear(format!(
                "MAIL FROM:<{}> is answered with {}",
                form.sender,
                sender.told()
            )));
        }
        let reply = talk.say(&format!("RCPT TO:<{}>", form.recipient)).await?;
        let control = match &form.control {
            Some(Control::Own(to)) if !reply.positive() => {
                talk.say(&format!("RCPT TO:<{to}>")).await.ok()
            }
            Some(Control::Anything(to)) if reply.positive() => {
                talk.say(&format!("RCPT TO:<{to}>")).await.ok()
            }
            _ => None,
        };
        talk.quit().await;
        Ok(weigh(form, reply, control))
    }

    async fn list(
        &self,
        station: &Station,
        verb: &str,
        domain: &Name,
    ) -> Result<Vec<Reply>, String> {
        let mut talk = self.introduced_to(station).await?;
        let known = talk.say(&format!("{verb} postmaster@{domain}")).await?;
        let mut replies = vec![known];
        if replies[0].positive() {
            let unknown = format!("{verb} mailctl-nobody-9f3c@{domain}");
            replies.push(talk.say(&unknown).await?);
        }
        talk.quit().await;
        Ok(replies)
    }

    /// A conversation after EHLO, under TLS where it is offered, as of a server that delivers.
    async fn introduced_to(&self, station: &Station) -> Result<Talk, String> {
        let talk = self.connect(station.address, station.port).await;
        let mut talk = talk.map_err(|_| "the port does not answer again".to_owned())?;
        let greeting = talk.reply().await?;
        if greeting.code != 220 {
            return Err(format!("it does not talk to us: {}", greeting.told()));
        }
        let capabilities = self.ehlo(&mut talk).await?;
        if matches!(station.seen.tls, Some(Ok(_))) && offers(&capabilities, "STARTTLS") {
            let reply = talk.say("STARTTLS").await?;
            if reply.code != 220 {
                return Err(format!("STARTTLS is answered with {}", reply.told()));
            }
            let (mut secured, _) = talk.secure(&station.host).await?;
            self.ehlo(&mut secured).await?;
            return Ok(secured);
        }
        Ok(talk)
    }
}
