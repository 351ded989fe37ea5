//! The faults, one a plan, and what parameters say about when they hit.
//!
//! The catalog (`catalog/faults.json`) is what the wire shows; a test here holds the two together. Ids are for ever.

use std::time::Duration;

use osb::{Error, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The catalog, as it stands on the wire.
pub const CATALOG: &str = include_str!("../../../catalog/faults.json");

/// The offering `faults`.
pub const SERVICE_ID: &str = "cc3aa009-6c0b-4a79-84c0-1fdac53c23ec";

/// The longest that parameters can make a call wait.
const WAIT_MAX_MS: u64 = 3_600_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Ok,
    /// 202, then success after some polls.
    Async,
    /// The same, and 422 to whoever can't poll.
    AsyncRequired,
    /// 202, then success after some time.
    AsyncSlow,
    /// 202, then failure after some polls, with remains.
    AsyncThenFailed,
    /// 500.
    Fails500,
    /// 503.
    Unavailable,
    /// 400.
    Rejects,
    /// 422 `ConcurrencyError`.
    Concurrency,
    /// Done at once, answered much later.
    TimesOutAfterCreating,
    /// Done and answered much later, even if the caller has gone.
    CreatesLate,
    /// No answer but the end of the connection.
    DropsConnection,
    /// An answer that is not JSON.
    Garbage,
    /// An answer without a body.
    Empty,
    /// An answer of 32 MiB.
    Huge,
    /// 203.
    WrongStatus,
}

/// Each fault with the name and the id of its plan.
pub const PLANS: [(Fault, &str, &str); 16] = [
    (Fault::Ok, "ok", "03351b99-acf9-426a-8e4f-ee90bd8496cf"),
    (Fault::Async, "async", "1a53d994-280a-4bf9-a7d9-65ff11cb8130"),
    (Fault::AsyncRequired, "async-required", "9e326477-e9b4-45f2-bf8a-358c29f8f600"),
    (Fault::AsyncSlow, "async-slow", "4d93bd57-3849-471f-ab76-8ea474fdcf8f"),
    (Fault::AsyncThenFailed, "async-then-failed", "5a75159f-dea1-44a4-893c-5bd240b3b8e4"),
    (Fault::Fails500, "fails-500", "366df11c-fa9e-45db-94ec-ebf6ce65c80f"),
    (Fault::Unavailable, "unavailable", "87dc2f2a-1f5b-4bd9-82c8-720056f6df86"),
    (Fault::Rejects, "rejects", "c1086b3d-9e5b-4a82-a712-6dce8bef4063"),
    (Fault::Concurrency, "concurrency", "d35d7ee3-4548-494f-a350-476b3e651e59"),
    (Fault::TimesOutAfterCreating, "times-out-after-creating", "2523e34f-2c33-4d14-9cca-4d3f3af372ec"),
    (Fault::CreatesLate, "creates-late", "1e8d0f6a-7300-4f55-ae17-8236f1796f68"),
    (Fault::DropsConnection, "drops-connection", "f3957ed8-1346-4f39-b73d-5635b35b27a1"),
    (Fault::Garbage, "garbage", "9c05b896-2e84-4b18-b219-9bbaeda0bacc"),
    (Fault::Empty, "empty", "86984749-ab5c-4182-b50b-97ad04cd2f20"),
    (Fault::Huge, "huge", "23434e09-5ada-492e-ad18-c5fbfc30f1a8"),
    (Fault::WrongStatus, "wrong-status", "4db88187-ac51-45c5-8a67-c41085ad9df4"),
];

/// The id of the plan with that name.
pub fn plan_id(name: &str) -> Option<&'static str> {
    PLANS.iter().find(|(_, known, _)| *known == name).map(|(_, _, id)| *id)
}

impl Fault {
    /// The fault of the plan with that id.
    pub(super) fn of_plan(id: &str) -> Option<Self> {
        PLANS.iter().find(|(_, _, known)| *known == id).map(|(fault, _, _)| *fault)
    }

    fn takes_effect(self) -> bool {
        matches!(self, Self::DropsConnection | Self::Garbage | Self::Empty | Self::Huge | Self::WrongStatus)
    }

    pub(super) fn is_asynchronous(self) -> bool {
        matches!(self, Self::Async | Self::AsyncRequired | Self::AsyncSlow | Self::AsyncThenFailed)
    }
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// The catalog; never hit.
    Catalog,
    /// A new instance.
    Provision,
    /// A change of an instance.
    Update,
    /// The end of an instance.
    Deprovision,
    /// A new binding.
    Bind,
    /// The end of a binding.
    Unbind,
    /// An instance or a binding is read.
    Fetch,
    /// The operation of an instance or of a binding is polled.
    LastOperation,
}

