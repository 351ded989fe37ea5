//! Table `platforms`.
