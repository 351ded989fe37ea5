//! Rate limits: off unless configured; each platform and user by itself; logins that fail by address. The clock is stepped, nobody waits.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::bare::{On, on_each};
use crate::support::hub::{BOUND, CLIENT, Hub, Platform, Reply, World, request};
use crate::support::oidc::{AUDIENCE, Forger};
use crate::support::wait::wait_until;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_wrong_passwords_at_once_no_more_are_tried_than_one_after_the_other() {
    on_each(async |on| {
        let world = World::new(on, |config| {
            config.limits.failed_logins_per_minute = 1;
            config.limits.failed_logins_burst = 3;
        })
        .await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let url = format!("{}/api/v1/tenants", hub.url);
        let right = (0..40).map(|_| catalog(&hub, &p));
        for reply in futures_util::future::join_all(right).await {
            assert_eq!(reply.status, 200, "right ones wait for each other: {reply:?}");
        }
        let wrong = (0..40).map(|number| {
            let (url, guess) = (&url, format!("wrong-{number}"));
            async move { request(Method::GET, url, Some(("admin", &guess)), None).await.status }
        });
        let mut told = futures_util::future::join_all(wrong).await;
        told.sort_unstable();
        assert_eq!(told[..4], [401, 401, 401, 429], "{told:?}");
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(hub.admin(Method::GET, "/api/v1/tenants", None).await.status, 200);
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn right_logins_that_take_long_hold_up_no_password_that_is_known_and_are_never_too_many() {
    on_each(async |on| {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            config.limits.failed_logins_per_minute = 1;
            config.limits.failed_logins_burst = 1;
        })
        .await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        assert_eq!(catalog(&hub, &p).await.status, 200);
        let token = forger.token(hub.app.clock().now().seconds(), json!({}));
        let me = || async {
            let url = format!("{}/api/v1/me", hub.url);
            CLIENT.get(url).bearer_auth(&token).send().await.expect("no answer").status().as_u16()
        };
        let first = forger.hold().await;
        let (many, ()) = tokio::join!(futures_util::future::join_all((0..5).map(|_| me())), async {
            // The first document is on its way; the only try that may fail is taken.
            wait_until("the provider to be asked", BOUND, async || forger.is_asked()).await;
            if on == On::Sqlite {
                // One process has what it read in memory. Several have not: there a password is looked up each time, and has its turn.
                assert_eq!(catalog(&hub, &p).await.status, 200, "nobody has to wait for who is known");
            }
            drop(first);
        });
        assert_eq!(many, [200; 5], "each has its turn");
        assert_eq!(catalog(&hub, &p).await.status, 200);

        // Nobody is listened to once somebody has failed, known or not.
        let wrong = Platform { password: "wrong".to_owned(), ..p.clone() };
        assert_eq!(catalog(&hub, &wrong).await.status, 401);
        assert_eq!((catalog(&hub, &p).await.status, me().await), (429, 429));
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_keys_of_tokens_are_counted_as_wrong_passwords_are() {
    on_each(async |on| {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            config.limits.failed_logins_per_minute = 1;
            config.limits.failed_logins_burst = 3;
        })
        .await;
        let hub = world.hub().await;
        let made_up = async |number: usize| {
            let header = json!({"alg": "EdDSA", "kid": format!("made-up-{number}"), "typ": "at+jwt"});
            let token = forger.signed(&header, hub.app.clock().now().seconds(), json!({}));
            let url = format!("{}/api/v1/me", hub.url);
            CLIENT.get(url).bearer_auth(token).send().await.expect("no answer").status().as_u16()
        };
        let mut told = Vec::new();
        for number in 0..5 {
            told.push(made_up(number).await);
        }
        assert!(told[..3].iter().all(|status| matches!(status, 401 | 503)), "{told:?}");
        assert_eq!(told[3..], [429, 429], "{told:?}");
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
