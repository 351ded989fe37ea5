//! Events: what became true of an instance, a binding or the marketplace, as CloudEvents 1.0 in JSON.
//!
//! It does not store, number or deliver them. Invariant: the id follows from the transition alone, so a transition that
//! is replayed makes the same event, and [`InstanceData`] has no place for a credential or a parameter.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Time;

/// The namespace of every id that Bourse derives.
const NAMESPACE: Uuid = Uuid::from_u128(0xb0c4_b2a6_6a3e_5d0f_9c1e_7d6f_0e5a_4c21);

/// The version of CloudEvents.
const SPEC_VERSION: &str = "1.0";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// An order for an instance was taken down.
    InstanceRequested,
    /// An instance is ready.
    InstanceProvisioned,
    /// An instance's plan or parameters changed.
    InstanceUpdated,
    /// A change of an instance was refused or failed; the instance stands as before.
    InstanceUpdateFailed,
    /// An instance is gone.
    InstanceDeprovisioned,
    /// The backend failed to remove an instance; it stands.
    InstanceDeprovisionFailed,
    /// An order for an instance ended without one.
    InstanceFailed,
    /// What became of a call is not known yet.
    InstanceUnresolved,
    /// A binding is ready.
    BindingCreated,
    /// A binding is gone.
    BindingDeleted,
    /// A bind or unbind failed.
    BindingFailed,
    /// A broker was registered.
    BrokerRegistered,
    /// A broker's catalog is another one.
    BrokerCatalogChanged,
    /// A broker does not answer.
    BrokerUnavailable,
    /// A broker answers again.
    BrokerAvailable,
    /// A tenant's document changed.
    TenantChanged,
    /// Nothing was reported of a meter for too long.
    UsageMissing,
    /// A tenant's month was closed: its statement stands for ever.
    StatementClosed,
    /// Costs have reached a threshold of a budget.
    BudgetThreshold,
    /// An order waits for somebody's yes.
    ApprovalRequested,
    /// Somebody said yes or no, or nobody did in time.
    ApprovalDecided,
    /// An order was refused because a quota has too little left.
    QuotaExceeded,
    /// A broker was judged by the conformance suite, or could not be.
    BrokerJudged,
    /// An offering was submitted for publication.
    ReviewRequested,
    /// It was published or sent back, or changed meanwhile.
    ReviewDecided,
    /// A provider proposes prices.
    PricesProposed,
    /// They were accepted or refused, or others were proposed in their place.
    PricesDecided,
}

impl EventKind {
    /// Every kind, in the order of the manual.
    pub const ALL: [Self; 27] = [
        Self::InstanceRequested,
        Self::InstanceProvisioned,
        Self::InstanceUpdated,
        Self::InstanceUpdateFailed,
        Self::InstanceDeprovisioned,
        Self::InstanceDeprovisionFailed,
        Self::InstanceFailed,
        Self::InstanceUnresolved,
        Self::BindingCreated,
        Self::BindingDeleted,
        Self::BindingFailed,
        Self::BrokerRegistered,
        Self::BrokerCatalogChanged,
        Self::BrokerUnavailable,
        Self::BrokerAvailable,
        Self::TenantChanged,
        Self::UsageMissing,
        Self::StatementClosed,
        Self::BudgetThreshold,
        Self::ApprovalRequested,
        Self::ApprovalDecided,
        Self::QuotaExceeded,
        Self::BrokerJudged,
        Self::ReviewRequested,
        Self::ReviewDecided,
        Self::PricesProposed,
        Self::PricesDecided,
    ];

    /// The CloudEvents type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InstanceRequested => "io.bourse.instance.requested",
            Self::InstanceProvisioned => "io.bourse.instance.provisioned",
            Self::InstanceUpdated => "io.bourse.instance.updated",
            Self::InstanceUpdateFailed => "io.bourse.instance.update_failed",
            Self::InstanceDeprovisioned => "io.bourse.instance.deprovisioned",
            Self::InstanceDeprovisionFailed => "io.bourse.instance.deprovision_failed",
            Self::InstanceFailed => "io.bourse.instance.failed",
            Self::InstanceUnresolved => "io.bourse.instance.unresolved",
            Self::BindingCreated => "io.bourse.binding.created",
            Self::BindingDeleted => "io.bourse.binding.deleted",
            Self::BindingFailed => "io.bourse.binding.failed",
            Self::BrokerRegistered => "io.bourse.broker.registered",
            Self::BrokerCatalogChanged => "io.bourse.broker.catalog_changed",
            Self::BrokerUnavailable => "io.bourse.broker.unavailable",
            Self::BrokerAvailable => "io.bourse.broker.available",
            Self::TenantChanged => "io.bourse.tenant.changed",
            Self::UsageMissing => "io.bourse.usage.missing",
            Self::StatementClosed => "io.bourse.statement.closed",
            Self::BudgetThreshold => "io.bourse.budget.threshold",
            Self::ApprovalRequested => "io.bourse.approval.requested",
            Self::ApprovalDecided => "io.bourse.approval.decided",
            Self::QuotaExceeded => "io.bourse.quota.exceeded",
            Self::BrokerJudged => "io.bourse.broker.judged",
            Self::ReviewRequested => "io.bourse.review.requested",
            Self::ReviewDecided => "io.bourse.review.decided",
            Self::PricesProposed => "io.bourse.prices.proposed",
            Self::PricesDecided => "io.bourse.prices.decided",
        }
    }
}

