//! `faults`: a service broker that fails on purpose, one plan a fault, to test platforms and hubs with.
//!
//! What it really holds and every call that came can be read ([`Faults::instances`], [`Faults::calls`], `GET /state`), so that a
//! test can compare what a platform believes with what is true. Faults that OSB's types can't express (a dropped connection, an
//! answer that is no JSON) are answered with a status of [`wire::WireFault`] that [`wire`] turns into the real thing.
//! In memory only: it deliberately survives nothing.

pub mod plan;
mod state;
pub mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use osb::{
    Accepted, BindRequest, BindResponse, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest,
    Deprovisioned, Error, FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse,
    InstanceOperationRequest, LastOperation, Maybe, Object, ProvisionRequest, ProvisionResponse, Provisioned,
    ServiceBroker, UnbindRequest, Unbound, UpdateRequest, UpdateResponse, Updated,
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::plan::{CATALOG, Fault, SERVICE_ID, Script, Verb};
use self::state::{Attributes, How, Key, Outcome, Pace, State};
pub use self::state::{Received, Standing};
use self::wire::WireFault;

/// How many calls of `creates-late` may be under way.
const LATE_MAX: usize = 1_000;

/// An instance that the broker really holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldInstance {
    /// Its id.
    pub id: String,
    /// Its plan.
    pub plan_id: String,
    /// Where it stands.
    pub state: Standing,
    /// Its parameters.
    pub parameters: Object,
}

/// A binding that the broker really holds, without its credentials.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldBinding {
    /// Its instance's id.
    pub instance_id: String,
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: Standing,
}

/// The service broker. Clones share what it holds.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// Calls that are carried out whether or not their caller waits; they end with the broker.
    late: Arc<Mutex<JoinSet<()>>>,
}

impl Faults {
    /// A broker that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The instances that it really holds.
    pub fn instances(&self) -> Vec<HeldInstance> {
        let state = self.state();
        let instances = state.resources.iter().filter(|(key, _)| key.binding.is_none());
        instances
            .map(|(key, held)| HeldInstance {
                id: key.instance.clone(),
                plan_id: held.attributes.plan_id.clone(),
                state: held.standing,
                parameters: held.attributes.parameters.clone(),
            })
            .collect()
    }

    /// The bindings that it really holds.
    pub fn bindings(&self) -> Vec<HeldBinding> {
        let state = self.state();
        let bindings = state.resources.iter().filter_map(|(key, held)| Some((key, key.binding.as_ref()?, held)));
        bindings
            .map(|(key, id, held)| HeldBinding {
                instance_id: key.instance.clone(),
                id: id.clone(),
                state: held.standing,
            })
            .collect()
    }

    /// The calls that came, oldest first; the newest 10,000.
    pub fn calls(&self) -> Vec<Received> {
        self.state().calls.iter().cloned().collect()
    }

