//! One pass over a network: each thing is looked at, and what is not as it shall be is named and, in most passes, mended.
//!
//! Finding and mending are the same code, so that what `check` finds nothing in is exactly what `apply` leaves. Invariant: a
//! pass that only looks runs no program that changes anything.

use serde::de::DeserializeOwned;

use super::execute::{Command, Ended, Execute, ExecuteError};
use super::names::hash;
use super::observe::{Link, Links, Namespace, names};
use super::rules::{Table, removal};
use crate::vnet_ipam::driver::DriverError;

/// A pass.
pub(super) struct Work<'a> {
    execute: &'a dyn Execute,
    mends: bool,
    findings: Vec<String>,
    /// The namespaces that have a name, once they were looked up: nobody else makes or deletes any of this network meanwhile.
    known: Option<Vec<String>>,
}

impl<'a> Work<'a> {
    /// A pass that only looks.
    pub(super) fn looking(execute: &'a dyn Execute) -> Self {
        Self { execute, mends: false, findings: Vec::new(), known: None }
    }

    /// A pass that mends what it finds.
    pub(super) fn mending(execute: &'a dyn Execute) -> Self {
        Self { execute, mends: true, findings: Vec::new(), known: None }
    }

    pub(super) fn mends(&self) -> bool {
        self.mends
    }

    /// What was found, and mended in a pass that mends.
    pub(super) fn into_findings(self) -> Vec<String> {
        self.findings
    }

    /// Notes what nothing mends.
    pub(super) fn note(&mut self, finding: String) {
        self.findings.push(finding);
    }

    /// Notes a finding and runs what mends it.
    pub(super) async fn mend(&mut self, finding: String, commands: &[Command]) -> Result<(), DriverError> {
        if self.mends {
            for command in commands {
                self.run(&finding, command).await?;
            }
        }
        self.findings.push(finding);
        Ok(())
    }

    async fn run(&self, finding: &str, command: &Command) -> Result<(), DriverError> {
        let ended = self.execute.execute(command).await.map_err(not_run)?;
        if ended.success {
            return Ok(());
        }
        let detail = format!("{finding}; {}: {}", shown(command), ended.complaint.trim());
        Err(DriverError::Failed {
            what: "the network could not be made as it shall be".to_owned(),
            detail: Some(detail),
        })
    }

    /// Asks, where "no" is an answer, too.
    async fn ask(&self, command: &Command) -> Result<Ended, DriverError> {
        self.execute.execute(command).await.map_err(not_run)
    }

