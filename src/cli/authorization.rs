//! `bourse authorization`: writes `docs/authorization.txt`, for whoever changed who may do what.

use std::io::Write as _;

use super::Error;

/// Runs it.
pub(super) fn run() -> Result<(), Error> {
    std::io::stdout().write_all(crate::http::authorization::document().as_bytes()).map_err(Error::Write)
}
