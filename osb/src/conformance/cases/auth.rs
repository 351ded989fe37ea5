//! Authentication: no credentials and wrong ones, on every endpoint, before anything else that is wrong with a request.

use super::super::http::basic;
use super::super::probe::CaseResult;
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "no credentials and wrong ones on every endpoint",
        rows: &["AUTH-01", "AUTH-02"],
        of_bindings: false,
        run: |run| Box::pin(every_endpoint(run)),
    },
    Case {
        name: "wrong credentials before all else that is wrong",
        rows: &["AUTH-02"],
        of_bindings: false,
        run: |run| Box::pin(before_all_else(run)),
    },
];

const WITHOUT: &str = "no credentials were given to the suite";

async fn every_endpoint(run: &Run) -> CaseResult {
    let Some((username, password)) = run.credentials() else {
        run.not_applicable(&["AUTH-01", "AUTH-02"], WITHOUT);
        return Ok(());
    };
    let right = run.send(Request::catalog()).await;
    run.expect("AUTH-01", &right, right.is(200), "status 200 with the credentials given");
    let mut shorter = password.to_owned();
    shorter.pop();
    let strangers = [
        None,
        Some(basic(username, &format!("{password}-wrong"))),
        Some(basic(username, &shorter)),
        Some(basic(&format!("{username}-wrong"), password)),
    ];
    for endpoint in Endpoint::ALL {
        for stranger in &strangers {
            let request = run.request(endpoint, &run.fresh_id(), &run.fresh_id()).from(stranger.clone());
            let seen = run.send(request).await;
            run.expect_status("AUTH-02", &seen, &[401]);
        }
    }
    Ok(())
}

async fn before_all_else(run: &Run) -> CaseResult {
    let Some((username, password)) = run.credentials() else {
        run.not_applicable(&["AUTH-02"], WITHOUT);
        return Ok(());
    };
    let ask = |endpoint| run.request(endpoint, &run.fresh_id(), &run.fresh_id());
    let strange = [
        None,
        Some(basic(username, &format!("x{password}"))),
        Some("Basic !!!".to_owned()),
        Some("Basic".to_owned()),
        Some("Bearer conformance".to_owned()),
    ];
    for stranger in strange {
        let requests = [
            ask(Endpoint::Provision).raw("{"),
            ask(Endpoint::Provision).raw("").header("Content-Type", "text/plain"),
            ask(Endpoint::Bind).json(&serde_json::json!({})),
            ask(Endpoint::Update).without_header("X-Broker-API-Version"),
            ask(Endpoint::Catalog).without_header("X-Broker-API-Version"),
            ask(Endpoint::Unbind).without_query("service_id").without_query("plan_id"),
        ];
        for request in requests {
            let seen = run.send(request.from(stranger.clone())).await;
            run.expect_status("AUTH-02", &seen, &[401]);
        }
    }
    Ok(())
}
