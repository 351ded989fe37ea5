//! What a stamp says: for which tenant, from which platform, about which instance. It signs nothing (`app::stamps` does).
//!
//! Invariant: what a broker is told is what its registration lets through, in the header and in `context.bourse` alike.

use std::collections::BTreeMap;

use crate::domain::platform::Platform;
use crate::domain::tenant::Tenant;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of `context.bourse`.
const CONTEXT_VERSION: u32 = 1;

/// How a broker wants to be told: `stamp` in its registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
pub type StampTenant = osb::stamp::Tenant;

/// The platform as a broker is told.
pub type StampPlatform = osb::stamp::Platform;

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
    /// The hubs that the call came through, this one last.
    pub via: Vec<String>,
    /// What the broker's URL puts before `/v2`; empty where nothing.
    pub path_prefix: String,
}

impl StampFacts {
    /// The facts of a tenant's call from a platform.
    pub fn of(tenant: &Tenant, platform: &Platform) -> Self {
        Self {
            tenant: Some(told(tenant)),
            platform: Some(StampPlatform {
                id: platform.id.clone(),
                name: platform.name.clone(),
                kind: platform.kind.as_str().to_owned(),
            }),
            ..Self::default()
        }
    }

    /// The same with only what the broker's registration lets through; what it doesn't is empty.
    #[must_use]
    pub fn narrowed(&self, settings: &StampSettings) -> Self {
        let mut facts = self.clone();
        if settings.fields.is_none() {
            return facts;
        }
        facts.tenant = facts.tenant.map(|tenant| {
            // Without `..`, so that a new field has to be thought about here.
            let StampTenant { id, name, display_name, cost_center, business_unit, environment, owner, groups, labels } =
                tenant;
            let keeps = |field| settings.keeps_in("tenant", field);
            let text = |field, value| if keeps(field) { value } else { String::new() };
            StampTenant {
                id,
                name: text("name", name),
                display_name: text("display_name", display_name),
                cost_center: text("cost_center", cost_center),
                business_unit: text("business_unit", business_unit),
                environment: text("environment", environment),
                owner: text("owner", owner),
                groups: if keeps("groups") { groups } else { Vec::new() },
                labels: if keeps("labels") { labels } else { BTreeMap::new() },
            }
        });
        facts.platform = facts.platform.map(|platform| {
            let StampPlatform { id, name, kind } = platform;
            let text = |field, value| if settings.keeps_in("platform", field) { value } else { String::new() };
            StampPlatform { id, name: text("name", name), kind: text("kind", kind) }
        });
        if !settings.keeps("via") {
            facts.via.clear();
        }
        facts
    }
}

/// What others are told of a tenant: its facts, never its members or identities.
pub fn told(tenant: &Tenant) -> StampTenant {
    let document = &tenant.document;
    StampTenant {
        id: tenant.id.clone(),
        name: tenant.name.clone(),
        display_name: document.display_name.clone(),
        cost_center: document.cost_center.clone(),
        business_unit: document.business_unit.clone(),
        environment: document.environment.clone(),
        owner: document.owner.clone(),
        groups: document.groups.clone(),
        labels: document.labels.clone(),
    }
}

/// `context.bourse`, or nothing where the broker doesn't want it.
pub fn context_block(
    settings: &StampSettings,
    facts: &StampFacts,
    platform_instance_id: &str,
    request_id: &str,
) -> Option<Value> {
    if !settings.context {
        return None;
    }
    let mut block = Map::new();
    block.insert("version".to_owned(), Value::from(CONTEXT_VERSION));
    if let Some(tenant) = &facts.tenant {
        block.insert("tenant".to_owned(), part(settings, "tenant", tenant));
    }
    if let Some(platform) = &facts.platform {
        block.insert("platform".to_owned(), part(settings, "platform", platform));
    }
    let rest = [
        ("instance_id", Value::from(platform_instance_id)),
        ("request_id", Value::from(request_id)),
        ("via", Value::from(facts.via.as_slice())),
    ];
    block.extend(rest.into_iter().filter(|(name, _)| settings.keeps(name)).map(|(name, v)| (name.to_owned(), v)));
    Some(Value::Object(block))
}

/// The tenant or the platform, with only what the registration lets through; the rest is absent.
fn part(settings: &StampSettings, name: &str, value: &impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields
            .into_iter()
            .filter(|(field, _)| field == "id" || settings.keeps_in(name, field))
            .collect::<Map<_, _>>()
            .into(),
        Ok(other) => other,
        Err(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts() -> StampFacts {
        StampFacts {
            tenant: Some(StampTenant {
                id: "t-1".into(),
                name: "retail".into(),
                display_name: "Retail".into(),
                cost_center: "4711".into(),
                owner: "ann@example.com".into(),
                groups: vec!["shop".into()],
                ..StampTenant::default()
            }),
            platform: Some(StampPlatform { id: "p-1".into(), name: "cf".into(), kind: "other".into() }),
            via: vec!["hub-1".into()],
            ..StampFacts::default()
        }
    }

    fn block(settings: &StampSettings) -> Option<Value> {
        context_block(settings, &facts(), "pi-1", "r-1")
    }

    #[test]
    fn without_narrowing_everything_is_told() {
        let expected = json!({
            "version": 1,
            "tenant": {"id": "t-1", "name": "retail", "display_name": "Retail", "cost_center": "4711",
                "business_unit": "", "environment": "", "owner": "ann@example.com", "groups": ["shop"], "labels": {}},
            "platform": {"id": "p-1", "name": "cf", "kind": "other"},
            "instance_id": "pi-1", "request_id": "r-1", "via": ["hub-1"],
        });
        assert_eq!(block(&StampSettings::default()), Some(expected));
        assert_eq!(facts().narrowed(&StampSettings::default()), facts());
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
        let tenant = StampTenant { id: "t-1".into(), cost_center: "4711".into(), ..StampTenant::default() };
        assert_eq!(narrowed.tenant, Some(tenant));
        assert_eq!(narrowed.platform.unwrap().name, "");
        assert_eq!(narrowed.via, Vec::<String>::new());
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
