//! The hub's `POST /usage` as the contract has it, in memory: it remembers what it took, and answers as the test says.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) ids: BTreeSet<String>,
    pub(crate) calls: Vec<(String, String, usize)>,
    /// Ids that it refuses.
    pub(crate) refuses: BTreeSet<String>,
    /// Takes the next batch, and then says 500.
    pub(crate) loses_answer: bool,
}

pub(crate) struct Hub {
    pub(crate) url: String,
    pub(crate) taken: Arc<Mutex<Taken>>,
    handle: ServerHandle,
}

async fn usage(request: HttpRequest, body: web::Json<Vec<Value>>, taken: web::Data<Mutex<Taken>>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let mut taken = taken.lock().unwrap();
    taken.calls.push((header("authorization"), header("content-type"), body.len()));
    let mut results = Vec::new();
    for event in body.iter() {
        let id = event["id"].as_str().unwrap();
        let status = match () {
            () if taken.refuses.contains(id) => "rejected",
            () if taken.ids.insert(id.to_owned()) => "accepted",
            () => "duplicate",
        };
        results.push(json!({"source": event["source"], "id": id, "status": status, "reason": "no such instance"}));
    }
    if std::mem::take(&mut taken.loses_answer) {
        return HttpResponse::InternalServerError().finish();
    }
    HttpResponse::Ok().json(json!({"results": results}))
}

impl Hub {
    pub(crate) fn start() -> Self {
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let data = web::Data::from(Arc::clone(&taken));
        let app = move || App::new().app_data(data.clone()).route("/api/v1/usage", web::post().to(usage));
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        drop(tokio::spawn(server));
        Self { url, taken, handle }
    }

    pub(crate) async fn stop(&self) {
        self.handle.stop(false).await;
    }
}
