//! The drivers `forgejo` and `gitea` against a script. Branch protection, runners, tokens and teams are those of Forgejo's
//! `templates/swagger/v1_json.tmpl` (API v1, of the development branch after version 15, which has
//! `POST /repos/{owner}/{repo}/actions/runners` and deprecates registration tokens); the fields of all bodies that are sent were
//! compared with types made from Gitea's file of the same name. No server of either was run, and statuses are as far as known.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bourse_brokers::devops_toolchain::forgejo::{Config, Flavour};
use bourse_brokers::devops_toolchain::{DevopsToolchain, RETENTION, SCHEMA, plan};
use osb::Object;
use osb::kit::{Binding, Clock, Db, Fault, Instance, Secret, Service, Tenant, Window};
use serde_json::{Value, json};

use super::room::{START, plan_id};
use super::scripted::{Exchange, Scripted};
use crate::support::object;

const TOKEN: &str = "administrator-token";
const ORG: &str = "bourse-retail-9f86d08188";

struct There {
    _folder: tempfile::TempDir,
    server: Scripted,
    service: DevopsToolchain,
    now: Arc<AtomicI64>,
}

async fn there(flavour: Flavour) -> There {
    let folder = tempfile::tempdir().unwrap();
    let server = Scripted::start();
    let now = Arc::new(AtomicI64::new(START));
    let db = Db::open(&folder.path().join("db"), SCHEMA).await.unwrap();
    let config = Config {
        flavour,
        url: server.url.clone(),
        token: TOKEN.to_owned(),
        templates: "templates".to_owned(),
        prefix: "bourse-".to_owned(),
        status_context: "ci".to_owned(),
        ca_pem: None,
        timeout: Duration::from_millis(500),
        db,
        clock: Clock::Manual(Arc::clone(&now)),
    };
    let service = DevopsToolchain::forgejo(config, RETENTION).unwrap();
    There { _folder: folder, server, service, now }
}

/// An instance for tenant `retail`, whose id has a known hash.
fn instance(plan: &str, parameters: Value, state: Value) -> Instance {
    Instance {
        resource: "resource".to_owned(),
        id: "i".to_owned(),
        service_id: plan::SERVICE_ID.to_owned(),
        plan_id: plan_id(plan),
        parameters: object(parameters),
        tenant: Some(Tenant {
            id: "test".to_owned(),
            name: "retail".to_owned(),
            groups: vec!["developers".to_owned()],
        }),
        state: Secret(object(state)),
        created_at: START,
    }
}

fn made(plan: &str, parameters: Value) -> Instance {
    instance(plan, parameters, json!({"organisation": ORG, "repository": "r"}))
}

fn binding(resource: &str, parameters: Value) -> Binding {
    Binding {
        resource: resource.to_owned(),
        id: "b".to_owned(),
        parameters: object(parameters),
        user: None,
        tenant: None,
        created_at: START,
        issued: None,
    }
}

fn call(call: impl Into<String>, body: Value, status: u16, answer: Value) -> Exchange {
    Exchange { call: call.into(), authorization: format!("token {TOKEN}"), body, status, answer }
}

