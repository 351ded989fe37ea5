//! The commands for who may do what with a tenant's things, and with a plan's parameters.

use serde_json::json;

use super::words;
use crate::support::bare::on_each;
use crate::support::command::{Terminal, Vnet, finish};

async fn market(terminal: &Terminal, vnet: &Vnet) {
    let register = ["broker", "register", "--name", "ipam", "--broker-url", &vnet.url, "--broker-username", "hub"];
    let mut register = terminal.command(&register);
    register.env("BOURSE_BROKER_PASSWORD", "s3cret");
    let done = finish(register).await;
    assert_eq!(done.code, 0, "{done:?}");
    terminal.ok(&["tenant", "put", "retail"]).await;
}

#[tokio::test]
async fn members_come_and_go_and_an_instance_is_shared_for_a_time() {
    on_each(async |on| {
        let (terminal, vnet) = (Terminal::new(on).await, Vnet::start("s3cret").await);
        market(&terminal, &vnet).await;
        let member = ["tenant", "member"];
        let put = terminal.json(&[&member[..], &["put", "retail", "--user", "ada", "--role", "owner"]].concat()).await;
        assert_eq!(put, json!({"user": "ada", "role": "owner"}));
        terminal.ok(&[&member[..], &["put", "retail", "--group", "devs"]].concat()).await;
        let listed = terminal.json(&[&member[..], &["list", "retail"]].concat()).await;
        assert_eq!(listed["items"], json!([{"user": "ada", "role": "owner"}, {"group": "devs", "role": "member"}]));
        terminal.ok(&[&member[..], &["delete", "retail", "--group", "devs"]].concat()).await;
        let shown = terminal.json(&["tenant", "show", "retail"]).await;
        assert_eq!(shown["members"], json!([{"user": "ada", "role": "owner"}]));

        let order = ["order", "virtual-network", "small", "--tenant", "retail", "--name", "net", "--wait"];
        let made = terminal.json(&order).await;
        terminal.ok(&["bind", "net", "--tenant", "retail"]).await;
        let existing = terminal.json(&["bind", "net", "--tenant", "retail", "--existing"]).await;
        assert!(existing["credentials"]["cidr"].is_string(), "{existing}");
        let none = terminal.run(&["bind", "net", "--tenant", "retail", "--binding", "other", "--existing"]).await;
        assert_eq!(none.code, 1, "it makes none: {none:?}");
        let grant = ["grant", "put", "net", "bob", "--tenant", "retail", "--role", "user"];
        let given = terminal.json(&[&grant[..], &["--for", "P7D"]].concat()).await;
        assert_eq!((&given["user"], &given["role"]), (&json!("bob"), &json!("user")));
        let id = made["id"].as_str().expect("an id");
        let until = ["grant", "put", id, "eve", "--until", "2099-01-01T00:00:00Z"];
        assert_eq!(terminal.json(&until).await["role"], "reader");
        let listed = terminal.ok(&["grant", "list", "net", "--tenant", "retail"]).await.out;
        assert_eq!(words(&listed)[1][..2], ["bob", "user"]);
        assert_eq!(words(&listed)[2][..2], ["eve", "reader"]);
        terminal.ok(&["grant", "delete", "net", "bob", "--tenant", "retail"]).await;
        assert_eq!(terminal.run(&["grant", "put", id, "eve"]).await.code, 2, "until when?");
    })
    .await;
}

#[tokio::test]
async fn what_is_said_about_a_plans_parameters_is_set_listed_and_deleted() {
    on_each(async |on| {
        let (terminal, vnet) = (Terminal::new(on).await, Vnet::start("s3cret").await);
        market(&terminal, &vnet).await;
        let plan = ["virtual-network", "small"];
        let set = [&["parameters", "set"][..], &plan, &["--default", "prefix_length=28"]].concat();
        assert_eq!(terminal.json(&set).await["default"], json!({"prefix_length": 28}));
        let of_retail = [&["parameters", "set"][..], &plan, &["--force", "prefix_length=27", "--tenant", "retail"]];
        assert_eq!(terminal.json(&of_retail.concat()).await["tenant"], "retail");
        let wrong = [&["parameters", "set"][..], &plan, &["--force", "prefix_length=many"]].concat();
        assert_eq!(terminal.run(&wrong).await.code, 1, "the plan's schema wants a number");
        let listed = terminal.json(&["parameters", "list", "--limit", "1"]).await;
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
        let listed = terminal.json(&["parameters", "list"]).await;
        let rows: Vec<_> = listed["items"].as_array().expect("items").iter().map(|row| &row["tenant"]).collect();
        assert_eq!(rows, [&json!(null), &json!("retail")]);
        let show = [&["parameters", "show"][..], &plan, &["--tenant", "retail"]].concat();
        assert_eq!(terminal.json(&show).await["force"], json!({"prefix_length": 27}));
        let made = terminal.json(&["order", plan[0], plan[1], "--tenant", "retail", "--name", "net", "--wait"]).await;
        assert_eq!(made["state"], "ready");
        terminal.ok(&[&["parameters", "delete"][..], &plan, &["--tenant", "retail"]].concat()).await;
        assert_eq!(terminal.run(&show).await.code, 1);
        assert_eq!(terminal.json(&["parameters", "list"]).await["items"].as_array().map(Vec::len), Some(1));
    })
    .await;
}
