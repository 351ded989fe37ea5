//! Orders that refer: what the broker gets, what is shown, and what counts as the same order.

use std::collections::BTreeMap;

use bourse::domain::caller::{Caller, Person};
use bourse::domain::permission::Permission;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Related, catalog, on_both};
use crate::support::bare::On;
use crate::support::pair::Pair;
use crate::support::recorder::Recorder;

#[tokio::test]
async fn a_name_is_sent_as_the_id_that_the_broker_of_what_it_names_knows() {
    on_both(async |r| {
        let (net, peer) =
            (r.ordered("net", "network/one", json!({})).await, r.ordered("peer", "network/one", json!({})).await);
        let keys = r.ordered("keys", "vault/one", json!({})).await;
        let parameters =
            json!({"network": "net", "peers": ["peer", "net"], "keys": {"vault": "keys"}, "size": 3, "note": "net"});
        let cluster = r.ordered("cluster", "cluster/one", parameters.clone()).await;
        let expected = json!({"network": net, "peers": [peer, net], "keys": {"vault": keys}, "size": 3, "note": "net"});
        assert_eq!(r.sent("provision"), expected);
        assert_eq!(r.recorder.last("provision").instance_id(), cluster);

        // The same order again is the same order; so is one that says less.
        let before = r.recorder.seen().len();
        assert_eq!(r.order("cluster", "cluster/one", parameters).await.status, 200);
        assert_eq!(r.order("cluster", "cluster/one", json!({"network": "net"})).await.status, 200);
        assert_eq!(r.recorder.seen().len(), before, "nothing more was sent");

        let shown = r.shown("cluster").await;
        let reference = |at: &str, id: &str, name: &str| json!({"parameter": at, "instance_id": id, "name": name});
        let expected = json!([
            reference("/keys/vault", &keys, "keys"),
            reference("/network", &net, "net"),
            reference("/peers/0", &peer, "peer"),
            reference("/peers/1", &net, "net"),
        ]);
        assert_eq!((&shown["references"], &shown["dependents"]), (&expected, &json!([])));
        let detail = r.bench.hub.admin(Method::GET, &format!("/api/v1/instances/{net}"), None).await.body;
        let dependents = json!([{"instance_id": cluster, "name": "cluster"}]);
        assert_eq!((&detail["references"], &detail["dependents"]), (&json!([]), &dependents), "each only once");
        assert_eq!(r.shown("net").await["dependents"], dependents);
    })
    .await;
}

