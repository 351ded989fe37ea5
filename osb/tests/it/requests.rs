//! How the server reads requests, over raw sockets: paths, queries, bodies, identities.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osb::*;
use serde_json::json;

use crate::support::{BINDING, INSTANCE, JSON, PROVISION, Scripted, Seen, assert_refused, request, serve};

#[tokio::test]
async fn url_01_amb_16_ids_are_decoded_exactly_once() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for (sent, id) in [
        ("a%2Fb%20c", "a/b c"),
        ("a%252Fb%2520c", "a%2Fb%20c"),
        ("%25252F", "%252F"),
        ("%C3%BC%F0%9F%98%80", "ü😀"),
        ("a+b", "a+b"),
        ("%2B%26%3D", "+&="),
        ("%2e%2e%2e", "..."),
        ("%61", "a"),
        ("%0A%00", "\n\0"),
        ("catalog", "catalog"),
    ] {
        broker.reply(Err::<LastOperation, _>(Error::gone()));
        let path = format!("/v2/service_instances/{sent}/service_bindings/{sent}/last_operation?operation={sent}");
        assert_eq!(request(server.address(), &format!("GET {path}"), "", "").await.status, 410, "{sent}");
        let (call, seen) = broker.only_call();
        let Seen::BindingOperation(seen) = seen else { panic!("{seen:?}") };
        assert_eq!((seen.instance_id.as_str(), seen.binding_id.as_str()), (id, id));
        assert_eq!(seen.operation, Some(id.replace("a+b", "a b")));
        assert_eq!(call.wire.unwrap().path_and_query, path);
    }
}

#[tokio::test]
async fn ids_that_are_empty_dots_or_no_utf_8_are_400() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for id in ["", ".", "..", "%2e", "%2E%2e", "%ff", "%zz", "a%2"] {
        for path in [format!("/v2/service_instances/{id}"), format!("{INSTANCE}/service_bindings/{id}")] {
            let answer = request(server.address(), &format!("GET {path}"), "", "").await;
            assert_refused(&answer, 400, "_id");
        }
    }
    assert_eq!(broker.count(), 0);
}

#[tokio::test]
async fn prv_02_05_upd_01_bnd_03_04_a_required_field_that_is_missing_null_empty_or_no_string_is_400_and_named() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let whole = json!({"service_id": "s", "plan_id": "p", "organization_guid": "o", "space_guid": "sp"});
    let provision = format!("PUT {INSTANCE}");
    let update = format!("PATCH {INSTANCE}");
    let bind = format!("PUT {BINDING}");
    let required: [(&str, &[&str]); 3] = [
        (&provision, &["service_id", "plan_id", "organization_guid", "space_guid"]),
        (&update, &["service_id"]),
        (&bind, &["service_id", "plan_id"]),
    ];
    for (line, names) in required {
        for name in names {
            let mut missing = whole.clone();
            missing.as_object_mut().unwrap().remove(*name);
            assert_refused(&request(server.address(), line, JSON, &missing.to_string()).await, 400, name);
            for value in [json!(null), json!(""), json!(7), json!({}), json!([])] {
                let mut body = whole.clone();
                body[*name] = value;
                assert_refused(&request(server.address(), line, JSON, &body.to_string()).await, 400, name);
            }
        }
    }
    let objects: [(&str, &[&str]); 3] = [
        (&provision, &["context", "parameters", "maintenance_info"]),
        (&update, &["context", "parameters", "maintenance_info", "previous_values"]),
        (&bind, &["context", "parameters", "bind_resource"]),
    ];
    for (line, names) in objects {
        for name in names {
            for value in [json!([]), json!("{}"), json!(1), json!(true)] {
                let mut body = whole.clone();
                body[*name] = value;
                assert_refused(&request(server.address(), line, JSON, &body.to_string()).await, 400, name);
            }
        }
    }
    assert_eq!(broker.count(), 0);
}

#[tokio::test]
async fn rot_01_amb_07_a_rotation_may_name_its_predecessor_alone() {
    let broker = Scripted::new();
    let server = serve(&broker);
    broker.reply(Ok(Bound::Created(BindResponse::default())));
    let line = format!("PUT {BINDING}");
    let answer = request(server.address(), &line, JSON, r#"{"predecessor_binding_id":"old"}"#).await;
    assert_eq!(answer.status, 201);
    let (_, Seen::Bind(seen)) = broker.only_call() else { panic!("no bind") };
    assert_eq!(seen.predecessor_binding_id, Maybe::Present("old".into()));
    for body in [r#"{"predecessor_binding_id":""}"#, r#"{"predecessor_binding_id":null}"#] {
        assert_refused(&request(server.address(), &line, JSON, body).await, 400, "_id");
    }
}

#[tokio::test]
async fn amb_11_12_15_empty_objects_and_nulls_are_fine_where_a_field_is_optional() {
    let broker = Scripted::new();
    let server = serve(&broker);
    broker.reply(Ok(Updated::Done(UpdateResponse::default())));
    let body = r#"{"service_id":"s","plan_id":null,"parameters":null,"maintenance_info":{},
                   "previous_values":{"maintenance_info":{}},"context":null}"#;
    let answer = request(server.address(), &format!("PATCH {INSTANCE}?accepts_incomplete=True"), "", body).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
    let (call, Seen::Update(seen)) = broker.only_call() else { panic!("no update") };
    assert_eq!((seen.plan_id, seen.parameters, seen.accepts_incomplete), (Maybe::Null, Maybe::Null, false));
    assert_eq!(call.wire.unwrap().body, body);
}

