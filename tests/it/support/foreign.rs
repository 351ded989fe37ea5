//! Service brokers on frameworks of others, each a process of its own: what strangers' brokers are like.
//!
//! The brokers are as correct as their frameworks let them be, so that what is wrong with them is the frameworks'.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::hub::{CLIENT, TIMEOUT_MS};
use super::process::Process;
use super::python;

const USERNAME: &str = "stranger";
const PASSWORD: &str = "a-long-pass:word";

/// A broker that listens. It ends with this.
pub(crate) struct Foreign {
    name: &'static str,
    pub(crate) url: String,
    _process: Process,
}

impl Foreign {
    /// `buckets`, on openbrokerapi in Python.
    pub(crate) async fn openbrokerapi() -> Self {
        let (process, url) = serve("buckets", &python::python(), &support("foreign_broker.py"), &[]).await;
        Self { name: "buckets", url, _process: process }
    }

    /// `queues`, on @sap/sbf in Node.js.
    pub(crate) async fn sap_sbf() -> Self {
        let packages = python::sap_sbf_packages();
        let packages = packages.to_str().expect("a path that is text");
        let environment = [("NODE_PATH", packages)];
        let (process, url) = serve("queues", &python::node(), &support("sap_sbf/broker.js"), &environment).await;
        Self { name: "queues", url, _process: process }
    }

    /// What registers it at a hub.
    pub(crate) fn registration(&self) -> Value {
        json!({
            "name": self.name, "url": self.url, "timeout_ms": TIMEOUT_MS,
            "credentials": {"basic": {"username": USERNAME, "password": PASSWORD}},
        })
    }

    /// What it really holds.
    pub(crate) async fn state(&self) -> Value {
        let answer = CLIENT.get(format!("{}/state", self.url)).send().await.expect("no answer");
        serde_json::from_str(&answer.text().await.expect("no text")).expect("JSON")
    }
}

fn support(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support").join(file)
}

async fn serve(name: &str, program: &Path, script: &Path, environment: &[(&str, &str)]) -> (Process, String) {
    let arguments = [script.as_os_str(), USERNAME.as_ref(), PASSWORD.as_ref()];
    Process::serve(name, program, arguments, environment).await
}
