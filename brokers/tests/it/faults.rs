//! `faults`: what a client sees of each plan, and what the broker then really holds.

use std::sync::Arc;
use std::time::Duration;

use bourse_brokers::faults::plan::{SERVICE_ID, Verb, plan_id};
use bourse_brokers::faults::wire::{self, Running};
use bourse_brokers::faults::{Faults, Standing};
use osb::client::{Client, Credentials, Failure, UnknownReason, decode};
use osb::server::BasicAuth;
use osb::{
    BindRequest, Bound, Call, DeprovisionRequest, Deprovisioned, FetchBindingRequest, FetchInstanceRequest,
    InstanceOperationRequest, Maybe, OperationState, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest,
    Unbound, UpdateRequest, Updated, WireRequest,
};
use serde_json::{Value, json};

use crate::support::{get, object, parameters, raw_get, wait_until};

struct Remote {
    faults: Faults,
    running: Running,
}

impl Remote {
    fn new() -> Self {
        let faults = Faults::new();
        let door = BasicAuth::new(Arc::new(faults.clone()), "u", "p");
        let running = wire::bind(door, &faults, "127.0.0.1:0").unwrap();
        Self { faults, running }
    }

    /// Waits longer than any answer takes on a slow machine.
    fn client(&self) -> Client {
        self.client_that_waits(Duration::from_secs(30))
    }

    fn client_that_waits(&self, timeout: Duration) -> Client {
        let credentials = Credentials::Basic { username: "u".into(), password: "p".into() };
        Client::builder(&self.running.url()).credentials(credentials).timeout(timeout).build().unwrap()
    }

    async fn provision(&self, request: &ProvisionRequest) -> Result<Provisioned, Failure> {
        decode::provision(&self.client().send(&Call::default(), &WireRequest::from(request)).await?)
    }

    /// By a client that goes away before there is an answer, but not before the order is there.
    async fn provision_impatiently(&self, request: &ProvisionRequest) -> Result<Provisioned, Failure> {
        let client = self.client_that_waits(Duration::from_millis(1500));
        decode::provision(&client.send(&Call::default(), &WireRequest::from(request)).await?)
    }

    fn held(&self) -> Vec<(String, Standing)> {
        self.faults.instances().into_iter().map(|held| (held.id, held.state)).collect()
    }
}

fn order(plan: &str, with: Value) -> ProvisionRequest {
    ProvisionRequest {
        instance_id: "i".into(),
        accepts_incomplete: true,
        service_id: SERVICE_ID.into(),
        plan_id: plan_id(plan).unwrap().into(),
        organization_guid: "org".into(),
        space_guid: "space".into(),
        parameters: parameters(with),
        ..ProvisionRequest::default()
    }
}

fn removal(plan: &str) -> DeprovisionRequest {
    DeprovisionRequest {
        instance_id: "i".into(),
        service_id: SERVICE_ID.into(),
        plan_id: plan_id(plan).unwrap().into(),
        accepts_incomplete: true,
    }
}

fn binding(plan: &str, with: Value) -> BindRequest {
    BindRequest {
        instance_id: "i".into(),
        binding_id: "b".into(),
        accepts_incomplete: true,
        service_id: Maybe::Present(SERVICE_ID.into()),
        plan_id: Maybe::Present(plan_id(plan).unwrap().into()),
        parameters: parameters(with),
        ..BindRequest::default()
    }
}

fn there() -> Vec<(String, Standing)> {
    vec![("i".into(), Standing::Ready)]
}

async fn poll(broker: &Faults) -> OperationState {
    let request = InstanceOperationRequest { instance_id: "i".into(), ..InstanceOperationRequest::default() };
    broker.instance_operation(&Call::default(), request).await.unwrap().state
}

#[track_caller]
fn check_unknown(outcome: Result<Provisioned, Failure>, expected: UnknownReason) {
    assert!(matches!(&outcome, Err(Failure::Unknown { reason, .. }) if *reason == expected), "{outcome:?}");
}