const CHANGES: [Verb; 5] = [Verb::Provision, Verb::Update, Verb::Deprovision, Verb::Bind, Verb::Unbind];

/// Which calls a fault hits, how often, and how it goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Script {
    pub(super) fault: Fault,
    pub(super) fail_on: Vec<Verb>,
    pub(super) times: u64,
    pub(super) takes_effect: bool,
    pub(super) polls: u64,
    pub(super) delay: Duration,
    pub(super) hang: Duration,
}

impl Script {
    /// Reads the parameters that are about faults; others mean nothing here. `creating` is the call that brings them.
    pub(super) fn read(fault: Fault, creating: Verb, parameters: &Object) -> Result<Self, Error> {
        let fail_on = match parameters.get("fail_on") {
            None if matches!(fault, Fault::Async | Fault::AsyncRequired) => CHANGES.to_vec(),
            None => vec![creating],
            Some(verbs) => Vec::deserialize(verbs).map_err(|_| {
                Error::bad_request(
                    "parameter `fail_on` must be an array of provision, update, deprovision, bind, unbind, fetch and last_operation",
                )
            })?,
        };
        let takes_effect = match parameters.get("takes_effect") {
            None => fault.takes_effect(),
            Some(Value::Bool(takes_effect)) => *takes_effect,
            Some(_) => return Err(Error::bad_request("parameter `takes_effect` must be true or false")),
        };
        let late = if fault == Fault::AsyncSlow { 30_000 } else { 60_000 };
        Ok(Self {
            fault,
            fail_on,
            times: number(parameters, "times", u64::MAX, u64::MAX)?,
            takes_effect,
            polls: number(parameters, "polls", 2, 1_000_000)?,
            delay: Duration::from_millis(number(parameters, "delay_ms", late, WAIT_MAX_MS)?),
            hang: Duration::from_millis(number(parameters, "hang_ms", 120_000, WAIT_MAX_MS)?),
        })
    }

    /// Whether parameters say anything about faults.
    pub(super) fn is_in(parameters: &Object) -> bool {
        ["fail_on", "times", "takes_effect", "polls", "delay_ms", "hang_ms"]
            .iter()
            .any(|name| parameters.contains_key(*name))
    }
}

fn number(parameters: &Object, name: &str, default: u64, max: u64) -> Result<u64, Error> {
    match parameters.get(name) {
        None => Ok(default),
        Some(value) => value
            .as_u64()
            .filter(|number| *number <= max)
            .ok_or_else(|| Error::bad_request(format!("parameter `{name}` must be a whole number from 0 to {max}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_catalog_names_each_fault() {
        let catalog: osb::Catalog = serde_json::from_str(CATALOG).unwrap();
        let offerings: Vec<_> = catalog.offerings().map(Result::unwrap).collect();
        let [offering] = offerings.as_slice() else { panic!("one offering") };
        assert_eq!(offering.id, SERVICE_ID);
        let shown: Vec<_> = offering.plans.iter().map(|plan| (plan.name.as_str(), plan.id.as_str())).collect();
        assert_eq!(shown, PLANS.map(|(_, name, id)| (name, id)));
    }

    #[track_caller]
    fn read(fault: Fault, parameters: Value) -> Result<Script, Error> {
        let Value::Object(parameters) = parameters else { panic!("an object") };
        Script::read(fault, Verb::Provision, &parameters)
    }

    #[test]
    fn scripts_have_defaults_and_refuse_nonsense() {
        let script = read(Fault::Fails500, json!({"other": 1})).unwrap();
        assert_eq!(
            (script.fail_on.as_slice(), script.times, script.takes_effect),
            ([Verb::Provision].as_slice(), u64::MAX, false)
        );
        assert_eq!(read(Fault::Async, json!({})).unwrap().fail_on, CHANGES);
        assert!(read(Fault::Garbage, json!({})).unwrap().takes_effect);
        let script =
            read(Fault::Garbage, json!({"fail_on": ["last_operation"], "times": 3, "takes_effect": false})).unwrap();
        assert_eq!((script.fail_on, script.times, script.takes_effect), (vec![Verb::LastOperation], 3, false));
        for nonsense in [
            json!({"fail_on": "bind"}),
            json!({"fail_on": ["x"]}),
            json!({"times": -1}),
            json!({"takes_effect": 1}),
            json!({"hang_ms": 3_600_001}),
        ] {
            assert_eq!(read(Fault::Ok, nonsense).unwrap_err().status, 400);
        }
    }
}
