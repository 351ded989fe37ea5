//! Tenants, what platforms call them, and whom an order is for.

use bourse::app::{Error, IdentityClaims};
use bourse::domain::platform::Platform;
use serde_json::{Value, json};

use crate::support::management::{Hub, on_both, send};

async fn platform(hub: &Hub, name: &str) -> Platform {
    hub.call("POST", "/platforms", json!({ "name": name, "kind": "other" })).await.is(201);
    hub.app.platform_by_name(name).await.expect("the platform").row.platform
}

async fn put(hub: &Hub, name: &str, identities: Value) -> Value {
    let (path, body) = (format!("/tenants/{name}"), json!({ "display_name": name, "identities": identities }));
    let answer = hub.call("PUT", &path, body).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    answer.json()
}

/// Whom an order with this context, and these guids beside it, is for.
async fn resolve(hub: &Hub, platform: &Platform, context: Value, guids: (&str, &str)) -> Result<String, Error> {
    // As it stands now: what a process holds of a platform is of this request only.
    let platform = hub.app.platform(&platform.id).await?;
    let claims = IdentityClaims { context: context.as_object(), organization_guid: guids.0, space_guid: guids.1 };
    Ok(hub.app.resolve_tenant(&platform, &claims).await?.name)
}

async fn unmapped(hub: &Hub) -> Vec<Value> {
    hub.get("/identities/unmapped").await.is(200)["items"].as_array().expect("items").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn putting_a_tenant_twice_is_putting_it_once() {
    on_both(async |hub| {
        platform(hub, "cf").await;
        let body = json!({
            "display_name": "Retail", "cost_center": "4711", "business_unit": "Sales", "environment": "production",
            "owner": "ada", "groups": ["shop"], "labels": { "tier": "gold" },
            "members": [{ "user": "ada", "role": "owner" }, { "group": "ops", "role": "member" }],
            "identities": [{ "platform": "cf", "tenant": "retail" }, { "platform": "cf", "organization_guid": "o" }],
        });
        let first = hub.call("PUT", "/tenants/retail", body.clone()).await;
        let created = first.is(201);
        for (field, value) in body.as_object().expect("an object") {
            assert_eq!(created[field], *value, "{field}");
        }
        let again = hub.call("PUT", "/tenants/retail", body).await;
        assert_eq!(again.is(200), created);
        assert_eq!(again.header("etag"), first.header("etag"));
        let shown = hub.get("/tenants/retail").await;
        assert_eq!(shown.is(200), created);
        assert_eq!(shown.header("etag"), first.header("etag"));
        assert_eq!(hub.get("/tenants").await.is(200), json!({ "items": [created], "next": null }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_top_of_a_stale_copy_is_refused() {
    on_both(async |hub| {
        let change = async |if_match: &str, display_name: &str| {
            let request = hub.admin("PUT", "/api/v1/tenants/retail").header("if-match", if_match);
            send(request.body(json!({ "display_name": display_name }).to_string())).await
        };
        change("*", "none").await.refuses(412, "stale");
        let first = hub.call("PUT", "/tenants/retail", json!({ "display_name": "one" })).await;
        let second = change(first.header("etag"), "two").await;
        assert_eq!(second.is(200)["display_name"], "two");
        change(first.header("etag"), "three").await.refuses(412, "stale");
        assert_eq!(change("*", "four").await.is(200)["display_name"], "four");
        change("W/\"x\"", "five").await.refuses(400, "malformed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_has_one_tenant_and_a_put_replaces_the_whole_set() {
    on_both(async |hub| {
        platform(hub, "cf").await;
        let (a, b) = (
            json!({ "platform": "cf", "organization_guid": "a" }),
            json!({ "platform": "cf", "organization_guid": "b" }),
        );
        put(hub, "one", json!([a, b])).await;
        let body = json!({ "display_name": "two", "identities": [{ "platform": "cf", "context": { "organization_guid": "b" } }] });
        let problem = hub.call("PUT", "/tenants/two", body.clone()).await.refuses(409, "identity_taken");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("`one`")), "{problem}");
        hub.get("/tenants/two").await.refuses(404, "not_found");
        put(hub, "one", json!([a])).await;
        assert_eq!(hub.call("PUT", "/tenants/two", body).await.is(201)["identities"], json!([b]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_tenant_is_refused_with_a_pointer() {
    on_both(async |hub| {
        for (body, pointer) in [
            (json!({}), ""),
            (json!({ "display_name": "" }), "/display_name"),
            (json!({ "display_name": "x", "labels": { "k": 1 } }), "/labels/k"),
            (json!({ "display_name": "x", "members": [{ "role": "owner" }] }), "/members/0"),
            (json!({ "display_name": "x", "members": [{ "user": "a", "role": "boss" }] }), "/members/0/role"),
            (json!({ "display_name": "x", "identities": [{ "platform": "cf" }] }), "/identities/0"),
            (
                json!({ "display_name": "x", "identities": [{ "platform": "no", "tenant": "x" }] }),
                "/identities/0/platform",
            ),
            (json!({ "display_name": "x", "identities": [{ "platform": "no", "org": "x" }] }), "/identities/0/org"),
        ] {
            let problem = hub.call("PUT", "/tenants/x", body.clone()).await.refuses(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        }
        hub.call("PUT", "/tenants/X", json!({ "display_name": "x" })).await.refuses(422, "invalid");
        hub.get("/tenants/x").await.refuses(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_identity_decides_whom_an_order_is_for() {
    on_both(async |hub| {
        let cf = platform(hub, "cf").await;
        put(hub, "org", json!([{ "platform": "cf", "organization_guid": "o" }])).await;
        put(hub, "space", json!([{ "platform": "cf", "organization_guid": "o", "space_guid": "s" }])).await;
        put(hub, "elsewhere", json!([{ "platform": "bourse", "organization_guid": "x" }])).await;
        let context = |space: &str| json!({ "organization_guid": "o", "space_guid": space });
        assert_eq!(resolve(hub, &cf, context("s"), ("o", "s")).await.expect("a tenant"), "space");
        assert_eq!(resolve(hub, &cf, context("t"), ("", "")).await.expect("a tenant"), "org");
        assert_eq!(resolve(hub, &cf, Value::Null, ("o", "s")).await.expect("a tenant"), "space");
        let contradiction = resolve(hub, &cf, context("s"), ("other", "s")).await;
        assert!(matches!(contradiction, Err(Error::Malformed(_))), "{contradiction:?}");
        let foreign = resolve(hub, &cf, json!({ "organization_guid": "x" }), ("", "")).await;
        assert!(matches!(foreign, Err(Error::Refused { code: "tenant_unmapped", .. })), "{foreign:?}");
        // At once, without a word to anybody.
        put(hub, "space", json!([])).await;
        assert_eq!(resolve(hub, &cf, context("s"), ("", "")).await.expect("a tenant"), "org");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tie_between_tenants_is_refused_and_names_both() {
    on_both(async |hub| {
        let cf = platform(hub, "cf").await;
        put(hub, "red", json!([{ "platform": "cf", "organization_guid": "o" }])).await;
        put(hub, "blue", json!([{ "platform": "cf", "context": { "stage": "prod" } }])).await;
        let tie = resolve(hub, &cf, json!({ "organization_guid": "o", "stage": "prod" }), ("", "")).await;
        let Err(Error::Refused { code: "tenant_ambiguous", message }) = tie else { panic!("{tie:?}") };
        assert!(message.contains("`blue` or `red`"), "{message}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_counted_and_listed_until_it_is_mapped() {
    on_both(async |hub| {
        let cf = platform(hub, "cf").await;
        for _ in 0..3 {
            let refused = resolve(hub, &cf, json!({ "organization_guid": "o", "space_guid": "s" }), ("", "")).await;
            let Err(Error::Refused { code: "tenant_unmapped", message }) = refused else { panic!("{refused:?}") };
            assert!(message.contains(r#""organization_guid":"o""#), "{message}");
        }
        let other = resolve(hub, &cf, json!({ "namespace": "n", "clusterid": "c" }), ("", "")).await;
        assert!(other.is_err());
        let listed = unmapped(hub).await;
        assert_eq!(listed.len(), 2, "{listed:?}");
        let orgs = listed.iter().find(|item| item["count"] == 3).expect("three of them");
        assert_eq!(orgs["identity"], json!({ "platform": "cf", "organization_guid": "o", "space_guid": "s" }));
        assert!(orgs["first_seen_at"].as_str() < orgs["last_seen_at"].as_str(), "{orgs}");
        // What it lists can be given to a tenant as it is; a less specific identity covers it as well.
        put(hub, "retail", json!([{ "platform": "cf", "organization_guid": "o" }])).await;
        let rest = unmapped(hub).await;
        assert_eq!(rest.len(), 1, "{rest:?}");
        put(hub, "cluster", json!([rest[0]["identity"]])).await;
        assert_eq!(unmapped(hub).await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_unmapped_identities_cover_them_all_once() {
    on_both(async |hub| {
        let cf = platform(hub, "cf").await;
        for org in ["a", "b", "c", "d", "e"] {
            assert!(resolve(hub, &cf, Value::Null, (org, "s")).await.is_err());
        }
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = hub.get(&format!("/identities/unmapped?limit=2&cursor={cursor}")).await.is(200);
            let items = page["items"].as_array().expect("items").clone();
            assert!(items.len() <= 2);
            seen.extend(
                items.iter().map(|item| item["identity"]["organization_guid"].as_str().unwrap_or("").to_owned()),
            );
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_tenant_takes_what_nobody_knows() {
    on_both(async |hub| {
        let cf = platform(hub, "cf").await;
        assert!(resolve(hub, &cf, Value::Null, ("o", "s")).await.is_err());
        put(hub, "catch-all", json!([])).await;
        hub.call("PATCH", "/platforms/cf", json!({ "default_tenant": "catch-all" })).await.is(200);
        assert_eq!(resolve(hub, &cf, Value::Null, ("o", "s")).await.expect("a tenant"), "catch-all");
        assert_eq!(unmapped(hub).await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_believed_by_its_stamp_only() {
    on_both(async |hub| {
        let trust = json!({ "issuer": "https://other", "jwks_url": "https://other/jwks" });
        hub.call("POST", "/platforms", json!({ "name": "up", "kind": "bourse", "trust": trust })).await.is(201);
        let up = hub.app.platform_by_name("up").await.expect("the platform").row.platform;
        put(
            hub,
            "retail",
            json!([{ "platform": "up", "tenant": "shop" }, { "platform": "up", "organization_guid": "o" }]),
        )
        .await;
        let claimed = resolve(hub, &up, json!({ "tenant": "shop" }), ("o", "s")).await;
        assert!(matches!(claimed, Err(Error::Unauthorized)), "{claimed:?}");
        assert_eq!(hub.app.resolve_stamped_tenant(&up, "shop").await.expect("a tenant").name, "retail");
        let unknown = hub.app.resolve_stamped_tenant(&up, "o").await;
        assert!(matches!(unknown, Err(Error::Refused { code: "tenant_unmapped", .. })), "{unknown:?}");
        assert_eq!(unmapped(hub).await[0]["identity"], json!({ "platform": "up", "tenant": "o" }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_sets_of_one_platform_are_bounded() {
    on_both(async |hub| {
        platform(hub, "cf").await;
        let identities = |count: usize| -> Vec<Value> {
            (0..count).map(|n| json!({ "platform": "cf", "context": { (format!("k{n}")): "v" } })).collect()
        };
        put(hub, "many", json!(identities(32))).await;
        let body = json!({ "display_name": "x", "identities": identities(33) });
        hub.call("PUT", "/tenants/many", body).await.refuses(422, "invalid");
        assert_eq!(hub.get("/tenants/many").await.is(200)["identities"].as_array().map(Vec::len), Some(32));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_a_tenant_is_one_event_and_no_change_is_none() {
    on_both(async |hub| {
        put(hub, "retail", json!([])).await;
        put(hub, "retail", json!([])).await;
        hub.call("PUT", "/tenants/retail", json!({ "display_name": "x", "cost_center": "1" })).await.is(200);
        hub.delete("/tenants/retail").await.is(204);
        hub.delete("/tenants/retail").await.refuses(404, "not_found");
        hub.app.join().await.expect("this process is one of the hub's");
        hub.app.number_events().await.expect("numbered");
        let page = hub.app.feed(bourse::app::feed::FeedQuery::default()).await.expect("a page");
        let told: Vec<_> =
            page.items.iter().map(|event| (event["subject"].clone(), event["data"]["change"].clone())).collect();
        let expected = ["created", "changed", "deleted"].map(|change| (json!("tenants/retail"), json!(change)));
        assert_eq!(told, expected);
        assert_eq!(page.items[0]["type"], "io.bourse.tenant.changed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_puts_at_once_never_share_an_identity() {
    on_both(async |hub| {
        platform(hub, "cf").await;
        let identities: Vec<_> =
            (0..20).map(|n| json!({ "platform": "cf", "organization_guid": format!("o{n}") })).collect();
        let body = json!({ "display_name": "x", "identities": identities });
        let answers = futures_util::future::join_all((0..8).map(|n| {
            let path = format!("/tenants/t{n}");
            let body = body.clone();
            async move { hub.call("PUT", &path, body).await.status }
        }));
        let mut statuses = answers.await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    })
    .await;
}