/// What follows from an id in names.
fn short(id: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
    hash.as_ref().iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

fn teams(repository: &str) -> Vec<Exchange> {
    let path = |id: u8| format!("PUT /api/v1/teams/{id}/repos/{ORG}/{repository}");
    vec![
        call(
            format!("POST /api/v1/orgs/{ORG}/teams"),
            json!({"name": format!("{repository}-readers"), "permission": "read", "units_map": {"repo.code": "read"}, "includes_all_repositories": false}),
            201,
            json!({"id": 11, "name": format!("{repository}-readers")}),
        ),
        call(path(11), Value::Null, 204, Value::Null),
        // There already, from a try before: found, and brought up to date.
        call(
            format!("POST /api/v1/orgs/{ORG}/teams"),
            json!({"name": format!("{repository}-writers"), "permission": "write", "description": "Groups: developers"}),
            422,
            json!({"message": "team already exists"}),
        ),
        call(
            format!("GET /api/v1/orgs/{ORG}/teams/search?q={repository}-writers&limit=50"),
            Value::Null,
            200,
            json!({"ok": true, "data": [{"id": 3, "name": "other-r-writers"}, {"id": 12, "name": format!("{repository}-writers")}]}),
        ),
        call("PATCH /api/v1/teams/12", json!({"name": format!("{repository}-writers")}), 200, json!({"id": 12})),
        call(path(12), Value::Null, 204, Value::Null),
        call(
            format!("POST /api/v1/orgs/{ORG}/teams"),
            json!({"name": format!("{repository}-maintainers"), "permission": "write"}),
            201,
            json!({"id": 13, "name": format!("{repository}-maintainers")}),
        ),
        call(path(13), Value::Null, 204, Value::Null),
    ]
}

fn settings(repository: &str, linear: bool) -> Exchange {
    call(
        format!("PATCH /api/v1/repos/{ORG}/{repository}"),
        json!({"has_actions": true, "allow_merge_commits": !linear}),
        200,
        json!({"name": "r"}),
    )
}

#[tokio::test]
async fn a_toolchain_is_an_organisations_repository_from_a_template_with_teams_and_protection() {
    let there = there(Flavour::Forgejo).await;
    let new = instance("basic", json!({"name": "api", "template": "rust-service"}), json!({}));
    let name = format!("api-{}", short("resource"));
    let repository =
        json!({"owner": ORG, "name": name, "private": true, "git_content": true, "default_branch": "main"});
    let protection = json!({
        "rule_name": "main",
        "enable_push": true,
        "enable_push_whitelist": false,
        "enable_status_check": false,
        "apply_to_admins": true,
    });
    // The second time, everything is there already.
    for (organisation, generated, protected) in [(201, 201, 201), (422, 409, 403)] {
        let wanted = json!({"username": ORG, "full_name": "retail", "visibility": "private"});
        there.server.expect([call("POST /api/v1/orgs", wanted, organisation, json!({"username": ORG}))]);
        if organisation == 422 {
            there.server.expect([call(format!("GET /api/v1/orgs/{ORG}"), Value::Null, 200, json!({"username": ORG}))]);
        }
        let path = "POST /api/v1/repos/templates/rust-service/generate";
        there.server.expect([call(path, repository.clone(), generated, json!({"name": name}))]);
        if generated == 409 {
            there.server.expect([call(format!("GET /api/v1/repos/{ORG}/{name}"), Value::Null, 200, json!({}))]);
        }
        there.server.expect([settings(&name, false)]);
        there.server.expect(teams(&name));
        let path = format!("/api/v1/repos/{ORG}/{name}/branch_protections");
        there.server.expect([call(format!("POST {path}"), protection.clone(), protected, json!({}))]);
        if protected == 403 {
            there.server.expect([call(format!("PATCH {path}/main"), protection.clone(), 200, json!({}))]);
        }
        let state = there.service.create(&new).await.unwrap();
        assert_eq!(Value::Object(state), json!({"organisation": ORG, "repository": name}));
        there.server.done();
    }
}

#[tokio::test]
async fn in_plan_regulated_nobody_pushes_past_pull_requests_that_maintainers_merge() {
    let there = there(Flavour::Gitea).await;
    let with = json!({"default_branch": "release/1", "branch_rules": {"required_status": true}});
    there.server.expect([settings("r", true)]);
    there.server.expect(teams("r"));
    let rules = json!({
        "rule_name": "release/1",
        "enable_push": false,
        "enable_merge_whitelist": true,
        "merge_whitelist_teams": ["r-maintainers"],
        "enable_status_check": true,
        "status_check_contexts": ["ci"],
        "block_admin_merge_override": true,
    });
    there.server.expect([
        call(
            "POST /api/v1/repos/bourse-retail-9f86d08188/r/branch_protections",
            rules.clone(),
            403,
            json!({"message": "Branch protection already exist"}),
        ),
        call("PATCH /api/v1/repos/bourse-retail-9f86d08188/r/branch_protections/release%2F1", rules, 200, json!({})),
    ]);
    let wanted = made("regulated", with);
    there.service.change(&wanted, &wanted, &Object::new()).await.unwrap();
    there.server.done();
}

#[tokio::test]
async fn what_the_server_can_not_keep_is_refused_with_a_sentence() {
    let there = there(Flavour::Gitea).await;
    for (with, sentence) in [
        (json!({"branch_rules": {"allow_force_push": true}}), "never lets a protected branch be rewritten"),
        (json!({"ci": {"minutes_month": 5}}), "can't be kept"),
    ] {
        let refusal = there.service.check(&made("basic", with), None).unwrap_err();
        assert!(refusal.to_string().contains(sentence), "{refusal}");
    }
    let refusal =
        there.service.check_binding(&made("basic", json!({})), &binding("b", json!({"kind": "runner"}))).unwrap_err();
    assert!(refusal.to_string().contains("can't be taken away"), "{refusal}");
    there.server.expect([
        call("POST /api/v1/orgs", json!({}), 201, json!({})),
        call("POST /api/v1/repos/templates/empty/generate", json!({}), 404, json!({"message": "not found"})),
    ]);
    let fault = there.service.create(&instance("basic", json!({}), json!({}))).await.unwrap_err();
    assert!(
        matches!(&fault, Fault::Refused(refusal) if refusal.to_string().contains("no template repository")),
        "{fault:?}"
    );
    there.server.done();
}

#[tokio::test]
async fn a_deploy_token_is_that_of_a_user_of_its_own_which_goes_with_it() {
    let there = there(Flavour::Forgejo).await;
    let (instance, one) = (made("basic", json!({})), binding("binding", json!({"ttl": "PT10M"})));
    let named = format!("token-{}", short("binding"));
    let new_user =
        json!({"username": named, "email": "*", "password": "*", "must_change_password": false, "restricted": true});
    let found =
        json!({"clone_url": "https://git.example.com/o/r.git", "html_url": "https://git.example.com/o/r", "size": 3});
    let leave = format!("DELETE /api/v1/admin/users/{named}?purge=true");
    let search = "GET /api/v1/orgs/bourse-retail-9f86d08188/teams/search?q=r-writers&limit=50";
    there.server.expect([
        // Left from a try whose answer got lost.
        call("POST /api/v1/admin/users", new_user.clone(), 422, json!({"message": "user already exists"})),
        call(leave.as_str(), Value::Null, 204, Value::Null),
        call("POST /api/v1/admin/users", new_user, 201, json!({"login": named})),
        call(search, Value::Null, 200, json!({"ok": true, "data": [{"id": 12, "name": "r-writers"}]})),
        call(format!("PUT /api/v1/teams/12/members/{named}"), Value::Null, 204, Value::Null),
        Exchange {
            call: format!("POST /api/v1/users/{named}/tokens"),
            authorization: "Basic *".to_owned(),
            body: json!({"name": "binding", "scopes": ["write:repository"]}),
            status: 201,
            answer: json!({"id": 1, "name": "binding", "sha1": "0123abcd", "token_last_eight": "0123abcd"}),
        },
        call("GET /api/v1/repos/bourse-retail-9f86d08188/r", Value::Null, 200, found.clone()),
    ]);
    let issued = there.service.issue(&instance, &one, None).await.unwrap();
    let credentials = Value::Object(issued.credentials);
    assert_eq!((&credentials["token"], &credentials["username"]), (&json!("0123abcd"), &json!(named)));
    assert_eq!(credentials["git_url"], format!("https://{named}:0123abcd@git.example.com/o/r.git"));
    assert_eq!(
        (issued.expires_at, credentials["web_url"].as_str()),
        (Some(START + 600), Some("https://git.example.com/o/r"))
    );
    there.server.done();

    // It ends here, since no token ends there.
    there.service.work().await.unwrap();
    there.now.fetch_add(600, Ordering::SeqCst);
    there.server.expect([call(leave.as_str(), Value::Null, 404, json!({"message": "user does not exist"}))]);
    there.service.work().await.unwrap();
    there.service.work().await.unwrap();
    there.server.expect([
        call(leave.as_str(), Value::Null, 204, Value::Null),
        call("GET /api/v1/repos/bourse-retail-9f86d08188/r", Value::Null, 200, found),
    ]);
    there.service.revoke(&instance, &one).await.unwrap();
    let readings = there.service.measure(&instance, Window { start: START, end: START + 1 }).await.unwrap();
    let readings: Vec<_> = readings.iter().map(|reading| (reading.meter, reading.quantity)).collect();
    assert_eq!(readings, [("repo_bytes", 3072), ("tokens_issued", 1)]);
    there.server.done();
}

#[tokio::test]
async fn web_hooks_and_runners_are_found_again_and_removed() {
    let there = there(Flavour::Forgejo).await;
    let instance = made("basic", json!({}));
    let hook = binding("binding", json!({"kind": "webhook", "url": "https://hooks.example.com/x?a=1"}));
    let hooks = "GET /api/v1/repos/bourse-retail-9f86d08188/r/hooks?page=1&limit=50";
    there.server.expect([
        call(hooks, Value::Null, 200, json!([])),
        call(
            "POST /api/v1/repos/bourse-retail-9f86d08188/r/hooks",
            json!({"type": "forgejo", "active": true, "events": ["push", "status"], "config": {"url": "*", "content_type": "json", "secret": "*"}}),
            201,
            json!({"id": 7}),
        ),
    ]);
    let issued = there.service.issue(&instance, &hook, None).await.unwrap();
    let url = issued.credentials["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://hooks.example.com/x?a=1&bourse_binding="), "{url}");
    let other = json!({"id": 6, "config": {"url": "https://hooks.example.com/x?a=1"}});
    there.server.expect([
        call(hooks, Value::Null, 200, json!([other, {"id": 7, "config": {"url": url}}])),
        call("DELETE /api/v1/repos/bourse-retail-9f86d08188/r/hooks/7", Value::Null, 204, Value::Null),
    ]);
    there.service.revoke(&instance, &hook).await.unwrap();

    let runner = binding("binding", json!({"kind": "runner"}));
    let runners = "GET /api/v1/repos/bourse-retail-9f86d08188/r/actions/runners?page=1&limit=50";
    there.server.expect([
        call(runners, Value::Null, 200, json!([])),
        call(
            "POST /api/v1/repos/bourse-retail-9f86d08188/r/actions/runners",
            json!({"name": "*"}),
            201,
            json!({"id": 5, "uuid": "u", "token": "runner-token"}),
        ),
    ]);
    let issued = there.service.issue(&instance, &runner, None).await.unwrap();
    assert_eq!((&issued.credentials["uuid"], &issued.credentials["token"]), (&json!("u"), &json!("runner-token")));
    there.server.expect([
        call(
            runners,
            Value::Null,
            200,
            json!([{"id": 4, "name": "other"}, {"id": 5, "name": issued.credentials["name"]}]),
        ),
        call("DELETE /api/v1/repos/bourse-retail-9f86d08188/r/actions/runners/5", Value::Null, 404, json!({})),
    ]);
    there.service.revoke(&instance, &runner).await.unwrap();
    there.server.done();
}

