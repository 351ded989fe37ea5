//! The quickstart, as its user meets it: the example's binary is started, the lines that it prints are those of the README, and
//! each is run by a shell in its order, never twice. What the README says is refused is refused with the very sentence.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use bourse::domain::decimal::Decimal;
use serde_json::Value;

use crate::support::process::{Process, Signal, hub_binary, scratch};
use crate::support::wait::wait_until;

const README: &str = include_str!("../../README.md");

/// A running quickstart.
pub(crate) struct Quickstart {
    process: Process,
    pub(crate) exports: BTreeMap<String, String>,
}

/// The example's binary of this build. `cargo test` builds all examples first; with `--test it` alone it may be missing or old.
fn binary() -> PathBuf {
    let path = hub_binary().with_file_name("examples").join("quickstart");
    assert!(path.is_file(), "{} is missing: `cargo build --example quickstart` makes it", path.display());
    path
}

impl Quickstart {
    pub(crate) async fn start(more: &[&str]) -> Self {
        let arguments = ["--listen", "127.0.0.1:0"].iter().chain(more);
        let (process, _) = Process::serve("quickstart", &binary(), arguments, &[]).await;
        let bound = std::time::Duration::from_secs(15);
        wait_until("the quickstart has said all", bound, async || process.stdout().ends_with("ends it.\n")).await;
        let output = process.stdout();
        let export = |line: &str| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        };
        let exports = output.lines().filter_map(export).collect();
        Self { process, exports }
    }

    /// A line of the README as the quickstart prints it.
    fn filled_in(&self, line: &str) -> String {
        let fill = |line: String, (name, value): (&String, &String)| line.replace(&format!("${name}"), value);
        self.exports.iter().fold(line.to_owned(), fill)
    }

    fn printed(&self) -> Vec<String> {
        self.process.stdout().lines().filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
    }

    pub(crate) async fn interrupt(mut self) {
        self.process.signal(Signal::Interrupt);
        let status = self.process.exit_status().await;
        assert_eq!(status.code(), Some(0), "{}", self.process.stderr());
    }
}

/// The `curl` lines of the README's block behind a mark, each with the comment that follows it.
fn lines(mark: &str) -> Vec<(&'static str, &'static str)> {
    let (_, rest) = README.split_once(&format!("<!-- {mark} -->\n```sh\n")).expect("the README lacks the block");
    let (block, _) = rest.split_once("\n```").expect("the block has no end");
    let all: Vec<_> = block.lines().collect();
    let next = |at: usize| all.get(at + 1).copied().unwrap_or_default();
    all.iter().enumerate().filter(|(_, line)| line.starts_with("curl ")).map(|(at, line)| (*line, next(at))).collect()
}

