//! The kit: a service that only makes lockers is a whole broker, whatever goes wrong on the way.

mod hub;
mod locker;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use osb::kit::{Http, ReportError, Reporter, Stamped, Stamps};
use osb::server::{BasicAuth, Open, Server};
use osb::{
    BindRequest, BindResponse, Bound, Call, DeprovisionRequest, Error, FetchBindingRequest, FetchInstanceRequest,
    Maybe, Object, ProvisionRequest, ProvisionResponse, Provisioned, ServiceBroker, UnbindRequest, UpdateRequest,
};
use serde_json::{Value, json};
use sqlx::Row as _;

use self::hub::Hub;
use self::locker::{DAY, Lockers, On, PLAIN, Room, SERVICE, SMALL, START, Wrong};

fn object(value: Value) -> Maybe<Object> {
    match value {
        Value::Object(object) => Maybe::Present(object),
        _ => Maybe::Absent,
    }
}

fn order(id: &str, plan: &str, parameters: Value) -> ProvisionRequest {
    ProvisionRequest {
        instance_id: id.into(),
        service_id: SERVICE.into(),
        plan_id: plan.into(),
        organization_guid: "o".into(),
        space_guid: "s".into(),
        parameters: object(parameters),
        ..ProvisionRequest::default()
    }
}

fn binding(instance: &str, id: &str, plan: &str, parameters: Value) -> BindRequest {
    BindRequest {
        instance_id: instance.into(),
        binding_id: id.into(),
        service_id: Maybe::Present(SERVICE.into()),
        plan_id: Maybe::Present(plan.into()),
        parameters: object(parameters),
        ..BindRequest::default()
    }
}

fn rotation(instance: &str, id: &str, predecessor: &str) -> BindRequest {
    BindRequest {
        instance_id: instance.into(),
        binding_id: id.into(),
        predecessor_binding_id: Maybe::Present(predecessor.into()),
        ..BindRequest::default()
    }
}

impl Room {
    async fn new() -> (tempfile::TempDir, Self) {
        let folder = tempfile::tempdir().unwrap();
        let room = Self::open(folder.path(), Arc::default()).await;
        (folder, room)
    }

    async fn provision(&self, id: &str, plan: &str, parameters: Value) -> Result<(bool, ProvisionResponse), Error> {
        match self.broker.provision(&Call::default(), order(id, plan, parameters)).await? {
            Provisioned::Created(made) => Ok((true, made)),
            Provisioned::Existed(there) => Ok((false, there)),
            Provisioned::Accepted(_) => panic!("nothing here is asynchronous"),
        }
    }

    async fn bind(&self, request: BindRequest) -> Result<(bool, BindResponse), Error> {
        match self.broker.bind(&Call::default(), request).await? {
            Bound::Created(made) => Ok((true, made)),
            Bound::Existed(there) => Ok((false, there)),
            Bound::Accepted(_) => panic!("nothing here is asynchronous"),
        }
    }

    async fn unbind(&self, instance: &str, id: &str, plan: &str) -> Result<(), Error> {
        let (instance_id, binding_id) = (instance.to_owned(), id.to_owned());
        let (service_id, plan_id) = (SERVICE.to_owned(), plan.to_owned());
        let request = UnbindRequest { instance_id, binding_id, service_id, plan_id, accepts_incomplete: false };
        self.broker.unbind(&Call::default(), request).await.map(drop)
    }

    async fn update(&self, id: &str, plan: Option<&str>, parameters: Value) -> Result<(), Error> {
        let request = UpdateRequest {
            instance_id: id.into(),
            service_id: SERVICE.into(),
            plan_id: plan.map_or(Maybe::Absent, |plan| Maybe::Present(plan.into())),
            parameters: object(parameters),
            ..UpdateRequest::default()
        };
        self.broker.update(&Call::default(), request).await.map(drop)
    }

    async fn deprovision(&self, id: &str, plan: &str) -> Result<(), Error> {
        let (service_id, plan_id) = (SERVICE.to_owned(), plan.to_owned());
        let request = DeprovisionRequest { instance_id: id.to_owned(), service_id, plan_id, accepts_incomplete: false };
        self.broker.deprovision(&Call::default(), request).await.map(drop)
    }

    async fn fetch(&self, id: &str) -> Result<Value, Error> {
        let request = FetchInstanceRequest { instance_id: id.into(), ..FetchInstanceRequest::default() };
        let fetched = self.broker.fetch_instance(&Call::default(), request).await?;
        Ok(serde_json::to_value(fetched).unwrap())
    }

