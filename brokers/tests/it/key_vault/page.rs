//! The lines of the broker's page, run as they stand.

use std::path::Path;

use tokio::process::Command;

use super::room::Room;

/// The block of the page that is marked with that word.
fn block(page: &str, mark: &str) -> String {
    let (_, rest) = page.split_once(&format!("```sh {mark}\n")).expect("the page has the block");
    rest.split_once("\n```").expect("the block ends").0.to_owned()
}

#[tokio::test]
async fn the_lines_of_its_page_write_and_read_a_secret() {
    let room = Room::embedded().await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/brokers/key-vault.md");
    let page = std::fs::read_to_string(file).unwrap();
    let lines = block(&page, "use");
    assert_eq!(lines.lines().count(), 3);
    let script = format!("{}\n{lines}", block(&page, "order"));
    // The page's broker listens elsewhere and has no password.
    let script = script.replace("http://127.0.0.1:8094", &room.running.url()).replace("curl -sS", "curl -sS -u u:p");
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.trim_end().lines().last().unwrap().contains("\"password\":\"correct horse\""), "{said}");
}
