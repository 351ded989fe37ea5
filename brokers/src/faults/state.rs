//! What the faults broker really holds: instances and bindings, the operations under way, and every call that came.
//!
//! It deliberately knows no fault: it carries out what is left of a call. In memory only. Invariant: a call that is refused here
//! has changed nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use osb::{Error, LastOperation, Object, OperationState};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::plan::{Script, Verb};

/// How many calls are kept; older ones are only counted.
const CALLS_MAX: usize = 10_000;
/// How many instances and bindings there may be, and how many ids are remembered that had a script or were deleted.
const RESOURCES_MAX: usize = 100_000;

/// An instance, or a binding of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) instance: String,
    pub(super) binding: Option<String>,
}

/// What an order said; a repeat with other attributes is a conflict.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attributes {
    pub(super) service_id: String,
    pub(super) plan_id: String,
    pub(super) organization_guid: String,
    pub(super) space_guid: String,
    pub(super) parameters: Object,
}

/// Where an instance or a binding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Being made.
    Creating,
    /// There.
    Ready,
    /// There, and being changed.
    Changing,
    /// Being deleted.
    Deleting,
    /// Not made, but what was begun is still there.
    Failed,
}

#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) attributes: Attributes,
    pub(super) standing: Standing,
    pub(super) credentials: Object,
    operation: Option<Operation>,
}

#[derive(Clone, Debug)]
struct Operation {
    token: String,
    pace: Pace,
    fails: bool,
    /// What holds after a change.
    after: Option<Attributes>,
    ended: Option<OperationState>,
}

/// How long an operation is in progress.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    Polls(u64),
    Until(Instant),
}

/// When a call is carried out.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Now,
    Later { pace: Pace, fails: bool },
}

impl How {
    /// In progress from now on for that long.
    pub(super) fn slowly(delay: Duration) -> Self {
        Self::Later { pace: Pace::Until(Instant::now() + delay), fails: false }
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Done,
    Existed,
    Accepted(String),
}

/// A call as it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Received {
    /// What it was about.
    pub verb: Option<Verb>,
    /// The instance's id.
    pub instance_id: String,
    /// The binding's id.
    pub binding_id: Option<String>,
    /// `X-Broker-API-Request-Identity`.
    pub request_identity: Option<String>,
    /// `X-Broker-API-Originating-Identity`.
    pub originating_identity: Option<String>,
    /// `X-Bourse-Stamp`.
    pub stamp: Option<String>,
    /// The method; empty where the call did not come over HTTP, like all that follows.
    pub method: String,
    /// Path and query.
    pub path_and_query: String,
    /// The body, `null` where there is none or it is no JSON.
    pub body: Value,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) resources: BTreeMap<Key, Resource>,
    scripts: HashMap<Key, (Script, HashMap<Verb, u64>)>,
    /// What was deleted by an operation, which may still be polled.
    deleted: VecDeque<Key>,
    pub(super) calls: VecDeque<Received>,
    pub(super) calls_forgotten: u64,
}

impl State {
    pub(super) fn receive(&mut self, call: Received) {
        if self.calls.len() >= CALLS_MAX {
            self.calls.pop_front();
            self.calls_forgotten += 1;
        }
        self.calls.push_back(call);
    }

    /// Keeps the script of an id, with its counts where it is the same as before.
    pub(super) fn follow(&mut self, key: &Key, script: Script) -> Result<(), Error> {
        if self.scripts.len() >= RESOURCES_MAX && !self.scripts.contains_key(key) {
            return Err(Error::unavailable("too many ids are known here: start this broker anew", 60));
        }
        match self.scripts.get_mut(key) {
            Some((present, _)) if *present == script => {}
            _ => {
                self.scripts.insert(key.clone(), (script, HashMap::new()));
            }
        }
        Ok(())
    }

    /// The script of an id, or of the instance that it belongs to.
    pub(super) fn script(&self, key: &Key) -> Option<&Script> {
        let instance = Key { instance: key.instance.clone(), binding: None };
        self.scripts.get(key).or_else(|| self.scripts.get(&instance)).map(|(script, _)| script)
    }

    /// Counts a hit of a script; false where it has hit that call often enough.
    pub(super) fn hit(&mut self, key: &Key, verb: Verb) -> bool {
        let instance = Key { instance: key.instance.clone(), binding: None };
        let key = if self.scripts.contains_key(key) { key } else { &instance };
        let Some((script, hits)) = self.scripts.get_mut(key) else { return false };
        let hits = hits.entry(verb).or_default();
        let hit = script.fail_on.contains(&verb) && *hits < script.times;
        *hits += u64::from(hit);
        hit
    }

    pub(super) fn create(&mut self, key: &Key, attributes: Attributes, how: How) -> Result<Outcome, Error> {
        self.settle(key);
        match self.resources.get(key) {
            Some(Resource { standing: Standing::Deleting, .. }) => {
                return Err(Error::concurrency("this id is being deleted"));
            }
            Some(present) if present.standing != Standing::Failed => {
                if present.attributes != attributes {
                    return Err(Error::conflict("this id exists with other attributes"));
                }
                let running = present.operation.as_ref().filter(|_| present.standing == Standing::Creating);
                return Ok(running.map_or(Outcome::Existed, |operation| Outcome::Accepted(operation.token.clone())));
            }
            _ => {}
        }
        if self.resources.len() >= RESOURCES_MAX {
            return Err(Error::unavailable("there are too many instances and bindings here: delete some", 60));
        }
        self.deleted.retain(|deleted| deleted != key);
        let credentials = if key.binding.is_some() { credentials(key) } else { Object::new() };
        let mut resource = Resource { attributes, standing: Standing::Ready, credentials, operation: None };
        let outcome = resource.begin(Standing::Creating, how, None);
        self.resources.insert(key.clone(), resource);
        Ok(outcome)
    }

