//! Table `bindings`.
