//! Settings: read once at start from the defaults (`config.default.toml`, which is the manual), a file and the environment,
//! checked as a whole, then handed down. Nothing reads the environment later.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use crate::secret::Secret;

mod identity;

pub use identity::{Algorithm, Auth, Grants, Oidc, Portal};

/// The manual and the defaults.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// Keys whose value is a list, comma-separated in the environment.
const LISTS: [&str; 5] =
    ["catalog.synonyms", "egress.allow", "oidc.algorithms", "security.encryption_key", "server.trusted_proxies"];

/// What can be wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read, or a key is unknown or of the wrong kind.
    #[error("the settings cannot be read")]
    Read(#[source] Box<config::ConfigError>),
    /// A value, or two together, make no sense.
    #[error("setting {key}: {message}")]
    Invalid {
        /// The key, dotted.
        key: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
}

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The listener.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// The first administrator.
    pub admin: Admin,
    /// Who is what.
    pub auth: Auth,
    /// Whose tokens are believed.
    pub oidc: Box<Oidc>,
    /// The pages for people.
    pub portal: Portal,
    /// Keys.
    pub security: Security,
    /// What may go out.
    pub egress: Egress,
    /// The merged catalog.
    pub catalog: Catalog,
    /// Defaults for brokers.
    pub backends: Backends,
    /// How long operations may take.
    pub operations: Operations,
    /// Where unknown tenants are looked up.
    #[serde(default)]
    pub tenants: Tenants,
    /// Where events go.
    pub events: Events,
    /// How usage becomes charges.
    pub billing: Billing,
    /// Who may ask how often.
    pub limits: Limits,
    /// What is logged.
    pub log: Log,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// How others reach it; follows `listen` where empty.
    pub public_url: String,
    /// The hub's name.
    pub hub: String,
    /// Threads; 0 is one for each core.
    pub workers: usize,
    /// Whether `/metrics` is open.
    pub metrics_public: bool,
    /// The deadline of an order.
    #[serde(deserialize_with = "duration")]
    pub answer_within: Duration,
    /// How long a stopping process waits.
    #[serde(deserialize_with = "duration")]
    pub drain: Duration,
    /// Proxies whose word counts for where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// HTTPS.
    pub tls: Option<Tls>,
}

/// `[server] tls`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Holds a password on PostgreSQL, hence masked.
    pub url: Secret<String>,
    /// Size of the pool.
    pub connections: u32,
    /// Whether `serve` migrates.
    pub migrate: bool,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// User name.
    pub username: String,
    /// Made where absent.
    pub password: Option<Secret<String>>,
}

/// `[security]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// Newest first.
    #[serde(default, deserialize_with = "one_or_many")]
    pub encryption_key: Vec<Secret<String>>,
    /// A file with one key a line, newest first.
    pub encryption_key_file: Option<PathBuf>,
    /// How long credentials of bindings are kept.
    #[serde(deserialize_with = "duration")]
    pub credentials_ttl: Duration,
    /// How long one key signs.
    #[serde(deserialize_with = "duration")]
    pub stamp_key_rotation: Duration,
    /// How long a key is published before it signs.
    #[serde(deserialize_with = "duration")]
    pub stamp_key_published_before: Duration,
}

/// `[egress]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Networks allowed although they are special.
    pub allow: Vec<IpNet>,
    /// More roots, PEM.
    pub ca_file: Option<PathBuf>,
    /// A proxy for all.
    pub proxy: Option<String>,
}

/// `[catalog]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// Between two fetches.
    #[serde(deserialize_with = "duration")]
    pub refresh: Duration,
    /// Of new plans.
    pub default_visibility: Visibility,
    /// Whether new offerings are drafts until somebody publishes them.
    pub review: bool,
    /// Words that mean the same in a search, a list of words each.
    pub synonyms: Vec<String>,
}

/// Who may order a new plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everyone.
    Public,
    /// Nobody until somebody says otherwise.
    Restricted,
}

/// `[tenants]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// Who is asked for identities that no tenant has.
    pub lookup: Option<TenantLookup>,
}

/// `[tenants.lookup]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantLookup {
    /// Where identities are posted.
    pub url: String,
    /// Sent as a bearer token.
    pub token: Option<Secret<String>>,
    /// Of one question.
    #[serde(default = "lookup_timeout", deserialize_with = "duration")]
    pub timeout: Duration,
    /// How long nobody asks again about what was not known.
    #[serde(default = "lookup_negative_ttl", deserialize_with = "duration")]
    pub negative_ttl: Duration,
}

fn lookup_timeout() -> Duration {
    Duration::from_secs(3)
}

