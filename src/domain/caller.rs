//! Who calls: decided once from the credential, then handed to each use case.

/// Who calls, as authentication found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The administrator, by user name.
    Admin(String),
    /// A platform, by its id.
    Platform(String),
    /// A broker with a credential of its own, by its id.
    Broker(String),
}

impl Caller {
    /// How audit rows and operations name it.
    pub fn actor(&self) -> String {
        match self {
            Self::Admin(name) => format!("users/{name}"),
            Self::Platform(id) => format!("platforms/{id}"),
            Self::Broker(id) => format!("brokers/{id}"),
        }
    }
}