    /// Asks for JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, command: &Command) -> Result<T, DriverError> {
        let ended = self.ask(command).await?;
        if !ended.success {
            return Err(unreadable(command, ended.complaint.trim()));
        }
        // Some versions say nothing at all instead of an empty list.
        let output = if ended.output.trim().is_empty() { "[]" } else { &ended.output };
        serde_json::from_str(output).map_err(|error| unreadable(command, &error.to_string()))
    }

    /// All namespaces that have a name.
    pub(super) async fn namespaces(&mut self) -> Result<&[String], DriverError> {
        if self.known.is_none() {
            let command = look("ip", ["netns", "list"]);
            let ended = self.ask(&command).await?;
            if !ended.success {
                return Err(unreadable(&command, ended.complaint.trim()));
            }
            self.known = Some(names(&ended.output).map(str::to_owned).collect());
        }
        Ok(self.known.as_deref().unwrap_or_default())
    }

    /// A namespace and the interfaces in it.
    pub(super) async fn namespace(&mut self, name: &str) -> Result<Namespace, DriverError> {
        if !self.namespaces().await?.iter().any(|present| present == name) {
            return Ok(Namespace::Absent);
        }
        let command = look("ip", ["-n", name, "-json", "-details", "addr", "show"]);
        let ended = self.ask(&command).await?;
        if ended.success {
            let links: Links =
                serde_json::from_str(&ended.output).map_err(|error| unreadable(&command, &error.to_string()))?;
            // `-details` leaves an empty object for what a family filter hides; there is no filter here.
            return Ok(Namespace::Standing(links));
        }
        // A name without a namespace behind it can't be entered. Nothing else is taken for that: a standing namespace that
        // can't be looked at for another reason must not be made anew.
        if ended.complaint.contains("setting the network namespace") && ended.complaint.contains("Invalid argument") {
            return Ok(Namespace::Broken);
        }
        Err(unreadable(&command, ended.complaint.trim()))
    }

    /// Makes a namespace, if need be. Returns what is in it; `None` in a pass that only looks, where there is none.
    pub(super) async fn ensure_namespace(&mut self, name: &str, what: &str) -> Result<Option<Links>, DriverError> {
        let add = change("ip", ["netns", "add", name]);
        match self.namespace(name).await? {
            Namespace::Standing(links) => return Ok(Some(links)),
            Namespace::Absent => self.mend(format!("{what} `{name}` is missing"), &[add]).await?,
            Namespace::Broken => {
                let delete = change("ip", ["netns", "delete", name]);
                self.mend(format!("{what} `{name}` is only a name"), &[delete, add]).await?;
            }
        }
        if !self.mends {
            return Ok(None);
        }
        self.known = None;
        self.links(name).await.map(Some)
    }

    /// The interfaces of a namespace that was just made or looked at.
    pub(super) async fn links(&self, namespace: &str) -> Result<Links, DriverError> {
        self.json(&look("ip", ["-n", namespace, "-json", "-details", "addr", "show"])).await
    }

    /// Loads a table of rules, if it is not the one that was loaded last or was altered since. What it was made of it says by
    /// its mark. How the kernel listed it then is kept as an alias of the interface that it guards.
    pub(super) async fn ensure_table(
        &mut self,
        namespace: &str,
        guards: &Link,
        table: &Table,
    ) -> Result<(), DriverError> {
        let mark = table.mark();
        let mut listed = self.listed(namespace, table.family, &table.name).await?;
        let seal = |listed: &str| format!("{mark} {}", hash(listed, 16));
        let alias = guards.ifalias.as_deref().unwrap_or_default();
        if alias == seal(&listed) && !listed.is_empty() {
            return Ok(());
        }
        let finding = format!("the packet filter of `{}` in `{namespace}` is not as it shall be", guards.ifname);
        let mut commands = Vec::new();
        // Under the alias of another text, and with the mark of this one, it was loaded just before a crash.
        if !listed.contains(&mark) || alias.starts_with(&mark) {
            let mut load = change("ip", ["netns", "exec", namespace, "nft", "-f", "-"]);
            load.input = Some(table.text());
            commands.push(load);
        }
        self.mend(finding.clone(), &commands).await?;
        if !self.mends {
            return Ok(());
        }
        listed = self.listed(namespace, table.family, &table.name).await?;
        let alias = change("ip", ["-n", namespace, "link", "set", "dev", &guards.ifname, "alias", &seal(&listed)]);
        self.run(&finding, &alias).await
    }

    /// Removes a table of rules, if it is there.
    pub(super) async fn remove_table(&mut self, namespace: &str, family: &str, name: &str) -> Result<(), DriverError> {
        if self.listed(namespace, family, name).await?.is_empty() {
            return Ok(());
        }
        let mut remove = change("ip", ["netns", "exec", namespace, "nft", "-f", "-"]);
        remove.input = Some(removal(family, name));
        self.mend(format!("the packet filter of `{name}` in `{namespace}` is still there"), &[remove]).await
    }

    /// A table as the kernel lists it; empty where there is none.
    async fn listed(&self, namespace: &str, family: &str, name: &str) -> Result<String, DriverError> {
        let list = ["netns", "exec", namespace, "nft", "--stateless", "list", "table", family, name];
        let ended = self.ask(&look("ip", list)).await?;
        Ok(if ended.success { ended.output } else { String::new() })
    }
}

/// A command that only looks.
pub(super) fn look<const N: usize>(program: &'static str, arguments: [&str; N]) -> Command {
    Command { program, arguments: arguments.map(str::to_owned).to_vec(), input: None, changes: false }
}

/// A command that changes something.
pub(super) fn change<const N: usize>(program: &'static str, arguments: [&str; N]) -> Command {
    Command { changes: true, ..look(program, arguments) }
}

fn shown(command: &Command) -> String {
    format!("`{} {}`", command.program, command.arguments.join(" "))
}

fn unreadable(command: &Command, complaint: &str) -> DriverError {
    DriverError::Failed {
        what: "the state of the network could not be read".to_owned(),
        detail: Some(format!("{}: {complaint}", shown(command))),
    }
}

fn not_run(error: ExecuteError) -> DriverError {
    let detail = match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    DriverError::Failed { what: "a program that makes networks could not be run".to_owned(), detail: Some(detail) }
}
