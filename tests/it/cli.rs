//! The command line as people and scripts use it: the built binary against a hub with real brokers behind it.

mod shared;

use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};

use crate::references;
use crate::support::bare::{On, on_each};
use crate::support::command::{Done, Terminal, Vnet, command, fed, finish};
use crate::support::home::Home;
use crate::support::hub::{BOUND, Platform};
use crate::support::ports;
use crate::support::process::{Process, hub_binary};
use crate::support::recorder::{self, Recorder};
use crate::support::wait::wait_until;

/// The words of a text's lines.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// The block of the page that is marked as tested.
fn documented() -> String {
    let page = include_str!("../../docs/cli.md");
    let (_, rest) = page.split_once("<!-- tested -->\n```sh\n").expect("a tested block");
    rest.split_once("```").expect("its end").0.to_owned()
}

fn variables(text: &str) -> Vec<(&str, &str)> {
    text.lines().map(|line| line.split_once('=').expect("KEY=value")).collect()
}

#[tokio::test]
async fn a_hub_is_set_up_used_and_cleared_from_the_command_line() {
    on_each(async |on| {
        let (terminal, vnet) = (Terminal::new(on).await, Vnet::start("s3cret").await);
        let mut register = terminal.command(&[
            "broker",
            "register",
            "--name",
            "ipam",
            "--broker-url",
            &vnet.url,
            "--broker-username",
            "hub",
        ]);
        register.env("BOURSE_BROKER_PASSWORD", "s3cret");
        let done = finish(register).await;
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.out.contains("virtual-network") && !done.out.contains("s3cret"), "{done:?}");
        let brokers = terminal.ok(&["broker", "list"]).await.out;
        assert_eq!(words(&brokers)[0][..3], ["NAME", "STATUS", "BREAKER"]);
        assert_eq!(words(&brokers)[1][..3], ["ipam", "available", "closed"]);

        let tenant =
            ["tenant", "put", "retail", "--display-name", "Retail", "--cost-center", "4711", "--label", "tier=gold"];
        assert_eq!(terminal.json(&tenant).await["labels"], json!({"tier": "gold"}));
        let platform = terminal.json(&["platform", "create", "cf", "--kind", "cloudfoundry"]).await;
        let text = |field: &str| platform["credentials"][field].as_str().expect("credentials").to_owned();
        let pair = Platform { username: text("username"), password: text("password") };
        assert_eq!(terminal.hub.osb(&pair, Method::GET, "/v2/catalog", None).await.status, 200);

        let offerings = terminal.ok(&["offering", "list", "network"]).await.out;
        assert!(offerings.contains("virtual-network") && offerings.contains("small, medium, large"), "{offerings}");
        let order = ["order", "virtual-network", "small", "--tenant", "retail", "--name", "net", "--wait"];
        let made = terminal.ok(&[&order[..], &["--param", "prefix_length=27"]].concat()).await;
        assert!(words(&made.out).contains(&vec!["state:", "ready"]), "{made:?}");
        assert_eq!(terminal.json(&order).await["state"], "ready", "the same again changes nothing");
        let listed = terminal.ok(&["list", "--tenant", "retail"]).await.out;
        assert_eq!(words(&listed)[1][..4], ["net", "virtual-network", "small", "ready"]);

        let bind = ["bind", "net", "--tenant", "retail"];
        let whole = terminal.json(&bind).await;
        let cidr = whole["credentials"]["cidr"].as_str().expect("a cidr");
        assert!(cidr.starts_with("10.") && cidr.ends_with("/27"), "{whole}");
        let env = terminal.ok(&[&bind[..], &["-o", "env"]].concat()).await.out;
        assert!(variables(&env).contains(&("CIDR", cidr)), "{env}");
        let secret = terminal.ok(&[&bind[..], &["-o", "k8s-secret"]].concat()).await.out;
        let secret: Value = serde_json::from_str(&secret).expect("no JSON");
        assert_eq!((&secret["kind"], &secret["metadata"]["name"]), (&json!("Secret"), &json!("net")));
        assert_eq!(secret["stringData"]["cidr"], cidr);
        let folder = tempfile::tempdir().expect("no directory");
        let folder = folder.path().join("net");
        let files = format!("files={}", folder.display());
        let written = terminal.ok(&[&bind[..], &["-o", &files]].concat()).await;
        assert!(written.out.lines().any(|line| line == folder.join("cidr").display().to_string()), "{written:?}");
        assert!(!written.out.contains(cidr) && written.err.is_empty(), "{written:?}");
        assert_eq!(std::fs::read_to_string(folder.join("cidr")).expect("a file"), cidr);
        let again = terminal.ok(&[&bind[..], &["-o", &files]].concat()).await;
        assert_eq!(again.out, written.out, "the same again writes the same");

        let shown = terminal.ok(&["show", "net", "--tenant", "retail"]).await.out;
        assert!(words(&shown).iter().any(|line| line.starts_with(&["default", "ready"])), "{shown}");
        assert!(!shown.contains(cidr), "credentials are not shown: {shown}");
        terminal.ok(&["unbind", "net", "--tenant", "retail", "--wait"]).await;
        terminal
            .refused(&["broker", "delete", "ipam"], 1, "broker `ipam` has 1 instance: delete or purge them first")
            .await;
        let gone = terminal.ok(&["delete", "net", "--tenant", "retail", "--wait"]).await;
        assert_eq!((gone.out.as_str(), gone.err.as_str()), ("", "net is deleted\n"));
        assert_eq!(terminal.json(&["list", "--tenant", "retail"]).await, json!({"items": [], "next": null}));
        for noun in [["broker", "ipam"], ["tenant", "retail"], ["platform", "cf"]] {
            terminal.ok(&[noun[0], "delete", noun[1]]).await;
        }
        terminal.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_refers_to_what_is_shown_and_said_when_it_stands_in_the_way() {
    let terminal = Terminal::new(On::Sqlite).await;
    terminal.ok(&["tenant", "put", "retail", "--display-name", "Retail"]).await;
    let recorder = Recorder::start(&references::catalog());
    let mut register = vec!["broker", "register", "--name", "related", "--broker-url", recorder.url()];
    register.extend(["--broker-username", recorder::USERNAME, "--broker-password", recorder::PASSWORD]);
    terminal.ok(&register).await;
    let order = |offering, name| ["order", offering, "one", "--tenant", "retail", "--name", name];
    terminal.ok(&order("network", "net")).await;
    let refers = ["--param", "network=net"];
    terminal.ok(&[&order("cluster", "user")[..], &refers].concat()).await;
    let show = async |name| terminal.ok(&["show", name, "--tenant", "retail"]).await.out;
    let (user, net) = (show("user").await, show("net").await);
    assert!(words(&user).iter().any(|line| line.starts_with(&["net", "/network"])), "{user}");
    assert!(words(&net).contains(&vec!["DEPENDED", "ON", "BY", "ID"]), "{net}");
    let refused = terminal.run(&["delete", "net", "--tenant", "retail", "--yes"]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("other instances depend on it: `user` ("), "{refused:?}");
    for name in ["user", "net"] {
        terminal.ok(&["delete", name, "--tenant", "retail", "--yes", "--wait"]).await;
    }
    terminal.hub.stop().await;
}

#[tokio::test]
async fn what_takes_its_time_is_waited_for() {
    on_each(async |on| {
        let terminal = Terminal::new(on).await;
        terminal.world.furnish(&terminal.hub).await;
        let order = ["order", "faults", "async", "--tenant", "retail", "--name", "slow", "--param", "polls=1"];
        let done = terminal.ok(&order).await;
        assert!(done.err.starts_with("it goes on: `bourse show slow --tenant retail`"), "{done:?}");
        let ready = terminal.ok(&[&order[..], &["--wait"]].concat()).await;
        assert!(words(&ready.out).contains(&vec!["state:", "ready"]), "{ready:?}");
        let bound = terminal
            .ok(&["bind", "slow", "--tenant", "retail", "--binding", "app", "-o", "env", "--prefix", "S_"])
            .await;
        assert!(
            !bound.out.is_empty() && variables(&bound.out).iter().all(|(key, _)| key.starts_with("S_")),
            "{bound:?}"
        );
        terminal.ok(&["unbind", "slow", "--tenant", "retail", "--binding", "app", "--wait"]).await;
        assert!(terminal.world.faults.bindings().is_empty());
        terminal.ok(&["delete", "slow", "--tenant", "retail", "--yes", "--wait"]).await;
        assert!(terminal.world.faults.instances().is_empty());
        terminal.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_fails_in_the_end_says_why_and_ends_with_1() {
    on_each(async |on| {
        let terminal = Terminal::new(on).await;
        terminal.world.furnish(&terminal.hub).await;
        let order = ["order", "faults", "async-then-failed", "--tenant", "retail", "--name"];
        let failed = terminal.run(&[&order[..], &["a", "--wait", "--param", "fail_on=[\"provision\"]"]].concat()).await;
        assert_eq!((failed.code, failed.out.as_str()), (1, ""));
        assert!(failed.err.starts_with("bourse: the provision failed: "), "{failed:?}");

        terminal.ok(&[&order[..], &["b", "--wait", "--param", "fail_on=[\"bind\"]"]].concat()).await;
        let failed = terminal.run(&["bind", "b", "--tenant", "retail"]).await;
        assert_eq!((failed.code, failed.out.as_str()), (1, ""));
        assert!(failed.err.starts_with("bourse: the bind failed: "), "{failed:?}");
        let late =
            ["order", "faults", "async-slow", "--tenant", "retail", "--name", "c", "--wait", "--timeout", "PT0S"];
        let sentence = "it is not over after 0 s; it goes on, and `bourse operation list --state in_progress` shows it";
        terminal.refused(&late, 1, sentence).await;
        terminal.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn wrong_input_is_one_sentence_that_says_what_to_do() {
    on_each(async |on| {
        let terminal = Terminal::new(on).await;
        terminal.world.furnish(&terminal.hub).await;
        let order = |plan, tenant| ["order", "faults", plan, "--tenant", tenant, "--name", "x"];
        let sentence =
            "there is no service plan `nope` of an offering `faults`; `bourse offering list` shows those there are";
        terminal.refused(&order("nope", "retail"), 1, sentence).await;
        let sentence = "tenant `nobody` does not exist; `bourse tenant list` shows those there are";
        terminal.refused(&order("ok", "nobody"), 1, sentence).await;
        let sentence = "instance `x` does not exist; `bourse list --tenant TENANT` shows those there are";
        terminal.refused(&["bind", "x", "--tenant", "retail"], 1, sentence).await;
        let sentence = "credentials are missing or wrong; check BOURSE_USERNAME and BOURSE_PASSWORD, or BOURSE_TOKEN";
        terminal.refused(&["broker", "list", "--password", "wrong"], 1, sentence).await;
        let sentence = "this hub knows no identity provider, and no service account has this token; \
            check BOURSE_TOKEN, or run `bourse login`";
        terminal.refused(&["broker", "list", "--token", "wrong"], 1, sentence).await;

        let port = ports::free_port();
        let url = format!("http://127.0.0.1:{port}");
        let sentence = format!(
            "could not connect to the hub at {url}/: is it running, and is BOURSE_URL or --url right? \
         (Connection refused (os error 111))"
        );
        terminal.refused(&["broker", "list", "--url", &url], 2, &sentence).await;
        let other = terminal.run(&["broker", "list", "--url", &format!("{}/elsewhere", terminal.hub.url)]).await;
        assert_eq!(other.code, 1, "{other:?}");
        let sentence = "a name or id must not be empty, `.` or `..`";
        terminal.refused(&["broker", "delete", ".."], 2, sentence).await;
        let mut nobody = command(&terminal.hub.url, &["broker", "list"]);
        nobody.env_remove("BOURSE_PASSWORD");
        let Done { code, err, .. } = finish(nobody).await;
        assert_eq!(code, 2);
        assert!(
            err.starts_with(
                "bourse: who are you? run `bourse login`, or set BOURSE_USERNAME and BOURSE_PASSWORD, or BOURSE_TOKEN"
            ),
            "{err}"
        );
        for usage in [
            &["order", "faults"][..],
            &["bind", "x"],
            &["bind", "x", "--tenant", "t", "-o", "files="],
            &["list", "--tenant", "t", "-o", "xml"],
            &["nonsense"],
        ] {
            assert_eq!(terminal.run(usage).await.code, 2, "{usage:?}");
        }
        terminal.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn passwords_come_in_on_standard_input_and_go_out_once() {
    on_each(async |on| {
        let (terminal, vnet) = (Terminal::new(on).await, Vnet::start("s3cret").await);
        let file = tempfile::NamedTempFile::new().expect("no file");
        std::fs::write(file.path(), "s3cret\n").expect("not written");
        let register = ["broker", "register", "--name", "ipam", "--broker-url", &vnet.url, "--broker-username", "hub"];
        let register = terminal.command(&[&register[..], &["--broker-password-stdin", "--name-prefix", "x-"]].concat());
        let done = finish(fed(&register, file.path())).await;
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.out.contains("x-virtual-network"), "{done:?}");
        std::fs::write(file.path(), "pw").expect("not written");
        let mut list = terminal.command(&["broker", "list", "--password-stdin"]);
        list.env_remove("BOURSE_PASSWORD");
        assert_eq!(finish(fed(&list, file.path())).await.code, 0);

        let changed = terminal.json(&["broker", "update", "ipam", "--timeout-ms", "1500"]).await;
        assert_eq!(changed["timeout_ms"], 1500);
        assert_eq!(terminal.json(&["broker", "refresh", "ipam"]).await["status"], "available");
        let pair = terminal.json(&["broker", "credentials", "add", "ipam"]).await;
        terminal.ok(&["broker", "credentials", "remove", "ipam", pair["username"].as_str().expect("a name")]).await;

        let made = terminal.json(&["platform", "create", "p", "--kind", "other"]).await;
        let next = terminal.json(&["platform", "rotate", "p"]).await;
        let pair = |value: &Value| {
            let text = |field: &str| value[field].as_str().expect("credentials").to_owned();
            Platform { username: text("username"), password: text("password") }
        };
        let (old, new) = (pair(&made["credentials"]), pair(&next));
        let catalog = async |pair: &Platform| terminal.hub.osb(pair, Method::GET, "/v2/catalog", None).await.status;
        assert_eq!((catalog(&old).await, catalog(&new).await), (200, 200));
        terminal.ok(&["platform", "revoke", "p", &old.username]).await;
        assert_eq!((catalog(&old).await, catalog(&new).await), (401, 200));
        for shown in [&["platform", "show", "p"][..], &["broker", "show", "ipam"]] {
            let text = terminal.ok(shown).await.out;
            assert!(!text.contains(&new.password) && !text.contains("s3cret"), "{text}");
        }
        terminal.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn operators_see_instances_operations_events_and_unmapped_identities() {
    on_each(async |on| {
        let terminal = Terminal::new(on).await;
        terminal.world.furnish(&terminal.hub).await;
        for name in ["a", "b", "c"] {
            terminal.ok(&["order", "faults", "ok", "--tenant", "retail", "--name", name]).await;
        }
        let some = terminal.json(&["instance", "list", "--tenant", "retail", "--limit", "2"]).await;
        assert_eq!(some["items"].as_array().map(Vec::len), Some(2));
        assert!(some["next"].is_string(), "{some}");
        let listed = terminal.ok(&["instance", "list", "--limit", "2"]).await;
        assert_eq!(listed.err, "there are more: raise --limit to see them\n");

        let id = some["items"][0]["id"].as_str().expect("an id");
        let operations = terminal.json(&["operation", "list", "--instance", id, "--kind", "provision"]).await;
        let operation = operations["items"][0]["id"].as_str().expect("an id");
        let shown = terminal.ok(&["operation", "show", operation]).await.out;
        assert!(words(&shown).contains(&vec!["state:", "succeeded"]), "{shown}");
        let cancel = terminal.run(&["operation", "cancel", operation]).await;
        assert_eq!((cancel.code, cancel.out.as_str()), (1, ""), "{cancel:?}");
        let purged = terminal.json(&["instance", "purge", id, "--reason", "its backend burnt down"]).await;
        assert_eq!(purged["state"], "gone");
        assert!(terminal.ok(&["instance", "show", id]).await.out.contains("provision"));

        terminal.hub.app.number_events().await.expect("not numbered");
        let kind = ["event", "list", "--type", "io.bourse.instance.provisioned", "--tenant", "retail"];
        let events = terminal.json(&kind).await;
        assert_eq!(events["items"].as_array().map(Vec::len), Some(3));
        let rest = terminal.json(&["event", "list", "--after", events["next"].as_str().expect("a cursor")]).await;
        assert_eq!(rest["items"], json!([]));
        let follower = Process::start("follow", terminal.command(&[&kind[..], &["--follow"]].concat()));
        wait_until("what was is followed", BOUND, async || follower.stdout().lines().count() == 3).await;
        terminal.ok(&["order", "faults", "ok", "--tenant", "retail", "--name", "d"]).await;
        wait_until("what comes is followed", BOUND, async || follower.stdout().lines().count() == 4).await;
        assert!(follower.stdout().lines().all(|line| line.contains("  io.bourse.instance.provisioned  instances/")));
        assert_eq!(terminal.json(&["event", "dead-letters"]).await["items"], json!([]));
        let sentence = "sink `nobody` does not exist";
        terminal.refused(&["event", "redeliver", "--sink", "nobody"], 1, sentence).await;

        let identity = "platform=p,organization_guid=o";
        let put =
            terminal.json(&["tenant", "put", "other", "--identity", identity, "--member", "user=u,role=owner"]).await;
        assert_eq!(put["identities"], json!([{"platform": "p", "organization_guid": "o"}]));
        assert_eq!(put["display_name"], "other");
        assert_eq!(terminal.json(&["tenant", "unmapped"]).await["items"], json!([]));
        terminal.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_page_works_as_it_is_printed() {
    on_each(async |on| {
        let (terminal, vnet) = (Terminal::new(on).await, Vnet::start("s3cret").await);
        let page = documented().replace("http://127.0.0.1:8090", &vnet.url);
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-euc", &page]);
        let binaries = hub_binary().parent().expect("a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([binaries].into_iter().chain(std::env::split_paths(&path))).expect("a path");
        shell.env("PATH", path).env("BOURSE_URL", &terminal.hub.url);
        shell.env("BOURSE_USERNAME", "admin").env("BOURSE_PASSWORD", "pw");
        let done = finish(shell).await;
        assert_eq!(done.code, 0, "{done:?}");
        for said in ["the network is 10.", "\"kind\": \"Secret\"", "\"state\": \"gone\""] {
            assert!(done.out.contains(said), "{said}: {done:?}");
        }
        terminal.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_hub_with_a_certificate_of_ones_own_is_trusted_where_it_is_named() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let file = |name: &str, text: String| {
            let path = home.folder().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let (cert, key) = (file("cert.pem", made.cert.pem()), file("key.pem", made.signing_key.serialize_pem()));
        let settings = [
            ("BOURSE__ADMIN__PASSWORD", "pw"),
            ("BOURSE__SERVER__TLS__CERT", &cert),
            ("BOURSE__SERVER__TLS__KEY", &key),
        ];
        let (mut hub, url) = home.serve(&settings).await;
        assert!(url.starts_with("https://"), "{url}");
        let trusted = finish(command(&url, &["tenant", "list", "--ca-file", &cert, "-o", "json"])).await;
        assert_eq!((trusted.code, trusted.err.as_str()), (0, ""), "{trusted:?}");
        let unknown = finish(command(&url, &["tenant", "list"])).await;
        assert_eq!(unknown.code, 2, "{unknown:?}");
        assert!(unknown.err.contains("certificate"), "{unknown:?}");
        let empty = finish(command(&url, &["tenant", "list", "--ca-file", &key])).await;
        assert_eq!(empty.code, 2, "{empty:?}");
        assert!(hub.terminate().await.success());
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_has_read_enough_is_no_error() {
    on_each(async |on| {
        let terminal = Terminal::new(on).await;
        let mut list = terminal.command(&["tenant", "list", "-o", "json"]);
        list.stdout(Stdio::piped()).stderr(Stdio::piped());
        // Gone long before the hub has answered, so that there is nobody to print for.
        let mut child = list.spawn().expect("a process");
        drop(child.stdout.take());
        let done =
            tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("waited").expect("an output");
        assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));
        terminal.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_is_gone_is_said_to_be() {
    on_each(async |on| {
        let Terminal { mut world, hub } = Terminal::new(on).await;
        world.furnish(&hub).await;
        world.stop_broker().await;
        let order = ["order", "faults", "ok", "--tenant", "retail", "--name", "x", "--wait", "--timeout", "PT15S"];
        let done = finish(command(&hub.url, &order)).await;
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
        let sentence =
            "the service broker cannot be reached at the moment; `bourse broker list` shows how the brokers are";
        assert!(done.err.starts_with(&format!("bourse: {sentence} (request ")), "{done:?}");
        hub.stop().await;
    })
    .await;
}
