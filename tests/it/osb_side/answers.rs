//! What of a broker's answers platforms see: all that OSB lets it say, as it said it, and nothing where OSB forbids it.

use serde_json::{Value, json};

use crate::support::bench::{self, Bench};
use crate::support::recorder::Recorder;

use super::on_both;

/// Says with every refusal and every failure what only updates and deprovisions may.
fn flags(more: Value) -> Value {
    let mut body = json!({"description": "no", "instance_usable": false, "update_repeatable": false});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

/// Whether an answer says `instance_usable` and `update_repeatable`.
fn says(answer: &Value) -> (bool, bool) {
    (answer.get("instance_usable").is_some(), answer.get("update_repeatable").is_some())
}

#[tokio::test]
async fn err_03_04_flags_stand_where_osb_has_them_only() {
    on_both(async |b| {
        for id in ["i", "unbound"] {
            b.check("an order", &format!("PUT {id}"), Some(b.order("readable/one", json!({}))), (201, "")).await;
        }
        b.check("a bind", "PUT i/service_bindings/b", Some(b.bind_body("readable/one", json!({}))), (201, "")).await;
        let query = b.query("readable/one");
        let change = || Some(b.bind_body("readable/one", json!({"parameters": {"x": 1}})));
        for verb in ["provision", "bind", "fetch", "fetch_binding", "update", "unbind", "deprovision"] {
            b.recorder.say(verb, 422, &flags(json!({"error": "ConcurrencyError"})));
        }
        for (line, body, expected) in [
            ("PUT n".to_owned(), Some(b.order("readable/one", json!({}))), (false, false)),
            ("PUT i/service_bindings/n".into(), Some(b.bind_body("readable/one", json!({}))), (false, false)),
            ("GET i".into(), None, (false, false)),
            ("GET i/service_bindings/b".into(), None, (false, false)),
            ("PATCH i".into(), change(), (true, true)),
            (format!("DELETE i/service_bindings/b?{query}"), None, (false, false)),
            (format!("DELETE unbound?{query}"), None, (true, false)),
        ] {
            let told = b.check("ERR-03 ERR-04", &line, body, (422, "ConcurrencyError")).await.json();
            assert_eq!(says(&told), expected, "{line}: {told}");
        }
        for verb in ["provision", "bind", "update", "unbind", "deprovision"] {
            b.recorder.say(verb, 202, &json!({}));
        }
        for verb in ["last_operation", "binding_last_operation"] {
            b.recorder.say(verb, 200, &flags(json!({"state": "failed"})));
        }
        let bind = Some(b.bind_body("readable/one", json!({})));
        for (row, path, line, body, expected) in [
            ("LOI-10", "n", "PUT n?".to_owned(), Some(b.order("readable/one", json!({}))), (false, false)),
            ("LOI-10 UPD-19 UPD-20", "i", "PATCH i?".into(), change(), (true, true)),
            ("LOB-01", "i/service_bindings/b", format!("DELETE i/service_bindings/b?{query}&"), None, (false, false)),
            ("LOI-10", "unbound", format!("DELETE unbound?{query}&"), None, (true, false)),
            ("LOB-01", "i/service_bindings/n", "PUT i/service_bindings/n?".into(), bind, (false, false)),
        ] {
            b.check(row, &format!("{line}accepts_incomplete=true"), body, (202, "operation")).await;
            assert_eq!(b.outcome(path).await, "failed", "{row}");
            let told = b.check(row, &format!("GET {path}/last_operation"), None, (200, "failed")).await.json();
            assert_eq!(says(&told), expected, "{row}: {told}");
            if expected.0 {
                assert_eq!(told["instance_usable"], false, "{row}: as the broker said");
            }
        }
        assert_eq!(b.recorder.count("update"), 2, "UPD-20: what failed is not tried again");
    })
    .await;
}

/// An offering that may say everything, and what it says.
fn talkative() -> (Value, Value) {
    let mut catalog = bench::catalog();
    catalog["services"][1]["requires"] = json!(["syslog_drain", "route_forwarding", "volume_mount"]);
    catalog["services"][1]["plans"][0]["binding_rotatable"] = json!(true);
    let answer = json!({
        "credentials": {"uri": "db://u:p@h/d", "nested": {"port": 5432}},
        "syslog_drain_url": "syslog-tls://logs.example:6514",
        "route_service_url": "https://route.example/x",
        "volume_mounts": [{"driver": "nfs", "container_dir": "/data", "mode": "rw", "device_type": "shared",
            "device": {"volume_id": "v", "mount_config": {"key": "value"}}}],
        "endpoints": [{"host": "h.example", "ports": ["443", "9000-9010"], "protocol": "tcp"}, {"host": "::1", "ports": ["53"]}],
        "metadata": {"expires_at": "2031-12-31T23:59:59.0Z", "renew_before": "2031-12-30T23:59:59.123Z"}
    });
    (catalog, answer)
}

const PLAN: &str = "t-readable/one";

async fn talk(b: &Bench) -> (Recorder, Value) {
    let (catalog, answer) = talkative();
    let recorder = Recorder::start(&catalog);
    b.register("talkative", &recorder, json!({"name_prefix": "t-", "rotation": "native"})).await;
    recorder.say("bind", 201, &answer);
    let mut fetched = answer.clone();
    fetched["parameters"] = json!({"role": "reader"});
    recorder.say("fetch_binding", 200, &fetched);
    (recorder, answer)
}

#[tokio::test]
async fn bnd_16_18_19_20_21_22_gsb_02_all_of_a_binding_arrives_as_it_was_said() {
    on_both(async |b| {
        let (recorder, answer) = talk(b).await;
        b.check("an order", "PUT i", Some(b.order(PLAN, json!({}))), (201, "")).await;
        let bind = || Some(b.bind_body(PLAN, json!({"parameters": {"role": "reader"}})));
        for (row, status) in [("BND-07", 201), ("BND-08", 200)] {
            let told = b.check(row, "PUT i/service_bindings/b", bind(), (status, "")).await.json();
            assert_eq!(told, answer, "{row}");
        }
        let fetched = b.check("GSB-01 GSB-05", "GET i/service_bindings/b", None, (200, "reader")).await.json();
        for (name, value) in answer.as_object().expect("an object") {
            assert_eq!(&fetched[name], value, "GSB-02: {name}");
        }
        // Bound asynchronously, all of it comes by fetching.
        recorder.say("bind", 202, &json!({}));
        let line = "PUT i/service_bindings/later?accepts_incomplete=true";
        let told = b.check("BND-09", line, bind(), (202, "operation")).await.json();
        assert_eq!(told.as_object().map(|told| told.len()), Some(1), "BND-09: an operation and no credentials, {told}");
        assert_eq!(b.outcome("i/service_bindings/later").await, "succeeded");
        let fetched = b.check("LOB-04 GSB-01", "GET i/service_bindings/later", None, (200, "")).await.json();
        assert_eq!(fetched["credentials"], answer["credentials"], "GSB-02 BND-16");
        recorder.say("fetch_binding", 200, &answer);
        let fetched = b.check("GSB-05 withheld", "GET i/service_bindings/later", None, (200, "")).await.json();
        assert_eq!(fetched.get("parameters"), None, "GSB-05");
    })
    .await;
}

#[tokio::test]
async fn rot_03_05_a_successor_is_made_as_a_binding_is() {
    on_both(async |b| {
        let (recorder, answer) = talk(b).await;
        for id in ["i", "j"] {
            b.check("an order", &format!("PUT {id}"), Some(b.order(PLAN, json!({}))), (201, "")).await;
            let bind = Some(b.bind_body(PLAN, json!({})));
            b.check("a bind", &format!("PUT {id}/service_bindings/of-{id}"), bind, (201, "")).await;
        }
        let after = |predecessor: &str| json!({"predecessor_binding_id": predecessor});
        let whole = b.bind_body(PLAN, after("of-i"));
        let line = |id: &str| format!("PUT i/service_bindings/{id}");
        b.check("ROT-03 of another instance", &line("n"), Some(after("of-j")), (400, "predecessor")).await;
        let made = b.check("ROT-01 ROT-05 AMB-07", &line("n-1"), Some(after("of-i")), (201, "")).await.json();
        assert_eq!(made, answer, "ROT-05");
        b.check("AMB-07 with all ids", &line("n-2"), Some(whole.clone()), (201, "")).await;
        b.check("ROT-06 again", &line("n-2"), Some(whole), (200, "")).await;
        recorder.say("bind", 202, &json!({}));
        recorder.say("binding_last_operation", 200, &json!({"state": "in progress"}));
        let later = format!("{}?accepts_incomplete=true", line("n-3"));
        let told = b.check("ROT-05", &later, Some(after("of-i")), (202, "operation")).await.json();
        let again = b.check("ROT-05 ROT-06", &later, Some(after("of-i")), (202, "operation")).await.json();
        assert_eq!(told["operation"], again["operation"]);
        b.check("ROT-06 another", &later, Some(after("n-1")), (409, "")).await;
        recorder.usual("binding_last_operation");
        assert_eq!(b.outcome("i/service_bindings/n-3").await, "succeeded");
        for id in ["of-i", "n-1", "n-3"] {
            b.check("ROT-04 each stands", &format!("GET i/service_bindings/{id}"), None, (200, "")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn gsi_03_upd_13_22_what_is_known_of_an_instance_is_what_was_said_last() {
    on_both(async |b| {
        let order = || Some(b.order("small", json!({"parameters": {"a": 1}})));
        let labels = |word: &str| json!({"labels": {word: "1"}, "attributes": {"x": {"y": [1]}}});
        b.recorder.say("provision", 201, &json!({"dashboard_url": "https://one.example", "metadata": labels("first")}));
        let made = b.check("PRV-07", "PUT i", order(), (201, "https://one.example")).await.json();
        assert_eq!(made["metadata"], labels("first"), "PRV-15");
        for (row, answer, url, metadata) in [
            ("UPD-13 absent", json!({}), "https://one.example", "first"),
            ("UPD-13 null", json!({"dashboard_url": null}), "https://one.example", "first"),
            ("UPD-22", json!({"metadata": labels("second")}), "https://one.example", "second"),
            ("UPD-10", json!({"dashboard_url": "https://two.example"}), "https://two.example", "second"),
        ] {
            b.recorder.say("update", 200, &answer);
            let change = b.bind_body("small", json!({"parameters": {"b": row}}));
            let told = b.check(row, "PATCH i", Some(change), (200, "")).await.json();
            assert_eq!(told, answer, "{row}: the answer itself is handed on");
            let fetched = b.check("GSI-03", "GET i", None, (200, url)).await.json();
            assert_eq!(fetched["metadata"], labels(metadata), "{row}");
            assert_eq!(fetched["parameters"], json!({"a": 1, "b": row}), "GSI-03");
            let repeat = b.order("small", json!({"parameters": {"a": 1, "b": row}}));
            let repeated = b.check("PRV-08", "PUT i", Some(repeat), (200, url)).await.json();
            assert_eq!(repeated["metadata"], labels(metadata), "{row}");
        }
        // One that can be fetched is fetched, and only its ids are the hub's.
        b.check("PRV-07", "PUT r", Some(b.order("readable/one", json!({}))), (201, "")).await;
        let said = json!({"service_id": "b-readable", "plan_id": "b-one", "dashboard_url": "https://r.example",
            "parameters": {"n": 1}, "maintenance_info": {"version": "1.0.0"}, "metadata": labels("r"), "x-own": "y"});
        b.recorder.say("fetch", 200, &said);
        let (service_id, plan_id) = b.ids("readable/one");
        for hints in ["", "?service_id=&plan_id=", &format!("?{}", b.query("readable/one"))] {
            let mut fetched = b.check("GSI-02 GSI-03", &format!("GET r{hints}"), None, (200, "")).await.json();
            assert_eq!((&fetched["service_id"], &fetched["plan_id"]), (&json!(service_id), &json!(plan_id)));
            fetched["service_id"] = "b-readable".into();
            fetched["plan_id"] = "b-one".into();
            assert_eq!(fetched, said, "GSI-03");
        }
        b.recorder.say("fetch", 200, &json!({}));
        let fetched = b.check("GSI-07 withheld", "GET r", None, (200, "")).await.json();
        assert_eq!(fetched.get("parameters"), None, "GSI-07");
    })
    .await;
}

#[tokio::test]
async fn unb_03_while_an_unbind_runs_repeats_join_it() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.check("a bind", "PUT i/service_bindings/b", Some(b.bind_body("small", json!({}))), (201, "")).await;
        b.recorder.say("unbind", 202, &json!({"operation": "u"}));
        b.recorder.say("binding_last_operation", 200, &json!({"state": "in progress"}));
        let line = format!("DELETE i/service_bindings/b?{}&accepts_incomplete=true", b.query("small"));
        let first = b.check("UNB-03", &line, None, (202, "operation")).await.json();
        let again = b.check("UNB-03", &line, None, (202, "operation")).await.json();
        assert_eq!(first["operation"], again["operation"], "ASY-04");
        b.check("LOB-01", "GET i/service_bindings/b/last_operation", None, (200, "in progress")).await;
        b.recorder.say("binding_last_operation", 410, &json!({}));
        assert_eq!(b.outcome("i/service_bindings/b").await, "succeeded", "LOB-02");
        assert_eq!(b.recorder.count("unbind"), 1);
        // LOI-12: what is over is not asked about any more, although others are.
        let polled = b.recorder.count("binding_last_operation");
        b.recorder.say("provision", 202, &json!({}));
        b.check("another", "PUT j?accepts_incomplete=true", Some(b.order("small", json!({}))), (202, "")).await;
        assert_eq!(b.outcome("j").await, "succeeded");
        assert_eq!(b.recorder.count("binding_last_operation"), polled, "LOI-12");
        b.check("UNB-04 UNB-08", &line, None, (410, "")).await;
        b.check("UNB-08", "GET i/service_bindings/b", None, (404, "")).await;
        b.check("LOB-02 LOI-11", "GET i/service_bindings/b/last_operation", None, (200, "succeeded")).await;
    })
    .await;
}

#[tokio::test]
async fn amb_09_12_ver_06_what_else_is_let_pass() {
    on_both(async |b| {
        let order = |more| Some(b.order("small", more));
        let version = json!({"maintenance_info": {"version": "1.2.0"}});
        b.check("an order", "PUT i", order(version.clone()), (201, "")).await;
        let mut moved = bench::catalog();
        moved["services"][0]["plans"][0]["maintenance_info"]["version"] = json!("1.3.0");
        b.recorder.say("catalog", 200, &moved);
        let path = "/api/v1/brokers/recorder/refresh";
        assert_eq!(b.hub.admin(reqwest::Method::POST, path, None).await.status, 200);
        b.check("AMB-09", "PUT i?accepts_incomplete=true", order(version.clone()), (200, "")).await;
        b.check("PRV-06 a new one", "PUT n", order(version), (422, "MaintenanceInfoConflict")).await;
        b.recorder.say("provision", 422, &json!({"error": "AsyncRequired", "description": "poll"}));
        for word in ["TRUE", "1", "yes", "", "false", "true%20"] {
            let line = format!("PUT a?accepts_incomplete={word}");
            b.check("AMB-12", &line, order(json!({})), (422, "AsyncRequired")).await;
            assert!(!b.recorder.last("provision").target.contains("accepts_incomplete=true"), "AMB-12: {word}");
        }
        // VER-06: an older platform gets what is newer than it, and leaves it alone.
        let mut catalogs = Vec::new();
        for version in ["2.13", "2.17"] {
            let head = format!(
                "GET /v2/catalog HTTP/1.1\nX-Broker-API-Version: {version}\nAuthorization: {}",
                crate::support::raw::basic(&b.platform)
            );
            catalogs.push(crate::support::raw::send(&b.hub.url, &head, "").await.text);
        }
        assert!(catalogs[0].contains("maintenance_info"), "VER-06");
        assert_eq!(catalogs[0], catalogs[1], "VER-06");
    })
    .await;
}
