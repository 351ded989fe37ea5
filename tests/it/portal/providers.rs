//! Providers serve themselves in the portal, and somebody else says yes: the same people and the same broker as in `crate::providers`, with
//! browsers in the place of tokens.

mod forms;
mod prices;
mod reviews;
mod story;

use bourse::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::providers::{Own, RUN_WITHIN, people, shape};
use crate::support::bare::On;
use crate::support::controls::send;
use crate::support::hub::{Hub, Reply, World};
use crate::support::oidc::Forger;
use crate::support::portal::{Browser, PORTAL};
use crate::support::wait::wait_until;

/// Pages of the broker of `ann`.
const ACME: &str = "/provider/brokers/acme";
const REGISTER: &str = "/provider/register-broker";
const OFFERING: &str = "/provider/offerings/acme-db";
const REVIEW: &str = "/operator/reviews/acme-db";

/// A hub, and a broker that is not registered: `ann` answers for it, as do `kim` of finance and the operator `sam`; `fin` is of finance, `oz`
/// operates, `mem` orders for `retail`, `ben` answers for another.
struct Fair {
    world: World,
    hub: Hub,
    own: Own,
    _forger: Forger,
}

impl Fair {
    async fn open(on: On) -> Self {
        let forger = Forger::start().await;
        let world = World::new(on, |config| {
            people(config, &forger.url);
            config.oidc.portal_client_id = PORTAL.to_owned();
            config.oidc.portal_client_secret = Some(Secret::new("portal secret".to_owned()));
        })
        .await;
        let hub = world.hub().await;
        let fair = Self { world, hub, own: Own::start(shape("acme-db")), _forger: forger };
        fair.api(Method::PUT, "/tenants/retail", json!({"display_name": "Retail"})).await;
        fair
    }

    /// Runs a case on a database of each kind.
    async fn on_both(case: impl AsyncFn(&Fair)) {
        for on in [On::Sqlite, On::Postgres] {
            let fair = Self::open(on).await;
            case(&fair).await;
            fair.hub.stop().await;
        }
    }

    async fn browser(&self, name: &str) -> Browser {
        Browser::person(&self.hub.url, name, self.world.clock.now().seconds(), &json!({})).await
    }

    /// A request of the administrator, which has to succeed.
    async fn api(&self, method: Method, path: &str, body: Value) -> Reply {
        let reply = self.hub.admin(method, &format!("/api/v1{path}"), Some(body)).await;
        assert!(matches!(reply.status, 200..=204), "{path}: {reply:?}");
        reply
    }

    /// `ann` registers her broker on its page.
    async fn register(&self, ann: &mut Browser) {
        ann.get(REGISTER).await;
        let typed = [("url", self.own.url()), ("username", "hub"), ("password", "s3cret")];
        send(ann, REGISTER, &typed, &[]).await;
        assert_eq!(ann.address, format!("{ACME}?done=registered"), "{}", ann.words());
    }

    /// She has it judged, and waits until that is over.
    async fn judge(&self, ann: &mut Browser) {
        let page = format!("{ACME}/conformance");
        ann.get(&page).await;
        send(ann, &page, &[], &[("yes", "on")]).await;
        assert_eq!((ann.page.status, ann.address.as_str()), (200, page.as_str()), "{}", ann.words());
        // While it goes on, the page is loaded again without scripts, and looked at again with them.
        let goes_on = ann.words().contains("This page looks again by itself");
        assert_eq!(ann.page.text.contains("<noscript><meta http-equiv=\"refresh\""), goes_on, "{}", ann.page.text);
        assert_eq!(ann.page.text.contains("data-poll=\"3\""), goes_on, "{}", ann.page.text);
        self.over(ann).await;
    }

    /// Waits until the run is over.
    async fn over(&self, ann: &mut Browser) {
        wait_until("the run to be over", RUN_WITHIN, async || {
            ann.get(&format!("{ACME}/conformance")).await;
            ann.words().contains("Have it judged")
        })
        .await;
    }

    /// She proposes prices, and finance accepts them.
    async fn price(&self, ann: &mut Browser) {
        let page = format!("{ACME}/prices");
        ann.get(&page).await;
        send(ann, &page, &[("currency", "EUR"), ("amount-0", "9")], &[]).await;
        assert!(ann.address.starts_with("/costs/proposals/"), "{} {}", ann.address, ann.words());
        let mut fin = self.browser("fin").await;
        fin.get(&ann.address).await;
        send(&mut fin, &ann.address, &[("reason", "fair")], &[("do", "accept")]).await;
        assert!(fin.words().contains("accepted"), "{}", fin.words());
    }

    /// All that a submission takes.
    async fn ready(&self, ann: &mut Browser) {
        self.register(ann).await;
        self.judge(ann).await;
        self.price(ann).await;
    }
}

/// That a page says these words.
#[track_caller]
fn says(browser: &Browser, words: &[&str]) {
    let page = browser.words();
    for word in words {
        assert!(page.contains(word), "{}: no {word:?} in {page}", browser.address);
    }
    assert!(!browser.page.text.contains("s3cret"), "a credential is shown: {page}");
}
