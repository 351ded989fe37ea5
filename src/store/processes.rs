//! Table `processes`.
