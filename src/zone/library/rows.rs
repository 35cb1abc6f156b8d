//! One row for each provider of the library: how it is opened, and what it
//! does otherwise than the others. What people read is in `providers/dns/`.

use std::borrow::Cow;
use std::time::Duration;

use dns_update::DnsUpdater;
use dns_update::providers::azuredns::{AzureDnsConfig, AzureEnvironment};
use dns_update::providers::bluecatv2::BluecatV2Config;
use dns_update::providers::edgedns::EdgeDnsConfig;
use dns_update::providers::google_cloud_dns::GoogleCloudDnsConfig;
use dns_update::providers::infoblox::InfobloxConfig;
use dns_update::providers::joker::JokerAuth;
use dns_update::providers::lightsail::LightsailConfig;
use dns_update::providers::oraclecloud::OracleCloudConfig;
use dns_update::providers::ovh::OvhEndpoint;
use dns_update::providers::route53::Route53Config;
use dns_update::providers::volcengine::VolcengineConfig;
use dns_update::providers::yandexcloud::YandexCloudConfig;

use super::fields::Fields;
use crate::failure::Result;
use crate::record::{RType, RrsetKey};

/// How long the library waits for one answer.
const WAIT: Option<Duration> = Some(Duration::from_secs(30));

/// The clouds of Azure by their words.
const AZURE: [(&str, AzureEnvironment); 3] = [
    ("public", AzureEnvironment::Public),
    ("china", AzureEnvironment::China),
    ("usgovernment", AzureEnvironment::UsGovernment),
];

/// One provider.
pub(super) struct Row {
    pub id: &'static str,
    pub writes: Writes,
    /// Whether each set has a TTL of its own, stored as it is given.
    pub keeps_ttl: bool,
    /// The types that the library does not store there.
    pub without: &'static [RType],
    pub open: fn(&Fields<'_>) -> Result<Result<DnsUpdater, dns_update::Error>>,
}

/// What one change touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// The set, at once.
    Set,
    /// Record after record.
    Record,
    /// The whole zone.
    Zone,
}

/// The characters that a provider's adapter puts between quotes as they are,
/// although they mean something there (RFC 1035 section 5.1).
pub(super) fn unescaped(id: &str) -> &'static [char] {
    match id {
        "desec" => &['\\', '"'],
        "exoscale" | "gandi" | "scaleway" => &['\\'],
        _ => &[],
    }
}

/// The set's owner as the adapter must be given it. Route 53 calls the asterisk
/// of a wildcard by its octal code, and a signature over a bare one is refused.
pub(super) fn owner<'k>(id: &str, key: &'k RrsetKey) -> Cow<'k, str> {
    let name = key.name.as_str();
    match id {
        "route53" => name.replace('*', r"\052").into(),
        _ => name.into(),
    }
}

macro_rules! keeps {
    (Kept) => {
        true
    };
    (Loose) => {
        false
    };
}

macro_rules! rows {
    ($($id:literal $writes:ident $ttl:ident [$($without:ident)*], |$f:ident| $made:ident $arguments:tt;)*) => {
        /// All of them, by id.
        pub(super) const ROWS: &[Row] = &[$(Row {
            id: $id,
            writes: Writes::$writes,
            keeps_ttl: keeps!($ttl),
            without: &[$(RType::$without),*],
            open: |$f| Ok(DnsUpdater::$made $arguments),
        }),*];
    };
}

