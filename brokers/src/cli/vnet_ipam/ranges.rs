//! `bourse-brokers vnet-ipam import`, `ranges` and `forget`: they work on the broker's file, whether the broker runs or not.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use osb::kit::Clock;

use super::FILE;
use crate::cli::Error;
use crate::vnet_ipam::import::{self, FILE_BYTES};
use crate::vnet_ipam::{Imported, Ranges};

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// A CSV file whose first line names its columns: cidr, name, kind (external or network), routing_domain, tenant, description.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    kept: Kept,
    /// Only say what would become of it.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, clap::Args)]
pub(super) struct Forget {
    /// The name that it was imported with.
    name: String,
    /// Where it lies.
    #[arg(long, value_name = "NAME", default_value = "default")]
    routing_domain: String,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, clap::Args)]
struct Kept {
    /// The directory that holds what the broker keeps.
    #[arg(long, value_name = "DIR", env = "BOURSE_BROKERS_DATA", default_value = ".")]
    data: PathBuf,
}

/// Why it did not work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("could not read `{0}`")]
    Read(String, #[source] io::Error),
    #[error("`{0}` is larger than {FILE_BYTES} bytes: split it")]
    Large(String),
    #[error("`{0}` can't be imported, and nothing was changed:\n{1}")]
    Refused(String, String),
    #[error("there is no range `{0}` in routing domain {1} that was imported, and not taken over")]
    Unknown(String, String),
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Ranges(error.into())
}

impl Kept {
    async fn open(&self) -> Result<Ranges, Error> {
        std::fs::create_dir_all(&self.data).map_err(|source| Error::Data(self.data.display().to_string(), source))?;
        Ranges::open(&self.data.join(FILE), Clock::System).await.map_err(failed)
    }
}

pub(super) async fn import(args: Import) -> Result<(), Error> {
    let name = args.file.display().to_string();
    let refused = |findings: &[String]| failed(Failure::Refused(name.clone(), findings.join("\n")));
    let text = read(&args.file).map_err(failed)?;
    let rows = import::read(&text).map_err(|findings| refused(&findings))?;
    let ranges = args.kept.open().await?;
    let outcome = ranges.import(&rows, args.dry_run).await.map_err(failed)?;
    ranges.close().await;
    if !outcome.findings.is_empty() {
        return Err(refused(&outcome.findings));
    }
    let (added, updated, unchanged) = (outcome.added, outcome.updated, outcome.unchanged);
    let note = if args.dry_run { " (dry run: nothing was changed)" } else { "" };
    Ok(writeln!(io::stdout().lock(), "{added} added, {updated} updated, {unchanged} unchanged{note}")?)
}

fn read(file: &Path) -> Result<String, Failure> {
    let shown = file.display().to_string();
    let mut text = String::new();
    let opened = File::open(file).map_err(|source| Failure::Read(shown.clone(), source))?;
    let read = opened.take(FILE_BYTES + 1).read_to_string(&mut text);
    let bytes = read.map_err(|source| Failure::Read(shown.clone(), source))?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes <= FILE_BYTES) { Ok(text) } else { Err(Failure::Large(shown)) }
}

pub(super) async fn list(args: List) -> Result<(), Error> {
    let ranges = args.kept.open().await?;
    let listed = ranges.list().await.map_err(failed)?;
    ranges.close().await;
    let mut out = io::stdout().lock();
    writeln!(out, "cidr,name,kind,routing_domain,tenant,description")?;
    for Imported { routing_domain, prefix, name, kind, tenant, description } in &listed {
        let (tenant, kind) = (tenant.as_deref().unwrap_or_default(), kind.word());
        writeln!(out, "{prefix},{name},{kind},{routing_domain},{tenant},\"{}\"", description.replace('"', "\"\""))?;
    }
    Ok(())
}

pub(super) async fn forget(args: Forget) -> Result<(), Error> {
    let Forget { name, routing_domain, kept } = args;
    let ranges = kept.open().await?;
    let forgotten = ranges.forget(&routing_domain, &name).await.map_err(failed)?;
    ranges.close().await;
    match forgotten {
        Some(range) => Ok(writeln!(io::stdout().lock(), "{} is free", range.prefix)?),
        None => Err(failed(Failure::Unknown(name, routing_domain))),
    }
}
