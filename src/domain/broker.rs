//! A registered broker: how it is reached and treated, and the rules of what may be said about it.

use std::fmt;
use std::time::Duration;

use super::stamp::StampSettings;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::catalog::Ids;
use crate::config::parse_duration;

/// Whether the broker's catalog is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BrokerStatus)]
pub enum Status {
    /// It answered when last asked.
    Available,
    /// It did not: what is stored is served.
    Unavailable,
    /// It answered with nothing that could be served.
    Quarantined,
}

impl Status {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Unavailable => "unavailable",
            Self::Quarantined => "quarantined",
        }
    }

    /// Reads what [`Status::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Available, Self::Unavailable, Self::Quarantined].into_iter().find(|status| status.as_str() == text)
    }
}

/// How a registered broker is treated. Stored in clear: holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Stands before its offerings' names.
    pub name_prefix: String,
    /// Which ids platforms see.
    pub ids: Ids,
    /// Of one call; the configuration's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Orders at once; the configuration's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// `X-Broker-API-Version` towards it, whatever the platform speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// What it is told about the tenant.
    pub stamp: StampSettings,
    /// How bindings are rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// It has instances that this hub does not know yet: nothing unknown is declared gone.
    pub takeover: bool,
    /// It doesn't report usage: it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_pull: Option<UsagePull>,
}

/// How a broker is asked for usage, under `/metrics/…` behind its URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsagePull {
    /// How often: an ISO 8601 duration of a minute to a day.
    pub every: String,
}

impl UsagePull {
    /// How often, where that is a duration within bounds.
    pub fn period(&self) -> Option<Duration> {
        let bounds = Duration::from_secs(60)..=Duration::from_secs(86_400);
        parse_duration(&self.every).ok().filter(|every| bounds.contains(every))
    }
}

/// Who makes the successor of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// The broker knows `predecessor_binding_id`.
    Native,
    /// The hub binds anew with the predecessor's parameters.
    Emulated,
}

/// How the hub shows a broker who it is, and how it knows the broker. Sealed at rest, masked in `Debug`, never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Who the hub is.
    pub credentials: Credentials,
    /// Certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

/// Who the hub is towards a broker.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[schema(as = BrokerCredentials)]
pub enum Credentials {
    /// HTTP Basic.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// A fixed token.
    Bearer {
        /// The token.
        token: String,
    },
    /// A token by the client-credentials grant.
    OAuth2 {
        /// Where tokens are fetched.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: String,
        /// What the token is to be good for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
    },
    /// Nobody.
    None {},
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(***)",
            Self::Bearer { .. } => "Bearer(***)",
            Self::OAuth2 { .. } => "OAuth2(***)",
            Self::None {} => "None",
        })
    }
}

/// Certificates, PEM.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = BrokerTls)]
pub struct Tls {
    /// Roots to trust besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The hub's own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<String>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("ca", &self.ca.is_some()).finish_non_exhaustive()
    }
}

/// What a broker is told of tenants and platforms, besides their ids, where nobody but its provider has registered it.
pub const PROVIDER_FIELDS: [&str; 6] =
    ["tenant.name", "platform.name", "platform.kind", "instance_id", "request_id", "via"];

