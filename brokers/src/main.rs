//! The program `bourse-brokers`; everything is in [`bourse_brokers::cli`].

use std::error::Error as _;
use std::io::Write as _;
use std::process::ExitCode;

use bourse_brokers::cli::{self, Cli};
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let Err(error) = cli::run(cli).await else { return ExitCode::SUCCESS };
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        shown = format!("{shown}: {error}");
        cause = error.source();
    }
    // Where even standard error is closed there is nobody left to tell.
    drop(writeln!(std::io::stderr(), "error: {shown}"));
    ExitCode::FAILURE
}
