//! What the driver asks NetBox for, and what it makes of the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bourse_brokers::vnet_ipam::driver::netbox::{Config, Mark, NetBox, Parent, StartError};
use bourse_brokers::vnet_ipam::driver::{
    AllocationRequest, Assigned, Driver, DriverError, NetworkSpec, PREFIXES_MAX, Range, Workload,
};
use bourse_brokers::vnet_ipam::prefix::{Prefix, Version};
use futures_util::future::join_all;
use osb::kit::Tenant;

use super::model::Model;
use super::server::{Fate, Server, TOKEN};

pub(crate) fn config(server: &Server, parents: &[(&str, &str)]) -> Config {
    let parents = parents.iter().map(|(pool, parent)| ((*pool).to_owned(), parent.parse().unwrap()));
    Config {
        url: server.url.clone(),
        token: TOKEN.to_owned(),
        parents: parents.collect::<BTreeMap<String, Parent>>(),
        mark: Mark::Description,
        addresses: true,
        timeout: Duration::from_secs(5),
        ca_pem: None,
    }
}

/// A NetBox with one container, and a driver that takes from it.
pub(crate) async fn site() -> (Server, NetBox) {
    let mut model = Model::new();
    model.add("10.0.0.0/16", None, "container", "for bourse");
    let server = Server::start(model).await;
    let driver = NetBox::new(config(&server, &[("default", "10.0.0.0/16")])).unwrap();
    (server, driver)
}

pub(crate) fn request(resource: &str, length: u8) -> AllocationRequest {
    AllocationRequest {
        resource: resource.to_owned(),
        number: 0,
        pool: "default".to_owned(),
        routing_domain: Some("default".to_owned()),
        version: Version::V4,
        length,
        wanted: None,
        tenant: None,
        description: "shop".to_owned(),
    }
}

