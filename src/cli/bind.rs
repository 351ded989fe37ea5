//! `bourse bind`: credentials for an instance, in the form that a shell, a program or Kubernetes takes. The same again gives
//! the same credentials.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Map, Value};

use super::client::Client;
use super::params::Params;
use super::print::{self, pick};
use super::wait::{self, Within};
use super::{Error, client, credentials, files};

/// Arguments of `bourse bind`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The instance.
    name: String,
    /// Whose it is.
    #[arg(long)]
    tenant: String,
    /// What the binding is called: 1 to 63 of a-z, 0-9 and '-'.
    #[arg(long, default_value = "default")]
    binding: String,
    #[command(flatten)]
    params: Params,
    /// Make nothing: read a binding that is there, as whoever was granted its credentials may.
    #[arg(long, conflicts_with_all = ["pairs", "file"])]
    existing: bool,
    /// How the credentials are given: printed, or each as a file in a directory, which is made where it is not there.
    #[arg(
        short = 'o',
        long = "output",
        value_name = "table|env|json|k8s-secret|files=DIR",
        default_value = "table",
        value_parser = format
    )]
    format: Format,
    /// What stands before each variable of `-o env`, such as `NET_`.
    #[arg(long, default_value = "", value_parser = prefix)]
    prefix: String,
    #[command(flatten)]
    within: Within,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Format {
    /// For people: a line for each.
    Table,
    /// Lines KEY=value for a shell.
    Env,
    /// What the management API answered.
    Json,
    /// A Secret for `kubectl apply -f -`.
    K8sSecret,
    /// A file for each, in that directory.
    Files(PathBuf),
}

fn format(text: &str) -> Result<Format, String> {
    Ok(match (text, text.strip_prefix("files=")) {
        ("table", _) => Format::Table,
        ("env", _) => Format::Env,
        ("json", _) => Format::Json,
        ("k8s-secret", _) => Format::K8sSecret,
        (_, Some(folder)) if !folder.is_empty() => Format::Files(folder.into()),
        _ => return Err("use one of table, env, json, k8s-secret, files=DIR".to_owned()),
    })
}

fn prefix(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { Ok(text.to_owned()) } else { Err("use letters, digits and _".to_owned()) }
}

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { name, tenant, binding, params, existing, format, prefix, within } = args;
    let path = ["tenants", tenant.as_str(), "instances", name.as_str(), "bindings", binding.as_str()];
    let bound = if existing {
        client.get(&path, &[("credentials", "true")]).await?
    } else {
        let mut body = Map::new();
        if let Some(parameters) = params.read()? {
            body.insert("parameters".to_owned(), parameters);
        }
        let answer = client.send(Method::PUT, &path, Some(&body.into())).await?;
        if answer.is_accepted() { bound(client, &path, within).await? } else { answer.body }
    };
    let none = Value::Object(Map::new());
    let given = bound.get("credentials").unwrap_or(&none);
    match format {
        Format::Json => print::json(&bound),
        Format::K8sSecret => print::json(&credentials::kubernetes_secret(given, &name, &binding)?),
        Format::Env | Format::Table | Format::Files(_) if given.as_object().is_none_or(Map::is_empty) => {
            print::note(&format!("binding {binding} of {name} has no credentials; -o json shows what it has"))
        }
        Format::Files(folder) => {
            let written = files::write(&folder, given)?;
            let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
            print::lines(&written.join("\n"))
        }
        Format::Env => print::lines(&credentials::env(given, &prefix)?),
        Format::Table => {
            let pairs: Vec<Value> =
                given.as_object().into_iter().flatten().map(|(key, value)| row(key, value)).collect();
            print::lines(&print::table(&pairs, &[("CREDENTIAL", "/key"), ("VALUE", "/value")]))
        }
    }
}

fn row(key: &str, value: &Value) -> Value {
    serde_json::json!({ "key": key, "value": value })
}

/// Waits until the binding is there, and reads it with its credentials.
async fn bound(client: &Client, path: &[&str], within: Within) -> Result<Value, Error> {
    let _busy = client.busy("waiting for the binding");
    let state = wait::until(within, async || match client.get(path, &[]).await {
        Ok(binding) => {
            let state = pick(&binding, "/state");
            Ok((!matches!(state.as_str(), "binding" | "unresolved")).then_some(state))
        }
        Err(error) if error.is_not_found() => Ok(Some("failed".to_owned())),
        Err(error) => Err(error),
    })
    .await?;
    if state == "ready" {
        return Ok(client.get(path, &[("credentials", "true")]).await?);
    }
    Err(why(client, path).await?.into())
}

/// Why there is no binding: what its operation says.
async fn why(client: &Client, path: &[&str]) -> Result<client::Error, Error> {
    let instance = client.get(path.get(..4).unwrap_or(path), &[]).await?;
    let id = pick(&instance, "/id");
    let query = [("instance", id.as_str()), ("kind", "bind"), ("state", "failed")];
    let operations = client.list(&["operations"], &query, usize::MAX).await?;
    let last = operations.get("items").and_then(Value::as_array).and_then(|items| items.last());
    Ok(wait::failed("bind", "failed", &last.map(|last| pick(last, "/description")).unwrap_or_default()))
}
