//! A test message, and what a receiver would make of one: SPF, DKIM, DMARC.

mod strict;

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use mail_auth::dkim::DkimError;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcOutput, DmarcResult, Error,
    MessageAuthenticator, SpfOutput, SpfResult,
};
use mail_builder::MessageBuilder;
use time::OffsetDateTime;

use crate::failure::{Context, Failure, Result};
use crate::record::Name;

/// A message to send as a test.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The address in `From`.
    pub from: &'a str,
    /// The address in `To`.
    pub to: &'a str,
    /// The subject.
    pub subject: &'a str,
    /// The text. White space at its end is dropped.
    pub text: &'a str,
    /// `Date`.
    pub date: OffsetDateTime,
    /// The left side of `Message-ID`; its right side is the domain of `from`.
    pub id: &'a str,
}

impl Draft<'_> {
    /// The message with CRLF line ends (RFC 5322).
    ///
    /// # Errors
    /// When `from` has no domain.
    pub fn compose(&self) -> Result<Vec<u8>> {
        let (_, domain) = self
            .from
            .rsplit_once('@')
            .ok_or_else(|| Failure::new(format!("`{}` is no mail address", self.from)))?;
        // Lines of nothing but spaces at the end are hashed differently by
        // different DKIM programs, so there are none.
        let text = format!("{}\n", self.text.trim_end())
            .replace("\r\n", "\n")
            .replace('\n', "\r\n");
        MessageBuilder::new()
            .from(self.from)
            .to(self.to)
            .subject(self.subject)
            .date(self.date.unix_timestamp())
            .message_id(format!("{}@{domain}", self.id))
            .text_body(text)
            .write_to_vec()
            .context("cannot write a message")
    }
}

/// How a message came in.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The address it came from.
    pub ip: IpAddr,
    /// The name given in EHLO.
    pub helo: &'a str,
    /// The address in MAIL FROM; empty for delivery reports.
    pub mail_from: &'a str,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It could not be found out.
    Unknown,
}

/// One answer with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// Why, as a sentence without full stop.
    pub why: String,
}

/// What became of one DKIM signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The signing domain, `d=`.
    pub domain: String,
    /// The selector, `s=`.
    pub selector: String,
    /// Whether it verifies.
    pub verdict: Verdict,
}

/// What DMARC makes of it all (RFC 9989).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Pass, when either of the two below is.
    pub verdict: Verdict,
    /// The domain in `From`.
    pub domain: String,
    /// Whether there is a DMARC record for it.
    pub published: bool,
    /// A signature that passes is of that domain.
    pub dkim: Outcome,
    /// SPF passes for that domain.
    pub spf: Outcome,
}

/// Everything that a receiver looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// SPF of the sender's domain; of the EHLO name where the sender is empty (RFC 7208 section 2.4).
    pub spf: Verdict,
    /// SPF of the EHLO name.
    pub helo: Verdict,
    /// One for each signature, from the top.
    pub dkim: Vec<Signature>,
    /// DMARC.
    pub dmarc: Alignment,
}

/// Judges a message as it was received, asking `resolver` for all records.
///
/// # Errors
/// When `raw` is no message.
pub async fn judge(
    raw: &[u8],
    envelope: Envelope<'_>,
    resolver: TokioResolver,
) -> Result<Verdicts> {
    let Envelope {
        ip,
        helo,
        mail_from,
    } = envelope;
    let authenticator = MessageAuthenticator(resolver.clone());
    let message = AuthenticatedMessage::parse(raw)
        .ok_or_else(|| Failure::new("what was received is no message"))?;
    let helo_spf = authenticator
        .verify_spf(SpfParameters::verify_ehlo(ip, helo, helo))
        .await;
    let helo_spf = strict::spf(&resolver, helo_spf).await;
    let spf = if mail_from.is_empty() {
        helo_spf.clone()
    } else {
        let parameters = SpfParameters::verify_mail_from(ip, helo, helo, mail_from);
        strict::spf(&resolver, authenticator.verify_spf(parameters).await).await
    };
    let mut signatures = Vec::new();
    let mut dkim = Vec::new();
    for output in authenticator.verify_dkim(&message).await {
        let mut judged = signature(&output, raw);
        match (strict::refused_key(&resolver, &output).await, &mut judged) {
            (Some(why), Some(judged)) => {
                let outcome = Outcome::Fail;
                judged.verdict = Verdict { outcome, why };
            }
            _ => dkim.push(output),
        }
        signatures.extend(judged);
    }
    let dmarc = authenticator
        .verify_dmarc(DmarcParameters {
            message: &message,
            dkim_output: &dkim,
            dkim2_output: None,
            rfc5321_mail_from_domain: mail_from
                .rsplit_once('@')
                .map_or(helo, |(_, domain)| domain),
            spf_output: &spf,
        })
        .await;
    Ok(Verdicts {
        spf: spf_verdict(&spf, ip),
        helo: spf_verdict(&helo_spf, ip),
        dkim: signatures,
        dmarc: match strict::several_dmarc(&resolver, dmarc.domain()).await {
            Some(at) => no_single_record(alignment(&dmarc), &at),
            None => alignment(&dmarc),
        },
    })
}

