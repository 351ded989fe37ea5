//! A hub behind a hub: the inner one believes the outer one's stamps and nothing else, replaces them by its own, and neither
//! a call nor an offering goes round in a ring.

use bourse::app::stamps::{StampFacts, StampTenant};
use bytes::Bytes;
use osb::WireRequest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::pair::{Pair, registration, seat};
use crate::support::raw::{self, RawReply};

impl Pair {
    /// A request of the shop at the outer hub for `recorded/small`.
    async fn call(&self, method: Method, path: &str, more: Value) -> (u16, Value) {
        let catalog = self.outer.app.catalog();
        let plan = catalog.plan_by_name("inner-recorded", "small").expect("the inner hub's plan");
        let query = format!("service_id={}&plan_id={}&accepts_incomplete=true", plan.offering_id, plan.plan_id);
        let mut body = json!({"service_id": plan.offering_id, "plan_id": plan.plan_id});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let body = (method != Method::DELETE && method != Method::GET).then_some(body);
        let path = format!("/v2/service_instances/{path}?{query}");
        let reply = self.outer.osb(&self.shop, method, &path, body).await;
        (reply.status, reply.body)
    }

    /// A request that reaches the inner hub as if the outer one had sent it, with that stamp or none.
    async fn as_outer(&self, stamp: Option<&str>, line: &str, body: &str) -> RawReply {
        let stamp = stamp.map(|stamp| format!("\nX-Bourse-Stamp: {stamp}")).unwrap_or_default();
        let head = format!(
            "{line} HTTP/1.1\nX-Broker-API-Version: 2.17\nContent-Type: application/json\nAuthorization: {}{stamp}",
            raw::basic(&self.seat)
        );
        raw::send(&self.inner.hub.url, &head, body).await
    }

