//! The command line: one subcommand a file. Parsing is clap's; what a subcommand prints for machines goes to stdout, all else
//! to stderr.

mod keys;
mod migrate;
mod openapi;
mod serve;
mod settings;
mod tls;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An internal service marketplace: one Open Service Broker API over many service brokers.
#[derive(Debug, Parser)]
#[command(name = "bourse", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the hub.
    Serve(serve::Args),
    /// Bring the database to this version.
    Migrate(Settings),
    /// Write the description of the management API to stdout.
    #[command(hide = true)]
    Openapi,
}

/// Where settings come from.
#[derive(Debug, clap::Args)]
struct Settings {
    /// A TOML file; without one, the defaults and the environment (BOURSE__SECTION__KEY).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What a subcommand can end in besides success.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Settings(#[from] crate::config::Error),
    #[error(transparent)]
    Logs(#[from] crate::telemetry::Error),
    #[error(transparent)]
    Keys(#[from] keys::Error),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error("could not open the database")]
    Open(#[source] crate::store::Error),
    #[error("could not bring the database to this version")]
    Migrate(#[source] crate::store::Error),
    #[error("{0}")]
    NotReady(String),
    #[error("could not prepare the hub")]
    Prepare(#[source] crate::app::Error),
    #[error("could not listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    #[error("could not write to the terminal")]
    Write(#[source] std::io::Error),
    #[error("could not run")]
    Run(#[source] std::io::Error),
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let outcome = match command {
        Command::Serve(args) => serve::run(&args),
        Command::Migrate(settings) => migrate::run(&settings),
        Command::Openapi => openapi::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(std::io::stderr(), "bourse: {}", chain(&error));
            // Nobody is left to tell where stderr is gone.
            drop(told);
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Runs a future on threads of its own.
fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Run)?;
    runtime.block_on(future)
}
