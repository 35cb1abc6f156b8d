//! Every place of the configuration that may hold a secret.

use super::places::Path;
use super::{Config, Fields, SecretRef};

impl Config {
    /// Every place that may hold a secret, with the path to it.
    pub fn secret_refs(&self) -> Vec<(Path, &SecretRef)> {
        let at = |steps: &[&str]| Path::of(steps.iter().copied());
        let mut refs: Vec<(Path, &SecretRef)> = Vec::new();
        let password = self.host.password.as_ref();
        refs.extend(password.map(|secret| (at(&["host", "password"]), secret)));
        refs.extend(of_provider(&at(&["dns"]), &self.dns.fields));
        refs.extend(of_provider(&at(&["ptr"]), &self.ptr.fields));
        for (name, domain) in &self.domains {
            let path = at(&["domains"]).then(name);
            for (local, user) in &domain.users {
                let place = path.then("users").then(local).then("password");
                refs.extend(user.password.as_ref().map(|secret| (place, secret)));
            }
            if let Some(dns) = &domain.dns {
                refs.extend(of_provider(&path.then("dns"), &dns.fields));
            }
        }
        refs
    }

    /// The same, to be changed.
    pub(super) fn secret_refs_mut(&mut self) -> Vec<&mut SecretRef> {
        let mut refs: Vec<&mut SecretRef> = Vec::new();
        refs.extend(self.host.password.as_mut());
        refs.extend(self.dns.fields.secrets_mut());
        refs.extend(self.ptr.fields.secrets_mut());
        for domain in self.domains.values_mut() {
            refs.extend(
                domain
                    .users
                    .values_mut()
                    .filter_map(|u| u.password.as_mut()),
            );
            refs.extend(
                domain
                    .dns
                    .iter_mut()
                    .flat_map(|dns| dns.fields.secrets_mut()),
            );
        }
        refs
    }
}

fn of_provider<'a>(path: &Path, fields: &'a Fields) -> impl Iterator<Item = (Path, &'a SecretRef)> {
    let path = path.clone();
    fields
        .secrets()
        .map(move |(name, secret)| (path.then(name), secret))
}
