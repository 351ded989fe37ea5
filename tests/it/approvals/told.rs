//! What is told of an approval: webhooks when it is asked for and when it is decided, and what policies say to whoever decides.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bourse::config::Sink;
use bourse::secret::Secret;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};

use super::{Shop, on_both};
use crate::support::bare::on_each;
use crate::support::hub::{BOUND, World, polling};
use crate::support::wait::wait_until;

/// The bytes that a sink's secret stands for, as its receiver knows them.
const KEY: &[u8] = b"the receiver's own copy of it";

/// What came: the event, and whether its signature is the one of Standard Webhooks.
type Came = Arc<Mutex<Vec<(Value, bool)>>>;

async fn receive(request: HttpRequest, body: web::Bytes, came: web::Data<Mutex<Vec<(Value, bool)>>>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    let holds = |text: &str| {
        let signature = text.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        hmac::verify(&key, &signed, &signature).is_ok()
    };
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    let right = header("webhook-signature").split(' ').any(holds) && event["id"] == header("webhook-id");
    came.lock().expect("a receiver panicked").push((event, right));
    HttpResponse::NoContent().finish()
}

fn receiver() -> (String, Came) {
    let came = Came::default();
    let data = web::Data::from(Arc::clone(&came));
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)));
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("no port");
    let url = format!("http://{}/hooks", server.addrs()[0]);
    tokio::spawn(server.run());
    (url, came)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_webhook_goes_out_when_an_approval_is_asked_for_and_when_it_is_decided() {
    on_each(async |on| {
        let (url, came) = receiver();
        let secret = Secret::new(format!("whsec_{}", STANDARD.encode(KEY)));
        let sink = Sink::Webhook { name: "desk".into(), url, secret };
        let world = World::new(on, |config| config.events.sinks = vec![sink]).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let shop = Shop { world, hub, p };
        let of_approvals = || {
            let came = came.lock().expect("a receiver panicked");
            let kind = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
            let those = came.iter().filter(|(event, _)| kind(event).starts_with("io.bourse.approval."));
            those.map(|(event, right)| (kind(event), event["data"].clone(), *right)).collect::<Vec<_>>()
        };
        shop.administrator("bob").await;
        shop.rule("all", json!({})).await;
        for (id, verb, state) in [("i-1", "approve", "approved"), ("i-2", "deny", "denied")] {
            let before = of_approvals().len();
            assert_eq!(shop.hub.provision(&shop.p, id, "ok", polling()).await.status, 202);
            // Whoever decides may learn of it by this alone.
            wait_until("the request to be told", BOUND, async || of_approvals().len() > before).await;
            let asked = of_approvals().pop().expect("it came");
            assert_eq!((asked.0.as_str(), asked.2), ("io.bourse.approval.requested", true), "{asked:?}");
            assert_eq!(asked.1["platform_instance_id"], id, "{asked:?}");
            let approval = json!({"id": asked.1["approval_id"]});
            assert_eq!(shop.decide("bob", &approval, verb, "so be it").await.status, 200);
            wait_until("the decision to be told", BOUND, async || of_approvals().len() > before + 1).await;
            let decided = of_approvals().pop().expect("it came");
            assert_eq!((decided.0.as_str(), decided.2), ("io.bourse.approval.decided", true), "{decided:?}");
            assert_eq!(
                (&decided.1["approval_id"], &decided.1["decision"]),
                (&approval["id"], &json!(state)),
                "{decided:?}"
            );
        }
        let all = came.lock().expect("a receiver panicked").clone();
        assert!(all.iter().all(|(_, right)| *right), "each event is signed: {all:?}");
        shop.check_stories().await;
        shop.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn whoever_decides_reads_what_policies_say_before_and_with_the_decision() {
    on_both(async |shop| {
        let hub = &shop.hub;
        for name in ["bob", "eve"] {
            shop.administrator(name).await;
        }
        shop.rule("one", json!({"approvers": ["bob"]})).await;
        shop.rule("other", json!({"approvers": ["eve"]})).await;
        let order = json!({"offering": "faults", "plan": "ok"});
        let net = "/api/v1/tenants/retail/instances/net";
        assert_eq!(hub.admin(Method::PUT, net, Some(order)).await.status, 202);
        let pending = shop.approvals("pending").await;
        assert!(pending.iter().all(|one| one.get("policies").is_none()), "a list is not asked of policies");
        let of = |name: &str| pending.iter().find(|one| one["approvers"] == json!([name])).expect("asked").clone();
        let (bobs, eves) = (of("bob"), of("eve"));
        let path = format!("/api/v1/approvals/{}", bobs["id"].as_str().expect("an id"));
        assert_eq!(hub.admin(Method::GET, &path, None).await.body["policies"], json!([]));

        // What they say of it is what they say now, not when it was ordered.
        let text = "@reason(\"not at night\") @remedy(\"order by day\") forbid(principal, action, resource);";
        let warns = Some(json!({"text": text, "mode": "warn"}));
        assert_eq!(hub.admin(Method::PUT, "/api/v1/policies/night", warns).await.status, 201);
        let said = |body: &Value| {
            let one = body["policies"][0].clone();
            assert_eq!(body["policies"].as_array().map(Vec::len), Some(1), "{body}");
            assert_eq!((&one["policy"], &one["mode"]), (&json!("night"), &json!("warn")), "{body}");
            assert_eq!((&one["reason"], &one["remedy"]), (&json!("not at night"), &json!("order by day")), "{body}");
        };
        let seen = hub.admin(Method::GET, &path, None).await.body;
        said(&seen);
        assert!(seen.get("refused").is_none(), "a warning refuses nothing: {seen}");
        let first = shop.decide("bob", &bobs, "approve", "").await;
        assert_eq!(first.status, 200, "{first:?}");
        said(&first.body);
        assert!(hub.admin(Method::GET, &path, None).await.body.get("policies").is_none(), "it is decided");

        let refuses = Some(json!({"text": text, "mode": "enforce"}));
        assert_eq!(hub.admin(Method::PUT, "/api/v1/policies/night", refuses).await.status, 200);
        let path = format!("/api/v1/approvals/{}", eves["id"].as_str().expect("an id"));
        let seen = hub.admin(Method::GET, &path, None).await.body;
        assert_eq!(seen["policies"][0]["mode"], "enforce", "{seen}");
        assert!(seen["refused"].as_str().is_some_and(|text| text.contains("not at night")), "{seen}");
        let denied = shop.decide("eve", &eves, "deny", "not now").await;
        assert_eq!((denied.status, denied.body.get("policies")), (200, None), "{denied:?}");
        assert!(shop.told().is_empty());
    })
    .await;
}
