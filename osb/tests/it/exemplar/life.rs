//! The exemplar, used as a platform uses a broker: whole lives under every plan, through the library's own client.

use osb::client::Credentials;
use osb::*;
use serde_json::json;

use super::wire::{self, Running, Site};
use super::{DRAIN, LARGE, OFFERING_DRAIN, OFFERING_STORE, PASSWORD, PATIENT, PLANS, SMALL, USERNAME};

const ID: &str = "an id/with 50%2F";

fn client(running: &Running) -> Client {
    let credentials = Credentials::Basic { username: USERNAME.into(), password: PASSWORD.into() };
    Client::builder(&running.url()).credentials(credentials).build().unwrap()
}

fn order(service_id: &str, plan_id: &str) -> ProvisionRequest {
    ProvisionRequest {
        instance_id: ID.into(),
        accepts_incomplete: true,
        service_id: service_id.into(),
        plan_id: plan_id.into(),
        organization_guid: "o".into(),
        space_guid: "s".into(),
        parameters: Maybe::Present(json!({"size": 5}).as_object().cloned().unwrap()),
        ..Default::default()
    }
}

fn binding_order(service_id: &str, plan_id: &str) -> BindRequest {
    BindRequest {
        instance_id: ID.into(),
        binding_id: "b".into(),
        accepts_incomplete: true,
        service_id: Maybe::Present(service_id.into()),
        plan_id: Maybe::Present(plan_id.into()),
        app_guid: Maybe::Present("an app".into()),
        ..Default::default()
    }
}

/// Polls until the operation ends, and says how.
async fn end(client: &Client, binding: Option<&str>, operation: Option<&String>) -> OperationState {
    let (instance_id, operation) = (ID.to_owned(), operation.cloned());
    for _ in 0..10 {
        let call = Call::default();
        let answer = match binding {
            None => {
                let request = InstanceOperationRequest {
                    instance_id: instance_id.clone(),
                    operation: operation.clone(),
                    ..Default::default()
                };
                client.instance_operation(&call, request).await.unwrap()
            }
            Some(binding_id) => {
                let request = BindingOperationRequest {
                    instance_id: instance_id.clone(),
                    binding_id: binding_id.to_owned(),
                    operation: operation.clone(),
                    ..Default::default()
                };
                client.binding_operation(&call, request).await.unwrap()
            }
        };
        if answer.state != OperationState::InProgress {
            return answer.state;
        }
    }
    OperationState::InProgress
}

async fn live(client: &Client, service_id: &str, plan_id: &str) {
    let call = Call::default();
    let order = order(service_id, plan_id);
    if let Provisioned::Accepted(answer) = client.provision(&call, order.clone()).await.unwrap() {
        assert_eq!(client.provision(&call, order.clone()).await.unwrap(), Provisioned::Accepted(answer.clone()));
        assert_eq!(end(client, None, answer.operation.as_option()).await, OperationState::Succeeded);
    }
    assert!(matches!(client.provision(&call, order.clone()).await.unwrap(), Provisioned::Existed(_)));
    let other = ProvisionRequest { space_guid: "other".into(), ..order };
    assert_eq!(client.provision(&call, other).await.unwrap_err().status, 409);

    let update = UpdateRequest {
        instance_id: ID.into(),
        accepts_incomplete: true,
        service_id: service_id.into(),
        parameters: Maybe::Present(json!({"size": 7}).as_object().cloned().unwrap()),
        ..Default::default()
    };
    if let Updated::Accepted(answer) = client.update(&call, update).await.unwrap() {
        let fetch = FetchInstanceRequest { instance_id: ID.into(), ..Default::default() };
        let busy = client.fetch_instance(&call, fetch).await.unwrap_err();
        assert_eq!((busy.status, busy.code()), (422, Some("ConcurrencyError")));
        assert_eq!(end(client, None, answer.operation.as_option()).await, OperationState::Succeeded);
    }

    match client.bind(&call, binding_order(service_id, plan_id)).await {
        Err(refusal) => assert_eq!((refusal.status, plan_id), (400, super::ARCHIVE)),
        Ok(Bound::Accepted(answer)) => {
            assert_eq!(end(client, Some("b"), answer.operation.as_option()).await, OperationState::Succeeded);
        }
        Ok(_) => {
            let again = client.bind(&call, binding_order(service_id, plan_id)).await.unwrap();
            assert!(matches!(again, Bound::Existed(answer) if answer.credentials.as_option().is_some()));
        }
    }
    leave(client, service_id, plan_id).await;
}