    /// All of it, as `GET /state` shows it.
    pub fn report(&self) -> Value {
        json!({
            "instances": self.instances(),
            "bindings": self.bindings(),
            "calls": self.calls(),
            "calls_forgotten": self.state().calls_forgotten,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call, and says by which script it is hit, if it is.
    fn receive(&self, verb: Verb, key: &Key, call: &Call) {
        let wire = call.wire.as_deref();
        self.state().receive(Received {
            verb: Some(verb),
            instance_id: key.instance.clone(),
            binding_id: key.binding.clone(),
            request_identity: call.request_identity.clone(),
            originating_identity: call.originating_identity.as_ref().map(|identity| identity.0.clone()),
            stamp: call.stamp.clone(),
            method: wire.map(|wire| wire.method.clone()).unwrap_or_default(),
            path_and_query: wire.map(|wire| wire.path_and_query.clone()).unwrap_or_default(),
            body: wire.and_then(|wire| serde_json::from_slice(&wire.body).ok()).unwrap_or_default(),
        });
    }

    /// Carries a call out as the script of its id wants it.
    async fn act<T: Send + 'static>(
        &self,
        verb: Verb,
        key: &Key,
        accepts_incomplete: bool,
        act: impl FnOnce(&mut State, How) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let script = self.state().script(key).cloned();
        let Some(script) = script.filter(|script| script.fail_on.contains(&verb)) else {
            return act(&mut self.state(), How::Now);
        };
        if script.fault.is_asynchronous() && script.fault != Fault::Async && !accepts_incomplete {
            return Err(Error::async_required());
        }
        if !self.state().hit(key, verb) {
            return act(&mut self.state(), How::Now);
        }
        let polls = Pace::Polls(script.polls);
        let answer = match script.fault {
            Fault::Async if !accepts_incomplete => return act(&mut self.state(), How::Now),
            Fault::Ok => return act(&mut self.state(), How::Now),
            Fault::Async | Fault::AsyncRequired => {
                return act(&mut self.state(), How::Later { pace: polls, fails: false });
            }
            Fault::AsyncThenFailed => return act(&mut self.state(), How::Later { pace: polls, fails: true }),
            Fault::AsyncSlow => return act(&mut self.state(), How::slowly(script.delay)),
            Fault::TimesOutAfterCreating => {
                let outcome = act(&mut self.state(), How::Now);
                tokio::time::sleep(script.hang).await;
                return outcome;
            }
            Fault::CreatesLate => return self.act_late(script, act).await,
            Fault::Fails500 => Error::internal("it failed on purpose"),
            Fault::Unavailable => Error::unavailable("it is unavailable on purpose", 1),
            Fault::Rejects => Error::bad_request("it was rejected on purpose"),
            Fault::Concurrency => Error::concurrency("another operation is under way, on purpose"),
            Fault::DropsConnection => WireFault::DropsConnection.answer(),
            Fault::Garbage => WireFault::Garbage.answer(),
            Fault::Empty => WireFault::Empty.answer(),
            Fault::Huge => WireFault::Huge.answer(),
            Fault::WrongStatus => WireFault::WrongStatus.answer(),
        };
        if script.takes_effect {
            act(&mut self.state(), How::Now)?;
        }
        Err(answer)
    }

    /// Acts in a task of its own, which goes on when the caller has gone.
    async fn act_late<T: Send + 'static>(
        &self,
        script: Script,
        act: impl FnOnce(&mut State, How) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let state = Arc::clone(&self.state);
        {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            while late.try_join_next().is_some() {}
            if late.len() >= LATE_MAX {
                return Err(Error::unavailable("too many late calls are under way", 60));
            }
            late.spawn(async move {
                tokio::time::sleep(script.delay).await;
                let outcome = act(&mut state.lock().unwrap_or_else(PoisonError::into_inner), How::Now);
                // Whoever called has gone, which is what this fault is for.
                drop(answer.send(outcome));
            });
        }
        answered.await.unwrap_or_else(|_| Err(Error::internal("the late call was ended")))
    }
}

fn instance(id: &str) -> Key {
    Key { instance: id.to_owned(), binding: None }
}

fn binding(instance: &str, id: &str) -> Key {
    Key { instance: instance.to_owned(), binding: Some(id.to_owned()) }
}

fn operation(outcome: &Outcome) -> Maybe<String> {
    match outcome {
        Outcome::Accepted(token) => Maybe::Present(token.clone()),
        Outcome::Done | Outcome::Existed => Maybe::Absent,
    }
}

fn fault_of(service_id: &str, plan_id: &str) -> Result<Fault, Error> {
    let fault = Fault::of_plan(plan_id).filter(|_| service_id == SERVICE_ID);
    fault.ok_or_else(|| Error::bad_request("service_id and plan_id must be those of a plan of the catalog"))
}

#[async_trait]
impl ServiceBroker for Faults {
    async fn catalog(&self, call: &Call) -> Result<CatalogDocument, Error> {
        self.receive(Verb::Catalog, &instance(""), call);
        Ok(CatalogDocument { json: CATALOG.into(), etag: None })
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        let key = instance(&request.instance_id);
        self.receive(Verb::Provision, &key, call);
        let fault = fault_of(&request.service_id, &request.plan_id)?;
        let parameters = request.parameters.into_option().unwrap_or_default();
        let script = Script::read(fault, Verb::Provision, &parameters)?;
        let attributes = Attributes {
            service_id: request.service_id,
            plan_id: request.plan_id,
            organization_guid: request.organization_guid,
            space_guid: request.space_guid,
            parameters,
        };
        {
            let mut state = self.state();
            // A repeat of another order is a conflict and changes nothing, its script included.
            if state.resources.get(&key).is_none_or(|present| present.standing == Standing::Failed) {
                state.follow(&key, script)?;
            }
        }
        let (about, incomplete) = (key.clone(), request.accepts_incomplete);
        let act = move |state: &mut State, how: How| state.create(&about, attributes, how);
        let outcome = self.act(Verb::Provision, &key, incomplete, act).await?;
        let response = ProvisionResponse { operation: operation(&outcome), ..ProvisionResponse::default() };
        Ok(match outcome {
            Outcome::Done => Provisioned::Created(response),
            Outcome::Existed => Provisioned::Existed(response),
            Outcome::Accepted(_) => Provisioned::Accepted(response),
        })
    }

    async fn fetch_instance(&self, call: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        let key = instance(&request.instance_id);
        self.receive(Verb::Fetch, &key, call);
        let about = key.clone();
        let act = move |state: &mut State, _: How| {
            let present = state.usable(&about)?;
            if present.standing == Standing::Changing {
                return Err(Error::concurrency("this instance is being changed"));
            }
            Ok(present.attributes.clone())
        };
        let attributes = self.act(Verb::Fetch, &key, true, act).await?;
        Ok(FetchInstanceResponse {
            service_id: Maybe::Present(attributes.service_id),
            plan_id: Maybe::Present(attributes.plan_id),
            parameters: Maybe::Present(attributes.parameters),
            ..FetchInstanceResponse::default()
        })
    }

