//! Signing in and out, sessions, and what no other site can have done.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::support::bare::On;
use crate::support::hub::{BOUND, World};
use crate::support::management::{on_both, send};
use crate::support::portal::Browser;
use crate::support::wait::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_leads_to_sign_in_and_from_there_back_to_where_one_wanted_to_go() {
    on_both(async |hub| {
        let first = send(hub.request("GET", "/")).await;
        assert_eq!((first.status, first.header("location")), (303, "/sign-in?to=%2F"));
        let mut browser = Browser::open(&hub.url).await;
        browser.get("/catalog?q=network").await;
        assert_eq!(browser.address, "/sign-in?to=%2Fcatalog%3Fq%3Dnetwork");
        assert!(browser.page.text.contains("name=\"to\" value=\"/catalog?q=network\""), "{:?}", browser.page);
        let fields = [("username", "admin"), ("password", hub.password.as_str()), ("to", "/catalog?q=network")];
        browser.submit("/sign-in", &fields).await;
        assert_eq!((browser.page.status, browser.address.as_str()), (200, "/catalog?q=network"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_says_so_keeps_the_name_and_not_the_password() {
    on_both(async |hub| {
        let mut browser = Browser::open(&hub.url).await;
        browser.submit("/sign-in", &[("username", "admin"), ("password", "hunter-2")]).await;
        assert_eq!(browser.page.status, 401);
        assert!(browser.words().contains("User name or password is wrong"), "{}", browser.words());
        assert!(browser.page.text.contains("value=\"admin\"") && !browser.page.text.contains("hunter-2"));
        let platform = hub.call("POST", "/platforms", serde_json::json!({"name": "cf", "kind": "other"})).await.is(201);
        let pair = &platform["credentials"];
        let (name, word) = (pair["username"].as_str().expect("a name"), pair["password"].as_str().expect("a password"));
        browser.submit("/sign-in", &[("username", name), ("password", word)]).await;
        assert_eq!(browser.page.status, 401, "a platform's password opens no door for people");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_in_every_copy_of_the_cookie() {
    on_both(async |hub| {
        let mut browser = Browser::administrator(&hub.url, &hub.password).await;
        let kept = browser.cookies();
        browser.submit("/sign-out", &[]).await;
        assert_eq!(browser.address, "/sign-in");
        let stolen = send(hub.request("GET", "/catalog").header("cookie", kept)).await;
        assert_eq!((stolen.status, stolen.header("location")), (303, "/sign-in?to=%2Fcatalog"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_nobody_is_seen_for_a_while_and_at_its_longest_anyway() {
    on_both(async |hub| {
        let settings = &hub.app.config().portal;
        let (longest, idle) = (settings.session, settings.session_idle);
        let mut browser = Browser::administrator(&hub.url, &hub.password).await;
        hub.app.clock().advance(idle - Duration::from_secs(60));
        assert_eq!(browser.get("/catalog").await.status, 200);
        hub.app.clock().advance(idle - Duration::from_secs(60));
        browser.get("/catalog").await;
        assert_eq!(browser.address, "/catalog", "it was seen meanwhile");
        hub.app.clock().advance(idle + Duration::from_secs(1));
        browser.get("/catalog").await;
        assert_eq!(browser.address, "/sign-in?to=%2Fcatalog");

        let mut browser = Browser::administrator(&hub.url, &hub.password).await;
        let step = idle / 2;
        let steps = u32::try_from(longest.as_secs() / step.as_secs()).expect("few");
        for _ in 1..steps {
            hub.app.clock().advance(step);
            assert_eq!(browser.get("/account").await.status, 200);
            assert_eq!(browser.address, "/account");
        }
        hub.app.clock().advance(step);
        browser.get("/account").await;
        assert_eq!(browser.address, "/sign-in?to=%2Faccount", "it had its time");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twenty_first_session_of_one_person_ends_their_first() {
    on_both(async |hub| {
        let mut first = Browser::administrator(&hub.url, &hub.password).await;
        for _ in 0..19 {
            hub.app.clock().advance(Duration::from_secs(1));
            Browser::administrator(&hub.url, &hub.password).await;
        }
        assert_eq!(first.get("/account").await.status, 200);
        assert_eq!(first.address, "/account");
        hub.app.clock().advance(Duration::from_secs(1));
        Browser::administrator(&hub.url, &hub.password).await;
        first.get("/account").await;
        assert!(first.address.starts_with("/sign-in"), "{}", first.address);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_counts_only_with_the_token_that_this_browser_was_given() {
    on_both(async |hub| {
        let mut browser = Browser::administrator(&hub.url, &hub.password).await;
        let mut other = Browser::administrator(&hub.url, &hub.password).await;
        let foreign = other.get("/account").await.status;
        assert_eq!(foreign, 200);
        let foreign = other.csrf();
        for fields in [vec![], vec![("csrf", "")], vec![("csrf", foreign.as_str())]] {
            assert_eq!(browser.post("/sign-out", &fields).await.status, 403, "{fields:?}");
        }
        browser.get("/account").await;
        let (token, cookies) = (browser.csrf(), browser.cookies());
        let cross = hub.request("POST", "/sign-out").header("cookie", cookies.clone());
        let cross = cross.header("content-type", "application/x-www-form-urlencoded").body(format!("csrf={token}"));
        assert_eq!(send(cross.header("sec-fetch-site", "cross-site")).await.status, 403);
        let json = hub.request("POST", "/sign-out").header("cookie", cookies).header("content-type", "text/plain");
        assert_eq!(send(json.body(format!("csrf={token}"))).await.status, 400);
        assert_eq!(browser.get("/account").await.status, 200);
        assert_eq!(browser.address, "/account", "nothing of it signed anybody out");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_is_none_of_ours_is_nobody() {
    on_both(async |hub| {
        for cookie in [
            "bourse-session=x",
            "bourse-session=",
            "bourse-session=\u{fc}",
            &format!("bourse-session={}", "a".repeat(43)),
        ] {
            let answer = send(hub.request("GET", "/catalog").header("cookie", cookie)).await;
            assert_eq!(answer.status, 303, "{cookie}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_and_out_is_in_the_audit_and_says_that_it_was_at_the_portal() {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let mut browser = Browser::administrator(&hub.url, "pw").await;
        browser.submit("/sign-out", &[]).await;
        let rows = wait_for("both rows", BOUND, async || {
            let listed = hub.admin(Method::GET, "/api/v1/audit?limit=100", None).await.body;
            let rows: Vec<Value> = listed["items"].as_array().expect("rows").clone();
            let of = |action: &str| rows.iter().find(|row| row["action"] == action).cloned();
            of("session.open").zip(of("session.close"))
        })
        .await;
        for row in [&rows.0, &rows.1] {
            assert_eq!(
                (&row["actor"], &row["from"]["channel"]),
                (&"administrators/admin".into(), &"portal".into()),
                "{row}"
            );
            assert!(!row.to_string().contains(&browser.cookies()) || browser.cookies().is_empty(), "{row}");
        }
        hub.stop().await;
    }
}
