//! What a flush costs on this disk, and the library that makes it cost two milliseconds more.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::stats::Series;

const SOURCE: &str = include_str!("slow_flush.c");
const FLUSHES: usize = 100;

/// Compiles the library into that folder.
pub(crate) fn library(folder: &Path) -> Outcome<PathBuf> {
    let (source, library) = (folder.join("slow_flush.c"), folder.join("slow_flush.so"));
    std::fs::write(&source, SOURCE)?;
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).arg("-ldl");
    let output =
        command.output().map_err(|error| format!("there is no C compiler `cc` (`apt-get install gcc`): {error}"))?;
    if !output.status.success() {
        return Err(format!("cc failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    std::fs::set_permissions(&library, std::fs::Permissions::from_mode(0o755))?;
    Ok(library)
}

/// How long a flush of four new KiB takes in a process of its own, with that library before it.
pub(crate) fn measure(folder: &Path, preload: Option<&Path>) -> Outcome<Duration> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", "flush"]).arg(folder);
    if let Some(library) = preload {
        command.env("LD_PRELOAD", library);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("no flush: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Duration::from_nanos(String::from_utf8(output.stdout)?.trim().parse()?))
}

/// What the child does: prints the median in nanoseconds.
pub(crate) fn child(folder: &Path) -> Outcome<()> {
    let path = folder.join("flushed");
    let (mut file, started) = (std::fs::File::create(&path)?, Instant::now());
    let mut each = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        file.write_all(&[1; 4096])?;
        let before = Instant::now();
        file.sync_data()?;
        each.push(before.elapsed());
    }
    std::fs::remove_file(path)?;
    writeln!(std::io::stdout(), "{}", Series::new(started.elapsed(), each).p50().as_nanos())?;
    Ok(())
}
