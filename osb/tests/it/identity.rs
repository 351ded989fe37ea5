//! Client∘server is the identity: what a caller gives to a client arrives at the broker behind the server as it was, and
//! what that broker answers comes back as it was.

use osb::catalog::MaintenanceInfo;
use osb::instance::PreviousValues;
use osb::*;

use crate::support::{ODD_IDS, Scripted, Seen, free, object, serve};

fn errors() -> Vec<Error> {
    let mut rich = Error::unprocessable("PlanTooSmall", "ünusable");
    rich.body.instance_usable = Maybe::Present(false);
    rich.body.update_repeatable = Maybe::Present(true);
    rich.body.extra = free();
    let mut busy = Error::new(429);
    busy.retry_after_seconds = Some(7);
    let mut null = Error::new(400);
    null.body.instance_usable = Maybe::Null;
    vec![
        Error::bad_request("no"),
        Error::unauthorized("no stamp"),
        Error::new(403),
        Error::not_found("not here"),
        Error::conflict("taken"),
        Error::gone(),
        Error::precondition_failed("2.17"),
        Error::async_required(),
        Error::concurrency("wait"),
        Error::requires_app(),
        Error::maintenance_info_conflict("old"),
        Error::internal("broken"),
        Error::bad_gateway("broken behind"),
        Error::unavailable("later", 3),
        Error::gateway_timeout("slow"),
        Error::new(599),
        rich,
        busy,
        null,
    ]
}

fn accepted() -> Vec<Accepted> {
    vec![
        Accepted::default(),
        Accepted { operation: Maybe::Present("a b&c=d/é+%".into()), extra: free() },
        Accepted::operation("x".repeat(10_000)),
    ]
}

fn call() -> Call {
    Call {
        api_version: Some("2.15".into()),
        request_identity: Some("e26cee84-6b38-4456-b34e-d1a9f002c956".into()),
        originating_identity: Some(OriginatingIdentity("kubernetes eyJ1aWQiOiAiMSJ9".into())),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        stamp: Some("a.b.c".into()),
        if_none_match: None,
        wire: None,
    }
}

struct Pair {
    broker: std::sync::Arc<Scripted>,
    client: Client,
    _server: server::Running,
}

fn pair() -> Pair {
    let broker = Scripted::new();
    let server = serve(&broker);
    let client = Client::builder(&server.url()).build().unwrap();
    Pair { broker, client, _server: server }
}

fn all<T: Clone>(successes: Vec<T>) -> Vec<Result<T, Error>> {
    successes.into_iter().map(Ok).chain(errors().into_iter().map(Err)).collect()
}

impl Pair {
    /// What arrived is what was sent, headers too.
    #[track_caller]
    fn arrived(&self, expected: Seen) {
        let (seen_call, seen) = self.broker.only_call();
        assert_eq!(seen, expected);
        let sent = call();
        assert_eq!(seen_call.api_version, sent.api_version);
        assert_eq!(seen_call.request_identity, sent.request_identity);
        assert_eq!(seen_call.originating_identity, sent.originating_identity);
        assert_eq!(seen_call.traceparent, sent.traceparent);
        assert_eq!(seen_call.stamp, sent.stamp);
    }
}

fn provisions() -> Vec<ProvisionRequest> {
    let plain = ProvisionRequest {
        instance_id: "i".into(),
        service_id: "s".into(),
        plan_id: "p".into(),
        organization_guid: "o".into(),
        space_guid: "sp".into(),
        ..Default::default()
    };
    let full = ProvisionRequest {
        accepts_incomplete: true,
        context: Maybe::Present(free()),
        parameters: Maybe::Present(free()),
        maintenance_info: Maybe::Present(MaintenanceInfo {
            version: Maybe::Present("2.1.1+abcdef".into()),
            description: Maybe::Null,
            extra: free(),
        }),
        extra: free(),
        ..plain.clone()
    };
    let nulls = ProvisionRequest {
        context: Maybe::Null,
        parameters: Maybe::Null,
        maintenance_info: Maybe::Null,
        ..plain.clone()
    };
    let empty = ProvisionRequest {
        parameters: Maybe::Present(Object::new()),
        maintenance_info: Maybe::Present(MaintenanceInfo::default()),
        ..plain.clone()
    };
    let odd = ODD_IDS.map(|id| ProvisionRequest { instance_id: id.into(), service_id: id.into(), ..plain.clone() });
    [plain, full, nulls, empty].into_iter().chain(odd).collect()
}

