//! Streams that say that a service changed.

use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::{Shop, on_both};
use crate::support::hub::{BOUND, CLIENT};
use crate::support::portal::Browser;

/// A stream of events, read as it comes.
struct Stream {
    answer: reqwest::Response,
    read: String,
}

impl Stream {
    async fn open(shop: &Shop, browser: &Browser, address: &str) -> Self {
        let url = format!("{}{address}", shop.bench.hub.url);
        let answer = CLIENT.get(url).header("cookie", browser.cookies()).send().await.expect("an answer");
        Self { answer, read: String::new() }
    }

    /// Reads until that was said; false where the stream ends before.
    async fn until(&mut self, said: &str) -> bool {
        while !self.read.contains(said) {
            let chunk = timeout(BOUND, self.answer.chunk()).await.expect("it comes in time");
            let Ok(Some(chunk)) = chunk else { return false };
            self.read.push_str(&String::from_utf8_lossy(&chunk));
        }
        true
    }

    /// Reads until it ends, which must be soon, and not when its time is over.
    async fn ends(&mut self) {
        let ended = timeout(BOUND, self.until("never said")).await;
        assert_eq!(ended.ok(), Some(false), "it goes on: {}", self.read);
    }
}

/// The mark of what a page shows.
fn seen(browser: &Browser) -> String {
    let (_, rest) = browser.page.text.split_once("data-live-seen=\"").expect("a mark");
    rest.split('"').next().expect("a mark").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_to_who_looks_and_nothing_of_what_it_is() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({"pin": "pin-of-it"})).await;
        let mut ada = shop.person("ada").await;
        ada.get("/services/retail/net").await;
        let mark = seen(&ada);
        let address = format!("/services/retail/net/live?seen={mark}");
        let mut stream = Stream::open(shop, &ada, &address).await;
        assert_eq!(stream.answer.status(), 200);
        let header = |name: &str| stream.answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(
            (header("content-type").as_str(), header("cache-control").as_str()),
            ("text/event-stream", "no-store")
        );
        assert!(stream.until("retry: ").await);
        assert!(!stream.read.contains("event: change"), "{}", stream.read);
        let path = "/api/v1/tenants/retail/instances/net/bindings/app";
        assert_eq!(shop.bench.hub.admin(Method::PUT, path, Some(json!({}))).await.status, 201);
        assert!(stream.until("event: change\ndata: ").await && stream.until("\n\n").await, "{}", stream.read);
        assert!(!stream.read.contains(&mark), "{}", stream.read);
        assert!(!stream.read.contains("of-the-binding") && !stream.read.contains("app"), "{}", stream.read);
        // Whoever saw it as it was is told at once.
        let mut late = Stream::open(shop, &ada, &address).await;
        assert!(late.until("event: change").await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_follows_a_few_pages_at_once_and_nobody_elses() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        let (mut ada, mut bob) = (shop.person("ada").await, shop.person("bob").await);
        ada.get("/services/retail/net").await;
        let address = format!("/services/retail/net/live?seen={}", seen(&ada));
        let mut streams = Vec::new();
        for _ in 0..bourse::app::services::live::OF_SESSION_MAX {
            let mut stream = Stream::open(shop, &ada, &address).await;
            assert_eq!(stream.answer.status(), 200);
            assert!(stream.until("retry: ").await);
            streams.push(stream);
        }
        ada.get(&address).await;
        assert_eq!(ada.page.status, 503, "{:?}", ada.page);
        assert!(ada.words().contains("too many pages"), "{}", ada.words());
        let others = Stream::open(shop, &shop.administrator().await, &address).await;
        assert_eq!(others.answer.status(), 200, "another session has places of its own");
        assert_eq!(bob.get(&address).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_process_stops() {
    for on in [crate::support::bare::On::Sqlite, crate::support::bare::On::Postgres] {
        let shop = Shop::new(on).await;
        shop.ordered("net", "network", json!({})).await;
        let mut ada = shop.person("ada").await;
        ada.get("/services/retail/net").await;
        let address = format!("/services/retail/net/live?seen={}", seen(&ada));
        let mut stream = Stream::open(&shop, &ada, &address).await;
        assert!(stream.until("retry: ").await);
        let Shop { bench, recorder, _forger } = shop;
        let (ended, ()) = tokio::join!(stream.until("never said"), bench.hub.stop());
        assert!(!ended);
        drop((recorder, _forger));
    }
}

/// Does something that whoever follows would be told of.
async fn bind(shop: &Shop, binding: &str) {
    let path = format!("/api/v1/tenants/retail/instances/net/bindings/{binding}");
    assert_eq!(shop.bench.hub.admin(Method::PUT, &path, Some(json!({}))).await.status, 201);
}

/// Somebody who follows `net`.
async fn follower(shop: &Shop, name: &str) -> (Browser, Stream) {
    let mut browser = shop.person(name).await;
    browser.get("/services/retail/net").await;
    let address = format!("/services/retail/net/live?seen={}", seen(&browser));
    let mut stream = Stream::open(shop, &browser, &address).await;
    assert!(stream.until("retry: ").await);
    (browser, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_session_and_with_the_role_and_tells_nothing_any_more() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        let (mut ada, mut stream) = follower(shop, "ada").await;
        ada.submit("/sign-out", &[]).await;
        stream.ends().await;
        assert!(!stream.read.contains("event: change"), "{}", stream.read);

        let (_ada, mut stream) = follower(shop, "ada").await;
        let nobody = json!({"display_name": "retail", "members": []});
        assert_eq!(shop.bench.hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(nobody)).await.status, 200);
        bind(shop, "one").await;
        stream.ends().await;
        assert!(!stream.read.contains("event: change"), "{}", stream.read);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_followed_makes_no_session_last_longer() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        let (mut ada, mut stream) = follower(shop, "ada").await;
        let idle = shop.bench.hub.app.config().portal.session_idle;
        shop.bench.world.clock.advance(idle - std::time::Duration::from_secs(60));
        bind(shop, "one").await;
        assert!(stream.until("event: change").await, "{}", stream.read);
        // Browsers begin again by themselves.
        let mut again = Stream::open(shop, &ada, "/services/retail/net/live?seen=x").await;
        assert!(again.until("retry: ").await);
        shop.bench.world.clock.advance(std::time::Duration::from_secs(61));
        bind(shop, "two").await;
        stream.ends().await;
        ada.get("/account").await;
        assert!(ada.address.starts_with("/sign-in"), "{}", ada.address);
    })
    .await;
}
