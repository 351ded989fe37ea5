//! The reference brokers, each a server of its own on loopback that believes only in the hub's stamps. What each keeps lies in a
//! directory of its own.

use std::error::Error;
use std::fs::DirBuilder;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use bourse_brokers::bastion;
use bourse_brokers::bastion::process::{Process, ProcessConfig};
use bourse_brokers::devops_toolchain::{self, DevopsToolchain};
use bourse_brokers::faults::{self, Faults};
use bourse_brokers::key_vault::{self, KeyVault};
use bourse_brokers::vnet_ipam::{self, VnetIpam};
use osb::ServiceBroker;
use osb::kit::{Broker, Clock, Db, Janitor, Reporter, Reporting, Sealer, Service, Setup, Stamped, Stamps};
use osb::server::{BasicAuth, Running, Server};
use osb::stamp::Verifier;

/// Who the hub is at the brokers.
pub(crate) const HUB: &str = "hub";
const LOOPBACK: &str = "127.0.0.1:0";
/// Often enough to be seen; once an hour would do.
const MEASURE_EVERY: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The brokers that run, by name, in the order in which they are registered.
pub(crate) struct Brokers {
    running: Vec<(&'static str, Running)>,
    /// What has to be done now and then.
    _janitors: Vec<Janitor>,
    _builds: devops_toolchain::Working,
    bastion: Process,
    vault: key_vault::Api,
    /// The brokers' files, by name.
    files: Vec<(&'static str, Db)>,
    /// What brings their readings to the hub.
    reporting: Vec<Reporting>,
}

/// Where and for whom brokers are started.
struct Place<'a> {
    hub: &'a str,
    folder: &'a Path,
    password: &'a str,
}

impl Brokers {
    /// Starts all of them; what they keep lies below that directory.
    pub(crate) async fn start(hub: &str, folder: &Path, password: &str) -> Result<Self, Box<dyn Error>> {
        let place = Place { hub, folder, password };
        let (mut running, mut janitors, mut files) = (Vec::new(), Vec::new(), Vec::new());

        let data = place.data("vnet-ipam")?;
        let networks = vnet_ipam::Config::new(data.join("vnet-ipam.db"));
        let kept = VnetIpam::prepare(networks).await?;
        let pools = Arc::clone(&kept.0);
        files.push(("vnet-ipam", kept.1.clone()));
        let routes = |server: &Server| vnet_ipam::wire::routes(pools, server);
        running
            .push(("vnet-ipam", place.serve("vnet-ipam", TcpListener::bind(LOOPBACK)?, kept, routes, &mut janitors)?));

        let data = place.data("bastion")?;
        let listener = TcpListener::bind(LOOPBACK)?;
        let bastion = Process::start(ProcessConfig {
            data,
            public_url: url(&listener)?,
            gateway: Some(TcpListener::bind(LOOPBACK)?),
            gateway_public: None,
            try_host: Some(TcpListener::bind(LOOPBACK)?),
            clock: Clock::System,
        });
        let bastion = bastion.await?;
        let routes = bastion::http::configure(Arc::clone(&bastion.service));
        let kept = (Arc::clone(&bastion.service), bastion.db.clone(), bastion.sealer.clone());
        files.push(("bastion", kept.1.clone()));
        running.push(("bastion", place.serve("bastion", listener, kept, |_| routes, &mut janitors)?));

        let listener = TcpListener::bind(LOOPBACK)?;
        let (db, sealer, _) = place.open("key-vault", key_vault::SCHEMA).await?;
        let (vaults, api) = KeyVault::embedded(db.clone(), sealer.clone(), Clock::System, &url(&listener)?);
        let vault = api.clone();
        let routes = move |config: &mut ServiceConfig| api.configure()(config);
        files.push(("key-vault", db.clone()));
        let kept = (Arc::new(vaults), db, sealer);
        running.push(("key-vault", place.serve("key-vault", listener, kept, |_| routes, &mut janitors)?));

        let listener = TcpListener::bind(LOOPBACK)?;
        let (db, sealer, data) = place.open("devops-toolchain", devops_toolchain::SCHEMA).await?;
        let toolchains = Arc::new(
            DevopsToolchain::embedded(devops_toolchain::Config {
                data,
                public_url: url(&listener)?,
                db: db.clone(),
                sealer: sealer.clone(),
                clock: Clock::System,
                limits: devops_toolchain::Limits::default(),
                retention: RETENTION,
                builds: None,
                webhook_allow: Vec::new(),
            })
            .await?,
        );
        let (builds, routes) = (toolchains.spawn_work(), toolchains.routes());
        files.push(("devops-toolchain", db.clone()));
        let kept = (toolchains, db, sealer);
        running.push(("devops-toolchain", place.serve("devops-toolchain", listener, kept, |_| routes, &mut janitors)?));

        let faults = Faults::new();
        let door = place.door(Arc::new(faults.clone()), "faults");
        running.push(("faults", faults::wire::bind(door, &faults, LOOPBACK)?));
        Ok(Self { running, _janitors: janitors, _builds: builds, bastion, vault, files, reporting: Vec::new() })
    }

