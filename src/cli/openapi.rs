//! `bourse openapi`: writes `openapi/bourse.json`, for whoever changed a route.

use std::io::Write as _;

use super::Error;

/// Runs it.
pub(super) fn run() -> Result<(), Error> {
    std::io::stdout().write_all(crate::http::openapi::document().as_bytes()).map_err(Error::Write)
}
