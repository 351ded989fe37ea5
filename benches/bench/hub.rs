//! The hub under test: the real binary with its settings as delivered, set up over its management API like anybody's.
//!
//! It knows nothing of loads. Invariant: a hub that is started again has the same database, key and platform.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bourse::secret::Sealer;
use serde_json::{Value, json};

use crate::Outcome;
use crate::broker::Brokers;
use crate::guard::Ending;
use crate::http::Door;
use crate::process::{Running, folder};

const PASSWORD: &str = "benchmark";

/// What stays while hubs come and go.
pub(crate) struct Place {
    /// The database's URL.
    pub(crate) database: String,
    /// A library to put before the hub.
    pub(crate) preload: Option<PathBuf>,
    /// Settings that are not as delivered, as environment variables.
    pub(crate) settings: Vec<(&'static str, String)>,
    key: String,
    /// The platform's user name and password, once there is one.
    platform: Option<(String, String)>,
    top: PathBuf,
}

/// The ids of the plans of a broker in the hub's catalog.
#[derive(Clone, Debug)]
pub(crate) struct Plans {
    /// The offering.
    pub(crate) service: String,
    /// What is done at once.
    pub(crate) prompt: String,
    /// What is never done.
    pub(crate) slow: String,
}

/// A running hub.
pub(crate) struct Hub {
    process: Running,
    url: String,
    admin: Door,
}

impl Place {
    /// On that database, which is empty.
    pub(crate) fn new(top: &Path, database: String, preload: Option<&Path>) -> Outcome<Self> {
        let (key, preload) = (Sealer::generate_key()?, preload.map(Path::to_owned));
        Ok(Self { database, preload, settings: Vec::new(), key, platform: None, top: top.to_owned() })
    }

    /// On a fresh SQLite file.
    pub(crate) fn sqlite(top: &Path, preload: Option<&Path>) -> Outcome<Self> {
        let file = folder(top, "sqlite")?.join("bourse.db");
        Self::new(top, format!("sqlite:{}", file.display()), preload)
    }

    /// Starts a hub, and says how long it took until it was ready to serve.
    pub(crate) async fn start(&self) -> Outcome<(Hub, Duration)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bourse"));
        let output = folder(&self.top, "hub-output")?.join("stdout");
        command.arg("serve").stdin(Stdio::null()).stdout(std::fs::File::create(&output)?).envs([
            ("BOURSE__SERVER__LISTEN", "127.0.0.1:0"),
            ("BOURSE__DATABASE__URL", &self.database),
            ("BOURSE__ADMIN__PASSWORD", PASSWORD),
            ("BOURSE__SECURITY__ENCRYPTION_KEY", &self.key),
            ("BOURSE__EGRESS__ALLOW", "127.0.0.0/8"),
        ]);
        command.envs(self.settings.iter().map(|(name, value)| (*name, value.as_str())));
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        let started = Instant::now();
        let mut process = Running::start(&self.top, "hub", command, Ending::Kill)?;
        let listening = async |_: &str| {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            let (whole, _) = said.rsplit_once('\n')?;
            whole.lines().find_map(|line| line.strip_prefix("listening on ")).map(str::to_owned)
        };
        let url = process.until("the hub", listening).await?;
        let admin = Door::new(&url, Some(("admin", PASSWORD)))?;
        let ready = admin.request("GET", "/readyz", None);
        process
            .until("the hub's readiness", async |_: &str| {
                admin.once(&ready).await.ok().filter(|reply| reply.status == 200).map(drop)
            })
            .await?;
        Ok((Hub { process, url, admin }, started.elapsed()))
    }

    /// Makes a tenant and a platform whose orders are for it.
    pub(crate) async fn settle(&mut self, hub: &Hub) -> Outcome<()> {
        let tenant = json!({
            "display_name": "Benchmark", "cost_center": "CC-4711", "business_unit": "retail", "environment": "production",
            "owner": "someone@example.com", "labels": {"stage": "production"},
        });
        hub.manage("PUT", "/tenants/bench", Some(tenant), 201).await?;
        let platform = json!({"name": "bench", "kind": "other", "default_tenant": "bench"});
        let made = hub.manage("POST", "/platforms", Some(platform), 201).await?;
        let word = |name: &str| made["credentials"][name].as_str().map(str::to_owned).ok_or("no credentials");
        self.platform = Some((word("username")?, word("password")?));
        Ok(())
    }

    /// Where the platform calls a hub on this place.
    pub(crate) fn door(&self, hub: &Hub) -> Outcome<Door> {
        let (username, password) = self.platform.as_ref().ok_or("there is no platform yet")?;
        Door::new(&hub.url, Some((username, password)))
    }
}

impl Hub {
    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where somebody else calls it.
    pub(crate) fn door(&self, username: &str, password: &str) -> Outcome<Door> {
        Door::new(&self.url, Some((username, password)))
    }

    /// Where a browser calls it, and the administrator's password.
    pub(crate) fn browser(&self) -> Outcome<(Door, &'static str)> {
        Ok((Door::new(&self.url, None)?, PASSWORD))
    }

    /// A call of the management API.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: Option<Value>, status: u16) -> Outcome<Value> {
        let body = body.map(|body| body.to_string());
        let request = self.admin.request(method, &format!("/api/v1{path}"), body.as_deref());
        let reply = self.admin.once(&request).await?;
        if reply.status != status {
            return Err(format!("{method} {path}: {} {}", reply.status, reply.text()).into());
        }
        Ok(serde_json::from_slice(&reply.body)?)
    }

    /// Registers a broker, and says by which ids its plans are ordered.
    pub(crate) async fn register(&self, brokers: &Brokers, key: &str) -> Outcome<Plans> {
        let credentials = json!({"basic": {"username": "hub", "password": "secret"}});
        let broker = json!({"name": format!("b-{key}"), "url": brokers.url(key), "credentials": credentials});
        let made = self.manage("POST", "/brokers", Some(broker), 201).await?;
        let offering = &made["offerings"][0];
        let id = |value: &Value| value["id"].as_str().map(str::to_owned).ok_or("an offering without an id");
        let plan = |name: &str| {
            let plans = offering["plans"].as_array().into_iter().flatten();
            plans.into_iter().find(|plan| plan["name"] == name).map(id).ok_or("no such plan")?
        };
        Ok(Plans { service: id(offering)?, prompt: plan("prompt")?, slow: plan("slow")? })
    }

    /// Stops it as an operator does: everything is in the database's one file afterwards.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        self.process.stop("TERM").await
    }
}
