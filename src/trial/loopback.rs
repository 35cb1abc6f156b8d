//! Handing a message over on the server itself, where its port 25 cannot be
//! reached from here: what happens to it afterwards is the same.

use std::time::Duration;

use crate::failure::Result;
use crate::kinds::shell::print;
use crate::remote::{Remote, Script};
use crate::submission::{Refusal, Secured};

/// What is said to the server, and how long it may take to answer.
const SCRIPT: &str = r#"
{
  printf 'EHLO localhost\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n' "$from" "$to"
  sleep 1
  message
  printf '\r\n.\r\nQUIT\r\n'
} | timeout 30 openssl s_client -quiet -starttls smtp -connect 127.0.0.1:25 2>/dev/null"#;

/// Hands a message over by 127.0.0.1, over STARTTLS.
///
/// # Errors
/// When the connection to the server is lost.
pub fn deliver(
    remote: &dyn Remote,
    from: &str,
    to: &str,
    message: &[u8],
) -> Result<Result<Secured, Refusal>> {
    let (from, to) = (crate::observe::quote(from), crate::observe::quote(to));
    let text = format!(
        "from={from} to={to}\nmessage() {{ {}; }}{SCRIPT}",
        print(message)
    );
    let output = remote.run(&Script::new(text).within(Duration::from_secs(60)))?;
    Ok(taken(&output.text()))
}

/// Whether the replies end in the message being taken: the one after 354 counts.
fn taken(replies: &str) -> Result<Secured, Refusal> {
    let mut data = false;
    for line in replies.lines().map(str::trim_end) {
        let Some((code, text)) = line.split_at_checked(3) else {
            continue;
        };
        let Ok(code) = code.parse::<u16>() else {
            continue;
        };
        match code {
            354 => data = true,
            400.. => return Err(Refusal::Said(code, text[1.min(text.len())..].to_owned())),
            250 if data => {
                return Ok(Secured {
                    version: "TLS".into(),
                });
            }
            _ => {}
        }
    }
    Err(Refusal::Broken(
        "the server did not say on 127.0.0.1 that it took the message".into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let good = "250 HELP\r\n250-smtp.wac.tax - Your hour\r\n250 HELP\r\n250 2.1.5 You feel\r\n250 2.1.5 eerie\r\n354 quiet\r\n250 2.0.0 Amulet\r\n221 2.0.0 bye\r\n";
        assert!(taken(good).is_ok());
        let unknown = "250 x\r\n250 2.1.5 You feel\r\n550 5.1.1 Destination address is unknown\r\n503 5.5.1 Need an address\r\n";
        assert_eq!(
            taken(unknown),
            Err(Refusal::Said(
                550,
                "5.1.1 Destination address is unknown".into()
            ))
        );
        assert!(matches!(taken(""), Err(Refusal::Broken(_))));
        assert!(matches!(
            taken("250 x\r\n250 2.1.5 y\r\n354 go\r\n"),
            Err(Refusal::Broken(_))
        ));
    }
}
