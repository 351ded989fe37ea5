//! Visibility of plans: which platforms see them, who may order and change to them, and that what stands is served.

use reqwest::Method;
use serde_json::{Value, json};

use super::on_both;

const AUDITED: &str = "select count(*) as number from audit where action = 'plan.visibility'";

#[tokio::test]
async fn a_plan_for_some_tenants_is_seen_where_one_of_them_can_order_and_refused_to_all_others() {
    on_both(async |m| {
        let (p, q, cf) = (&m.bench.platform, &m.q, &m.cf);
        let before = m.tag(q).await;
        for platform in [p, q, cf] {
            assert!(m.sees(platform, "small").await);
        }
        m.restrict("small", &["retail"], &[]).await;
        assert!(m.sees(p, "small").await, "retail is its default tenant");
        assert!(m.sees(cf, "small").await, "an organization of it is mapped");
        assert!(!m.sees(q, "small").await && m.sees(q, "large").await);
        assert_ne!(m.tag(q).await, before);
        assert_eq!(m.order(p, "one", "small", "o").await.0, 201);
        assert_eq!(m.order(cf, "one", "small", "org-retail").await.0, 201);
        // Whoever does not see it is told what everybody is told of something that is not there.
        let (status, text) = m.order(q, "one", "small", "o").await;
        assert!(status == 400 && text.contains("do not name a service plan of the catalog"), "{status} {text}");
        // On a platform that shows it another tenant is told why.
        m.map("bank", json!([{"platform": "cf", "organization_guid": "org-bank"}])).await;
        let (status, text) = m.order(cf, "two", "small", "org-bank").await;
        assert!(status == 400 && text.contains("not offered to tenant `bank`"), "{status} {text}");
        assert_eq!(m.bench.recorder.count("provision"), 2, "no broker hears of a refused order");
        // A mapping that goes takes the plan out of the platform's catalog, and one that comes brings it back.
        m.map("retail", json!([])).await;
        m.bench.hub.app.reload_catalog().await.expect("reloaded");
        assert!(!m.sees(cf, "small").await);
        let change = json!({"default_tenant": "retail"});
        assert_eq!(m.bench.hub.admin(Method::PATCH, "/api/v1/platforms/q", Some(change)).await.status, 200);
        m.bench.hub.app.reload_catalog().await.expect("reloaded");
        assert!(m.sees(q, "small").await);
        assert_eq!(m.order(q, "one", "small", "o").await.0, 201);
        m.say("small", json!({"access": "public", "tenants": [], "platforms": []})).await;
        assert!(m.sees(cf, "small").await);
        assert_eq!(m.order(cf, "two", "small", "org-bank").await.0, 201);
    })
    .await;
}

#[tokio::test]
async fn both_lists_must_match_where_neither_is_empty_and_two_empty_ones_are_for_nobody() {
    on_both(async |m| {
        let (p, q, cf) = (&m.bench.platform, &m.q, &m.cf);
        m.restrict("small", &["retail"], &["cf"]).await;
        assert_eq!(m.order(p, "one", "small", "o").await.0, 400);
        assert_eq!(m.order(cf, "one", "small", "org-retail").await.0, 201);
        assert!(m.sees(cf, "small").await && !m.sees(p, "small").await);
        m.restrict("small", &[], &["q"]).await;
        assert!(m.sees(q, "small").await && !m.sees(cf, "small").await);
        assert_eq!(m.order(q, "one", "small", "o").await.0, 201);
        assert_eq!(m.order(cf, "two", "small", "org-retail").await.0, 400);
        m.restrict("small", &[], &[]).await;
        for (platform, id) in [(p, "nobody-1"), (q, "nobody-2")] {
            assert!(!m.sees(platform, "small").await);
            assert_eq!(m.order(platform, id, "small", "o").await.0, 400);
        }
        // An offering of which nothing is left is not in the catalog at all.
        let path = "/api/v1/offerings/readable/plans/one/visibility";
        let nobody = json!({"access": "restricted", "tenants": [], "platforms": []});
        assert_eq!(m.bench.hub.admin(Method::PUT, path, Some(nobody)).await.status, 200);
        assert_eq!(m.seen(p, "readable").await, Value::Null);
    })
    .await;
}