    async fn instance_operation(&self, call: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error> {
        let key = instance(&request.instance_id);
        self.receive(Verb::LastOperation, &key, call);
        let about = key.clone();
        self.act(Verb::LastOperation, &key, true, move |state, _| state.poll(&about)).await
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        let key = instance(&request.instance_id);
        self.receive(Verb::Update, &key, call);
        let mut after = self.state().usable(&key)?.attributes.clone();
        if let Some(plan_id) = request.plan_id.into_option() {
            after.plan_id = plan_id;
        }
        let fault = fault_of(&request.service_id, &after.plan_id)?;
        let parameters = request.parameters.into_option().unwrap_or_default();
        after.parameters.extend(parameters);
        let script = Script::read(fault, Verb::Provision, &after.parameters)?;
        self.state().follow(&key, script)?;
        let about = key.clone();
        let act = move |state: &mut State, how: How| state.change(&about, after, how);
        let outcome = self.act(Verb::Update, &key, request.accepts_incomplete, act).await?;
        let response = UpdateResponse { operation: operation(&outcome), ..UpdateResponse::default() };
        Ok(match outcome {
            Outcome::Accepted(_) => Updated::Accepted(response),
            Outcome::Done | Outcome::Existed => Updated::Done(response),
        })
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        let key = instance(&request.instance_id);
        self.receive(Verb::Deprovision, &key, call);
        let (about, incomplete) = (key.clone(), request.accepts_incomplete);
        let act = move |state: &mut State, how: How| state.delete(&about, &request.service_id, &request.plan_id, how);
        Ok(match self.act(Verb::Deprovision, &key, incomplete, act).await? {
            Outcome::Accepted(token) => Deprovisioned::Accepted(Accepted::operation(token)),
            Outcome::Done | Outcome::Existed => Deprovisioned::Done(Object::new()),
        })
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, Error> {
        let key = binding(&request.instance_id, &request.binding_id);
        self.receive(Verb::Bind, &key, call);
        if request.predecessor_binding_id.as_option().is_some() {
            return Err(Error::bad_request("bindings of these plans can't be rotated"));
        }
        let of = self.state().usable(&instance(&request.instance_id))?.attributes.clone();
        let parameters = request.parameters.into_option().unwrap_or_default();
        let attributes = Attributes {
            service_id: request.service_id.into_option().unwrap_or_default(),
            plan_id: request.plan_id.into_option().unwrap_or_default(),
            parameters,
            ..Attributes::default()
        };
        if attributes.service_id != of.service_id || attributes.plan_id != of.plan_id {
            return Err(Error::bad_request("service_id and plan_id must be those of the service instance"));
        }
        if Script::is_in(&attributes.parameters) {
            let script = Script::read(fault_of(&of.service_id, &of.plan_id)?, Verb::Bind, &attributes.parameters)?;
            let mut state = self.state();
            if state.resources.get(&key).is_none_or(|present| present.standing == Standing::Failed) {
                state.follow(&key, script)?;
            }
        }
        let about = key.clone();
        let act = move |state: &mut State, how: How| {
            let outcome = state.create(&about, attributes, how)?;
            let credentials = state.resources.get(&about).map(|made| made.credentials.clone()).unwrap_or_default();
            Ok((outcome, credentials))
        };
        let (outcome, credentials) = self.act(Verb::Bind, &key, request.accepts_incomplete, act).await?;
        let response = BindResponse { credentials: Maybe::Present(credentials), ..BindResponse::default() };
        Ok(match outcome {
            Outcome::Done => Bound::Created(response),
            Outcome::Existed => Bound::Existed(response),
            Outcome::Accepted(token) => Bound::Accepted(Accepted::operation(token)),
        })
    }

    async fn fetch_binding(&self, call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        let key = binding(&request.instance_id, &request.binding_id);
        self.receive(Verb::Fetch, &key, call);
        let about = key.clone();
        let act = move |state: &mut State, _: How| state.usable(&about).cloned();
        let held = self.act(Verb::Fetch, &key, true, act).await?;
        let binding = BindResponse { credentials: Maybe::Present(held.credentials), ..BindResponse::default() };
        Ok(FetchBindingResponse { parameters: Maybe::Present(held.attributes.parameters), binding })
    }

    async fn binding_operation(&self, call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        let key = binding(&request.instance_id, &request.binding_id);
        self.receive(Verb::LastOperation, &key, call);
        let about = key.clone();
        self.act(Verb::LastOperation, &key, true, move |state, _| state.poll(&about)).await
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        let key = binding(&request.instance_id, &request.binding_id);
        self.receive(Verb::Unbind, &key, call);
        let (about, incomplete) = (key.clone(), request.accepts_incomplete);
        let act = move |state: &mut State, how: How| state.delete(&about, &request.service_id, &request.plan_id, how);
        Ok(match self.act(Verb::Unbind, &key, incomplete, act).await? {
            Outcome::Accepted(token) => Unbound::Accepted(Accepted::operation(token)),
            Outcome::Done | Outcome::Existed => Unbound::Done(Object::new()),
        })
    }
}
