//! The command line: one subcommand a file. Parsing is clap's; what a subcommand prints for machines goes to stdout, all else
//! to stderr.

mod approval;
mod approval_rule;
mod audit;
mod authorization;
mod bind;
mod broker;
mod budget;
mod client;
mod completion;
mod conformance;
mod cost;
mod credentials;
mod delete;
mod estimate;
mod event;
mod files;
mod grant;
mod instance;
mod keyring;
mod keys;
mod list;
mod login;
mod logins;
mod member;
mod migrate;
mod offering;
mod openapi;
mod operation;
mod order;
mod parameters;
mod params;
mod platform;
mod policy;
mod price_book;
mod print;
mod problem;
mod quota;
mod remote;
mod serve;
mod settings;
mod show;
mod spinner;
mod statement;
mod tenant;
mod tls;
mod unbind;
mod usage;
mod wait;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::remote::Remote;

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
    /// Log in to a hub through its identity provider, with a browser.
    Login(Box<Remote<login::Args>>),
    /// Forget the login.
    Logout(Box<Remote<login::Args>>),
    /// Say who you are to the hub.
    Whoami(Box<Remote<login::WhoArgs>>),
    /// Search what can be ordered.
    Offerings(Box<Remote<offering::SearchArgs>>),
    /// Order an instance by name, or change it.
    Order(Box<Remote<order::Args>>),
    /// Bind to an instance and print the credentials.
    Bind(Box<Remote<bind::Args>>),
    /// Delete a binding.
    Unbind(Box<Remote<unbind::Args>>),
    /// Delete an instance.
    Delete(Box<Remote<delete::Args>>),
    /// List a tenant's instances.
    List(Box<Remote<list::Args>>),
    /// Show an instance.
    Show(Box<Remote<show::Args>>),
    /// Agree to an order that waits for a yes; without one, list those.
    Approve(Box<Remote<approval::DecideArgs>>),
    /// Refuse an order that waits for a yes; without one, list those.
    Deny(Box<Remote<approval::DecideArgs>>),
    /// Colleagues who may read an instance, until some time.
    Grant(Box<Remote<grant::Args>>),
    /// Say what a month of an order would cost.
    Estimate(Box<Remote<estimate::Args>>),
    /// Service brokers behind the hub.
    Broker(Box<Remote<broker::Args>>),
    /// Platforms that order through the hub.
    Platform(Box<Remote<platform::Args>>),
    /// Whom instances are for.
    Tenant(Box<Remote<tenant::Args>>),
    /// What can be ordered.
    Offering(Box<Remote<offering::Args>>),
    /// What services cost, from when on.
    PriceBook(Box<Remote<price_book::Args>>),
    /// Instances of all tenants and platforms.
    Instance(Box<Remote<instance::Args>>),
    /// What is under way and how it ended.
    Operation(Box<Remote<operation::Args>>),
    /// What was used, and what it costs.
    Cost(Box<Remote<cost::Args>>),
    /// Tenants' months, and which of them are closed.
    Statement(Box<Remote<statement::Args>>),
    /// How much a tenant or a cost center may cost in a month.
    Budget(Box<Remote<budget::Args>>),
    /// How much a tenant may have of something.
    Quota(Box<Remote<quota::Args>>),
    /// Rules that refuse orders, or warn of them.
    Policy(Box<Remote<policy::Args>>),
    /// Which parameters of a plan have another default, are forced, or may not be given.
    Parameters(Box<Remote<parameters::Args>>),
    /// Orders that wait for somebody's yes.
    Approval(Box<Remote<approval::Args>>),
    /// Which orders wait for somebody's yes.
    ApprovalRule(Box<Remote<approval_rule::Args>>),
    /// What happened.
    Event(Box<Remote<event::Args>>),
    /// What was used.
    Usage(Box<Remote<usage::Args>>),
    /// Who changed what, and whether that record still is what it was.
    Audit(Box<Remote<audit::Args>>),
    /// Keys that seal and sign.
    Keys(Box<Remote<keyring::Args>>),
    /// Judge a service broker by the Open Service Broker API 2.17.
    Conformance(Box<conformance::Args>),
    /// Write a script that completes these commands in a shell.
    Completion(completion::Args),
    /// Write the description of the management API to stdout.
    #[command(hide = true)]
    Openapi,
    /// Write the table of who may do what to stdout.
    #[command(hide = true)]
    Authorization,
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
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error(transparent)]
    Conformance(#[from] conformance::Error),
    #[error("could not open the database")]
    Open(#[source] crate::store::Error),
    #[error("another process serves from this SQLite database: end it first; several processes need PostgreSQL")]
    InUse,
    #[error("could not bring the database to this version")]
    Migrate(#[source] crate::store::Error),
    #[error("{0}")]
    NotReady(String),
    #[error("could not prepare the hub")]
    Prepare(#[source] crate::app::Error),
    #[error("could not listen on {0}")]
    Listen(std::net::SocketAddr, #[source] io::Error),
    #[error("could not write to the terminal")]
    Write(#[source] io::Error),
    #[error("could not print")]
    Print(#[source] io::Error),
    #[error("could not run")]
    Run(#[source] io::Error),
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has read enough.
        Err(Error::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(io::stderr(), "bourse: {}", chain(&error));
            // Nobody is left to tell where stderr is gone.
            drop(told);
            error.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Migrate(settings) => migrate::run(&settings),
        Command::Login(remote) => remote.run_as_nobody(login::run),
        Command::Logout(remote) => remote.run_as_nobody(login::leave),
        Command::Whoami(remote) => remote.run(login::who),
        Command::Offerings(remote) => remote.run(offering::search),
        Command::Order(remote) => remote.run(order::run),
        Command::Bind(remote) => remote.run(bind::run),
        Command::Unbind(remote) => remote.run(unbind::run),
        Command::Delete(remote) => remote.run(delete::run),
        Command::List(remote) => remote.run(list::run),
        Command::Show(remote) => remote.run(show::run),
        Command::Approve(remote) => remote.run(approval::approve),
        Command::Deny(remote) => remote.run(approval::deny),
        Command::Grant(remote) => remote.run(grant::run),
        Command::Estimate(remote) => remote.run(estimate::run),
        Command::Broker(remote) => remote.run(broker::run),
        Command::Platform(remote) => remote.run(platform::run),
        Command::Tenant(remote) => remote.run(tenant::run),
        Command::Offering(remote) => remote.run(offering::run),
        Command::PriceBook(remote) => remote.run(price_book::run),
        Command::Instance(remote) => remote.run(instance::run),
        Command::Operation(remote) => remote.run(operation::run),
        Command::Cost(remote) => remote.run(cost::run),
        Command::Statement(remote) => remote.run(statement::run),
        Command::Budget(remote) => remote.run(budget::run),
        Command::Quota(remote) => remote.run(quota::run),
        Command::Policy(remote) => remote.run(policy::run),
        Command::Parameters(remote) => remote.run(parameters::run),
        Command::Approval(remote) => remote.run(approval::run),
        Command::ApprovalRule(remote) => remote.run(approval_rule::run),
        Command::Event(remote) => remote.run(event::run),
        Command::Usage(remote) => remote.run(usage::run),
        Command::Audit(remote) => remote.run(audit::run),
        Command::Keys(remote) => remote.run(keyring::run),
        Command::Conformance(args) => conformance::run(*args),
        Command::Completion(args) => completion::run(&args, &mut <Cli as clap::CommandFactory>::command()),
        Command::Openapi => openapi::run(),
        Command::Authorization => authorization::run(),
    }
}

impl Error {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(error) => ExitCode::from(error.exit_code()),
            Self::Conformance(error) => ExitCode::from(error.exit_code()),
            _ => ExitCode::FAILURE,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_two_options_of_a_command_clash() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_is_taken_for_an_option_of_the_commands_above_it() {
        fn check(command: &clap::Command, above: &[&str]) {
            let ids = |global: bool| command.get_arguments().filter(move |arg| arg.is_global_set() == global);
            for arg in ids(false) {
                assert!(!above.contains(&arg.get_id().as_str()), "{}: {}", command.get_name(), arg.get_id());
            }
            let globals = ids(true).map(|arg| arg.get_id().as_str());
            let below: Vec<&str> = above.iter().copied().chain(globals).collect();
            command.get_subcommands().for_each(|command| check(command, &below));
        }
        check(&Cli::command(), &[]);
    }

    #[track_caller]
    fn reads(line: &str) {
        let words = line.split_whitespace();
        assert!(Cli::try_parse_from(words).is_ok(), "{line}");
    }

    #[test]
    fn the_connection_may_stand_before_and_after_a_verb() {
        reads("bourse broker --url http://h --token t list --output json");
        reads("bourse broker list --url http://h --token t -o json --limit 5");
        reads("bourse order o p --tenant t --name n --param a=1 --param b=x --wait --timeout PT1M --token t");
        reads("bourse bind n --tenant t -o k8s-secret --token t");
        assert!(Cli::try_parse_from("bourse order o p --tenant t --name n --timeout soon".split_whitespace()).is_err());
    }
}