#[tokio::test]
async fn a_platform_names_its_own_ids_bourses_ids_and_what_people_named() {
    on_both(async |r| {
        let b = &r.bench;
        let named = r.ordered("net", "network/one", json!({})).await;
        b.check("a network", "PUT platform-net", Some(b.order("network/one", json!({}))), (201, "")).await;
        let own = r.recorder.last("provision").instance_id();
        for (id, name, sent) in [("a", "platform-net", &own), ("b", "net", &named), ("c", own.as_str(), &own)] {
            let body = b.order("cluster/one", json!({"parameters": {"network": name, "size": 1}}));
            b.check(name, &format!("PUT {id}"), Some(body.clone()), (201, "")).await;
            assert_eq!(r.sent("provision"), json!({"network": sent, "size": 1}), "{name}");
            b.check("the same again", &format!("PUT {id}"), Some(body), (200, "")).await;
            let other = b.order("cluster/one", json!({"parameters": {"network": sent, "size": 1}}));
            let status = if *sent == name { 200 } else { 409 };
            b.check("by another name is another order", &format!("PUT {id}"), Some(other), (status, "")).await;
        }
        // What the broker tells is told on in the words of the order.
        let told = |id: &str| json!({"parameters": {"network": id, "size": 1, "note": id}});
        r.recorder.say("fetch", 200, &told(&own));
        let reply = b.check("fetched", &format!("GET a?{}", b.query("cluster/one")), None, (200, "")).await;
        assert_eq!(reply.json()["parameters"], json!({"network": "platform-net", "size": 1, "note": own}));
        r.recorder.say("fetch", 200, &told("somebody-else's"));
        let reply = b.check("fetched", &format!("GET a?{}", b.query("cluster/one")), None, (200, "")).await;
        assert_eq!(reply.json()["parameters"]["network"], "somebody-else's", "what is not ours stays");
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_declares_none_takes_names_as_they_are() {
    on_both(async |r| {
        r.ordered("net", "network/one", json!({})).await;
        r.ordered("plain", "cluster/plain", json!({"network": "net", "keys": {"vault": "x"}})).await;
        assert_eq!(r.sent("provision"), json!({"network": "net", "keys": {"vault": "x"}}));
        assert_eq!(r.shown("plain").await["references"], json!([]));
        r.ordered("none", "cluster/one", json!({"network": null, "peers": []})).await;
        assert_eq!(r.sent("provision"), json!({"network": null, "peers": []}));
        assert_eq!(r.delete("net").await.status, 204);
    })
    .await;
}

#[tokio::test]
async fn svc_10_platforms_see_the_keyword_as_the_broker_wrote_it() {
    let r = Related::new(On::Sqlite).await;
    for kind in ["cloudfoundry", "kubernetes", "bourse", "other"] {
        use bourse::domain::platform::PlatformKind;
        let kind = PlatformKind::parse(kind).expect("a kind");
        let document = r.bench.hub.app.catalog().document(Some("related"), kind);
        let seen: Value = serde_json::from_slice(&document.json).expect("JSON");
        let schemas = |catalog: &Value| catalog["services"][2]["plans"][0]["schemas"].to_string();
        assert!(schemas(&seen).contains(r#""x-bourse-ref":{"offering":"network"}"#), "{kind:?}");
        assert_eq!(schemas(&seen), schemas(&catalog()), "{kind:?}");
    }
    r.bench.hub.stop().await;
}

#[tokio::test]
async fn a_keyword_that_is_not_read_is_a_finding() {
    let r = Related::new(On::Sqlite).await;
    let mut catalog = catalog();
    let properties = "/services/2/plans/0/schemas/service_instance/create/parameters/properties";
    catalog.pointer_mut(properties).expect("properties")["network"]["x-bourse-ref"] = json!("network");
    let broken = Recorder::start(&catalog);
    r.bench.register("broken", &broken, json!({"name_prefix": "broken-"})).await;
    let shown = r.bench.hub.admin(Method::GET, "/api/v1/brokers/broken", None).await.body;
    let findings = shown["offerings"][2]["findings"].to_string();
    assert!(findings.contains(&format!("{properties}/network/x-bourse-ref")), "{findings}");
    assert!(findings.contains("warning") && shown["offerings"][2]["state"] == "available", "{shown}");
    r.bench.hub.stop().await;
}

#[tokio::test]
async fn a_hub_in_front_of_a_hub_passes_on_what_its_own_names_mean() {
    let pair = Pair::new(On::Sqlite).await;
    let recorder = Recorder::start(&catalog());
    pair.inner.register("related", &recorder, json!({})).await;
    let refreshed = pair.outer.admin(Method::POST, "/api/v1/brokers/inner/refresh", None).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    let order = async |name: &str, offering: &str, parameters: Value| {
        let body = json!({"offering": offering, "plan": "one", "parameters": parameters});
        let path = format!("/api/v1/tenants/retail/instances/{name}");
        pair.outer.admin(Method::PUT, &path, Some(body)).await
    };
    assert_eq!(order("net", "inner-network", json!({})).await.status, 201);
    let network = recorder.last("provision").instance_id();
    let made = order("cluster", "inner-cluster", json!({"network": "net"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(recorder.last("provision").json()["parameters"], json!({"network": network}));
    let refused = pair.outer.admin(Method::DELETE, "/api/v1/tenants/retail/instances/net", None).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("in_use")));
    pair.stop().await;
}

#[tokio::test]
async fn a_provider_is_named_no_instance_of_another_broker_and_a_colleague_none_of_another_tenant() {
    on_both(async |s| {
        let second = Recorder::start(&catalog());
        s.bench.register("second", &second, json!({"name_prefix": "s-"})).await;
        let v = s.ordered("v", "s-vault/one", json!({})).await;
        let n = s.ordered("n", "network/one", json!({})).await;
        let c = s.ordered("c", "cluster/one", json!({"keys": {"vault": "v"}, "network": "n"})).await;
        let hub = &s.bench.hub;
        let shown = async |who: &Caller, id: &str| {
            let sight = Permission::SeeInstances.sight(who).expect("a sight");
            let relations = hub.app.instance(&sight, id).await.expect("it is there").relations;
            let refers: Vec<_> = relations.references.into_iter().map(|(_, other)| other.id).collect();
            (refers, relations.dependents.into_iter().map(|other| other.id).collect::<Vec<_>>())
        };
        let provider = |name: &str| {
            let catalog = hub.app.catalog();
            let part = catalog.parts().iter().find(|part| part.broker_name == name).expect("a broker");
            let provides = BTreeMap::from([(part.broker_id.clone(), name.to_owned())]);
            Caller::User(Box::new(Person { name: name.to_owned(), provides, ..Person::default() }))
        };
        let everybody = Caller::Admin("admin".into());
        assert_eq!(shown(&everybody, &c).await, (vec![v.clone(), n.clone()], vec![]), "by the parameter's place");
        assert_eq!(shown(&everybody, &v).await, (vec![], vec![c.clone()]));
        assert_eq!(shown(&provider("related"), &c).await, (vec![n.clone()], vec![]), "v is another broker's");
        assert_eq!(shown(&provider("related"), &n).await, (vec![], vec![c.clone()]));
        assert_eq!(shown(&provider("second"), &v).await, (vec![], vec![]), "c is another broker's");
        // Who was granted one instance of another tenant.
        let until = s.bench.world.clock.now().plus(std::time::Duration::from_secs(3600));
        let path = format!("/api/v1/instances/{c}/grants/ada");
        let grant = json!({"role": "reader", "expires_at": until});
        assert_eq!(hub.admin(Method::PUT, &path, Some(grant)).await.status, 200);
        let member_of = BTreeMap::from([("another".to_owned(), "another".to_owned())]);
        let ada = Caller::User(Box::new(Person { name: "ada".to_owned(), member_of, ..Person::default() }));
        let seen = hub.app.ordered(&ada, "retail", "c").await.expect("granted").relations;
        assert!(seen.is_none(), "{seen:?}");
    })
    .await;
}
