//! What the tests share: requests with the usual fields filled in.

use bourse_brokers::vnet_ipam::driver::Driver;
use bourse_brokers::vnet_ipam::driver::record_only::RecordOnly;
use bourse_brokers::vnet_ipam::pool::Pool;
use bourse_brokers::vnet_ipam::{Config, VnetIpam, plan};
use osb::kit::Broker;
use osb::kit::clock::Clock;
use osb::{
    BindRequest, Call, DeprovisionRequest, Error, Maybe, Object, ProvisionRequest, ProvisionResponse, Provisioned,
    ServiceBroker, UnbindRequest, UpdateRequest,
};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

pub(crate) fn parameters(value: Value) -> Maybe<Object> {
    if value.is_null() { Maybe::Absent } else { Maybe::Present(object(value)) }
}

pub(crate) fn plan_id(name: &str) -> String {
    plan::PLANS.iter().find(|plan| plan.name == name).unwrap().id.to_owned()
}

pub(crate) fn order(id: &str, plan: &str, with: Value) -> ProvisionRequest {
    ProvisionRequest {
        instance_id: id.into(),
        service_id: plan::SERVICE_ID.into(),
        plan_id: plan_id(plan),
        organization_guid: "org".into(),
        space_guid: "space".into(),
        parameters: parameters(with),
        ..ProvisionRequest::default()
    }
}

pub(crate) fn change(id: &str, with: Value) -> UpdateRequest {
    UpdateRequest {
        instance_id: id.into(),
        service_id: plan::SERVICE_ID.into(),
        parameters: parameters(with),
        ..UpdateRequest::default()
    }
}

pub(crate) fn removal(id: &str, plan: &str) -> DeprovisionRequest {
    DeprovisionRequest {
        instance_id: id.into(),
        service_id: plan::SERVICE_ID.into(),
        plan_id: plan_id(plan),
        accepts_incomplete: false,
    }
}

pub(crate) fn binding(id: &str, binding: &str, plan: &str, with: Value) -> BindRequest {
    BindRequest {
        instance_id: id.into(),
        binding_id: binding.into(),
        service_id: Maybe::Present(plan::SERVICE_ID.into()),
        plan_id: Maybe::Present(plan_id(plan)),
        parameters: parameters(with),
        ..BindRequest::default()
    }
}

pub(crate) fn unbinding(id: &str, binding: &str, plan: &str) -> UnbindRequest {
    UnbindRequest {
        instance_id: id.into(),
        binding_id: binding.into(),
        service_id: plan::SERVICE_ID.into(),
        plan_id: plan_id(plan),
        accepts_incomplete: false,
    }
}

/// A broker on a file of its own, and the clock that it goes by.
pub(crate) struct Ipam {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) now: Arc<AtomicI64>,
}

impl Ipam {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), now: Arc::new(AtomicI64::new(1_700_000_000)) }
    }

    pub(crate) async fn open(&self, pools: &[(&str, &str)]) -> Broker<VnetIpam> {
        self.open_with(pools, Arc::new(RecordOnly)).await
    }

    pub(crate) async fn open_with(&self, pools: &[(&str, &str)], driver: Arc<dyn Driver>) -> Broker<VnetIpam> {
        let mut config = Config::new(self.directory.path().join("vnet-ipam.db"));
        config.pools.extend(pools.iter().map(|(name, cidr)| Pool::new(name, cidr).unwrap()));
        config.clock = Clock::Manual(Arc::clone(&self.now));
        config.driver = driver;
        VnetIpam::open(config).await.unwrap()
    }
}

pub(crate) fn cidr(response: &ProvisionResponse) -> String {
    response.metadata.as_option().unwrap()["attributes"]["cidr"].as_str().unwrap().to_owned()
}

/// Orders a network and says which prefix it got.
pub(crate) async fn network(broker: &dyn ServiceBroker, id: &str, plan: &str, with: Value) -> Result<String, Error> {
    match broker.provision(&Call::default(), order(id, plan, with)).await? {
        Provisioned::Created(response) => Ok(cidr(&response)),
        other => panic!("{id} was not made now: {other:?}"),
    }
}

/// Waits for a level, for at most ten seconds.
pub(crate) async fn wait_until(reached: impl Fn() -> bool) {
    let waiting = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(10));
        while !reached() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.expect("reached in time");
}

/// All that a bare GET with HTTP Basic is answered.
pub(crate) async fn raw_get(address: std::net::SocketAddr, path: &str, basic: Option<&str>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let authorization = basic.map(|basic| format!("Authorization: Basic {basic}\r\n")).unwrap_or_default();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let headers = format!("Host: b\r\nConnection: close\r\nX-Broker-API-Version: 2.17\r\n{authorization}");
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Status and body of a bare GET.
pub(crate) async fn get(address: std::net::SocketAddr, path: &str, basic: Option<&str>) -> (u16, String) {
    let answer = raw_get(address, path, basic).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
