//! The code in `docs/stamp.md` does what the page says: it is taken out of the page and run against stamps good and bad.
//!
//! Python and Node always. `BOURSE_STAMP_LANGUAGES=go,java` adds those two, which a machine that builds Rust needn't have.
//! `osb::stamp` gets the same stamps, so that all five agree. Most are signed here and not by `osb`'s own signer, which
//! rightly can't make the bad ones.

mod cases;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::guard::Ending;
use crate::support::ports::free_port;
use crate::support::process::{Process, scratch};
use crate::support::python;
use cases::{Case, Keys};

const PAGE: &str = include_str!("../../docs/stamp.md");

/// How the page's code in one language is run: files to write (name, content) and the command that does it.
struct Language {
    fence: &'static str,
    code: &'static str,
    others: &'static [(&'static str, &'static str)],
    command: fn() -> Command,
}

const LANGUAGES: &[(&str, Language)] = &[
    (
        "python",
        Language {
            fence: "python",
            code: "stamp.py",
            others: &[("check.py", include_str!("stamp_docs/check.py"))],
            command: || with(Command::new(python::python()), &["check.py", "cases.json"]),
        },
    ),
    (
        "node",
        Language {
            fence: "js",
            code: "stamp.mjs",
            others: &[("check.mjs", include_str!("stamp_docs/check.mjs"))],
            command: || with(Command::new(python::node()), &["check.mjs", "cases.json"]),
        },
    ),
    (
        "go",
        Language {
            fence: "go",
            code: "stamp/stamp.go",
            others: &[("check.go", include_str!("stamp_docs/check.go")), ("go.mod", "module check\n\ngo 1.21\n")],
            command: || with(Command::new("go"), &["run", ".", "cases.json"]),
        },
    ),
    (
        "java",
        Language {
            fence: "java",
            code: "StampVerifier.java",
            others: &[("Check.java", include_str!("stamp_docs/Check.java"))],
            command: || with(Command::new("/bin/sh"), &["-c", "javac *.java && exec java Check cases.json"]),
        },
    ),
];

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// The first fenced block of the page in that language.
fn block(fence: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n```{fence}\n")).unwrap_or_else(|| panic!("no block in {fence}"));
    rest.split_once("\n```").expect("the block has no end").0
}

/// Serves the hub's keys until the test's runtime ends. Answers with its URL and how often the keys were fetched.
async fn serve_keys(keys: Value) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("no port");
    let url = format!("http://{}", listener.local_addr().expect("no address"));
    let fetches = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetches);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && connection.read_buf(&mut request).await.is_ok_and(|read| read > 0)
            {
            }
            let text = String::from_utf8_lossy(&request);
            let (status, body) = if text.starts_with("GET /.well-known/jwks.json ") {
                count.fetch_add(1, Ordering::Relaxed);
                ("200 OK", keys.to_string())
            } else {
                ("404 Not Found", "{}".to_owned())
            };
            let head = "content-type: application/json\r\nconnection: close\r\ncontent-length";
            let answer = format!("HTTP/1.1 {status}\r\n{head}: {}\r\n\r\n{body}", body.len());
            connection.write_all(answer.as_bytes()).await.expect("the client went away");
        }
    });
    (url, fetches)
}

/// Runs the page's code on the cases; answers with what it said of each, in their order.
async fn run(language: &Language, issuer: &str, cases: &[Case]) -> Vec<(String, String)> {
    let directory = scratch("stamp");
    let write = |name: &str, content: &str| {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("no directory");
        std::fs::write(path, content).expect("could not write a file");
    };
    write(language.code, block(language.fence));
    for (name, content) in language.others {
        write(name, content);
    }
    let cases: Vec<Value> = cases.iter().map(Case::to_json).collect();
    write("cases.json", &json!({"issuer": issuer, "audience": cases::AUDIENCE, "cases": cases}).to_string());
    let mut command = (language.command)();
    command.current_dir(&directory);
    for proxy in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    let mut process = Process::start_in(directory, command, Ending::Kill);
    let status = process.exit_status().await;
    assert!(status.success(), "{status}\n{}\n{}", process.stdout(), process.stderr());
    let split = |line: &str| line.split_once('|').map(|(name, said)| (name.to_owned(), said.to_lowercase()));
    process.stdout().lines().filter_map(split).collect()
}

