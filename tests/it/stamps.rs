//! Stamps: signed for one request, verified by the same code that brokers use, over every change of keys; without a key
//! nothing is signed.

use std::collections::BTreeMap;
use std::time::Duration;

use bourse::app::Error;
use bourse::app::stamps::{StampFacts, StampPlatform, StampTenant};
use bourse::secret::{Sealer, Secret};
use bytes::Bytes;
use osb::WireRequest;
use osb::stamp::{Expected, Jwks, Stamp, StampError, verify_with};

use crate::support::bare::{Bare, On, on_each};

const DAY: Duration = Duration::from_secs(86_400);

fn request() -> WireRequest {
    WireRequest {
        method: "PUT".into(),
        path_and_query: "/v2/service_instances/i-1?accepts_incomplete=true".into(),
        body: Bytes::from_static(br#"{"plan_id":"p"}"#),
    }
}

fn facts() -> StampFacts {
    StampFacts {
        tenant: Some(StampTenant { id: "t-1".into(), name: "retail".into(), ..StampTenant::default() }),
        platform: Some(StampPlatform { id: "p-1".into(), name: "cf".into(), kind: "cloudfoundry".into() }),
        inst: Some("i-1".into()),
        svc: Some("s-1".into()),
        plan: Some("p-1".into()),
        path_prefix: "/base".into(),
        ..StampFacts::default()
    }
}

fn verify(hub: &Bare, keys: &Jwks, stamp: &str, request: &WireRequest) -> Result<Stamp, StampError> {
    let issuer = &hub.app.config().server.public_url;
    let expected = Expected { issuer, audience: Some("vnet"), path_prefix: "/base" };
    verify_with(keys, stamp, request, expected, u64::try_from(hub.clock.now().seconds()).expect("a time"))
}

async fn stamp(hub: &Bare) -> String {
    hub.app.stamp("vnet", &request(), &facts()).await.expect("no stamp")
}

async fn jwks(hub: &Bare) -> Jwks {
    hub.app.jwks().await.expect("no keys")
}

#[tokio::test]
async fn a_stamp_says_for_whom_and_is_good_for_this_request_only() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let (made, keys) = (stamp(&hub).await, jwks(&hub).await);
        let read = verify(&hub, &keys, &made, &request()).expect("it is not verified");
        assert_eq!(
            (read.sub.as_str(), read.tenant.name.as_str(), read.platform.kind.as_str()),
            ("t-1", "retail", "cloudfoundry")
        );
        assert_eq!(
            (read.inst.as_deref(), read.bind.as_deref(), read.plan.as_deref()),
            (Some("i-1"), None, Some("p-1"))
        );
        assert_eq!(read.htu, "/base/v2/service_instances/i-1?accepts_incomplete=true");
        let other = WireRequest { body: Bytes::from_static(b"{}"), ..request() };
        assert_eq!(verify(&hub, &keys, &made, &other), Err(StampError::Body));
        assert_ne!(stamp(&hub).await, made, "each has an id of its own");
    })
    .await;
}

#[tokio::test]
async fn without_a_tenant_the_subject_is_empty() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let request = WireRequest { method: "GET".into(), path_and_query: "/v2/catalog".into(), body: Bytes::new() };
        let facts = StampFacts { path_prefix: "/base".into(), ..StampFacts::default() };
        let made = hub.app.stamp("vnet", &request, &facts).await.expect("no stamp");
        assert_eq!(verify(&hub, &jwks(&hub).await, &made, &request).expect("it is not verified").sub, "");
    })
    .await;
}

#[tokio::test]
async fn keys_roll_over_without_a_stamp_that_published_keys_do_not_verify() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        // What a broker fetched a while ago: published keys are ahead of their use.
        let mut fetched = jwks(&hub).await;
        let mut kids = std::collections::BTreeSet::new();
        let (mut largest, step) = (0, Duration::from_secs(1800));
        for _ in 0..(65 * 48) {
            hub.clock.advance(step);
            let made = stamp(&hub).await;
            verify(&hub, &fetched, &made, &request())
                .expect("a stamp that keys fetched half an hour ago do not verify");
            fetched = jwks(&hub).await;
            verify(&hub, &fetched, &made, &request()).expect("a stamp that the keys of the moment do not verify");
            largest = largest.max(fetched.keys.len());
            kids.extend(fetched.keys.iter().filter_map(|key| key.kid.clone()));
        }
        assert_eq!((kids.len(), largest), (3, 2), "65 days are three keys, two of them published at once");
    })
    .await;
}

#[tokio::test]
async fn a_stamp_made_just_before_a_change_of_keys_is_good_until_it_expires() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        jwks(&hub).await;
        // The first key counts as an hour old. Another hour before it is followed, the next one is published.
        hub.clock.advance(30 * DAY - Duration::from_secs(7200));
        stamp(&hub).await;
        hub.clock.advance(Duration::from_secs(3590));
        let made = stamp(&hub).await;
        hub.clock.advance(Duration::from_secs(290));
        let keys = jwks(&hub).await;
        assert_ne!(stamp(&hub).await.split('.').next(), made.split('.').next(), "the keys have changed");
        verify(&hub, &keys, &made, &request()).expect("it is not verified");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_on_one_database_share_keys_on_postgres() {
    let one = Bare::on(On::Postgres, |_| {}).await;
    let two = one.another().await;
    // All at once at the very first start, and again when the next key is due.
    for _ in 0..2 {
        let (a, b, c, d) = tokio::join!(stamp(&one), stamp(&two), jwks(&one), jwks(&two));
        assert_eq!(c, d);
        verify(&two, &c, &a, &request()).expect("the other process's stamp is not verified");
        verify(&one, &d, &b, &request()).expect("the other process's stamp is not verified");
        one.clock.advance(30 * DAY);
    }
    assert_eq!(jwks(&one).await.keys.len(), 2);
}

#[tokio::test]
async fn without_a_usable_key_there_is_an_error_and_no_stamp() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        stamp(&hub).await;
        // The encryption key was lost: the private key can't be opened any more.
        let sealer = Sealer::new(&[Secret::new(Sealer::generate_key().expect("no key"))]).expect("a key");
        let locked = bourse::app::App::new(hub.app.config().clone(), hub.db.clone(), hub.clock.clone(), sealer);
        let outcome = locked.stamp("vnet", &request(), &facts()).await;
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
        assert_eq!(locked.jwks().await.expect("no keys").keys.len(), 1, "what was signed can still be verified");
    })
    .await;
}

#[tokio::test]
async fn a_stamp_that_does_not_fit_into_a_header_is_an_error() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let labels: BTreeMap<_, _> = (0..32).map(|n| (format!("label-{n}"), "x".repeat(255))).collect();
        let tenant = Some(StampTenant { labels, ..StampTenant::default() });
        let outcome = hub.app.stamp("vnet", &request(), &StampFacts { tenant, ..facts() }).await;
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    })
    .await;
}

#[tokio::test]
async fn private_keys_are_sealed_at_rest_and_not_in_what_is_published() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let published = serde_json::to_value(jwks(&hub).await).expect("no JSON");
        assert_eq!(published["keys"][0].get("d"), None);
        let stored = hub.db.read(|tx| Box::pin(bourse::store::stamp_keys::all(tx))).await.expect("no rows");
        assert!(osb::stamp::Signer::from_pkcs8(&stored[0].private_key).is_err(), "the private key lies open");
        assert!(!format!("{:?}", hub.app).contains("PRIVATE"));
    })
    .await;
}
