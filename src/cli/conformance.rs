//! `bourse conformance`: judges any service broker by OSB 2.17, and prints what it found out. The judging is `osb::conformance`.
//!
//! Standard output carries the report and nothing else; progress and remarks go to standard error. Ends with 0 where nothing
//! that binds is broken, 1 where something is, 2 where it could not be found out.

mod progress;
mod table;

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osb::Object;
use osb::conformance::{self, Options, Outcome, Parameters, Report, Target, Verdict};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use self::progress::Bar;
use super::{block_on, print};
use crate::secret::Secret;

/// Bytes of a file that are read at most.
const FILE_MAX: u64 = 1024 * 1024;

/// Arguments of `bourse conformance`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service broker: what stands before /v2/catalog.
    #[arg(long, value_name = "URL")]
    url: String,
    /// The user name that it knows; without one, no credentials are sent and authentication isn't judged.
    #[arg(long, value_name = "U", requires = "password")]
    username: Option<String>,
    /// The password; better in the environment than on the command line.
    #[arg(long, value_name = "P", env = "BOURSE_BROKER_PASSWORD", hide_env_values = true, value_parser = secret)]
    password: Option<Secret<String>>,
    /// The offering to order from, by name or id; the first that is usable where absent.
    #[arg(long, value_name = "NAME")]
    offering: Option<String>,
    /// The plan to order, by name or id; the first that is usable where absent.
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Parameters: an object for provision, or {"create":{},"update":{},"bind":{}}. Made from the plan's schemas where absent.
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
    /// The `context` of orders, where the broker looks at it.
    #[arg(long, value_name = "FILE")]
    context: Option<PathBuf>,
    /// The `organization_guid` of orders.
    #[arg(long, value_name = "G")]
    organization_guid: Option<String>,
    /// The `space_guid` of orders.
    #[arg(long, value_name = "G")]
    space_guid: Option<String>,
    /// Run only the cases that judge this requirement, such as PRV-10; may be given several times.
    #[arg(long = "row", value_name = "ID", value_parser = known_row)]
    rows: Vec<String>,
    /// What should be counts as what must be.
    #[arg(long)]
    strict: bool,
    /// Print the whole report as JSON.
    #[arg(long)]
    json: bool,
    /// Write the report as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// List the requirements of platforms, too, which can't be judged here.
    #[arg(long)]
    all: bool,
    /// More root certificates to trust, PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

fn known_row(id: &str) -> Result<String, String> {
    conformance::row(id).map(|row| row.id.to_owned()).ok_or_else(|| "osb/requirements.tsv has no such row".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "clap's value parsers give a result")]
fn secret(text: &str) -> Result<Secret<String>, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// How a run can end besides with a broker that conforms.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("could not read {0}")]
    Read(String, #[source] io::Error),
    #[error("{0} holds no JSON object: {1}")]
    Form(String, String),
    #[error("could not write {0}")]
    Write(String, #[source] io::Error),
    #[error("could not judge {0}")]
    Run(String, #[source] conformance::Error),
    #[error("stopped before anything was deleted: what was made may still be there")]
    Abandoned,
    #[error("it could not be found out: {0}")]
    Incomplete(String),
    #[error("the service broker does not conform: {0}")]
    Fails(String),
}

impl Error {
    /// 1 where the broker is at fault, else 2.
    pub(super) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Fails(_)) { 1 } else { 2 }
    }
}

/// Runs the suite.
pub(super) fn run(args: Args) -> Result<(), super::Error> {
    let (target, options) = prepared(&args)?;
    // Found out now, not after everything was judged.
    let mut junit = args.junit.as_deref().map(created).transpose()?;
    let report = block_on(async { Ok(judged(&target, options, &args.url).await) })??;
    if let (Some(file), Some(path)) = (&mut junit, &args.junit) {
        let written = file.write_all(conformance::junit(&report).as_bytes()).and_then(|()| file.flush());
        written.map_err(|error| Error::Write(path.display().to_string(), error))?;
    }
    if args.json {
        let value = serde_json::to_value(&report).unwrap_or_default();
        print::json(&value)?;
    } else {
        print::lines(&table::table(&report, args.all))?;
    }
    for left in &report.left_behind {
        print::note(&format!("left behind: {left}"))?;
    }
    ended(&report, args.strict)?;
    Ok(())
}

fn prepared(args: &Args) -> Result<(Target, Options), Error> {
    let mut target = Target::new(args.url.clone());
    if let (Some(username), Some(password)) = (&args.username, &args.password) {
        target = target.with_credentials(username.clone(), password.expose().clone());
    }
    if let Some(path) = &args.ca_file {
        target = target.with_certificates(text(path)?);
    }
    let mut options = Options {
        offering: args.offering.clone(),
        plan: args.plan.clone(),
        rows: args.rows.clone(),
        ..Options::default()
    };
    if let Some(path) = &args.params {
        let read = Parameters::from_value(Value::Object(object(path)?));
        options.parameters = read.map_err(|why| Error::Form(path.display().to_string(), why))?;
    }
    options.context = args.context.as_deref().map(object).transpose()?;
    if let Some(guid) = &args.organization_guid {
        options.organization_guid.clone_from(guid);
    }
    if let Some(guid) = &args.space_guid {
        options.space_guid.clone_from(guid);
    }
    Ok((target, options))
}

fn created(path: &Path) -> Result<File, Error> {
    File::create(path).map_err(|error| Error::Write(path.display().to_string(), error))
}

fn text(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text));
    read.map_err(|error| Error::Read(path.display().to_string(), error))?;
    Ok(text)
}

fn object(path: &Path) -> Result<Object, Error> {
    serde_json::from_str(&text(path)?).map_err(|error| Error::Form(path.display().to_string(), error.to_string()))
}

/// Runs to the end; a first signal ends the cases, and what was made is deleted; a second one ends everything.
async fn judged(target: &Target, options: Options, url: &str) -> Result<Report, Error> {
    let bar = Arc::new(Bar::new());
    let stopping = Arc::clone(&bar);
    let stop = async move {
        signalled().await;
        stopping.remark("stopping: what was made is being deleted; once more, and it is left behind");
    };
    let twice = async {
        signalled().await;
        signalled().await;
    };
    let run = conformance::run(target, options, bar, stop);
    tokio::select! {
        report = run => report.map_err(|error| Error::Run(url.to_owned(), error)),
        () = twice => Err(Error::Abandoned),
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn signalled() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = terminated => {}
        () = interrupted => {}
    }
}

/// What a run's end means for whoever called the command.
fn ended(report: &Report, strict: bool) -> Result<(), Error> {
    let words = |verdict| report.with(verdict).join(", ");
    match (report.outcome(strict), &report.incomplete) {
        (_, Some(reason)) if report.interrupted => Err(Error::Incomplete(reason.clone())),
        (Outcome::Conforms, _) => Ok(()),
        (Outcome::Incomplete, reason) => Err(Error::Incomplete(reason.clone().unwrap_or_default())),
        (Outcome::Fails, _) if report.with(Verdict::Failed).is_empty() => {
            Err(Error::Fails(format!("{} should be kept", words(Verdict::Warned))))
        }
        (Outcome::Fails, _) => Err(Error::Fails(words(Verdict::Failed))),
    }
}