#[tokio::test]
async fn ext_01_02_a_provision_and_its_answers_are_unchanged() {
    let pair = pair();
    let full = ProvisionResponse {
        dashboard_url: Maybe::Present("https://example.com/ä?x=1".into()),
        operation: Maybe::Present("op 1/ü".into()),
        metadata: Maybe::Present(free()),
        extra: free(),
    };
    let null = ProvisionResponse { dashboard_url: Maybe::Null, metadata: Maybe::Null, ..Default::default() };
    let outcomes = all(vec![
        Provisioned::Created(ProvisionResponse::default()),
        Provisioned::Created(full.clone()),
        Provisioned::Existed(null),
        Provisioned::Existed(full.clone()),
        Provisioned::Accepted(full),
        Provisioned::Accepted(ProvisionResponse::default()),
    ]);
    for request in provisions() {
        pair.broker.reply(outcomes[0].clone());
        assert_eq!(pair.client.provision(&call(), request.clone()).await, outcomes[0]);
        pair.arrived(Seen::Provision(request));
    }
    let request = provisions().remove(1);
    for outcome in outcomes {
        pair.broker.reply(outcome.clone());
        assert_eq!(pair.client.provision(&call(), request.clone()).await, outcome);
        pair.arrived(Seen::Provision(request.clone()));
    }
}

#[tokio::test]
async fn ext_01_02_upd_03_an_update_and_its_answers_are_unchanged() {
    let pair = pair();
    let plain = UpdateRequest { instance_id: "i".into(), service_id: "s".into(), ..Default::default() };
    let previous = PreviousValues {
        service_id: Maybe::Present("s".into()),
        plan_id: Maybe::Null,
        organization_id: Maybe::Present("o".into()),
        space_id: Maybe::Absent,
        maintenance_info: Maybe::Present(MaintenanceInfo::default()),
        extra: free(),
    };
    let full = UpdateRequest {
        accepts_incomplete: true,
        context: Maybe::Present(free()),
        plan_id: Maybe::Present("p".into()),
        parameters: Maybe::Present(free()),
        previous_values: Maybe::Present(previous),
        maintenance_info: Maybe::Present(MaintenanceInfo::default()),
        extra: free(),
        ..plain.clone()
    };
    let nulls = UpdateRequest {
        context: Maybe::Null,
        plan_id: Maybe::Null,
        parameters: Maybe::Null,
        previous_values: Maybe::Null,
        maintenance_info: Maybe::Null,
        ..plain.clone()
    };
    let response = UpdateResponse {
        dashboard_url: Maybe::Null,
        operation: Maybe::Present("op".into()),
        metadata: Maybe::Present(free()),
        extra: free(),
    };
    let outcomes = all(vec![
        Updated::Done(UpdateResponse::default()),
        Updated::Accepted(UpdateResponse::default()),
        Updated::Accepted(response),
    ]);
    for request in [plain, full, nulls] {
        for outcome in &outcomes {
            pair.broker.reply(outcome.clone());
            assert_eq!(&pair.client.update(&call(), request.clone()).await, outcome);
            pair.arrived(Seen::Update(request.clone()));
        }
    }
}

