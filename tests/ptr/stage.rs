//! A hoster's page with its client, against the hoster's stand-in.

use std::net::IpAddr;
use std::time::Duration;

use mailctl::catalogue;
use mailctl::failure::Result;
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rest::api::Api;
use mailctl::rest::{Pace, Rest};
use mailctl::secret::Secret;
use mailctl::zone::{self, Settings, Zone};
use serde_json::json;

use crate::fake::{Fake, V4, V6};
use crate::hosters::Hoster;
use crate::keys;

/// The words of a page.
pub fn api(id: &str) -> &'static Api {
    let entry = catalogue::ptr(id).expect(id);
    entry.api.as_ref().expect(id)
}

/// A hoster with its client.
pub struct Stage {
    pub hoster: &'static Hoster,
    pub fake: Fake,
    pub zone: Rest,
}

impl Stage {
    pub async fn of(hoster: &'static Hoster) -> Self {
        let fake = Fake::start(hoster).await;
        let mut settings = Settings::default().with("endpoint", fake.endpoint.as_str());
        let entry = catalogue::ptr(hoster.id).expect(hoster.id);
        if entry
            .fields
            .iter()
            .any(|field| field.name == "auth_endpoint")
        {
            settings = settings.with("auth_endpoint", fake.auth.as_str());
        }
        for (name, value) in hoster.fields {
            settings = match *value {
                "!KEY" => settings.with(name, Secret::new(keys::pem())),
                "!ACCOUNT" => {
                    let account = json!({"client_email": "mailctl@p1.test", "private_key": keys::pem(), "token_uri": fake.auth});
                    settings.with(name, Secret::new(account.to_string()))
                }
                value => match value.strip_prefix('!') {
                    Some(secret) => settings.with(name, Secret::new(secret)),
                    None => settings.with(name, value),
                },
            };
        }
        let pace = Pace {
            second: Duration::from_millis(1),
            ..Pace::default()
        };
        let zone = Rest::open(entry, &settings, pace).expect("a client");
        Self { hoster, fake, zone }
    }

    /// The families that the hoster has calls for.
    pub fn addresses(&self) -> Vec<&'static str> {
        let mut all = vec![(V4, self.hoster.v4), (V6, self.hoster.v6)];
        all.retain(|(_, has)| *has);
        all.into_iter().map(|(ip, _)| ip).collect()
    }

    pub async fn list(&self, ip: &str) -> Result<Rrset> {
        let key = key(ip);
        let sets = self
            .zone
            .list(&key.name, std::slice::from_ref(&key))
            .await?;
        Ok(sets.into_iter().next().expect("a set for a key"))
    }

    /// Writes as apply does.
    pub async fn write(&self, ip: &str, name: Option<&str>) -> Result<()> {
        let before = self.list(ip).await?;
        let want = Rrset::new(key(ip), Some(300), name);
        zone::write(&self.zone, &before.key.name, &before, &want).await
    }

    /// The page's words.
    pub fn api(&self) -> &'static Api {
        api(self.hoster.id)
    }

    /// How many requests for a change there were, granted or not.
    pub fn attempts(&self) -> usize {
        let world = self.fake.world();
        world.calls.iter().filter(|asked| !asked.reads()).count()
    }

    /// What the API's description has against our requests.
    pub fn judged(&self) {
        let wrong = self.fake.world().wrong.clone();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", self.hoster.id);
    }
}

pub fn key(ip: &str) -> RrsetKey {
    let ip: IpAddr = ip.parse().expect("an address");
    RrsetKey::new(Name::reverse(ip), RType::Ptr)
}

pub fn values(set: &Rrset) -> Vec<&str> {
    set.values.iter().map(String::as_str).collect()
}
