//! Reads the settings from where the command line says, and sets up logs.

use std::collections::BTreeMap;

use super::{Error, Settings};
use crate::app::identity::unknown_role;
use crate::config::Config;

/// Reads the settings and sends logs to stderr from now on.
pub(super) fn load(settings: &Settings) -> Result<Config, Error> {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let config = Config::load(settings.config.as_deref(), &environment)?;
    if let Some(message) = unknown_role(&config.auth) {
        return Err(crate::config::Error::Invalid { key: "auth.grants", message }.into());
    }
    crate::telemetry::init(&config.log)?;
    Ok(config)
}
