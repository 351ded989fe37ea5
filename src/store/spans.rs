//! Table `spans`.