#[tokio::test]
async fn a_deprovision_and_its_answers_are_unchanged() {
    let pair = pair();
    let accepted = accepted().into_iter().map(Deprovisioned::Accepted);
    let done = [Deprovisioned::Done(Object::new()), Deprovisioned::Done(free())];
    for outcome in all(done.into_iter().chain(accepted).collect()) {
        pair.broker.reply(outcome.clone());
        let request = DeprovisionRequest {
            instance_id: "a/b".into(),
            service_id: "s&t=u".into(),
            plan_id: "p+ %".into(),
            accepts_incomplete: true,
        };
        assert_eq!(pair.client.deprovision(&call(), request.clone()).await, outcome);
        pair.arrived(Seen::Deprovision(request));
    }
}

#[tokio::test]
async fn ext_01_02_amb_07_a_bind_and_its_answers_are_unchanged() {
    let pair = pair();
    let plain = BindRequest {
        instance_id: "i".into(),
        binding_id: "b".into(),
        service_id: Maybe::Present("s".into()),
        plan_id: Maybe::Present("p".into()),
        ..Default::default()
    };
    let full = BindRequest {
        accepts_incomplete: true,
        context: Maybe::Present(free()),
        app_guid: Maybe::Present("app".into()),
        bind_resource: Maybe::Present(free()),
        parameters: Maybe::Present(free()),
        extra: free(),
        ..plain.clone()
    };
    let rotation = BindRequest {
        service_id: Maybe::Absent,
        plan_id: Maybe::Null,
        predecessor_binding_id: Maybe::Present("old/ä".into()),
        bind_resource: Maybe::Null,
        ..plain.clone()
    };
    let odd = ODD_IDS.map(|id| BindRequest { instance_id: id.into(), binding_id: id.into(), ..plain.clone() });
    let outcomes = all([
        vec![Bound::Created(BindResponse::default()), Bound::Created(bind_response()), Bound::Existed(bind_response())],
        accepted().into_iter().map(Bound::Accepted).collect(),
    ]
    .concat());
    for request in [plain, full, rotation].into_iter().chain(odd) {
        for outcome in &outcomes {
            pair.broker.reply(outcome.clone());
            assert_eq!(&pair.client.bind(&call(), request.clone()).await, outcome);
            pair.arrived(Seen::Bind(request.clone()));
        }
    }
}

