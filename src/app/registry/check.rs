//! What may be said about a broker: checked as a whole, so that all that is wrong is told at once.

use std::time::Duration;

use osb::client::EgressPolicy as _;

use crate::app::{App, Issue};
use crate::backend::http::{literal, web_url};
use crate::domain::broker::{Credentials, Settings, beyond_provider, prefix_allowed};
use crate::domain::catalog::clash::Held;
use crate::store::brokers::BrokerRow;

/// How long a broker may take at most, and at least, to be of any use.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 100..=300_000;
const CONCURRENCY: std::ops::RangeInclusive<u32> = 1..=10_000;
/// Of looking up a name at registration.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
const URL_BYTES_MAX: usize = 2048;

/// What a broker may ask to be told, besides parts of the tenant and of the platform.
const STAMP_FIELDS: [&str; 5] = ["tenant", "platform", "instance_id", "request_id", "via"];
const TENANT_FIELDS: [&str; 9] =
    ["id", "name", "display_name", "cost_center", "business_unit", "environment", "owner", "groups", "labels"];
const PLATFORM_FIELDS: [&str; 3] = ["id", "name", "kind"];

/// As [`crate::domain::stamp::StampSettings::fields`] says.
fn stamp_field_known(field: &str) -> bool {
    match field.split_once('.') {
        Some(("tenant", field)) => TENANT_FIELDS.contains(&field),
        Some(("platform", field)) => PLATFORM_FIELDS.contains(&field),
        Some(_) => false,
        None => STAMP_FIELDS.contains(&field) || TENANT_FIELDS.contains(&field),
    }
}

pub(super) fn issue(pointer: &str, message: impl Into<String>) -> Issue {
    Issue { pointer: pointer.to_owned(), message: message.into() }
}

/// What is wrong with how a broker is to be treated.
pub(super) fn settings(settings: &Settings) -> Vec<Issue> {
    let Settings {
        name_prefix,
        ids: _,
        timeout_ms,
        concurrency,
        api_version,
        stamp,
        rotation: _,
        takeover: _,
        usage_pull,
    } = settings;
    let mut issues = Vec::new();
    if !prefix_allowed(name_prefix) {
        issues.push(issue("/name_prefix", "must be at most 63 letters, digits, '-', '.' and '_'"));
    }
    if timeout_ms.is_some_and(|timeout| !TIMEOUT_MS.contains(&timeout)) {
        issues.push(issue("/timeout_ms", "must be 100 to 300000 milliseconds"));
    }
    if concurrency.is_some_and(|places| !CONCURRENCY.contains(&places)) {
        issues.push(issue("/concurrency", "must be 1 to 10000 calls at once"));
    }
    if api_version.as_deref().is_some_and(|version| !api_version_known(version)) {
        issues.push(issue("/api_version", "must be a version of OSB such as 2.17"));
    }
    if usage_pull.as_ref().is_some_and(|pull| pull.period().is_none()) {
        issues.push(issue("/usage_pull/every", "must be a duration of a minute to a day, such as PT15M"));
    }
    for (index, field) in stamp.fields.iter().flatten().enumerate() {
        if !stamp_field_known(field) {
            let message = format!(
                "must be one of {}, tenant.FIELD ({}) or platform.FIELD ({})",
                STAMP_FIELDS.join(", "),
                TENANT_FIELDS.join(", "),
                PLATFORM_FIELDS.join(", ")
            );
            issues.push(issue(&format!("/stamp/fields/{index}"), message));
        }
    }
    issues
}

fn api_version_known(version: &str) -> bool {
    version.strip_prefix("2.").is_some_and(|minor| minor.len() <= 3 && minor.parse::<u16>().is_ok())
}

/// Without the names of other brokers, where a provider reads what is said of them.
pub(super) fn unnamed(row: &BrokerRow, held: &mut [Held]) {
    if row.provider.is_some() {
        held.iter_mut().for_each(|held| held.broker.clear());
    }
}

impl App {
    /// What of settings that a provider wants is for operators to say.
    pub(super) fn beyond_provider(&self, before: Option<&Settings>, after: &Settings) -> Vec<Issue> {
        let backends = &self.config().backends;
        let timeout = u64::try_from(backends.timeout.as_millis()).unwrap_or(u64::MAX);
        let most = (timeout, u32::try_from(backends.concurrency).unwrap_or(u32::MAX));
        let found = beyond_provider(before, after, most);
        found.into_iter().map(|(pointer, message)| issue(pointer, message)).collect()
    }

    /// What is wrong with where a broker is and where its tokens come from.
    pub(super) async fn check_urls(&self, url: &str, credentials: &Credentials) -> Vec<Issue> {
        let mut issues: Vec<Issue> = self.check_url("/url", url, false).await.into_iter().collect();
        if let Credentials::OAuth2 { token_url, .. } = credentials {
            issues.extend(self.check_url("/credentials/oauth2/token_url", token_url, true).await);
        }
        issues
    }

    async fn check_url(&self, pointer: &str, text: &str, query_allowed: bool) -> Option<Issue> {
        let url = web_url(text).filter(|url| (query_allowed || url.query().is_none()) && text.len() <= URL_BYTES_MAX);
        let Some(url) = url else {
            let message =
                "must begin with http:// or https:// and hold a host, no credentials, no query and no fragment";
            return Some(issue(pointer, message));
        };
        let refused =
            || Some(issue(pointer, "the egress policy refuses this address; the setting `egress.allow` can permit it"));
        let egress = &self.outgoing().egress;
        if let Some(ip) = literal(&url) {
            return if egress.permits(ip) { None } else { refused() };
        }
        // Behind a proxy it is the proxy that looks names up.
        let (None, Some(host)) = (&self.outgoing().proxy, url.host_str()) else { return None };
        let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host, 0)));
        let Ok(Ok(found)) = lookup.await else {
            return Some(issue(pointer, format!("the name `{host}` can't be resolved")));
        };
        if found.into_iter().any(|address| egress.permits(address.ip())) { None } else { refused() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stamp::StampSettings;

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = Settings {
            name_prefix: "a b".to_owned(),
            timeout_ms: Some(0),
            concurrency: Some(0),
            api_version: Some("3.0".to_owned()),
            stamp: StampSettings {
                fields: Some(["tenant.name", "salary", "owner", "platform.x"].map(str::to_owned).to_vec()),
                ..Default::default()
            },
            ..Settings::default()
        };
        let pointers: Vec<_> = settings(&wrong).into_iter().map(|issue| issue.pointer).collect();
        assert_eq!(
            pointers,
            ["/name_prefix", "/timeout_ms", "/concurrency", "/api_version", "/stamp/fields/1", "/stamp/fields/3"]
        );
        assert!(settings(&Settings::default()).is_empty());
    }
}