    async fn usage(&self) -> Vec<Value> {
        let rows =
            sqlx::query("select event from kit_usage order by number").fetch_all(self.db.reader()).await.unwrap();
        rows.iter().map(|row| serde_json::from_str(row.get("event")).unwrap()).collect()
    }

    fn made(&self) -> usize {
        self.service.held().lockers.len()
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, status: u16, words: &str) {
    let error = result.expect_err("it was not refused");
    assert_eq!(error.status, status, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

fn code(bound: &BindResponse) -> String {
    bound.credentials.as_option().unwrap()["code"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_the_kit_conforms_on_each_plan() {
    use osb::conformance::{Options, Outcome, Target, Verdict, run, silent};
    for plan in ["small", "plain"] {
        let (_folder, room) = Room::new().await;
        let running = Server::new(Open::new(Arc::new(room.broker.clone()))).bind("127.0.0.1:0").unwrap();
        let options = Options { plan: Some(plan.to_owned()), ..Options::default() };
        let report = run(&Target::new(running.url()), options, silent(), std::future::pending()).await.unwrap();
        let broken: Vec<_> =
            [Verdict::Failed, Verdict::Warned].iter().flat_map(|verdict| report.with(*verdict)).collect();
        assert_eq!((report.outcome(true), broken), (Outcome::Conforms, vec![]), "{plan}");
        assert!(report.with(Verdict::Passed).len() > 90, "{plan}");
        assert!(room.service.held().codes.is_empty(), "{plan}: codes are left");
        running.stop().await;
    }
}

#[tokio::test]
async fn an_order_that_stopped_anywhere_is_finished_by_its_repeat_or_undone_by_a_deletion() {
    for wrong in [Wrong::Unavailable, Wrong::Failed, Wrong::Panics] {
        let (_folder, room) = Room::new().await;
        room.service.goes_wrong(On::Create, wrong);
        let error = room.provision("a", SMALL, Value::Null).await.unwrap_err();
        assert!(matches!(error.status, 500 | 503) && !error.to_string().contains("s3cret"), "{error}");
        refused(room.fetch("a").await, 404, "no service instance");
        refused(room.provision("a", PLAIN, Value::Null).await, 409, "other attributes");
        assert!(room.provision("a", SMALL, Value::Null).await.unwrap().0, "{wrong:?}: the repeat makes it");
        assert_eq!(room.made(), 1, "{wrong:?}: once");

        room.service.goes_wrong(On::Create, wrong);
        room.provision("b", SMALL, Value::Null).await.unwrap_err();
        room.deprovision("b", SMALL).await.unwrap();
        assert_eq!(room.made(), 1, "{wrong:?}: what was never finished is not kept");
        refused(room.deprovision("b", SMALL).await, 410, "");
    }
    let (_folder, room) = Room::new().await;
    room.service.goes_wrong(On::Create, Wrong::Refused);
    refused(room.provision("a", SMALL, Value::Null).await, 400, "no more lockers");
    assert!(room.provision("a", PLAIN, Value::Null).await.unwrap().0, "a refusal leaves the id free");
}

#[tokio::test]
async fn a_process_that_dies_on_the_way_leaves_what_the_next_one_finishes() {
    let folder = tempfile::tempdir().unwrap();
    let service: Arc<Lockers> = Arc::default();
    let order = |on: On| {
        let (service, folder) = (Arc::clone(&service), folder.path().to_owned());
        async move {
            service.goes_wrong(on, Wrong::Hangs);
            let room = Room::open(&folder, Arc::clone(&service)).await;
            let work = async {
                match on {
                    On::Create => drop(room.provision("a", SMALL, Value::Null).await),
                    On::Issue => drop(room.bind(binding("a", "b", SMALL, Value::Null)).await),
                    On::Change => drop(room.update("a", None, json!({"size": 2})).await),
                    On::Revoke => drop(room.unbind("a", "b", SMALL).await),
                    _ => drop(room.deprovision("a", SMALL).await),
                }
            };
            let reached = async {
                while service.held().calls.last() != Some(&on) {
                    service.reached.notified().await;
                }
            };
            tokio::select! {
                () = work => panic!("{on:?} came back"),
                () = reached => {}
            }
            // The rest of that process: its connections go, nothing else is done.
            room.db.close().await;
        }
    };
    order(On::Create).await;
    let room = Room::open(folder.path(), Arc::clone(&service)).await;
    assert!(room.provision("a", SMALL, Value::Null).await.unwrap().0);
    room.broker.close().await;
    order(On::Issue).await;
    let room = Room::open(folder.path(), Arc::clone(&service)).await;
    let fetch = FetchBindingRequest { instance_id: "a".into(), binding_id: "b".into(), ..Default::default() };
    refused(room.broker.fetch_binding(&Call::default(), fetch).await, 404, "no service binding");
    assert!(room.bind(binding("a", "b", SMALL, Value::Null)).await.unwrap().0);
    room.broker.close().await;
    order(On::Change).await;
    let room = Room::open(folder.path(), Arc::clone(&service)).await;
    assert_eq!(room.fetch("a").await.unwrap()["parameters"], json!({}), "not known to have changed");
    room.update("a", None, json!({"size": 3})).await.unwrap();
    assert_eq!(room.fetch("a").await.unwrap()["parameters"], json!({"size": 3}));
    room.broker.close().await;
    order(On::Revoke).await;
    let room = Room::open(folder.path(), Arc::clone(&service)).await;
    assert_eq!(service.held().codes.len(), 1);
    refused(room.bind(binding("a", "b", SMALL, Value::Null)).await, 422, "being deleted");
    room.broker.tend().await;
    assert!(service.held().codes.is_empty(), "the janitor took it away");
    refused(room.unbind("a", "b", SMALL).await, 410, "");
    room.broker.close().await;
    order(On::Retire).await;
    let room = Room::open(folder.path(), Arc::clone(&service)).await;
    refused(room.provision("a", SMALL, json!({"size": 3})).await, 422, "being deleted");
    room.broker.tend().await;
    assert_eq!(service.held().lockers.values().collect::<Vec<_>>(), [&true], "its caller may still be at it");
    room.at(START + 60);
    room.broker.tend().await;
    refused(room.deprovision("a", SMALL).await, 410, "");
    assert_eq!(service.held().lockers.values().collect::<Vec<_>>(), [&false], "retired, and its data kept");
}

#[tokio::test]
async fn a_client_that_goes_away_interrupts_nothing() {
    let (_folder, room) = Room::new().await;
    let call = Call::default();
    let going = room.broker.provision(&call, order("a", SMALL, Value::Null));
    // Polled once, so that it is under way, then dropped.
    tokio::select! {
        biased;
        _ = going => {}
        () = std::future::ready(()) => {}
    }
    let (_, again) = room.provision("a", SMALL, Value::Null).await.unwrap();
    assert_eq!(again.metadata.as_option().unwrap()["attributes"], json!({"in_use": true}));
    assert_eq!(room.made(), 1);
}

#[tokio::test]
async fn a_deletion_ends_access_at_once_and_destroys_data_when_its_time_has_come() {
    let (_folder, room) = Room::new().await;
    room.provision("a", SMALL, Value::Null).await.unwrap();
    room.bind(binding("a", "b", SMALL, Value::Null)).await.unwrap();
    room.deprovision("a", SMALL).await.unwrap();
    assert!(room.service.held().codes.is_empty());
    assert_eq!(room.service.held().lockers.values().collect::<Vec<_>>(), [&false]);
    assert!(room.provision("a", SMALL, Value::Null).await.unwrap().0, "the id is free again");
    assert_eq!(room.made(), 2, "and means something else");
    room.at(START + DAY - 1);
    room.broker.tend().await;
    assert_eq!(room.made(), 2);
    room.at(START + DAY);
    room.service.goes_wrong(On::Purge, Wrong::Unavailable);
    room.broker.tend().await;
    assert_eq!(room.made(), 2, "it failed, and is tried again");
    let half = room.broker.retained().await.unwrap();
    refused(room.broker.restore(&half[0].resource).await, 409, "is being destroyed");
    room.at(START + DAY + 300);
    room.broker.tend().await;
    assert_eq!(room.service.held().lockers.values().collect::<Vec<_>>(), [&true]);
    room.provision("c", PLAIN, Value::Null).await.unwrap();
    room.deprovision("c", PLAIN).await.unwrap();
    assert_eq!(room.made(), 1, "a plan that keeps nothing");
}

#[tokio::test]
async fn rot_04_a_rotation_inherits_and_both_stand() {
    let (_folder, room) = Room::new().await;
    room.provision("a", SMALL, Value::Null).await.unwrap();
    let (_, first) = room.bind(binding("a", "one", SMALL, json!({"who": "ann"}))).await.unwrap();
    assert_eq!(
        first.metadata.as_option().unwrap(),
        json!({"expires_at": "2023-11-14T23:13:20.0Z", "renew_before": "2023-11-14T22:58:20.0Z"}).as_object().unwrap()
    );
    let (made, second) = room.bind(rotation("a", "two", "one")).await.unwrap();
    assert!(made && code(&second) != code(&first));
    let credentials = second.credentials.as_option().unwrap();
    assert_eq!((&credentials["who"], &credentials["after"]), (&json!("ann"), &json!("one")));
    assert_eq!(room.service.held().codes.len(), 2);
    let (made, again) = room.bind(rotation("a", "two", "one")).await.unwrap();
    assert_eq!((made, code(&again)), (false, code(&second)), "ROT-06: a repeat");
    refused(room.bind(rotation("a", "two", "other")).await, 409, "other attributes");
    refused(room.bind(rotation("a", "three", "none")).await, 400, "predecessor_binding_id");
    room.at(START + 3_600);
    refused(room.bind(rotation("a", "three", "one")).await, 400, "has not expired");
    room.provision("p", PLAIN, Value::Null).await.unwrap();
    room.bind(binding("p", "one", PLAIN, Value::Null)).await.unwrap();
    refused(room.bind(rotation("p", "two", "one")).await, 400, "can't be rotated");
}

#[tokio::test]
async fn wrong_orders_are_refused_with_a_sentence_before_anything_is_made() {
    let (_folder, room) = Room::new().await;
    refused(room.provision("a", "no-plan", Value::Null).await, 400, "plan of the catalog");
    refused(room.provision("a", SMALL, json!({"size": 10})).await, 400, "at most 9");
    let info = osb::catalog::MaintenanceInfo { version: Maybe::Present("1.0.0".into()), ..Default::default() };
    let stale = ProvisionRequest { maintenance_info: Maybe::Present(info), ..order("a", SMALL, Value::Null) };
    refused(room.broker.provision(&Call::default(), stale).await, 422, "1.2.0");
    assert_eq!(room.service.held().calls, [], "the service heard of none");
    room.provision("a", SMALL, json!({"size": 3})).await.unwrap();
    refused(room.update("a", None, json!({"size": 2})).await, 422, "never shrinks");
    refused(room.bind(binding("a", "b", SMALL, json!({"who": 1}))).await, 400, "`who` must be a string");
    refused(room.bind(binding("a", "b", PLAIN, Value::Null)).await, 400, "those of the service instance");
    refused(room.deprovision("a", PLAIN).await, 400, "those of the service instance");
    room.update("a", Some(PLAIN), json!({"shake": true})).await.unwrap();
    assert_eq!(room.service.held().asked, [json!({"shake": true}).as_object().unwrap().clone()]);
    assert_eq!(room.fetch("a").await.unwrap()["parameters"], json!({"size": 3}), "an act is no wish");
    assert_eq!(room.fetch("a").await.unwrap()["plan_id"], PLAIN);
}

#[tokio::test]
async fn no_secret_lies_in_the_file_in_clear() {
    let (folder, room) = Room::new().await;
    room.provision("a", SMALL, Value::Null).await.unwrap();
    let (_, bound) = room.bind(binding("a", "b", SMALL, Value::Null)).await.unwrap();
    let mut looked = 0;
    for file in ["locker.db", "locker.db-wal"] {
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        for secret in ["m4ster-c0de", &code(&bound)] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} is in {file}");
        }
        looked += usize::from(bytes.windows(SMALL.len()).any(|part| part == SMALL.as_bytes()));
    }
    assert!(looked > 0, "the rows are where the test looks");
    for file in ["locker.db", "locker.db-wal", "locker.key"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file} is for its owner only");
    }
    let shown = format!("{:?} {:?}", room.broker, bound);
    assert!(!shown.contains("c0de"), "{shown}");
}

#[tokio::test]
async fn meters_are_read_when_it_is_made_at_intervals_and_a_last_time() {
    let (_folder, room) = Room::new().await;
    room.provision("a", SMALL, Value::Null).await.unwrap();
    room.at(START + 3_599);
    room.broker.tend().await;
    assert_eq!(room.usage().await.len(), 3, "only what is declared, and not before its time");
    room.at(START + 3_600);
    room.service.goes_wrong(On::Measure, Wrong::Unavailable);
    room.broker.tend().await;
    room.at(START + 3_610);
    room.broker.tend().await;
    assert_eq!(room.usage().await.len(), 3, "what can't be read has to wait");
    room.at(START + 3_660);
    room.broker.tend().await;
    room.at(START + 4_000);
    room.deprovision("a", SMALL).await.unwrap();
    let events = room.usage().await;
    assert_eq!(events.len(), 8);
    let delta = &events[5];
    assert_eq!(delta["type"], "io.bourse.usage.delta");
    assert_eq!((&delta["source"], &delta["time"]), (&json!("/brokers/locker"), &json!("2023-11-14T23:14:20Z")));
    assert_eq!(
        delta["data"],
        json!({"instance_id": "a", "meter": "moved", "quantity": "2", "unit": "1",
               "window": {"start": "2023-11-14T22:13:20Z", "end": "2023-11-14T23:14:20Z"}}),
        "the window that could not be read is in it"
    );
    assert_eq!(events[6]["data"]["window"], Value::Null);
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 8);
    let last: Vec<_> = events[6..].iter().map(|event| &event["data"]["meter"]).collect();
    assert_eq!(last, ["opened", "moved"], "a level that is read at the end would hold after it");
}

#[tokio::test]
async fn a_call_for_another_tenant_is_refused() {
    let (_folder, room) = Room::new().await;
    let context = |tenant: &str| {
        object(json!({"bourse": {"version": 1, "tenant": {"id": tenant, "name": tenant, "groups": ["g"]}}}))
    };
    let request = ProvisionRequest { context: context("t-1"), ..order("a", SMALL, Value::Null) };
    room.broker.provision(&Call::default(), request).await.unwrap();
    assert_eq!(room.fetch("a").await.unwrap()["metadata"]["attributes"]["tenant"], json!({"id": "t-1", "name": "t-1"}));
    let stranger = BindRequest { context: context("t-2"), ..binding("a", "b", SMALL, Value::Null) };
    refused(room.bind(stranger).await, 400, "another tenant");
    let own = BindRequest { context: context("t-1"), ..binding("a", "b", SMALL, Value::Null) };
    room.bind(own).await.unwrap();
    // Without a verified stamp nobody can say whom a call is for.
    let ignored = Stamped::new(Arc::new(room.broker.clone()), Stamps::Ignored);
    let forged = ProvisionRequest { context: context("t-9"), ..order("b", SMALL, Value::Null) };
    ignored.provision(&Call::default(), forged).await.unwrap();
    assert_eq!(room.fetch("b").await.unwrap()["metadata"]["attributes"].get("tenant"), None);
}

#[tokio::test]
async fn readings_reach_the_hub_once_each_whatever_is_lost_on_the_way() {
    let (_folder, room) = Room::new().await;
    let hub = Hub::start();
    for id in ["a", "b"] {
        room.provision(id, SMALL, Value::Null).await.unwrap();
    }
    let ids: Vec<_> = room.usage().await.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 6);
    let reporter = Reporter::new(room.db.clone(), &hub.url, ("locker", "pw"), None).unwrap();
    hub.taken.lock().unwrap().loses_answer = true;
    hub.taken.lock().unwrap().refuses.insert(ids[1].clone());
    assert!(matches!(reporter.report().await, Err(ReportError::Status(500))));
    assert_eq!(room.usage().await.len(), 6, "nothing is forgotten without an acknowledgement");
    assert_eq!(reporter.report().await.unwrap(), 5);
    assert_eq!(reporter.report().await.unwrap(), 0, "what was refused is not sent again");
    let kept = sqlx::query("select id, refused from kit_usage").fetch_one(room.db.reader()).await.unwrap();
    assert_eq!((kept.get::<&str, _>("id"), kept.get::<&str, _>("refused")), (ids[1].as_str(), "no such instance"));
    assert_eq!(hub.taken.lock().unwrap().ids.len(), 5);
    let call = ("Basic bG9ja2VyOnB3".to_owned(), "application/cloudevents-batch+json".to_owned(), 6);
    assert_eq!(hub.taken.lock().unwrap().calls, [call.clone(), call]);
    hub.stop().await;
    room.provision("c", SMALL, Value::Null).await.unwrap();
    assert!(matches!(reporter.report().await, Err(ReportError::Call(_))));
    assert_eq!(room.usage().await.len(), 4);
}

