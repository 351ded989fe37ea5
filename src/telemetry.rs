//! Logs: lines of text or JSON on stderr. It installs the subscriber once; what is logged is up to each place, which never
//! logs bodies, parameters or credentials.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directives can't be read.
    #[error("setting log.level must be a level, or directives such as `info,bourse=debug`")]
    Level(#[source] tracing_subscriber::filter::ParseError),
    /// There is a subscriber already.
    #[error("logs are set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends logs to stderr from now on.
///
/// # Errors
/// [`Error`].
pub fn init(settings: &Log) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&settings.level).map_err(Error::Level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    match settings.format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).finish().try_init()
        }
        LogFormat::Text => lines.finish().try_init(),
    }
    .map_err(Error::Twice)
}