#[tokio::test]
async fn it_is_archived_then_destroyed_and_what_is_gone_already_is_as_good() {
    let there = there(Flavour::Forgejo).await;
    let instance = made("basic", json!({}));
    let archive = "PATCH /api/v1/repos/bourse-retail-9f86d08188/r";
    for (status, answer) in [(200, json!({"archived": true})), (404, json!({"message": "not found"}))] {
        there.server.expect([call(archive, json!({"archived": true}), status, answer)]);
        there.service.retire(&instance).await.unwrap();
    }
    there.server.expect([call(archive, json!({"archived": false}), 200, json!({"archived": false}))]);
    there.server.expect([settings("r", false)]);
    there.server.expect(teams("r"));
    let protect = format!("POST /api/v1/repos/{ORG}/r/branch_protections");
    there.server.expect([call(protect, json!({"rule_name": "main"}), 201, json!({}))]);
    there.service.revive(&instance).await.unwrap();
    for status in [204, 404] {
        there.server.expect([call(
            "DELETE /api/v1/repos/bourse-retail-9f86d08188/r",
            Value::Null,
            status,
            Value::Null,
        )]);
        let search = |team| match team {
            "readers" => "GET /api/v1/orgs/bourse-retail-9f86d08188/teams/search?q=r-readers&limit=50",
            "writers" => "GET /api/v1/orgs/bourse-retail-9f86d08188/teams/search?q=r-writers&limit=50",
            _ => "GET /api/v1/orgs/bourse-retail-9f86d08188/teams/search?q=r-maintainers&limit=50",
        };
        there.server.expect([
            call(search("readers"), Value::Null, 200, json!({"ok": true, "data": [{"id": 11, "name": "r-readers"}]})),
            call("DELETE /api/v1/teams/11", Value::Null, status, Value::Null),
            call(search("writers"), Value::Null, 200, json!({"ok": true, "data": []})),
            call(search("maintainers"), Value::Null, 404, json!({"message": "not found"})),
        ]);
        there.service.purge(&instance).await.unwrap();
    }
    there.server.done();
}

