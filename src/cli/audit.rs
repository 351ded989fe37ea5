//! `bourse audit`: who changed what, what was signed of it, and whether it still is what it was.
//!
//! `verify` computes everything here, from rows as the hub gives them, a page at a time. It ends with 0 where all fits, 1 where
//! something does not, 2 where it could not look.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use osb::stamp::Jwks;
use serde_json::{Value, json};

use super::Error;
use super::client::{self, Client};
use super::instance::given;
use super::print::{self, Column, Out, pick};
use super::remote::Limit;
use crate::domain::audit::Head;
use crate::domain::audit::verify::{Report, Verifier};

/// Rows of one page.
const PAGE: usize = 1000;
/// Heads without a signature that are named; more are counted.
const UNSIGNED_MAX: usize = 100;

/// Arguments of `bourse audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List who changed what.
    List(Box<List>),
    /// Show what the audit comes to now, signed. Keep it outside (`-o json > FILE`): `verify --head FILE` compares with it.
    Head,
    /// Look through the whole audit and name what was changed, is missing, out of order or cut off.
    Verify {
        /// A head that was kept. May be repeated.
        #[arg(long = "head", value_name = "FILE")]
        heads: Vec<PathBuf>,
        /// The public keys that heads are verified with, kept outside; the hub's own where absent.
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Those after this cursor; from the beginning where absent.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// About one subject only, such as tenants/retail.
    #[arg(long)]
    subject: Option<String>,
    /// By one actor only, such as administrators/admin.
    #[arg(long)]
    actor: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

const COLUMNS: &[Column] = &[
    ("NUMBER", "/position"),
    ("TIME", "/at"),
    ("WHO", "/actor"),
    ("FROM", "/from/address"),
    ("WHAT", "/action"),
    ("TO", "/subject"),
];

const HEAD: &[Column] =
    &[("position", "/position"), ("hash", "/hash"), ("at", "/at"), ("key", "/kid"), ("signature", "/signature")];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::List(list) => {
            let answer = upto(client, &list).await?;
            if out.is_json() {
                return print::json(&answer);
            }
            out.list(&json!({ "items": answer.get("items") }), COLUMNS)?;
            print::note(&format!("later ones: --after {}", pick(&answer, "/next")))
        }
        Verb::Head => out.one(&client.get(&["audit", "head"], &[]).await?, HEAD),
        Verb::Verify { heads, keys } => told(verify(client, &heads, keys).await.map_err(unseen)?, &out),
    }
}

/// Whoever could not look has not found anything: 2, whatever the reason.
fn unseen(error: Error) -> Error {
    match error {
        Error::Client(error) if error.exit_code() != 2 => client::Error::Usage(error.to_string()).into(),
        other => other,
    }
}

async fn upto(client: &Client, list: &List) -> Result<Value, Error> {
    let _busy = client.busy("reading");
    let (mut items, mut after) = (Vec::new(), list.after.clone());
    loop {
        let most = list.limit.get() - items.len();
        let (mut more, next) = page(client, &after, most, &list.subject, &list.actor).await?;
        let over = more.is_empty();
        items.append(&mut more);
        if over || items.len() >= list.limit.get() {
            return Ok(json!({ "items": items, "next": next }));
        }
        after = Some(next);
    }
}

async fn page(
    client: &Client,
    after: &Option<String>,
    most: usize,
    subject: &Option<String>,
    actor: &Option<String>,
) -> Result<(Vec<Value>, String), Error> {
    let limit = Some(most.min(PAGE).to_string());
    let query = given(&[("after", after), ("limit", &limit), ("subject", subject), ("actor", actor)]);
    items(client.get(&["audit"], &query).await?)
}

fn items(mut page: Value) -> Result<(Vec<Value>, String), Error> {
    let next = pick(&page, "/next");
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok((items, next)),
        _ => Err(client::Error::Usage("what the hub answered is no audit".to_owned()).into()),
    }
}

/// What was found, and which heads bear no signature of the hub's.
struct Verdict {
    report: Report,
    unsigned: Vec<String>,
    more_unsigned: u64,
}

