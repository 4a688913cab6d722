//! What became of an effect that is to happen once, in whichever database.

use crate::fingerprint::Fingerprint;

/// What became of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once<T = String> {
    /// It happens when the transaction is committed.
    Now(T),
    /// It has happened, with this result.
    Before(T),
    /// The key was used for another request; nothing was done.
    Mismatch,
}

impl Once {
    /// What a row says of an effect that has happened, to one who asks with this fingerprint.
    pub(crate) fn before(own: Option<Fingerprint>, other: Option<&[u8]>, result: String) -> Self {
        let differs = own.zip(other).is_some_and(|(own, other)| own.0 != *other);
        if differs { Self::Mismatch } else { Self::Before(result) }
    }
}
