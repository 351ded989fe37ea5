//! On what, of what and when it was measured.

use std::path::Path;
use std::process::Command;

use bourse::clock::Clock;

use crate::{Outcome, nginx, postgres};

/// What a program says, on whichever stream; empty where it can't be asked.
fn said(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}

fn first_line(file: &str, field: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.trim_start_matches(field).trim_start_matches([':', ' ', '\t']).trim().to_owned()
}

/// The rows of a table: what, and what it is.
pub(crate) fn facts() -> Outcome<Vec<(&'static str, String)>> {
    let memory: f64 = first_line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let cores = std::thread::available_parallelism()?;
    let commit = said(Path::new("git"), &["rev-parse", "--short=12", "HEAD"]);
    let changed = said(Path::new("git"), &["status", "--porcelain", "--untracked-files=no"]);
    let moment = Clock::system().now().to_string();
    Ok(vec![
        ("processor", format!("{}, {cores} cores", first_line("/proc/cpuinfo", "model name"))),
        ("memory", format!("{:.0} GiB", memory / 1024.0 / 1024.0)),
        ("kernel", first_line("/proc/sys/kernel/osrelease", "")),
        ("Rust", said(Path::new("rustc"), &["--version"])),
        ("PostgreSQL", said(&postgres::programs()?.join("postgres"), &["--version"])),
        ("nginx", said(&nginx::program()?, &["-v"])),
        ("commit", if changed.is_empty() { commit } else { format!("{commit}, with changes on top") }),
        ("when", moment),
        ("load before it began", first_line("/proc/loadavg", "")),
    ])
}
