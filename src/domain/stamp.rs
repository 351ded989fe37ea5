//! What a stamp says: for which tenant, from which platform, about which instance. It signs nothing (`app::stamps` does).
//!
//! Invariant: what a broker is told is what its registration lets through, in the header and in `context.bourse` alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of `context.bourse`.
const CONTEXT_VERSION: u32 = 1;

/// How a broker wants to be told: `stamp` in its registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StampSettings {
    /// Whether `X-Bourse-Stamp` is sent.
    pub header: bool,
    /// Whether `context.bourse` is sent.
    pub context: bool,
    /// What goes into both, where not everything: `tenant.cost_center` (or just `cost_center`), `tenant`, `platform.name`,
    /// `platform`, `instance_id`, `request_id`, `via`. The ids of tenant and platform always go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
}

impl Default for StampSettings {
    fn default() -> Self {
        Self { header: true, context: true, fields: None }
    }
}

impl StampSettings {
    fn keeps(&self, name: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field == name))
    }

    fn keeps_in(&self, part: &str, name: &str) -> bool {
        let Some(fields) = &self.fields else { return true };
        fields.iter().any(|field| match field.split_once('.') {
            Some((before, after)) => before == part && after == name,
            None => field == part || (part == "tenant" && field == name),
        })
    }
}

/// The tenant as a broker is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StampTenant {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// To whom it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_unit: Option<String>,
    /// `production`, `test`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Groups of its people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// The platform as a broker is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StampPlatform {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `cloudfoundry`, `kubernetes`, `bourse` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// What one call is about. Ids are the backend's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StampFacts {
    /// For whom; absent where no tenant is meant, such as for a catalog.
    pub tenant: Option<StampTenant>,
    /// From where.
    pub platform: Option<StampPlatform>,
    /// The instance.
    pub inst: Option<String>,
    /// The binding.
    pub bind: Option<String>,
    /// The offering.
    pub svc: Option<String>,
    /// The plan.
    pub plan: Option<String>,
}

impl StampFacts {
    /// The same with only what the broker's registration lets through.
    #[must_use]
    pub fn narrowed(&self, settings: &StampSettings) -> Self {
        let mut facts = self.clone();
        if let Some(tenant) = &mut facts.tenant {
            // Without `..`, so that a new field has to be thought about here.
            let StampTenant {
                id: _,
                name,
                display_name,
                cost_center,
                business_unit,
                environment,
                owner,
                groups,
                labels,
            } = tenant;
            let texts = [
                ("name", name),
                ("display_name", display_name),
                ("cost_center", cost_center),
                ("business_unit", business_unit),
                ("environment", environment),
                ("owner", owner),
            ];
            for (field, value) in texts {
                value.take_if(|_| !settings.keeps_in("tenant", field));
            }
            groups.take_if(|_| !settings.keeps_in("tenant", "groups"));
            labels.take_if(|_| !settings.keeps_in("tenant", "labels"));
        }
        if let Some(platform) = &mut facts.platform {
            let StampPlatform { id: _, name, kind } = platform;
            name.take_if(|_| !settings.keeps_in("platform", "name"));
            kind.take_if(|_| !settings.keeps_in("platform", "kind"));
        }
        facts
    }
}

/// `context.bourse`, or nothing where the broker doesn't want it. `via` names the hubs that it came through.
pub fn context_block(
    settings: &StampSettings,
    facts: &StampFacts,
    platform_instance_id: &str,
    request_id: &str,
    via: &[String],
) -> Option<Value> {
    if !settings.context {
        return None;
    }
    let facts = facts.narrowed(settings);
    let mut block = Map::new();
    block.insert("version".to_owned(), Value::from(CONTEXT_VERSION));
    if let Some(tenant) = facts.tenant {
        block.insert("tenant".to_owned(), serde_json::to_value(tenant).unwrap_or_default());
    }
    if let Some(platform) = facts.platform {
        block.insert("platform".to_owned(), serde_json::to_value(platform).unwrap_or_default());
    }
    let rest = [
        ("instance_id", Value::from(platform_instance_id)),
        ("request_id", Value::from(request_id)),
        ("via", Value::from(via)),
    ];
    block.extend(rest.into_iter().filter(|(name, _)| settings.keeps(name)).map(|(name, v)| (name.to_owned(), v)));
    Some(Value::Object(block))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts() -> StampFacts {
        StampFacts {
            tenant: Some(StampTenant {
                id: "t-1".into(),
                name: Some("retail".into()),
                display_name: Some("Retail".into()),
                cost_center: Some("4711".into()),
                owner: Some("ann@example.com".into()),
                groups: Some(vec!["shop".into()]),
                labels: Some(BTreeMap::new()),
                ..StampTenant::default()
            }),
            platform: Some(StampPlatform { id: "p-1".into(), name: Some("cf".into()), kind: Some("other".into()) }),
            ..StampFacts::default()
        }
    }

    fn block(settings: &StampSettings) -> Option<Value> {
        context_block(settings, &facts(), "pi-1", "r-1", &["hub-1".into()])
    }

    #[test]
    fn without_narrowing_everything_is_told() {
        let expected = json!({
            "version": 1,
            "tenant": {"id": "t-1", "name": "retail", "display_name": "Retail", "cost_center": "4711",
                "owner": "ann@example.com", "groups": ["shop"], "labels": {}},
            "platform": {"id": "p-1", "name": "cf", "kind": "other"},
            "instance_id": "pi-1", "request_id": "r-1", "via": ["hub-1"],
        });
        assert_eq!(block(&StampSettings::default()), Some(expected));
    }

    #[test]
    fn narrowed_to_fields_nothing_else_but_ids_is_told() {
        let fields = Some(vec!["cost_center".into(), "platform.kind".into(), "request_id".into()]);
        let settings = StampSettings { fields, ..StampSettings::default() };
        let expected = json!({
            "version": 1,
            "tenant": {"id": "t-1", "cost_center": "4711"},
            "platform": {"id": "p-1", "kind": "other"},
            "request_id": "r-1",
        });
        assert_eq!(block(&settings), Some(expected));
        let narrowed = facts().narrowed(&settings);
        assert_eq!(narrowed.tenant.unwrap().owner, None);
    }

    #[test]
    fn a_broker_with_strict_schemas_gets_no_block() {
        assert_eq!(block(&StampSettings { context: false, ..StampSettings::default() }), None);
    }

    #[test]
    fn settings_that_a_registration_leaves_out_mean_everything_and_unknown_ones_are_refused() {
        assert_eq!(serde_json::from_str::<StampSettings>("{}").unwrap(), StampSettings::default());
        assert!(serde_json::from_str::<StampSettings>(r#"{"heder": false}"#).is_err());
    }
}