rows! {
    "alidns" Record Kept [Tlsa], |f| new_alidns(
        f.text("access_key")?,
        f.secret("secret_key")?,
        f.maybe("region"),
        f.maybe_secret("security_token"),
        f.maybe("line"),
        WAIT,
    );
    "arvancloud" Record Kept [], |f| new_arvancloud(f.secret("api_key")?, WAIT);
    "autodns" Record Kept [Tlsa], |f| new_autodns(
        f.text("username")?,
        f.secret("password")?,
        f.number("context")?,
        WAIT,
    );
    "azure" Set Kept [Tlsa], |f| new_azuredns(AzureDnsConfig {
        tenant_id: f.text("tenant_id")?.into(),
        client_id: f.text("client_id")?.into(),
        client_secret: f.secret("client_secret")?.into(),
        subscription_id: f.text("subscription_id")?.into(),
        resource_group: f.text("resource_group")?.into(),
        environment: f.word("environment", &AZURE, AzureEnvironment::Public)?,
        request_timeout: WAIT,
    });
    "baiducloud" Record Kept [Tlsa], |f| new_baiducloud(f.text("access_key")?, f.secret("secret_key")?, WAIT);
    "bluecat" Record Kept [Tlsa], |f| new_bluecatv2(BluecatV2Config {
        server_url: f.text("endpoint")?.into(),
        username: f.text("username")?.into(),
        password: f.secret("password")?.into(),
        config_name: f.text("config_name")?.into(),
        view_name: f.text("view_name")?.into(),
        skip_deploy: false,
        request_timeout: WAIT,
    });
    "bunny" Record Kept [], |f| new_bunny(f.secret("api_key")?, WAIT);
    "cloudflare" Record Kept [], |f| new_cloudflare(f.secret("token")?, WAIT);
    "cloudns" Record Loose [], |f| new_cloudns(
        f.maybe("auth_id"),
        f.maybe("sub_auth_id"),
        f.secret("auth_password")?,
        WAIT,
    );
    "constellix" Set Kept [Tlsa], |f| new_constellix(f.secret("api_key")?, f.secret("secret_key")?, WAIT);
    "cpanel" Set Kept [Tlsa], |f| new_cpanel(
        f.text("endpoint")?,
        f.text("username")?,
        f.secret("token")?,
        WAIT,
    );
    "desec" Set Kept [], |f| new_desec(f.secret("token")?, WAIT);
    "digitalocean" Record Kept [Tlsa], |f| new_digitalocean(f.secret("token")?, WAIT);
    "dnsimple" Record Kept [], |f| new_dnsimple(f.secret("token")?, f.text("account_id")?, WAIT);
    "dnsmadeeasy" Record Kept [Tlsa], |f| new_dnsmadeeasy(f.secret("api_key")?, f.secret("api_secret")?, WAIT);
    "domeneshop" Record Kept [Tlsa], |f| new_domeneshop(f.secret("token")?, f.secret("api_secret")?, WAIT);
    "dreamhost" Record Loose [Caa Tlsa], |f| new_dreamhost(f.secret("api_key")?, WAIT);
    "dynu" Record Kept [], |f| new_dynu(f.secret("api_key")?, WAIT);
    "easydns" Record Kept [Tlsa], |f| new_easydns(f.secret("token")?, f.secret("api_key")?, WAIT);
    "edgedns" Set Kept [Tlsa], |f| new_edgedns(EdgeDnsConfig {
        host: f.text("host")?.into(),
        client_token: f.secret("client_token")?.into(),
        client_secret: f.secret("client_secret")?.into(),
        access_token: f.secret("access_token")?.into(),
        account_switch_key: f.maybe("account_switch_key").map(Into::into),
        request_timeout: WAIT,
    });
    "exoscale" Record Kept [Tlsa], |f| new_exoscale(f.secret("api_key")?, f.secret("api_secret")?, WAIT);
    "gandi" Set Kept [], |f| new_gandiv5(f.secret("token")?, WAIT);
    "gcore" Set Kept [], |f| new_gcore(f.secret("token")?, WAIT);
    "glesys" Record Kept [Tlsa], |f| new_glesys(f.text("username")?, f.secret("api_key")?, WAIT);
    "godaddy" Set Kept [Tlsa], |f| new_godaddy(f.secret("api_key")?, f.secret("api_secret")?, WAIT);
    "google-cloud" Set Kept [Tlsa], |f| new_google_cloud_dns(GoogleCloudDnsConfig {
        service_account_json: f.secret("service_account")?.into(),
        project_id: f.text("project")?.into(),
        managed_zone: Some(f.text("managed_zone")?.into()),
        private_zone: false,
        impersonate_service_account: None,
        request_timeout: WAIT,
    });
    "hetzner" Set Kept [], |f| new_hetzner(f.secret("token")?, WAIT);
    "hostingde" Record Kept [], |f| new_hostingde(f.secret("api_key")?, WAIT);
    "hostinger" Set Kept [], |f| new_hostinger(f.secret("token")?, WAIT);
    "huaweicloud" Set Kept [Tlsa], |f| new_huaweicloud(
        f.text("access_key")?,
        f.secret("secret_key")?,
        f.text("region")?,
        WAIT,
    );
    "ibmcloud" Record Kept [Caa Tlsa], |f| new_ibmcloud(f.text("username")?, f.secret("api_key")?, WAIT);
    "infoblox" Record Kept [Ns], |f| new_infoblox(InfobloxConfig {
        host: f.text("host")?.into(),
        port: None,
        username: f.text("username")?.into(),
        password: f.secret("password")?.into(),
        wapi_version: f.maybe("wapi_version").map(Into::into),
        dns_view: f.maybe("view_name").map(Into::into),
        request_timeout: WAIT,
    });
    "infomaniak" Record Kept [], |f| new_infomaniak(f.secret("token")?, WAIT);
    "inwx" Record Kept [], |f| new_inwx(
        f.text("username")?,
        f.secret("password")?,
        f.flag("sandbox")?,
        WAIT,
    );
    "ionos" Record Kept [Tlsa], |f| new_ionos(f.secret("api_key")?, WAIT);
    "ipv64" Record Loose [Caa Tlsa], |f| new_ipv64(f.secret("api_key")?, WAIT);
    "joker" Zone Kept [Tlsa], |f| new_joker(JokerAuth::api_key(f.secret("api_key")?), WAIT);
    "lightsail" Record Loose [Caa Tlsa], |f| new_lightsail(LightsailConfig {
        access_key_id: f.text("access_key_id")?.into(),
        secret_access_key: f.secret("secret_access_key")?.into(),
        session_token: f.maybe_secret("session_token").map(Into::into),
        region: None,
        domain: None,
        request_timeout: WAIT,
    });
    "linode" Record Loose [Tlsa], |f| new_linode(f.secret("token")?, WAIT);
    "luadns" Record Kept [], |f| new_luadns(f.text("username")?, f.secret("token")?, WAIT);
    "mythicbeasts" Set Kept [], |f| new_mythicbeasts(f.text("username")?, f.secret("password")?, WAIT);
    "namecheap" Zone Kept [Srv Tlsa], |f| new_namecheap(
        f.text("api_user")?,
        f.secret("api_key")?,
        f.text("client_ip")?,
        None::<&str>,
        WAIT,
    );
    "namedotcom" Record Kept [Tlsa], |f| new_namedotcom(f.text("username")?, f.secret("token")?, WAIT);
    "namesilo" Record Kept [Ns Tlsa], |f| new_namesilo(f.secret("api_key")?, WAIT);
    "netcup" Record Loose [], |f| new_netcup(
        f.text("customer_number")?,
        f.secret("api_key")?,
        f.secret("api_password")?,
        WAIT,
    );
    "netlify" Record Kept [Tlsa], |f| new_netlify(f.secret("token")?, WAIT);
    "nifcloud" Set Kept [Caa Srv Tlsa], |f| new_nifcloud(f.text("access_key")?, f.secret("secret_key")?, WAIT);
    "ns1" Set Kept [], |f| new_ns1(f.secret("api_key")?, WAIT);
    "oracle-cloud" Set Kept [], |f| new_oraclecloud(OracleCloudConfig {
        tenancy_ocid: f.text("tenancy")?.into(),
        user_ocid: f.text("user")?.into(),
        fingerprint: f.text("fingerprint")?.into(),
        private_key_pem: f.secret("private_key")?.into(),
        private_key_password: None,
        region: f.text("region")?.into(),
        compartment_ocid: f.text("compartment")?.into(),
        request_timeout: WAIT,
    });
    "ovh" Record Kept [], |f| new_ovh(
        f.text("application_key")?,
        f.secret("application_secret")?,
        f.secret("consumer_key")?,
        f.parsed("region", OvhEndpoint::OvhEu)?,
        WAIT,
    );
    "plesk" Record Kept [Tlsa], |f| new_plesk(f.text("endpoint")?, f.secret("api_key")?, WAIT);
    "porkbun" Record Kept [], |f| new_porkbun(f.secret("api_key")?, f.secret("secret_api_key")?, WAIT);
    "route53" Set Kept [Tlsa], |f| new_route53(Route53Config {
        access_key_id: f.text("access_key_id")?.into(),
        secret_access_key: f.secret("secret_access_key")?.into(),
        session_token: f.maybe_secret("session_token").map(Into::into),
        region: None,
        hosted_zone_id: f.maybe("hosted_zone_id").map(Into::into),
        private_zone_only: None,
        endpoint: f.maybe("endpoint").map(Into::into),
    });
    "safedns" Record Kept [Tlsa], |f| new_safedns(f.secret("token")?, WAIT);
    "scaleway" Set Kept [], |f| new_scaleway(f.secret("token")?, WAIT);
    "selectel" Set Kept [Tlsa], |f| new_selectel(
        f.text("username")?,
        f.secret("password")?,
        f.text("account_id")?,
        f.text("project_id")?,
        WAIT,
    );
    "simplycom" Record Kept [], |f| new_simplycom(f.text("username")?, f.secret("api_key")?, WAIT);
    "spaceship" Record Kept [], |f| new_spaceship(f.secret("api_key")?, f.secret("api_secret")?, WAIT);
    "tencentcloud" Record Kept [Tlsa], |f| new_tencentcloud(
        f.text("secret_id")?,
        f.secret("secret_key")?,
        f.maybe("region"),
        f.maybe_secret("session_token"),
        WAIT,
    );
    "transip" Record Kept [], |f| new_transip(
        f.text("username")?,
        f.secret("private_key")?,
        f.flag("global_key")?,
        WAIT,
    );
    "ultradns" Set Kept [], |f| new_ultradns(
        f.text("username")?,
        f.secret("password")?,
        f.maybe("endpoint").map(Into::into),
        WAIT,
    );
    "vercel" Record Kept [Tlsa], |f| new_vercel(f.secret("token")?, f.maybe("team_id"), WAIT);
    "volcengine" Record Kept [Tlsa], |f| new_volcengine(VolcengineConfig {
        access_key: f.text("access_key")?.into(),
        secret_key: f.secret("secret_key")?.into(),
        region: f.maybe("region").map(Into::into),
        host: None,
        scheme: None,
        request_timeout: WAIT,
    });
    "vultr" Record Kept [Tlsa], |f| new_vultr(f.secret("api_key")?, WAIT);
    "websupport" Record Kept [Tlsa], |f| new_websupport(f.secret("api_key")?, f.secret("api_secret")?, WAIT);
    "yandexcloud" Set Kept [Tlsa], |f| new_yandexcloud(YandexCloudConfig {
        iam_token_b64: f.secret("token")?.into(),
        folder_id: f.text("folder_id")?.into(),
        request_timeout: WAIT,
    });
    "zoneeu" Record Loose [], |f| new_zoneeu(f.text("username")?, f.secret("api_key")?, WAIT);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::{self, Kind};
    use crate::secret::Secret;
    use crate::zone::Settings;
    use crate::zone::library::fields::Taken;

    /// Something for every field of the catalogue's entry.
    fn settings(id: &str) -> Settings {
        let entry = catalogue::dns(id).unwrap_or_else(|| panic!("{id} is not in the catalogue"));
        let mut settings = Settings::default();
        for field in &entry.fields {
            let text = field.default.clone().or(field.example.clone());
            settings = if field.secret {
                settings.with(&field.name, Secret::new("something"))
            } else {
                settings.with(&field.name, text.expect("an example or a default"))
            };
        }
        settings
    }

    #[test]
    fn rows_and_catalogue_have_the_same_providers() {
        let own = ["exec", "manual", "powerdns", "rfc2136", "zonefile"];
        let of_catalogue: BTreeSet<&str> = catalogue::ids(Kind::Dns)
            .into_iter()
            .filter(|id| !own.contains(id))
            .collect();
        let of_rows: BTreeSet<&str> = ROWS.iter().map(|row| row.id).collect();
        assert_eq!(of_rows, of_catalogue);
        assert_eq!(of_rows.len(), ROWS.len());
    }

    #[test]
    fn each_row_reads_the_fields_of_its_entry() {
        for row in ROWS {
            let settings = settings(row.id);
            let fields = Fields::new(&settings, row.id);
            // Some keys are looked at at once, and these are none.
            if let Err(why) = (row.open)(&fields) {
                panic!("{}: {}", row.id, why.told());
            }
            let entry = catalogue::dns(row.id).expect("an entry");
            let mut declared: Vec<(&str, bool, bool)> = entry
                .fields
                .iter()
                .map(|field| (field.name.as_str(), field.secret, field.required))
                .collect();
            declared.sort_unstable();
            let taken: Vec<Taken> = fields.taken();
            let taken: Vec<(&str, bool, bool)> = taken
                .iter()
                .map(|t| (t.name, t.secret, t.required))
                .collect();
            assert_eq!(taken, declared, "{}", row.id);
        }
    }

    #[test]
    fn each_entry_tells_the_limits_of_its_row() {
        for row in ROWS {
            let entry = catalogue::dns(row.id).expect("an entry");
            let says = |text: &str| entry.limits.iter().any(|limit| limit.contains(text));
            let types: Vec<&str> = row.without.iter().map(|t| t.as_str()).collect();
            let without = format!("No records of type {}.", types.join(", "));
            assert_eq!(says(&without), !types.is_empty(), "{}", row.id);
            let whole = row.writes == Writes::Zone;
            assert_eq!(entry.whole_zone, whole, "{}", row.id);
            for word in ["whole zone:", "`--allow whole-zone-rewrite`", "a copy"] {
                assert_eq!(says(word), whole, "{}: {word}", row.id);
            }
            assert_eq!(
                says("one by one"),
                row.writes == Writes::Record,
                "{}",
                row.id
            );
            let least = entry.least_ttl;
            assert_eq!(
                says(&format!("TTLs below {least} become {least}.")),
                least > 0,
                "{}",
                row.id
            );
            assert!(row.keeps_ttl || says("TTL"), "{}", row.id);
        }
    }
}
