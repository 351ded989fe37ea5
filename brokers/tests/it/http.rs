//! `vnet-ipam` over HTTP: the same broker, behind a lock.

use std::sync::Arc;

use osb::client::{Client, Credentials};
use osb::server::{BasicAuth, Server};
use osb::{Bound, Call, FetchInstanceRequest, ServiceBroker};
use serde_json::{Value, json};

use crate::support::{Ipam, binding, cidr, get, network, removal};

#[tokio::test]
async fn a_network_is_ordered_bound_and_deleted_over_http_with_the_right_password_only() {
    let ipam = Ipam::new();
    let broker: Arc<dyn ServiceBroker> = Arc::new(ipam.open(&[]).await);
    let running = Server::new(BasicAuth::new(Arc::clone(&broker), "u", "p")).bind("127.0.0.1:0").unwrap();
    let client = |password: &str| {
        let credentials = Credentials::Basic { username: "u".into(), password: password.into() };
        Client::builder(&running.url()).credentials(credentials).build().unwrap()
    };
    assert_eq!(get(running.address(), "/v2/catalog", None).await.0, 401, "AUTH-02");
    assert!(network(&client("wrong"), "a", "small", Value::Null).await.is_err());
    let fetch = FetchInstanceRequest { instance_id: "a".into(), ..FetchInstanceRequest::default() };
    let call = Call::default();
    assert_eq!(broker.fetch_instance(&call, fetch.clone()).await.unwrap_err().status, 404);

    let client = client("p");
    let catalog = client.catalog(&call).await.unwrap().parse().unwrap();
    assert_eq!(catalog.offerings().next().unwrap().unwrap().name, "virtual-network");
    let made = network(&client, "a", "small", json!({"subnets": [{"name": "web", "new_bits": 1}]})).await.unwrap();
    assert_eq!(made, "10.0.0.0/28");
    let fetched = client.fetch_instance(&call, fetch).await.unwrap();
    let shown = osb::ProvisionResponse { metadata: fetched.metadata, ..osb::ProvisionResponse::default() };
    assert_eq!(cidr(&shown), made);
    let Bound::Created(bound) = client.bind(&call, binding("a", "b", "small", Value::Null)).await.unwrap() else {
        panic!("201")
    };
    let credentials = bound.credentials.into_option().unwrap();
    assert_eq!((&credentials["cidr"], &credentials["ip"]), (&json!("10.0.0.0/28"), &json!("10.0.0.2")));
    client.deprovision(&call, removal("a", "small")).await.unwrap();
    assert_eq!(client.deprovision(&call, removal("a", "small")).await.unwrap_err().status, 410);
    running.stop().await;
}