fn lookup_negative_ttl() -> Duration {
    Duration::from_secs(60)
}

/// `[backends]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backends {
    /// Of one call.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// Calls at once to one broker.
    pub concurrency: usize,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long it stays open before one call is tried.
    #[serde(deserialize_with = "duration")]
    pub breaker_open: Duration,
}

/// `[operations]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// Where the plan says nothing.
    #[serde(deserialize_with = "duration")]
    pub maximum_polling_duration: Duration,
    /// Of outcomes.
    #[serde(deserialize_with = "duration")]
    pub remember: Duration,
    /// At once in one process.
    pub concurrency: usize,
}

/// Statements look back 14 months for what has changed: what is older when it arrives would be billed by none.
pub const ACCEPT_LATE_MAX: Duration = Duration::from_secs(400 * 86_400);

/// `[billing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Billing {
    /// Of tenants that say nothing.
    #[serde(deserialize_with = "zone")]
    pub time_zone: TimeZone,
    /// Between a month's end and its close.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
    /// How old usage may be when it arrives; at most [`ACCEPT_LATE_MAX`].
    #[serde(deserialize_with = "duration")]
    pub accept_late: Duration,
    /// How far ahead a broker's clock may be.
    #[serde(deserialize_with = "duration")]
    pub accept_early: Duration,
}

/// `[events]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Of the feed.
    #[serde(deserialize_with = "duration")]
    pub retention: Duration,
    /// Before an event is a dead letter.
    pub attempts_max: u32,
    /// Where events go.
    #[serde(default)]
    pub sinks: Vec<Sink>,
}

/// `[[events.sinks]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Sink {
    /// Standard Webhooks.
    Webhook {
        /// Unique.
        name: String,
        /// Where to.
        url: String,
        /// Signs each delivery.
        secret: Secret<String>,
    },
    /// NATS JetStream.
    Nats {
        /// Unique.
        name: String,
        /// `nats://host:port`
        url: String,
        /// Where to.
        subject: String,
        /// The stream, made where it does not exist.
        stream: String,
    },
    /// A file of JSON lines.
    File {
        /// Unique.
        name: String,
        /// Appended to.
        path: PathBuf,
    },
    /// JSON lines on standard output.
    Stdout {
        /// Unique.
        name: String,
    },
}

impl Sink {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Webhook { name, .. } | Self::Nats { name, .. } | Self::File { name, .. } | Self::Stdout { name } => {
                name
            }
        }
    }
}

