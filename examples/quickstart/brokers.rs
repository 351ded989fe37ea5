//! The reference brokers, each a server of its own on loopback that believes only in the hub's stamps.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bourse_brokers::faults::{self, Faults};
use bourse_brokers::vnet_ipam::{self, VnetIpam};
use osb::kit::{Stamped, Stamps};
use osb::server::{BasicAuth, Running, Server};
use osb::stamp::Verifier;

/// Who the hub is at the brokers.
pub(crate) const HUB: &str = "hub";

/// The brokers that run, by name, in the order in which they are registered.
pub(crate) struct Brokers {
    running: Vec<(&'static str, Running)>,
}

impl Brokers {
    /// Starts all of them; what they keep lies in that directory.
    pub(crate) async fn start(hub: &str, folder: &Path, password: &str) -> Result<Self, Box<dyn Error>> {
        let networks = VnetIpam::open(vnet_ipam::Config::new(folder.join("vnet-ipam.db"))).await?;
        let networks = Server::new(door(Arc::new(networks), hub, "vnet-ipam", password)).bind("127.0.0.1:0")?;
        let faults = Faults::new();
        let lock = door(Arc::new(faults.clone()), hub, "faults", password);
        let faults = faults::wire::bind(lock, &faults, "127.0.0.1:0")?;
        Ok(Self { running: vec![("vnet-ipam", networks), ("faults", faults)] })
    }

    /// Name and URL of each.
    pub(crate) fn urls(&self) -> Vec<(&'static str, String)> {
        self.running.iter().map(|(name, running)| (*name, running.url())).collect()
    }

    /// The URL of one of them.
    pub(crate) fn url(&self, name: &str) -> String {
        self.urls().into_iter().find(|(there, _)| *there == name).map(|(_, url)| url).unwrap_or_default()
    }

    /// Answers what is in flight, and ends.
    pub(crate) async fn stop(self) {
        for (_, running) in self.running {
            running.stop().await;
        }
    }
}

/// A broker behind a password, which learns its tenants from the stamps of the hub and refuses calls without one.
fn door(broker: Arc<dyn osb::ServiceBroker>, hub: &str, name: &str, password: &str) -> BasicAuth {
    let verifier = Verifier::from_jwks_url(hub, name);
    BasicAuth::new(Arc::new(Stamped::new(broker, Stamps::Required(verifier))), HUB, password)
}
