//! Service instances and bindings as the hub keeps them: their states, and the attributes that decide whether a repeated
//! order is the same order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reference::parameter_of;

/// The state of a service instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Somebody has to agree first.
    WaitingApproval,
    /// Being made.
    Provisioning,
    /// There, and usable.
    Ready,
    /// There, and being changed.
    Updating,
    /// Being deleted.
    Deprovisioning,
    /// What the backend made of the order is not known yet.
    Unresolved,
    /// The order failed; what may be left at the backend is being deleted, or is.
    Failed,
    /// Nothing is left but the memory.
    Gone,
}

impl InstanceState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::WaitingApproval,
        Self::Provisioning,
        Self::Ready,
        Self::Updating,
        Self::Deprovisioning,
        Self::Unresolved,
        Self::Failed,
        Self::Gone,
    ];

    /// Its word in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingApproval => "waiting_approval",
            Self::Provisioning => "provisioning",
            Self::Ready => "ready",
            Self::Updating => "updating",
            Self::Deprovisioning => "deprovisioning",
            Self::Unresolved => "unresolved",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The state of a service binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingState {
    /// Being made.
    Binding,
    /// There.
    Ready,
    /// Being deleted.
    Unbinding,
    /// What the backend made of the request is not known yet.
    Unresolved,
    /// The request failed; what may be left at the backend is being deleted, or is.
    Failed,
    /// Nothing is left but the memory.
    Gone,
}

impl BindingState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Binding, Self::Ready, Self::Unbinding, Self::Unresolved, Self::Failed, Self::Gone];

    /// Its word in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binding => "binding",
            Self::Ready => "ready",
            Self::Unbinding => "unbinding",
            Self::Unresolved => "unresolved",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// What an instance was ordered with, as it stands now: sealed at rest, since parameters may hold secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceAttributes {
    /// The layout's version.
    pub version: u8,
    /// The parameters of the provision with those of each update folded in; absent ones are empty.
    pub parameters: osb::Object,
    /// As the platform gave it.
    pub organization_guid: String,
    /// As the platform gave it.
    pub space_guid: String,
    /// As the platform gave it, without anything under `bourse`.
    pub context: Option<osb::Object>,
    /// The ids that the backend got in the place of names of instances, by where they stand in the parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, String>,
    /// The parameters as they were ordered, where operators have others sent to the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<osb::Object>,
}

impl InstanceAttributes {
    /// The parameters as they were ordered.
    pub fn ordered(&self) -> &osb::Object {
        self.ordered.as_ref().unwrap_or(&self.parameters)
    }

    /// Whether an order with `other` is the same order: parameters as they were ordered, organization and space count, the context
    /// does not.
    pub fn same_order(&self, other: &Self) -> bool {
        self.ordered() == other.ordered()
            && self.organization_guid == other.organization_guid
            && self.space_guid == other.space_guid
    }

    /// Folds the parameters of an update in as they were ordered, where others are sent to the broker.
    pub fn fold_ordered(&mut self, ordered: &osb::Object) {
        let mut all = self.ordered().clone();
        for (key, value) in ordered {
            all.insert(key.clone(), value.clone());
        }
        self.ordered = Some(all);
    }

    /// Folds the parameters of an update in: what it names is replaced, with what it referred to; the rest stays.
    pub fn fold(&mut self, parameters: &osb::Object) {
        for (key, value) in parameters {
            self.parameters.insert(key.clone(), value.clone());
        }
        self.references.retain(|pointer, _| !parameters.contains_key(&parameter_of(pointer)));
    }
}

/// What a binding was asked for with: sealed at rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BindingAttributes {
    /// The layout's version.
    pub version: u8,
    /// Absent ones are empty.
    pub parameters: osb::Object,
    /// As the platform gave it; an empty one counts as absent.
    pub bind_resource: osb::Object,
    /// As the platform gave it.
    pub app_guid: Option<String>,
    /// The platform's id of the binding that this one rotates.
    pub predecessor_binding_id: Option<String>,
}

/// The meaning of an instance's id to the platform that made it: what GET, DELETE, PUT and last_operation are answered follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, or on its way.
    Live,
    /// The order failed and the clean-up is under way.
    CleaningUp,
    /// The order failed and nothing is left; a DELETE is answered 200 once.
    Failed,
    /// It was deleted.
    Gone,
}

/// What an id means, from the state and whether an operation is under way.
pub fn presence(state: InstanceState, busy: bool) -> Presence {
    match (state, busy) {
        (InstanceState::Gone, _) => Presence::Gone,
        (InstanceState::Failed, true) => Presence::CleaningUp,
        (InstanceState::Failed, false) => Presence::Failed,
        _ => Presence::Live,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(parameters: serde_json::Value, space: &str) -> InstanceAttributes {
        InstanceAttributes {
            parameters: parameters.as_object().unwrap().clone(),
            space_guid: space.into(),
            ..InstanceAttributes::default()
        }
    }

    #[test]
    fn prv_10_the_same_order_is_one_with_equal_parameters_organization_and_space() {
        let order = attributes(json!({"a": 1, "b": 2}), "s");
        assert!(order.same_order(&attributes(json!({"b": 2, "a": 1}), "s")), "the order of keys means nothing");
        assert!(!order.same_order(&attributes(json!({"a": 1}), "s")));
        assert!(!order.same_order(&attributes(json!({"a": 1, "b": 2}), "t")));
        let mut elsewhere = order.clone();
        elsewhere.context = Some(osb::Object::new());
        assert!(order.same_order(&elsewhere), "the context does not count");
    }

    #[test]
    fn an_update_is_folded_in() {
        let mut order = attributes(json!({"a": 1, "b": 2}), "s");
        order.fold(json!({"b": 3}).as_object().unwrap());
        assert_eq!(order, attributes(json!({"a": 1, "b": 3}), "s"));
    }

    #[test]
    fn every_word_is_read_back() {
        for state in InstanceState::ALL {
            assert_eq!(InstanceState::parse(state.as_str()), Some(state));
        }
        for state in BindingState::ALL {
            assert_eq!(BindingState::parse(state.as_str()), Some(state));
        }
    }
}