async fn check(name: &str) {
    let (_, language) = LANGUAGES.iter().find(|(known, _)| *known == name).expect("a language of the page");
    let keys = Keys::generate();
    let (issuer, fetches) = serve_keys(keys.published()).await;
    let cases = cases::all(&keys, &issuer);
    let said = run(language, &issuer, &cases).await;
    assert_eq!(said.len(), cases.len(), "{name} said {said:?}");
    for (case, (of, said)) in cases.iter().zip(&said) {
        assert_eq!(&case.name, of);
        case.check(name, said);
    }
    // Five stamps name keys that nobody has published; that must not be five fetches.
    let fetches = fetches.load(Ordering::Relaxed);
    assert!((1..=2).contains(&fetches), "{name} fetched the keys {fetches} times");
}

#[tokio::test]
async fn the_pages_python_takes_good_stamps_and_refuses_all_others() {
    check("python").await;
}

#[tokio::test]
async fn the_pages_node_takes_good_stamps_and_refuses_all_others() {
    check("node").await;
}

#[tokio::test]
async fn osb_takes_and_refuses_the_same_stamps_as_the_page() {
    let keys = Keys::generate();
    let (issuer, fetches) = serve_keys(keys.published()).await;
    let verifier = osb::stamp::Verifier::from_jwks_url(&issuer, cases::AUDIENCE);
    for case in cases::all(&keys, &issuer) {
        let said = match verifier.verify(&case.to_call()).await {
            Ok(stamp) => format!("accepted for {}", stamp.tenant.name),
            Err(reason) => format!("refused: {reason}").to_lowercase(),
        };
        case.check("osb", &said);
    }
    assert!(fetches.load(Ordering::Relaxed) >= 1);
}

/// The page's Rust, compiled; the test compares it with the page.
async fn the_pages_rust(call: &osb::Call) -> Result<(), osb::Error> {
    let verifier = osb::stamp::Verifier::from_jwks_url("https://bourse.example", "vnet-ipam"); // once, at start
    let stamp = verifier.verify(call).await?;
    tracing::info!(tenant.id = stamp.tenant.id, "an order");
    Ok(())
}

#[tokio::test]
async fn the_pages_rust_is_what_compiles_here_and_refuses_a_call_without_a_stamp() {
    let (_, here) = include_str!("stamp_docs.rs").split_once("async fn the_pages_rust(").expect("the function above");
    let here: Vec<&str> = here.lines().skip(1).map(str::trim).collect();
    let page: Vec<&str> = block("rust").lines().collect();
    assert!(page.len() == 3 && here.starts_with(&page), "{page:?}");
    let refused = the_pages_rust(&osb::Call::default()).await.expect_err("there is no stamp");
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn the_pages_code_fails_closed_without_keys() {
    let keys = Keys::generate();
    // Where nobody listens.
    let issuer = format!("http://127.0.0.1:{}", free_port());
    let cases = cases::good(&keys, &issuer);
    for (name, language) in LANGUAGES.iter().filter(|(name, _)| ["python", "node"].contains(name)) {
        let answers = run(language, &issuer, &cases).await;
        assert_eq!(answers.len(), cases.len(), "{name} judged not all of them");
        for (of, said) in answers {
            assert!(said.contains("keys can't be fetched"), "{name}: {of}: {said}");
        }
    }
}

/// Without the variable this is the page's shape only: each language has its block, and the block isn't empty.
#[tokio::test]
async fn the_page_holds_code_in_each_language_and_the_chosen_ones_run() {
    for (name, language) in LANGUAGES {
        assert!(block(language.fence).lines().count() > 30, "the block in {name} is no verifier");
    }
    let chosen = std::env::var_os("BOURSE_STAMP_LANGUAGES").unwrap_or_default();
    for name in chosen.to_string_lossy().split(',').filter(|name| !name.is_empty()) {
        check(name).await;
    }
}
