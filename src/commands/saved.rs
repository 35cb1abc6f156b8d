//! A plan in a file: what it showed, and a digest by which a stale one is told.
//! It holds no secret; applying it makes the same plan anew and compares.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::{Context, Failure, Result};
use crate::render::{self, Document, Shown};

/// The schema of the file.
const SCHEMA: &str = "mailctl.saved-plan/1";

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    schema: String,
    /// Of the changes, SHA-256.
    pub digest: String,
    /// What it showed.
    pub changes: Vec<Shown>,
}

impl Saved {
    /// The file of a plan.
    pub fn of(document: &Document) -> Self {
        Self {
            schema: SCHEMA.into(),
            digest: render::digest(document),
            changes: document.changes.clone(),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("the plan could not be written")?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("{} could not be written", path.display()))
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no plan, or one that was changed by hand.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{name} could not be read"))?;
        let hint = "make a new one with `mailctl plan --out FILE`";
        let saved: Self = serde_json::from_str(&text).map_err(|e| {
            Failure::new(format!("{name} is no plan of mailctl"))
                .because(e)
                .hint(hint)
        })?;
        let same = saved.schema == SCHEMA && saved.digest == render::digest_of(&saved.changes);
        if same {
            Ok(saved)
        } else {
            Err(Failure::new(format!("{name} was changed after it was written")).hint(hint))
        }
    }
}
