//! One parameter of a connection, from the connection string, the environment or a service.

/// A parameter, wherever it is set.
pub(super) struct Setting {
    pub name: String,
    pub value: String,
    /// Where, for an error.
    pub place: String,
}
