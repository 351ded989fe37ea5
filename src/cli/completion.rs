//! `bourse completion`: a script with which a shell completes the commands. By `clap_complete`, from the very definitions.

use std::io::{self, Write as _};

use clap_complete::Shell;

use super::Error;

/// Arguments of `bourse completion`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that reads it.
    shell: Shell,
}

/// Writes it to stdout.
pub(super) fn run(args: &Args, commands: &mut clap::Command) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, commands, "bourse", &mut script);
    io::stdout().write_all(&script).map_err(Error::Print)
}
