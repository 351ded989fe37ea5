//! `bourse login`, `whoami` and `logout` against a real identity provider: the device flow from end to end.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::believing;
use crate::support::bare::On;
use crate::support::hub::{BOUND, Hub};
use crate::support::oidc::Provider;
use crate::support::process::hub_binary;
use crate::support::wait::wait_for;

/// The command line of somebody who has nothing but a file to keep a login in.
fn bourse(hub: &Hub, file: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(hub_binary());
    command.env_clear().env("BOURSE_URL", &hub.url).env("BOURSE_LOGIN_FILE", file).args(arguments);
    command.stdin(Stdio::null());
    command
}

async fn done(mut command: Command) -> (i32, String, String) {
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_logs_in_with_a_browser_is_known_to_the_commands_that_follow_until_they_log_out() {
    let provider = Provider::start(json!({"ada": ["platform-team"]})).await;
    let world = believing(On::Sqlite, &provider.url).await;
    let hub = world.hub().await;
    let folder = tempfile::tempdir().expect("a directory");
    let (file, told) = (folder.path().join("bourse/logins.json"), folder.path().join("told"));
    let (code, _, err) = done(bourse(&hub, &file, &["whoami"])).await;
    assert!(code == 2 && err.contains("bourse login"), "{code} {err}");

    let stderr = std::fs::File::create(&told).expect("a file");
    let mut login = bourse(&hub, &file, &["login"]);
    let mut login = login.stdout(Stdio::null()).stderr(stderr).spawn().expect("it runs");
    let user_code = wait_for("the code to enter", BOUND, async || {
        let text = std::fs::read_to_string(&told).expect("text");
        let (_, rest) = text.split_once("enter the code ")?;
        rest.contains('\n').then(|| rest.lines().next().unwrap_or_default().trim().to_owned())
    })
    .await;
    provider.control(&format!("consent?code={user_code}&account=ada")).await;
    let ended = tokio::task::spawn_blocking(move || login.wait().expect("it ended")).await.expect("it ended");
    assert!(ended.success(), "{}", std::fs::read_to_string(&told).expect("text"));
    assert_eq!(file.metadata().expect("a login").permissions().mode() & 0o777, 0o600);

    let (code, out, err) = done(bourse(&hub, &file, &["whoami", "--output", "json"])).await;
    assert_eq!(code, 0, "{err}");
    let me: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&me["name"], &me["roles"]), (&json!("ada"), &json!(["operator"])));

    // As if the token had expired: it is renewed, and the new one is kept.
    let kept = || -> Value { serde_json::from_slice(&std::fs::read(&file).expect("a login")).expect("JSON") };
    let mut before = kept();
    let name = before.as_object().expect("hubs").keys().next().expect("one").clone();
    before[&name]["expires_at"] = json!(0);
    std::fs::write(&file, before.to_string()).expect("written");
    let (code, _, err) = done(bourse(&hub, &file, &["tenant", "list"])).await;
    assert_eq!(code, 0, "{err}");
    assert_ne!(kept()[&name]["access_token"], before[&name]["access_token"]);

    assert_eq!(done(bourse(&hub, &file, &["logout"])).await.0, 0);
    assert_eq!(kept(), json!({}));
    assert_eq!(done(bourse(&hub, &file, &["whoami"])).await.0, 2);
    hub.stop().await;
}
