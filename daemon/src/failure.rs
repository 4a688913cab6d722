//! Why a command or a call did not do what it was for.

/// Why not, and whether that is all that can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) said: String,
    /// Whether nothing of it has happened or will: it did not begin, or says so itself. Else nobody knows.
    pub(crate) is_certain: bool,
}

impl Failure {
    pub(crate) fn certain(said: impl Into<String>) -> Self {
        Self { said: said.into(), is_certain: true }
    }

    pub(crate) fn unknown(said: impl Into<String>) -> Self {
        Self { said: said.into(), is_certain: false }
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.said
    }
}
