//! What a quota counts, and when it gives back.

use reqwest::Method;
use serde_json::{Value, json};

use super::on_both;
use crate::support::dump::items;
use crate::support::hub::{BOUND, Reply, polling, request, sync};
use crate::support::wait::wait_until;

fn description(reply: &Reply) -> &str {
    reply.body["description"].as_str().unwrap_or_default()
}

fn size(size: impl Into<Value>) -> Value {
    json!({"size_gb": size.into()})
}

#[tokio::test]
async fn a_refusal_says_limit_use_and_what_to_do_and_is_told_once_an_hour() {
    on_both(async |shop| {
        shop.quota("few", json!({"limit": "1"})).await;
        assert_eq!(shop.hub.provision(&shop.p, "i-1", "ok", sync()).await.status, 201);
        for attempt in 0..5 {
            let refused = shop.hub.provision(&shop.p, &format!("j-{attempt}"), "ok", sync()).await;
            let expected = "quota `few` of tenant `retail` allows 1 instances, of which 1 are used, and the order needs 1 more: \
                delete what is not needed any more, order less, or ask an operator for a higher limit";
            assert_eq!((refused.status, description(&refused)), (400, expected), "{refused:?}");
        }
        let person = "/api/v1/tenants/retail/instances/mine";
        let order = json!({"offering": "faults", "plan": "ok"});
        let refused = shop.hub.admin(Method::PUT, person, Some(order)).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("quota_exceeded")), "{refused:?}");
        let told = async || {
            shop.hub.app.number_events().await.expect("could not number");
            let path = "/api/v1/events?type=io.bourse.quota.exceeded";
            shop.hub.admin(Method::GET, path, None).await.body["items"].as_array().expect("items").clone()
        };
        let first = told().await;
        assert_eq!(first.len(), 1, "{first:?}");
        let data = &first[0]["data"];
        let said = ["quota", "limit", "used", "asked"].map(|field| data[field].as_str().unwrap_or_default());
        assert_eq!((said, &first[0]["subject"]), (["few", "1", "1", "1"], &json!("quotas/few")));
        shop.world.clock.advance(std::time::Duration::from_secs(3601));
        assert_eq!(shop.hub.provision(&shop.p, "j-9", "ok", sync()).await.status, 400);
        assert_eq!(told().await.len(), 2, "an hour later it is told again");
        assert_eq!(shop.hub.delete(&shop.p, "i-1", "ok", false).await.status, 200);
        assert_eq!(shop.used("few").await, "0");
        assert_eq!(shop.hub.provision(&shop.p, "j-9", "ok", sync()).await.status, 201, "the place is free again");
    })
    .await;
}

