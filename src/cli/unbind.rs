//! `bourse unbind`: a binding goes, and with it its credentials.

use reqwest::Method;

use super::Error;
use super::client::Client;
use super::print::{self, pick};
use super::wait::{self, Wait};

/// Arguments of `bourse unbind`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The instance.
    name: String,
    /// Whose it is.
    #[arg(long)]
    tenant: String,
    /// The binding.
    #[arg(long, default_value = "default")]
    binding: String,
    #[command(flatten)]
    wait: Wait,
}

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { name, tenant, binding, wait } = args;
    let path = ["tenants", tenant.as_str(), "instances", name.as_str(), "bindings", binding.as_str()];
    let answer = client.send(Method::DELETE, &path, None).await?;
    if answer.is_accepted() && !wait.wait {
        return print::note(&format!("binding {binding} of {name} is being deleted"));
    }
    if answer.is_accepted() {
        let _busy = client.busy("waiting until it is gone");
        let left = wait::until(wait.within, async || match client.get(&path, &[]).await {
            Ok(found) => {
                let state = pick(&found, "/state");
                Ok((!matches!(state.as_str(), "unbinding" | "unresolved")).then_some(state))
            }
            Err(error) if error.is_not_found() => Ok(Some("gone".to_owned())),
            Err(error) => Err(error),
        });
        match left.await?.as_str() {
            "gone" => {}
            state => return Err(wait::failed("unbind", "failed", &format!("the binding is {state}")).into()),
        }
    }
    print::note(&format!("binding {binding} of {name} is deleted"))
}
