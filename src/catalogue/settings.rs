//! A provider's settings, from mail.yaml, the environment and the defaults.

use super::{Kind, find};
use crate::config::surroundings::Surroundings;
use crate::config::{Dns, Ptr, SecretRef};
use crate::record::Name;

/// What mail.yaml and the environment say about one provider, in one form
/// for both kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The provider's id.
    pub provider: String,
    /// The zone, where it is said.
    pub zone: Option<Name>,
    /// The API's address.
    pub endpoint: Option<String>,
    /// The API's token.
    pub token: Option<SecretRef>,
    /// PowerDNS: the server's id.
    pub server_id: Option<String>,
    /// RFC 2136: the primary as `host:port`.
    pub server: Option<String>,
    /// RFC 8945: the TSIG key's name.
    pub key_name: Option<String>,
    /// RFC 8945: the TSIG key, base64.
    pub key: Option<SecretRef>,
    /// RFC 8945: the TSIG algorithm.
    pub algorithm: Option<String>,
}

macro_rules! settings_from {
    ($type:ty) => {
        impl From<&$type> for Settings {
            fn from(given: &$type) -> Self {
                Self {
                    provider: given.provider.clone(),
                    zone: given.zone.as_ref().map(|zone| zone.0.clone()),
                    endpoint: given.endpoint.clone(),
                    token: given.token.clone(),
                    server_id: given.server_id.clone(),
                    server: given.server.clone(),
                    key_name: given.key_name.clone(),
                    key: given.key.clone(),
                    algorithm: given.algorithm.clone(),
                }
            }
        }
    };
}

settings_from!(Dns);
settings_from!(Ptr);

/// A slot of [`Settings`].
pub(super) enum Slot<'a> {
    Open(&'a mut Option<String>),
    Secret(&'a mut Option<SecretRef>),
}

impl Settings {
    /// The names of the fields that are set.
    pub fn given(&self) -> Vec<&'static str> {
        let set = [
            ("endpoint", self.endpoint.is_some()),
            ("token", self.token.is_some()),
            ("server_id", self.server_id.is_some()),
            ("server", self.server.is_some()),
            ("key_name", self.key_name.is_some()),
            ("key", self.key.is_some()),
            ("algorithm", self.algorithm.is_some()),
        ];
        set.into_iter()
            .filter(|(_, set)| *set)
            .map(|(name, _)| name)
            .collect()
    }

    /// The slot of a field by its name in mail.yaml.
    pub(super) fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        Some(match name {
            "endpoint" => Slot::Open(&mut self.endpoint),
            "token" => Slot::Secret(&mut self.token),
            "server_id" => Slot::Open(&mut self.server_id),
            "server" => Slot::Open(&mut self.server),
            "key_name" => Slot::Open(&mut self.key_name),
            "key" => Slot::Secret(&mut self.key),
            "algorithm" => Slot::Open(&mut self.algorithm),
            _ => return None,
        })
    }
}

/// What is given, and for the rest the environment's variables and the
/// defaults of the catalogue. A secret stays a reference.
pub fn filled(kind: Kind, given: impl Into<Settings>, around: &dyn Surroundings) -> Settings {
    let mut settings = given.into();
    let Some(entry) = find(kind, &settings.provider) else {
        return settings;
    };
    for field in &entry.fields {
        let variable = around
            .variable(&field.env)
            .filter(|value| !value.is_empty());
        match settings.slot(&field.name) {
            Some(Slot::Open(slot)) if slot.is_none() => {
                *slot = variable.or_else(|| field.default.clone())
            }
            Some(Slot::Secret(slot)) if slot.is_none() => {
                *slot = variable.map(|_| SecretRef::Env(field.env.clone()));
            }
            _ => {}
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::surroundings::Written;

    #[test]
    fn what_is_not_given_comes_from_the_environment_then_from_the_defaults() {
        let mut around = Written::default();
        around
            .variables
            .insert("PDNS_API_KEY".into(), "secret".into());
        around
            .variables
            .insert("PDNS_API_URL".into(), "http://elsewhere".into());
        let given = Settings {
            provider: "powerdns".into(),
            endpoint: Some("http://here".into()),
            ..Settings::default()
        };
        let filled = filled(Kind::Dns, given, &around);
        assert_eq!(filled.endpoint.as_deref(), Some("http://here"));
        assert_eq!(filled.token, Some(SecretRef::Env("PDNS_API_KEY".into())));
        assert_eq!(filled.server_id.as_deref(), Some("localhost"));
    }
}
