//! Tokens of a real identity provider: `oidc-provider`.

use std::time::Duration;

use serde_json::json;

use super::{believing, me, with_token};
use crate::support::bare::{On, on_each};
use crate::support::oidc::{AUDIENCE, Provider};

const USERS: &str = r#"{"ada":["platform-team"],"bob":[],"mem":["retail-devs"]}"#;

async fn provider() -> Provider {
    Provider::start(serde_json::from_str(USERS).expect("JSON")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_says_who_calls_and_what_they_are_whatever_it_is_signed_with() {
    let provider = provider().await;
    on_each(async |on| {
        let world = believing(on, &provider.url).await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
            let token = provider.token("ada", &format!("{AUDIENCE}:{algorithm}")).await;
            let found = me(&hub, &token).await;
            assert_eq!(found.status, 200, "{algorithm}: {found:?}");
            let expected = json!({
                "kind": "user", "name": "ada", "roles": ["operator"], "groups": ["platform-team"],
                "brokers": [], "tenants": [],
            });
            assert_eq!(found.body, expected);
        }
        let bob = me(&hub, &provider.token("bob", AUDIENCE).await).await;
        assert_eq!((&bob.body["roles"], &bob.body["brokers"]), (&json!(["finance", "provider"]), &json!(["faults"])));

        let mem = provider.token("mem", AUDIENCE).await;
        assert_eq!(me(&hub, &mem).await.body["roles"], json!([]));
        let none = with_token(&hub, reqwest::Method::GET, "/tenants/retail/instances", &mem, None).await;
        assert_eq!(none.status, 403, "{none:?}");
        let tenant = json!({"display_name": "Retail", "members": [{"group": "retail-devs", "role": "member"}]});
        assert_eq!(hub.admin(reqwest::Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 200);
        let now = me(&hub, &mem).await.body;
        assert_eq!(now["tenants"], json!([{"name": "retail", "role": "member"}]), "at once");
        let order = json!({"offering": "faults", "plan": "ok"});
        let ordered = with_token(&hub, reqwest::Method::PUT, "/tenants/retail/instances/one", &mem, Some(order)).await;
        assert_eq!(ordered.status, 201, "{ordered:?}");
        let tenant = json!({"display_name": "Retail"});
        assert_eq!(hub.admin(reqwest::Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 200);
        assert_eq!(me(&hub, &mem).await.body["tenants"], json!([]), "at once");
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_new_are_found_and_those_that_were_taken_back_are_refused() {
    let provider = provider().await;
    let world = believing(On::Sqlite, &provider.url).await;
    let hub = world.hub().await;
    let first = provider.token("ada", AUDIENCE).await;
    assert_eq!(me(&hub, &first).await.status, 200);
    // The new key is not known yet, and the provider was asked a moment ago: nobody is told that the token is bad.
    provider.control("rotate?keep").await;
    let second = provider.token("ada", AUDIENCE).await;
    let soon = me(&hub, &second).await;
    assert_eq!((soon.status, soon.retry_after.is_empty()), (503, false), "{soon:?}");
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(me(&hub, &second).await.status, 200);
    assert_eq!(me(&hub, &first).await.status, 200, "its key is published still");
    // Retired: no longer than `oidc.keys_refresh` is it good.
    provider.control("rotate").await;
    world.clock.advance(Duration::from_secs(300));
    let third = provider.token("ada", AUDIENCE).await;
    assert_eq!(me(&hub, &third).await.status, 200);
    world.clock.advance(Duration::from_secs(10));
    me(&hub, &second).await.refuses("does not publish");
    me(&hub, &second).await.refuses("does not publish");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_others_or_of_yesterday_is_refused() {
    let (provider, stranger) = (provider().await, provider().await);
    let world = believing(On::Sqlite, &provider.url).await;
    let hub = world.hub().await;
    me(&hub, &provider.token("ada", "urn:others").await).await.refuses("another audience");
    let token = provider.token("ada", AUDIENCE).await;
    assert_eq!(me(&hub, &token).await.status, 200);
    world.clock.advance(Duration::from_secs(600 + 61));
    me(&hub, &token).await.refuses("expired");
    world.clock.advance(Duration::from_secs(10));
    me(&hub, &stranger.token("ada", AUDIENCE).await).await.refuses("does not publish");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_provider_is_away_known_keys_go_on_and_what_cannot_be_judged_is_503() {
    let provider = provider().await;
    let world = believing(On::Sqlite, &provider.url).await;
    let (hub, late) = (world.hub().await, believing(On::Sqlite, &provider.url).await);
    let token = provider.token("ada", AUDIENCE).await;
    assert_eq!(me(&hub, &token).await.status, 200);
    provider.control("away?on=1").await;
    world.clock.advance(Duration::from_secs(400));
    assert_eq!(me(&hub, &token).await.status, 200, "its key is known");
    let late = late.hub().await;
    let unknown = me(&late, &token).await;
    assert_eq!((unknown.status, unknown.body["code"].as_str()), (503, Some("unavailable")), "{unknown:?}");
    assert_eq!(unknown.retry_after, "10");
    world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(me(&hub, &token).await.status, 503, "its key is too old");
    provider.control("away?on=0").await;
    world.clock.advance(Duration::from_secs(10));
    me(&hub, &token).await.refuses("expired");
    for hub in [hub, late] {
        hub.stop().await;
    }
}
