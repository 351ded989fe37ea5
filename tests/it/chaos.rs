//! The chaos example, as whoever doubts the hub runs it: a seeded minute of killed and paused processes and dying brokers on
//! each database, then its audit from outside.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::process::{Process, hub_binary};
use crate::support::services::postgres;
use crate::support::wait::wait_for;

/// The disorder, the orders that are under way then, and the clean-up of what failed last: each has a bound of its own there.
const BOUND: Duration = Duration::from_secs(600);

/// The example's binary of this build. `cargo test` builds all examples first; with `--test it` alone it may be missing or old.
fn binary() -> PathBuf {
    let path = hub_binary().with_file_name("examples").join("chaos");
    assert!(path.is_file(), "{} is missing: `cargo build --example chaos` makes it", path.display());
    path
}

/// Runs it to its end: its exit code and what it said.
async fn run(minutes: &str, seed: &str, database: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.args(["--minutes", minutes, "--seed", seed]);
    command.args(database.into_iter().flat_map(|url| ["--database", url]));
    let mut process = Process::start("chaos", command);
    let status = wait_for("the chaos run to end", BOUND, async || process.ended()).await;
    (status.code(), process.stdout() + &process.stderr())
}

async fn is_clean(seed: &str, database: Option<&str>) {
    let (code, said) = run("0.5", seed, database).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the audit is clean"), "{said}");
    // It did what it is for: something was disturbed, and orders went through all the same.
    let ordered = said.lines().find_map(|line| line.split_once(" instances ordered")?.0.parse::<u32>().ok());
    assert!(ordered.is_some_and(|ordered| ordered >= 20), "{said}");
    assert!(said.contains("hubs killed") && !said.contains("hubs killed 0 times, paused 0 times"), "{said}");
}

#[tokio::test]
async fn half_a_minute_of_chaos_ends_with_a_clean_audit_on_sqlite() {
    is_clean("1", None).await;
}

#[tokio::test]
async fn half_a_minute_of_chaos_with_two_processes_ends_with_a_clean_audit_on_postgres() {
    let database = postgres().await.database("chaos").await;
    is_clean("2", Some(database.url())).await;
}

#[tokio::test]
async fn chaos_is_refused_on_a_database_that_is_in_use() {
    let folder = tempfile::tempdir().expect("no temporary directory");
    let url = format!("sqlite:{}", folder.path().join("bourse.db").display());
    assert_eq!(run("0", "1", Some(&url)).await.0, Some(0));
    let (code, said) = run("0", "1", Some(&url)).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the database is not empty"), "{said}");
}
