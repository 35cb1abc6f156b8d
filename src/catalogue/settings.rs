//! A provider's settings, from mail.yaml, the environment and the defaults.

use super::{Kind, find};
use crate::config::surroundings::Surroundings;
use crate::config::{Dns, Fields, Given, Ptr, SecretRef};
use crate::record::Name;

/// What mail.yaml and the environment say about one provider, in one form
/// for both kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The provider's id.
    pub provider: String,
    /// The zone, where it is said.
    pub zone: Option<Name>,
    /// The provider's own fields.
    pub fields: Fields,
}

macro_rules! settings_from {
    ($type:ty) => {
        impl From<&$type> for Settings {
            fn from(given: &$type) -> Self {
                Self {
                    provider: given.provider.clone(),
                    zone: given.zone.as_ref().map(|zone| zone.0.clone()),
                    fields: given.fields.clone(),
                }
            }
        }
    };
}

settings_from!(Dns);
settings_from!(Ptr);

/// What is given, and for the rest the environment's variables and the
/// defaults of the catalogue. A secret stays a reference.
pub fn filled(kind: Kind, given: impl Into<Settings>, around: &dyn Surroundings) -> Settings {
    let mut settings = given.into();
    let Some(entry) = find(kind, &settings.provider) else {
        return settings;
    };
    for field in &entry.fields {
        if settings.fields.has(&field.name) {
            continue;
        }
        let variable = around
            .variable(&field.env)
            .filter(|value| !value.is_empty());
        let value = match variable {
            Some(_) if field.secret => Some(Given::Secret(SecretRef::Env(field.env.clone()))),
            Some(value) => Some(Given::Text(value)),
            None => field.default.clone().map(Given::Text),
        };
        if let Some(value) = value {
            settings.fields.set(&field.name, value);
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
            zone: None,
            fields: Fields::default().with("endpoint", Given::Text("http://here".into())),
        };
        let filled = filled(Kind::Dns, given, &around);
        let filled = filled.fields;
        assert_eq!(filled.text("endpoint"), Some("http://here"));
        let token = SecretRef::Env("PDNS_API_KEY".into());
        assert_eq!(filled.secret("token"), Some(&token));
        assert_eq!(filled.text("server_id"), Some("localhost"));
    }
}
