//! Table `credentials`.
