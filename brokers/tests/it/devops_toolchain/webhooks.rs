//! Web hooks: what a receiver gets, and where none may be.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde_json::{Value, json};

use super::room::{Room, Wish};

/// Events that came, and how many are still answered 500.
#[derive(Default)]
struct Receiver {
    came: Mutex<Vec<(String, Value)>>,
    failing: Mutex<usize>,
}

/// Checks the signature as the specification says, and keeps the event.
fn take(receiver: &Receiver, secret: &str, request: &HttpRequest, body: &str) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let given = BASE64_STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes(), &given).unwrap();
    receiver.came.lock().unwrap().push((header("webhook-id"), serde_json::from_str(body).unwrap()));
    let mut failing = receiver.failing.lock().unwrap();
    if *failing > 0 {
        *failing -= 1;
        return HttpResponse::InternalServerError().finish();
    }
    HttpResponse::NoContent().finish()
}

/// Listens; the secret comes later.
fn listen(receiver: &Arc<Receiver>, secret: &Arc<Mutex<String>>) -> String {
    let (receiver, secret) = (Arc::clone(receiver), Arc::clone(secret));
    let server = HttpServer::new(move || {
        let (receiver, secret) = (Arc::clone(&receiver), Arc::clone(&secret));
        App::new().default_service(web::to(move |request: HttpRequest, body: String| {
            let answer = take(&receiver, &secret.lock().unwrap(), &request, &body);
            async move { answer }
        }))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", server.addrs()[0]);
    tokio::spawn(server.run());
    url
}

#[tokio::test]
async fn a_push_is_told_signed_in_order_and_again_after_a_500_with_the_same_id() {
    let (receiver, secret) = (Arc::new(Receiver::default()), Arc::default());
    let url = listen(&receiver, &secret);
    let room = Room::with(Wish { hooks_anywhere: true, ..Wish::default() }).await;
    let git_url = room.ready("a", Value::Null).await;
    let hook = room.bind("a", "hook", json!({"kind": "webhook", "url": url})).await.unwrap();
    assert_eq!(hook["events"], json!(["push", "build"]));
    secret.lock().unwrap().push_str(hook["secret"].as_str().unwrap());
    *receiver.failing.lock().unwrap() = 1;

    room.clone_to(&git_url, "work").await.fine();
    let before = room.git("work", &["rev-parse", "HEAD"]).await.fine().trim().to_owned();
    let after = room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.git("work", &["push", "--quiet", "origin", "main:other"]).await.fine();
    room.service.work().await.unwrap();
    room.service.work().await.unwrap();
    assert_eq!(receiver.came.lock().unwrap().len(), 1, "the second waits for the first, which waits");
    room.pass(5);
    room.service.work().await.unwrap();
    room.service.work().await.unwrap();
    room.service.work().await.unwrap();

    let came = receiver.came.lock().unwrap();
    let [(first, told), (again, repeated), (_, other)] = came.as_slice() else { panic!("{came:?}") };
    assert_eq!((first, told), (again, repeated));
    assert_eq!((&told["type"], &told["branch"]), (&json!("push"), &json!("main")));
    assert_eq!((told["before"].as_str(), told["after"].as_str()), (Some(before.as_str()), Some(after.as_str())));
    assert!(told["pusher"].as_str().unwrap().starts_with('t'));
    assert_eq!((&other["branch"], &other["before"]), (&json!("other"), &Value::Null));
    assert!(!came.iter().any(|(_, event)| event.to_string().contains("bdt_")), "no token is told");
}

#[tokio::test]
async fn an_unbound_web_hook_hears_nothing_more() {
    let (receiver, secret) = (Arc::new(Receiver::default()), Arc::default());
    let url = listen(&receiver, &secret);
    let room = Room::with(Wish { hooks_anywhere: true, ..Wish::default() }).await;
    let git_url = room.ready("a", Value::Null).await;
    room.bind("a", "hook", json!({"kind": "webhook", "url": url})).await.unwrap();
    room.clone_to(&git_url, "work").await.fine();
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.unbind("a", "hook").await.unwrap();
    room.service.work().await.unwrap();
    assert!(receiver.came.lock().unwrap().is_empty());
}

#[tokio::test]
async fn web_hooks_to_what_is_near_are_refused() {
    let room = Room::new().await;
    room.order("a", "basic", Value::Null).await.unwrap();
    for url in
        ["http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://[::ffff:7f00:1]/"]
    {
        let refused = room.bind("a", "h", json!({"kind": "webhook", "url": url})).await.unwrap_err();
        assert_eq!(refused.status, 400, "{url}");
        assert!(refused.body.description.as_option().unwrap().contains("may not be called"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_what_is_near_is_refused_when_it_is_called() {
    let (receiver, secret) = (Arc::new(Receiver::default()), Arc::default());
    let url = listen(&receiver, &secret).replace("127.0.0.1", "localhost");
    let room = Room::new().await;
    let git_url = room.ready("a", Value::Null).await;
    room.bind("a", "h", json!({"kind": "webhook", "url": url})).await.unwrap();
    room.clone_to(&git_url, "work").await.fine();
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.service.work().await.unwrap();
    assert!(receiver.came.lock().unwrap().is_empty());
}

#[tokio::test]
async fn pushes_at_the_same_time_are_each_told_once_and_none_is_taken_back() {
    let room = Room::with(Wish { hooks_anywhere: true, ..Wish::default() }).await;
    let url = room.ready("a", Value::Null).await;
    room.bind("a", "hook", json!({"kind": "webhook", "url": "http://127.0.0.1:1/"})).await.unwrap();
    room.clone_to(&url, "work").await.fine();
    let branches: Vec<_> = (0..8).map(|number| format!("HEAD:refs/heads/b{number}")).collect();
    let pushes = branches.iter().map(async |branch| {
        room.git("work", &["push", "--quiet", "origin", branch]).await.fine();
    });
    futures_util::future::join_all(pushes).await;
    let db = osb::kit::Db::open(&room.path("data/devops-toolchain.db"), "").await.unwrap();
    let told: Vec<String> = sqlx::query_scalar("select body from delivery").fetch_all(db.reader()).await.unwrap();
    let told: Vec<Value> = told.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert!(told.iter().all(|event| event["before"].is_null() && event["after"].is_string()), "{told:?}");
    let mut named: Vec<_> = told.iter().map(|event| event["branch"].as_str().unwrap().to_owned()).collect();
    named.sort();
    assert_eq!(named, (0..8).map(|number| format!("b{number}")).collect::<Vec<_>>());
}