async fn leave(client: &Client, service_id: &str, plan_id: &str) {
    let call = Call::default();
    let unbind = UnbindRequest {
        instance_id: ID.into(),
        binding_id: "b".into(),
        service_id: service_id.into(),
        plan_id: plan_id.into(),
        accepts_incomplete: true,
    };
    match client.unbind(&call, unbind).await {
        Ok(Unbound::Accepted(answer)) => {
            assert_eq!(end(client, Some("b"), answer.operation.as_option()).await, OperationState::Succeeded);
        }
        Ok(Unbound::Done(_)) => {}
        Err(gone) => assert_eq!((gone.status, plan_id), (410, super::ARCHIVE)),
    }
    let deprovision = DeprovisionRequest {
        instance_id: ID.into(),
        service_id: service_id.into(),
        plan_id: plan_id.into(),
        accepts_incomplete: true,
    };
    if let Deprovisioned::Accepted(answer) = client.deprovision(&call, deprovision.clone()).await.unwrap() {
        assert_eq!(end(client, None, answer.operation.as_option()).await, OperationState::Succeeded);
        assert_eq!(end(client, None, answer.operation.as_option()).await, OperationState::Succeeded);
    }
    assert_eq!(client.deprovision(&call, deprovision).await.unwrap_err().status, 410);
    let fetch = FetchInstanceRequest { instance_id: ID.into(), ..Default::default() };
    assert_eq!(client.fetch_instance(&call, fetch).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn the_exemplar_lives_through_every_plan_and_leaves_nothing() {
    let running = wire::serve(Site::Nowhere);
    let client = client(&running);
    let catalog = client.catalog(&Call::default()).await.unwrap();
    let value = serde_json::from_slice(&catalog.json).unwrap();
    assert_eq!(catalog::validate(&value), []);
    let offerings: Vec<_> = catalog.parse().unwrap().offerings().map(|offering| offering.unwrap()).collect();
    let plans: Vec<_> = offerings
        .iter()
        .flat_map(|offering| offering.plans.iter().map(|plan| (offering.name.as_str(), plan.name.as_str())))
        .collect();
    assert_eq!(plans, PLANS);
    for offering in &offerings {
        for plan in &offering.plans {
            live(&client, &offering.id, &plan.id).await;
        }
    }
    assert_eq!(running.broker.left(), 0);
}

#[tokio::test]
async fn the_exemplar_refuses_what_a_plan_does_not_allow() {
    let running = wire::serve(Site::Nowhere);
    let client = client(&running);
    let call = Call::default();
    let hasty = ProvisionRequest { accepts_incomplete: false, ..order(OFFERING_STORE, PATIENT) };
    assert_eq!(client.provision(&call, hasty).await.unwrap_err(), Error::async_required());
    assert_eq!(client.provision(&call, order(OFFERING_DRAIN, SMALL)).await.unwrap_err().status, 400);
    client.provision(&call, order(OFFERING_DRAIN, DRAIN)).await.unwrap();
    let appless = BindRequest { app_guid: Maybe::Absent, ..binding_order(OFFERING_DRAIN, DRAIN) };
    assert_eq!(client.bind(&call, appless).await.unwrap_err().code(), Some("RequiresApp"));
    let stale = UpdateRequest {
        instance_id: ID.into(),
        service_id: OFFERING_DRAIN.into(),
        plan_id: Maybe::Present(LARGE.into()),
        ..Default::default()
    };
    assert_eq!(client.update(&call, stale).await.unwrap_err().status, 400);
}

#[tokio::test]
async fn the_exemplar_rotates_bindings() {
    let running = wire::serve(Site::Nowhere);
    let client = client(&running);
    let call = Call::default();
    client.provision(&call, order(OFFERING_STORE, SMALL)).await.unwrap();
    let first = BindRequest {
        parameters: Maybe::Present(json!({"role": "writer"}).as_object().cloned().unwrap()),
        ..binding_order(OFFERING_STORE, SMALL)
    };
    client.bind(&call, first).await.unwrap();
    let rotation = |predecessor: &str| BindRequest {
        instance_id: ID.into(),
        binding_id: "c".into(),
        predecessor_binding_id: Maybe::Present(predecessor.into()),
        ..Default::default()
    };
    assert_eq!(client.bind(&call, rotation("nothing")).await.unwrap_err().status, 400);
    assert!(matches!(client.bind(&call, rotation("b")).await.unwrap(), Bound::Created(_)));
    assert!(matches!(client.bind(&call, rotation("b")).await.unwrap(), Bound::Existed(_)));
    assert_eq!(client.bind(&call, rotation("c")).await.unwrap_err().status, 409);
    for binding_id in ["b", "c"] {
        let fetch = FetchBindingRequest { instance_id: ID.into(), binding_id: binding_id.into(), ..Default::default() };
        let answer = client.fetch_binding(&call, fetch).await.unwrap();
        assert_eq!(answer.parameters.as_option().unwrap()["role"], "writer");
    }
}