fn spf_verdict(output: &SpfOutput, ip: IpAddr) -> Verdict {
    let domain = output.domain();
    let (outcome, mut why) = match output.result() {
        SpfResult::Pass => (Outcome::Pass, format!("{ip} may send for {domain}")),
        SpfResult::Fail => (Outcome::Fail, format!("{domain} forbids {ip} to send")),
        SpfResult::SoftFail => (
            Outcome::Fail,
            format!("{domain} does not name {ip}: softfail"),
        ),
        SpfResult::Neutral => (Outcome::Fail, format!("{domain} says nothing about {ip}")),
        SpfResult::None => (Outcome::Fail, format!("{domain} has no SPF record")),
        SpfResult::PermError => (
            Outcome::Fail,
            format!("the SPF record of {domain} is not valid"),
        ),
        SpfResult::TempError => (
            Outcome::Unknown,
            format!("the DNS does not answer for {domain}"),
        ),
    };
    if let Some(explanation) = output.explanation() {
        why.push_str(&format!(": {explanation}"));
    }
    Verdict { outcome, why }
}

fn signature(output: &DkimOutput<'_>, raw: &[u8]) -> Option<Signature> {
    let signature = output.signature()?;
    let (domain, selector) = (signature.d.clone(), signature.s.clone());
    let (outcome, why) = match output.result() {
        DkimResult::Pass => (Outcome::Pass, "the signature verifies".to_owned()),
        // mail-auth 0.13 hashes such a body differently than others do.
        DkimResult::Neutral(Error::Dkim(DkimError::FailedBodyHashMatch)) if ends_in_blanks(raw) => {
            (
                Outcome::Unknown,
                "the body ends in lines of spaces, on which verifiers do not agree".to_owned(),
            )
        }
        DkimResult::TempError(error) => (Outcome::Unknown, error.to_string()),
        DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error) => {
            let key = format!("{selector}._domainkey.{domain}");
            (Outcome::Fail, format!("{error}; its key is at {key}"))
        }
        DkimResult::None => (Outcome::Fail, "there is nothing to verify".to_owned()),
    };
    Some(Signature {
        domain,
        selector,
        verdict: Verdict { outcome, why },
    })
}

/// Whether the last line that is not empty has only spaces and tabs.
fn ends_in_blanks(raw: &[u8]) -> bool {
    let lines = raw.split(|octet| *octet == b'\n').rev();
    let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let last = lines.find(|line| !line.is_empty());
    last.is_some_and(|line| line.iter().all(|octet| matches!(octet, b' ' | b'\t')))
}

fn alignment(output: &DmarcOutput) -> Alignment {
    let outcome = |result: &DmarcResult| match result {
        DmarcResult::Pass => Outcome::Pass,
        DmarcResult::TempError(_) => Outcome::Unknown,
        DmarcResult::Fail(_) | DmarcResult::PermError(_) | DmarcResult::None => Outcome::Fail,
    };
    let domain = output.domain().to_owned();
    let (dkim, spf) = (outcome(output.dkim_result()), outcome(output.spf_result()));
    let why = match (output.dmarc_record(), output.result()) {
        (_, DmarcResult::TempError(error)) => error.to_string(),
        (None, _) => format!("{domain} has no DMARC record"),
        (Some(_), DmarcResult::Pass) => match (dkim, spf) {
            (Outcome::Pass, Outcome::Pass) => format!("DKIM and SPF are of {domain}"),
            (Outcome::Pass, _) => format!("DKIM is of {domain}"),
            _ => format!("SPF is of {domain}"),
        },
        (Some(_), _) => format!("neither a valid signature nor a passing SPF is of {domain}"),
    };
    Alignment {
        verdict: Verdict {
            outcome: outcome(&output.result()),
            why,
        },
        domain,
        published: output.dmarc_record().is_some(),
        dkim,
        spf,
    }
}

/// Of several records none applies, and then nothing passes.
fn no_single_record(alignment: Alignment, at: &Name) -> Alignment {
    Alignment {
        verdict: Verdict {
            outcome: Outcome::Fail,
            why: format!("several DMARC records stand at _dmarc.{at}, and none of them applies"),
        },
        ..alignment
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_draft_is_a_whole_message() {
        let draft = Draft {
            from: "i@wac.tax",
            to: "you@example.com",
            subject: "grün",
            text: "one\ntwo\r\nthree \n \t\n",
            date: datetime!(2026-11-22 02:45:00 UTC),
            id: "20261122.1",
        };
        let raw = String::from_utf8(draft.compose().expect("a message")).expect("ASCII");
        assert!(
            raw.replace("\r\n", "").find(['\r', '\n']).is_none(),
            "{raw:?}"
        );
        for part in [
            "From: <i@wac.tax>\r\n",
            "To: <you@example.com>\r\n",
            "Subject: =?utf-8?",
            "Date: Sun, 22 Nov 2026 02:45:00 +0000\r\n",
            "Message-ID: <20261122.1@wac.tax>\r\n",
            "\r\n\r\none\r\ntwo\r\nthree\r\n",
        ] {
            assert!(raw.contains(part), "{part:?} in {raw:?}");
        }
        assert!(!ends_in_blanks(raw.as_bytes()));
        assert!(
            Draft {
                from: "nobody",
                ..draft
            }
            .compose()
            .is_err()
        );
    }

    #[test]
    fn blank_ends_are_seen() {
        for (raw, blank) in [
            ("a\r\n \r\n\r\n", true),
            ("a\r\n\t \n", true),
            ("a \r\n\r\n", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(ends_in_blanks(raw.as_bytes()), blank, "{raw:?}");
        }
    }
}
