//! How quick `vnet-ipam` is with so many prefixes: `cargo run --release -p bourse-brokers --example vnet_ipam_figures -- 100000`.
//!
//! Every other /29 of 10.0.0.0/8 is taken, so that what is free lies in as many pieces; then networks are ordered through the
//! broker, one after another, each on disk before it is answered.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::time::{Duration, Instant};

use bourse_brokers::vnet_ipam::import::{Kind, Row};
use bourse_brokers::vnet_ipam::prefix::{Prefix, Version};
use bourse_brokers::vnet_ipam::{Config, Ranges, VnetIpam, plan};
use osb::kit::Clock;
use osb::{Call, Maybe, Object, ProvisionRequest, ServiceBroker};

const AT_ONCE: u32 = 100_000;
const ORDERS: usize = 1_000;

fn row(number: u32) -> Row {
    Row {
        line: 0,
        prefix: Prefix::containing(Version::V4, (10 << 24) + u128::from(number) * 16, 29),
        name: format!("r{number}"),
        kind: Kind::External,
        routing_domain: "default".to_owned(),
        tenant: None,
        description: String::new(),
    }
}

fn order(number: usize) -> ProvisionRequest {
    let plan = &plan::PLANS[0];
    let length = Object::from_iter([("prefix_length".to_owned(), (28 + number % 2).into())]);
    ProvisionRequest {
        instance_id: format!("n{number}"),
        service_id: plan::SERVICE_ID.to_owned(),
        plan_id: plan.id.to_owned(),
        organization_guid: "o".to_owned(),
        space_guid: "s".to_owned(),
        parameters: Maybe::Present(length),
        ..ProvisionRequest::default()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = std::env::args().nth(1).unwrap_or_else(|| "100000".to_owned()).parse()?;
    let directory = std::env::temp_dir().join(format!("vnet-ipam-figures-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let file = directory.join("vnet-ipam.db");
    let mut out = stdout().lock();

    let began = Instant::now();
    let ranges = Ranges::open(&file, Clock::System).await?;
    for first in (0..count).step_by(AT_ONCE as usize) {
        let rows: Vec<_> = (first..count.min(first + AT_ONCE)).map(row).collect();
        ranges.import(&rows, false).await?;
    }
    ranges.close().await;
    writeln!(out, "{count} prefixes imported in {:?}", began.elapsed())?;

    let broker = VnetIpam::open(Config::new(&file)).await?;
    let began = Instant::now();
    broker.provision(&Call::default(), order(ORDERS)).await?;
    writeln!(out, "first order, which builds the free space of all pools: {:?}", began.elapsed())?;

    let mut took: Vec<Duration> = Vec::with_capacity(ORDERS);
    for number in 0..ORDERS {
        let began = Instant::now();
        broker.provision(&Call::default(), order(number)).await?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let at = |hundredth: usize| took.get(took.len() * hundredth / 100).copied().unwrap_or_default();
    writeln!(out, "{ORDERS} orders: p50 {:?}, p99 {:?}", at(50), at(99))?;

    let began = Instant::now();
    let shown = broker.service().pool("default").await?.map(|pool| pool.to_string().len());
    writeln!(out, "the pool shown ({} bytes) in {:?}", shown.unwrap_or_default(), began.elapsed())?;
    broker.close().await;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