    pub(super) fn change(&mut self, key: &Key, after: Attributes, how: How) -> Result<Outcome, Error> {
        let present = self.usable(key)?;
        if let (Standing::Changing, Some(operation)) = (present.standing, &present.operation) {
            if operation.after.as_ref() == Some(&after) {
                return Ok(Outcome::Accepted(operation.token.clone()));
            }
            return Err(Error::concurrency("this instance is being changed"));
        }
        match how {
            How::Now => present.attributes = after,
            How::Later { .. } => return Ok(present.begin(Standing::Changing, how, Some(after))),
        }
        Ok(Outcome::Done)
    }

    pub(super) fn delete(&mut self, key: &Key, service_id: &str, plan_id: &str, how: How) -> Result<Outcome, Error> {
        self.settle(key);
        let present = self.resources.get_mut(key).ok_or_else(Error::gone)?;
        if present.attributes.service_id != service_id || present.attributes.plan_id != plan_id {
            return Err(Error::bad_request("service_id and plan_id must be those of the service instance"));
        }
        if let (Standing::Deleting, Some(operation)) = (present.standing, &present.operation) {
            return Ok(Outcome::Accepted(operation.token.clone()));
        }
        if let How::Later { .. } = how {
            return Ok(present.begin(Standing::Deleting, how, None));
        }
        self.remove(key);
        Ok(Outcome::Done)
    }

    /// Polls the operation of an id: each poll brings it nearer to its end.
    pub(super) fn poll(&mut self, key: &Key) -> Result<LastOperation, Error> {
        if let Some(operation) = self.resources.get_mut(key).and_then(|resource| resource.operation.as_mut())
            && let Pace::Polls(left) = &mut operation.pace
        {
            if *left > 0 {
                *left -= 1;
                return Ok(LastOperation::new(OperationState::InProgress, "in progress"));
            }
            operation.pace = Pace::Until(Instant::now());
        }
        self.settle(key);
        if self.deleted.contains(key) {
            return Ok(LastOperation::new(OperationState::Succeeded, "deleted"));
        }
        let present = self.resources.get(key).ok_or_else(|| Error::not_found("there is no such id"))?;
        Ok(match present.operation.as_ref().map(|operation| operation.ended) {
            Some(None) => LastOperation::new(OperationState::InProgress, "in progress"),
            Some(Some(OperationState::Failed)) => LastOperation::new(OperationState::Failed, "it failed on purpose"),
            _ => LastOperation::new(OperationState::Succeeded, "done"),
        })
    }

    /// What stands and can be used or read.
    pub(super) fn usable(&mut self, key: &Key) -> Result<&mut Resource, Error> {
        self.settle(key);
        match self.resources.get_mut(key) {
            Some(present) if !matches!(present.standing, Standing::Creating | Standing::Failed) => Ok(present),
            _ => Err(Error::not_found("there is no such id")),
        }
    }

    /// Ends an operation whose time has come.
    fn settle(&mut self, key: &Key) {
        let Some(present) = self.resources.get_mut(key) else { return };
        let Some(operation) = present.operation.as_mut().filter(|operation| operation.ended.is_none()) else { return };
        let Pace::Until(end) = operation.pace else { return };
        if Instant::now() < end {
            return;
        }
        operation.ended = Some(if operation.fails { OperationState::Failed } else { OperationState::Succeeded });
        match (present.standing, operation.fails) {
            (Standing::Creating, true) => present.standing = Standing::Failed,
            (Standing::Deleting, false) => {
                self.remove(key);
                if self.deleted.len() >= RESOURCES_MAX {
                    self.deleted.pop_front();
                }
                self.deleted.push_back(key.clone());
            }
            (_, fails) => {
                if let (false, Some(after)) = (fails, operation.after.take()) {
                    present.attributes = after;
                }
                present.standing = Standing::Ready;
            }
        }
    }

    /// Removes an id, and with an instance its bindings.
    fn remove(&mut self, key: &Key) {
        self.resources.remove(key);
        if key.binding.is_none() {
            self.resources.retain(|other, _| other.instance != key.instance);
        }
    }
}

impl Resource {
    fn begin(&mut self, standing: Standing, how: How, after: Option<Attributes>) -> Outcome {
        let How::Later { pace, fails } = how else { return Outcome::Done };
        let token = Uuid::new_v4().to_string();
        self.standing = standing;
        self.operation = Some(Operation { token: token.clone(), pace, fails, after, ended: None });
        Outcome::Accepted(token)
    }
}

/// Made up, and different for each binding.
fn credentials(key: &Key) -> Object {
    let mut credentials = Object::new();
    credentials.insert("username".into(), format!("user-{}", key.binding.as_deref().unwrap_or_default()).into());
    credentials.insert("password".into(), Uuid::new_v4().simple().to_string().into());
    credentials
}
