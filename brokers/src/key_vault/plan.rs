//! The offering and its plans: the ids of the catalog, and what each plan has.
//!
//! The catalog (`catalog/key-vault.json`) is what the wire shows; a test here holds the two together. Ids are for ever.

use std::sync::LazyLock;

use serde_json::Value;

/// The catalog, as it stands on the wire where the vaults are this broker's own.
pub const CATALOG: &str = include_str!("../../../catalog/key-vault.json");

/// The offering `managed-key-vault`.
pub const SERVICE_ID: &str = "930a466c-6fed-4f79-aaf7-8481eae2bf6f";

/// Meters that need to see each request, or the file, which a driver of somebody else's server doesn't.
const OF_EMBEDDED: [&str; 3] = ["api_ops", "transit_ops", "stored_bytes"];

/// A plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Secrets.
    Kv,
    /// Secrets, and keys that encrypt and sign.
    KvTransit,
}

impl Plan {
    /// All plans.
    pub const ALL: [Self; 2] = [Self::Kv, Self::KvTransit];

    /// The plan with that id.
    pub fn by_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plan| plan.id() == id)
    }

    /// The id in the catalog.
    pub fn id(self) -> &'static str {
        match self {
            Self::Kv => "d4ffa571-6494-4b66-b2de-9b327dd65a4c",
            Self::KvTransit => "2fe4da8d-7777-44f4-a280-4f9fe0e96acb",
        }
    }

    /// The name in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::KvTransit => "kv-transit",
        }
    }

    /// Whether it has keys.
    pub fn has_keys(self) -> bool {
        self == Self::KvTransit
    }
}

/// The catalog without the meters that are read from requests.
pub(super) fn catalog_without_request_meters() -> &'static str {
    static CATALOG_OF_SERVERS: LazyLock<String> = LazyLock::new(|| {
        let Ok(mut catalog) = serde_json::from_str::<Value>(CATALOG) else { return CATALOG.to_owned() };
        let plans = catalog["services"][0]["plans"].as_array_mut();
        for plan in plans.into_iter().flatten() {
            if let Some(meters) = plan["metadata"]["x-meters"].as_array_mut() {
                meters.retain(|meter| !OF_EMBEDDED.iter().any(|key| meter["key"] == *key));
            }
        }
        catalog.to_string()
    });
    &CATALOG_OF_SERVERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_says_what_the_plans_do() {
        for text in [CATALOG, catalog_without_request_meters()] {
            let catalog: osb::Catalog = serde_json::from_str(text).unwrap();
            let offering = catalog.offerings().next().unwrap().unwrap();
            assert_eq!(offering.id, SERVICE_ID);
            assert_eq!(offering.plans.len(), Plan::ALL.len());
            for (shown, plan) in offering.plans.iter().zip(Plan::ALL) {
                assert_eq!((shown.id.as_str(), shown.name.as_str()), (plan.id(), plan.name()));
                let schema = shown.create_schema().unwrap();
                assert_eq!(schema["properties"]["keys"].is_null(), !plan.has_keys());
                let meters: Vec<_> = osb::kit::Meter::of(shown).into_iter().map(|meter| meter.key).collect();
                assert_eq!(meters.iter().any(|key| key == "api_ops"), text == CATALOG);
                assert_eq!(meters.iter().any(|key| key == "stored_bytes"), text == CATALOG);
                assert_eq!(meters.iter().any(|key| key == "key_versions"), plan.has_keys());
            }
        }
    }
}
