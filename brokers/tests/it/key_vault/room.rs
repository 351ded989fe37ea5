//! A broker of either driver behind a real socket, and someone who uses what it gives.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bourse_brokers::key_vault::plan::{Plan, SERVICE_ID};
use bourse_brokers::key_vault::{Api, Isolation, Issuer, KeyVault, OpenBaoConfig, SCHEMA, TokenSource};
use osb::kit::{Broker, Clock, Db, Http, Sealer, Setup};
use osb::server::{BasicAuth, Running, Server};
use osb::{
    BindRequest, Bound, Call, DeprovisionRequest, Error, Maybe, Object, ProvisionRequest, ServiceBroker, UnbindRequest,
    UpdateRequest,
};
use serde_json::{Value, json};

use super::server::Bao;
use crate::support::parameters;

pub(crate) const START: i64 = 1_800_000_000;
pub(crate) const DAY: i64 = 24 * 60 * 60;

/// Someone who orders from a broker.
pub(crate) struct Desk(pub(crate) Arc<dyn ServiceBroker>);

/// A broker with its file and its clock.
pub(crate) struct Room {
    desk: Desk,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) broker: Broker<KeyVault>,
    pub(crate) db: Db,
    pub(crate) running: Running,
}

impl Room {
    /// One that makes vaults itself.
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::embedded_in(folder).await
    }

    /// One whose callers come through proxies of these networks.
    pub(crate) async fn behind(proxies: &[ipnet::IpNet]) -> Self {
        Self::embedded_with(tempfile::tempdir().unwrap(), |api| api.behind(proxies)).await
    }

    pub(crate) async fn embedded_in(folder: tempfile::TempDir) -> Self {
        Self::embedded_with(folder, |api| api).await
    }

    pub(crate) async fn embedded_with(folder: tempfile::TempDir, set: impl FnOnce(Api) -> Api) -> Self {
        let (listener, address) = listen();
        let (db, sealer, now, clock) = open(&folder).await;
        let (service, api) = KeyVault::embedded(db.clone(), sealer.clone(), clock.clone(), &address);
        let api = set(api);
        let broker = offer(service, &db, sealer, clock);
        let server = Server::new(BasicAuth::new(Arc::new(broker.clone()), "u", "p"));
        let mounted = server.clone();
        let mount = move |config: &mut actix_web::web::ServiceConfig| {
            api.configure()(config);
            mounted.configure()(config);
        };
        let running = server.listen_with(listener, mount).unwrap();
        Self { desk: Desk(Arc::new(broker.clone())), folder, now, broker, db, running }
    }

    /// One that makes vaults on that server.
    pub(crate) async fn openbao(bao: &Bao, isolation: Isolation, issuers: Vec<Issuer>) -> Self {
        Self::openbao_with(bao.config(isolation, issuers)).await
    }

    pub(crate) async fn openbao_with(config: OpenBaoConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (listener, _) = listen();
        let (db, sealer, now, clock) = open(&folder).await;
        let service = KeyVault::openbao(config, clock.clone()).await.unwrap();
        let broker = offer(service, &db, sealer, clock);
        let server = Server::new(BasicAuth::new(Arc::new(broker.clone()), "u", "p"));
        let mounted = server.clone();
        let running = server.listen_with(listener, move |config| mounted.configure()(config)).unwrap();
        Self { desk: Desk(Arc::new(broker.clone())), folder, now, broker, db, running }
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Everything that the file and its neighbours hold.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        bytes_of(self.folder.path())
    }
}

impl std::ops::Deref for Room {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

impl Desk {
    pub(crate) async fn order(&self, id: &str, plan: Plan, with: Value) -> Result<Object, Error> {
        let request = ProvisionRequest {
            instance_id: id.into(),
            service_id: SERVICE_ID.into(),
            plan_id: plan.id().into(),
            organization_guid: "o".into(),
            space_guid: "s".into(),
            parameters: parameters(with),
            ..ProvisionRequest::default()
        };
        self.0.provision(&Call::default(), request).await?;
        Ok(self.shown(id).await)
    }

    /// What is shown of an instance.
    pub(crate) async fn shown(&self, id: &str) -> Object {
        let request = osb::FetchInstanceRequest { instance_id: id.into(), ..osb::FetchInstanceRequest::default() };
        let fetched = self.0.fetch_instance(&Call::default(), request).await.unwrap();
        let Value::Object(attributes) = fetched.metadata.into_option().unwrap()["attributes"].clone() else {
            panic!("no attributes")
        };
        attributes
    }

    pub(crate) async fn change(&self, id: &str, plan: Option<Plan>, with: Value) -> Result<(), Error> {
        let plan_id = plan.map_or(Maybe::Absent, |plan| Maybe::Present(plan.id().into()));
        let request = UpdateRequest {
            instance_id: id.into(),
            service_id: SERVICE_ID.into(),
            plan_id,
            parameters: parameters(with),
            ..UpdateRequest::default()
        };
        self.0.update(&Call::default(), request).await.map(|_| ())
    }

    pub(crate) async fn bind(&self, id: &str, plan: Plan, binding: &str, with: Value) -> Result<Object, Error> {
        let request = BindRequest {
            instance_id: id.into(),
            binding_id: binding.into(),
            service_id: Maybe::Present(SERVICE_ID.into()),
            plan_id: Maybe::Present(plan.id().into()),
            parameters: parameters(with),
            ..BindRequest::default()
        };
        self.bound(request).await
    }

    pub(crate) async fn rotate(&self, id: &str, binding: &str, predecessor: &str) -> Result<Object, Error> {
        let request = BindRequest {
            instance_id: id.into(),
            binding_id: binding.into(),
            predecessor_binding_id: Maybe::Present(predecessor.into()),
            ..BindRequest::default()
        };
        self.bound(request).await
    }