#[tokio::test]
async fn ct_02_prv_11_other_or_several_content_types_and_broken_json_are_400() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let line = format!("PUT {INSTANCE}");
    let several = "Content-Type: application/json\r\nContent-Type: application/json\r\n";
    for headers in ["Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", several] {
        assert_refused(&request(server.address(), &line, headers, PROVISION).await, 400, "content type");
    }
    let deep = format!("{{\"parameters\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let twice = PROVISION.replace("\"plan_id\"", "\"service_id\":\"t\",\"plan_id\"");
    for (body, word) in [
        ("", "required"),
        ("{", "JSON"),
        ("[]", "object"),
        ("\u{feff}{}", "JSON"),
        (&deep, "deeper"),
        (&twice, "duplicate"),
    ] {
        assert_refused(&request(server.address(), &line, "", body).await, 400, word);
    }
    for headers in ["", "Content-Type: APPLICATION/JSON; charset=utf-8\r\n"] {
        broker.reply(Ok(Provisioned::Created(ProvisionResponse::default())));
        assert_eq!(request(server.address(), &line, headers, PROVISION).await.status, 201);
    }
}

#[tokio::test]
async fn unb_01_dep_01_amb_13_a_delete_needs_both_ids_in_its_query_and_ignores_a_body() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for path in [INSTANCE, BINDING] {
        for (query, name) in [
            ("", "service_id"),
            ("?service_id=s", "plan_id"),
            ("?service_id=&plan_id=p", "service_id"),
            ("?service_id=s&plan_id=", "plan_id"),
        ] {
            let body = r#"{"service_id":"s","plan_id":"p"}"#;
            assert_refused(&request(server.address(), &format!("DELETE {path}{query}"), JSON, body).await, 400, name);
        }
    }
    broker.reply(Ok(Unbound::Done(Object::new())));
    let line = format!("DELETE {BINDING}?service_id=s&service_id=t&plan_id=p&accepts_incomplete=true");
    let answer = request(server.address(), &line, "Content-Type: text/plain\r\n", "not json").await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
    let (_, Seen::Unbind(seen)) = broker.only_call() else { panic!("no unbind") };
    assert_eq!((seen.service_id.as_str(), seen.accepts_incomplete), ("s", true), "AMB-10");
}

#[tokio::test]
async fn amb_14_an_empty_operation_counts_as_absent() {
    let broker = Scripted::new();
    let server = serve(&broker);
    broker.reply(Ok(LastOperation {
        retry_after_seconds: Some(9),
        ..LastOperation::new(OperationState::InProgress, "")
    }));
    let line = format!("GET {INSTANCE}/last_operation?operation=&service_id=");
    let answer = request(server.address(), &line, "", "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({"state": "in progress"})));
    assert_eq!(answer.header("retry-after"), Some("9"));
    let (_, Seen::InstanceOperation(seen)) = broker.only_call() else { panic!("no poll") };
    assert_eq!((seen.operation, seen.service_id), (None, None));
}

#[tokio::test]
async fn oid_01_02_06_07_a_malformed_originating_identity_is_400_and_a_lenient_one_travels_verbatim() {
    let broker = Scripted::new();
    let server = serve(&broker);
    for value in ["cloudfoundry", " e30=", "cloudfoundry ", "cloudfoundry !!!", "cloudfoundry e30= e30="] {
        let header = format!("X-Broker-API-Originating-Identity: {value}\r\n");
        let answer = request(server.address(), "GET /v2/catalog", &header, "").await;
        assert_refused(&answer, 400, "Originating-Identity");
    }
    // White space between the parts of an object, further properties, and all that Kubernetes tells.
    let user = STANDARD.encode("{\r\n  \"user_id\": \"683ea748\",\r\n  \"x\": 1\r\n}");
    let duke = STANDARD.encode(r#"{"username":"duke","uid":"c2","groups":["admin"],"extra":{"k":["v"]},"x":1}"#);
    let (user, duke) = (format!("cloudfoundry {user}"), format!("kubernetes {duke}"));
    for value in ["cloudfoundry eyJ1c2VyX2lkIjoiMSJ9", "kubernetes e30", "x e30=", &user, &duke] {
        broker.reply(Ok(CatalogDocument::from(&Catalog::default())));
        let header = format!("X-Broker-API-Originating-Identity: {value}\r\n");
        assert_eq!(request(server.address(), "GET /v2/catalog", &header, "").await.status, 200, "{value}");
        assert_eq!(broker.only_call().0.originating_identity, Some(OriginatingIdentity(value.to_owned())));
    }
}