pub(crate) fn network(resource: &str, prefixes: &[Prefix]) -> NetworkSpec {
    NetworkSpec {
        resource: resource.to_owned(),
        prefixes: prefixes.iter().map(|prefix| Range::new(*prefix)).collect(),
        subnets: Vec::new(),
        routing_domain: Some("default".to_owned()),
        tenant: None,
        workloads: Vec::new(),
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_prefix_is_reserved_confirmed_deprecated_and_deleted() {
    let (server, driver) = site().await;
    let mut order = request("net-1", 26);
    order.tenant = Some(Tenant { id: "t-1".into(), name: "retail".into(), groups: Vec::new() });
    let got = driver.allocate(&order).await.unwrap().unwrap();
    assert_eq!(got, prefix("10.0.0.0/26"));
    let row = server.with(|model| model.prefixes[1].clone());
    assert_eq!((row.status.as_str(), row.description.as_str()), ("reserved", "bourse:net-1"));
    assert_eq!(row.comments, "Tenant retail (t-1). shop");
    // The same again is the same.
    assert_eq!(driver.allocate(&order).await.unwrap(), Some(got));
    assert_eq!(server.additions(), 1);

    let network = network("net-1", &[got]);
    let findings = driver.check(&network).await.unwrap();
    assert!(matches!(&findings[..], [one] if one.contains("reserved")), "{findings:?}");
    driver.apply(&network).await.unwrap();
    assert_eq!(server.with(|model| model.prefixes[1].status.clone()), "active");
    assert_eq!(driver.check(&network).await.unwrap(), Vec::<String>::new());
    driver.retire(&network).await.unwrap();
    assert_eq!(server.with(|model| model.prefixes[1].status.clone()), "deprecated");
    // While it rests nobody else gets it.
    assert_eq!(driver.allocate(&request("net-2", 26)).await.unwrap(), Some(prefix("10.0.0.64/26")));
    driver.remove("net-1").await.unwrap();
    driver.remove("net-1").await.unwrap();
    assert_eq!(server.with(|model| model.prefixes.len()), 2);
    assert_eq!(driver.allocate(&request("net-3", 26)).await.unwrap(), Some(prefix("10.0.0.0/26")));
}

#[tokio::test]
async fn a_network_grows_by_more_prefixes_and_all_of_them_go() {
    let (server, driver) = site().await;
    let mut got = Vec::new();
    for number in 0..PREFIXES_MAX {
        let order = AllocationRequest { number, ..request("grown", 28) };
        got.push(driver.allocate(&order).await.unwrap().unwrap());
        assert_eq!(driver.allocate(&order).await.unwrap(), Some(got[number]));
    }
    assert_eq!(got.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len(), PREFIXES_MAX);
    let beyond = AllocationRequest { number: PREFIXES_MAX, ..request("grown", 28) };
    driver.allocate(&beyond).await.unwrap_err();
    let network = network("grown", &got);
    driver.apply(&network).await.unwrap();
    assert_eq!(driver.check(&network).await.unwrap(), Vec::<String>::new());
    driver.remove("grown").await.unwrap();
    assert_eq!(server.with(|model| model.prefixes.len()), 1);
}

#[tokio::test]
async fn parents_are_named_by_id_or_by_prefix_and_vrf_and_belong_to_routing_domains() {
    let mut model = Model::new();
    model.add("10.0.0.0/16", None, "container", "");
    let of_vrf = model.add("10.0.0.0/16", Some(3), "container", "");
    let v6 = model.add("fd00:5::/48", None, "container", "");
    let server = Server::start(model).await;
    let v6 = v6.to_string();
    let parents =
        [("default", "10.0.0.0/16"), ("red/default", "10.0.0.0/16@3"), ("six", v6.as_str()), ("twice", "10.0.0.0/16")];
    let driver = NetBox::new(config(&server, &parents)).unwrap();
    assert_eq!(driver.check_start().await.unwrap(), "4.6.8");

    let red = AllocationRequest { routing_domain: Some("red".into()), ..request("red", 24) };
    assert_eq!(driver.allocate(&red).await.unwrap(), Some(prefix("10.0.0.0/24")));
    assert_eq!(server.with(|model| model.prefixes[3].vrf), Some(3));
    // Another domain: the same addresses are free there.
    assert_eq!(driver.allocate(&request("plain", 24)).await.unwrap(), Some(prefix("10.0.0.0/24")));
    assert_eq!(server.with(|model| model.prefixes[4].vrf), None);
    let six = AllocationRequest { pool: "six".into(), version: Version::V6, ..request("six", 64) };
    assert_eq!(driver.allocate(&six).await.unwrap(), Some(prefix("fd00:5::/64")));
    // A domain of its own: the broker's pools decide.
    let isolated = AllocationRequest { routing_domain: None, ..request("isolated", 24) };
    assert_eq!(driver.allocate(&isolated).await.unwrap(), None);

    for (domain, pool) in [("default", "none"), ("red", "six"), ("blue", "default")] {
        let order = AllocationRequest { pool: pool.into(), routing_domain: Some(domain.into()), ..request("no", 24) };
        let DriverError::Refused(sentence) = driver.allocate(&order).await.unwrap_err() else { panic!("refused") };
        assert!(sentence.contains(&format!("`{pool}`")) && sentence.contains("red/default"), "{sentence}");
    }
    let second = server.with(|model| model.add("10.0.0.0/16", None, "container", "the same again"));
    let error = driver.check_start().await.unwrap_err().to_string();
    assert!(error.contains("several prefixes 10.0.0.0/16"), "{error}");
    assert!(second > of_vrf);
}

#[tokio::test]
async fn what_netbox_refuses_is_said_and_nothing_is_held() {
    let (server, driver) = site().await;
    driver.allocate(&request("most", 17)).await.unwrap();
    let DriverError::Refused(sentence) = driver.allocate(&request("all", 16)).await.unwrap_err() else {
        panic!("refused")
    };
    assert_eq!(sentence, "no free /16 in pool `default`: ask for a longer prefix_length or another pool");
    let impossible = AllocationRequest { version: Version::V6, ..request("impossible", 64) };
    assert!(matches!(driver.allocate(&impossible).await, Err(DriverError::Failed { .. })));
    assert_eq!(server.with(|model| model.prefixes.len()), 2);
    for (status, expected) in [(429, Some(7)), (503, None), (502, None)] {
        server.fates(&[Fate::Status(status)]);
        let error = driver.allocate(&request("later", 24)).await.unwrap_err();
        let DriverError::Unavailable { retry_after_seconds, .. } = error else { panic!("{error:?}") };
        assert_eq!(retry_after_seconds, expected);
    }
    for status in [400, 401, 403, 404, 418, 301] {
        server.fates(&[Fate::Status(status)]);
        let error = driver.allocate(&request("never", 24)).await.unwrap_err();
        assert!(matches!(error, DriverError::Failed { .. }), "{status}: {error:?}");
    }
    assert_eq!(server.with(|model| model.prefixes.len()), 2);
    assert!(driver.allocate(&request("later", 24)).await.unwrap().is_some());
}

fn wanted(resource: &str, text: &str) -> AllocationRequest {
    AllocationRequest { wanted: Some(prefix(text)), ..request(resource, prefix(text).length()) }
}

#[tokio::test]
async fn a_given_prefix_is_had_where_it_is_free_and_refused_where_it_is_not() {
    let (server, driver) = site().await;
    for (resource, text) in [("one", "10.0.1.0/24"), ("two", "10.0.128.0/17")] {
        assert_eq!(driver.allocate(&wanted(resource, text)).await.unwrap(), Some(prefix(text)));
        assert_eq!(driver.allocate(&wanted(resource, text)).await.unwrap(), Some(prefix(text)));
    }
    assert_eq!(server.additions(), 2);
    for text in ["10.0.1.0/24", "10.0.1.128/25", "10.0.0.0/23", "10.0.0.0/16", "10.1.0.0/24", "10.0.0.0/8"] {
        let error = driver.allocate(&wanted("no", text)).await.unwrap_err();
        assert!(matches!(&error, DriverError::Refused(sentence) if sentence.contains(text)), "{text}: {error:?}");
    }
    assert_eq!((server.additions(), server.with(|model| model.prefixes.len())), (2, 3));
    assert_eq!(driver.allocate(&request("next", 24)).await.unwrap(), Some(prefix("10.0.0.0/24")));
}

#[tokio::test]
async fn a_given_prefix_that_somebody_else_takes_at_the_same_time_is_given_back() {
    for (other, added) in [("10.0.1.0/24", 1), ("10.0.1.64/26", 1), ("10.0.0.0/20", 1)] {
        let (server, driver) = site().await;
        // Added between the look at what is free and the look at what was made.
        server.fates(&[Fate::DoneAfter(other)]);
        let error = driver.allocate(&wanted("mine", "10.0.1.0/24")).await.unwrap_err();
        assert!(matches!(error, DriverError::Refused(_)), "{other}: {error:?}");
        assert_eq!((server.additions(), server.with(|model| model.prefixes.len())), (added, 2));
    }
    // Likewise where NetBox itself chose.
    let (server, driver) = site().await;
    server.fates(&[Fate::DoneBefore("10.0.0.0/25")]);
    let error = driver.allocate(&request("mine", 24)).await.unwrap_err();
    assert!(matches!(error, DriverError::Unavailable { .. }), "{error:?}");
    assert_eq!(driver.allocate(&request("mine", 24)).await.unwrap(), Some(prefix("10.0.1.0/24")));
    // And where NetBox refuses the very same prefix.
    let mut model = Model::new();
    model.add("10.0.0.0/16", Some(4), "container", "");
    model.unique_vrf = Some(4);
    let server = Server::start(model).await;
    let driver = NetBox::new(config(&server, &[("default", "1")])).unwrap();
    server.fates(&[Fate::DoneAfter("10.0.1.0/24")]);
    let error = driver.allocate(&wanted("mine", "10.0.1.0/24")).await.unwrap_err();
    assert!(matches!(error, DriverError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn what_an_order_left_that_came_to_nothing_makes_way_for_another_size() {
    let (server, driver) = site().await;
    let first = driver.allocate(&request("net", 24)).await.unwrap().unwrap();
    assert_eq!(driver.allocate(&request("net", 26)).await.unwrap(), Some(prefix("10.0.0.0/26")));
    assert_eq!(driver.allocate(&wanted("net", "10.0.9.0/24")).await.unwrap(), Some(prefix("10.0.9.0/24")));
    assert_eq!(server.with(|model| model.prefixes.len()), 2);
    // But not once it is confirmed.
    driver.apply(&network("net", &[prefix("10.0.9.0/24")])).await.unwrap();
    let error = driver.allocate(&request("net", 26)).await.unwrap_err();
    assert!(matches!(error, DriverError::Failed { .. }), "{error:?}");
    assert_ne!(driver.allocate(&request("net", 24)).await.unwrap(), Some(first));
}

#[tokio::test]
async fn many_at_once_get_what_overlaps_nothing() {
    let (server, driver) = site().await;
    let orders: Vec<_> = (0..40).map(|number| request(&format!("net-{number}"), 24)).collect();
    let got = join_all(orders.iter().map(|order| driver.allocate(order))).await;
    let got: BTreeSet<_> = got.into_iter().map(|got| got.unwrap().unwrap().to_string()).collect();
    assert_eq!((got.len(), server.additions()), (40, 40));
}

#[tokio::test]
async fn addresses_of_bindings_are_recorded_in_the_vrf_of_their_network() {
    let mut model = Model::new();
    model.add("10.0.0.0/16", Some(9), "container", "");
    let server = Server::start(model).await;
    let driver = NetBox::new(config(&server, &[("default", "1")])).unwrap();
    let got = driver.allocate(&request("net", 24)).await.unwrap().unwrap();
    let mut network = network("net", &[got]);
    let gateway = network.prefixes[0].gateway;
    for (binding, last, name) in [("b1", 5, "DB-1.shop.example"), ("b2", 6, "not a name")] {
        let address = got.version().address(got.first() + last);
        let addresses = vec![Assigned { address, prefix_length: 24, gateway }];
        let workload = Workload { binding_resource: binding.to_owned(), addresses, hostname: Some(name.to_owned()) };
        for _ in 0..2 {
            driver.attach(&network, &workload).await.unwrap();
        }
        network.workloads.push(workload);
    }
    let rows = server.with(|model| model.addresses.clone());
    let shown: Vec<_> = rows.iter().map(|row| (row.range.as_str(), row.vrf, row.dns_name.as_str())).collect();
    assert_eq!(shown, [("10.0.0.5/24", Some(9), "db-1.shop.example"), ("10.0.0.6/24", Some(9), "")]);
    assert!(rows.iter().all(|row| row.status == "active"));
    driver.apply(&network).await.unwrap();
    assert_eq!(driver.check(&network).await.unwrap(), Vec::<String>::new());
    driver.detach("net", "b1").await.unwrap();
    driver.detach("net", "b1").await.unwrap();
    assert_eq!(server.with(|model| model.addresses.len()), 1);
    assert_eq!(driver.check(&network).await.unwrap(), ["NetBox does not hold the address 10.0.0.5/24"]);
    driver.apply(&network).await.unwrap();
    assert_eq!(server.with(|model| model.addresses.len()), 2);
}

#[tokio::test]
async fn what_people_change_in_netbox_is_found_and_what_is_theirs_is_left() {
    let (server, driver) = site().await;
    let got = driver.allocate(&request("net", 24)).await.unwrap().unwrap();
    let network = network("net", &[got]);
    driver.apply(&network).await.unwrap();
    // Cloned by hand: the description comes along.
    let clone = server.with(|model| model.add("10.0.99.0/24", None, "active", "bourse:net"));
    // Marked alike, but not quite: a filter that NetBox ignores would let it through.
    server.with(|model| model.add("10.0.98.0/24", None, "active", "bourse:net-of-somebody-else"));
    let findings = driver.check(&network).await.unwrap();
    assert_eq!(findings, [format!("NetBox holds another prefix 10.0.99.0/24 (id {clone}) with the same mark")]);
    driver.remove("net").await.unwrap();
    assert_eq!(server.with(|model| model.prefixes.len()), 3, "the container and what is theirs");

    let got = driver.allocate(&request("edited", 24)).await.unwrap().unwrap();
    let network = self::network("edited", &[got]);
    driver.apply(&network).await.unwrap();
    server.with(|model| model.prefixes.last_mut().unwrap().range = "10.0.50.0/24".into());
    assert!(driver.check(&network).await.unwrap()[0].contains("where it shall be"));
    assert!(matches!(driver.apply(&network).await, Err(DriverError::Failed { .. })));
    server.with(|model| model.prefixes.pop());
    assert!(driver.check(&network).await.unwrap()[0].contains("does not hold"));
    assert!(matches!(driver.apply(&network).await, Err(DriverError::Failed { .. })));
}

#[tokio::test]
async fn marks_can_stand_in_a_custom_field() {
    let (server, _) = site().await;
    let marked = Config { mark: "custom_field:bourse".parse().unwrap(), ..config(&server, &[("default", "1")]) };
    let driver = NetBox::new(marked).unwrap();
    let error = driver.check_start().await.unwrap_err().to_string();
    assert_eq!(error, "NetBox has no custom field `bourse`: add one of type text");
    // Without it NetBox ignores the filter and the field: nothing is taken for the network's own.
    server.with(|model| model.add("10.0.7.0/24", None, "active", "somebody's"));
    assert!(matches!(driver.allocate(&request("net", 24)).await, Err(DriverError::Unavailable { .. })));
    server.with(|model| {
        model.prefixes.pop();
        model.field = Some(("bourse".into(), true));
    });
    driver.check_start().await.unwrap();
    let got = driver.allocate(&request("net", 24)).await.unwrap();
    assert_eq!(driver.allocate(&request("net", 24)).await.unwrap(), got);
    let row = server.with(|model| model.prefixes.last().unwrap().clone());
    assert_eq!((row.mark.as_deref(), row.description.as_str()), (Some("bourse:net"), ""));
    for text in ["", "custom_field:", "custom_field:a b", "tag", "custom_field:a&b"] {
        text.parse::<Mark>().unwrap_err();
    }
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_links_in_them_are_not_followed() {
    let (server, driver) = site().await;
    server.with(|model| model.page_max = 1);
    for number in 0..3 {
        driver.allocate(&AllocationRequest { number, ..request("paged", 24) }).await.unwrap();
    }
    driver.remove("paged").await.unwrap();
    assert_eq!(server.with(|model| model.prefixes.len()), 1);
}

#[tokio::test]
async fn tokens_of_both_versions_are_sent_as_netbox_wants_them_and_shown_nowhere() {
    let (server, driver) = site().await;
    let first_version = "0123456789abcdef0123456789abcdef01234567";
    server.state().authorization = format!("Token {first_version}");
    let refused = driver.allocate(&request("net", 24)).await.unwrap_err();
    let start = driver.check_start().await.unwrap_err();
    for shown in [format!("{refused:?} {refused}"), format!("{start:?} {start}"), format!("{driver:?}")] {
        assert!(!shown.contains("SECRET") && !shown.contains("nbt_"), "{shown}");
    }
    let old = Config { token: first_version.to_owned(), ..config(&server, &[("default", "1")]) };
    assert!(!format!("{old:?}").contains(first_version));
    NetBox::new(old).unwrap().check_start().await.unwrap();
}

#[tokio::test]
async fn a_malformed_configuration_and_a_netbox_that_is_too_old_are_said_at_start() {
    let (server, _) = site().await;
    let right = config(&server, &[]);
    for url in ["", "netbox", "ftp://h/", "http://u:p@h/", "http://h/?a", "http://h/#a"] {
        assert!(matches!(NetBox::new(Config { url: url.into(), ..right.clone() }), Err(StartError::Url)), "{url}");
    }
    for token in ["", "a b", "a\nb", "\u{e9}"] {
        let wrong = Config { token: token.into(), ..right.clone() };
        assert!(matches!(NetBox::new(wrong), Err(StartError::Token)), "{token:?}");
    }
    for parent in ["", "x", "10.0.0.1/8", "10.0.0.0/8@", "10.0.0.0/8@x", "-1"] {
        parent.parse::<Parent>().unwrap_err();
    }
    server.with(|model| model.version = "3.7.8".into());
    let error = NetBox::new(right.clone()).unwrap().check_start().await.unwrap_err().to_string();
    assert_eq!(error, "NetBox is 3.7.8: 4.0 or later is needed");
    // Nobody is there.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let gone = NetBox::new(Config { url: url.clone(), ..right }).unwrap();
    let error = gone.check_start().await.unwrap_err().to_string();
    assert!(error.starts_with("NetBox can't be used: could not be reached") && !error.contains(&url), "{error}");
}
