//! Questions on the terminal.

use std::io::{BufRead, Write};

use crate::failure::{Context, Result};
use crate::remote::ssh::Ask;
use crate::secret::Secret;

/// Asks a yes-or-no question; anything but yes is no.
///
/// # Errors
/// When the terminal is gone.
pub fn yes(question: &str) -> Result<bool> {
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [y/N] ").and_then(|()| err.flush()).context("the terminal is gone")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("the terminal is gone")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