fn bind_response() -> BindResponse {
    BindResponse {
        metadata: Maybe::Present(object(r#"{"expires_at":"2019-12-31T23:59:59.0Z"}"#)),
        credentials: Maybe::Present(free()),
        syslog_drain_url: Maybe::Null,
        route_service_url: Maybe::Present("https://example.com".into()),
        volume_mounts: Maybe::Present(vec![serde_json::json!({"driver": "d", "n": null})]),
        endpoints: Maybe::Present(vec![serde_json::json!({"host": "h", "ports": ["443"]})]),
        extra: free(),
    }
}

#[tokio::test]
async fn an_unbind_and_its_answers_are_unchanged() {
    let pair = pair();
    let accepted = accepted().into_iter().map(Unbound::Accepted);
    let done = [Unbound::Done(Object::new()), Unbound::Done(free())];
    for outcome in all(done.into_iter().chain(accepted).collect()) {
        pair.broker.reply(outcome.clone());
        let request = UnbindRequest {
            instance_id: "i".into(),
            binding_id: "%2F".into(),
            service_id: "s".into(),
            plan_id: "p".into(),
            accepts_incomplete: false,
        };
        assert_eq!(pair.client.unbind(&call(), request.clone()).await, outcome);
        pair.arrived(Seen::Unbind(request));
    }
}

#[tokio::test]
async fn fetches_and_their_answers_are_unchanged() {
    let pair = pair();
    let instance = FetchInstanceResponse {
        service_id: Maybe::Present("s".into()),
        plan_id: Maybe::Null,
        dashboard_url: Maybe::Present("d".into()),
        parameters: Maybe::Present(free()),
        maintenance_info: Maybe::Present(MaintenanceInfo::default()),
        metadata: Maybe::Present(free()),
        extra: free(),
    };
    for outcome in all(vec![FetchInstanceResponse::default(), instance]) {
        pair.broker.reply(outcome.clone());
        let request = FetchInstanceRequest { instance_id: "ü".into(), service_id: Some("s/".into()), plan_id: None };
        assert_eq!(pair.client.fetch_instance(&call(), request.clone()).await, outcome);
        pair.arrived(Seen::FetchInstance(request));
    }
    let binding = FetchBindingResponse { parameters: Maybe::Present(free()), binding: bind_response() };
    for outcome in all(vec![FetchBindingResponse::default(), binding]) {
        pair.broker.reply(outcome.clone());
        let request = FetchBindingRequest {
            instance_id: "ü".into(),
            binding_id: "b".into(),
            service_id: None,
            plan_id: Some("p p".into()),
        };
        assert_eq!(pair.client.fetch_binding(&call(), request.clone()).await, outcome);
        pair.arrived(Seen::FetchBinding(request));
    }
}

#[tokio::test]
async fn loi_02_polls_and_their_answers_are_unchanged() {
    let pair = pair();
    let mut failed = LastOperation::new(OperationState::Failed, "a sentence");
    failed.instance_usable = Maybe::Present(false);
    failed.update_repeatable = Maybe::Null;
    failed.extra = free();
    let mut running = LastOperation::new(OperationState::InProgress, "");
    running.retry_after_seconds = Some(30);
    let succeeded = LastOperation::new(OperationState::Succeeded, "done");
    let operations = [None, Some("a b&c=d/é+%".to_owned()), Some("x".repeat(10_000))];
    for outcome in all(vec![failed, running, succeeded]) {
        for operation in operations.clone() {
            let (instance_id, service_id) = ("i".to_owned(), Some("s".to_owned()));
            pair.broker.reply(outcome.clone());
            let (plan_id, operation) = (None, operation);
            let request = InstanceOperationRequest { instance_id, service_id, plan_id, operation: operation.clone() };
            assert_eq!(pair.client.instance_operation(&call(), request.clone()).await, outcome);
            pair.arrived(Seen::InstanceOperation(request));

            pair.broker.reply(outcome.clone());
            let request = BindingOperationRequest {
                instance_id: "i".into(),
                binding_id: "b".into(),
                service_id: None,
                plan_id: Some("p".into()),
                operation,
            };
            assert_eq!(pair.client.binding_operation(&call(), request.clone()).await, outcome);
            pair.arrived(Seen::BindingOperation(request));
        }
    }
}

#[tokio::test]
async fn cat_06_a_catalog_is_unchanged_byte_for_byte_and_fetched_only_when_it_changed() {
    let pair = pair();
    let json = r#"{ "services": [ {"x": 99.0, "y": 1E400} ],  "free": null }"#;
    let document = CatalogDocument { json: json.into(), etag: Some("W/\"7\"".into()) };
    for outcome in all(vec![document.clone()]) {
        pair.broker.reply(outcome.clone());
        assert_eq!(pair.client.catalog(&call()).await, outcome);
        pair.arrived(Seen::Catalog);
    }
    pair.broker.reply(Ok(document.clone()));
    assert_eq!(pair.client.catalog_if_changed(&call(), Some("\"7\"")).await, Ok(None));
    pair.broker.reply(Ok(document.clone()));
    assert_eq!(pair.client.catalog_if_changed(&call(), Some("\"6\"")).await, Ok(Some(document)));

    pair.broker.reply(Ok(CatalogDocument { json: json.into(), etag: None }));
    let made = pair.client.catalog(&call()).await.unwrap().etag.unwrap();
    pair.broker.reply(Ok(CatalogDocument { json: json.into(), etag: None }));
    assert_eq!(pair.client.catalog_if_changed(&call(), Some(&made)).await, Ok(None));
}

#[tokio::test]
async fn ids_that_no_path_can_carry_are_refused_before_anything_is_sent() {
    let pair = pair();
    for id in ["", ".", ".."] {
        let request = ProvisionRequest { instance_id: id.into(), ..provisions().remove(0) };
        assert_eq!(pair.client.provision(&call(), request).await.unwrap_err().status, 400);
    }
    assert_eq!(pair.broker.count(), 0);
}