/// `[limits]`: none where it is 0 a minute.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of one platform.
    pub platform_per_minute: u32,
    /// Of one platform, at once.
    pub platform_burst: u32,
    /// Of one user or service account.
    pub user_per_minute: u32,
    /// Of one user or service account, at once.
    pub user_burst: u32,
    /// From one address.
    pub failed_logins_per_minute: u32,
    /// From one address, at once.
    pub failed_logins_burst: u32,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged.
    pub level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Config {
    /// Reads the defaults, then the file, then the environment (`BOURSE__SECTION__KEY`), and checks the whole.
    ///
    /// # Errors
    /// Where a key is unknown, a value is of the wrong kind, or two values make no sense together.
    pub fn load(file: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<Self, Error> {
        let read = |error| Error::Read(Box::new(error));
        let mut builder =
            config::Config::builder().add_source(config::File::from_str(DEFAULTS, config::FileFormat::Toml));
        if let Some(file) = file {
            builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        for (name, value) in environment {
            let Some(key) = name.strip_prefix("BOURSE__") else { continue };
            let key = key.to_ascii_lowercase().replace("__", ".");
            builder = if LISTS.contains(&key.as_str()) {
                let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
                builder.set_override(key, parts.map(str::to_owned).collect::<Vec<_>>())
            } else {
                builder.set_override(key, value.as_str())
            }
            .map_err(read)?;
        }
        let mut config: Self = builder.build().and_then(config::Config::try_deserialize).map_err(read)?;
        config.check()?;
        if config.server.public_url.is_empty() {
            let scheme = if config.server.tls.is_some() { "https" } else { "http" };
            config.server.public_url = format!("{scheme}://{}", config.server.listen);
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |key, message: &str| Err(Error::Invalid { key, message: message.to_owned() });
        let name_ok = |name: &str| {
            (1..=63).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !name_ok(&self.server.hub) {
            return invalid("server.hub", "must be 1 to 63 of a-z, 0-9 and '-'");
        }
        if self.database.connections == 0 {
            return invalid("database.connections", "must be at least 1");
        }
        if self.backends.timeout.is_zero() || self.backends.concurrency == 0 || self.operations.concurrency == 0 {
            return invalid("backends", "timeout and both concurrency settings must be above zero");
        }
        if let Some((key, message)) = self.oidc.problem() {
            return invalid(key, message);
        }
        if self.portal.session_idle.is_zero() || self.portal.session_idle > self.portal.session {
            return invalid("portal.session_idle", "must be above zero and not longer than portal.session");
        }
        if self.auth.grants.iter().any(|grant| grant.group.is_some() == grant.user.is_some()) {
            return invalid("auth.grants", "give each exactly one of `group` and `user`");
        }
        if self.security.stamp_key_published_before >= self.security.stamp_key_rotation {
            return invalid("security.stamp_key_published_before", "must be shorter than stamp_key_rotation");
        }
        if let Some(lookup) = &self.tenants.lookup
            && (lookup.timeout.is_zero() || lookup.timeout > Duration::from_secs(30))
        {
            return invalid("tenants.lookup.timeout", "must be above zero and at most PT30S");
        }
        if self.billing.accept_late > ACCEPT_LATE_MAX {
            return invalid("billing.accept_late", "may be at most P400D: statements look back 14 months");
        }
        let mut names: Vec<_> = self.events.sinks.iter().map(Sink::name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) || names.iter().any(|name| !name_ok(name)) {
            return invalid("events.sinks", "each sink needs a name of its own, 1 to 63 of a-z, 0-9 and '-'");
        }
        Ok(())
    }
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    let known = TimeZone::get(&name).ok().filter(|zone| zone.iana_name().is_some());
    known.ok_or_else(|| serde::de::Error::custom(format!("`{name}` is no time zone of the IANA database")))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

/// Reads an ISO 8601 duration of days and smaller units; a day is 24 hours.
///
/// # Errors
/// Where it is not one, is negative, or has months or years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not an ISO 8601 duration such as PT5M or P400D");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret<String>>, D::Error> {
    struct Keys;
    impl<'de> serde::de::Visitor<'de> for Keys {
        type Value = Vec<Secret<String>>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a key or a list of keys")
        }
        fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
            Ok(vec![Secret::new(value.to_owned())])
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut keys = Vec::new();
            while let Some(key) = list.next_element::<String>()? {
                keys.push(Secret::new(key));
            }
            Ok(keys)
        }
    }
    deserializer.deserialize_any(Keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_defaults_alone_are_valid() {
        let config = Config::load(None, &BTreeMap::new()).unwrap();
        assert_eq!(config.server.public_url, "http://127.0.0.1:8080");
        assert_eq!(config.backends.timeout, Duration::from_secs(45));
        assert_eq!(config.events.retention, Duration::from_secs(400 * 86_400));
    }

    #[test]
    fn the_environment_overrides_and_lists_are_comma_separated() {
        let environment = environment(&[
            ("BOURSE__SERVER__LISTEN", "127.0.0.1:0"),
            ("BOURSE__EGRESS__ALLOW", "127.0.0.0/8, ::1/128"),
            ("BOURSE__ADMIN__PASSWORD", "007"),
            ("BOURSE__SERVER__METRICS_PUBLIC", "false"),
            ("UNRELATED", "x"),
        ]);
        let config = Config::load(None, &environment).unwrap();
        assert_eq!(config.server.listen.port(), 0);
        assert_eq!(config.egress.allow.len(), 2);
        assert_eq!(config.admin.password.unwrap().expose(), "007");
        assert!(!config.server.metrics_public);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = Config::load(None, &environment(&[("BOURSE__SERVER__LISTN", "x")])).unwrap_err();
        let Error::Read(source) = error else { panic!("{error}") };
        assert!(source.to_string().contains("listn"), "{source}");
    }

    #[test]
    fn usage_is_taken_for_no_longer_than_statements_look_back() {
        let load = |late: &str| Config::load(None, &environment(&[("BOURSE__BILLING__ACCEPT_LATE", late)]));
        assert_eq!(load("P400D").unwrap().billing.accept_late, ACCEPT_LATE_MAX);
        let error = load("P400DT1S").unwrap_err();
        assert!(matches!(error, Error::Invalid { key: "billing.accept_late", .. }), "{error}");
    }

    #[test]
    fn a_bad_duration_says_what_one_looks_like() {
        let error = Config::load(None, &environment(&[("BOURSE__CATALOG__REFRESH", "5 minutes ago")])).unwrap_err();
        let Error::Read(source) = error else { panic!("{error}") };
        assert!(source.to_string().contains("PT5M"), "{source}");
    }
}