    /// Name and URL of each.
    pub(crate) fn urls(&self) -> Vec<(&'static str, String)> {
        self.running.iter().map(|(name, running)| (*name, running.url())).collect()
    }

    /// The URL of one of them.
    pub(crate) fn url(&self, name: &str) -> String {
        self.urls().into_iter().find(|(there, _)| *there == name).map(|(_, url)| url).unwrap_or_default()
    }

    /// Those that measure what they give.
    pub(crate) fn metered(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(name, _)| *name)
    }

    /// Lets one of them bring its readings to the hub, with the user name and password that the hub gave it.
    pub(crate) fn report(&mut self, name: &str, hub: &str, pair: (&str, &str)) -> Result<(), Box<dyn Error>> {
        for (_, db) in self.files.iter().filter(|(there, _)| *there == name) {
            self.reporting.push(Reporter::new(db.clone(), hub, pair, None)?.spawn());
        }
        Ok(())
    }

    /// Answers what is in flight, and ends.
    pub(crate) async fn stop(self) {
        drop(self.reporting);
        for (_, running) in self.running {
            running.stop().await;
        }
        self.bastion.stop().await;
        self.vault.flush().await;
        for (_, db) in self.files {
            db.close().await;
        }
    }
}

impl Place<'_> {
    /// The directory of a broker, for its owner only.
    fn data(&self, name: &str) -> Result<PathBuf, Box<dyn Error>> {
        let data = self.folder.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&data)?;
        Ok(data)
    }

    /// The file and the key of a broker.
    async fn open(&self, name: &str, schema: &'static str) -> Result<(Db, Sealer, PathBuf), Box<dyn Error>> {
        let data = self.data(name)?;
        let db = Db::open(&data.join(format!("{name}.db")), schema).await?;
        Ok((db, Sealer::from_file(&data.join(format!("{name}.key")))?, data))
    }

    /// A broker behind a password, which learns its tenants from the stamps of the hub and refuses calls without one.
    fn door(&self, broker: Arc<dyn ServiceBroker>, name: &str) -> BasicAuth {
        let verifier = Verifier::from_jwks_url(self.hub, name);
        BasicAuth::new(Arc::new(Stamped::new(broker, Stamps::Required(verifier))), HUB, self.password)
    }

    /// Puts a service on HTTP, with what it serves beside `/v2`.
    fn serve<S: Service, R: Fn(&mut ServiceConfig) + Clone + Send + 'static>(
        &self,
        name: &'static str,
        listener: TcpListener,
        (service, db, sealer): (Arc<S>, Db, Sealer),
        routes: impl FnOnce(&Server) -> R,
        janitors: &mut Vec<Janitor>,
    ) -> Result<Running, Box<dyn Error>> {
        let setup = Setup { name: name.to_owned(), db, sealer, clock: Clock::System, measure_every: MEASURE_EVERY };
        let broker = Broker::new(service, setup)?;
        janitors.push(broker.spawn_janitor());
        let server = Server::new(self.door(Arc::new(broker.clone()), name)).realm(name);
        let (mounted, retained, routes) = (server.clone(), broker.retained_routes(&server), routes(&server));
        Ok(server.listen_with(listener, move |config| {
            routes(config);
            retained(config);
            mounted.configure()(config);
        })?)
    }
}

fn url(listener: &TcpListener) -> Result<String, Box<dyn Error>> {
    Ok(format!("http://{}", listener.local_addr()?))
}
