//! Reading mail.yaml: the file's text in, a sound configuration or every
//! mistake at once out. Nothing is contacted.

use std::path::{Path, PathBuf};

use super::places::Places;
use super::surroundings::{Here, Surroundings};
use super::word::SecretRef;
use super::{Config, check, shape, syntax, tree};
use crate::diagnostic::{Diagnostic, Span};

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Every path in it is absolute.
    pub config: Config,
    /// What its author should know.
    pub warnings: Vec<Diagnostic>,
    /// Where its parts stand in the file.
    pub places: Places,
}

/// Reads the text of `file_name`, whose directory relative paths start from,
/// with this process's environment.
///
/// # Errors
/// Every mistake that can be found without contacting anything, warnings too.
pub fn read(file_name: &str, source: &str) -> Result<Loaded, Vec<Diagnostic>> {
    let path = std::path::absolute(file_name).unwrap_or_else(|_| PathBuf::from(file_name));
    let base = path.parent().unwrap_or(Path::new("/"));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    read_with(source, base, home.as_deref(), &Here)
}

/// Reads a file's text with everything it depends on given.
///
/// # Errors
/// As for [`read`].
pub fn read_with(
    source: &str,
    base: &Path,
    home: Option<&Path>,
    surroundings: &dyn Surroundings,
) -> Result<Loaded, Vec<Diagnostic>> {
    // A byte order mark is no character of the first key.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let tree = tree::parse(source)
        .map_err(|mistake| hidden(vec![*mistake], &syntax::secret_looking(source)))?;
    let shape::Reading {
        value,
        places,
        mistakes,
        secrets,
    } = shape::read(&tree, &super::schema());
    let mut found = mistakes;
    let sound = found.is_empty();
    let config = match serde_json::from_value::<Config>(value) {
        Ok(mut config) => {
            resolve_paths(&mut config, base, home);
            let further = check::check(&config, &places, surroundings);
            found.extend(further.into_iter().filter(|d| sound || d.is_error()));
            Some(config)
        }
        // The schema let something pass that the model refuses.
        Err(error) if sound => {
            found.push(
                Diagnostic::error(error.to_string())
                    .at("", places.span(&super::places::Path::default())),
            );
            None
        }
        Err(_) => None,
    };
    found.sort_by_key(|d| (d.span, d.severity));
    found.dedup_by(|a, b| a.span == b.span && a.message == b.message);
    let found = hidden(found, &secrets);
    match config {
        Some(config) if !found.iter().any(Diagnostic::is_error) => Ok(Loaded {
            config,
            warnings: found,
            places,
        }),
        _ => Err(found),
    }
}

/// Gives each mistake the secrets that stand on its line.
fn hidden(mut found: Vec<Diagnostic>, secrets: &[Span]) -> Vec<Diagnostic> {
    for mistake in &mut found {
        let line = mistake.span.map(|s| s.line);
        mistake.hidden = secrets
            .iter()
            .filter(|s| Some(s.line) == line)
            .copied()
            .collect();
    }
    found
}

/// Makes every path absolute: `~/` is `home`, anything else relative starts
/// at `base`, the directory of mail.yaml. Absolute paths stay.
pub fn resolve_paths(config: &mut Config, base: &Path, home: Option<&Path>) {
    let resolve = |path: &mut PathBuf| {
        *path = match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => base.join(path.strip_prefix("./").unwrap_or(path)),
        };
    };
    resolve(&mut config.secrets);
    config.host.identity.iter_mut().for_each(resolve);
    config.certificates.root.iter_mut().for_each(resolve);
    for secret in config.secret_refs_mut() {
        if let SecretRef::File(path) = secret {
            resolve(path);
        }
    }
}
