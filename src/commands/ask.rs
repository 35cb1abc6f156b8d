//! Questions on the terminal.

use std::io::{BufRead, Write};

use crate::failure::{Context, Result};
use crate::remote::access::Ask;
use crate::secret::Secret;

/// Asks a yes-or-no question; anything but yes is no.
///
/// # Errors
/// When the terminal is gone.
pub fn yes(question: &str) -> Result<bool> {
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [y/N] ")
        .and_then(|()| err.flush())
        .context("the terminal is gone")?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("the terminal is gone")?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// The person at the terminal.
pub struct Terminal;

impl Ask for Terminal {
    fn trusts(&self, place: &str, kind: &str, fingerprint: &str) -> bool {
        yes(&format!("{place} has the {kind} host key {fingerprint}, which known_hosts does not know. Is it right?")).unwrap_or(false)
    }

    fn secret(&self, prompt: &str) -> Option<Secret> {
        let terminal = console::Term::stderr();
        terminal.write_str(&format!("{prompt}: ")).ok()?;
        let typed = terminal.read_secure_line().ok()?;
        (!typed.is_empty()).then(|| Secret::new(typed))
    }
}