#[tokio::test]
async fn what_stands_already_is_counted_by_a_new_and_by_a_changed_quota() {
    on_both(async |shop| {
        for (id, plan, parameters) in
            [("a", "ok", size(5)), ("b", "async", size("2.5")), ("c", "ok", json!({})), ("d", "rejects", size(100))]
        {
            shop.hub.provision(&shop.p, id, plan, polling().with(parameters)).await;
        }
        assert_eq!(shop.hub.outcome(&shop.p, "b").await, "succeeded");
        let made = shop.put("size", json!({"limit": "8", "measure": {"parameter": "/size_gb"}})).await;
        let said = (made.status, made.body["used"].clone(), made.body["unmeasured"].clone());
        assert_eq!(said, (201, json!("7.5"), json!(1)), "{made:?}");
        let refused = shop.hub.provision(&shop.p, "e", "ok", sync().with(size("0.500001"))).await;
        assert!(
            description(&refused).contains("of which 7.5 are used, and the order needs 0.500001 more"),
            "{refused:?}"
        );
        let missing = shop.hub.provision(&shop.p, "e", "ok", sync()).await;
        assert!(description(&missing).contains("parameter /size_gb is needed"), "{missing:?}");
        assert_eq!(shop.hub.provision(&shop.p, "e", "ok", sync().with(size("0.5"))).await.status, 201);
        shop.quota("size", json!({"limit": "3", "plan": "ok", "measure": {"parameter": "/size_gb"}})).await;
        assert_eq!(shop.used("size").await, "5.5", "of this plan only, and more than there may be");
        let refused = shop.hub.provision(&shop.p, "f", "ok", sync().with(size("0.1"))).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(shop.hub.provision(&shop.p, "f", "ok", sync().with(size(0))).await.status, 201);
        assert_eq!(shop.hub.delete(&shop.p, "a", "ok", false).await.status, 200);
        assert_eq!(shop.used("size").await, "0.5");
        let gone = shop.hub.admin(Method::DELETE, "/api/v1/quotas/size", None).await;
        assert_eq!(gone.status, 204, "{gone:?}");
        assert_eq!(shop.hub.provision(&shop.p, "g", "ok", sync()).await.status, 201);
        assert_eq!(shop.hub.delete(&shop.p, "e", "ok", false).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn an_update_takes_before_and_gives_back_after() {
    on_both(async |shop| {
        shop.quota("size", json!({"limit": "10", "measure": {"parameter": "/size_gb"}})).await;
        shop.quota("async", json!({"limit": "1", "plan": "async"})).await;
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", sync().with(size(4))).await.status, 201);
        let grown = shop.change("i", json!({"parameters": size(10)})).await;
        assert_eq!((grown.status, shop.used("size").await), (200, "10".to_owned()), "{grown:?}");
        let refused = shop.change("i", json!({"parameters": size(11)})).await;
        assert!(description(&refused).contains("needs 1 more"), "{refused:?}");
        // It fails at its broker: what stood before stands.
        let failing = json!({"plan_id": shop.hub.ids("rejects").1, "parameters": {"size_gb": 2, "fail_on": ["update"]}});
        let failed = shop.change("i", failing).await;
        assert_eq!((failed.status, shop.used("size").await), (400, "10".to_owned()), "{failed:?}");
        let plan = json!({"plan_id": shop.hub.ids("async").1, "parameters": {"size_gb": 2, "polls": 2, "fail_on": ["update"]}});
        let slow = shop.change("i", plan).await;
        assert_eq!(slow.status, 202, "{slow:?}");
        assert_eq!((shop.used("size").await, shop.used("async").await), ("10".to_owned(), "1".to_owned()));
        shop.quota("async", json!({"limit": "1", "plan": "async"})).await;
        assert_eq!(shop.used("async").await, "1", "counted anew, it takes the same");
        assert_eq!(shop.hub.outcome(&shop.p, "i").await, "succeeded");
        assert_eq!((shop.used("size").await, shop.used("async").await), ("2".to_owned(), "1".to_owned()));
        let refused = shop.hub.provision(&shop.p, "k", "async", polling().with(size(1))).await;
        assert!(description(&refused).contains("quota `async`"), "{refused:?}");
        assert_eq!(shop.used("size").await, "2", "what one quota refuses takes nothing of the other");
    })
    .await;
}

#[tokio::test]
async fn an_order_that_waits_has_taken_and_gives_back_when_it_is_denied_or_deleted() {
    on_both(async |shop| {
        shop.quota("few", json!({"limit": "1"})).await;
        let rule = shop.hub.admin(Method::PUT, "/api/v1/approval-rules/all", Some(json!({}))).await;
        assert_eq!(rule.status, 201, "{rule:?}");
        let waits = async |id: &str| {
            let reply = shop.hub.provision(&shop.p, id, "ok", polling()).await;
            assert_eq!((reply.status, shop.used("few").await), (202, "1".to_owned()), "{reply:?}");
            let refused = shop.hub.provision(&shop.p, "other", "ok", polling()).await;
            assert_eq!(refused.status, 400, "{refused:?}");
            items(&shop.hub.url, "approvals?state=pending").await[0].clone()
        };
        let decide = async |approval: &Value, verb: &str| {
            let id = approval["id"].as_str().expect("an id");
            let url = format!("{}/api/v1/approvals/{id}/{verb}", shop.hub.url);
            let reply = request(Method::POST, &url, Some(("admin", "pw")), Some(json!({"reason": "r"}))).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        };
        let asked = waits("a").await;
        decide(&asked, "deny").await;
        assert_eq!(shop.used("few").await, "0");
        waits("b").await;
        assert_eq!(shop.hub.delete(&shop.p, "b", "ok", true).await.status, 200);
        assert_eq!(shop.used("few").await, "0");
        waits("c").await;
        shop.world.clock.advance(std::time::Duration::from_secs(4 * 86_400));
        wait_until("it to expire", BOUND, async || {
            shop.hub.app.expire_approvals(10).await.expect("could not expire");
            shop.used("few").await == "0"
        })
        .await;
        let asked = waits("d").await;
        decide(&asked, "approve").await;
        assert_eq!(shop.hub.outcome(&shop.p, "d").await, "succeeded");
        assert_eq!(shop.used("few").await, "1");
        let purge = async |id: &str| {
            let list = items(&shop.hub.url, &format!("instances?platform_instance_id={id}")).await;
            let path = format!("/api/v1/instances/{}/purge", list[0]["id"].as_str().expect("an id"));
            shop.hub.admin(Method::POST, &path, Some(json!({"reason": "gone"}))).await.status
        };
        assert_eq!((purge("d").await, shop.used("few").await), (200, "0".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn what_is_adopted_counts_whatever_the_limit_says() {
    on_both(async |shop| {
        let other = bourse_brokers::faults::plan::plan_id("ok").expect("a plan");
        let direct = format!("{}/v2/service_instances/old?accepts_incomplete=true", shop.world.broker_url());
        let body = json!({
            "service_id": bourse_brokers::faults::plan::SERVICE_ID, "plan_id": other,
            "organization_guid": "o", "space_guid": "s", "parameters": {},
        });
        assert_eq!(request(Method::PUT, &direct, Some(("hub", "secret")), Some(body)).await.status, 201);
        shop.quota("none", json!({"limit": "0"})).await;
        let adopt = json!({"broker": "faults", "tenant": "retail", "dry_run": false, "instances": [
            {"backend_instance_id": "old", "offering": "faults", "plan": "ok", "bindings": []},
        ]});
        let adopted = shop.hub.admin(Method::POST, "/api/v1/instances/adopt", Some(adopt)).await;
        assert_eq!(adopted.body["items"][0]["verdict"], "adopted", "{adopted:?}");
        assert_eq!(shop.used("none").await, "1");
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", sync()).await.status, 400);
        let gone = shop.hub.admin(Method::DELETE, "/api/v1/tenants/retail/instances/old", None).await;
        assert_eq!(gone.status, 204, "{gone:?}");
        assert_eq!(shop.used("none").await, "0");
    })
    .await;
}

#[tokio::test]
async fn a_quota_of_what_does_not_exist_is_refused_with_its_place() {
    on_both(async |shop| {
        for (more, pointer) in [
            (json!({"limit": "x"}), ""),
            (json!({"limit": "1", "tenant": "nobody"}), "/tenant"),
            (json!({"limit": "1", "offering": "nothing"}), "/offering"),
            (json!({"limit": "1", "plan": "nothing"}), "/plan"),
            (json!({"limit": "-1"}), "/limit"),
        ] {
            let refused = shop.put("q", more).await;
            assert_eq!(refused.status, 422, "{refused:?}");
            if !pointer.is_empty() {
                assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{refused:?}");
            }
        }
        let books = json!({"display_name": "Books"});
        assert_eq!(shop.hub.admin(Method::PUT, "/api/v1/tenants/books", Some(books)).await.status, 201);
        shop.quota("q", json!({"limit": "1"})).await;
        let taken = shop.put("q", json!({"limit": "1", "tenant": "books"})).await;
        assert_eq!((taken.status, &taken.body["code"]), (409, &json!("name_taken")), "{taken:?}");
        shop.quota("b", json!({"limit": "1", "tenant": "books"})).await;
        let list = items(&shop.hub.url, "quotas?tenant=books").await;
        assert_eq!((list.len(), &list[0]["name"]), (1, &json!("b")));
        assert_eq!(shop.hub.admin(Method::DELETE, "/api/v1/tenants/books", None).await.status, 204);
        let list = items(&shop.hub.url, "quotas").await;
        assert_eq!((list.len(), &list[0]["name"]), (1, &json!("q")), "a tenant's quotas go with it");
        assert_eq!(shop.hub.admin(Method::DELETE, "/api/v1/quotas/b", None).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_tenants_who_take_one_name_at_once_one_has_it_and_the_other_is_told() {
    on_both(async |shop| {
        let books = json!({"display_name": "Books"});
        assert_eq!(shop.hub.admin(Method::PUT, "/api/v1/tenants/books", Some(books)).await.status, 201);
        for round in 0..20 {
            let name = format!("q-{round}");
            let put = async |tenant: &str| shop.put(&name, json!({"limit": "1", "tenant": tenant})).await;
            let (one, other) = tokio::join!(put("retail"), put("books"));
            let mut told = [one.status, other.status];
            told.sort_unstable();
            assert_eq!(told, [201, 409], "{one:?} {other:?}");
            let (winner, loser) = if one.status == 201 { ("retail", "books") } else { ("books", "retail") };
            let of = async |tenant: &str| items(&shop.hub.url, &format!("quotas?tenant={tenant}")).await;
            let found = of(winner).await.into_iter().find(|quota| quota["name"] == name.as_str());
            assert_eq!(found.expect("it is there")["tenant"], winner);
            assert!(of(loser).await.iter().all(|quota| quota["name"] != name.as_str()));
            let path = format!("/api/v1/quotas/{name}");
            assert_eq!(shop.hub.admin(Method::DELETE, &path, None).await.status, 204);
        }
    })
    .await;
}
