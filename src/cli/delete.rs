//! `bourse delete`: an instance goes, and its bindings with it. Asks once on a terminal: what is deleted does not come back.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use reqwest::Method;

use super::client::Client;
use super::wait::{self, Wait};
use super::{Error, client, print};

/// Arguments of `bourse delete`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The instance.
    name: String,
    /// Whose it is.
    #[arg(long)]
    tenant: String,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { name, tenant, yes, wait } = args;
    if !yes && io::stdin().is_terminal() && !agreed(&name, &tenant)? {
        return Err(client::Error::Outcome("nothing was deleted".to_owned()).into());
    }
    let path = ["tenants", tenant.as_str(), "instances", name.as_str()];
    let answer = client.send(Method::DELETE, &path, None).await?;
    if answer.is_accepted() && !wait.wait {
        return print::note(&format!(
            "{name} is being deleted: `bourse show {name} --tenant {tenant}` shows how far it is"
        ));
    }
    if answer.is_accepted() {
        wait::operation(client, &answer.body, wait.within).await?;
    }
    print::note(&format!("{name} is deleted"))
}

/// Asks; anything but y or yes is no.
fn agreed(name: &str, tenant: &str) -> Result<bool, Error> {
    let mut terminal = io::stderr();
    write!(terminal, "Delete instance {name} of tenant {tenant} with all it holds? [y/N] ").map_err(Error::Print)?;
    terminal.flush().map_err(Error::Print)?;
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| client::Error::Read("the answer".to_owned(), error))?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}
