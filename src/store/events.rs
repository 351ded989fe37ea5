//! Table `events`.