/// Runs a line in a shell of its own; gives its exit code and what it wrote.
fn shell(line: &str) -> (Option<i32>, String) {
    let mut command = Command::new("timeout");
    command.args(["60", "bash", "-c", line]).env("NO_PROXY", "*");
    let output = command.output().expect("no shell (`bash tests/run.sh` installs what the tests need)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Runs all in order, and gives what each answered.
fn run(lines: &[String]) -> Vec<String> {
    let mut answers = Vec::new();
    for line in lines {
        let (code, output) = shell(line);
        assert_eq!(code, Some(0), "{line}\n{output}");
        answers.push(output);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_readme_are_printed_and_succeed_in_their_order() {
    let quickstart = Quickstart::start(&[]).await;
    let written: Vec<_> = lines("quickstart").into_iter().map(|(line, _)| quickstart.filled_in(line)).collect();
    assert!(written.len() >= 10 && written.iter().all(|line| line.contains("--fail-with-body")), "{written:?}");
    assert_eq!(quickstart.printed(), written, "the README and the quickstart differ");

    let answers = run(&written);
    let holds = |part: &str| answers.iter().filter(|answer| answer.contains(part)).count();
    assert!(holds(r#""cidr":"10.0.0.0/24""#) >= 2, "the network was not made and bound");
    for part in [r#""ip":"10.0.0.2""#, r#"{"state":""#, r#""tenant":{"#, "bourse_broker_call_duration_seconds"] {
        assert!(holds(part) > 0, "no answer holds {part}");
    }
    // The feed is a moment behind what happened.
    let feed = written.iter().find(|line| line.contains("/api/v1/events")).expect("no line reads the feed");
    let told = async || shell(feed).1.contains("io.bourse.instance.deprovisioned");
    wait_until("the feed tells of the deletion", std::time::Duration::from_secs(15), told).await;
    quickstart.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_readme_says_is_refused_is_refused_with_that_sentence() {
    let quickstart = Quickstart::start(&[]).await;
    // Another order under an id that is taken needs one that has taken it.
    run(&quickstart.printed());
    let refused = lines("refused");
    assert!(refused.len() >= 5, "{refused:?}");
    for (line, said) in refused {
        let (status, sentence) = said.trim_start_matches("# ").split_once(": ").expect("no status and sentence");
        let (code, output) = shell(&quickstart.filled_in(line));
        assert_eq!(code, Some(22), "{line}\n{output}");
        let (body, rest) = output.split_once(" HTTP ").expect("no status");
        assert!(rest.starts_with(status), "{line}\n{output}");
        let body: Value = serde_json::from_str(body).expect("an object");
        assert!([&body["description"], &body["detail"]].contains(&&Value::from(sentence)), "{said}\n{body}");
    }
    quickstart.interrupt().await;
}

/// A block of the README, whole.
fn block(mark: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("<!-- {mark} -->\n```sh\n")).expect("the README lacks the block");
    rest.split_once("\n```").expect("the block has no end").0
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_by_ssh_write_and_read_a_secret_and_push_with_the_lines_of_the_readme() {
    let quickstart = Quickstart::start(&[]).await;
    // The program of this build in the place of the release that cargo would make.
    let cargo = "cargo run -q --release --bin bourse --";
    let first = block("cli");
    assert!(first.contains(cargo), "the README calls the program otherwise: {first}");
    let mut script = "set -e\n".to_owned();
    for (name, value) in &quickstart.exports {
        script.push_str(&format!("export {name}='{value}'\n"));
    }
    script.push_str(&first.replace(cargo, &hub_binary().display().to_string()));
    for mark in ["ssh", "secret", "git", "cost"] {
        assert_eq!(block(mark).lines().count(), 3, "{mark}: three lines");
        script.push_str(&format!("\n{}\n", block(mark)));
    }
    // What depends on what is shown, and stays.
    script.push_str("bourse order virtual-network small --tenant retail --name net7\n");
    script.push_str("bourse order managed-bastion ca-only --tenant retail --name door7 --param network=net7\n");
    script.push_str("bourse order devops-toolchain basic --tenant retail --name shop7 --param secrets=secrets\n");
    script.push_str("! bourse delete net7 --tenant retail --yes\n! bourse delete secrets --tenant retail --yes\n");
    let folder = scratch("readme");
    std::fs::create_dir_all(&folder).expect("no folder");
    let (code, output) = shell(&format!("cd {}\n{script}", folder.display()));
    assert_eq!(code, Some(0), "{output}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("no host name");
    let said = [&format!("hello from {}", host.trim()), r#""data":{"password":"correct horse"}"#, "main -> main"];
    for part in said {
        assert!(output.contains(part), "{part} is not in\n{output}");
    }
    for dependent in ["`door7`", "`shop7`"] {
        assert!(output.contains(&format!("other instances depend on it: {dependent}")), "{output}");
    }
    let costs: Vec<&str> = output.lines().filter(|line| line.contains("net4") && line.contains(" EUR")).collect();
    let amount = |line: &&str| line.split_whitespace().rev().nth(1).and_then(|word| word.parse::<Decimal>().ok());
    let amounts: Vec<_> = costs.iter().filter_map(amount).collect();
    assert!(
        matches!(amounts[..], [first, then] if Decimal::ZERO < first && first < then),
        "no cost that grows: {costs:?}\n{output}"
    );
    let pushed =
        Command::new("git").args(["-C", "shop", "log", "--format=%s", "origin/main"]).current_dir(&folder).output();
    assert_eq!(pushed.expect("no git").stdout.split(|byte| *byte == b'\n').next(), Some(&b"Say hello"[..]));
    quickstart.interrupt().await;
    std::fs::remove_dir_all(folder).expect("could not remove the directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_serves_a_second_start_with_the_same_credentials() {
    let data = scratch("quickstart-data");
    let folder = data.join("new").display().to_string();
    let first = Quickstart::start(&["--data", &folder]).await;
    run(&first.printed());
    let before = first.exports.clone();
    first.interrupt().await;
    assert!(!data.join("new/bourse.db-wal").exists(), "a clean stop leaves one file that holds all");

    let second = Quickstart::start(&["--data", &folder]).await;
    for name in ["ADMIN", "CF", "K8S", "HUB"] {
        assert_eq!(before.get(name).expect("an export"), &second.exports[name], "{name}");
    }
    run(&second.printed());
    let mut third = Command::new(binary());
    third.args(["--listen", "127.0.0.1:0", "--data", &folder]);
    let mut third = Process::start("quickstart", third);
    assert_eq!(third.exit_status().await.code(), Some(1), "two of them in one directory");
    assert!(third.stderr().contains("another quickstart runs in"), "{}", third.stderr());
    second.interrupt().await;
    std::fs::remove_dir_all(data).expect("could not remove the directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("no port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = Command::new(binary());
    command.args(["--listen", &address]);
    let mut process = Process::start("quickstart", command);
    assert_eq!(process.exit_status().await.code(), Some(1));
    let told = process.stderr();
    assert!(told.contains(&address) && told.contains("--listen"), "{told}");
    assert_eq!(process.stdout(), "");
}
