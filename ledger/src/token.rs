//! A token in the format of the paper that asked for this scheduler (chapter 4.1), for those whose other
//! programs speak it.
//!
//! **A retry must carry the first token.** The Snowflake number is another at each call, so a token that is
//! made again is another token, and would let the same request in twice. Make it once, where the request
//! begins, and send it along.
//!
//! **It has 64 bits.** Of 10^9 random ones two are the same with a probability of 2.7 %, not of 10^-5; that
//! no collision was seen in one such trial says nothing. The exclusive or keeps neither the uniqueness of the
//! number nor a way back to the fields. Where the choice is free, take [`Key::of_fields`](crate::Key::of_fields).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The first 8 bytes of the fields' SHA-256, big endian, exclusive or the number; in 11 letters of base64 for
/// URLs. `fields` are joined as the caller likes, such as `order:uid:amount`.
///
/// ```
/// assert_eq!(cronx_ledger::token::paper(0, ""), "47DEQpj8HBQ");
/// ```
#[expect(clippy::missing_panics_doc, reason = "a digest is longer than its first bytes")]
pub fn paper(snowflake: u64, fields: &str) -> String {
    let digest = Sha256::digest(fields.as_bytes());
    let (first, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
    let mixed = snowflake ^ u64::from_be_bytes(*first);
    URL_SAFE_NO_PAD.encode(mixed.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_papers_own_function_has_it() {
        assert_eq!(paper(0, ""), "47DEQpj8HBQ");
        assert_eq!(paper(1, ""), "47DEQpj8HBU");
        assert_eq!(paper(18_446_744_073_709_551_615, "order-7:me:100"), "78A1TRpyEuQ");
        assert_eq!(paper(7_340_412_345_678_901_248, "bestellung:ü:1"), "rmzIGp_u3Xw");
    }

    #[test]
    fn a_new_number_is_a_new_token() {
        assert_ne!(paper(1, "order"), paper(2, "order"));
        assert_ne!(paper(1, "order"), paper(1, "other"));
    }
}