    async fn bound(&self, request: BindRequest) -> Result<Object, Error> {
        match self.0.bind(&Call::default(), request).await? {
            Bound::Created(bound) => Ok(bound.credentials.into_option().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn unbind(&self, id: &str, plan: Plan, binding: &str) -> Result<(), Error> {
        let request = UnbindRequest {
            instance_id: id.into(),
            binding_id: binding.into(),
            service_id: SERVICE_ID.into(),
            plan_id: plan.id().into(),
            accepts_incomplete: false,
        };
        self.0.unbind(&Call::default(), request).await.map(|_| ())
    }

    pub(crate) async fn delete(&self, id: &str, plan: Plan) -> Result<(), Error> {
        let request = DeprovisionRequest {
            instance_id: id.into(),
            service_id: SERVICE_ID.into(),
            plan_id: plan.id().into(),
            accepts_incomplete: false,
        };
        self.0.deprovision(&Call::default(), request).await.map(|_| ())
    }
}

/// Everything that the files of a folder hold.
pub(crate) fn bytes_of(folder: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    bytes
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

async fn open(folder: &tempfile::TempDir) -> (Db, Sealer, Arc<AtomicI64>, Clock) {
    let db = Db::open(&folder.path().join("key-vault.db"), SCHEMA).await.unwrap();
    let sealer = Sealer::new(&[7; 32]).unwrap();
    let now = Arc::new(AtomicI64::new(START));
    (db, sealer, Arc::clone(&now), Clock::Manual(now))
}

fn offer(service: KeyVault, db: &Db, sealer: Sealer, clock: Clock) -> Broker<KeyVault> {
    let measure_every = Duration::from_secs(3600);
    let setup = Setup { name: "key-vault".into(), db: db.clone(), sealer, clock, measure_every };
    Broker::new(Arc::new(service), setup).unwrap()
}

impl Bao {
    pub(crate) fn config(&self, isolation: Isolation, issuers: Vec<Issuer>) -> OpenBaoConfig {
        OpenBaoConfig {
            address: self.address.clone(),
            public_address: None,
            token: TokenSource::Fixed("root".into()),
            isolation,
            namespace: None,
            ca_pem: None,
            issuers,
        }
    }
}

/// Someone who talks to a vault.
#[derive(Clone)]
pub(crate) struct Consumer {
    pub(crate) http: Arc<Http>,
    pub(crate) address: String,
    pub(crate) namespace: Option<String>,
    pub(crate) kv: String,
    pub(crate) transit: String,
    pub(crate) token: String,
}

impl Consumer {
    pub(crate) fn new(address: &str, namespace: Option<&str>, token: &str) -> Self {
        Self {
            http: Arc::new(Http::new(Duration::from_secs(20), None).unwrap()),
            address: address.to_owned(),
            namespace: namespace.map(str::to_owned),
            kv: "kv".into(),
            transit: "transit".into(),
            token: token.to_owned(),
        }
    }

    /// Someone who has credentials, but no token yet.
    pub(crate) fn of(credentials: &Object) -> Self {
        let namespace = credentials.get("namespace").and_then(Value::as_str);
        let token = credentials.get("token").and_then(Value::as_str).unwrap_or("");
        let mut consumer = Self::new(credentials["address"].as_str().unwrap(), namespace, token);
        consumer.kv = credentials["mounts"]["kv"].as_str().unwrap().to_owned();
        consumer.transit = credentials["mounts"]["transit"].as_str().unwrap_or("transit").to_owned();
        consumer
    }

    /// Logs in as the credentials of `approle` say: unwraps the secret id, and shows it with the role id.
    pub(crate) async fn log_in(credentials: &Object) -> Self {
        let mut consumer = Self::of(credentials);
        let auth = &credentials["auth"];
        consumer.token = auth["wrapped_secret_id"].as_str().unwrap().to_owned();
        let (status, unwrapped) = consumer.call("POST", "sys/wrapping/unwrap", Value::Null).await;
        assert_eq!(status, 200, "{unwrapped}");
        let secret_id = unwrapped["data"]["secret_id"].as_str().unwrap();
        consumer.token =
            consumer.token_for(auth, secret_id).await.1["auth"]["client_token"].as_str().unwrap().to_owned();
        consumer
    }

    pub(crate) async fn token_for(&self, auth: &Value, secret_id: &str) -> (u16, Value) {
        let login = format!("{}/login", auth["path"].as_str().unwrap());
        let mut nobody = self.clone();
        nobody.token = String::new();
        nobody.call("POST", &login, json!({"role_id": auth["role_id"], "secret_id": secret_id})).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/{path}", self.address);
        let mut headers = Vec::new();
        if !self.token.is_empty() {
            headers.push(("X-Vault-Token", self.token.as_str()));
        }
        headers.extend(self.namespace.as_deref().map(|namespace| ("X-Vault-Namespace", namespace)));
        let body = (!body.is_null()).then_some(body);
        if method == "PATCH" {
            headers.push(("Content-Type", "application/merge-patch+json"));
        }
        let answer = self.http.send(method, &url, &headers, body.as_ref()).await.unwrap();
        (answer.status, answer.json())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, body).await
    }

    pub(crate) async fn write(&self, path: &str, data: Value) -> u16 {
        self.post(&format!("{}/data/{path}", self.kv), json!({"data": data})).await.0
    }

    pub(crate) async fn read(&self, path: &str) -> (u16, Value) {
        let (status, answer) = self.get(&format!("{}/data/{path}", self.kv)).await;
        (status, answer["data"]["data"].clone())
    }

    /// The status of a look at its own token.
    pub(crate) async fn is_known(&self) -> bool {
        self.get("auth/token/lookup-self").await.0 == 200
    }
}
