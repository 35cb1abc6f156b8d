//! Reading mail.yaml: the file's text in, a sound configuration or every
//! mistake at once out. Nothing is contacted.

use std::path::{Path, PathBuf};

use super::places::Places;
use super::surroundings::{Assumed, Here, Surroundings};
use super::word::SecretRef;
use super::{Config, check, shape, syntax, tree};
use crate::catalogue::Kind;
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
    read_around(file_name, source, &Here)
}

/// The same for a rehearsal: secrets need not be there.
///
/// # Errors
/// As for [`read`].
pub fn read_to_rehearse(file_name: &str, source: &str) -> Result<Loaded, Vec<Diagnostic>> {
    read_around(file_name, source, &Assumed)
}

fn read_around(
    file_name: &str,
    source: &str,
    around: &dyn Surroundings,
) -> Result<Loaded, Vec<Diagnostic>> {
    let path = std::path::absolute(file_name).unwrap_or_else(|_| PathBuf::from(file_name));
    let base = path.parent().unwrap_or(Path::new("/"));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    read_with(source, base, home.as_deref(), around)
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
    for dns in std::iter::once(&mut config.dns)
        .chain(config.domains.values_mut().filter_map(|d| d.dns.as_mut()))
    {
        for text in dns.fields.paths_mut(Kind::Dns, &dns.provider) {
            let mut path = PathBuf::from(text.as_str());
            resolve(&mut path);
            *text = path.display().to_string();
        }
    }
    for secret in config.secret_refs_mut() {
        if let SecretRef::File(path) = secret {
            resolve(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_needs_neither_secrets_nor_the_provider() {
        let source = "host: {name: smtp.wac.tax, ssh: root@203.0.113.7}\n\
            domains: {wac.tax: {users: {i: {password: env:NOT_SET_ANYWHERE_1}}}}\n\
            dns: {provider: contabo, token: env:NOT_SET_ANYWHERE_2}\n";
        let refused =
            read("mail.yaml", source).expect_err("two secrets and a provider are missing");
        assert_eq!(
            refused.iter().filter(|d| d.is_error()).count(),
            3,
            "{refused:?}"
        );
        let loaded = read_to_rehearse("mail.yaml", source).expect("enough to rehearse");
        assert!(
            loaded
                .warnings
                .iter()
                .any(|w| w.message.contains("contabo"))
        );
    }

    const FILE: &str = "host: {name: smtp.wac.tax, ssh: vps, identity: ~/key, password: \"file:./p\"}\n\
        domains: {wac.tax: {users: {i: {}}}}\ndns: {provider: manual}\nsecrets: /var/secrets\n";

    #[test]
    fn paths_start_at_the_file_or_at_home() {
        let mut around = super::super::surroundings::Written::default();
        around
            .files
            .insert("/home/me/key".into(), (b"k".to_vec(), false));
        around
            .files
            .insert("/etc/mail/p".into(), (b"hunter2hunter2".to_vec(), false));
        let home = Path::new("/home/me");
        let mut loaded =
            read_with(FILE, Path::new("/etc/mail"), Some(home), &around).expect("sound");
        let wanted = Some(PathBuf::from("/home/me/key"));
        assert_eq!(loaded.config.host.identity, wanted);
        assert_eq!(
            loaded.config.host.password,
            Some(SecretRef::File("/etc/mail/p".into()))
        );
        assert_eq!(loaded.config.secrets, Path::new("/var/secrets"));
        resolve_paths(&mut loaded.config, Path::new("/elsewhere"), None);
        assert_eq!(loaded.config.host.identity, wanted);
    }

    #[test]
    fn the_files_of_providers_start_there_too() {
        let around = super::super::surroundings::Written::default();
        let source = "host: {name: smtp.wac.tax, ssh: vps}\ndomains: {wac.tax: {users: {i: {}}}}\n\
            dns: {provider: zonefile, path: zones/{zone}.zone}\n"
            .replace("zones/{zone}.zone", "\"zones/{zone}.zone\"");
        let loaded = read_with(&source, Path::new("/etc/mail"), None, &around).expect("sound");
        let path = loaded.config.dns.fields.text("path");
        assert_eq!(path, Some("/etc/mail/zones/{zone}.zone"));
    }

    #[test]
    fn the_real_machine_is_looked_at() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("p"), "hunter2hunter2\n").expect("written");
        let file = directory.path().join("mail.yaml");
        let source = FILE.replace("identity: ~/key, ", "");
        let loaded = read(file.to_str().expect("text"), &source).expect("sound");
        assert_eq!(
            loaded.config.host.password,
            Some(SecretRef::File(directory.path().join("p")))
        );
        std::fs::remove_file(directory.path().join("p")).expect("removed");
        let missing = read(file.to_str().expect("text"), &source).expect_err("the file is gone");
        assert_eq!(missing[0].path, "host.password");
    }

    #[test]
    fn what_is_left_out_does_not_become_a_mistake_of_its_own() {
        let source = "host: {name: smtp.wac.tax, ssh: vps}\n\
            domains: {wac.tax: {users: {I: {}}, forward: {j: i@wac.tax}}}\ndns: {provder: manual}\n";
        let found = read_with(source, Path::new("/"), None, &Here).expect_err("two mistakes");
        let paths: Vec<&str> = found.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["domains.wac.tax.users.I", "dns.provder"]);
    }
}
