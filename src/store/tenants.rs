//! Table `tenants`.
