//! People sign in at the identity provider: authorization code with PKCE.

use bourse::config::Grants;
use bourse::secret::Secret;
use serde_json::json;

use crate::support::bare::On;
use crate::support::hub::{Hub, World};
use crate::support::oidc::{AUDIENCE, Forger, Provider};
use crate::support::portal::{Browser, PORTAL};

async fn believing(on: On, issuer: &str) -> World {
    World::new(on, |config| {
        config.oidc.issuer = issuer.to_owned();
        config.oidc.audience = AUDIENCE.to_owned();
        config.oidc.portal_client_id = PORTAL.to_owned();
        config.oidc.portal_client_secret = Some(Secret::new("portal secret".to_owned()));
        let roles = vec!["operator".to_owned()];
        config.auth.grants = vec![Grants { group: Some("platform-team".to_owned()), user: None, roles }];
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_at_a_real_identity_provider_and_goes_on_where_they_wanted_to() {
    let provider = Provider::start(json!({"ada": ["platform-team"], "eve": []})).await;
    for on in [On::Sqlite, On::Postgres] {
        let world = believing(on, &provider.url).await;
        let hub = world.hub().await;
        let mut browser = Browser::open(&hub.url).await;
        browser.get("/catalog?q=vault").await;
        assert!(browser.words().contains("Sign in with your account"), "{}", browser.words());
        assert!(
            browser.page.text.contains("href=\"/sign-in/oidc?to=%2Fcatalog%3Fq%3Dvault\""),
            "{}",
            browser.page.text
        );
        browser.get("/sign-in/oidc?to=%2Fcatalog%3Fq%3Dvault").await;
        let back = provider.sign_in(browser.page.header("location"), "ada").await;
        let back = back.strip_prefix(&hub.url).expect("back to the hub");
        browser.get(back).await;
        assert_eq!((browser.page.status, browser.address.as_str()), (200, "/catalog?q=vault"), "{:?}", browser.page);
        browser.get("/account").await;
        assert!(browser.words().contains("ada") && browser.words().contains("operator"), "{}", browser.words());
        // The code is worth nothing a second time, nor in another browser.
        let mut other = Browser::open(&hub.url).await;
        other.get(back).await;
        assert_eq!(other.page.status, 401);
        assert!(other.words().contains("not begun in this browser"), "{}", other.words());
        let mut eve = Browser::open(&hub.url).await;
        eve.get("/sign-in/oidc").await;
        let back = provider.sign_in(eve.page.header("location"), "eve").await;
        eve.get(back.strip_prefix(&hub.url).expect("back to the hub")).await;
        assert_eq!(eve.address, "/account", "nothing else is theirs to see");
        assert!(eve.words().contains("You have no role here yet"), "{}", eve.words());
        assert_eq!(eve.get("/catalog").await.status, 403);
        hub.stop().await;
    }
}

async fn forged(test: impl AsyncFn(&World, &Hub)) {
    for on in [On::Sqlite, On::Postgres] {
        let forger = Forger::start().await;
        let world = believing(on, &forger.url).await;
        let hub = world.hub().await;
        test(&world, &hub).await;
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_sign_in_client_or_time_signs_nobody_in() {
    forged(async |world, hub| {
        let now = world.clock.now().seconds();
        let good = Browser::person(&hub.url, "ada", now, &json!({})).await;
        assert_eq!((good.page.status, good.address.as_str()), (200, "/account"), "{:?}", good.page);
        for (claims, why) in [
            (json!({"nonce": "another"}), "another sign-in"),
            (json!({"nonce": null}), "another sign-in"),
            (json!({"aud": AUDIENCE}), "another audience"),
            (json!({"exp": now - 120}), "expired"),
            (json!({"iss": "https://id.example"}), "another issuer"),
        ] {
            let browser = Browser::person(&hub.url, "ada", now, &claims).await;
            assert_eq!(browser.page.status, 401, "{claims}");
            assert!(browser.words().contains(why), "{claims}: {}", browser.words());
        }
        let mut browser = Browser::open(&hub.url).await;
        let (_, nonce) = browser.leave().await;
        let code = Forger::code(&json!({"sub": "ada", "aud": PORTAL, "nonce": nonce, "iat": now, "exp": now + 600}));
        for state in ["", "x"] {
            browser.get(&format!("/sign-in/callback?state={state}&code={code}")).await;
            assert_eq!(browser.page.status, 401, "{state}");
        }
        browser.get("/sign-in/callback?error=access_denied&error_description=no").await;
        assert!(browser.page.status == 401 && browser.words().contains("You said no"), "{}", browser.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_a_role_has_lost_it_at_the_next_page() {
    forged(async |world, hub| {
        let now = world.clock.now().seconds();
        let mut ada = Browser::person(&hub.url, "ada", now, &json!({})).await;
        assert_eq!(ada.get("/catalog").await.status, 403);
        let tenant = |members: serde_json::Value| json!({"display_name": "Retail", "members": members});
        let member = json!([{"user": "ada", "role": "member"}]);
        let put = hub.admin(reqwest::Method::PUT, "/api/v1/tenants/retail", Some(tenant(member))).await;
        assert_eq!(put.status, 201, "{put:?}");
        assert_eq!(ada.get("/catalog").await.status, 200);
        let put = hub.admin(reqwest::Method::PUT, "/api/v1/tenants/retail", Some(tenant(json!([])))).await;
        assert_eq!(put.status, 200, "{put:?}");
        assert_eq!(ada.get("/catalog").await.status, 403);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_can_not_have_anybody_locked_out_by_wrong_states() {
    for on in [On::Sqlite, On::Postgres] {
        let forger = Forger::start().await;
        let world = World::new(on, |config| {
            config.oidc.issuer = forger.url.clone();
            config.oidc.audience = AUDIENCE.to_owned();
            config.oidc.portal_client_id = PORTAL.to_owned();
            config.limits.failed_logins_per_minute = 1;
            config.limits.failed_logins_burst = 3;
        })
        .await;
        let hub = world.hub().await;
        let mut browser = Browser::open(&hub.url).await;
        for _ in 0..6 {
            assert_eq!(browser.get("/sign-in/callback?state=x&code=y").await.status, 401);
        }
        Browser::administrator(&hub.url, "pw").await;
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_as_somebody_else_ends_the_session_before() {
    forged(async |world, hub| {
        let now = world.clock.now().seconds();
        let mut browser = Browser::administrator(&hub.url, "pw").await;
        let before = browser.cookies();
        let (state, nonce) = browser.leave().await;
        let claims = json!({"sub": "ada", "aud": PORTAL, "nonce": nonce, "iat": now, "exp": now + 600});
        browser.get(&format!("/sign-in/callback?state={state}&code={}", Forger::code(&claims))).await;
        assert!(browser.page.status == 200 && browser.words().contains("ada"), "{:?}", browser.page);
        let url = format!("{}/account", hub.url);
        let old = crate::support::hub::CLIENT.get(url).header("cookie", before).send().await.expect("an answer");
        assert_eq!(old.status().as_u16(), 303, "the administrator's secret is worth nothing any more");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sign_in_has_a_secret_of_its_own_and_is_over_with_its_return_whatever_came_of_it() {
    forged(async |world, hub| {
        let now = world.clock.now().seconds();
        let back = |(state, nonce): &(String, String), changes: &serde_json::Value| {
            let mut claims = json!({"sub": "ada", "aud": PORTAL, "nonce": nonce, "iat": now, "exp": now + 6000});
            claims.as_object_mut().expect("claims").extend(changes.as_object().expect("an object").clone());
            format!("/sign-in/callback?state={state}&code={}", Forger::code(&claims))
        };
        let mut browser = Browser::open(&hub.url).await;
        let first = browser.leave_for("/services?q=a").await;
        let kept = browser.page.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
        let kept: Vec<_> = kept.filter(|cookie| cookie.starts_with("bourse-away=")).collect();
        assert!(kept.len() == 1 && kept[0].contains("Max-Age=900"), "{kept:?}");
        let second = browser.leave_for("/services?q=b").await;
        assert!(first.0 != second.0 && first.1 != second.1, "two sign-ins have nothing in common");
        // Two tabs: what was begun first is finished first or last, and each goes on where it wanted to.
        browser.get(&back(&second, &json!({}))).await;
        assert_eq!((browser.page.status, browser.address.as_str()), (200, "/services?q=b"), "{}", browser.words());
        browser.get(&back(&first, &json!({}))).await;
        assert_eq!((browser.page.status, browser.address.as_str()), (200, "/services?q=a"), "{}", browser.words());
        assert!(!browser.cookies().contains("bourse-away="), "{}", browser.cookies());
        // What came back once comes back no more.
        for again in [&first, &second] {
            browser.get(&back(again, &json!({}))).await;
            assert_eq!(browser.page.status, 401);
            assert!(browser.words().contains("it is over already. Sign in again"), "{}", browser.words());
        }
        // Nor does what failed, or was refused by whoever signs in.
        let mut other = Browser::open(&hub.url).await;
        let failed = other.leave().await;
        assert_eq!(other.get(&back(&failed, &json!({"nonce": "another"}))).await.status, 401);
        assert_eq!(other.get(&back(&failed, &json!({}))).await.status, 401);
        let denied = other.leave().await;
        other.get(&format!("/sign-in/callback?error=access_denied&state={}", denied.0)).await;
        assert!(other.words().contains("You said no"), "{}", other.words());
        assert_eq!(other.get(&back(&denied, &json!({}))).await.status, 401);
        // A stray return ends no sign-in that is under way; time does.
        let late = other.leave().await;
        assert_eq!(other.get("/sign-in/callback?state=x&code=y").await.status, 401);
        assert_eq!(other.get(&back(&late, &json!({}))).await.status, 200);
        let late = other.leave().await;
        world.clock.advance(std::time::Duration::from_secs(15 * 60));
        assert_eq!(other.get(&back(&late, &json!({}))).await.status, 401);
        assert!(other.words().contains("too long ago"), "{}", other.words());
    })
    .await;
}
