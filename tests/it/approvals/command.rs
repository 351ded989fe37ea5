//! The command line of approvals.

use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::command::Terminal;
use crate::support::hub::polling;

#[tokio::test]
async fn rules_are_put_and_orders_decided_from_the_command_line() {
    let terminal = Terminal::new(On::Sqlite).await;
    let p = terminal.world.furnish(&terminal.hub).await;
    let put = ["approval-rule", "put", "large", "--offering", "faults", "--plan", "ok", "--on", "provision"];
    let made = terminal.json(&[&put[..], &["--expires-after", "P1D"]].concat()).await;
    assert_eq!((&made["on"], &made["expires_after"]), (&json!(["provision"]), &json!("P1D")));
    assert!(terminal.ok(&["approval-rule", "list"]).await.out.contains("large"));
    for id in ["i-1", "i-2"] {
        assert_eq!(terminal.hub.provision(&p, id, "ok", polling()).await.status, 202);
    }
    let pending = terminal.json(&["approval", "list", "--state", "pending", "--tenant", "retail"]).await;
    let id = |at: usize| pending["items"][at]["id"].as_str().expect("an id").to_owned();
    let shown = terminal.ok(&["approval", "show", &id(0)]).await.out;
    assert!(shown.contains("large") && shown.contains("pending"), "{shown}");
    assert_eq!(terminal.json(&["approval", "approve", &id(0)]).await["state"], "approved");
    assert_eq!(terminal.json(&["approval", "deny", &id(1), "--reason", "no"]).await["reason"], "no");
    let told = (terminal.hub.outcome(&p, "i-1").await, terminal.hub.outcome(&p, "i-2").await);
    assert_eq!(told, ("succeeded".to_owned(), "failed".to_owned()));
    terminal.ok(&["approval-rule", "delete", "large"]).await;
    assert_eq!(terminal.json(&["approval-rule", "list"]).await["items"], Value::Array(Vec::new()));
    terminal.hub.stop().await;
}
