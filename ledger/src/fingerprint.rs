//! What a request says, in 32 bytes: two that share a key and not this are not one request.

use std::fmt;

/// BLAKE3 of a request. Two requests that differ share one with a probability of 2^-128 or less.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a request as it came, byte for byte.
    pub fn of(request: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("cronx 2026-11 fingerprint of bytes");
        hasher.update(request);
        Self(*hasher.finalize().as_bytes())
    }

    /// Of what a request is about, in whatever order it is told.
    pub fn of_fields(fields: &[(&str, &[u8])]) -> Self {
        digest_of_fields("cronx 2026-11 fingerprint of fields", fields)
    }

    /// In 64 digits.
    pub fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex()[..16])
    }
}

/// Each length before its bytes: what is moved from one field to the next is another request.
pub(crate) fn digest_of_fields(context: &str, fields: &[(&str, &[u8])]) -> Fingerprint {
    let mut fields = fields.to_vec();
    fields.sort_unstable();
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(&(fields.len() as u64).to_le_bytes());
    for (name, value) in fields {
        for part in [name.as_bytes(), value] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Fingerprint(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_has_another() {
        let all: [&[(&str, &[u8])]; 6] = [
            &[],
            &[("", b"")],
            &[("a", b"b")],
            &[("ab", b"")],
            &[("a", b"b"), ("a", b"b")],
            &[("a", b"b"), ("", b"")],
        ];
        let prints: std::collections::HashSet<_> =
            all.iter().map(|fields| Fingerprint::of_fields(fields)).collect();
        assert_eq!(prints.len(), all.len());
        assert_ne!(Fingerprint::of(b""), Fingerprint::of_fields(&[]));
    }

    #[test]
    fn it_is_the_same_in_every_version() {
        // Stores keep it: a change of how it is made would refuse every retry.
        let text =
            format!("{:?} {:?}", Fingerprint::of(b"pay"), Fingerprint::of_fields(&[("a", b"b")]));
        expect_test::expect![["e63b9b140d298d55 6c463964581aa1d3"]].assert_eq(&text);
    }
}
