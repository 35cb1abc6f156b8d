//! Every place of the configuration that may hold a secret.

use super::places::Path;
use super::{Config, SecretRef};

impl Config {
    /// Every place that may hold a secret, with the path to it.
    pub fn secret_refs(&self) -> Vec<(Path, &SecretRef)> {
        let at = |steps: &[&str]| Path::of(steps.iter().copied());
        let mut refs: Vec<(Path, Option<&SecretRef>)> = vec![
            (at(&["host", "password"]), self.host.password.as_ref()),
            (at(&["dns", "token"]), self.dns.token.as_ref()),
            (at(&["dns", "key"]), self.dns.key.as_ref()),
            (at(&["ptr", "token"]), self.ptr.token.as_ref()),
            (at(&["ptr", "key"]), self.ptr.key.as_ref()),
        ];
        for (name, domain) in &self.domains {
            let path = at(&["domains"]).then(name);
            for (local, user) in &domain.users {
                refs.push((
                    path.then("users").then(local).then("password"),
                    user.password.as_ref(),
                ));
            }
            if let Some(dns) = &domain.dns {
                refs.push((path.then("dns").then("token"), dns.token.as_ref()));
                refs.push((path.then("dns").then("key"), dns.key.as_ref()));
            }
        }
        refs.into_iter()
            .filter_map(|(path, secret)| Some((path, secret?)))
            .collect()
    }

    /// The same, to be changed.
    pub(super) fn secret_refs_mut(&mut self) -> Vec<&mut SecretRef> {
        let mut refs: Vec<Option<&mut SecretRef>> = vec![
            self.host.password.as_mut(),
            self.dns.token.as_mut(),
            self.dns.key.as_mut(),
            self.ptr.token.as_mut(),
            self.ptr.key.as_mut(),
        ];
        for domain in self.domains.values_mut() {
            refs.extend(domain.users.values_mut().map(|user| user.password.as_mut()));
            if let Some(dns) = &mut domain.dns {
                refs.extend([dns.token.as_mut(), dns.key.as_mut()]);
            }
        }
        refs.into_iter().flatten().collect()
    }
}