    /// The outer hub's stamp for a request, with those facts.
    async fn stamp(&self, broker: &str, line: &str, body: &str, facts: &StampFacts) -> String {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let request = WireRequest {
            method: method.into(),
            path_and_query: path.into(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.outer.app.stamp(broker, &request, facts).await.expect("no stamp")
    }
}

/// That the recorder's last call of a kind carries the inner hub's own stamp, with both hubs and the inner hub's tenant.
async fn is_restamped(pair: &Pair, verb: &str) {
    let seen = pair.inner.recorder.last(verb);
    let verifier = pair.inner.verifier("recorder");
    let stamp = pair.inner.stamp(&verifier, &seen).await;
    assert_eq!(stamp.tenant.name, "shops", "{verb}");
    assert_eq!((stamp.platform.name.as_str(), stamp.platform.kind.as_str()), ("outer", "bourse"), "{verb}");
    assert_eq!(stamp.via, ["outer", "inner"], "{verb}");
}

#[tokio::test]
async fn a_hub_behind_a_hub_believes_its_stamp_and_replaces_it() {
    on_each(async |on| {
        let pair = Pair::new(on).await;
        let order = json!({"organization_guid": "o", "space_guid": "s",
            "context": {"platform": "kubernetes", "namespace": "web", "bourse": {"tenant": {"name": "spoofed"}}}});
        assert_eq!(pair.call(Method::PUT, "i-1", order.clone()).await.0, 201);
        is_restamped(&pair, "provision").await;
        let told = pair.inner.recorder.last("provision").json()["context"]["bourse"].clone();
        assert_eq!((&told["tenant"]["name"], &told["tenant"]["cost_center"]), (&json!("shops"), &json!("0815")));
        assert_eq!(told["via"], json!(["outer", "inner"]));
        assert_eq!(told["platform"]["kind"], "bourse");
        let outer_id = {
            let list = pair.outer.admin(Method::GET, "/api/v1/instances?platform_instance_id=i-1", None).await.body;
            list["items"][0]["id"].clone()
        };
        assert_eq!(told["instance_id"], outer_id, "the outer hub's id is the platform's id of the inner one");

        assert_eq!(pair.call(Method::PUT, "i-1", order).await.0, 200, "a repeat");
        assert_eq!(pair.call(Method::PATCH, "i-1", json!({"parameters": {"a": 1}})).await.0, 200);
        is_restamped(&pair, "update").await;
        let (status, bound) = pair.call(Method::PUT, "i-1/service_bindings/b-1", json!({})).await;
        assert_eq!((status, &bound["credentials"]["password"]), (201, &json!("of-the-binding")));
        is_restamped(&pair, "bind").await;
        assert_eq!(pair.call(Method::PUT, "i-1/service_bindings/b-1", json!({})).await, (200, bound));
        assert_eq!(pair.call(Method::DELETE, "i-1/service_bindings/b-1", json!({})).await.0, 200);
        is_restamped(&pair, "unbind").await;
        assert_eq!(pair.call(Method::DELETE, "i-1", json!({})).await.0, 200);
        is_restamped(&pair, "deprovision").await;
        assert_eq!(pair.call(Method::DELETE, "i-1", json!({})).await.0, 410);
        pair.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_hub_does_not_vouch_for_is_401_on_every_endpoint() {
    on_each(async |on| {
        let pair = Pair::new(on).await;
        let facts = StampFacts {
            tenant: Some(StampTenant { name: "retail".into(), ..StampTenant::default() }),
            ..StampFacts::default()
        };
        let order = pair.inner.order("small", json!({})).to_string();
        let query = pair.inner.query("small");
        let lines = [
            ("GET /v2/catalog".to_owned(), ""),
            ("PUT /v2/service_instances/i-1".to_owned(), order.as_str()),
            ("PATCH /v2/service_instances/i-1".to_owned(), order.as_str()),
            ("GET /v2/service_instances/i-1".to_owned(), ""),
            ("GET /v2/service_instances/i-1/last_operation".to_owned(), ""),
            (format!("DELETE /v2/service_instances/i-1?{query}"), ""),
            ("PUT /v2/service_instances/i-1/service_bindings/b-1".to_owned(), order.as_str()),
            ("GET /v2/service_instances/i-1/service_bindings/b-1".to_owned(), ""),
            ("GET /v2/service_instances/i-1/service_bindings/b-1/last_operation".to_owned(), ""),
            (format!("DELETE /v2/service_instances/i-1/service_bindings/b-1?{query}"), ""),
        ];
        for (line, body) in &lines {
            let good = pair.stamp("inner", line, body, &facts).await;
            let other = pair.stamp("inner", "GET /v2/elsewhere", body, &facts).await;
            let (head, tail) = good.rsplit_once('.').expect("a signature");
            let broken = format!("{head}.{}", tail.chars().rev().collect::<String>());
            for (what, stamp) in [("none", None), ("another request's", Some(&other)), ("a broken one", Some(&broken))]
            {
                let reply = pair.as_outer(stamp.map(String::as_str), line, body).await;
                assert_eq!(reply.status, 401, "{line} with {what}: {}", reply.text);
                assert!(
                    reply.json()["description"].as_str().is_some_and(|text| text.contains("stamp")),
                    "{}",
                    reply.text
                );
            }
            let reply = pair.as_outer(Some(&good), line, body).await;
            assert!(reply.status != 401 && reply.status < 500, "{line} with a good one: {}", reply.text);
        }
        // The stamp alone is not enough either.
        let (line, body) = &lines[1];
        let stamp = pair.stamp("inner", line, body, &facts).await;
        let head = format!(
            "{line} HTTP/1.1\nX-Broker-API-Version: 2.17\nContent-Type: application/json\nX-Bourse-Stamp: {stamp}"
        );
        assert_eq!(raw::send(&pair.inner.hub.url, &head, body).await.status, 401);
        pair.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_stamp_meant_for_another_broker_is_refused_where_the_audience_is_named() {
    on_each(async |on| {
        let pair = Box::pin(Pair::new(on)).await;
        let line = "GET /v2/catalog";
        let strict = seat(&pair.inner.hub, "strict", &pair.outer.url, json!({"audience": "inner"})).await;
        let pair = Pair { seat: strict, ..pair };
        let good = pair.stamp("inner", line, "", &StampFacts::default()).await;
        assert_eq!(pair.as_outer(Some(&good), line, "").await.status, 200);
        let strayed = pair.stamp("another", line, "", &StampFacts::default()).await;
        assert_eq!(pair.as_outer(Some(&strayed), line, "").await.status, 401);
        pair.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_tenant_that_nobody_mapped_is_refused_and_counted() {
    on_each(async |on| {
        let pair = Pair::new(on).await;
        let line = "PUT /v2/service_instances/i-1";
        let body = pair.inner.order("small", json!({})).to_string();
        let wholesale = StampTenant { name: "wholesale".into(), ..StampTenant::default() };
        let facts = StampFacts { tenant: Some(wholesale), ..StampFacts::default() };
        let reply = pair.as_outer(Some(&pair.stamp("inner", line, &body, &facts).await), line, &body).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert!(reply.text.contains("wholesale"), "{}", reply.text);
        let unmapped = pair.inner.hub.admin(Method::GET, "/api/v1/identities/unmapped", None).await.body;
        assert!(unmapped.to_string().contains("wholesale"), "{unmapped}");
        assert_eq!(pair.inner.recorder.count("provision"), 0);
        pair.stop().await;
    })
    .await;
}

#[tokio::test]
async fn calls_neither_go_round_nor_through_more_than_four_hubs() {
    on_each(async |on| {
        let pair = Pair::new(on).await;
        let line = "PUT /v2/service_instances/i-1";
        let chain = |hubs: &[&str]| hubs.iter().map(|hub| (*hub).to_owned()).collect::<Vec<_>>();
        for (hubs, in_body, status, says) in [
            (&["inner", "outer"][..], false, 400, "ring"),
            (&["inner", "outer"][..], true, 400, "ring"),
            (&["a", "b", "c", "d", "outer"][..], false, 400, "more than 4"),
            (&["a", "b", "c", "outer"][..], false, 201, ""),
        ] {
            let retail = StampTenant { name: "retail".into(), ..StampTenant::default() };
            let via = if in_body { Vec::new() } else { chain(hubs) };
            let facts = StampFacts { tenant: Some(retail), via, ..StampFacts::default() };
            let context = if in_body { json!({"bourse": {"via": hubs}}) } else { json!({}) };
            let body = pair.inner.order("small", json!({"context": context})).to_string();
            let reply = pair.as_outer(Some(&pair.stamp("inner", line, &body, &facts).await), line, &body).await;
            assert_eq!(reply.status, status, "{hubs:?}: {}", reply.text);
            assert!(reply.text.contains(says), "{hubs:?}: {}", reply.text);
        }
        assert_eq!(pair.inner.recorder.count("provision"), 1);
        pair.stop().await;
    })
    .await;
}

#[tokio::test]
async fn hubs_that_are_each_others_broker_do_not_multiply_their_offerings() {
    on_each(async |on| {
        let pair = Pair::new(on).await;
        let back = seat(&pair.outer, "inner", &pair.inner.hub.url, json!({})).await;
        let made = pair
            .inner
            .hub
            .admin(Method::POST, "/api/v1/brokers", Some(registration("outer", &pair.outer.url, &back)))
            .await;
        assert_eq!(made.status, 422, "nothing of it can be ordered: {made:?}");
        assert!(made.body.to_string().contains("ring"), "{made:?}");
        // Something of the outer hub's own makes it a broker worth having, and still nothing comes back.
        pair.outer_world.register(&pair.outer, json!({})).await;
        let made = pair
            .inner
            .hub
            .admin(Method::POST, "/api/v1/brokers", Some(registration("outer", &pair.outer.url, &back)))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        for _ in 0..3 {
            for (hub, broker) in [(&pair.outer, "inner"), (&pair.inner.hub, "outer")] {
                let path = format!("/api/v1/brokers/{broker}/refresh");
                assert_eq!(hub.admin(Method::POST, &path, None).await.status, 200);
            }
        }
        let catalog = pair.inner.hub.osb(&pair.inner.platform, Method::GET, "/v2/catalog", None).await.body;
        let mut names: Vec<_> =
            catalog["services"].as_array().expect("services").iter().map(|one| one["name"].clone()).collect();
        names.sort_by_key(ToString::to_string);
        assert_eq!(names, [json!("faults"), json!("outer-faults"), json!("readable"), json!("recorded")]);
        pair.stop().await;
    })
    .await;
}