/// What only operators decide: where settings of its provider go beyond that, as (JSON pointer, message). What is as it was `before`
/// stays allowed; `most` is how long a call may take (in milliseconds), and how many there may be at once.
pub fn beyond_provider(before: Option<&Settings>, after: &Settings, most: (u64, u32)) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let kept = |same: fn(&Settings, &Settings) -> bool| before.is_some_and(|before| same(before, after));
    if after.ids == Ids::Passthrough && !kept(|a, b| a.ids == b.ids) {
        found.push((
            "/ids",
            "ids that platforms see are made by the hub; only an operator lets a broker's own through".to_owned(),
        ));
    }
    if after.takeover && !kept(|a, b| a.takeover == b.takeover) {
        found.push(("/takeover", "only an operator takes over instances that this hub does not know".to_owned()));
    }
    if after.timeout_ms.is_some_and(|own| own > most.0) && !kept(|a, b| a.timeout_ms == b.timeout_ms) {
        found.push(("/timeout_ms", format!("only an operator lets calls take longer than {} ms", most.0)));
    }
    if after.concurrency.is_some_and(|own| own > most.1) && !kept(|a, b| a.concurrency == b.concurrency) {
        found.push(("/concurrency", format!("only an operator lets more than {} orders through at once", most.1)));
    }
    let told = before.map(|before| before.stamp.fields.as_deref());
    let wider = match (&after.stamp.fields, told) {
        (None, Some(None)) => false,
        (None, _) => true,
        (Some(_), Some(None)) => false,
        (Some(fields), told) => {
            let allowed = told.flatten().unwrap_or_default();
            let known = |field: &String| PROVIDER_FIELDS.contains(&field.as_str()) || allowed.contains(field);
            !fields.iter().all(known)
        }
    };
    if wider {
        let message =
            format!("only an operator lets a broker know more of tenants than {}", PROVIDER_FIELDS.join(", "));
        found.push(("/stamp/fields", message));
    }
    found
}

/// Whether that may stand before offerings' names: what a command line takes without quotes.
pub fn prefix_allowed(prefix: &str) -> bool {
    prefix.len() <= 63 && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_the_contract_writes_them_and_never_printed() {
        for json in [
            r#"{"basic":{"username":"u","password":"hunter2"}}"#,
            r#"{"bearer":{"token":"hunter2"}}"#,
            r#"{"oauth2":{"token_url":"https://t","client_id":"c","client_secret":"hunter2"}}"#,
            r#"{"none":{}}"#,
        ] {
            let credentials: Credentials = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&credentials).unwrap(), json);
            assert!(!format!("{:?}", Access { credentials, tls: None }).contains("hunter2"));
        }
    }

    #[test]
    fn a_provider_narrows_what_its_broker_is_told_and_gets_and_widens_nothing() {
        let own = |fields: &[&str]| StampSettings {
            fields: Some(fields.iter().map(|field| (*field).to_owned()).collect()),
            ..StampSettings::default()
        };
        let settings = |stamp: StampSettings| Settings { stamp, ..Settings::default() };
        let check = |before: Option<&Settings>, after: &Settings, expected: &[&str]| {
            let found: Vec<_> = beyond_provider(before, after, (45_000, 10)).into_iter().map(|(at, _)| at).collect();
            assert_eq!(found, expected);
        };
        let narrow = settings(own(&["tenant.name", "via"]));
        check(None, &narrow, &[]);
        check(None, &Settings::default(), &["/stamp/fields"]);
        check(None, &settings(own(&["tenant.cost_center"])), &["/stamp/fields"]);
        let wide = settings(own(&["tenant.cost_center"]));
        check(Some(&wide), &wide, &[]);
        check(Some(&wide), &settings(own(&["tenant.cost_center", "via"])), &[]);
        check(Some(&wide), &settings(own(&["owner"])), &["/stamp/fields"]);
        check(Some(&wide), &Settings::default(), &["/stamp/fields"]);
        check(Some(&Settings::default()), &wide, &[]);
        let greedy = Settings {
            ids: Ids::Passthrough,
            takeover: true,
            timeout_ms: Some(45_001),
            concurrency: Some(11),
            ..narrow.clone()
        };
        check(None, &greedy, &["/ids", "/takeover", "/timeout_ms", "/concurrency"]);
        check(Some(&greedy), &greedy, &[]);
        check(None, &Settings { timeout_ms: Some(45_000), concurrency: Some(10), ..narrow }, &[]);
    }

    #[test]
    fn a_prefix_is_what_a_command_line_takes_without_quotes() {
        assert!(prefix_allowed("") && prefix_allowed("acme-") && prefix_allowed("A.b_"));
        for prefix in ["a b", "ü", "a/", "$", &"a".repeat(64)] {
            assert!(!prefix_allowed(prefix), "{prefix}");
        }
    }
}
