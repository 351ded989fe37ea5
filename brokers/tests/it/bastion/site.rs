//! A bastion broker of a test's own: its directory, its clock, its port, and orders in few words.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bourse_brokers::bastion::{Bastion, Config, GatewayAddress, SCHEMA, http, plan};
use osb::kit::{Broker, Clock, Db, Sealer, Setup};
use osb::server::{Open, Running, Server};
use osb::{
    BindRequest, BindResponse, Bound, Call, DeprovisionRequest, Error, FetchInstanceRequest, Maybe, Object,
    ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, UpdateRequest,
};
use serde_json::Value;

use crate::support::parameters;

pub(super) struct Site {
    pub(super) directory: tempfile::TempDir,
    /// Seconds since 1970, where a test sets them.
    pub(super) now: Arc<AtomicI64>,
    pub(super) broker: Broker<Bastion>,
    pub(super) running: Running,
}

/// The system's time now.
pub(super) fn real_now() -> i64 {
    Clock::System.seconds()
}

impl Site {
    /// A broker whose clock stands still at the real time, until a test moves it.
    pub(super) async fn new() -> Self {
        Self::with(None).await
    }

    pub(super) async fn with(gateway: Option<GatewayAddress>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(real_now()));
        let clock = Clock::Manual(Arc::clone(&now));
        let db = Db::open(&directory.path().join("bastion.db"), SCHEMA).await.unwrap();
        let sealer = Sealer::from_file(&directory.path().join("bastion.key")).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Arc::new(Bastion::new(Config {
            db: db.clone(),
            sealer: sealer.clone(),
            clock: clock.clone(),
            data: directory.path().to_owned(),
            public_url: format!("http://{}", listener.local_addr().unwrap()),
            gateway,
            try_host: None,
        }));
        let measure_every = Duration::from_secs(3_600);
        let setup = Setup { name: "bastion".into(), db, sealer, clock, measure_every };
        let routes = http::configure(Arc::clone(&service));
        let broker = Broker::new(service, setup).unwrap();
        let server = Server::new(Open::new(Arc::new(broker.clone())));
        let running = server.clone().listen_with(listener, move |config| {
            routes(config);
            server.configure()(config);
        });
        Self { directory, now, broker, running: running.unwrap() }
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(super) fn authority(&self) -> &Arc<Bastion> {
        self.broker.service()
    }

    pub(super) async fn order(&self, id: &str, with: Value) -> Result<Object, Error> {
        self.order_plan(id, 0, with).await
    }

    /// Orders a bastion of that plan, and says what is shown of it.
    pub(super) async fn order_plan(&self, id: &str, plan: usize, with: Value) -> Result<Object, Error> {
        let request = ProvisionRequest {
            instance_id: id.into(),
            service_id: plan::SERVICE_ID.into(),
            plan_id: plan::PLANS[plan].id.into(),
            organization_guid: "org".into(),
            space_guid: "space".into(),
            parameters: parameters(with),
            ..ProvisionRequest::default()
        };
        match self.broker.provision(&Call::default(), request).await? {
            Provisioned::Created(response) => Ok(attributes(response.metadata)),
            other => panic!("{id} was not made now: {other:?}"),
        }
    }

    pub(super) async fn change(&self, id: &str, with: Value) -> Result<(), Error> {
        let request = UpdateRequest {
            instance_id: id.into(),
            service_id: plan::SERVICE_ID.into(),
            parameters: parameters(with),
            ..UpdateRequest::default()
        };
        self.broker.update(&Call::default(), request).await.map(drop)
    }

    pub(super) async fn delete(&self, id: &str) -> Result<(), Error> {
        let request = DeprovisionRequest {
            instance_id: id.into(),
            service_id: plan::SERVICE_ID.into(),
            plan_id: plan::PLANS[0].id.into(),
            accepts_incomplete: false,
        };
        self.broker.deprovision(&Call::default(), request).await.map(drop)
    }

    /// What is shown of a bastion.
    pub(super) async fn shown(&self, id: &str) -> Object {
        let fetch = FetchInstanceRequest { instance_id: id.into(), ..FetchInstanceRequest::default() };
        attributes(self.broker.fetch_instance(&Call::default(), fetch).await.unwrap().metadata)
    }

    /// The id under which a bastion's files lie and are served.
    pub(super) async fn resource(&self, id: &str) -> String {
        let url = self.shown(id).await["url"].as_str().unwrap().to_owned();
        url.rsplit('/').next().unwrap().to_owned()
    }

    pub(super) async fn krl_file(&self, id: &str) -> PathBuf {
        self.directory.path().join("bastions").join(self.resource(id).await).join("revoked.krl")
    }

    pub(super) fn bind_request(id: &str, binding: &str, plan: usize, with: Value) -> BindRequest {
        BindRequest {
            instance_id: id.into(),
            binding_id: binding.into(),
            service_id: Maybe::Present(plan::SERVICE_ID.into()),
            plan_id: Maybe::Present(plan::PLANS[plan].id.into()),
            parameters: parameters(with),
            ..BindRequest::default()
        }
    }

    pub(super) async fn bound(&self, request: BindRequest) -> Result<BindResponse, Error> {
        match self.broker.bind(&Call::default(), request).await? {
            Bound::Created(response) => Ok(response),
            other => panic!("not made now: {other:?}"),
        }
    }

    /// The credentials of a new binding to a bastion of plan `ca-only`.
    pub(super) async fn bind(&self, id: &str, binding: &str, with: Value) -> Result<Object, Error> {
        self.bind_plan(id, binding, 0, with).await
    }

    pub(super) async fn bind_plan(&self, id: &str, binding: &str, plan: usize, with: Value) -> Result<Object, Error> {
        let response = self.bound(Self::bind_request(id, binding, plan, with)).await?;
        Ok(response.credentials.into_option().unwrap())
    }

    pub(super) async fn unbind(&self, id: &str, binding: &str, plan: usize) {
        let request = UnbindRequest {
            instance_id: id.into(),
            binding_id: binding.into(),
            service_id: plan::SERVICE_ID.into(),
            plan_id: plan::PLANS[plan].id.into(),
            accepts_incomplete: false,
        };
        self.broker.unbind(&Call::default(), request).await.unwrap();
    }
}

fn attributes(metadata: Maybe<Object>) -> Object {
    crate::support::object(metadata.into_option().unwrap()["attributes"].clone())
}

/// Writes each credential into a file of its name, as `bourse bind -o files=DIR` does.
pub(super) fn write_files(directory: &std::path::Path, credentials: &Object) {
    std::fs::create_dir_all(directory).unwrap();
    for (name, value) in credentials {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        std::fs::write(directory.join(name), text).unwrap();
    }
}