#[tokio::test]
async fn faults_of_the_connection_take_effect_and_leave_the_client_in_doubt() {
    let faults = [
        ("drops-connection", UnknownReason::Dropped),
        ("garbage", UnknownReason::Garbage),
        ("empty", UnknownReason::Garbage),
        ("huge", UnknownReason::TooLarge),
        ("wrong-status", UnknownReason::Status(203)),
    ];
    for (plan, reason) in faults {
        let remote = Remote::new();
        check_unknown(remote.provision(&order(plan, json!({"times": 1}))).await, reason);
        assert_eq!(remote.held(), there(), "{plan} takes effect");
        let again = remote.provision(&order(plan, json!({"times": 1}))).await;
        assert!(matches!(again, Ok(Provisioned::Existed(_))), "{plan} hits once: {again:?}");
    }
}

#[tokio::test]
async fn a_dropped_connection_ends_without_a_single_byte() {
    let remote = Remote::new();
    let script = json!({"fail_on": ["fetch"], "times": 1});
    remote.faults.provision(&Call::default(), order("drops-connection", script)).await.unwrap();
    let path = "/v2/service_instances/i";
    assert_eq!(raw_get(remote.running.address(), path, Some("dTpw")).await, "");
    assert!(raw_get(remote.running.address(), path, Some("dTpw")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_fault_that_is_told_so_takes_no_effect() {
    let remote = Remote::new();
    let request = order("drops-connection", json!({"takes_effect": false}));
    check_unknown(remote.provision(&request).await, UnknownReason::Dropped);
    assert_eq!(remote.held(), []);
}

#[tokio::test]
async fn refusals_change_nothing_and_500_and_503_neither() {
    for (plan, status) in [("fails-500", 500), ("unavailable", 503), ("rejects", 400), ("concurrency", 422)] {
        let faults = Faults::new();
        let error = faults.provision(&Call::default(), order(plan, Value::Null)).await.unwrap_err();
        assert_eq!((error.status, faults.instances().len()), (status, 0), "{plan}");
    }
    let faults = Faults::new();
    let took_effect = order("fails-500", json!({"takes_effect": true}));
    assert_eq!(faults.provision(&Call::default(), took_effect).await.unwrap_err().status, 500);
    assert_eq!(faults.instances().len(), 1);
}

#[tokio::test]
async fn times_out_after_creating_has_created() {
    let remote = Remote::new();
    let outcome = remote.provision_impatiently(&order("times-out-after-creating", Value::Null)).await;
    check_unknown(outcome, UnknownReason::Timeout);
    assert_eq!(remote.held(), there());
}

#[tokio::test]
async fn creates_late_creates_after_the_caller_has_gone() {
    let remote = Remote::new();
    let outcome = remote.provision_impatiently(&order("creates-late", json!({"delay_ms": 5000}))).await;
    check_unknown(outcome, UnknownReason::Timeout);
    assert_eq!(remote.held(), []);
    let removed = remote.faults.deprovision(&Call::default(), removal("creates-late")).await;
    assert_eq!(removed, Err(osb::Error::gone()), "a deletion before it comes too early");
    wait_until(|| remote.held() == there()).await;
}

#[tokio::test]
async fn asy_04_asynchronous_plans_succeed_after_some_polls_and_repeat_their_operation() {
    let faults = Faults::new();
    let call = Call::default();
    let request = order("async", json!({"polls": 2}));
    let Provisioned::Accepted(first) = faults.provision(&call, request.clone()).await.unwrap() else { panic!("202") };
    assert_eq!(faults.provision(&call, request.clone()).await, Ok(Provisioned::Accepted(first)));
    let other = order("async", json!({"polls": 3}));
    assert_eq!(faults.provision(&call, other).await.unwrap_err().status, 409);
    let fetch = FetchInstanceRequest { instance_id: "i".into(), ..FetchInstanceRequest::default() };
    assert_eq!(faults.fetch_instance(&call, fetch.clone()).await.unwrap_err().status, 404, "GSI-04");
    for expected in
        [OperationState::InProgress, OperationState::InProgress, OperationState::Succeeded, OperationState::Succeeded]
    {
        assert_eq!(poll(&faults).await, expected);
    }
    assert_eq!(faults.fetch_instance(&call, fetch).await.unwrap().plan_id, Maybe::Present(request.plan_id.clone()));
    assert!(matches!(faults.provision(&call, request).await, Ok(Provisioned::Existed(_))));
    assert!(matches!(faults.deprovision(&call, removal("async")).await, Ok(Deprovisioned::Accepted(_))));
    while poll(&faults).await == OperationState::InProgress {}
    assert_eq!(faults.instances(), []);
    assert_eq!(poll(&faults).await, OperationState::Succeeded, "AMB-03");
    assert_eq!(faults.deprovision(&call, removal("async")).await, Err(osb::Error::gone()));
}

#[tokio::test]
async fn async_then_failed_leaves_remains_until_they_are_deleted() {
    let faults = Faults::new();
    let call = Call::default();
    faults.provision(&call, order("async-then-failed", json!({"polls": 0}))).await.unwrap();
    assert_eq!(poll(&faults).await, OperationState::Failed);
    assert_eq!(faults.instances()[0].state, Standing::Failed);
    assert!(matches!(faults.deprovision(&call, removal("async-then-failed")).await, Ok(Deprovisioned::Done(_))));
    assert_eq!(faults.instances(), []);
}

#[tokio::test]
async fn async_slow_goes_by_time() {
    let faults = Faults::new();
    faults.provision(&Call::default(), order("async-slow", json!({"delay_ms": 3_600_000}))).await.unwrap();
    assert_eq!(poll(&faults).await, OperationState::InProgress);
    let faults = Faults::new();
    faults.provision(&Call::default(), order("async-slow", json!({"delay_ms": 0}))).await.unwrap();
    assert_eq!(poll(&faults).await, OperationState::Succeeded);
}

#[tokio::test]
async fn asy_01_who_cannot_poll_is_refused_or_served_at_once() {
    let call = Call::default();
    for plan in ["async-required", "async-slow", "async-then-failed"] {
        let faults = Faults::new();
        let request = ProvisionRequest { accepts_incomplete: false, ..order(plan, Value::Null) };
        assert_eq!(faults.provision(&call, request).await.unwrap_err(), osb::Error::async_required());
        assert_eq!(faults.instances(), []);
    }
    let request = ProvisionRequest { accepts_incomplete: false, ..order("async", Value::Null) };
    assert!(matches!(Faults::new().provision(&call, request).await, Ok(Provisioned::Created(_))));
}

#[tokio::test]
async fn a_fault_hits_the_calls_it_is_told_and_stops_after_its_times() {
    let faults = Faults::new();
    let call = Call::default();
    let script = json!({"fail_on": ["bind", "fetch", "last_operation", "unbind", "update", "deprovision"], "times": 1});
    faults.provision(&call, order("fails-500", script)).await.unwrap();
    let fetch = FetchInstanceRequest { instance_id: "i".into(), ..FetchInstanceRequest::default() };
    assert_eq!(faults.fetch_instance(&call, fetch.clone()).await.unwrap_err().status, 500);
    assert!(faults.fetch_instance(&call, fetch).await.is_ok());
    let poll = InstanceOperationRequest { instance_id: "i".into(), ..InstanceOperationRequest::default() };
    assert_eq!(faults.instance_operation(&call, poll.clone()).await.unwrap_err().status, 500);
    assert!(faults.instance_operation(&call, poll).await.is_ok());
    let update = UpdateRequest { instance_id: "i".into(), service_id: SERVICE_ID.into(), ..UpdateRequest::default() };
    assert_eq!(faults.update(&call, update.clone()).await.unwrap_err().status, 500);
    assert!(matches!(faults.update(&call, update).await, Ok(Updated::Done(_))));
    assert_eq!(faults.bind(&call, binding("fails-500", Value::Null)).await.unwrap_err().status, 500);
    assert_eq!(faults.bindings(), []);
    let Bound::Created(bound) = faults.bind(&call, binding("fails-500", Value::Null)).await.unwrap() else {
        panic!("201")
    };
    assert!(bound.credentials.as_option().unwrap()["password"].is_string());
    let unbind = UnbindRequest {
        instance_id: "i".into(),
        binding_id: "b".into(),
        service_id: SERVICE_ID.into(),
        plan_id: plan_id("fails-500").unwrap().into(),
        accepts_incomplete: true,
    };
    assert_eq!(faults.unbind(&call, unbind.clone()).await.unwrap_err().status, 500);
    assert!(matches!(faults.unbind(&call, unbind).await, Ok(Unbound::Done(_))));
    assert_eq!(faults.deprovision(&call, removal("fails-500")).await.unwrap_err().status, 500);
    assert!(matches!(faults.deprovision(&call, removal("fails-500")).await, Ok(Deprovisioned::Done(_))));
}

#[tokio::test]
async fn a_binding_may_bring_a_script_of_its_own_and_an_asynchronous_one_is_fetched() {
    let faults = Faults::new();
    let call = Call::default();
    let script = json!({"fail_on": []});
    faults.provision(&call, order("async", script)).await.unwrap();
    let request = binding("async", json!({"fail_on": ["bind"], "polls": 0}));
    let Bound::Accepted(_) = faults.bind(&call, request.clone()).await.unwrap() else { panic!("202") };
    let fetch = FetchBindingRequest { instance_id: "i".into(), binding_id: "b".into(), ..Default::default() };
    assert_eq!(faults.fetch_binding(&call, fetch.clone()).await.unwrap_err().status, 404, "GSB-03");
    let poll = osb::BindingOperationRequest { instance_id: "i".into(), binding_id: "b".into(), ..Default::default() };
    assert_eq!(faults.binding_operation(&call, poll).await.unwrap().state, OperationState::Succeeded);
    let fetched = faults.fetch_binding(&call, fetch).await.unwrap();
    assert!(fetched.binding.credentials.as_option().is_some(), "LOB-04");
    let Bound::Existed(again) = faults.bind(&call, request).await.unwrap() else { panic!("200") };
    assert_eq!(again.credentials, fetched.binding.credentials);
}

#[tokio::test]
async fn plan_changes_are_made_asynchronously_too_and_a_failed_one_changes_nothing() {
    let faults = Faults::new();
    let call = Call::default();
    faults.provision(&call, order("ok", Value::Null)).await.unwrap();
    let update = |plan: &str, with: Value| UpdateRequest {
        instance_id: "i".into(),
        accepts_incomplete: true,
        service_id: SERVICE_ID.into(),
        plan_id: Maybe::Present(plan_id(plan).unwrap().into()),
        parameters: Maybe::Present(object(with)),
        ..UpdateRequest::default()
    };
    let failing = update("async-then-failed", json!({"fail_on": ["update"], "polls": 0}));
    assert!(matches!(faults.update(&call, failing).await, Ok(Updated::Accepted(_))));
    assert_eq!(poll(&faults).await, OperationState::Failed);
    assert_eq!(faults.instances()[0].plan_id, plan_id("ok").unwrap());
    let working = update("async", json!({"fail_on": ["update"], "polls": 1}));
    let Updated::Accepted(first) = faults.update(&call, working.clone()).await.unwrap() else { panic!("202") };
    assert_eq!(faults.update(&call, working).await, Ok(Updated::Accepted(first)), "UPD-11");
    assert_eq!(poll(&faults).await, OperationState::InProgress);
    assert_eq!(poll(&faults).await, OperationState::Succeeded);
    assert_eq!(
        (faults.instances()[0].plan_id.as_str(), faults.instances()[0].state),
        (plan_id("async").unwrap(), Standing::Ready)
    );
}

#[tokio::test]
async fn what_it_holds_and_was_asked_can_be_audited_with_the_credentials_only() {
    let remote = Remote::new();
    let call = Call { request_identity: Some("r-1".into()), stamp: Some("s".into()), ..Call::default() };
    let request = order("ok", json!({"free": "form"}));
    let response = remote.client().send(&call, &WireRequest::from(&request)).await.unwrap();
    assert_eq!(response.status, 201);
    let (status, body) = get(remote.running.address(), "/state", None).await;
    assert_eq!((status, body.contains("instances")), (401, false));
    let (status, body) = get(remote.running.address(), "/state", Some("dTpw")).await;
    let state: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(state["instances"][0]["id"], "i");
    let received = &state["calls"][0];
    assert_eq!(
        (&received["verb"], &received["request_identity"], &received["stamp"]),
        (&json!("provision"), &json!("r-1"), &json!("s"))
    );
    assert_eq!(received["body"]["parameters"], json!({"free": "form"}));
    assert_eq!(remote.faults.calls()[0].verb, Some(Verb::Provision));
}