#[tokio::test]
async fn what_stands_is_served_and_only_a_change_to_a_hidden_plan_is_refused() {
    on_both(async |m| {
        let b = &m.bench;
        assert_eq!(m.order(&b.platform, "one", "small", "o").await.0, 201);
        for plan in ["small", "large"] {
            m.restrict(plan, &["idle"], &[]).await;
        }
        let same = b.order("small", json!({"organization_guid": "o"}));
        b.check("a repeat of the order", "PUT one", Some(same), (200, "")).await;
        let update = b.bind_body("small", json!({"parameters": {"x": 1}}));
        b.check("new parameters", "PATCH one", Some(update), (200, "")).await;
        let other = json!({"service_id": b.ids("large").0, "plan_id": b.ids("large").1});
        let words = "do not name a service plan";
        b.check("a hidden plan", "PATCH one", Some(other.clone()), (400, words)).await;
        b.check("a bind", "PUT one/service_bindings/b", Some(b.bind_body("small", json!({}))), (201, "")).await;
        let query = b.query("small");
        b.check("an unbind", &format!("DELETE one/service_bindings/b?{query}"), None, (200, "")).await;
        m.restrict("large", &["retail"], &[]).await;
        b.check("a plan for its tenant", "PATCH one", Some(other), (200, "")).await;
        b.check("a deletion", &format!("DELETE one?{}", b.query("large")), None, (200, "")).await;
    })
    .await;
}

#[tokio::test]
async fn an_order_that_waited_for_approval_is_refused_if_its_plan_was_hidden_meanwhile() {
    on_both(async |m| {
        let hub = &m.bench.hub;
        assert_eq!(hub.admin(Method::PUT, "/api/v1/approval-rules/all", Some(json!({}))).await.status, 201);
        let body = m.bench.order("small", json!({"organization_guid": "o"}));
        let reply = m.bench.call("PUT one?accepts_incomplete=true", Some(&body)).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
        m.restrict("small", &["bank"], &[]).await;
        let list = hub.admin(Method::GET, "/api/v1/approvals?state=pending", None).await.body;
        let path = format!("/api/v1/approvals/{}/approve", list["items"][0]["id"].as_str().expect("an id"));
        assert_eq!(hub.admin(Method::POST, &path, Some(json!({"reason": "yes"}))).await.status, 200);
        let last = m.bench.call("GET one/last_operation", None).await.text;
        assert!(last.contains("failed") && last.contains("cannot be carried out now"), "{last}");
        assert_eq!(m.bench.recorder.count("provision"), 0);
    })
    .await;
}

#[tokio::test]
async fn people_see_and_order_what_is_offered_to_their_tenant() {
    on_both(async |m| {
        let hub = &m.bench.hub;
        m.restrict("small", &["retail"], &[]).await;
        m.restrict("large", &[], &["cf"]).await;
        let plans = async |tenant: &str| -> Vec<String> {
            let path = format!("/api/v1/offerings?q=recorded&tenant={tenant}");
            let list = hub.admin(Method::GET, &path, None).await.body;
            let plans = list["items"][0]["plans"].as_array().cloned().unwrap_or_default();
            plans.iter().map(|plan| plan["name"].as_str().expect("a name").to_owned()).collect()
        };
        assert_eq!(plans("retail").await, ["small", "stuck", "unbindable", "checked"]);
        assert_eq!(plans("bank").await, ["stuck", "unbindable", "checked"]);
        let order = json!({"offering": "recorded", "plan": "small"});
        let put = async |tenant: &str| {
            hub.admin(Method::PUT, &format!("/api/v1/tenants/{tenant}/instances/db"), Some(order.clone())).await
        };
        assert_eq!(put("retail").await.status, 201);
        let refused = put("bank").await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("not_visible")), "{refused:?}");
        let moved = json!({"offering": "recorded", "plan": "large"});
        let refused = hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/db", Some(moved)).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("not_visible")), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn what_names_nobody_is_invalid_and_changes_nothing() {
    on_both(async |m| {
        let path = "/api/v1/offerings/recorded/plans/small/visibility";
        for (body, pointer) in [
            (json!({"access": "restricted", "tenants": ["retail", "nobody"]}), "/tenants/1"),
            (json!({"access": "restricted", "platforms": ["nowhere"]}), "/platforms/0"),
            (json!({"access": "public", "tenants": ["retail"]}), "/access"),
            (json!({"access": "secret"}), "/access"),
        ] {
            let reply = m.bench.hub.admin(Method::PUT, path, Some(body)).await;
            assert_eq!((reply.status, &reply.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{reply:?}");
        }
        let shown = m.bench.hub.admin(Method::GET, path, None).await.body;
        assert_eq!(shown, json!({"access": "public", "tenants": [], "platforms": []}));
        let audited = async || crate::support::dump::count(&m.bench.hub.db, AUDITED).await;
        assert_eq!(audited().await, 0);
        for missing in ["nothing/plans/small", "recorded/plans/nothing"] {
            let path = format!("/api/v1/offerings/{missing}/visibility");
            assert_eq!(m.bench.hub.admin(Method::GET, &path, None).await.status, 404);
        }
        m.restrict("small", &["retail"], &[]).await;
        assert_eq!(audited().await, 1);
    })
    .await;
}