async fn verify(client: &Client, files: &[PathBuf], keys: Option<PathBuf>) -> Result<Verdict, Error> {
    let _busy = client.busy("looking through the audit");
    let keys: Jwks = match keys {
        Some(file) => parse(&file)?,
        None => read(client.well_known("audit-keys.json").await?, "the hub's keys")?,
    };
    let (mut unsigned, mut heads) = (Vec::new(), Vec::new());
    for file in files {
        let head: Head = parse(file)?;
        if !head.is_signed_by(&keys) {
            let (file, kid) = (file.display(), &head.kid);
            unsigned.push(format!(
                "the head in {file} is not signed by the hub's key {kid}: it was changed, or is another hub's"
            ));
        }
        heads.push(head);
    }
    let mut verifier = Verifier::new(heads);
    let mut kept = Kept { unsigned, more_unsigned: 0, after: None, read: Some(0) };
    let mut after = None;
    loop {
        let (rows, next) = page(client, &after, PAGE, &None, &None).await?;
        let Some(last) = rows.last() else { break };
        kept.read_to(client, &keys, &mut verifier, last.get("position").and_then(Value::as_i64).unwrap_or(i64::MAX))
            .await?;
        rows.iter().for_each(|row| verifier.take(row));
        after = Some(next);
    }
    kept.read_to(client, &keys, &mut verifier, i64::MAX).await?;
    let Kept { unsigned, more_unsigned, .. } = kept;
    Ok(Verdict { report: verifier.finish(), unsigned, more_unsigned })
}

/// Heads that the hub keeps, read along with the rows: they are never all in memory.
struct Kept {
    unsigned: Vec<String>,
    more_unsigned: u64,
    after: Option<String>,
    /// Up to which row they were read; `None` where there are no more.
    read: Option<i64>,
}

impl Kept {
    /// Reads on until those up to that row are known.
    async fn read_to(&mut self, client: &Client, keys: &Jwks, verifier: &mut Verifier, row: i64) -> Result<(), Error> {
        let limit = Some(PAGE.to_string());
        while self.read.is_some_and(|read| read < row) {
            let query = given(&[("after", &self.after), ("limit", &limit)]);
            let (items, next) = items(client.get(&["audit", "heads"], &query).await?)?;
            self.read = None;
            for item in items {
                let head: Head = read(item, "a head of the hub")?;
                self.read = Some(head.position);
                // Whoever changed the rows could have added it: without a signature it proves nothing but that.
                if head.is_signed_by(keys) {
                    verifier.expect(head);
                } else if self.unsigned.len() < UNSIGNED_MAX {
                    let (row, at) = (head.position, head.at);
                    self.unsigned.push(format!("the hub's head of row {row} at {at} is not signed by its keys"));
                } else {
                    self.more_unsigned += 1;
                }
            }
            self.after = Some(next);
        }
        Ok(())
    }
}

fn parse<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, Error> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| client::Error::Read(name.clone(), error))?;
    let value =
        serde_json::from_str(&text).map_err(|error| client::Error::Usage(format!("{name} is no JSON: {error}")))?;
    read(value, &name)
}

fn read<T: serde::de::DeserializeOwned>(value: Value, what: &str) -> Result<T, Error> {
    let wrong = |error| client::Error::Usage(format!("{what} can't be read: {error}"));
    Ok(serde_json::from_value(value).map_err(wrong)?)
}

fn told(verdict: Verdict, out: &Out) -> Result<(), Error> {
    let Verdict { report, unsigned, more_unsigned } = verdict;
    let Report { rows, last, hash, heads, findings, more } = report;
    let more = more + more_unsigned;
    let findings: Vec<String> = findings.iter().map(ToString::to_string).chain(unsigned).collect();
    if out.is_json() {
        let answer = json!({
            "ok": findings.is_empty(), "rows": rows, "last": last, "hash": hash, "heads": heads,
            "findings": findings, "more_findings": more,
        });
        print::json(&answer)?;
    } else {
        print::lines(&findings.join("\n"))?;
    }
    if findings.is_empty() {
        return print::note(&format!(
            "{rows} rows fit, {heads} signed heads among them; the last is row {last}, {hash}"
        ));
    }
    let beyond = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("the audit does not fit: {} findings{beyond} in {rows} rows", findings.len());
    Err(client::Error::Outcome(message).into())
}
