//! Rate limits: off unless configured; each platform and user by itself; logins that fail by address. The clock is stepped, nobody waits.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::bare::on_each;
use crate::support::hub::{Hub, Platform, Reply, World, request};

async fn catalog(hub: &Hub, p: &Platform) -> Reply {
    hub.osb(p, Method::GET, "/v2/catalog", None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_beyond_its_rate_is_answered_429_in_osb_terms_and_another_is_not() {
    on_each(async |on| {
        let world = World::new(on, |config| {
            config.limits.platform_per_minute = 60;
            config.limits.platform_burst = 3;
        })
        .await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let other = hub.platform("q", "other").await;
        // Enough that the time between two requests earns none of them back.
        let refused = async || {
            for _ in 0..200 {
                let reply = catalog(&hub, &p).await;
                if reply.status == 429 {
                    return reply;
                }
                assert_eq!(reply.status, 200);
            }
            panic!("it never was too many");
        };
        let reply = refused().await;
        assert_eq!(reply.retry_after.as_deref(), Some("1"));
        assert_eq!(reply.body["error"], "TooManyRequests", "{reply:?}");
        assert!(reply.body["description"].is_string(), "{reply:?}");
        assert_eq!(catalog(&hub, &other).await.status, 200);
        assert_eq!(
            hub.admin(Method::GET, "/api/v1/tenants", None).await.status,
            200,
            "people have a limit of their own"
        );
        let wrong = Platform { password: "wrong".to_owned(), ..p.clone() };
        assert_eq!(catalog(&hub, &wrong).await.status, 401, "who somebody is comes first");
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(catalog(&hub, &p).await.status, 200);
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_beyond_the_rate_is_answered_429_with_a_problem() {
    on_each(async |on| {
        let world = World::new(on, |config| {
            config.limits.user_per_minute = 1;
            config.limits.user_burst = 4;
        })
        .await;
        let hub = world.hub().await;
        for _ in 0..4 {
            assert_eq!(hub.admin(Method::GET, "/api/v1/tenants", None).await.status, 200);
        }
        let reply = hub.admin(Method::GET, "/api/v1/tenants", None).await;
        assert_eq!((reply.status, &reply.body["code"]), (429, &json!("too_many_requests")), "{reply:?}");
        let wait: u64 = reply.retry_after.expect("a time").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        world.clock.advance(Duration::from_secs(wait));
        assert_eq!(hub.admin(Method::GET, "/api/v1/tenants", None).await.status, 200, "who waits so long gets through");
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_too_many_wrong_passwords_is_not_listened_to_for_a_while() {
    on_each(async |on| {
        let world = World::new(on, |config| {
            config.limits.failed_logins_per_minute = 1;
            config.limits.failed_logins_burst = 3;
        })
        .await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let url = format!("{}/api/v1/tenants", hub.url);
        let wrong = async || request(Method::GET, &url, Some(("admin", "wrong")), None).await;
        for _ in 0..3 {
            assert_eq!(wrong().await.status, 401);
        }
        assert_eq!(wrong().await.status, 429);
        assert_eq!(hub.admin(Method::GET, "/api/v1/tenants", None).await.status, 429, "nor is a right one tried");
        assert_eq!(catalog(&hub, &p).await.status, 429, "nor a platform's");
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(hub.admin(Method::GET, "/api/v1/tenants", None).await.status, 200);
        assert_eq!(catalog(&hub, &p).await.status, 200);
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_limited_where_nothing_is_configured() {
    on_each(async |on| {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let url = format!("{}/api/v1/tenants", hub.url);
        for _ in 0..150 {
            assert_eq!(catalog(&hub, &p).await.status, 200);
        }
        for _ in 0..15 {
            assert_eq!(request(Method::GET, &url, Some(("nobody", "wrong")), None).await.status, 401);
        }
        assert_eq!(hub.admin(Method::GET, "/api/v1/tenants", None).await.status, 200);
        hub.stop().await;
    })
    .await;
}