#[tokio::test]
async fn operators_see_what_is_kept_take_it_into_use_again_or_destroy_it_behind_the_brokers_own_door() {
    let (_folder, room) = Room::new().await;
    for id in ["a", "b"] {
        room.provision(id, SMALL, json!({"size": 4})).await.unwrap();
        room.deprovision(id, SMALL).await.unwrap();
    }
    let server = Server::new(BasicAuth::new(Arc::new(room.broker.clone()), "u", "p"));
    let (mounted, routes) = (server.clone(), room.broker.retained_routes(&server));
    let running = server.bind_with("127.0.0.1:0", move |config| {
        routes(config);
        mounted.configure()(config);
    });
    let running = running.unwrap();
    let http = Http::new(std::time::Duration::from_secs(10), None).unwrap();
    let call = async |method: &str, path: &str, password: &str| {
        let pair = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("u:{password}"));
        let headers = [("authorization", format!("Basic {pair}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = http.send(method, &format!("{}/retained{path}", running.url()), &headers, None).await.unwrap();
        (answer.status, answer.json())
    };
    assert_eq!(call("GET", "", "guessed").await.0, 401);
    let (status, list) = call("GET", "", "p").await;
    assert_eq!((status, list["items"].as_array().unwrap().len()), (200, 2));
    assert_eq!(list["items"][0]["purge_at"], "2023-11-15T22:13:20Z");
    let resource = |at: usize| list["items"][at]["resource"].as_str().unwrap().to_owned();
    let (first, second) = (resource(0), resource(1));
    assert_eq!(call("POST", "/none/restore", "p").await.0, 404);
    assert_eq!(call("DELETE", &format!("/{first}"), "guessed").await.0, 401);
    room.provision("b", SMALL, Value::Null).await.unwrap();
    let of = |id: &str| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["instance_id"] == id).unwrap()["resource"].as_str().unwrap().to_owned()
    };
    assert_eq!(call("POST", &format!("/{}/restore", of("b")), "p").await.0, 409, "its id is in use");
    room.service.goes_wrong(On::Revive, Wrong::Failed);
    assert_eq!(call("POST", &format!("/{}/restore", of("a")), "p").await.0, 500);
    refused(room.fetch("a").await, 404, "");
    assert_eq!(call("POST", &format!("/{}/restore", of("a")), "p").await, (200, json!({})));
    let back = room.fetch("a").await.unwrap();
    assert_eq!((&back["parameters"], &back["metadata"]["attributes"]["in_use"]), (&json!({"size": 4}), &json!(true)));
    let (_, bound) = room.bind(binding("a", "again", SMALL, Value::Null)).await.unwrap();
    assert!(!code(&bound).is_empty());
    assert_eq!(call("DELETE", &format!("/{}", of("b")), "p").await.0, 204);
    assert!(!room.service.held().lockers.contains_key(&of("b")), "destroyed before its time");
    assert_eq!(call("GET", "", "p").await.1, json!({"items": []}));
    assert_ne!(first, second);
    room.at(START + DAY);
    room.broker.tend().await;
    assert_eq!(room.made(), 2, "what is in use again is not purged");
    running.stop().await;
}

#[tokio::test]
async fn a_deletion_in_one_process_is_called_off_by_no_update_in_another() {
    let (folder, one) = Room::new().await;
    let two = Room::open(folder.path(), Arc::clone(&one.service)).await;
    one.provision("a", SMALL, Value::Null).await.unwrap();
    one.service.goes_wrong(On::Change, Wrong::Hangs);
    let call = Call::default();
    let request = UpdateRequest { instance_id: "a".into(), service_id: SERVICE.into(), ..UpdateRequest::default() };
    let update = one.broker.update(&call, request);
    let deleted = async {
        while one.service.held().calls.last() != Some(&On::Change) {
            one.service.reached.notified().await;
        }
        one.service.goes_wrong(On::Retire, Wrong::Failed);
        refused(two.deprovision("a", SMALL).await, 500, "");
    };
    tokio::select! {
        _ = update => panic!("it came back"),
        () = deleted => {}
    }
    refused(two.update("a", None, json!({"size": 2})).await, 422, "being deleted");
    two.at(START + 60);
    two.broker.tend().await;
    refused(two.deprovision("a", SMALL).await, 410, "");
}