#[tokio::test]
async fn a_server_that_is_down_slow_or_busy_is_tried_again_later_and_no_error_tells_the_token() {
    let there = there(Flavour::Forgejo).await;
    let instance = made("basic", json!({}));
    for status in [500, 502, 503, 429, 0] {
        there.server.expect([call(
            "PATCH /api/v1/repos/bourse-retail-9f86d08188/r",
            json!({}),
            status,
            json!({"message": "no"}),
        )]);
        let fault = there.service.retire(&instance).await.unwrap_err();
        assert!(matches!(fault, Fault::Unavailable { .. }), "{status}: {fault:?}");
        let told = format!("{fault} {fault:?}");
        assert!(!told.contains(TOKEN) && !told.contains(&there.server.url), "{told}");
    }
    for status in [401, 403] {
        there.server.expect([call(
            "PATCH /api/v1/repos/bourse-retail-9f86d08188/r",
            json!({}),
            status,
            json!({"message": "no"}),
        )]);
        let fault = there.service.retire(&instance).await.unwrap_err();
        assert!(matches!(fault, Fault::Failed(_)), "{status}: {fault:?}");
    }
    there.server.done();
}

#[tokio::test]
async fn it_shows_where_it_is_and_the_combined_status_of_the_newest_commit() {
    let there = there(Flavour::Forgejo).await;
    let instance = made("basic", json!({"members": [{"group": "ops", "role": "maintain"}]}));
    let repository =
        json!({"clone_url": "https://git.example.com/o/r.git", "html_url": "https://git.example.com/o/r", "size": 2});
    let status = json!({"state": "failure", "sha": "abc", "total_count": 1, "statuses": [{"target_url": "https://ci.example.com/1"}]});
    there.server.expect([
        call("GET /api/v1/repos/bourse-retail-9f86d08188/r", Value::Null, 200, repository),
        call("GET /api/v1/repos/bourse-retail-9f86d08188/r/commits/main/status", Value::Null, 200, status),
    ]);
    let shown = Value::Object(there.service.show(&instance).await.unwrap());
    assert_eq!(shown["last_build"], json!({"revision": "abc", "state": "failure", "url": "https://ci.example.com/1"}));
    assert_eq!((&shown["clone_url"], &shown["repo_bytes"]), (&json!("https://git.example.com/o/r.git"), &json!(2048)));
    assert_eq!(shown["teams"][2], json!({"team": "r-maintainers", "role": "maintain", "groups": ["ops"]}));
    there.server.done();
}