/// One event. What is absent is left out of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// From [`event_id`].
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// `instances/{id}`, `instances/{id}/bindings/{id}`, `brokers/{name}`, `tenants/{name}`, …
    pub subject: String,
    /// When it became true.
    pub time: Time,
    /// Whom it is for.
    pub tenant_id: Option<String>,
    /// Where it was ordered.
    pub platform_id: Option<String>,
    /// Who serves it.
    pub broker_id: Option<String>,
    /// The offering, by its id in the merged catalog.
    pub service_id: Option<String>,
    /// The plan, by its id in the merged catalog.
    pub plan_id: Option<String>,
    /// Bourse's own id of the instance.
    pub instance_id: Option<String>,
    /// The number among this instance's events, from 1.
    pub sequence: Option<i64>,
    /// The request identity that began it.
    pub correlation_id: Option<String>,
    /// W3C trace context of the request that began it.
    pub traceparent: Option<String>,
    /// More about it; [`InstanceData::value`] makes it for instances and bindings.
    pub data: Value,
}

impl Event {
    /// The broker whose providers see it. Who is to agree to an order, and why, is its tenant's and its approvers' business.
    pub fn seen_by_broker(&self) -> Option<&str> {
        let private = matches!(self.kind, EventKind::ApprovalRequested | EventKind::ApprovalDecided);
        self.broker_id.as_deref().filter(|_| !private)
    }

    /// The CloudEvent, as feed and sinks give it out.
    pub fn document(&self, hub: &str) -> Value {
        let mut document = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                document.insert(name.to_owned(), Value::from(value));
            }
        };
        put("specversion", Some(SPEC_VERSION));
        put("id", Some(&self.id));
        put("source", Some(&format!("/bourse/{hub}")));
        put("type", Some(self.kind.as_str()));
        put("subject", Some(&self.subject));
        put("time", Some(&self.time.to_string()));
        put("datacontenttype", Some("application/json"));
        put("tenantid", self.tenant_id.as_deref());
        put("platformid", self.platform_id.as_deref());
        put("brokerid", self.broker_id.as_deref());
        put("serviceid", self.service_id.as_deref());
        put("planid", self.plan_id.as_deref());
        put("instanceid", self.instance_id.as_deref());
        put("sequence", self.sequence.map(|sequence| sequence.to_string()).as_deref());
        put("correlationid", self.correlation_id.as_deref());
        put("traceparent", self.traceparent.as_deref());
        document.insert("data".to_owned(), self.data.clone());
        Value::Object(document)
    }
}

/// An event with its number in the feed, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The number: the feed's cursor.
    pub sequence: i64,
    /// The event's id.
    pub id: String,
    /// The CloudEvent, as JSON text.
    pub document: String,
}

/// What events of instances and bindings tell in `data`. There is no place for credentials and parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InstanceData {
    /// The operation that brought it about.
    pub operation_id: String,
    /// The platform's id of the instance.
    pub platform_instance_id: String,
    /// Bourse's own id of the binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding_id: Option<String>,
    /// The tenant as it was then: `name`, `cost_center`, ….
    pub tenant: Value,
    /// The offering's name.
    pub offering: String,
    /// The plan's name.
    pub plan: String,
    /// The plan's name before an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_plan: Option<String>,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What policies warned of when it was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Value>,
}

impl InstanceData {
    /// As JSON.
    pub fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The id of the event that an operation makes of one kind: the same however often the transition is replayed.
pub fn event_id(operation_id: &str, kind: EventKind) -> String {
    Uuid::new_v5(&NAMESPACE, format!("event\0{operation_id}\0{}", kind.as_str()).as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn event() -> Event {
        Event {
            id: event_id("op-1", EventKind::InstanceProvisioned),
            kind: EventKind::InstanceProvisioned,
            subject: "instances/i-1".into(),
            time: Time(1_763_769_600_000_001),
            tenant_id: Some("t-1".into()),
            platform_id: None,
            broker_id: None,
            service_id: None,
            plan_id: None,
            instance_id: Some("i-1".into()),
            sequence: Some(2),
            correlation_id: None,
            traceparent: None,
            data: json!({"operation_id": "op-1"}),
        }
    }

    #[test]
    fn a_document_is_a_cloudevent_and_leaves_out_what_is_absent() {
        let expected = json!({
            "specversion": "1.0",
            "id": event().id,
            "source": "/bourse/hub-1",
            "type": "io.bourse.instance.provisioned",
            "subject": "instances/i-1",
            "time": "2025-11-22T00:00:00.000001Z",
            "datacontenttype": "application/json",
            "tenantid": "t-1",
            "instanceid": "i-1",
            "sequence": "2",
            "data": {"operation_id": "op-1"},
        });
        assert_eq!(event().document("hub-1"), expected);
    }

    #[test]
    fn attribute_names_are_lower_case_letters_and_digits_as_cloudevents_want() {
        let document = event().document("hub-1");
        let names = document.as_object().unwrap().keys();
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{name}");
        }
    }

    #[test]
    fn an_id_is_the_same_for_the_same_transition_and_different_for_any_other() {
        assert_eq!(event_id("op-1", EventKind::BindingCreated), event_id("op-1", EventKind::BindingCreated));
        let ids: BTreeSet<_> = EventKind::ALL.into_iter().map(|kind| event_id("op-1", kind)).collect();
        assert_eq!(ids.len(), EventKind::ALL.len());
        assert!(!ids.contains(&event_id("op-2", EventKind::BindingCreated)));
    }

    #[test]
    fn instance_data_leaves_out_what_does_not_apply() {
        let data =
            InstanceData { operation_id: "op-1".into(), tenant: json!({"name": "retail"}), ..Default::default() };
        let keys: Vec<_> = data.value().as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["operation_id", "platform_instance_id", "tenant", "offering", "plan"]);
    }
}
